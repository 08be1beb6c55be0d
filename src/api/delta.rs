//! A piece of an answer that comes as a stream.

use std::sync::Arc;

use serde::Deserialize;

use super::{FinishReason, Role};

/// A piece of an answer, as it comes. Only frames that bring something are handed out: text, a refusal, a part of
/// a tool call, a field that this library does not know, or the end of a choice.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delta {
    /// Which of the answers it belongs to, from 0.
    pub choice: u32,
    /// Who speaks; told with the first piece of a choice only.
    pub role: Option<Role>,
    /// More text; never empty.
    pub content: Option<String>,
    /// More of a refusal; never empty.
    pub refusal: Option<String>,
    /// More of the tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
    /// Why the choice ended, in its last piece. A late filter may follow up with `content_filter`, which takes
    /// back what was said.
    pub finish_reason: Option<FinishReason>,
    pub(crate) raw: Arc<str>,
}

/// A piece of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// Which of the choice's calls it belongs to, from 0.
    pub index: u32,
    /// The call's id; told once.
    pub id: Option<String>,
    /// Name of the function or tool; told once.
    pub name: Option<String>,
    /// More of the arguments; may be empty.
    pub arguments: String,
}

impl Delta {
    /// The piece's text; empty where it brings none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }

    /// The whole frame as received: a JSON object, which other pieces may share where `n` is above 1.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The frame, read as a type of your own.
    ///
    /// # Errors
    /// Where it is not of the type `T`.
    pub fn raw_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.raw)
    }
}
