//! The end of a backlog: which endpoints are better not given the last jobs.
//!
//! When nothing more comes, a slow endpoint's last answer can be what everybody waits for at the end. An endpoint is held
//! back where faster ones would admit all that is left before it would finish one more long answer. Only a caller that has
//! said that nothing more comes can want that; everybody else wants every endpoint busy.

use std::time::{Duration, Instant};

use super::EndpointId;
use super::set::SetId;

/// Nothing is looked at more often: it costs a look at every endpoint.
const PAUSE: Duration = Duration::from_millis(250);
/// A long answer is so many times as long as the mean …
const LONG: f64 = 3.0;
/// … but no longer than this, in tokens.
const LONGEST: f64 = 1000.0;
/// An endpoint is faster where it takes less than this part of the other's time.
const FASTER: f64 = 0.9;
/// Weight of a new answer in the means, at least.
const LEAST_WEIGHT: f64 = 0.01;

/// What is left of a backlog to which nothing more is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rest {
    /// Who may serve it.
    pub set: SetId,
    /// Its size, in tokens.
    pub tokens: u64,
}

/// One endpoint at the end of a backlog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finisher {
    pub(super) endpoint: EndpointId,
    /// How long a long answer takes, in seconds.
    pub(super) takes: f64,
    /// Its quota, in tokens a minute.
    pub(super) quota: f64,
}

/// Which endpoints are held back.
#[derive(Debug, Default)]
pub(super) struct EndOfBacklog {
    held: Vec<EndpointId>,
    looked_at: Option<Instant>,
    /// Means over all answers: tokens of output, and tokens charged.
    output: f64,
    charge: f64,
    answers: u32,
}

impl EndOfBacklog {
    /// An answer has come.
    pub(super) fn learn(&mut self, output: f64, charge: f64) {
        self.answers = self.answers.saturating_add(1);
        let weight = LEAST_WEIGHT.max(1.0 / f64::from(self.answers));
        self.output += (output - self.output) * weight;
        self.charge += (charge - self.charge) * weight;
    }

    /// Tokens of a long answer.
    pub(super) fn long_answer(&self) -> f64 {
        (LONG * self.output).min(LONGEST)
    }

    /// Mean tokens of an answer.
    pub(super) fn mean_output(&self) -> f64 {
        self.output
    }

    /// Mean charge of a request.
    pub(super) fn mean_charge(&self) -> f64 {
        self.charge
    }

    /// Whether any endpoint is held back.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Until when an endpoint is held back; none where it is not.
    #[inline]
    pub(super) fn holds(&self, endpoint: EndpointId, now: Instant) -> Option<Instant> {
        self.held.contains(&endpoint).then(|| now + PAUSE)
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.looked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= PAUSE)
    }

    /// More comes after all, or the end has not begun. True where an endpoint was held back.
    pub(super) fn release(&mut self) -> bool {
        self.looked_at = None;
        !std::mem::take(&mut self.held).is_empty()
    }

    /// Looks which of `finishers` are to be held back with `rest` tokens waiting; `admits` says how many tokens one of them
    /// admits within so many seconds. True where one is held back no longer.
    pub(super) fn look(
        &mut self,
        rest: f64,
        mut finishers: Vec<Finisher>,
        admits: impl FnMut(EndpointId, f64) -> f64,
        now: Instant,
    ) -> bool {
        self.looked_at = Some(now);
        let before = std::mem::take(&mut self.held);
        self.hold(rest, &mut finishers, admits);
        before.iter().any(|endpoint| !self.held.contains(endpoint))
    }

    fn hold(&mut self, rest: f64, finishers: &mut [Finisher], mut admits: impl FnMut(EndpointId, f64) -> f64) {
        let quota: f64 = finishers.iter().map(|finisher| finisher.quota).sum();
        if rest > quota {
            return;
        }
        finishers.sort_by(|a, b| a.takes.total_cmp(&b.takes));
        let Some(fastest) = finishers.first().map(|first| first.takes) else {
            return;
        };
        for (index, slow) in finishers.iter().enumerate().skip(1) {
            let faster = finishers[..index]
                .iter()
                .filter(|other| other.takes < FASTER * slow.takes);
            let within: f64 = faster.map(|other| admits(other.endpoint, slow.takes - fastest)).sum();
            if within >= rest && within > 0.0 {
                self.held.push(slow.endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// Which of endpoints that take so long, and admit so much a second, are held back with `rest` tokens waiting.
    fn held(rest: f64, endpoints: &[(f64, f64)]) -> Vec<usize> {
        let now = ManualClock::new().now();
        let finisher = |(index, &(takes, rate)): (usize, &(f64, f64))| Finisher {
            endpoint: EndpointId::at(index),
            takes,
            quota: rate * 60.0,
        };
        let finishers = endpoints.iter().enumerate().map(finisher).collect();
        let mut end = EndOfBacklog::default();
        let admits = |endpoint: EndpointId, seconds| endpoints[endpoint.index()].1 * seconds;
        end.look(rest, finishers, admits, now);
        (0..endpoints.len())
            .filter(|&index| end.holds(EndpointId::at(index), now).is_some())
            .collect()
    }

    #[test]
    fn a_slow_one_is_held_back_where_faster_ones_admit_the_rest_before_it_would_finish() {
        let endpoints = [(5.0, 1000.0), (20.0, 1000.0)];
        // In the 15 s that it takes longer the fast one admits 15,000.
        assert_eq!(held(15_000.0, &endpoints), [1]);
        assert_eq!(held(15_001.0, &endpoints), [] as [usize; 0]);
    }

    #[test]
    fn those_that_are_about_as_fast_are_all_used() {
        assert_eq!(held(1.0, &[(5.0, 1000.0), (5.5, 1000.0)]), [] as [usize; 0]);
        assert_eq!(held(1.0, &[(5.0, 1000.0)]), [] as [usize; 0]);
        assert_eq!(held(1.0, &[]), [] as [usize; 0]);
    }

    #[test]
    fn before_the_end_nobody_is_held_back() {
        assert_eq!(held(130_000.0, &[(1.0, 1000.0), (1000.0, 1000.0)]), [] as [usize; 0]);
    }

    #[test]
    fn a_quota_that_is_unknown_promises_nothing() {
        let now = ManualClock::new().now();
        let unknown = |index| Finisher {
            endpoint: EndpointId::at(index),
            takes: 1.0 + index as f64,
            quota: f64::INFINITY,
        };
        let mut end = EndOfBacklog::default();
        end.look(0.0, vec![unknown(0), unknown(9)], |_, _| 0.0, now);
        assert_eq!(end.holds(EndpointId::at(9), now), None);
    }

    #[test]
    fn it_is_looked_at_four_times_a_second() {
        let clock = ManualClock::new();
        let mut end = EndOfBacklog::default();
        assert!(end.is_due(clock.now()));
        end.look(0.0, Vec::new(), |_, _| 0.0, clock.now());
        clock.advance(PAUSE - Duration::from_nanos(1));
        assert!(!end.is_due(clock.now()));
        clock.advance(Duration::from_nanos(1));
        assert!(end.is_due(clock.now()));
    }
}
