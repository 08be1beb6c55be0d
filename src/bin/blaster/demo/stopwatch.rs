//! Time since the start.

use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::sim::SimFleet;

/// Tells the time since it was started, by the fleet's clock: what the fleet does is on the same scale.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    fleet: Arc<SimFleet>,
    start: Duration,
}

impl Stopwatch {
    /// Starts now.
    pub(super) fn start(fleet: &Arc<SimFleet>) -> Self {
        Stopwatch {
            fleet: Arc::clone(fleet),
            start: fleet.now(),
        }
    }

    /// The time since then.
    pub(super) fn read(&self) -> Duration {
        self.fleet.now().saturating_sub(self.start)
    }
}
