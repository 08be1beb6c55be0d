//! Time since the start.

use std::time::{Duration, Instant};

use azure_openai_blaster::clock::{Clock, SystemClock};

/// Tells the time since it was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(super) fn start() -> Self {
        Stopwatch(SystemClock.now())
    }

    /// The time since then.
    pub(super) fn read(self) -> Duration {
        SystemClock.now().saturating_duration_since(self.0)
    }
}
