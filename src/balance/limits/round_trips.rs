//! How long a refusal takes to come.

/// The newest round trips: of refusals, and of connections that were made.
#[derive(Clone, Debug)]
pub(super) struct RoundTrips {
    /// Seconds, in a ring.
    newest: [f64; 32],
    next: usize,
    slowest: f64,
}

/// A longer one says that something hung, not how long a refusal takes.
const LONGEST: f64 = 10.0;
/// Silence is waited for so many times as long as the slowest one took.
const PATIENCE: f64 = 1.5;

impl RoundTrips {
    pub(super) fn new() -> Self {
        RoundTrips {
            newest: [0.0; 32],
            next: 0,
            slowest: 0.0,
        }
    }

    pub(super) fn record(&mut self, seconds: f64) {
        self.newest[self.next] = seconds.clamp(0.0, LONGEST);
        self.next = (self.next + 1) % self.newest.len();
        self.slowest = self.newest.iter().copied().fold(0.0, f64::max);
    }

    /// Seconds without a refusal after which a send counts as admitted, `least` of them at least.
    pub(super) fn silence(&self, least: f64) -> f64 {
        least.max(PATIENCE * self.slowest)
    }
}
