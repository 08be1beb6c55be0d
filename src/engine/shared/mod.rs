//! What all threads of a blaster share: the lock, the queue to the workers, and what is done when the lock is free.

pub(crate) use submission::Patience;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::api::withheld::Mask;
use crate::api::{Operation, RequestBody, RequestDefaults};
use crate::auth::Keeper;
#[cfg(feature = "tiktoken")]
use crate::balance::Vocabulary;
use crate::balance::outcome::Outcome;
use crate::balance::{EndpointId, Lease, Measured, ReplyHead, Snapshot};
use crate::clock;
use crate::transport::Transport;

use super::actions::{Actions, Assignment, Settled};
use super::core::{Core, Phase};
use super::event::{self, Hook};
use super::job::Job;
use super::local_limits::LackWarning;
use super::moment::{Epoch, Moment};
use super::news::{News, Piece};
use super::sync::{Condvar, Mutex, MutexGuard, queue, thread_local};

mod closing;
mod endings;
mod listener;
mod submission;

/// What a worker finds in its queue.
#[derive(Debug)]
pub(crate) enum Message {
    Work(Box<Assignment>),
    Stop,
}

/// One deployment, as far as sending cares.
#[derive(Debug)]
pub(crate) struct EndpointInfo {
    pub(crate) name: Arc<str>,
    pub(crate) model: Arc<str>,
    /// The quota group that it draws from.
    pub(crate) group: Option<Arc<str>>,
    /// Sent where the request sets none.
    pub(crate) defaults: RequestDefaults,
    /// Limit of an attempt here, instead of the general one.
    pub(crate) timeout: Option<Duration>,
    /// What each call to it carries that must not show.
    pub(crate) mask: Mask,
}

/// The time limits of attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) attempt: Duration,
    /// Limit of a job that sets none itself.
    pub(crate) job: Option<Duration>,
}

pub(crate) struct Shared {
    /// One lock around every decision. Held for a decision (well under 2 µs) and never for a wait: what is to be
    /// sent, told or woken is carried out of it as [`Actions`].
    core: Mutex<Guarded>,
    /// Room in the queue; one waiter is woken per job that leaves it.
    room: Condvar,
    /// Wakes the timer thread before its time.
    timer: Condvar,
    /// Wakes those who wait for the last job, or the last worker, to end.
    quiet: Condvar,
    queue: (queue::Sender<Message>, queue::Receiver<Message>),
    /// Set when the blaster has been closed, before the workers are told to stop.
    closed: AtomicBool,
    /// Set before it is closed because its last clone was dropped.
    dropped: AtomicBool,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) endpoints: Vec<EndpointInfo>,
    pub(crate) timeouts: Timeouts,
    /// Fetches tokens, where a deployment signs in with them.
    pub(crate) keeper: Option<Arc<Keeper>>,
    hook: Option<Hook>,
    news: News,
    pub(super) lack_warning: LackWarning,
    epoch: Epoch,
    /// Tells this blaster's worker threads from others.
    identity: u64,
    #[cfg(feature = "tiktoken")]
    counts_exactly: bool,
}

struct Guarded {
    core: Core,
    /// Until when the timer thread sleeps; none for ever.
    timer_sleeps_until: Option<Instant>,
}

thread_local! {
    /// The identity of the blaster that this thread works for; 0 for none.
    static WORKS_FOR: Cell<u64> = const { Cell::new(0) };
}

static IDENTITIES: AtomicU64 = AtomicU64::new(1);

impl Shared {
    pub(crate) fn new(
        core: Core,
        transport: Box<dyn Transport>,
        endpoints: Vec<EndpointInfo>,
        timeouts: Timeouts,
        hook: Option<Hook>,
    ) -> Self {
        Shared {
            epoch: core.epoch(),
            core: Mutex::new(Guarded {
                core,
                timer_sleeps_until: None,
            }),
            room: Condvar::new(),
            timer: Condvar::new(),
            quiet: Condvar::new(),
            queue: queue::unbounded(),
            closed: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            transport,
            endpoints,
            timeouts,
            keeper: None,
            hook,
            news: News::default(),
            lack_warning: LackWarning::new(),
            identity: IDENTITIES.fetch_add(1, Ordering::Relaxed),
            #[cfg(feature = "tiktoken")]
            counts_exactly: false,
        }
    }

