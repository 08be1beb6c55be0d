//! What a chat model answered.

use std::sync::Arc;

use serde::Deserialize;

use super::assembler::read_whole;
use super::lenient::replaced;
use super::{ChatMessage, Content, Delta, FinishReason, Ledger, NoText, ToolCall, ToolCallDelta, Usage};
use crate::error::{BadReply, Error, json_fault};

/// Longest text that a reply is read as: what is no UTF-8 takes up to three times its bytes.
const MOST_TEXT: usize = 64 << 20;

/// What a chat model answered, and how the answer was come by.
///
/// Read leniently: `null` for what is absent, unknown fields ignored; everything that was received stays in
/// [`raw`](Self::raw). Where the answer came as a stream, `raw` is put together from its frames.
///
/// ```
/// use azure_openai_blaster::api::{ChatCompletion, ChatMessage, ChatRequest, FinishReason};
///
/// let body = r#"{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}]}"#;
/// let completion = ChatCompletion::parse(body.as_bytes())?;
/// assert_eq!(completion.text(), Some("Hello!"));
/// assert_eq!(completion.finish_reason(), Some(&FinishReason::Stop));
///
/// // The answer becomes the next turn.
/// let next = ChatRequest::new([ChatMessage::user("Hi"), completion.message(), ChatMessage::user("And now?")]);
/// # assert!(next.check().is_ok());
/// # Ok::<(), azure_openai_blaster::error::BadReply>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatCompletion {
    /// The service's name for this answer; may be empty.
    pub id: String,
    /// The model and version that answered (not the deployment); may be empty.
    pub model: String,
    /// When it was made, in seconds since the Unix epoch; 0 where it is not told.
    pub created: u64,
    /// Names the configuration of the backend.
    pub system_fingerprint: Option<String>,
    /// The tier that was used.
    pub service_tier: Option<String>,
    /// The answers by index; at least one.
    pub choices: Vec<Choice>,
    usage: Option<Usage>,
    raw: Box<str>,
    ledger: Ledger,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// Its position, from 0.
    pub index: u32,
    /// The message, without what only a reply may hold (annotations, filter results).
    pub message: ChatMessage,
    /// Why it ended, where that is told.
    pub finish_reason: Option<FinishReason>,
}

impl ChatCompletion {
    /// Reads the body of a reply with status 200.
    ///
    /// # Errors
    /// Where it is no answer: empty, HTML, not JSON or not of this shape, an `error` at its top (an error nested
    /// in the filter results is none), no choice, or a choice without a message that was not filtered.
    pub fn parse(body: &[u8]) -> Result<Self, BadReply> {
        Self::read(body.to_vec()).map_err(|(_, bad)| bad)
    }

    /// Reads the body of a reply with status 200, which becomes the answer's [`raw`](Self::raw). Where it is none, it is
    /// given back.
    pub(crate) fn read(body: Vec<u8>) -> Result<Self, (Vec<u8>, BadReply)> {
        let (mut json, not_utf8) = match String::from_utf8(body) {
            Ok(json) => (json, None),
            Err(error) => match replaced(error.as_bytes(), MOST_TEXT) {
                Some(json) => (json, Some(error.into_bytes())),
                None => {
                    let body = error.into_bytes();
                    let reason = "the reply is too large: too much of it is no UTF-8".to_owned();
                    let bad = BadReply::new(reason, &body);
                    return Err((body, bad));
                }
            },
        };
        if json.starts_with('\u{feff}') {
            json.drain(..'\u{feff}'.len_utf8());
        }
        let read = match json.trim_ascii_start().bytes().next() {
            None => Err("the reply is empty".to_owned()),
            Some(b'<') => Err("the reply is HTML instead of JSON".to_owned()),
            Some(_) => read_whole(&json),
        };
        match read {
            Ok(mut completion) => {
                completion.raw = boxed(json);
                Ok(completion)
            }
            Err(reason) => {
                let body = not_utf8.unwrap_or_else(|| json.into_bytes());
                let bad = BadReply::new(reason, &body);
                Err((body, bad))
            }
        }
    }

