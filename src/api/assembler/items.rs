//! A list that is passed on as it comes: items as JSON, with commas between them.

use std::borrow::Cow;

use crate::api::lenient::{Budget, OverBudget};

/// Bytes at which a chunk is full.
const FULL: usize = 256 * 1024;

/// The items so far, in chunks, so that a long list is not copied when more of it comes.
#[derive(Debug, Default)]
pub(super) struct Items(Vec<String>);

impl Items {
    /// Appends items.
    pub(super) fn push(&mut self, json: &str, budget: &Budget) -> Result<(), OverBudget> {
        if json.is_empty() {
            return Ok(());
        }
        let follows = !self.0.is_empty();
        if self.0.last().is_none_or(|last| last.len() >= FULL) {
            budget.take_element::<String>(self.0.len())?;
            self.0.push(String::new());
        }
        if let Some(last) = self.0.last_mut() {
            if follows {
                budget.append(last, Cow::Borrowed(","))?;
            }
            budget.append(last, Cow::Borrowed(json))?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(super) fn length(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }
}
