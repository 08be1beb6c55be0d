//! What an event of a raw stream is, before any content has come.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::ErrorObject;
use crate::api::assembler::says_something;

/// What an event is to a stream that has brought no content yet.
#[derive(Debug, PartialEq)]
pub(crate) enum RawLook {
    /// It says that work has begun, what the filter thought of the prompt, or that a message or a train of thought is to
    /// come, which may then take minutes.
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
    #[serde(default)]
    item: Value,
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
            // The error itself, not wrapped.
            ("error", None) => RawLook::Failed(serde_json::from_str(data).map(read_raw).unwrap_or_default()),
            ("response.failed", None) => RawLook::Failed(ErrorObject::default()),
            ("response.created" | "response.queued" | "response.in_progress", _) => RawLook::Preamble,
            ("response.content_part.added" | "response.reasoning_summary_part.added", _) => RawLook::Preamble,
            ("response.output_item.added", _) if is_empty_item(&frame.item) => RawLook::Preamble,
            ("keepalive" | "ping", _) => RawLook::Preamble,
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
        .map(|raw| read_raw(&raw))
        .unwrap_or_default()
}

fn read_raw(error: &RawValue) -> ErrorObject {
    ErrorObject::read(error).unwrap_or_default()
}

/// Whether a choice says nothing but who speaks.
fn is_blank(choice: &Value) -> bool {
    let delta = choice["delta"].as_object();
    let says = |(name, value): (&String, &Value)| name != "role" && says_something(value);
    !(delta.is_some_and(|delta| delta.iter().any(says))
        || says_something(&choice["text"])
        || says_something(&choice["finish_reason"]))
}

/// Whether what begins is empty still; a call of a tool is not.
fn is_empty_item(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("message" | "reasoning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_wrapped_or_not() {
        for (name, data) in [
            (
                "error",
                r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null,"sequence_number":1}"#,
            ),
            (
                "error",
                r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"slow down"},"sequence_number":1}"#,
            ),
            ("", r#"{"error":{"code":"rate_limit_exceeded","message":"slow down"}}"#),
            (
                "response.failed",
                r#"{"response":{"error":{"code":"rate_limit_exceeded","message":"slow down"}}}"#,
            ),
        ] {
            let RawLook::Failed(error) = RawLook::at(name, data) else {
                panic!("{data}")
            };
            let expected = (Some("rate_limit_exceeded"), "slow down");
            assert_eq!((error.code.as_deref(), &*error.message), expected, "{data}");
        }
    }

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
                r#"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#,
                "preamble",
            ),
            ("", r#"{"choices":[{"index":0,"delta":{"refusal":"I"}}]}"#, "content"),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Well"}}]}"#,
                "content",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"function_call":{"name":"f"}}}]}"#,
                "content",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}}]}"#,
                "content",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[],"refusal":null},"finish_reason":""}]}"#,
                "preamble",
            ),
            (
                "",
                r#"{"choices":[{"index":0,"content_filter_results":{}}]}"#,
                "preamble",
            ),
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
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}"#,
                "preamble",
            ),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
                "preamble",
            ),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#,
                "content",
            ),
            (
                "response.content_part.added",
                r#"{"type":"response.content_part.added","part":{"type":"output_text","text":""}}"#,
                "preamble",
            ),
            ("keepalive", r#"{"type":"keepalive","sequence_number":3}"#, "preamble"),
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
