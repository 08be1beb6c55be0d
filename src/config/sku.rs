//! How the service accounts for what a deployment uses.

use serde::{Serialize, Serializer};

pub use crate::balance::limits::Sku;

impl Sku {
    /// All kinds, the default first.
    pub const ALL: [Sku; 2] = [Sku::Standard, Sku::Provisioned];

    /// The kind of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sku| sku.name() == name)
    }

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Sku::Standard => "standard",
            Sku::Provisioned => "provisioned",
        }
    }
}

impl Serialize for Sku {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
