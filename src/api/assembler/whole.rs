//! A reply that has come whole: a frame whose choices bring all of their messages.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::draft::Draft;
use super::frame::Frame;
use super::head::Head;
use super::keeping::Keeping;
use crate::api::lenient::{Budget, settled};
use crate::api::{ChatCompletion, Choice, ErrorObject, FinishReason};
use crate::error::json_fault;

/// Most bytes that may be made of a reply, its own JSON not counted. Its texts are at most as long as that.
pub(super) const MAX_MADE: usize = 128 << 20;

/// Reads a whole reply. The answer's raw JSON is for the caller to add.
///
/// # Errors
/// Why it is no answer, in words that do not quote it.
pub(crate) fn read_whole(json: &str) -> Result<ChatCompletion, String> {
    read_whole_within(json, MAX_MADE)
}

/// Reads a whole reply, of which no more than `most` bytes may be made.
///
/// # Errors
/// Why it is no answer, in words.
pub fn read_whole_within(json: &str, most: usize) -> Result<ChatCompletion, String> {
    let budget = Budget::new(most);
    read(json, &budget).map_err(|reason| match budget.excess() {
        Some(excess) => format!("the reply is too large: {excess}"),
        None => reason,
    })
}

fn read(json: &str, budget: &Budget) -> Result<ChatCompletion, String> {
    let without_halves = OnceCell::new();
    let mut frame = Frame::whole(json, budget)
        .or_else(|error| match without_halves.get_or_init(|| settled(json)) {
            Cow::Owned(settled) if budget.excess().is_none() => Frame::whole(settled, budget),
            _ => Err(error),
        })
        .map_err(|error| format!("the reply is no chat completion: {}", json_fault(&error)))?;
    if frame.error.and_then(ErrorObject::read).is_some() {
        return Err("the reply is an error".to_owned());
    }
    let choices = frame.choices.take().ok_or("the reply has no choices")?;
    if choices.is_empty() {
        return Err("the reply's list of choices is empty".to_owned());
    }
    let keeping = Keeping {
        budget,
        writes: false,
        tells: false,
    };
    let mut head = Head::default();
    head.fill(&frame, keeping).map_err(|excess| excess.to_string())?;
    let mut made = Vec::new();
    for (place, choice) in (0..).zip(choices) {
        let index = choice.index.unwrap_or(place);
        if choice.said.is_none() && choice.finish_reason.as_deref() != Some(FinishReason::ContentFilter.as_str()) {
            return Err(format!("choice {index} has no message"));
        }
        let mut draft = Draft::default();
        budget
            .take_element::<Choice>(made.len())
            .map_err(|excess| excess.to_string())?;
        draft.add(index, choice, keeping).map_err(|excess| excess.to_string())?;
        made.push(draft.into_choice(index));
    }
    made.sort_by_key(|choice: &Choice| choice.index);
    Ok(head.into_completion(made, Box::default()))
}
