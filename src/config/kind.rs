//! Whose API an endpoint speaks.

use serde::{Serialize, Serializer};

/// How URL and credentials of a deployment are formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Azure OpenAI: `{endpoint}/openai/…`, the key in `api-key`.
    #[default]
    Azure,
    /// Any OpenAI-compatible base URL (the vendor itself, vLLM, …): `{endpoint}/chat/completions`, the key as
    /// `Authorization: Bearer`. `api_version` plays no part.
    OpenAi,
}

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
