//! How what frames bring is kept: within a budget.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::frame::Extra;
use super::items::Items;
use crate::api::lenient::{Budget, Joint, OverBudget, Wtf8, read_tree};

/// What a draft may keep, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping<'b> {
    pub(super) budget: &'b Budget,
    /// Whether what is kept is written as JSON in the end, so that there must be room for that too.
    pub(super) writes: bool,
    /// Whether there is a reader, to whom new texts are told.
    pub(super) tells: bool,
}

impl Keeping<'_> {
    /// Takes what `bytes` of a frame will need when they are written again.
    pub(super) fn written(self, bytes: usize) -> Result<(), OverBudget> {
        self.budget.take(if self.writes { bytes } else { 0 })
    }

    /// Appends a piece of a text, whose last one ended at `joint`. Returns what a reader is told.
    pub(super) fn append(self, slot: &mut String, joint: &mut Joint, piece: Wtf8<'_>) -> Result<String, OverBudget> {
        let piece = joint.join(piece);
        if self.writes {
            self.budget.take(written_length(&piece))?;
        }
        let told = if self.tells { piece.to_string() } else { String::new() };
        self.budget.append(slot, piece)?;
        Ok(told)
    }

    /// Appends items to a list.
    pub(super) fn extend(self, list: &mut Items, json: &str) -> Result<(), OverBudget> {
        self.written(json.len() + 1)?;
        list.push(json, self.budget)
    }

    /// Fills an empty slot, and returns what it was filled with. Some services repeat ids and names in every piece.
    pub(super) fn take_first(
        self,
        slot: &mut String,
        text: Option<Cow<'_, str>>,
    ) -> Result<Option<String>, OverBudget> {
        let Some(text) = text.filter(|_| slot.is_empty()) else {
            return Ok(None);
        };
        self.keep(text.len())?;
        let told = self.tells.then(|| text.to_string());
        *slot = text.into_owned();
        Ok(told)
    }

    /// Takes what a text weighs that is kept, and written.
    pub(super) fn keep(self, bytes: usize) -> Result<(), OverBudget> {
        self.budget.take(bytes)?;
        // Escapes make six bytes of one.
        self.written(6 * bytes)
    }

    /// Replaces what is kept, and written, by what has come later.
    pub(super) fn latest(self, slot: &mut Option<Box<RawValue>>, latest: &RawValue) -> Result<(), OverBudget> {
        let weight = |raw: &RawValue| 2 * raw.get().len();
        self.budget.take(weight(latest))?;
        if let Some(before) = slot.replace(latest.to_owned()) {
            self.budget.give_back(weight(&before));
        }
        Ok(())
    }

    /// Joins members that are not known.
    pub(super) fn merge(self, slot: &mut Map<String, Value>, extra: Extra<'_>) -> Result<bool, OverBudget> {
        let mut is_new = false;
        for (key, value) in extra {
            self.written(key.len() + value.get().len() + 4)?;
            is_new |= says_something(value);
            let Some(value) = read_tree(value.get(), self.budget)? else {
                continue; // nested more deeply than it could be written again
            };
            if !slot.contains_key(&*key) {
                self.budget.take_entry::<String, Value>(slot.len())?;
            }
            merge(slot.entry(key).or_insert(Value::Null), value);
        }
        Ok(is_new)
    }
}

/// How many bytes a text takes in JSON, without its quotes.
fn written_length(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(byte).sum()
}

/// Whether a field that is not known may be part of the answer. Flags and numbers are not: a frame that brings only
/// them must not count as content, after which nothing could be tried again.
pub(crate) fn says_something(value: &RawValue) -> bool {
    match value.get().as_bytes() {
        [b'"', text @ .., b'"'] => !text.is_empty(),
        [b'[' | b'{', inside @ .., _] => !inside.trim_ascii().is_empty(),
        _ => false,
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