    pub(crate) fn set_raw(&mut self, raw: Box<str>, usage: Option<Usage>) {
        self.raw = raw;
        self.usage = usage;
    }

    /// Whether each choice has its finish reason.
    pub(crate) fn is_finished(&self) -> bool {
        self.choices.iter().all(|choice| choice.finish_reason.is_some())
    }

    /// Text of the first choice; may be empty. None where there is none, as beside tool calls.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.choices.first()?.message.text()
    }

    /// The text of the first choice, read as JSON: what a request with
    /// a [`ResponseFormat`](super::ResponseFormat) is answered with.
    ///
    /// ```
    /// use azure_openai_blaster::api::ChatCompletion;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Weather {
    ///     celsius: f32,
    /// }
    ///
    /// let body = r#"{"choices": [{"message": {"role": "assistant", "content": "{\"celsius\": 21.5}"}}]}"#;
    /// let weather: Weather = ChatCompletion::parse(body.as_bytes())?.text_json()?;
    /// assert_eq!(weather.celsius, 21.5);
    /// # Ok::<(), azure_openai_blaster::error::BadReply>(())
    /// ```
    ///
    /// # Errors
    /// Where there is no text, as beside tool calls, or it is not of that form; the words do not quote it.
    pub fn text_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BadReply> {
        if let Some(why) = self.no_text() {
            return Err(BadReply::new(
                format!("the answer holds no text: {why}"),
                self.raw.as_bytes(),
            ));
        }
        let text = self.text().unwrap_or_default();
        serde_json::from_str(text)
            .map_err(|error| BadReply::new(format!("the answer: {}", json_fault(&error)), text.as_bytes()))
    }

    /// The text of the first choice alone; an error where it holds none that can be used. What
    /// [`Blaster::chat_completion`](crate::Blaster::chat_completion) returns, for answers that come whole, as those of
    /// [`Blaster::run_all`](crate::Blaster::run_all) do. A text that was cut at its limit of tokens is one.
    ///
    /// ```
    /// use azure_openai_blaster::ErrorKind;
    /// use azure_openai_blaster::api::ChatCompletion;
    ///
    /// let body = r#"{"choices": [{"message": {"role": "assistant", "content": "Hello!"}}]}"#;
    /// assert_eq!(ChatCompletion::parse(body.as_bytes())?.into_text()?, "Hello!");
    ///
    /// let filtered = r#"{"choices": [{"finish_reason": "content_filter", "message": {"role": "assistant"}}]}"#;
    /// let error = ChatCompletion::parse(filtered.as_bytes())?.into_text().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NoText);
    /// assert_eq!(error.to_string(), "the answer holds no text: the content filter blocked the answer");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoText`] with the whole answer and the reason, as [`no_text`](Self::no_text) gives it.
    pub fn into_text(mut self) -> crate::error::Result<String> {
        if let Some(why) = self.no_text() {
            return Err(Error::NoText {
                why: why.to_string(),
                completion: Box::new(self),
            });
        }
        Ok(
            match self
                .choices
                .first_mut()
                .and_then(|choice| choice.message.content.take())
            {
                Some(Content::Text(text)) => text,
                Some(parts) => parts.as_text().unwrap_or_default().to_owned(),
                None => String::new(),
            },
        )
    }

    /// The answer as the pieces of a stream, one for each choice: a service may answer whole although a stream
    /// was asked for.
    pub(crate) fn to_deltas(&self) -> Vec<Delta> {
        let raw: Arc<str> = Arc::from(&*self.raw);
        let call = |(index, call): (usize, &ToolCall)| ToolCallDelta {
            index: index as u32,
            id: Some(call.id.clone()),
            name: Some(call.name().to_owned()),
            arguments: match (&call.function, &call.custom) {
                (Some(function), _) => function.arguments.clone(),
                (None, Some(custom)) => custom.input.clone(),
                (None, None) => String::new(),
            },
        };
        let delta = |choice: &Choice| Delta {
            choice: choice.index,
            role: Some(choice.message.role.clone()),
            content: choice.message.text().filter(|text| !text.is_empty()).map(str::to_owned),
            refusal: choice.message.refusal.clone().filter(|text| !text.is_empty()),
            tool_calls: choice.message.tool_calls.iter().enumerate().map(call).collect(),
            finish_reason: choice.finish_reason.clone(),
            raw: Arc::clone(&raw),
        };
        self.choices.iter().map(delta).collect()
    }

    /// Message of the first choice, ready to be sent back as the conversation's next turn.
    #[must_use]
    pub fn message(&self) -> ChatMessage {
        let Some(choice) = self.choices.first() else {
            return ChatMessage::assistant("");
        };
        let mut message = choice.message.clone();
        // The service takes `null` only beside something else.
        let says_something = !message.tool_calls.is_empty() || message.refusal.is_some() || !message.extra.is_empty();
        if message.content.is_none() && !says_something {
            message.content = Some(Content::Text(String::new()));
        }
        message
    }

    /// Tool calls of the first choice; empty where it asks for none.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.choices.first().map_or(&[], |choice| &choice.message.tool_calls)
    }

    /// Why the first choice would not answer, in the model's words.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.choices.first()?.message.refusal.as_deref()
    }

    /// Why the first choice ended.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&FinishReason> {
        self.choices.first()?.finish_reason.as_ref()
    }

    /// What it cost; none where that is not told, as by a stream that was not asked for it.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Why there is no text for a caller who wants nothing else; none where [`text`](Self::text) is what was asked
    /// for, be it cut at the limit of tokens.
    #[must_use]
    pub fn no_text(&self) -> Option<NoText> {
        let finish = self.finish_reason();
        if finish == Some(&FinishReason::ContentFilter) {
            return Some(NoText::Filtered);
        }
        if self.text().is_some_and(|text| !text.is_empty()) {
            return None;
        }
        let calls = matches!(finish, Some(FinishReason::ToolCalls | FinishReason::FunctionCall));
        Some(if calls || !self.tool_calls().is_empty() {
            NoText::ToolCalls
        } else if self.refusal().is_some_and(|refusal| !refusal.is_empty()) {
            NoText::Refused
        } else if finish == Some(&FinishReason::Length) {
            NoText::Length
        } else {
            NoText::Empty
        })
    }

    /// The reply's JSON as received; that of a stream is put together from its frames.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The reply's JSON, read as a type of your own, for fields that have no accessor here.
    ///
    /// # Errors
    /// Where it is not of the type `T`.
    pub fn raw_json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.raw)
    }

    /// The attempts that it took; the last one brought this answer.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }
}

