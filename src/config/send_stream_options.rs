//! What the choices are called in a configuration file.

use serde::{Serialize, Serializer};

pub use crate::api::send_stream_options::SendStreamOptions;

impl SendStreamOptions {
    /// Both choices, the default first.
    pub const ALL: [SendStreamOptions; 2] = [SendStreamOptions::Auto, SendStreamOptions::Never];

    /// The choice of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SendStreamOptions::Auto => "auto",
            SendStreamOptions::Never => "never",
        }
    }
}

impl Serialize for SendStreamOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
