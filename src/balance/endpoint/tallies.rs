//! What is counted and measured of an endpoint.

use std::collections::VecDeque;

use crate::api::clip::clip;
use crate::api::{Told, Totals};
use crate::balance::histogram::Histogram;

/// Error samples kept.
const SAMPLES: usize = 8;
/// Longest error sample, in bytes.
const SAMPLE_LENGTH: usize = 300;

/// Counters and samples; only the time to the first byte plays a part in decisions.
#[derive(Debug, Default)]
pub(in crate::balance) struct Tallies {
    /// The service's own figures, as told last.
    pub(in crate::balance) told: Told,
    pub(in crate::balance) totals: Totals,
    /// Of whole answers.
    pub(in crate::balance) latency: Histogram,
    /// Time to the first byte of good replies.
    pub(in crate::balance) first_byte: Histogram,
    /// The newest last.
    errors: VecDeque<String>,
}

impl Tallies {
    pub(in crate::balance) fn failed(&mut self, reason: &str) {
        self.totals.failed += 1;
        self.note_error(reason);
    }

    pub(in crate::balance) fn unusable(&mut self, reason: &str) {
        self.totals.unusable += 1;
        self.note_error(reason);
    }

    /// The newest errors, oldest first.
    pub(in crate::balance) fn errors(&self) -> impl Iterator<Item = &String> {
        self.errors.iter()
    }

    fn note_error(&mut self, reason: &str) {
        if self.errors.len() == SAMPLES {
            self.errors.pop_front();
        }
        self.errors.push_back(clip(reason, SAMPLE_LENGTH).to_owned());
    }
}
