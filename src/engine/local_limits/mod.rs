//! What this machine allows the process, as far as it can be learnt, and the log's warnings about it.

use std::time::{Duration, Instant};

use super::sync::Mutex;
pub(crate) use thread_budget::Room;

mod cgroup;
mod figures;
mod thread_budget;

/// Least time between two warnings that connections cannot be made.
const EVERY: Duration = Duration::from_secs(5);

/// Files that a process has open besides its connections: the three standard ones, logs, what looks names up.
const OTHER_FILES: u64 = 32;

/// Warns that this machine lacks what a connection takes, now and then.
#[derive(Debug)]
pub(crate) struct LackWarning {
    last: Mutex<Option<Instant>>,
    /// Most open files, as they were at the start: where files have run out, that cannot be read.
    open_files: Option<u64>,
}

impl LackWarning {
    pub(crate) fn new() -> Self {
        LackWarning {
            last: Mutex::new(None),
            open_files: open_files(),
        }
    }

    /// Jobs wait for what is lacking, in these words.
    pub(crate) fn warn(&self, lacking: &str, workers: usize, now: Instant) {
        {
            let mut last = self.last.lock();
            if last.is_some_and(|last| now < last + EVERY) {
                return;
            }
            *last = Some(now);
        }
        let limit = match self.open_files {
            Some(most) => format!("; this process may have {most} files open (ulimit -n), and has {workers} workers"),
            None => format!("; this process has {workers} workers"),
        };
        log::warn!("jobs wait for this machine, and no endpoint is to blame: {lacking}{limit}");
    }
}

/// Warns at the start where `workers` connections are more than this process may have.
pub(crate) fn warn_of_few_files(workers: usize) {
    if let Some(most) = open_files().filter(|&most| are_few(most, workers)) {
        log::warn!(
            "{workers} workers may need as many connections, and this process may have {most} files open: raise the \
             limit (ulimit -n), or lower num_workers; whoever finds none left waits"
        );
    }
}

fn are_few(most: u64, workers: usize) -> bool {
    most < (workers as u64).saturating_add(OTHER_FILES)
}

/// How many of `wanted` worker threads this machine has room for now.
pub(crate) fn room_for_workers(wanted: usize) -> Room {
    figures::read().room(wanted)
}

/// Most files that this process may have open; none where that is endless, or cannot be learnt.
fn open_files() -> Option<u64> {
    figures::soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_workers_as_files_are_too_many() {
        assert!(are_few(1024, 1000));
        assert!(!are_few(1024, 992));
        assert!(are_few(u64::MAX - 1, usize::MAX));
    }
}
