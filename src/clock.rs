//! Time, as the rest of the crate sees it.
//!
//! Decisions take `now` as an argument; whoever acts on them reads it here, once per step, so that one step
//! sees one time. No other file of the library calls [`Instant::now`] or [`SystemTime::now`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// A source of the present moment.
pub trait Clock: Send + Sync {
    /// The monotonic time that every decision is made in.
    fn now(&self) -> Instant;

    /// The time of day, needed only where the service names a date (`Retry-After: Fri, 21 Nov 2026 …`).
    fn wall(&self) -> SystemTime;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves only when it is told to.
///
/// Clones share the time. It starts at an arbitrary instant, and at the Unix epoch plus 50 years.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: Instant,
    passed: Arc<Mutex<Duration>>,
}

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    pub fn new() -> Self {
        ManualClock {
            start: Instant::now(),
            passed: Arc::default(),
        }
    }

    /// Moves the time forward by `by`.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock() += by;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + *self.passed.lock()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(50 * 365 * 86_400) + *self.passed.lock()
    }
}

/// The operating system's monotonic time.
pub(crate) fn now() -> Instant {
    SystemClock.now()
}

/// The operating system's time of day.
pub(crate) fn wall() -> SystemTime {
    SystemClock.wall()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_clones_share_it() {
        let clock = ManualClock::new();
        let twin = clock.clone();
        let t0 = clock.now();
        assert_eq!(clock.now(), t0);
        twin.advance(Duration::from_secs(3));
        assert_eq!(clock.now(), t0 + Duration::from_secs(3));
    }
}
