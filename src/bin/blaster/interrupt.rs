//! Ctrl-C, as a question that can be asked and waited for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How long a signal may go unnoticed. A handler may do no more than set a flag, so the flag is looked at; a pipe
/// that wakes would do on Unix only.
const GLANCE: Duration = Duration::from_millis(50);

/// Whether somebody pressed Ctrl-C or sent a termination signal.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first signal is only noted; a second one ends the process at once.
    pub(crate) fn catch() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Registered first, so that it acts on the second signal only.
            flag::register_conditional_default(signal, Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
        }
        Ok(Interrupt(came))
    }

    /// Whether it came.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for it, at most about `patience`; says whether it came.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let mut left = patience;
        while !self.came() && !left.is_zero() {
            let nap = GLANCE.min(left);
            thread::park_timeout(nap);
            left -= nap;
        }
        self.came()
    }
}
