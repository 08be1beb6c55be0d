//! A choice of an answer that is still coming, or that has come whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::frame::{FrameCall, FrameChoice, FrameLogprobs, FrameToolCall};
use super::items::Items;
use super::keeping::Keeping;
use super::parts::Part;
use super::write::CALL;
use crate::api::lenient::{OverBudget, Said};
use crate::api::{
    ChatMessage, Choice, Content, CustomCall, Delta, FinishReason, FunctionCall, Role, ToolCall, ToolCallDelta,
};

/// Counts for each frame of a choice, so that no stream is endless. Real answers stay far below the limit.
const FRAME: usize = 32;

/// A choice so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(super) role: Option<Role>,
    role_told: bool,
    pub(super) content: Option<String>,
    /// Parts of the content that are no text.
    pub(super) parts: Items,
    pub(super) refusal: Option<String>,
    pub(super) tool_calls: BTreeMap<u32, CallDraft>,
    last_call: u32,
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
    /// Adds what a frame brings. Returns what of it is new to a reader, unless nothing is; its `raw` is left empty, and
    /// its texts are, where there is no reader.
    pub(super) fn add(&mut self, choice: FrameChoice<'_>, keeping: Keeping<'_>) -> Result<Option<Delta>, OverBudget> {
        keeping.budget.take(FRAME)?;
        let mut delta = Delta {
            choice: choice.index.unwrap_or(0),
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
        if let Some(said) = choice.said {
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
                is_new |= add_text(&mut self.refusal, text, &mut delta.refusal, keeping)?;
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
            Said::Text(text) => return add_text(&mut self.content, text, &mut delta.content, keeping),
            Said::Parts(parts) => parts,
        };
        let mut is_new = false;
        for part in parts {
            is_new |= match Part::read(part, keeping.budget) {
                Part::Text(text) => add_text(&mut self.content, text, &mut delta.content, keeping)?,
                Part::Refusal(text) => add_text(&mut self.refusal, text, &mut delta.refusal, keeping)?,
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

    /// Adds a piece of a tool call and returns it.
    fn add_call(&mut self, piece: FrameToolCall<'_>, keeping: Keeping<'_>) -> Result<ToolCallDelta, OverBudget> {
        let index = piece.index.unwrap_or_else(|| self.guess_call(piece.id.as_deref()));
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
            Some(text) => keeping.append(&mut call.arguments, text)?,
        };
        keeping.merge(&mut call.extra, piece.extra)?;
        Ok(ToolCallDelta {
            index,
            id,
            name,
            arguments,
        })
    }

    /// The index of a piece that names none, as some gateways send: a new id begins a new call.
    fn guess_call(&self, id: Option<&str>) -> u32 {
        let last = self.tool_calls.get(&self.last_call);
        match (last, id) {
            (Some(call), Some(id)) if call.id != id => self.last_call.saturating_add(1),
            _ => self.last_call,
        }
    }

    /// The choice, with what of its message may be sent back.
    pub(super) fn into_choice(mut self, index: u32) -> Choice {
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
fn add_text(
    slot: &mut Option<String>,
    piece: Cow<'_, str>,
    told: &mut Option<String>,
    keeping: Keeping<'_>,
) -> Result<bool, OverBudget> {
    let is_new = !piece.is_empty();
    let text = keeping.append(slot.get_or_insert_default(), piece)?;
    if !text.is_empty() {
        told.get_or_insert_default().push_str(&text);
    }
    Ok(is_new)
}

/// What stands in the brackets of a list; none of what is no list.
fn items(list: &RawValue) -> Option<&str> {
    list.get().strip_prefix('[')?.strip_suffix(']').map(str::trim_ascii)
}
