//! What an event of a raw stream is, before any content has come.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::api::ErrorObject;
use crate::api::assembler::says_something;
use crate::api::lenient::{Budget, Member, Object, read_object};

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
/// Most bytes that the choices of an event may take that is looked at.
const MAX_MADE: usize = 1024 * 1024;

impl RawLook {
    /// Looks at an event's name and data.
    pub(crate) fn at(name: &str, data: &str) -> Self {
        let budget = Budget::new(MAX_MADE);
        let mut event = Event {
            budget: &budget,
            kind: None,
            error: None,
            response: Failure::default(),
            choices: None,
            item: Item::default(),
        };
        if read_object(data, &mut event).is_err() {
            return RawLook::Content;
        }
        let kind = event.kind.as_deref().unwrap_or(name);
        let error = [event.error, event.response.error].into_iter().flatten();
        match (kind, error.filter_map(ErrorObject::read).next()) {
            (_, Some(error)) => RawLook::Failed(error),
            // The error itself, not wrapped.
            ("error", None) => RawLook::Failed(ErrorObject::of_event(data)),
            ("response.failed", None) => RawLook::Failed(ErrorObject::default()),
            ("response.created" | "response.queued" | "response.in_progress", _) => RawLook::Preamble,
            ("response.content_part.added" | "response.reasoning_summary_part.added", _) => RawLook::Preamble,
            // Empty still; a call of a tool is not.
            ("response.output_item.added", _)
                if matches!(event.item.kind.as_deref(), Some("message" | "reasoning")) =>
            {
                RawLook::Preamble
            }
            ("keepalive" | "ping", _) => RawLook::Preamble,
            _ => match &event.choices {
                // Azure's first frame has no choices, the second one only a role.
                Some(choices) if !choices.iter().any(|choice| choice.says_something) => RawLook::Preamble,
                _ => RawLook::Content,
            },
        }
    }
}

/// The members by which events of all operations are told apart.
struct Event<'a> {
    budget: &'a Budget,
    kind: Option<Cow<'a, str>>,
    error: Option<&'a RawValue>,
    response: Failure<'a>,
    choices: Option<Vec<Choice>>,
    item: Item<'a>,
}

#[derive(Default)]
struct Item<'a> {
    kind: Option<Cow<'a, str>>,
}

#[derive(Default)]
struct Failure<'a> {
    error: Option<&'a RawValue>,
}

/// Whether a choice says anything but who speaks.
#[derive(Default)]
struct Choice {
    says_something: bool,
}

struct Delta<'c>(&'c mut Choice);

impl<'a> Object<'a> for Event<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = value.word()?,
            "error" => self.error = value.raw_unless_null()?,
            "response" => drop(value.any_object(&mut self.response)?),
            "choices" => self.choices = value.objects(self.budget, Choice::default)?,
            "item" => drop(value.any_object(&mut self.item)?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Failure<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "error" => self.error = value.raw_unless_null()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Item<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = value.word()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Choice {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "delta" => drop(value.any_object(&mut Delta(self))?),
            "text" | "finish_reason" => self.says_something |= says_something(value.raw()?),
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Delta<'_> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "role" => value.skip()?,
            _ => self.0.says_something |= says_something(value.raw()?),
        }
        Ok(())
    }
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
