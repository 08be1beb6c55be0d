//! What is under way and may still be refused.

use std::collections::VecDeque;

use super::Mode;
use super::moment::Moment;
use crate::balance::rules::Rule;

/// Sends that are neither answered nor refused, nor silent for long enough, and how much of that is risked at once.
#[derive(Clone, Debug)]
pub(super) struct Unconfirmed {
    /// Written sends, in the order in which silence confirms them.
    written: VecDeque<Send>,
    /// Those whose connection is still being made: no refusal can come yet, so silence says nothing.
    dialing: Vec<Send>,
    tokens: f64,
    trials: u32,
    /// Tokens that may be in here at once; one request always may.
    allowance: f64,
    /// How many have been confirmed.
    confirmed: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Send {
    pub(super) number: u64,
    /// When it was written.
    pub(super) at: Moment,
    pub(super) tokens: f64,
    pub(super) mode: Mode,
    /// The belief's epoch in which it was sent.
    pub(super) epoch: u32,
}

impl Unconfirmed {
    pub(super) fn new(allowance: f64) -> Self {
        Unconfirmed {
            written: VecDeque::new(),
            dialing: Vec::new(),
            tokens: 0.0,
            trials: 0,
            allowance,
            confirmed: 0,
        }
    }

    pub(super) fn push(&mut self, send: Send) {
        self.tokens += send.tokens;
        self.trials += u32::from(send.mode != Mode::Sure);
        self.written.push_back(send);
    }

    /// Its connection is only being made.
    pub(super) fn dialing(&mut self, number: u32) {
        if let Some(index) = self.written.iter().rposition(|send| send.number as u32 == number) {
            self.dialing.extend(self.written.remove(index));
        }
    }

    /// Its connection was made and it has been written: from now on silence counts.
    pub(super) fn written(&mut self, number: u32, now: Moment) {
        if let Some(index) = self.dialing.iter().position(|send| send.number as u32 == number) {
            let send = self.dialing.swap_remove(index);
            self.written.push_back(Send { at: now, ..send });
        }
    }

    /// Takes out one that has ended.
    pub(super) fn remove(&mut self, number: u64) -> Option<Send> {
        let written = self.written.iter().position(|send| send.number == number);
        let send = match written {
            Some(index) => self.written.remove(index)?,
            None => {
                let index = self.dialing.iter().position(|send| send.number == number)?;
                self.dialing.swap_remove(index)
            }
        };
        self.take(send);
        Some(send)
    }

    /// Takes out one that silence has confirmed.
    pub(super) fn next_silent(&mut self, silence: f64, now: Moment) -> Option<Send> {
        let send = *self.written.front().filter(|send| now >= send.at + silence)?;
        self.written.pop_front();
        self.take(send);
        Some(send)
    }

    fn take(&mut self, send: Send) {
        self.trials -= u32::from(send.mode != Mode::Sure);
        // Exactly nothing where nothing is left, whatever the sums of fractions come to.
        let is_empty = self.written.is_empty() && self.dialing.is_empty();
        self.tokens = if is_empty { 0.0 } else { self.tokens - send.tokens };
    }

    /// Whether silence can confirm any.
    pub(super) fn is_any_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// When the next one is confirmed, should nothing be heard.
    pub(super) fn next_at(&self, silence: f64, now: Moment) -> Moment {
        self.written.front().map_or(now, |send| send.at) + silence
    }

    /// When the next of those that were no sure sends is confirmed, should nothing be heard.
    pub(super) fn next_trial_at(&self, silence: f64, now: Moment) -> Moment {
        let trial = self.written.iter().find(|send| send.mode != Mode::Sure);
        trial.map_or(now, |send| send.at) + silence
    }

    /// Whether one of them is a test of this epoch.
    pub(super) fn is_testing(&self, epoch: u32) -> bool {
        let mut all = self.written.iter().chain(&self.dialing);
        all.any(|send| send.mode == Mode::Test && send.epoch == epoch)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.written.iter().chain(&self.dialing).map(|send| send.number)
    }

    /// How many of those that silence can confirm were sent after the one with this number.
    pub(super) fn written_after(&self, number: u64) -> u32 {
        self.written.iter().filter(|send| send.number > number).count() as u32
    }

    /// How many were no sure sends.
    pub(super) fn trials(&self) -> u32 {
        self.trials
    }

    /// How many sends have been confirmed so far.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Whether so many tokens more may be risked.
    pub(super) fn may_risk(&self, tokens: f64) -> bool {
        !Rule::Allowance.is_on() || self.tokens <= 0.0 || self.tokens + tokens <= self.allowance
    }

    /// Whether there is a bound to what may be risked.
    pub(super) fn is_bounded(&self) -> bool {
        self.allowance.is_finite()
    }

    /// Whether nothing more may be risked, however small.
    pub(super) fn is_spent(&self) -> bool {
        self.tokens > 0.0 && self.tokens >= self.allowance
    }

    /// One was confirmed; `counts` where it was sent in the present epoch. Past a whole quota there is no bound.
    pub(super) fn confirm(&mut self, send: &Send, counts: bool, quota: f64) {
        self.confirmed += 1;
        if counts {
            self.allowance += send.tokens;
            if self.allowance > quota {
                self.allowance = f64::INFINITY;
            }
        }
    }

    /// After a surprise: one at a time.
    pub(super) fn one_at_a_time(&mut self) {
        self.allowance = 0.0;
    }

    /// No bound any more.
    pub(super) fn allow_all(&mut self) {
        self.allowance = f64::INFINITY;
    }

    pub(super) fn allow_at_most(&mut self, tokens: f64) {
        self.allowance = self.allowance.min(tokens);
    }
}
