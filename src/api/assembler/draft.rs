//! A choice of an answer that is still coming.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::frame::{FrameChoice, FrameToolCall};
use super::logprobs::Logprobs;
use super::whole::{WholeCall, WholeChoice, WholeCustom, WholeFunction, WholeMessage};
use crate::api::json::Text;
use crate::api::{Delta, FinishReason, Role, ToolCallDelta};

/// A choice so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
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

impl Draft {
    /// Adds what a frame brings. Returns what of it is new to a reader, unless nothing is; its `raw` is left empty.
    pub(super) fn add(&mut self, choice: FrameChoice<'_>) -> Option<Delta> {
        let delta = choice.delta.unwrap_or_default();
        let finish = choice.finish_reason.filter(|reason| !reason.0.is_empty());
        let finish = finish.map(|reason| FinishReason::from(&*reason.0));
        self.note_filter(choice.content_filter_results, finish.as_ref());
        self.note_finish(finish.as_ref());
        if let Some(logprobs) = choice.logprobs {
            self.logprobs.get_or_insert_default().add(logprobs);
        }
        if let Some(role) = delta.role.filter(|_| self.role.is_none()) {
            self.role = Some(Role::from(&*role.0));
        }
        let has_extra = delta.extra.values().any(says_something);
        for (key, value) in delta.extra {
            merge(self.extra.entry(key).or_insert(Value::Null), value);
        }
        let content = append(&mut self.content, delta.content);
        let refusal = append(&mut self.refusal, delta.refusal);
        let tool_calls: Vec<_> = delta.tool_calls.into_iter().map(|call| self.add_call(call)).collect();

        let is_new = content.is_some() || refusal.is_some() || !tool_calls.is_empty() || has_extra || finish.is_some();
        is_new.then(|| Delta {
            choice: choice.index,
            role: self.tell_role(),
            content,
            refusal,
            tool_calls,
            finish_reason: finish,
            raw: Arc::default(),
        })
    }

    /// Whether it has its finish reason.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

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

    pub(super) fn to_wire(&self, index: u32) -> WholeChoice<'_> {
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

/// Whether a field that is not known may be part of the answer. Flags and numbers are not: a frame that brings only
/// them must not count as content, after which nothing could be tried again.
pub(crate) fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
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
