//! What is left when a blaster has been drained.

use serde::Serialize;

/// What [`Blaster::drain`](crate::Blaster::drain) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DrainReport {
    /// Jobs answered while draining.
    pub answered: u64,
    /// Jobs that failed while draining.
    pub failed: u64,
    /// Jobs that were still waiting when the time was over; they ended as shut down (or go on, where a thread of the
    /// blaster itself drained it).
    pub waiting: usize,
    /// Jobs that were under way when the time was over; they ended likewise.
    pub in_flight: usize,
}

impl DrainReport {
    /// Whether every job came to its own end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.waiting == 0 && self.in_flight == 0
    }
}

impl std::fmt::Display for DrainReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "meanwhile {} answered, {} failed", self.answered, self.failed)?;
        if self.is_complete() {
            return f.write_str("; nothing was left");
        }
        write!(
            f,
            "; {} waiting and {} under way were left",
            self.waiting, self.in_flight
        )
    }
}
