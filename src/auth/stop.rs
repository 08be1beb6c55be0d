//! Tells a source of tokens that nobody waits any more.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock;

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

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
    #[cfg_attr(not(feature = "entra"), allow(dead_code))]
    pub(crate) fn wait(&self, time: Duration) -> bool {
        // A service may name a pause beyond the end of all clocks.
        let until = clock::now() + time.min(LONGEST);
        let mut is_thrown = self.0.is_thrown.lock();
        while !*is_thrown && !self.0.thrown.wait_until(&mut is_thrown, until).timed_out() {}
        *is_thrown
    }
}
