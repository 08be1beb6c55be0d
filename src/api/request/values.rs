//! Values of a chat request's fields. What is not listed here goes by `extra`.

use serde::{Serialize, Serializer};

use crate::api::json::Json;

/// The form of the answer.
#[derive(Clone, Debug)]
pub struct ResponseFormat(Form);

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Form {
    Text,
    JsonObject,
    JsonSchema { json_schema: Schema },
}

#[derive(Clone, Debug, Serialize)]
struct Schema {
    name: String,
    strict: bool,
    schema: Json,
}

impl ResponseFormat {
    /// Any text, which is the default.
    #[must_use]
    pub fn text() -> Self {
        ResponseFormat(Form::Text)
    }

    /// Some JSON object; the messages must ask for JSON as well.
    #[must_use]
    pub fn json_object() -> Self {
        ResponseFormat(Form::JsonObject)
    }

    /// JSON that follows this JSON Schema exactly (`strict`). The answer's keys come in the schema's order, which is
    /// kept as it is serialised.
    pub fn json_schema(name: impl Into<String>, schema: impl Serialize) -> Self {
        ResponseFormat(Form::JsonSchema {
            json_schema: Schema {
                name: name.into(),
                strict: true,
                schema: Json::of(&schema),
            },
        })
    }

    /// Whether the schema is to be followed exactly. Without effect on the other forms.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        if let Form::JsonSchema { json_schema } = &mut self.0 {
            json_schema.strict = strict;
        }
        self
    }
}

impl Serialize for ResponseFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// How much a reasoning model thinks before it answers; each model knows some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReasoningEffort {
    /// `none`
    None,
    /// `minimal`: without parallel tool calls.
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    XHigh,
    /// `max`
    Max,
}

/// How wordy the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verbosity {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
}

/// How the service is to process the request; the tier that was used stands in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServiceTier {
    /// `auto`
    Auto,
    /// `default`
    Default,
    /// `priority`: faster, dearer; a steep ramp is served as `default`.
    Priority,
    /// `flex`: half price, slower, refused when there is no capacity.
    Flex,
}

/// How long a cached prompt is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum PromptCacheRetention {
    /// `in_memory`: minutes, at most an hour.
    #[serde(rename = "in_memory")]
    InMemory,
    /// `24h`: a day, where the model supports it.
    #[serde(rename = "24h")]
    Day,
}

/// What a stream holds beside the answer. Without it the library asks for the usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Whether a last frame tells the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// Whether frames are padded, so that their sizes tell an eavesdropper nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_obfuscation: Option<bool>,
}

impl StreamOptions {
    /// Leaves everything to the service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a last frame tells the usage.
    #[must_use]
    pub fn include_usage(mut self, include: bool) -> Self {
        self.include_usage = Some(include);
        self
    }

    /// Whether frames are padded.
    #[must_use]
    pub fn include_obfuscation(mut self, include: bool) -> Self {
        self.include_obfuscation = Some(include);
        self
    }
}

/// Where the answer is to stop: one text or several (the service takes up to 4). Made from a `&str`, a `String`, an array or a
/// `Vec` of them, as [`ChatRequest::stop`](super::ChatRequest::stop) takes it: `.stop("END")`, `.stop(["END", "\n\n"])`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop(Vec<String>);

impl From<&str> for Stop {
    fn from(text: &str) -> Self {
        Stop(vec![text.to_owned()])
    }
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Stop(vec![text])
    }
}

impl<T: Into<String>> From<Vec<T>> for Stop {
    fn from(texts: Vec<T>) -> Self {
        Stop(texts.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Stop {
    fn from(texts: [T; N]) -> Self {
        Stop(texts.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Stop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [text] => text.serialize(serializer),
            texts => texts.serialize(serializer),
        }
    }
}
