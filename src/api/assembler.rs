//! Puts a streamed chat completion together again.
//!
//! Pure: events in, [`Step`]s out, and at the end the whole completion or what is missing.
//!
//! An answer is complete when every choice that was asked for has a finish reason. `[DONE]` proves nothing:
//! it may be missing behind a whole answer, and stand behind half of one. What comes after that point can add
//! (usage, the verdict of a late filter) but no longer spoil.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::frame::{Frame, FrameChoice, FrameDelta, FrameLogprobs, FrameToolCall};
use super::json::Text;
use super::{ChatCompletion, Delta, ErrorObject, FinishReason, Role, ToolCallDelta, Usage};
use crate::error::{BadReply, Incomplete, StreamProblem};

/// Most bytes that are kept of one answer. The longest answers of 2026 have 128,000 tokens, about half a MiB; with
/// log probabilities a hundred times that.
pub const MAX_KEPT: usize = 128 << 20;

/// What a choice or a tool call counts for beside its texts, so that empty ones are bounded too.
const ENTRY: usize = 128;

/// What an event brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A piece of the answer, to be handed to the reader.
    Delta(Delta),
    /// What the answer cost (so far, where it comes more than once).
    Usage(Usage),
    /// The stream failed; what follows is ignored.
    Failed(StreamProblem),
    /// `[DONE]`
    Done,
}

/// Puts the frames of one chat stream together.
#[derive(Debug)]
pub struct Assembler {
    expected: u32,
    /// Whether there is a reader; else no [`Delta`]s are made.
    hands_out: bool,
    limit: usize,
    kept: usize,
    has_content: bool,
    problem: Option<StreamProblem>,
    head: Head,
    choices: BTreeMap<u32, Draft>,
    usage: Option<Box<RawValue>>,
    prompt_filter_results: Option<Box<RawValue>>,
}

/// What all frames of an answer share.
#[derive(Debug, Default)]
struct Head {
    id: String,
    model: String,
    created: u64,
    system_fingerprint: Option<String>,
    service_tier: Option<String>,
}

/// A choice so far.
#[derive(Debug, Default)]
struct Draft {
    role: Option<Role>,
    role_told: bool,
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: BTreeMap<u32, CallDraft>,
    last_call: u32,
    extra: Map<String, Value>,
    finish: Option<FinishReason>,
    filter: Option<Box<RawValue>>,
    logprobs: Option<Logprobs>,
}

/// A tool call so far.
#[derive(Debug, Default)]
struct CallDraft {
    id: String,
    kind: String,
    name: String,
    arguments: String,
    is_custom: bool,
}

#[derive(Debug, Default, Serialize)]
struct Logprobs {
    content: Option<Vec<Box<RawValue>>>,
    refusal: Option<Vec<Box<RawValue>>>,
}

impl Assembler {
    /// For a stream of `expected` choices (the request's `n`) with a reader, to whom each piece is handed.
    #[must_use]
    pub fn new(expected: u32) -> Self {
        Assembler {
            expected: expected.max(1),
            hands_out: true,
            limit: MAX_KEPT,
            kept: 0,
            has_content: false,
            problem: None,
            head: Head::default(),
            choices: BTreeMap::new(),
            usage: None,
            prompt_filter_results: None,
        }
    }

    /// For a stream that nobody reads piece by piece: no [`Step::Delta`]s.
    #[must_use]
    pub fn silent(expected: u32) -> Self {
        Assembler {
            hands_out: false,
            ..Self::new(expected)
        }
    }

    /// Takes the next event: its name (`message` or empty where it has none) and its data.
    pub fn push(&mut self, event: &str, data: &str, mut on: impl FnMut(Step)) {
        let data = data.trim_ascii();
        if data.is_empty() || self.problem.is_some() {
            return;
        }
        if data == "[DONE]" {
            return on(Step::Done);
        }
        if let Err(problem) = self.read(event, data, &mut on) {
            // Nothing that comes behind a whole answer takes it back.
            if !self.is_complete() {
                self.problem = Some(problem.clone());
                on(Step::Failed(problem));
            }
        }
    }

