//! What is asked of a chat model.

use std::borrow::Cow;

use serde::Serialize;

pub use values::{PromptCacheRetention, ReasoningEffort, ResponseFormat, ServiceTier, Stop, StreamOptions, Verbosity};

use super::body::BodyWriter;
use super::members::Members;
use super::options::option_methods;
use super::{ChatMessage, Method, Operation, Options, Prepared};
use crate::error::RequestError;

mod fields;
mod read;
mod values;

/// A chat request: messages, every field of the API, and how this library is to treat it.
///
/// Made from messages by [`ChatRequest::new`], from a text or a list of messages wherever a request is taken, or read from JSON
/// in the service's own form, a line of a file say: it is `Deserialize`.
///
/// A builder by value. Nothing is sent that was not set, except that a stream asks for its usage and a
/// deployment may be configured with defaults. The first mistake is kept and returned when the request is
/// submitted.
///
/// ```
/// use std::time::Duration;
/// use azure_openai_blaster::api::{ChatMessage, ChatRequest, Priority};
///
/// let request = ChatRequest::new([ChatMessage::user("Why does backoff matter?")])
///     .model("gpt-4o")
///     .temperature(0.1)
///     .max_completion_tokens(256)
///     .timeout(Duration::from_secs(30))
///     .priority(Priority::Interactive)
///     .extra("reasoning_effort", "low");
/// assert!(request.check().is_ok());
///
/// let twice = request.temperature(0.2).extra("temperature", 0.3);
/// assert_eq!(
///     twice.check().unwrap_err().to_string(),
///     "`temperature` is set twice, by its own method and by `extra`: one of the two is needed",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct ChatRequest {
    messages: Vec<ChatMessage>,
    members: Members,
    stream: bool,
    options: Options,
}

/// Fields that the library reads, and that `extra` therefore must not set behind its back.
const RESERVED: [&str; 3] = ["messages", "model", "stream"];

impl ChatRequest {
    /// A request that continues this conversation, oldest message first; at least one is needed.
    pub fn new(messages: impl IntoIterator<Item = ChatMessage>) -> Self {
        ChatRequest {
            messages: messages.into_iter().collect(),
            members: Members::default(),
            stream: false,
            options: Options::default(),
        }
    }

    option_methods!("The model, by the name under which deployments serve it. Without one any deployment may answer.");

    /// Whether the answer is to come as a stream. Where a whole answer is waited for it is put together again.
    #[must_use]
    pub fn stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Requests with the same key prefer the same deployment, whose prompt cache knows how they begin. Never sent.
    ///
    /// Without one the request's `prompt_cache_key` serves as the key, else its `user`. A deployment that rests, has no
    /// quota left, or has more than its share of what is under way is passed over; the conversation then stays where it
    /// has gone. An empty key leaves the request free to go anywhere. The strategy `failover` knows no such preference.
    #[must_use]
    pub fn session(mut self, key: impl Into<String>) -> Self {
        self.options.session = Some(key.into().into());
        self
    }

    fn fail(&mut self, problem: RequestError) {
        self.members.fail(problem);
    }

    /// Sets any field of the API, known to this library or not.
    ///
    /// `null` is sent as such, but for `stream_options`: that leaves them out, and no usage is asked for.
    ///
    /// To set a field both in this way and by its method is an error, and so is a value that JSON cannot hold;
    /// `messages`, `model` and `stream` must be set by their own.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.members.extra(key.into(), &value, &RESERVED);
        self
    }

    /// The messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[ChatMessage] {
        &self.messages
    }

    /// Whether the request can be sent; the same check is made when it is submitted.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), RequestError> {
        self.members.check()?;
        if self.messages.is_empty() {
            return Err(RequestError::NoMessages);
        }
        let clash = self
            .messages
            .iter()
            .enumerate()
            .find_map(|(i, m)| Some((i, m.clash()?)));
        match clash {
            None => Ok(()),
            Some((index, key)) => Err(RequestError::MessageClash {
                index,
                key: key.to_owned(),
            }),
        }
    }

    /// Checks the request and brings it into the form in which it waits.
    pub(crate) fn prepare(&self) -> Result<Prepared, RequestError> {
        self.check()?;
        let operation = Operation::ChatCompletions;
        let mut body = BodyWriter::new(&operation, 256);
        body.value("messages", &self.messages)?;
        self.members.write(&mut body);
        if self.stream {
            body.member("stream", "true");
        }
        Ok(Prepared {
            operation,
            method: Method::Post,
            body: body.finish(),
            options: self.options.clone(),
        })
    }
}

impl From<Vec<ChatMessage>> for ChatRequest {
    fn from(messages: Vec<ChatMessage>) -> Self {
        ChatRequest::new(messages)
    }
}

impl<const N: usize> From<[ChatMessage; N]> for ChatRequest {
    fn from(messages: [ChatMessage; N]) -> Self {
        ChatRequest::new(messages)
    }
}

impl From<&[ChatMessage]> for ChatRequest {
    fn from(messages: &[ChatMessage]) -> Self {
        ChatRequest::new(messages.iter().cloned())
    }
}

