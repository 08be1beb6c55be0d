//! A bucket that leaks.

use std::time::Duration;

/// A level that rises with what is poured in and sinks as time goes by, never below empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    level: f64,
    /// When `level` was right.
    at: Duration,
}

impl Bucket {
    /// The level after `drained` has leaked out since [`Bucket::since`].
    pub(super) fn level(&self, drained: f64) -> f64 {
        (self.level - drained).max(0.0)
    }

    /// The time since which it has leaked.
    pub(super) fn since(&self) -> Duration {
        self.at
    }

    /// Sets the level that is right at `now`.
    pub(super) fn set(&mut self, level: f64, now: Duration) {
        self.level = level.max(0.0);
        self.at = now.max(self.at);
    }
}