    /// Whether a reader has been (or would have been) handed anything, after which the request cannot be made again
    /// without its noticing.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether every choice that was asked for or seen has its finish reason.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unfinished().is_none()
    }

    /// The whole answer, once the stream has ended.
    ///
    /// # Errors
    /// [`Incomplete`] where the stream failed or a choice is not finished, with what was received.
    pub fn finish(self) -> Result<ChatCompletion, Incomplete> {
        let problem = match (&self.problem, self.unfinished()) {
            (Some(problem), _) => Some(problem.clone()),
            (None, Some(choice)) => Some(StreamProblem::Cut { choice }),
            (None, None) => None,
        };
        let read = self.to_json().and_then(|raw| ChatCompletion::assembled(&raw));
        match (problem, read) {
            (None, Ok(completion)) => Ok(completion),
            (Some(problem), read) => Err(Incomplete {
                problem,
                received: read.unwrap_or_default().into(),
            }),
            (None, Err(bad)) => Err(Incomplete {
                problem: StreamProblem::Unreadable(bad),
                received: Box::default(),
            }),
        }
    }

    /// What has been received, put together; choices that are not finished lack a finish reason.
    #[must_use]
    pub fn so_far(&self) -> ChatCompletion {
        self.to_json().and_then(|raw| ChatCompletion::assembled(&raw)).unwrap_or_default()
    }

    /// The first choice without a finish reason.
    fn unfinished(&self) -> Option<u32> {
        let open = |draft: &Draft| draft.finish.is_none();
        let seen = self
            .choices
            .iter()
            .find(|(_, draft)| open(draft))
            .map(|(index, _)| *index);
        let unseen = (0..self.expected).find(|index| !self.choices.contains_key(index));
        [seen, unseen].into_iter().flatten().min()
    }

    fn read(&mut self, event: &str, data: &str, on: &mut impl FnMut(Step)) -> Result<(), StreamProblem> {
        let unreadable =
            |error: serde_json::Error| StreamProblem::Unreadable(BadReply::new(error.to_string(), data.as_bytes()));
        let frame: Frame<'_> = serde_json::from_str(data).map_err(unreadable)?;
        if let Some(error) = frame.error.and_then(ErrorObject::read) {
            return Err(StreamProblem::Service(error));
        }
        if event == "error" {
            // The error itself, not wrapped.
            let whole: &RawValue = serde_json::from_str(data).map_err(unreadable)?;
            return Err(StreamProblem::Service(ErrorObject::read(whole).unwrap_or_default()));
        }
        let usage: Option<Usage> = match frame.usage {
            Some(usage) => Some(serde_json::from_str(usage.get()).map_err(unreadable)?),
            None => None,
        };

        self.head.fill(&frame);
        if self.prompt_filter_results.is_none() {
            self.prompt_filter_results = frame.prompt_filter_results.map(ToOwned::to_owned);
        }
        let mut raw = None;
        for choice in frame.choices {
            let delta = self.apply(choice)?;
            if let Some(delta) = delta.filter(|_| self.hands_out) {
                let raw = raw.get_or_insert_with(|| Arc::from(data));
                on(Step::Delta(Delta {
                    raw: Arc::clone(raw),
                    ..delta
                }));
            }
        }
        if let Some(usage) = usage {
            self.usage = frame.usage.map(ToOwned::to_owned);
            on(Step::Usage(usage));
        }
        Ok(())
    }

    /// Adds a frame's choice to its draft. Returns what is new in it, unless nothing is.
    fn apply(&mut self, choice: FrameChoice<'_>) -> Result<Option<Delta>, StreamProblem> {
        let delta = choice.delta.unwrap_or_default();
        self.keep(weight(&delta, choice.logprobs.as_ref()))?;
        if !self.choices.contains_key(&choice.index) {
            self.keep(ENTRY)?;
        }
        let draft = self.choices.entry(choice.index).or_default();

        let finish = choice.finish_reason.filter(|reason| !reason.0.is_empty());
        let finish = finish.map(|reason| FinishReason::from(&*reason.0));
        draft.note_filter(choice.content_filter_results, finish.as_ref());
        draft.note_finish(finish.as_ref());
        if let Some(logprobs) = choice.logprobs {
            draft.logprobs.get_or_insert_default().add(logprobs);
        }
        if let Some(role) = delta.role.filter(|_| draft.role.is_none()) {
            draft.role = Some(Role::from(&*role.0));
        }
        let has_extra = delta.extra.values().any(says_something);
        for (key, value) in delta.extra {
            merge(draft.extra.entry(key).or_insert(Value::Null), value);
        }
        let content = append(&mut draft.content, delta.content);
        let refusal = append(&mut draft.refusal, delta.refusal);
        let calls_before = draft.tool_calls.len();
        let tool_calls: Vec<_> = delta.tool_calls.into_iter().map(|call| draft.add_call(call)).collect();
        let new_calls = draft.tool_calls.len() - calls_before;

        let brings_something =
            content.is_some() || refusal.is_some() || !tool_calls.is_empty() || has_extra || finish.is_some();
        let delta = brings_something.then(|| Delta {
            choice: choice.index,
            role: draft.tell_role(),
            content,
            refusal,
            tool_calls,
            finish_reason: finish,
            raw: Arc::from(""),
        });
        self.has_content |= brings_something;
        self.keep(new_calls * ENTRY)?;
        Ok(delta)
    }

    fn keep(&mut self, bytes: usize) -> Result<(), StreamProblem> {
        self.kept += bytes;
        if self.kept > self.limit {
            return Err(StreamProblem::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    /// The answer as the service would have written it whole.
    fn to_json(&self) -> Result<String, BadReply> {
        let choices = self
            .choices
            .iter()
            .map(|(index, draft)| draft.to_wire(*index))
            .collect();
        let whole = Whole {
            id: &self.head.id,
            object: "chat.completion",
            created: self.head.created,
            model: &self.head.model,
            choices,
            usage: self.usage.as_deref(),
            system_fingerprint: self.head.system_fingerprint.as_deref(),
            service_tier: self.head.service_tier.as_deref(),
            prompt_filter_results: self.prompt_filter_results.as_deref(),
        };
        serde_json::to_string(&whole).map_err(|error| BadReply::new(error.to_string(), b""))
    }
}

impl Head {
    /// Takes from a frame what is not known yet: the first frame has these empty.
    fn fill(&mut self, frame: &Frame<'_>) {
        let fill = |slot: &mut String, text: &Option<Text<'_>>| {
            if let Some(text) = text.as_ref().filter(|_| slot.is_empty()) {
                slot.push_str(&text.0);
            }
        };
        let fill_option = |slot: &mut Option<String>, text: &Option<Text<'_>>| {
            if let Some(text) = text.as_ref().filter(|text| slot.is_none() && !text.0.is_empty()) {
                *slot = Some(text.0.clone().into_owned());
            }
        };
        fill(&mut self.id, &frame.id);
        fill(&mut self.model, &frame.model);
        if self.created == 0 {
            self.created = frame.created;
        }
        fill_option(&mut self.system_fingerprint, &frame.system_fingerprint);
        fill_option(&mut self.service_tier, &frame.service_tier);
    }
}

