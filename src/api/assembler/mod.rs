//! Puts a streamed chat completion together again.
//!
//! Pure: events in, [`Step`]s out, and at the end the whole completion or what is missing.
//!
//! An answer is complete when every choice that was asked for has a finish reason. `[DONE]` proves nothing:
//! it may be missing behind a whole answer, and stand behind half of one. What comes after that point can add
//! (usage, the verdict of a late filter) but no longer spoil; what comes after `[DONE]` is no part of the answer.
//!
//! A service may give fewer choices than were asked for. One of which no frame has come is not missed where the stream
//! came to its end: after a cut it might have been on its way.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::json::Text;
use super::{ChatCompletion, Delta, ErrorObject, Usage};
use crate::error::{BadReply, Incomplete, StreamProblem, json_fault};
use draft::Draft;
pub(crate) use draft::says_something;
use frame::{Frame, FrameChoice};
use whole::Whole;

mod draft;
mod frame;
mod logprobs;
#[cfg(test)]
mod tests;
mod whole;

/// Most bytes that are kept of one answer. The longest ones of 2026 have 128,000 tokens: with a frame for each, 16 MiB
/// by our count; with five log probabilities told for each, 100.
pub(crate) const MAX_KEPT: usize = 256 << 20;

/// The data of the event that ends a stream.
pub(crate) const DONE: &str = "[DONE]";

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
    end: End,
    head: Head,
    choices: BTreeMap<u32, Draft>,
    usage: Option<Box<RawValue>>,
    prompt_filter_results: Option<Box<RawValue>>,
}

/// How the stream has ended, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// Not, or by a cut.
    #[default]
    None,
    /// Of itself: nothing was cut off.
    Clean,
    /// By `[DONE]`.
    Done,
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
            end: End::default(),
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
        if data.is_empty() || self.problem.is_some() || self.end == End::Done {
            return;
        }
        if data == DONE {
            self.end = End::Done;
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

    /// The stream has come to its end, and nothing was cut off.
    pub fn ends(&mut self) {
        if self.end == End::None {
            self.end = End::Clean;
        }
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
        self.to_json()
            .and_then(|raw| ChatCompletion::assembled(&raw))
            .unwrap_or_default()
    }

    /// The first choice without a finish reason.
    fn unfinished(&self) -> Option<u32> {
        let seen = self
            .choices
            .iter()
            .find(|(_, draft)| !draft.is_finished())
            .map(|(index, _)| *index);
        let all_have_come = self.end != End::None && !self.choices.is_empty();
        let unseen = (0..self.expected).find(|index| !all_have_come && !self.choices.contains_key(index));
        [seen, unseen].into_iter().flatten().min()
    }

    fn read(&mut self, event: &str, data: &str, on: &mut impl FnMut(Step)) -> Result<(), StreamProblem> {
        let unreadable =
            |error: serde_json::Error| StreamProblem::Unreadable(BadReply::new(json_fault(&error), data.as_bytes()));
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
        self.keep(choice.weight())?;
        let delta = self.choices.entry(choice.index).or_default().add(choice);
        self.has_content |= delta.is_some();
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
        serde_json::to_string(&whole).map_err(|error| BadReply::new(json_fault(&error), b""))
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