/// A text without spare room. A small one is copied: what is cut off the end of an allocation is a hole that little
/// fits into, and answers are kept by the million.
fn boxed(text: String) -> Box<str> {
    const SMALL: usize = 64 * 1024;
    if text.len() < SMALL && text.capacity() > text.len() {
        return Box::from(&*text);
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A reply with one choice, of which `message` and `finish` are given.
    fn reply(message: Value, finish: &str) -> ChatCompletion {
        let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        ChatCompletion::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_captured_reply_is_read_whole() {
        // The capture of wire §2.3, with its filter results shortened.
        let body = r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"length","index":0,"logprobs":null,"message":{"annotations":[],"content":"Hello! It looks like","refusal":null,"role":"assistant"}}],
"created":1756749680,"id":"chatcmpl-1","model":"gpt-4.1-2025-04-14","object":"chat.completion",
"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],
"system_fingerprint":"fp_c79ab13e31",
"usage":{"completion_tokens":5,"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":2,"rejected_prediction_tokens":0},"prompt_tokens":8,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":1},"total_tokens":13}}"#;
        let completion = ChatCompletion::parse(body.as_bytes()).unwrap();
        assert_eq!(completion.id, "chatcmpl-1");
        assert_eq!(completion.model, "gpt-4.1-2025-04-14");
        assert_eq!(completion.created, 1_756_749_680);
        assert_eq!(completion.system_fingerprint.as_deref(), Some("fp_c79ab13e31"));
        assert_eq!(completion.text(), Some("Hello! It looks like"));
        assert_eq!(completion.finish_reason(), Some(&FinishReason::Length));
        assert_eq!(completion.no_text(), None);
        let usage = completion.usage().unwrap();
        assert_eq!(
            (usage.total_tokens, usage.cached_tokens(), usage.reasoning_tokens()),
            (13, 1, 2)
        );
        assert_eq!(completion.raw(), body);
        assert_eq!(
            completion.raw_json::<Value>().unwrap()["prompt_filter_results"][0]["prompt_index"],
            0
        );
        assert_eq!(completion.message(), ChatMessage::assistant("Hello! It looks like"));
    }

    #[test]
    fn what_is_no_answer_is_refused_with_its_reason() {
        let many = "<html>".repeat(100_000);
        for (body, reason) in [
            ("", "the reply is empty"),
            (" \r\n", "the reply is empty"),
            (&*many, "the reply is HTML instead of JSON"),
            ("no healthy upstream", "the reply is no chat completion: expected ident"),
            ("{\"choices\":[", "the reply is no chat completion: EOF"),
            ("{}", "the reply has no choices"),
            (r#"{"choices":null}"#, "the reply has no choices"),
            (r#"{"choices":[]}"#, "the reply's list of choices is empty"),
            (
                r#"{"choices":{}}"#,
                "the reply is no chat completion: invalid type: map",
            ),
            (r#"{"choices":[{"finish_reason":"stop"}]}"#, "choice 0 has no message"),
            (
                r#"{"choices":[{"index":1,"text":"legacy"}]}"#,
                "choice 1 has no message",
            ),
            (
                r#"{"choices":[{"message":{"content":5}}]}"#,
                "the reply is no chat completion: invalid type: integer, expected text",
            ),
            (
                r#"{"error":{"code":"rate_limit_exceeded","message":"slow"},"choices":[]}"#,
                "the reply is an error",
            ),
            (r#"{"error":"text"}"#, "the reply is an error"),
            (
                r#"{"statusCode":401,"message":"Unauthorized"}"#,
                "the reply has no choices",
            ),
        ] {
            let bad = ChatCompletion::parse(body.as_bytes()).unwrap_err();
            assert!(bad.reason().starts_with(reason), "{bad}");
            assert!(bad.to_string().len() < 600, "{bad}");
        }
        let (body, bad) = ChatCompletion::read(b"{\xff}".to_vec()).unwrap_err();
        assert!(bad.reason().contains("key must be a string"), "{bad}");
        assert_eq!(body, b"{\xff}", "it is given back as it came");
    }

    #[test]
    fn the_text_is_read_as_json_of_the_form_that_is_wanted_or_says_why_it_is_not() {
        let read = |message: &str| {
            let body = format!(r#"{{"choices":[{{"finish_reason":"stop","message":{message}}}]}}"#);
            let completion = ChatCompletion::parse(body.as_bytes()).unwrap();
            completion
                .text_json::<Vec<u32>>()
                .map_err(|bad| bad.reason().to_owned())
        };
        assert_eq!(read(r#"{"content":"[1, 2]"}"#), Ok(vec![1, 2]));
        for (message, reason) in [
            (
                r#"{"content":"[1, 2"}"#,
                "the answer: EOF while parsing a list at line 1 column 5",
            ),
            (
                r#"{"content":"[\"secret\"]"}"#,
                "the answer: invalid type: string, expected u32 at line 1 column 9",
            ),
            (
                r#"{"refusal":"I will not"}"#,
                "the answer holds no text: the model refused",
            ),
        ] {
            assert_eq!(read(message), Err(reason.to_owned()));
        }
    }

    #[test]
    fn nulls_and_nested_errors_are_no_errors() {
        let body = r#"{"id":null,"model":null,"created":null,"usage":null,"error":null,"system_fingerprint":null,"choices":[{"index":null,
            "content_filter_results":{"error":{"code":"content_filter_error","message":"The contents are not filtered"}},
            "message":{"role":null,"content":"x","tool_calls":null,"refusal":null},"finish_reason":null}]}"#;
        let completion = ChatCompletion::parse(body.as_bytes()).unwrap();
        assert_eq!(completion.text(), Some("x"));
        assert_eq!((completion.usage(), completion.finish_reason()), (None, None));
    }

    #[test]
    fn a_filtered_choice_may_lack_its_message() {
        let body = r#"{"choices":[{"index":0,"finish_reason":"content_filter"}]}"#;
        let completion = ChatCompletion::parse(body.as_bytes()).unwrap();
        assert_eq!(completion.no_text(), Some(NoText::Filtered));
    }

    #[test]
    fn the_first_choice_is_that_of_index_0() {
        let body = r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}"#;
        assert_eq!(ChatCompletion::parse(body.as_bytes()).unwrap().text(), Some("a"));
    }

    #[test]
    fn the_reason_for_no_text_is_told() {
        let call = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
        for (message, finish, expected) in [
            (json!({"content": "x"}), "stop", None),
            (json!({"content": "x"}), "length", None),
            (json!({"content": "x", "tool_calls": call}), "tool_calls", None),
            (json!({"content": "half"}), "content_filter", Some(NoText::Filtered)),
            (
                json!({"content": null, "tool_calls": call}),
                "tool_calls",
                Some(NoText::ToolCalls),
            ),
            (
                json!({"content": "", "tool_calls": call}),
                "stop",
                Some(NoText::ToolCalls),
            ),
            (
                json!({"content": null, "function_call": {}}),
                "function_call",
                Some(NoText::ToolCalls),
            ),
            (json!({"content": null, "refusal": "no"}), "stop", Some(NoText::Refused)),
            (json!({"content": ""}), "length", Some(NoText::Length)),
            (json!({"content": ""}), "stop", Some(NoText::Empty)),
            (json!({}), "novel", Some(NoText::Empty)),
        ] {
            assert_eq!(reply(message.clone(), finish).no_text(), expected, "{message} {finish}");
        }
    }

    #[test]
    fn the_next_turn_holds_only_what_a_request_may_hold() {
        for (received, sent) in [
            (
                json!({"role": "assistant", "content": "x", "annotations": [], "refusal": null, "context": {"intent": "i"}, "reasoning_content": "r"}),
                json!({"role": "assistant", "content": "x"}),
            ),
            (
                json!({"content": null, "tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}, "signature": "s"}]}),
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}, "signature": "s"}]}),
            ),
            (
                json!({"content": null, "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "c", "input": "i"}}]}),
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "c", "input": "i"}}]}),
            ),
            (
                json!({"content": null, "refusal": "no"}),
                json!({"role": "assistant", "content": null, "refusal": "no"}),
            ),
            (
                json!({"content": null, "audio": {"id": "a1", "data": "AAAA", "expires_at": 1, "transcript": "t"}}),
                json!({"role": "assistant", "content": null, "audio": {"id": "a1"}}),
            ),
            (
                json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}}),
                json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}}),
            ),
            // The service refuses `null` where nothing stands beside it.
            (json!({"content": null}), json!({"role": "assistant", "content": ""})),
        ] {
            let message = reply(received, "stop").message();
            assert_eq!(serde_json::to_value(message).unwrap(), sent);
        }
    }
}