    /// Some deployments sign in with tokens.
    pub(crate) fn with_tokens(mut self, keeper: Option<Arc<Keeper>>) -> Self {
        self.keeper = keeper;
        self
    }

    /// Whether prompts are counted by the tokeniser of their model.
    #[cfg(feature = "tiktoken")]
    pub(crate) fn counting_exactly(mut self, exact: bool) -> Self {
        self.counts_exactly = exact;
        self
    }

    /// How large a request is, and what it belongs to. Takes its time where tokens are counted exactly, and must not be asked under the lock.
    #[cfg_attr(not(feature = "tiktoken"), allow(clippy::unused_self))]
    pub(crate) fn measure<'a>(
        &self,
        operation: &Operation,
        model: Option<&str>,
        body: &'a RequestBody,
    ) -> Measured<'a> {
        #[cfg(feature = "tiktoken")]
        if self.counts_exactly {
            return Measured::counted(operation, body.bytes(), Vocabulary::of(model));
        }
        let _ = model;
        Measured::of(operation, body.bytes())
    }

    /// This thread, a worker's or the timer's, works for this blaster from now on.
    pub(crate) fn mark_worker(&self) {
        WORKS_FOR.with(|own| own.set(self.identity));
    }

    /// Does this as one of this blaster's own threads, whosever the calling one is.
    pub(crate) fn as_worker<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = WORKS_FOR.with(Cell::get);
        self.mark_worker();
        let done = work();
        WORKS_FOR.with(|own| own.set(before));
        done
    }

    /// Whether the calling thread is one of this blaster's own, and so must not wait for it.
    pub(crate) fn is_own_worker(&self) -> bool {
        WORKS_FOR.with(Cell::get) == self.identity
    }

    pub(crate) fn queue(&self) -> &queue::Receiver<Message> {
        &self.queue.1
    }

    /// Looks at the core, or changes it where nothing follows from that.
    pub(crate) fn with_core<T>(&self, look: impl FnOnce(&mut Core) -> T) -> T {
        self.locked(|mut guarded| look(&mut guarded.core))
    }

    /// Holds the lock for a decision. A panic in one is a mistake of ours, after which what the lock guards cannot be
    /// believed any more: everything ends, and then the panic goes on.
    fn locked<T>(&self, decide: impl FnOnce(MutexGuard<'_, Guarded>) -> T) -> T {
        catch_unwind(AssertUnwindSafe(|| decide(self.core.lock()))).unwrap_or_else(|panic| {
            self.fail_stop(&event::panic_text(panic.as_ref()));
            resume_unwind(panic)
        })
    }

    /// Takes a decision, pumps, and does what follows from both.
    pub(crate) fn act<T>(&self, decide: impl FnOnce(&mut Core, Instant, &mut Actions) -> T) -> T {
        let now = clock::now();
        let mut actions = Actions::default();
        let result = self.locked(|mut guarded| {
            let result = decide(&mut guarded.core, now, &mut actions);
            guarded.core.pump(now, &mut actions);
            self.release(guarded, &mut actions);
            result
        });
        self.perform(actions);
        result
    }

    /// Lets go of the lock after a pump: whoever waits for what has changed is woken.
    fn release(&self, mut guarded: MutexGuard<'_, Guarded>, actions: &mut Actions) {
        let left = actions.assignments.len() + actions.endings.len();
        let next = guarded.core.next_wake();
        let sooner = next.is_some_and(|at| guarded.timer_sleeps_until.is_none_or(|until| at < until));
        if sooner {
            guarded.timer_sleeps_until = next;
        }
        let quiet = guarded.core.phase() > Phase::Open && guarded.core.is_idle();
        actions.news = !actions.changes.is_empty() || !actions.remarks.is_empty();
        if actions.news {
            let changes = actions.changes.drain(..).map(Piece::Change);
            self.news
                .add(changes.chain(actions.remarks.drain(..).map(Piece::Remark)));
        }
        drop(guarded);
        if sooner {
            self.timer.notify_one();
        }
        for _ in 0..left {
            self.room.notify_one();
        }
        if quiet {
            self.quiet.notify_all();
        }
    }

    /// Does what was decided, without the lock.
    pub(crate) fn perform(&self, mut actions: Actions) {
        loop {
            for assignment in actions.assignments.drain(..) {
                self.hand_on(Box::new(assignment));
            }
            if actions.news {
                self.news.tell(|piece| {
                    event::contain("a listener", || match piece {
                        Piece::Change(change) => self.announce(change),
                        Piece::Remark(remark) => self.remark(remark),
                    });
                });
            }
            for ending in actions.endings.drain(..) {
                self.finish_ending(ending);
            }
            if !actions.more {
                return;
            }
            actions.more = false;
            let now = clock::now();
            self.locked(|mut guarded| {
                guarded.core.expire(now, &mut actions);
                guarded.core.go_on(now, &mut actions);
                self.release(guarded, &mut actions);
            });
        }
    }

    /// Learns from a reply's head; where that lets others go, they go now and not when the body has come.
    pub(crate) fn admitted(&self, lease: &Lease, head: &ReplyHead, now: Instant) {
        let mut actions = Actions::default();
        self.locked(|mut guarded| {
            if guarded.core.admitted(lease, head, now) {
                guarded.core.go_on(now, &mut actions);
                self.release(guarded, &mut actions);
            }
        });
        self.perform(actions);
    }

    /// Takes a lease back and, under the same lock, finds the worker its next job: the most urgent. The others go to
    /// their workers at once; the rest of what follows is returned, to be performed. A worker that rests gets no `next`.
    pub(crate) fn settle(
        &self,
        job: Box<Job>,
        lease: Lease,
        outcome: &Outcome,
        now: Instant,
        next: Option<&mut Option<Box<Assignment>>>,
    ) -> (Settled, Actions) {
        let mut actions = Actions::default();
        let settled = self.locked(|mut guarded| {
            let settled = guarded.core.settle(job, lease, outcome, now);
            if next.is_some() {
                guarded.core.worker_idles();
            }
            guarded.core.go_on(now, &mut actions);
            self.release(guarded, &mut actions);
            settled
        });
        let mut assignments = actions.assignments.drain(..).map(Box::new);
        if let Some(next) = next {
            *next = assignments.next();
        }
        assignments.for_each(|assignment| self.hand_on(assignment));
        (settled, actions)
    }

    /// Waits for `time`, or until the blaster is closed.
    pub(crate) fn pause(&self, time: Duration) {
        let until = clock::now() + time;
        let mut guarded = self.core.lock();
        while guarded.core.phase() != Phase::Closed && !self.quiet.wait_until(&mut guarded, until).timed_out() {}
    }

    /// Hands an assignment to another worker.
    pub(crate) fn hand_on(&self, assignment: Box<Assignment>) {
        // The receiver lives as long as `self`.
        let _ = self.queue.0.send(Message::Work(assignment));
        if self.closed.load(Ordering::Acquire) {
            self.sweep();
        }
    }

    /// Time since the job's submission.
    pub(crate) fn age(&self, job: &Job) -> Duration {
        self.moment(clock::now()).since(job.submitted)
    }

    pub(crate) fn moment(&self, at: Instant) -> Moment {
        self.epoch.moment(at)
    }

    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.epoch.instant(moment)
    }

    /// The timer thread: sleeps until the next thing is due, and sees to it. No panic but the end ends it.
    pub(crate) fn run_timer(&self) {
        self.mark_worker();
        let see_to_one = || {
            let due = self.locked(|guarded| self.await_due(guarded));
            due.map(|actions| self.perform(actions))
        };
        while event::contain("the timer", see_to_one) != Some(None) {}
        // Whoever closed it by dropping it has not waited for that.
        self.end_held_up();
    }

    /// What is to be done when the next thing is due; none where the blaster is closed.
    fn await_due(&self, mut guarded: MutexGuard<'_, Guarded>) -> Option<Actions> {
        loop {
            if guarded.core.phase() == Phase::Closed {
                return None;
            }
            let now = clock::now();
            match guarded.core.next_wake() {
                Some(at) if at <= now => {
                    let mut actions = Actions::default();
                    guarded.core.expire(now, &mut actions);
                    guarded.core.pump(now, &mut actions);
                    self.release(guarded, &mut actions);
                    return Some(actions);
                }
                Some(at) => {
                    guarded.timer_sleeps_until = Some(at);
                    self.timer.wait_until(&mut guarded, at);
                }
                None => {
                    guarded.timer_sleeps_until = None;
                    self.timer.wait(&mut guarded);
                }
            }
        }
    }

    /// A snapshot of an endpoint.
    pub(crate) fn snapshot(&self, id: EndpointId) -> Snapshot {
        let now = clock::now();
        self.with_core(|core| core.balancer.snapshot(id, now))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}
