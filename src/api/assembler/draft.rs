//! A choice of an answer that is still coming, or that has come whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::frame::{FrameCall, FrameChoice, FrameLogprobs, FrameMessage, FrameToolCall};
use super::items::Items;
use super::keeping::Keeping;
use super::parts::Part;
use super::write::CALL;
use crate::api::lenient::{Joint, OverBudget, Said, Wtf8};
use crate::api::{
    ChatMessage, Choice, Content, CustomCall, Delta, FinishReason, FunctionCall, Role, ToolCall, ToolCallDelta,
};

/// Counts for each frame of a choice, so that no stream is endless. Real answers stay far below the limit.
const FRAME: usize = 32;
/// Calls among which the one of a piece's id is looked for, so that no stream is looked through for each of its pieces.
const LATEST_CALLS: usize = 128;

/// A choice so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(super) role: Option<Role>,
    role_told: bool,
    pub(super) content: Option<String>,
    content_joint: Joint,
    /// Parts of the content that are no text.
    pub(super) parts: Items,
    pub(super) refusal: Option<String>,
    /// By their own numbers, which are those that frames give them unless two calls share one.
    pub(super) tool_calls: BTreeMap<u32, CallDraft>,
    /// The numbers that calls go by whose index in the frames another one had before.
    moved_calls: BTreeMap<u32, u32>,
    last_call: u32,
    /// It comes by `delta`, and not by whole messages.
    by_delta: bool,
    pub(super) extra: Map<String, Value>,
    /// Names the sound of a reply whose JSON is at hand.
    audio: Option<String>,
    pub(super) finish: Option<FinishReason>,
    pub(super) filter: Option<Box<RawValue>>,
    pub(super) logprobs: Option<Logprobs>,
}

/// A tool call so far.
#[derive(Debug, Default)]
pub(super) struct CallDraft {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) arguments: String,
    joint: Joint,
    pub(super) is_function: bool,
    pub(super) is_custom: bool,
    pub(super) extra: Map<String, Value>,
}

/// Log probabilities so far.
#[derive(Debug, Default)]
pub(super) struct Logprobs {
    pub(super) content: Option<Items>,
    pub(super) refusal: Option<Items>,
}

impl Draft {
    /// Adds what a frame brings of the choice `index`, which is this one. Returns what of it is new to a reader, unless nothing is; its `raw` is left empty, and
    /// its texts are, where there is no reader.
    pub(super) fn add(
        &mut self,
        index: u32,
        choice: FrameChoice<'_>,
        keeping: Keeping<'_>,
    ) -> Result<Option<Delta>, OverBudget> {
        keeping.budget.take(FRAME)?;
        let mut delta = Delta {
            choice: index,
            role: None,
            content: None,
            refusal: None,
            tool_calls: Vec::new(),
            finish_reason: choice.finish_reason.map(|reason| FinishReason::from(&*reason)),
            raw: Arc::default(),
        };
        self.note_filter(choice.content_filter_results, delta.finish_reason.as_ref(), keeping)?;
        self.note_finish(delta.finish_reason.as_ref(), keeping)?;
        self.add_logprobs(choice.logprobs, keeping)?;
        let mut is_new = delta.finish_reason.is_some();
        if let Some(said) = self.saying(choice.said, choice.message) {
            if let Some(role) = said.role.filter(|_| self.role.is_none()) {
                keeping.keep(role.len())?;
                self.role = Some(Role::from(&*role));
            }
            is_new |= keeping.merge(&mut self.extra, said.extra)?;
            if let Some(id) = said.audio {
                keeping.keep(id.len())?;
                self.audio = Some(id.into_owned());
            }
            is_new |= self.add_content(said.content, &mut delta, keeping)?;
            if let Some(text) = said.refusal {
                is_new |= self.add_refusal(text, &mut delta, keeping)?;
            }
            for call in said.tool_calls {
                is_new = true;
                let told = self.add_call(call, keeping)?;
                if keeping.tells {
                    keeping.budget.take_element::<ToolCallDelta>(delta.tool_calls.len())?;
                    delta.tool_calls.push(told);
                }
            }
        }
        if !is_new {
            return Ok(None);
        }
        delta.role = self.tell_role();
        Ok(Some(delta))
    }

