//! Whose API an endpoint speaks.

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