impl Draft {
    /// The verdict of the filter outlasts any other reason: late frames bring it after `stop`.
    fn note_finish(&mut self, finish: Option<&FinishReason>) {
        if let Some(finish) = finish.filter(|_| self.finish != Some(FinishReason::ContentFilter)) {
            self.finish = Some(finish.clone());
        }
    }

    /// Keeps the latest results that say anything; those that came with the filter's verdict stay.
    fn note_filter(&mut self, results: Option<&RawValue>, finish: Option<&FinishReason>) {
        let verdict = finish == Some(&FinishReason::ContentFilter);
        let settled = self.finish == Some(FinishReason::ContentFilter);
        if let Some(results) = results.filter(|results| results.get() != "{}" && (verdict || !settled)) {
            self.filter = Some(results.to_owned());
        }
    }

    /// Who speaks, the first time that it is asked.
    fn tell_role(&mut self) -> Option<Role> {
        let first = !std::mem::replace(&mut self.role_told, true);
        first.then(|| self.role.clone().unwrap_or(Role::Assistant))
    }

    /// Adds a piece of a tool call and returns it.
    fn add_call(&mut self, piece: FrameToolCall<'_>) -> ToolCallDelta {
        let index = piece.index.unwrap_or_else(|| self.guess_call(piece.id.as_ref()));
        self.last_call = index;
        let call = self.tool_calls.entry(index).or_default();
        call.is_custom |= piece.custom.is_some();
        take_first(&mut call.kind, piece.kind);
        let id = take_first(&mut call.id, piece.id);
        let (name, arguments) = match piece.function.or(piece.custom) {
            Some(part) => (part.name, part.arguments),
            None => (None, None),
        };
        let name = take_first(&mut call.name, name);
        let arguments = arguments.map(|text| text.0.into_owned()).unwrap_or_default();
        call.arguments.push_str(&arguments);
        ToolCallDelta {
            index,
            id,
            name,
            arguments,
        }
    }

    /// The index of a piece that names none, as some gateways send: a new id begins a new call.
    fn guess_call(&self, id: Option<&Text<'_>>) -> u32 {
        let last = self.tool_calls.get(&self.last_call);
        match (last, id) {
            (Some(call), Some(id)) if !id.0.is_empty() && call.id != id.0 => self.last_call.saturating_add(1),
            _ => self.last_call,
        }
    }