    /// What a frame says of the message. Some services stream by `message` in place of `delta`; where `delta` has said
    /// something, the other one repeats it.
    fn saying<'a>(
        &mut self,
        delta: Option<FrameMessage<'a>>,
        message: Option<FrameMessage<'a>>,
    ) -> Option<FrameMessage<'a>> {
        self.by_delta |= delta.as_ref().is_some_and(|delta| !delta.is_blank());
        message.filter(|_| !self.by_delta).or(delta)
    }

    /// Ends each text, of which no more comes.
    pub(super) fn settle(&mut self) {
        let content = self.content.as_mut().map(|text| (text, &mut self.content_joint));
        let calls = self.tool_calls.values_mut();
        let calls = calls.map(|call| (&mut call.arguments, &mut call.joint));
        for (text, joint) in content.into_iter().chain(calls) {
            text.push_str(joint.end().unwrap_or_default());
        }
    }

    /// Whether it has its finish reason.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The verdict of the filter outlasts any other reason: late frames bring it after `stop`.
    fn note_finish(&mut self, finish: Option<&FinishReason>, keeping: Keeping<'_>) -> Result<(), OverBudget> {
        if let Some(finish) = finish.filter(|_| self.finish != Some(FinishReason::ContentFilter)) {
            keeping.keep(finish.as_str().len())?;
            self.finish = Some(finish.clone());
        }
        Ok(())
    }

    /// Keeps the latest results that say anything; those that came with the filter's verdict stay.
    fn note_filter(
        &mut self,
        results: Option<&RawValue>,
        finish: Option<&FinishReason>,
        keeping: Keeping<'_>,
    ) -> Result<(), OverBudget> {
        let verdict = finish == Some(&FinishReason::ContentFilter);
        let settled = self.finish == Some(FinishReason::ContentFilter);
        if let Some(results) = results.filter(|results| results.get() != "{}" && (verdict || !settled)) {
            keeping.latest(&mut self.filter, results)?;
        }
        Ok(())
    }

    /// Who speaks, the first time that it is asked.
    fn tell_role(&mut self) -> Option<Role> {
        let first = !std::mem::replace(&mut self.role_told, true);
        first.then(|| self.role.clone().unwrap_or(Role::Assistant))
    }

    fn add_logprobs(&mut self, more: FrameLogprobs<'_>, keeping: Keeping<'_>) -> Result<(), OverBudget> {
        let (content, refusal) = (more.content.and_then(items), more.refusal.and_then(items));
        if content.is_none() && refusal.is_none() {
            return Ok(());
        }
        let lists = self.logprobs.get_or_insert_default();
        for (list, more) in [(&mut lists.content, content), (&mut lists.refusal, refusal)] {
            if let Some(more) = more {
                keeping.extend(list.get_or_insert_default(), more)?;
            }
        }
        Ok(())
    }

    /// Adds content, or a piece of it. True where it brings anything.
    fn add_content(&mut self, content: Said<'_>, delta: &mut Delta, keeping: Keeping<'_>) -> Result<bool, OverBudget> {
        let parts = match content {
            Said::Nothing => return Ok(false),
            Said::Text(text) => return self.add_text(text, delta, keeping),
            Said::Parts(parts) => parts,
        };
        let mut is_new = false;
        for part in parts {
            is_new |= match Part::read(part, keeping.budget) {
                Part::Text(text) => self.add_text(text, delta, keeping)?,
                Part::Refusal(text) => self.add_refusal(text, delta, keeping)?,
                Part::Other(part) => {
                    // Of a whole reply it stands in its own JSON.
                    if keeping.writes {
                        keeping.extend(&mut self.parts, part.get())?;
                    }
                    true
                }
            };
        }
        Ok(is_new)
    }

    fn add_text(&mut self, piece: Wtf8<'_>, delta: &mut Delta, keeping: Keeping<'_>) -> Result<bool, OverBudget> {
        let joint = &mut self.content_joint;
        append(&mut self.content, joint, piece, &mut delta.content, keeping)
    }

    fn add_refusal(
        &mut self,
        piece: Cow<'_, str>,
        delta: &mut Delta,
        keeping: Keeping<'_>,
    ) -> Result<bool, OverBudget> {
        let joint = &mut Joint::default();
        append(
            &mut self.refusal,
            joint,
            Wtf8::from(&*piece),
            &mut delta.refusal,
            keeping,
        )
    }

    /// Adds a piece of a tool call and returns it.
    fn add_call(&mut self, piece: FrameToolCall<'_>, keeping: Keeping<'_>) -> Result<ToolCallDelta, OverBudget> {
        let index = match piece.index {
            Some(index) => self.number_call(index, &piece, keeping)?,
            None => self.guess_call(piece.id.as_deref()),
        };
        self.last_call = index;
        if !self.tool_calls.contains_key(&index) {
            keeping.budget.take_entry::<u32, CallDraft>(self.tool_calls.len())?;
            keeping.written(CALL)?;
        }
        let call = self.tool_calls.entry(index).or_default();
        call.is_function |= piece.function.is_some();
        call.is_custom |= piece.custom.is_some();
        keeping.take_first(&mut call.kind, piece.kind)?;
        let id = keeping.take_first(&mut call.id, piece.id)?;
        let FrameCall { name, arguments } = piece.function.or(piece.custom).unwrap_or_default();
        let name = keeping.take_first(&mut call.name, name)?;
        let arguments = match arguments {
            None => String::new(),
            Some(text) => keeping.append(&mut call.arguments, &mut call.joint, text)?,
        };
        keeping.merge(&mut call.extra, piece.extra)?;
        Ok(ToolCallDelta {
            index,
            id,
            name,
            arguments,
        })
    }

    /// The number of the call that a piece belongs to which says `index`. Some gateways say 0 of each: one that begins
    /// anew there, with a name and another id, is another call.
    fn number_call(&mut self, index: u32, piece: &FrameToolCall<'_>, keeping: Keeping<'_>) -> Result<u32, OverBudget> {
        let number = self.moved_calls.get(&index).copied().unwrap_or(index);
        let begins = [&piece.function, &piece.custom]
            .into_iter()
            .flatten()
            .any(|call| call.name.is_some());
        let another = |call: &CallDraft| {
            let id = piece.id.as_deref().unwrap_or_default();
            !call.id.is_empty() && !id.is_empty() && call.id != id && !call.name.is_empty()
        };
        if !self.tool_calls.get(&number).is_some_and(another) {
            return Ok(number);
        }
        if let Some(known) = self.call_of_id(piece.id.as_deref(), self.moved_calls.contains_key(&index)) {
            return Ok(known);
        }
        if !begins {
            return Ok(number);
        }
        let next = self.next_number();
        if !self.moved_calls.contains_key(&index) {
            keeping.budget.take_entry::<u32, u32>(self.moved_calls.len())?;
        }
        self.moved_calls.insert(index, next);
        Ok(next)
    }

    /// The number of a piece's call that names no index, as some gateways send: a new id begins a new call.
    fn guess_call(&self, id: Option<&str>) -> u32 {
        let last = self.tool_calls.get(&self.last_call);
        match (last, id) {
            (Some(call), Some(id)) if call.id != id => {
                let known = self.call_of_id(Some(id), true);
                known.unwrap_or_else(|| self.next_number())
            }
            _ => self.last_call,
        }
    }

    /// The call that goes by this id, where `may_be` and it is one of the latest.
    fn call_of_id(&self, id: Option<&str>, may_be: bool) -> Option<u32> {
        let id = id.filter(|id| may_be && !id.is_empty())?;
        let latest = self.tool_calls.iter().rev().take(LATEST_CALLS);
        let mut latest = latest.filter(|(_, call)| call.id == id);
        latest.next().map(|(number, _)| *number)
    }

    /// A number that no call has.
    fn next_number(&self) -> u32 {
        let last = self.tool_calls.last_key_value();
        last.map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// The choice, with what of its message may be sent back.
    pub(super) fn into_choice(mut self, index: u32) -> Choice {
        self.settle();
        let mut extra = Map::new();
        if let Some(call) = self.extra.remove("function_call").filter(|call| !call.is_null()) {
            extra.insert("function_call".to_owned(), call);
        }
        // A reply's audio holds the sound; a request names it by its id.
        let audio = self.extra.get_mut("audio").and_then(|audio| audio.get_mut("id"));
        if let Some(id) = self.audio.map(Value::String).or_else(|| audio.map(Value::take)) {
            extra.insert("audio".to_owned(), json!({ "id": id }));
        }
        Choice {
            index,
            message: ChatMessage {
                role: self.role.unwrap_or(Role::Assistant),
                content: self.content.map(Content::Text),
                name: None,
                refusal: self.refusal,
                tool_calls: self.tool_calls.into_values().map(CallDraft::into_call).collect(),
                tool_call_id: None,
                extra,
            },
            finish_reason: self.finish,
        }
    }
}

