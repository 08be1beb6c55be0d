//! How a blaster ends: when it is told to, and when a decision has panicked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::clock;
use crate::engine::actions::{Ending, Why};
use crate::engine::core::{Core, Phase};
use crate::engine::event;
use crate::engine::job::JobCell;
use crate::engine::worker;
use crate::error::Error;

use super::{Message, Shared};

impl Shared {
    /// Takes no more jobs.
    pub(crate) fn stop_admission(&self) {
        self.with_core(Core::drain);
        self.room.notify_all();
    }

    /// Takes no more jobs and waits until the last has ended, or `deadline`, if there is one. False where some have not.
    pub(crate) fn drain(&self, deadline: Option<Instant>) -> bool {
        self.stop_admission();
        let mut guarded = self.core.lock();
        while !guarded.core.is_idle() && guarded.core.phase() != Phase::Closed {
            match deadline {
                None => self.quiet.wait(&mut guarded),
                Some(deadline) => {
                    if self.quiet.wait_until(&mut guarded, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        guarded.core.is_idle()
    }

    /// Ends everything. The first call does; further ones find it done.
    pub(crate) fn close(&self) {
        if self.end_all() && !self.is_own_worker() {
            self.end_held_up();
        }
    }

    /// The same because the last clone was dropped, without a wait: the timer thread ends what is held up.
    pub(crate) fn close_dropped(&self) {
        self.dropped
            .store(!self.closed.load(Ordering::Acquire), Ordering::Release);
        self.end_all();
    }

    /// Whether nobody closed it before its last clone was dropped.
    pub(crate) fn was_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Closes, and ends what waits. False where it has been closed before.
    fn end_all(&self) -> bool {
        let Some(endings) = self.shut(|_| ()) else { return false };
        for ending in endings {
            self.finish_ending(ending);
        }
        true
    }

    /// Closes the core, wakes whoever waits, breaks off what is under way (after `end` was called with it) and stops
    /// the threads. Returns the jobs that waited, to be ended; none where it has been done before.
    fn shut(&self, end: impl Fn(&JobCell)) -> Option<Vec<Ending>> {
        let mut guarded = self.core.lock();
        let (endings, in_flight) = guarded.core.close()?;
        let workers = guarded.core.workers;
        drop(guarded);
        // Before anybody can learn that it is closed, and end a job for that.
        in_flight.iter().for_each(|cell| end(cell));
        self.closed.store(true, Ordering::Release);
        if let Some(keeper) = &self.keeper {
            keeper.close();
        }
        self.room.notify_all();
        self.timer.notify_all();
        self.quiet.notify_all();
        for cell in &in_flight {
            cell.gate.cancel();
        }
        for _ in 0..workers {
            let _ = self.queue.0.send(Message::Stop);
        }
        Some(endings)
    }

    /// A worker whose connection was shut down tells its job's handle at once, and truly what was sent. One that is
    /// held up elsewhere (a name that does not resolve, a callback that does not return) is waited for a moment only.
    pub(super) fn end_held_up(&self) {
        const PATIENCE: Duration = Duration::from_millis(250);
        let deadline = clock::now() + PATIENCE;
        let mut guarded = self.core.lock();
        while guarded.core.in_flight() > 0 {
            if self.quiet.wait_until(&mut guarded, deadline).timed_out() {
                break;
            }
        }
        // Only what is still under way: the others have their results, and their workers are about to tell them.
        let held_up = guarded.core.under_way();
        drop(guarded);
        for cell in held_up {
            cell.slot.fill(Err(Error::ShutDown {
                dropped: self.was_dropped(),
                trail: Box::default(),
            }));
        }
    }

    /// Ends every job as [`Error::Panicked`], and the blaster.
    pub(super) fn fail_stop(&self, panic: &str) {
        event::log_panic("a decision of the engine");
        let what: Arc<str> = format!("a decision of the engine, which is closed now: {panic}").into();
        // The core may be in any state, so that even closing it may fail; a job that is lost over this says so itself.
        let end = |cell: &JobCell| {
            let (what, trail) = (what.to_string(), Box::default());
            cell.slot.fill(Err(Error::Panicked { what, trail }));
        };
        let Some(endings) = event::contain("closing the engine", || self.shut(end)).flatten() else {
            return;
        };
        for Ending { job, .. } in endings {
            let why = Why::Panicked(Arc::clone(&what));
            self.finish_ending(Ending { job, why });
        }
    }

    /// The blaster has been closed between a pump and the sending of what it gave: the workers may be gone before
    /// they find it in their queue, so it ends here.
    pub(super) fn sweep(&self) {
        let mut stops = 0;
        while let Ok(message) = self.queue.1.try_recv() {
            match message {
                Message::Work(assignment) => worker::give_up(self, *assignment),
                Message::Stop => stops += 1,
            }
        }
        for _ in 0..stops {
            let _ = self.queue.0.send(Message::Stop);
        }
    }
}
