//! What an event of a raw stream is, before any content has come.

use serde::Deserialize;
use serde_json::Value;

use crate::api::ErrorObject;

/// What an event is to a stream that has brought no content yet.
#[derive(Debug, PartialEq)]
pub(crate) enum RawLook {
    /// It says that work has begun, or what the filter thought of the prompt.
    Preamble,
    /// The request has failed, and may be tried elsewhere.
    Failed(ErrorObject),
    /// Content, or something that is not known: from here on the stream belongs to its reader.
    Content,
}

/// The members by which events of all operations are told apart.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    response: Value,
    #[serde(default)]
    choices: Option<Vec<Value>>,
}

impl RawLook {
    /// Looks at an event's name and data.
    pub(crate) fn at(name: &str, data: &str) -> Self {
        let Ok(frame) = serde_json::from_str::<Frame>(data) else {
            return RawLook::Content;
        };
        let kind = frame.r#type.as_deref().unwrap_or(name);
        let error = [&frame.error, &frame.response["error"]]
            .into_iter()
            .find(|error| is_error(error));
        match (kind, error) {
            (_, Some(error)) => RawLook::Failed(read(error)),
            ("error" | "response.failed", None) => RawLook::Failed(ErrorObject::default()),
            ("response.created" | "response.queued" | "response.in_progress", _) => RawLook::Preamble,
            _ => match &frame.choices {
                // Azure's first frame has no choices, the second one only a role.
                Some(choices) if choices.iter().all(is_blank) => RawLook::Preamble,
                _ => RawLook::Content,
            },
        }
    }
}

fn is_error(error: &Value) -> bool {
    match error {
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    }
}

fn read(error: &Value) -> ErrorObject {
    serde_json::value::to_raw_value(error)
        .ok()
        .and_then(|raw| ErrorObject::read(&raw))
        .unwrap_or_default()
}

fn is_blank(choice: &Value) -> bool {
    let delta = &choice["delta"];
    let no_text =
        delta["content"].as_str().is_none_or(str::is_empty) && choice["text"].as_str().is_none_or(str::is_empty);
    no_text && choice["finish_reason"].is_null() && delta["tool_calls"].is_null() && delta["refusal"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_content_is_told_from_it() {
        for (name, data, expected) in [
            ("", r#"{"choices":[],"prompt_filter_results":[]}"#, "preamble"),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                "preamble",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#,
                "content",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
                "content",
            ),
            ("", r#"{"choices":[{"index":0,"text":"Hi"}]}"#, "content"),
            (
                "",
                r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#,
                "failed",
            ),
            (
                "error",
                r#"{"type":"error","error":{"type":"too_many_requests"}}"#,
                "failed",
            ),
            ("error", r#"{"message":"flat"}"#, "failed"),
            (
                "response.created",
                r#"{"type":"response.created","response":{"error":null}}"#,
                "preamble",
            ),
            (
                "response.failed",
                r#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#,
                "failed",
            ),
            (
                "response.output_text.delta",
                r#"{"type":"response.output_text.delta","delta":"Hi"}"#,
                "content",
            ),
            ("", "[DONE]", "content"),
        ] {
            let look = match RawLook::at(name, data) {
                RawLook::Preamble => "preamble",
                RawLook::Failed(_) => "failed",
                RawLook::Content => "content",
            };
            assert_eq!(look, expected, "{name} {data}");
        }
    }
}
