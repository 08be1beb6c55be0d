//! One frame of a chat stream, as it stands on the wire; texts are borrowed from it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::{Text, count, index, null_as_default};

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
