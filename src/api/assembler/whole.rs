//! An answer as the service would have written it whole.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::logprobs::Logprobs;
use crate::api::{FinishReason, Role};

#[derive(Serialize)]
pub(super) struct Whole<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'a str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: Vec<WholeChoice<'a>>,
    pub(super) usage: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system_fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_filter_results: Option<&'a RawValue>,
}

#[derive(Serialize)]
pub(super) struct WholeChoice<'a> {
    pub(super) index: u32,
    pub(super) message: WholeMessage<'a>,
    pub(super) finish_reason: Option<&'a FinishReason>,
    pub(super) logprobs: Option<&'a Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_filter_results: Option<&'a RawValue>,
}

#[derive(Serialize)]
pub(super) struct WholeMessage<'a> {
    pub(super) role: &'a Role,
    pub(super) content: Option<&'a str>,
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<WholeCall<'a>>,
    #[serde(flatten)]
    pub(super) extra: &'a Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct WholeCall<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<WholeFunction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<WholeCustom<'a>>,
}

#[derive(Serialize)]
pub(super) struct WholeFunction<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

#[derive(Serialize)]
pub(super) struct WholeCustom<'a> {
    pub(super) name: &'a str,
    pub(super) input: &'a str,
}
