//! What an endpoint says to every request alike.

use std::time::Instant;

use super::Endpoint;
use super::state::{Readiness, State};
use crate::balance::Role;

/// What an endpoint says to whatever request comes, until something happens there. One that has anything to think about
/// (who goes first, which operations it lacks, how many it bears by now) gives no such word, and is to be asked each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum Word {
    /// It takes any as one of many, until it is silent, if nothing is heard of it before.
    AtEase { silent_at: Option<Instant> },
    /// It has no place left, until it is silent, if nothing is heard of it before: then one may ask all the same.
    Full { silent_at: Option<Instant> },
    /// It rests until then.
    Rests(Instant),
}

impl Word {
    /// From when on it holds no more, though nothing has happened; none where it goes on holding.
    pub(in crate::balance) fn ends(self) -> Option<Instant> {
        match self {
            Word::AtEase { silent_at } | Word::Full { silent_at } => silent_at,
            Word::Rests(until) => Some(until),
        }
    }

    /// What that is for a request.
    pub(in crate::balance) fn readiness(self) -> Readiness {
        match self {
            Word::AtEase { .. } => Readiness::Now(Role::Regular),
            Word::Full { .. } => Readiness::OnSettle,
            Word::Rests(until) => Readiness::At(until),
        }
    }
}

impl Endpoint {
    /// Its word, where it has one. While that holds, [`Endpoint::readiness`] says the same for every operation,
    /// [`Endpoint::refresh`] changes nothing, and [`Endpoint::may_go_on`] is true of no other than a full one.
    pub(in crate::balance) fn word(&self, max_in_flight: u32, now: Instant) -> Option<Word> {
        if self.ramp.is_some() || !self.lacks.is_empty() || self.unsigned.is_some() {
            return None;
        }
        let word = match self.state {
            State::Ready if self.in_flight >= max_in_flight => Word::Full {
                silent_at: self.silence.at(),
            },
            State::Ready => Word::AtEase {
                silent_at: self.silence.at(),
            },
            State::Cooling { until, .. } => Word::Rests(until),
            State::Trial | State::Out(_) | State::Probing(_) => return None,
        };
        word.ends().is_none_or(|at| now < at).then_some(word)
    }
}
