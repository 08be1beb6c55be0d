//! Files that are kept for the moment at which no other can be had.
//!
//! A connection that a client has made holds one of the client's files, served or not. Where client and simulator share
//! a process, and there are few files, those of clients that wait to be accepted may be all there are, and then both
//! wait for ever. So a few files are set aside at the start. While one of them is in use, no connection is kept alive:
//! each that ends lets the next one in.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Files set aside.
const SPARE: usize = 8;

/// What can be opened anywhere, any number of times.
const NOTHING: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The files set aside, and whether one of them is in use.
#[derive(Debug)]
pub(super) struct SpareFiles {
    kept: Mutex<Vec<File>>,
    /// How many there were to begin with.
    whole: usize,
    short: AtomicBool,
    run_out: Notify,
}

impl SpareFiles {
    pub(super) fn new() -> Self {
        let kept: Vec<File> = (0..SPARE).map_while(|_| File::open(NOTHING).ok()).collect();
        SpareFiles {
            whole: kept.len(),
            kept: Mutex::new(kept),
            short: AtomicBool::new(false),
            run_out: Notify::new(),
        }
    }

    /// Whether files are so few that connections should not be kept.
    pub(super) fn are_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// A connection could not be accepted. True where another try may go better at once: a file has been let go of.
    pub(super) fn lend(&self, error: &io::Error) -> bool {
        if File::open(NOTHING).is_ok() {
            log::debug!("simulator: files were short for a moment: {error}");
            return true;
        }
        self.short.store(true, Ordering::Relaxed);
        self.run_out.notify_waiters();
        self.kept.lock().pop().is_some()
    }

    /// A connection has ended: its file is set aside, where one of them is missing.
    pub(super) fn refill(&self) {
        if !self.are_short() {
            return;
        }
        let mut kept = self.kept.lock();
        while kept.len() < self.whole {
            match File::open(NOTHING) {
                Ok(file) => kept.push(file),
                Err(_) => return,
            }
        }
        self.short.store(false, Ordering::Relaxed);
    }

    /// Ends when files run out.
    pub(super) async fn run_out(&self) {
        self.run_out.notified().await;
    }
}
