//! The body of a Responses API request.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{StreamOptions, stream};
use super::text::{Content, Items, Str};
use super::{Format, Function, Markers, Prompt, Request, effort_tokens, function_to_call, parse};
use crate::sim::config::SimOperation;
use crate::sim::reply::ErrorReply;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    input: Option<Items<'a, Item<'a>>>,
    #[serde(borrow, default)]
    instructions: Option<Str<'a>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_output_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    #[serde(borrow, default)]
    reasoning: Option<Reasoning<'a>>,
    #[serde(borrow, default)]
    prompt_cache_key: Option<Str<'a>>,
    #[serde(borrow, default)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<TextOptions<'a>>,
}

/// A message or another item, such as a function's result.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    role: Option<Str<'a>>,
    #[serde(borrow)]
    content: Content<'a>,
    #[serde(borrow)]
    output: Content<'a>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow, default)]
    effort: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct TextOptions<'a> {
    #[serde(borrow, default)]
    format: Option<TextFormat<'a>>,
}

#[derive(Deserialize)]
struct TextFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
}

/// Reads a request for a response, or for a conversation to be compacted.
pub(super) fn read(bytes: &[u8], compacts: bool) -> Result<Request<'_>, ErrorReply> {
    let body: Body<'_> = parse(bytes)?;
    let items = match body.input {
        Some(Items::Text(text)) => vec![Item {
            role: Some(Str::from("user")),
            content: Content::Text(text),
            output: Content::None,
        }],
        Some(Items::List(items)) => items,
        // What was stored may be compacted without anything new.
        None if compacts => Vec::new(),
        None => return Err(ErrorReply::missing("input")),
    };
    let tools = body.tools.unwrap_or_default();
    let instructions = body.instructions.as_ref().map(Str::as_str);
    let texts = tools.iter().map(|tool| tool.get()).chain(instructions).chain(
        items
            .iter()
            .flat_map(|item| item.content.texts().chain(item.output.texts())),
    );
    let images = items.iter().map(|item| item.content.images()).sum();
    let messages = items.len() as u64 + u64::from(instructions.is_some());
    let key = body.prompt_cache_key.as_ref().map(Str::as_str);
    let prompt = Prompt::new(texts, messages, images, key);

    let is_user = |item: &Item<'_>| item.role.as_ref().is_some_and(|role| role.as_str() == "user");
    let compacted = compacts.then(|| {
        let messages = items.iter().filter(|item| is_user(item));
        messages.map(|item| item.content.texts().collect()).collect()
    });
    let last = items.into_iter().rev().find(is_user);
    let last = last.map(|item| item.content.into_last()).unwrap_or_default();
    let markers = Markers::read(&last);
    let mut offered = Vec::new();
    for tool in &tools {
        let kind: Tool<'_> = parse(tool.get().as_bytes())?;
        if kind.kind.as_str() == "function" {
            offered.push(parse::<Function<'_>>(tool.get().as_bytes())?);
        }
    }
    let call = function_to_call(offered, body.tool_choice, &markers, &last);
    let mut request = Request::new(SimOperation::Responses, body.model, prompt, markers);
    request.max_output = body.max_output_tokens;
    request.stream = stream(body.stream, body.stream_options).filter(|_| !compacts);
    request.compacted = compacted;
    request.told = Some(parse(bytes)?);
    request.call = call;
    if let Some(format) = body.text.and_then(|text| text.format) {
        request.format = match (format.kind.as_str(), format.schema) {
            ("json_schema", Some(schema)) => Format::Schema(schema),
            ("json_object", _) => Format::JsonObject,
            _ => Format::Text,
        };
    }
    let effort = body.reasoning.and_then(|reasoning| reasoning.effort);
    request.effort_tokens = effort_tokens(effort.as_ref().map(Str::as_str));
    let value = |param, got: Option<f64>| {
        let got = got.filter(|got| *got != 1.0)?;
        Some(ErrorReply::UnsupportedValue {
            param,
            got,
            default: 1.0,
        })
    };
    request.unreasonable = value("temperature", body.temperature).or_else(|| value("top_p", body.top_p));
    Ok(request)
}
