//! What the kinds are called in a configuration file.

use serde::{Serialize, Serializer};

pub use crate::api::kind::Kind;

impl Kind {
    /// All kinds, the default first.
    pub const ALL: [Kind; 2] = [Kind::Azure, Kind::OpenAi];

    /// The kind of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Azure => "azure",
            Kind::OpenAi => "openai",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
