//! Why an answer ended.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinishReason {
    /// `stop`: it is whole.
    Stop,
    /// `length`: it was cut at the limit of tokens.
    Length,
    /// `tool_calls`: the model waits for tools.
    ToolCalls,
    /// `content_filter`: it was blocked, wholly or from some point on.
    ContentFilter,
    /// `function_call`: as `tool_calls`, in the deprecated form.
    FunctionCall,
    /// Something that this library does not know.
    Other(String),
}

impl FinishReason {
    /// The reason as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::FunctionCall => "function_call",
            FinishReason::Other(reason) => reason,
        }
    }
}

impl From<&str> for FinishReason {
    fn from(reason: &str) -> Self {
        match reason {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            "function_call" => FinishReason::FunctionCall,
            other => FinishReason::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FinishReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FinishReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reason = super::json::Text::deserialize(deserializer)?;
        Ok(FinishReason::from(&*reason.0))
    }
}