    fn to_wire(&self, index: u32) -> WholeChoice<'_> {
        let tool_calls: Vec<_> = self.tool_calls.values().map(CallDraft::to_wire).collect();
        WholeChoice {
            index,
            message: WholeMessage {
                role: self.role.as_ref().unwrap_or(&Role::Assistant),
                content: self.content.as_deref(),
                refusal: self.refusal.as_deref(),
                tool_calls,
                extra: &self.extra,
            },
            finish_reason: self.finish.as_ref(),
            logprobs: self.logprobs.as_ref(),
            content_filter_results: self.filter.as_deref(),
        }
    }
}

impl CallDraft {
    fn to_wire(&self) -> WholeCall<'_> {
        let kind = match (self.kind.is_empty(), self.is_custom) {
            (false, _) => &self.kind,
            (true, false) => "function",
            (true, true) => "custom",
        };
        let (name, text) = (&*self.name, &*self.arguments);
        WholeCall {
            id: &self.id,
            kind,
            function: (!self.is_custom).then_some(WholeFunction { name, arguments: text }),
            custom: self.is_custom.then_some(WholeCustom { name, input: text }),
        }
    }
}

impl Logprobs {
    fn add(&mut self, frame: FrameLogprobs<'_>) {
        let add = |list: &mut Option<Vec<Box<RawValue>>>, more: Option<Vec<&RawValue>>| {
            if let Some(more) = more {
                list.get_or_insert_default()
                    .extend(more.into_iter().map(ToOwned::to_owned));
            }
        };
        add(&mut self.content, frame.content);
        add(&mut self.refusal, frame.refusal);
    }
}

/// About how many bytes of a choice's frame are kept.
fn weight(delta: &FrameDelta<'_>, logprobs: Option<&FrameLogprobs<'_>>) -> usize {
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.0.len());
    let call = |call: &FrameToolCall<'_>| {
        let part = call.function.as_ref().or(call.custom.as_ref());
        text(&call.id) + part.map_or(0, |part| text(&part.name) + text(&part.arguments))
    };
    let list = |list: &Option<Vec<&RawValue>>| -> usize { list.iter().flatten().map(|item| item.get().len()).sum() };
    text(&delta.content)
        + text(&delta.refusal)
        + delta.tool_calls.iter().map(call).sum::<usize>()
        + delta
            .extra
            .iter()
            .map(|(key, value)| key.len() + tree_weight(value))
            .sum::<usize>()
        + logprobs.map_or(0, |logprobs| list(&logprobs.content) + list(&logprobs.refusal))
}

fn tree_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => ENTRY + items.iter().map(tree_weight).sum::<usize>(),
        Value::Object(members) => {
            ENTRY
                + members
                    .iter()
                    .map(|(key, value)| key.len() + tree_weight(value))
                    .sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
    }
}

/// Appends a piece of text and returns it, unless it is empty. An empty one still turns "none" into "empty".
fn append(slot: &mut Option<String>, piece: Option<Text<'_>>) -> Option<String> {
    let piece = piece?.0;
    slot.get_or_insert_default().push_str(&piece);
    (!piece.is_empty()).then(|| piece.into_owned())
}

/// Fills an empty slot, and returns what it was filled with. Some services repeat ids and names in every piece.
fn take_first(slot: &mut String, text: Option<Text<'_>>) -> Option<String> {
    let text = text.filter(|text| slot.is_empty() && !text.0.is_empty())?.0;
    slot.push_str(&text);
    Some(text.into_owned())
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Joins a piece of a field that is not known to what is there, as the official SDKs do: texts and lists are
/// appended, objects joined member by member, anything else replaced.
fn merge(slot: &mut Value, piece: Value) {
    match (slot, piece) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Array(items), Value::Array(more)) => items.extend(more),
        (Value::Object(members), Value::Object(more)) => {
            for (key, value) in more {
                merge(members.entry(key).or_insert(Value::Null), value);
            }
        }
        (slot, piece) => *slot = piece,
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: Vec<WholeChoice<'a>>,
    usage: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_filter_results: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: u32,
    message: WholeMessage<'a>,
    finish_reason: Option<&'a FinishReason>,
    logprobs: Option<&'a Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct WholeMessage<'a> {
    role: &'a Role,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WholeCall<'a>>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct WholeCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<WholeFunction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<WholeCustom<'a>>,
}

#[derive(Serialize)]
struct WholeFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct WholeCustom<'a> {
    name: &'a str,
    input: &'a str,
}
