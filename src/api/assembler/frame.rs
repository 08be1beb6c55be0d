//! One frame of a chat stream, as it stands on the wire; texts are borrowed from it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::json::{Text, count, index, null_as_default};

#[derive(Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub(super) created: u64,
    #[serde(borrow)]
    pub(super) system_fingerprint: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    pub(super) choices: Vec<FrameChoice<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    /// Older versions call it `prompt_annotations`.
    #[serde(borrow, alias = "prompt_annotations")]
    pub(super) prompt_filter_results: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct FrameChoice<'a> {
    #[serde(default, deserialize_with = "index")]
    pub(super) index: u32,
    /// Absent in the frames of the asynchronous filter.
    #[serde(borrow)]
    pub(super) delta: Option<FrameDelta<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content_filter_results: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<FrameLogprobs<'a>>,
}

#[derive(Default, Deserialize)]
pub(super) struct FrameDelta<'a> {
    #[serde(borrow)]
    pub(super) role: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    pub(super) tool_calls: Vec<FrameToolCall<'a>>,
    /// The deprecated `function_call`, reasoning text of other services, `audio`, …
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct FrameToolCall<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<FrameCall<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<FrameCall<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FrameCall<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    /// A custom tool calls it `input`.
    #[serde(borrow, alias = "input")]
    pub(super) arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FrameLogprobs<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Vec<&'a RawValue>>,
}

/// What a choice, a tool call or a part of an unknown field counts for beside its texts, so that empty ones are
/// bounded too.
const ENTRY: usize = 128;

impl FrameChoice<'_> {
    /// About how many bytes are kept of it. Counted for each frame, even if a choice's own entry is made only once:
    /// real answers stay far below the limit either way.
    pub(super) fn weight(&self) -> usize {
        let list =
            |list: &Option<Vec<&RawValue>>| -> usize { list.iter().flatten().map(|item| item.get().len()).sum() };
        let logprobs = self.logprobs.as_ref();
        self.delta.as_ref().map_or(0, FrameDelta::weight)
            + logprobs.map_or(0, |logprobs| list(&logprobs.content) + list(&logprobs.refusal))
            + ENTRY
    }
}

impl FrameDelta<'_> {
    fn weight(&self) -> usize {
        let extra = self.extra.iter().map(|(key, value)| key.len() + tree_weight(value));
        length(&self.content)
            + length(&self.refusal)
            + self.tool_calls.iter().map(FrameToolCall::weight).sum::<usize>()
            + extra.sum::<usize>()
    }
}

impl FrameToolCall<'_> {
    fn weight(&self) -> usize {
        let part = self.function.as_ref().or(self.custom.as_ref());
        ENTRY + length(&self.id) + part.map_or(0, |part| length(&part.name) + length(&part.arguments))
    }
}

fn length(text: &Option<Text<'_>>) -> usize {
    text.as_ref().map_or(0, |text| text.0.len())
}

fn tree_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => ENTRY + items.iter().map(tree_weight).sum::<usize>(),
        Value::Object(members) => {
            ENTRY
                + members
                    .iter()
                    .map(|(key, value)| key.len() + tree_weight(value))
                    .sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => ENTRY,
    }
}
