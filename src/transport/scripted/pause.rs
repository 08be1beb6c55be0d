//! Waiting that a cancel ends.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::transport::gate::Interrupt;

/// One call's waiting.
pub(super) struct Pause {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

/// The call was cancelled.
pub(super) struct Cancelled;

impl Pause {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Pause {
            cancelled: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    /// Blocks until `until`; an instant that has passed only asks whether the call is cancelled.
    ///
    /// # Errors
    /// As soon as the call is cancelled.
    pub(super) fn sleep_until(&self, until: Instant) -> Result<(), Cancelled> {
        let mut cancelled = self.cancelled.lock();
        while !*cancelled && !self.changed.wait_until(&mut cancelled, until).timed_out() {}
        if *cancelled { Err(Cancelled) } else { Ok(()) }
    }
}

impl Interrupt for Pause {
    fn interrupt(&self) {
        *self.cancelled.lock() = true;
        self.changed.notify_all();
    }
}
