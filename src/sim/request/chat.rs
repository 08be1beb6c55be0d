//! The body of a chat completion.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::text::{Content, Str};
use super::{Format, Function, Markers, Prompt, Request, Stream, effort_tokens, function_to_call, parse};
use crate::sim::config::SimOperation;
use crate::sim::reply::ErrorReply;

/// Most messages in a request. Source: Microsoft, "Quotas and limits".
const MAX_MESSAGES: usize = 2048;
/// Most tools in a request; same source.
const MAX_TOOLS: usize = 128;
/// Most answers to a request.
pub(super) const MAX_CHOICES: u64 = 128;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    /// None: missing. Some(None): null.
    #[serde(borrow, default, deserialize_with = "present")]
    messages: Option<Option<Vec<Message<'a>>>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    logprobs: Option<bool>,
    top_logprobs: Option<u64>,
    logit_bias: Option<IgnoredAny>,
    #[serde(borrow, default)]
    reasoning_effort: Option<Str<'a>>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<Str<'a>>,
    #[serde(borrow, default)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Str<'a>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// As in a chat completion; the Responses API has `include_obfuscation` alone.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
    pub(super) include_obfuscation: Option<bool>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct JsonSchema<'a> {
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How a stream is wanted, if it is.
pub(super) fn stream(asked: Option<bool>, options: Option<StreamOptions>) -> Option<Stream> {
    let options = options.unwrap_or_default();
    asked.unwrap_or(false).then_some(Stream {
        include_usage: options.include_usage.unwrap_or(false),
        obfuscation: options.include_obfuscation.unwrap_or(true),
    })
}

pub(super) fn read(bytes: &[u8]) -> Result<Request<'_>, ErrorReply> {
    let body: Body<'_> = parse(bytes)?;
    let unreasonable = body.unreasonable();
    let messages = match body.messages {
        // Azure answers this with 500; see Azure/azure-sdk-for-python#40812.
        Some(None) => return Err(ErrorReply::Server),
        None => return Err(ErrorReply::missing("messages")),
        Some(Some(messages)) => messages,
    };
    if messages.is_empty() {
        return Err(ErrorReply::invalid(
            "[] is too short - 'messages'",
            Some("messages"),
            None,
        ));
    }
    if messages.len() > MAX_MESSAGES {
        return Err(ErrorReply::too_long("messages", messages.len(), MAX_MESSAGES));
    }
    let tools = body.tools.unwrap_or_default();
    if tools.len() > MAX_TOOLS {
        return Err(ErrorReply::too_long("tools", tools.len(), MAX_TOOLS));
    }
    let choices = body.n.unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&choices) {
        return Err(ErrorReply::invalid(
            format!(
                "Invalid 'n': integer out of range. Expected a value from 1 to {MAX_CHOICES}, but got {choices} instead."
            ),
            Some("n"),
            None,
        ));
    }
    let texts = tools
        .iter()
        .map(|tool| tool.get())
        .chain(messages.iter().flat_map(|message| message.content.texts()));
    let images = messages.iter().map(|message| message.content.images()).sum();
    let key = body.prompt_cache_key.as_ref().map(Str::as_str);
    let prompt = Prompt::new(texts, messages.len() as u64, images, key);

    let roles = |role: &str| messages.iter().any(|message| message.role.as_str() == role);
    let two_systems = roles("developer") && roles("system");
    let last = messages
        .into_iter()
        .rev()
        .find(|message| message.role.as_str() == "user");
    let last = last.map(|message| message.content.into_last()).unwrap_or_default();
    let markers = Markers::read(&last);
    let call = if tools.is_empty() {
        None
    } else {
        let mut offered = Vec::new();
        for tool in tools {
            let tool: Tool<'_> = parse(tool.get().as_bytes())?;
            offered.extend(tool.function);
        }
        function_to_call(offered, body.tool_choice, &markers, &last)
    };
    let mut request = Request::new(SimOperation::Chat, body.model, prompt, markers);
    request.max_output = body.max_completion_tokens.or(body.max_tokens);
    request.choices = choices;
    request.best_of = choices;
    request.stream = stream(body.stream, body.stream_options);
    request.call = call;
    if let Some(format) = body.response_format {
        request.format = match (
            format.kind.as_str(),
            format.json_schema.and_then(|wanted| wanted.schema),
        ) {
            ("json_schema", Some(schema)) => Format::Schema(schema),
            ("json_schema", None) => return Err(ErrorReply::missing("response_format.json_schema")),
            ("json_object", _) => Format::JsonObject,
            _ => Format::Text,
        };
    }
    request.effort_tokens = effort_tokens(body.reasoning_effort.as_ref().map(Str::as_str));
    request.unreasonable = unreasonable.or(two_systems.then_some(ErrorReply::TwoSystems));
    Ok(request)
}

impl Body<'_> {
    /// What a reasoning model rejects; default values pass.
    fn unreasonable(&self) -> Option<ErrorReply> {
        let value = |param, got: Option<f64>, default| {
            let got = got.filter(|got| *got != default)?;
            Some(ErrorReply::UnsupportedValue { param, got, default })
        };
        let parameter = |param, present: bool| present.then_some(ErrorReply::UnsupportedParameter { param });
        parameter("max_tokens", self.max_tokens.is_some())
            .or_else(|| value("temperature", self.temperature, 1.0))
            .or_else(|| value("top_p", self.top_p, 1.0))
            .or_else(|| value("presence_penalty", self.presence_penalty, 0.0))
            .or_else(|| value("frequency_penalty", self.frequency_penalty, 0.0))
            .or_else(|| parameter("logprobs", self.logprobs == Some(true)))
            .or_else(|| parameter("top_logprobs", self.top_logprobs.is_some()))
            .or_else(|| parameter("logit_bias", self.logit_bias.is_some()))
    }
}