impl CallDraft {
    pub(super) fn kind(&self) -> &str {
        match (self.kind.is_empty(), self.is_custom) {
            (false, _) => &self.kind,
            (true, false) => "function",
            (true, true) => "custom",
        }
    }

    fn into_call(self) -> ToolCall {
        let kind = self.kind().to_owned();
        let (name, text) = (self.name, self.arguments);
        let (function, custom) = match (self.is_function, self.is_custom) {
            (_, true) => (None, Some(CustomCall { name, input: text })),
            (true, false) => (Some(FunctionCall { name, arguments: text }), None),
            (false, false) => (None, None),
        };
        ToolCall {
            id: self.id,
            kind,
            function,
            custom,
            extra: self.extra,
        }
    }
}

/// Appends a piece of text, which says something unless it is empty. An empty one still turns "none" into "empty".
fn append(
    slot: &mut Option<String>,
    joint: &mut Joint,
    piece: Wtf8<'_>,
    told: &mut Option<String>,
    keeping: Keeping<'_>,
) -> Result<bool, OverBudget> {
    let is_new = !piece.is_empty();
    let text = keeping.append(slot.get_or_insert_default(), joint, piece)?;
    if !text.is_empty() {
        told.get_or_insert_default().push_str(&text);
    }
    Ok(is_new)
}

/// What stands in the brackets of a list; none of what is no list.
fn items(list: &RawValue) -> Option<&str> {
    list.get().strip_prefix('[')?.strip_suffix(']').map(str::trim_ascii)
}
