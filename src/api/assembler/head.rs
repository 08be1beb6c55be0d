//! What an answer says of itself, beside its choices.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::frame::Frame;
use super::keeping::Keeping;
use crate::api::lenient::OverBudget;
use crate::api::{ChatCompletion, Choice, Usage};

/// What all frames of an answer share.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) system_fingerprint: Option<String>,
    pub(super) service_tier: Option<String>,
    pub(super) usage: Option<Box<RawValue>>,
    pub(super) prompt_filter_results: Option<Box<RawValue>>,
    /// As `usage` tells it.
    used: Option<Usage>,
}

impl Head {
    /// Takes from a frame what is not known yet: the first frame has these empty. Returns the usage that it tells, of
    /// which the last counts.
    pub(super) fn fill(&mut self, frame: &Frame<'_>, keeping: Keeping<'_>) -> Result<Option<Usage>, OverBudget> {
        let fill = |slot: &mut String, text: &Option<Cow<'_, str>>| match text {
            Some(text) if slot.is_empty() => keeping.keep(text.len()).map(|()| slot.push_str(text)),
            _ => Ok(()),
        };
        let fill_option = |slot: &mut Option<String>, text: &Option<Cow<'_, str>>| match text {
            Some(text) if slot.is_none() => keeping.keep(text.len()).map(|()| *slot = Some(text.to_string())),
            _ => Ok(()),
        };
        fill(&mut self.id, &frame.id)?;
        fill(&mut self.model, &frame.model)?;
        if self.created == 0 {
            self.created = frame.created;
        }
        fill_option(&mut self.system_fingerprint, &frame.system_fingerprint)?;
        fill_option(&mut self.service_tier, &frame.service_tier)?;
        if let Some(results) = frame
            .prompt_filter_results
            .filter(|_| self.prompt_filter_results.is_none())
        {
            keeping.latest(&mut self.prompt_filter_results, results)?;
        }
        if let Some(usage) = frame.usage {
            keeping.latest(&mut self.usage, usage)?;
        }
        self.used = frame.used.or(self.used);
        Ok(frame.used)
    }

    pub(super) fn into_completion(self, choices: Vec<Choice>, raw: Box<str>) -> ChatCompletion {
        let mut completion = ChatCompletion::default();
        completion.id = self.id;
        completion.model = self.model;
        completion.created = self.created;
        completion.system_fingerprint = self.system_fingerprint;
        completion.service_tier = self.service_tier;
        completion.choices = choices;
        completion.set_raw(raw, self.used);
        completion
    }
}
