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

use std::borrow::Cow;
use std::cell::OnceCell;

use super::lenient::{Budget, OverBudget, settled};
use super::{ChatCompletion, Delta, ErrorObject, Usage};
use crate::error::{BadReply, Incomplete, StreamProblem, json_fault};
use answer::Answer;
use frame::Frame;
use keeping::Keeping;

pub(crate) use keeping::says_something;
pub(super) use whole::read_whole;
#[cfg(feature = "internals")]
pub use whole::read_whole_within;

mod answer;
mod draft;
mod frame;
mod head;
mod items;
mod keeping;
mod parts;
#[cfg(test)]
mod tests;
mod whole;
mod write;

/// Most bytes that an answer may take which comes as a stream, its JSON included, which is written in the end. The longest
/// answers of 2026 have 128,000 tokens, which take 5 MiB; with five log probabilities told for each, 175.
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
    budget: Budget,
    has_content: bool,
    problem: Option<StreamProblem>,
    end: End,
    answer: Answer,
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

impl Assembler {
    /// For a stream of `expected` choices (the request's `n`) with a reader, to whom each piece is handed.
    #[must_use]
    pub fn new(expected: u32) -> Self {
        Assembler {
            expected: expected.max(1),
            hands_out: true,
            budget: Budget::new(MAX_KEPT),
            has_content: false,
            problem: None,
            end: End::default(),
            answer: Answer::default(),
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
        self.answer.is_finished(self.missed())
    }

    /// The whole answer, once the stream has ended.
    ///
    /// # Errors
    /// [`Incomplete`] where the stream failed or a choice is not finished, with what was received.
    pub fn finish(mut self) -> Result<ChatCompletion, Incomplete> {
        let problem = match (self.problem.take(), self.unfinished()) {
            (Some(problem), _) => problem,
            (None, Some(choice)) => StreamProblem::Cut { choice },
            (None, None) => return Ok(self.so_far()),
        };
        let received = Box::new(self.so_far());
        Err(Incomplete { problem, received })
    }

    /// What has been received, put together; choices that are not finished lack a finish reason. It is taken: there may
    /// be too much of it to be there twice.
    #[must_use]
    pub fn so_far(&mut self) -> ChatCompletion {
        std::mem::take(&mut self.answer).into_completion()
    }

    /// The first choice that lacks its finish reason, or that is missed.
    fn unfinished(&self) -> Option<u32> {
        self.answer.unfinished(self.missed())
    }

    /// So many choices are missed where they have not come.
    fn missed(&self) -> u32 {
        let all_have_come = self.end != End::None && !self.answer.choices.is_empty();
        if all_have_come { 0 } else { self.expected }
    }

    fn read(&mut self, event: &str, data: &str, on: &mut impl FnMut(Step)) -> Result<(), StreamProblem> {
        if event == "error" {
            return Err(StreamProblem::Service(ErrorObject::of_event(data)));
        }
        let left = self.budget.left();
        let read = self.read_frame(data, left, on);
        if read.is_err() {
            // What comes behind a whole answer cannot spoil it, and may be followed by something good.
            self.budget.give_back(left - self.budget.left());
        }
        read
    }

    fn read_frame(&mut self, data: &str, left: usize, on: &mut impl FnMut(Step)) -> Result<(), StreamProblem> {
        let without_halves = OnceCell::new();
        let frame = Frame::piece(data, &self.budget)
            .or_else(|error| {
                // Halves of surrogate pairs, where nobody can wait for the other one, may be why.
                match without_halves.get_or_init(|| settled(data)) {
                    Cow::Owned(settled) if self.budget.excess().is_none() => Frame::piece(settled, &self.budget),
                    _ => Err(error),
                }
            })
            .map_err(|error| match self.budget.excess() {
                Some(excess) => too_large(excess),
                None => StreamProblem::Unreadable(BadReply::new(json_fault(&error), data.as_bytes())),
            })?;
        let transient = left - self.budget.left();
        if let Some(error) = frame.error.and_then(ErrorObject::read) {
            return Err(StreamProblem::Service(error));
        }
        let keeping = Keeping {
            budget: &self.budget,
            writes: true,
            tells: self.hands_out,
        };
        let added = self.answer.add(frame, keeping, |delta| {
            self.has_content = true;
            if self.hands_out {
                on(Step::Delta(delta));
            }
        });
        if let Some(usage) = added.map_err(too_large)? {
            on(Step::Usage(usage));
        }
        self.budget.give_back(transient);
        Ok(())
    }
}

fn too_large(OverBudget { limit }: OverBudget) -> StreamProblem {
    StreamProblem::TooLarge { limit }
}
