//! Tells a source of tokens that nobody waits any more.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// A switch that is thrown once, shared by those who wait.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Switch>);

#[derive(Default)]
struct Switch {
    is_thrown: Mutex<bool>,
    thrown: Condvar,
}

impl Stop {
    pub(super) fn throw(&self) {
        *self.0.is_thrown.lock() = true;
        self.0.thrown.notify_all();
    }

    pub(crate) fn is_thrown(&self) -> bool {
        *self.0.is_thrown.lock()
    }

    /// Waits for `time`, or until nobody waits any more. True in the latter case.
    #[cfg(feature = "entra")]
    pub(crate) fn wait(&self, time: std::time::Duration) -> bool {
        const LONGEST: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);
        // A service may name a pause beyond the end of all clocks.
        let until = crate::clock::now() + time.min(LONGEST);
        let mut is_thrown = self.0.is_thrown.lock();
        while !*is_thrown && !self.0.thrown.wait_until(&mut is_thrown, until).timed_out() {}
        *is_thrown
    }
}
