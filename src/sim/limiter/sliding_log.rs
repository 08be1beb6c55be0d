//! A log of what was charged, each entry of which counts for one window's length.

use std::collections::VecDeque;
use std::time::Duration;

/// What has been charged in the last window's length: what a burst used comes back one length later, all at once.
#[derive(Clone, Debug)]
pub(super) struct SlidingLog {
    length: Duration,
    /// Charges and their times, oldest first.
    charges: VecDeque<(Duration, f64)>,
    used: f64,
}

impl SlidingLog {
    pub(super) fn new(length: Duration) -> Self {
        SlidingLog {
            length,
            charges: VecDeque::new(),
            used: 0.0,
        }
    }

    /// Charges that counted when last something was added and do not any more.
    fn past(&self, now: Duration) -> impl Iterator<Item = f64> + '_ {
        let past = self.charges.iter().take_while(move |(at, _)| *at + self.length <= now);
        past.map(|(_, amount)| *amount)
    }

    /// What counts at that time.
    pub(super) fn used(&self, now: Duration) -> f64 {
        (self.used - self.past(now).sum::<f64>()).max(0.0)
    }

    /// Adds a charge.
    pub(super) fn add(&mut self, amount: f64, now: Duration) {
        let (past, amounts) = self.past(now).fold((0, 0.0), |(n, sum), past| (n + 1, sum + past));
        self.charges.drain(..past);
        // Exactly nothing where nothing is left, whatever the sums of fractions come to.
        self.used = if self.charges.is_empty() {
            0.0
        } else {
            self.used - amounts
        } + amount;
        if amount > 0.0 {
            self.charges.push_back((now, amount));
        }
    }

    /// Time until `amount` less counts, or nothing any more.
    pub(super) fn rest(&self, amount: f64, now: Duration) -> Duration {
        let mut left = amount;
        let mut last = now;
        for &(at, charged) in self.charges.iter().skip(self.past(now).count()) {
            if left <= 0.0 {
                break;
            }
            left -= charged;
            last = at + self.length;
        }
        last.saturating_sub(now)
    }
}
