//! What a response tells again of the request that it answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::Str;

/// What a response tells again, by the names that it has in the request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Told<'a> {
    pub(crate) background: Option<bool>,
    #[serde(borrow)]
    pub(crate) instructions: Option<Str<'a>>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) max_tool_calls: Option<u64>,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) parallel_tool_calls: Option<bool>,
    #[serde(borrow)]
    pub(crate) previous_response_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) prompt_cache_key: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) prompt_cache_retention: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) reasoning: Option<ToldReasoning<'a>>,
    #[serde(borrow)]
    pub(crate) safety_identifier: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) service_tier: Option<Str<'a>>,
    pub(crate) store: Option<bool>,
    pub(crate) temperature: Option<f64>,
    #[serde(borrow)]
    pub(crate) text: Option<ToldText<'a>>,
    #[serde(borrow)]
    pub(crate) tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) tools: Option<Vec<&'a RawValue>>,
    pub(crate) top_logprobs: Option<u64>,
    pub(crate) top_p: Option<f64>,
    #[serde(borrow)]
    pub(crate) truncation: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<Str<'a>>,
}

/// How much was to be thought.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToldReasoning<'a> {
    #[serde(borrow)]
    pub(crate) effort: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) summary: Option<Str<'a>>,
}

/// Which form the text was to have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToldText<'a> {
    #[serde(borrow)]
    pub(crate) format: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) verbosity: Option<Str<'a>>,
}
