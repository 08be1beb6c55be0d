//! What is asked: the route, the head and the body of a request, read without copying what need not be copied.

use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use head::{Head, MAX_CUSTOM_HEADERS};
pub(crate) use markers::Markers;
pub(crate) use prompt::{CACHE_FROM, CACHE_STEP, Prompt};
pub(crate) use route::{Route, Surface, Target};

use super::config::SimOperation;
use super::reply::ErrorReply;
pub(crate) use text::Str;
pub(crate) use told::Told;

mod chat;
mod completions;
mod embeddings;
mod head;
mod markers;
mod prompt;
mod responses;
mod route;
mod text;
mod told;

/// A request's body, whatever its operation, in the model's words.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) operation: SimOperation,
    /// `model`, which is the deployment on the v1 surface.
    pub(crate) model: Option<Str<'a>>,
    pub(crate) prompt: Prompt,
    /// What the last user message asks of the simulator itself.
    pub(crate) markers: Markers,
    /// The output limit, in tokens.
    pub(crate) max_output: Option<u64>,
    /// Answers wanted, at least 1.
    pub(crate) choices: u64,
    /// Answers made, of which `choices` are returned; at least that many.
    pub(crate) best_of: u64,
    pub(crate) stream: Option<Stream>,
    /// The function to call instead of an answer.
    pub(crate) call: Option<Function<'a>>,
    pub(crate) format: Format<'a>,
    /// Hidden tokens that a reasoning model spends on it, before chance.
    pub(crate) effort_tokens: u64,
    /// Why a reasoning model would reject it.
    pub(crate) unreasonable: Option<ErrorReply>,
    /// What to embed; empty for the other operations.
    pub(crate) embed: Embed,
    /// What a response tells again; none for the other operations.
    pub(crate) told: Option<Box<Told<'a>>>,
    /// The user's messages, where they are to be compacted.
    pub(crate) compacted: Option<Vec<String>>,
}

/// How a streamed answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) include_usage: bool,
    pub(crate) obfuscation: bool,
}

/// A function that the request offers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Function<'a> {
    #[serde(borrow)]
    pub(crate) name: Str<'a>,
    #[serde(borrow, default)]
    pub(crate) parameters: Option<&'a RawValue>,
}

/// The form that an answer is to have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Format<'a> {
    #[default]
    Text,
    JsonObject,
    Schema(&'a RawValue),
}

/// What to embed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embed {
    /// A hash of each input.
    pub(crate) inputs: Vec<u64>,
    pub(crate) dimensions: Option<u32>,
    pub(crate) base64: bool,
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// The error that Azure answers it with.
    pub(crate) fn read(operation: SimOperation, compacts: bool, body: &'a [u8]) -> Result<Self, ErrorReply> {
        match operation {
            SimOperation::Chat => chat::read(body),
            SimOperation::Completions => completions::read(body),
            SimOperation::Embeddings => embeddings::read(body),
            SimOperation::Responses => responses::read(body, compacts),
        }
    }

    fn new(operation: SimOperation, model: Option<Str<'a>>, prompt: Prompt, markers: Markers) -> Self {
        Request {
            operation,
            model,
            prompt,
            markers,
            max_output: None,
            choices: 1,
            best_of: 1,
            stream: None,
            call: None,
            format: Format::Text,
            effort_tokens: effort_tokens(None),
            unreasonable: None,
            embed: Embed::default(),
            told: None,
            compacted: None,
        }
    }
}

/// Hidden tokens that an effort costs, before chance; unknown efforts count as the default one.
fn effort_tokens(effort: Option<&str>) -> u64 {
    match effort {
        Some("none") => 0,
        Some("minimal") => 16,
        Some("low") => 64,
        Some("high") => 512,
        Some("xhigh" | "max") => 1024,
        _ => 192,
    }
}

/// Parses a body, naming what is wrong as Azure does.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ErrorReply> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            ErrorReply::invalid(format!("Invalid request body: {error}"), None, None)
        } else {
            ErrorReply::BadJson
        }
    })
}

/// The function to call, of those offered: the one that `tool_choice` names, any where it says `required` or the
/// marker asks, or the first whose name the prompt mentions.
fn function_to_call<'a>(
    offered: Vec<Function<'a>>,
    choice: Option<&RawValue>,
    markers: &Markers,
    last: &str,
) -> Option<Function<'a>> {
    let choice = choice.map_or("", RawValue::get);
    let wanted = |function: &Function<'_>| match choice {
        "\"none\"" => false,
        "\"required\"" => true,
        _ if choice.starts_with('{') => choice.contains(&format!("\"{}\"", function.name.as_str())),
        _ => markers.tool || last.contains(function.name.as_str()),
    };
    offered.into_iter().find(wanted)
}