impl From<&Vec<ChatMessage>> for ChatRequest {
    fn from(messages: &Vec<ChatMessage>) -> Self {
        ChatRequest::new(messages.iter().cloned())
    }
}

impl From<ChatMessage> for ChatRequest {
    fn from(message: ChatMessage) -> Self {
        ChatRequest::new([message])
    }
}

impl From<&str> for ChatRequest {
    /// One message of the user.
    fn from(prompt: &str) -> Self {
        ChatRequest::new([ChatMessage::user(prompt)])
    }
}

impl From<String> for ChatRequest {
    /// One message of the user.
    fn from(prompt: String) -> Self {
        ChatRequest::new([ChatMessage::user(prompt)])
    }
}

impl From<&String> for ChatRequest {
    /// One message of the user.
    fn from(prompt: &String) -> Self {
        ChatRequest::from(prompt.as_str())
    }
}

impl From<Cow<'_, str>> for ChatRequest {
    /// One message of the user.
    fn from(prompt: Cow<'_, str>) -> Self {
        ChatRequest::from(prompt.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::api::body::Defaults;
    use crate::api::{Priority, Tool, ToolCall, ToolChoice};

    fn hello() -> ChatRequest {
        ChatRequest::from("hi")
    }

    fn wire(request: &ChatRequest) -> String {
        let mut out = Vec::new();
        request
            .prepare()
            .unwrap()
            .body
            .render(None, Defaults::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_bare_request_holds_nothing_but_its_messages() {
        assert_eq!(wire(&hello()), r#"{"messages":[{"role":"user","content":"hi"}]}"#);
    }

    #[test]
    fn every_field_of_the_api_reaches_the_wire() {
        // The list of wire §2.1.
        let request = hello()
            .audio("alloy", "wav")
            .data_sources(json!([{"type": "azure_search"}]))
            .frequency_penalty(0.5)
            .function_call("auto")
            .functions(json!([{"name": "f"}]))
            .logit_bias([(50256, -100)])
            .logprobs(true)
            .max_completion_tokens(256)
            .max_tokens(255)
            .metadata([("team", "blue")])
            .modalities(["text", "audio"])
            .n(2)
            .parallel_tool_calls(false)
            .prediction("fn main() {}")
            .presence_penalty(-0.5)
            .prompt_cache_key("k")
            .prompt_cache_options(json!({"mode": "explicit"}))
            .prompt_cache_retention(PromptCacheRetention::Day)
            .reasoning_effort(ReasoningEffort::XHigh)
            .response_format(ResponseFormat::json_schema("s", json!({"type": "object"})))
            .safety_identifier("u1")
            .seed(-7)
            .service_tier(ServiceTier::Flex)
            .stop(["a", "b"])
            .store(true)
            .stream(true)
            .stream_options(StreamOptions::new().include_usage(true).include_obfuscation(false))
            .temperature(0.1)
            .tool_choice(ToolChoice::Required)
            .tools([Tool::function("f", "does f", json!({}))])
            .top_logprobs(3)
            .top_p(0.9)
            .user("u")
            .user_security_context(json!({"application_name": "x"}))
            .verbosity(Verbosity::Low);
        let expected = json!({
            "messages": [{"role": "user", "content": "hi"}],
            "audio": {"voice": "alloy", "format": "wav"},
            "data_sources": [{"type": "azure_search"}],
            "frequency_penalty": 0.5,
            "function_call": "auto",
            "functions": [{"name": "f"}],
            "logit_bias": {"50256": -100},
            "logprobs": true,
            "max_completion_tokens": 256,
            "max_tokens": 255,
            "metadata": {"team": "blue"},
            "modalities": ["text", "audio"],
            "n": 2,
            "parallel_tool_calls": false,
            "prediction": {"type": "content", "content": "fn main() {}"},
            "presence_penalty": -0.5,
            "prompt_cache_key": "k",
            "prompt_cache_options": {"mode": "explicit"},
            "prompt_cache_retention": "24h",
            "reasoning_effort": "xhigh",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"type": "object"}}},
            "safety_identifier": "u1",
            "seed": -7,
            "service_tier": "flex",
            "stop": ["a", "b"],
            "store": true,
            "stream": true,
            "stream_options": {"include_usage": true, "include_obfuscation": false},
            "temperature": 0.1,
            "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f", "description": "does f", "parameters": {}}}],
            "top_logprobs": 3,
            "top_p": 0.9,
            "user": "u",
            "user_security_context": {"application_name": "x"},
            "verbosity": "low",
        });
        let found: Value = serde_json::from_str(&wire(&request)).unwrap();
        assert_eq!(found, expected);
        let body = request.prepare().unwrap().body;
        assert_eq!((body.choices(), body.is_stream(), body.adds_usage()), (2, true, false));
    }

    #[test]
    fn the_forms_of_an_answer_are_written_as_the_service_reads_them() {
        for (format, expected) in [
            (ResponseFormat::text(), json!({"type": "text"})),
            (ResponseFormat::json_object(), json!({"type": "json_object"})),
            (
                ResponseFormat::json_schema("s", 1).strict(false),
                json!({"type": "json_schema", "json_schema": {"name": "s", "strict": false, "schema": 1}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&format).unwrap(), expected);
        }
        assert_eq!(serde_json::to_value(Stop::from("a")).unwrap(), json!("a"));
        assert_eq!(
            serde_json::to_value(Stop::from(vec!["a"; 2])).unwrap(),
            json!(["a", "a"])
        );
    }

    #[test]
    fn the_first_mistake_is_reported_by_its_key() {
        let clash = |key: &str| RequestError::Clash { key: key.to_owned() };
        let reserved = |key: &str| RequestError::Reserved { key: key.to_owned() };
        let nan = |key: &str, value: &str| RequestError::NotFinite {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let not_json = |key: &str| RequestError::NotJson {
            key: key.to_owned(),
            reason: "key must be a string".to_owned(),
        };
        let no_keys: BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
        for (request, expected) in [
            (ChatRequest::new([]), RequestError::NoMessages),
            (hello().temperature(0.1).extra("temperature", 0.2), clash("temperature")),
            (hello().extra("temperature", 0.2).temperature(0.1), clash("temperature")),
            (hello().extra("model", "m"), reserved("model")),
            (hello().extra("stream", true), reserved("stream")),
            (hello().extra("messages", ()), reserved("messages")),
            (hello().temperature(f64::NAN), nan("temperature", "NaN")),
            (hello().top_p(f64::INFINITY), nan("top_p", "inf")),
            (hello().extra("x", &no_keys), not_json("x")),
            (hello().tools([Tool::function("f", "", &no_keys)]), not_json("tools")),
            (hello().extra("stream", 1).top_p(f64::NAN), reserved("stream")),
            (
                ChatRequest::new([ChatMessage::user("a"), ChatMessage::user("b").extra("content", "c")]),
                RequestError::MessageClash {
                    index: 1,
                    key: "content".to_owned(),
                },
            ),
        ] {
            assert_eq!(request.check().unwrap_err(), expected);
            assert_eq!(request.prepare().unwrap_err(), expected);
        }
        assert!(matches!(
            hello().header("a b", "c").check(),
            Err(RequestError::Header { .. })
        ));
        let secret = hello().header("api-key", "canary").check().unwrap_err().to_string();
        assert!(secret.contains("api-key") && !secret.contains("canary"), "{secret}");
    }

    #[test]
    fn setting_a_field_again_in_the_same_way_counts_the_last_time() {
        let request = hello().temperature(0.1).extra("x", 1).temperature(0.2).extra("x", 2);
        assert_eq!(
            wire(&request),
            r#"{"messages":[{"role":"user","content":"hi"}],"temperature":0.2,"x":2}"#
        );
    }

    #[test]
    fn null_leaves_stream_options_out() {
        let request = hello().stream(true).extra("stream_options", ());
        assert_eq!(
            wire(&request),
            r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#
        );
        assert!(!request.prepare().unwrap().body.adds_usage());
        assert_eq!(
            wire(&hello().extra("stop", ())),
            r#"{"messages":[{"role":"user","content":"hi"}],"stop":null}"#
        );
    }

    #[test]
    fn a_known_field_set_by_extra_counts_as_set() {
        let request = hello().extra("max_tokens", 5).extra("temperature", 0.3).stream(true);
        let body = request.extra("stream_options", json!({})).prepare().unwrap().body;
        let defaults = Defaults {
            temperature: Some(1.0),
            max_completion_tokens: Some(9),
            ..Defaults::default()
        };
        let mut out = Vec::new();
        body.render(None, defaults, &mut out);
        let found: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(found.as_object().unwrap().len(), 5, "{found}");
    }

    #[test]
    fn what_is_said_to_the_library_is_not_sent() {
        let request = hello()
            .model("gpt-4o")
            .session("canary")
            .priority(Priority::Batch)
            .timeout(Duration::from_secs(3))
            .header("x-trace", "canary");
        assert_eq!(wire(&request), wire(&hello()));
        let options = request.prepare().unwrap().options;
        assert_eq!(options.model.as_deref(), Some("gpt-4o"));
        assert_eq!(options.session.as_deref(), Some("canary"));
        assert_eq!(options.priority, Priority::Batch);
        assert_eq!(options.timeout, Some(Duration::from_secs(3)));
        assert_eq!(
            options.headers().and_then(|headers| headers.get("x-trace")),
            Some("canary")
        );
    }

    #[test]
    fn a_turn_with_tool_calls_is_sent_with_null_content() {
        let request = ChatRequest::new([
            ChatMessage::assistant_tool_calls([ToolCall::function("call_1", "f", "{}")]),
            ChatMessage::tool("call_1", "42"),
        ]);
        assert_eq!(
            wire(&request),
            concat!(
                r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},"#,
                r#"{"role":"tool","content":"42","tool_call_id":"call_1"}]}"#
            )
        );
    }
}
