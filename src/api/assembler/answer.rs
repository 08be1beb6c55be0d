//! An answer that is still coming.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Draft;
use super::frame::Frame;
use super::head::Head;
use super::keeping::Keeping;
use super::write;
use crate::api::lenient::{OverBudget, settled};
use crate::api::{ChatCompletion, Delta, Usage};

/// What has come of an answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) choices: BTreeMap<u32, Draft>,
    /// So many of them have no finish reason. Counted, for it is asked with each piece of a stream.
    unfinished: usize,
}

impl Answer {
    /// Adds what a frame brings, of which `on` gets what is new to a reader. Returns the usage that it tells.
    pub(super) fn add(
        &mut self,
        frame: Frame<'_>,
        keeping: Keeping<'_>,
        mut on: impl FnMut(Delta),
    ) -> Result<Option<Usage>, OverBudget> {
        let usage = self.head.fill(&frame, keeping)?;
        let mut raw = None;
        for (place, choice) in (0..).zip(frame.choices.into_iter().flatten()) {
            let index = choice.index.unwrap_or(place);
            if !self.choices.contains_key(&index) {
                keeping.budget.take_entry::<u32, Draft>(self.choices.len())?;
                keeping.budget.take(write::CHOICE)?;
            }
            let draft = self.choices.entry(index).or_insert_with(|| {
                self.unfinished += 1;
                Draft::default()
            });
            let was_finished = draft.is_finished();
            let new = draft.add(index, choice, keeping);
            self.unfinished -= usize::from(draft.is_finished() && !was_finished);
            if let Some(mut delta) = new? {
                if keeping.tells {
                    delta.raw = Arc::clone(raw.get_or_insert_with(|| Arc::from(&*settled(frame.json))));
                }
                on(delta);
            }
        }
        Ok(usage)
    }

    /// Whether all that have come, and the `expected` ones, have their finish reasons.
    pub(super) fn is_finished(&self, expected: u32) -> bool {
        self.unfinished == 0 && (0..expected).all(|index| self.choices.contains_key(&index))
    }

    /// The first choice without a finish reason, of those that have come and the `expected` ones.
    pub(super) fn unfinished(&self, expected: u32) -> Option<u32> {
        let seen = self
            .choices
            .iter()
            .find(|(_, draft)| !draft.is_finished())
            .map(|(index, _)| *index);
        let unseen = (0..expected).find(|index| !self.choices.contains_key(index));
        [seen, unseen].into_iter().flatten().min()
    }

    pub(super) fn into_completion(mut self) -> ChatCompletion {
        self.choices.values_mut().for_each(Draft::settle);
        let raw = write::answer(&self);
        let choices = self.choices.into_iter();
        let choices = choices.map(|(index, draft)| draft.into_choice(index)).collect();
        self.head.into_completion(choices, raw.into_boxed_str())
    }
}
