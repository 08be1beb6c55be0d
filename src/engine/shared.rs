//! What all threads of a blaster share: the lock, the queue to the workers, and what is done when the lock is free.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::api::{Operation, RequestBody, RequestDefaults};
#[cfg(feature = "tiktoken")]
use crate::balance::Vocabulary;
use crate::balance::outcome::Outcome;
use crate::balance::{Change, EndpointId, Lease, Measured, Remark, ReplyHead, SetId, Snapshot};
use crate::clock;
use crate::error::{Error, Trail};
use crate::transport::Transport;

use super::actions::{Actions, Assignment, Ending, Settled, Why};
use super::core::{Core, NotTaken, Phase};
use super::event::{self, Event, Hook};
use super::job::{Job, JobCell, Reply, Request};
use super::local_limits::LackWarning;
use super::moment::{Epoch, Moment};
use super::news::{News, Piece};
use super::sync::{Condvar, Mutex, MutexGuard, queue, thread_local};
use super::worker;

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
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) endpoints: Vec<EndpointInfo>,
    pub(crate) timeouts: Timeouts,
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

/// Whether, and until when, a submitter waits for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Endless,
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
            transport,
            endpoints,
            timeouts,
            hook,
            news: News::default(),
            lack_warning: LackWarning::new(),
            identity: IDENTITIES.fetch_add(1, Ordering::Relaxed),
            #[cfg(feature = "tiktoken")]
            counts_exactly: false,
        }
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

    /// Ends every job as [`Error::Panicked`], and the blaster.
    fn fail_stop(&self, panic: &str) {
        event::log_panic("a decision of the engine", panic);
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

    fn announce(&self, change: Change) {
        let left = change.until.map(|until| until.saturating_duration_since(clock::now()));
        event::log_change(&change, left);
        let Change {
            endpoint,
            condition,
            reason,
            ..
        } = change;
        self.tell_listener(&Event::EndpointChanged {
            endpoint,
            condition,
            reason,
            left,
        });
    }

    fn remark(&self, remark: Remark) {
        let of = |id: EndpointId| &self.endpoints[id.index()];
        match remark {
            Remark::Contradicted {
                endpoint,
                is_groups,
                limit,
            } => {
                let endpoint = of(endpoint);
                // Tokens a minute, which no cast can spoil.
                let contradicted = Event::LimitContradicted {
                    endpoint: Arc::clone(&endpoint.name),
                    group: endpoint.group.clone().filter(|_| is_groups),
                    told_tpm: limit.told.round() as u64,
                    believed_tpm: limit.believed.round() as u64,
                };
                event::log_contradiction(&contradicted);
                self.tell_listener(&contradicted);
            }
            Remark::Answers(endpoint, advice) => log::info!("advice for endpoint {}: {advice}", of(endpoint).name),
            Remark::Workers(advice) => log::info!("advice: {advice}"),
        }
    }

    /// Tells the listener, if there is one, of what concerns no job: its panic ends none.
    fn tell_listener(&self, event: &Event) {
        if let Some(hook) = &self.hook
            && let Err(panic) = event::tell(hook, event)
        {
            log::error!("the event hook panicked: {panic}");
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

    /// The blaster has been closed between a pump and the sending of what it gave: the workers may be gone before
    /// they find it in their queue, so it ends here.
    fn sweep(&self) {
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

    /// Takes a job, or says why not.
    pub(crate) fn submit(
        &self,
        set: SetId,
        operation: &Operation,
        patience: Patience,
        request: Request,
        timeout: Option<Duration>,
        priority: crate::api::Priority,
    ) -> Result<Arc<JobCell>, NotTaken> {
        let job = Job::new(request, priority);
        let patience = if self.is_own_worker() { Patience::None } else { patience };
        // A decision that panics has closed the blaster.
        let taken = event::contain("a submit", || {
            self.locked(|guarded| self.admit(set, operation, patience, job, timeout, guarded))
        });
        let (cell, actions) = taken.unwrap_or(Err(NotTaken::Closed))?;
        self.perform(actions);
        Ok(cell)
    }

    /// Waits for room, and takes the job. A job that is not taken is dropped after `guarded`, the last parameter: what
    /// it holds is the caller's.
    fn admit(
        &self,
        set: SetId,
        operation: &Operation,
        patience: Patience,
        job: Box<Job>,
        timeout: Option<Duration>,
        mut guarded: MutexGuard<'_, Guarded>,
    ) -> Result<(Arc<JobCell>, Actions), NotTaken> {
        loop {
            match (guarded.core.admission(), patience) {
                (Ok(()), _) => break,
                (Err(NotTaken::Full), Patience::Endless) => self.room.wait(&mut guarded),
                (Err(NotTaken::Full), Patience::Until(deadline)) => {
                    // Room may have come in the same moment, and then the wake-up must not be lost.
                    if self.room.wait_until(&mut guarded, deadline).timed_out()
                        && guarded.core.admission() == Err(NotTaken::Full)
                    {
                        return Err(NotTaken::Full);
                    }
                }
                (Err(why), _) => return Err(why),
            }
        }
        let now = clock::now();
        let deadline = timeout
            .or(self.timeouts.job)
            .and_then(|timeout| now.checked_add(timeout));
        let cell = guarded.core.submit(set, operation, job, deadline, now);
        let mut actions = Actions::default();
        guarded.core.go_on(now, &mut actions);
        self.release(guarded, &mut actions);
        Ok((cell, actions))
    }

    /// Cancels a job, wherever it is.
    pub(crate) fn cancel(&self, cell: &JobCell) {
        // In this order: a job on its way back into the queue either sees the gate, or is found there.
        cell.gate.cancel();
        let mut actions = Actions::default();
        // A handle cancels while it is dropped, which must not panic.
        event::contain("a cancel", || {
            self.locked(|mut guarded| {
                if let Some(ending) = guarded.core.cancel(cell) {
                    actions.endings.push(ending);
                    // Others may have waited behind it.
                    guarded.core.go_on(clock::now(), &mut actions);
                }
                self.release(guarded, &mut actions);
            });
        });
        self.perform(actions);
    }

    /// Tells a job's handle how it ended, when all of the caller's that the job held has been let go of.
    pub(crate) fn finish(&self, job: &mut Job, submitted: Duration, attempts: usize, mut result: Result<Reply, Error>) {
        job.request.drop_sink();
        if let Some(hook) = &self.hook {
            let error = result.as_ref().err().map(Error::kind);
            let ended = Event::JobEnded {
                job: job.id(),
                error,
                attempts,
                duration: submitted,
            };
            if let Err(what) = event::tell(hook, &ended) {
                // What was sent stays true.
                let ledger = match &result {
                    Ok(reply) => reply.ledger().clone(),
                    Err(error) => error.ledger().cloned().unwrap_or_default(),
                };
                let trail = Box::new(Trail {
                    ledger,
                    ..Trail::default()
                });
                result = Err(Error::Panicked { what, trail });
            }
        }
        job.cell.slot.fill(result);
    }

    /// Tells the listener, if there is one. Its panic is returned in words.
    pub(crate) fn tell(&self, make: impl FnOnce() -> Event) -> Result<(), String> {
        self.hook.as_ref().map_or(Ok(()), |hook| event::tell(hook, &make()))
    }

    /// Time since the job's submission.
    pub(crate) fn age(&self, job: &Job) -> Duration {
        self.moment(clock::now()).since(job.submitted)
    }

    /// Tells the handle of a job that ends without a (further) attempt.
    pub(crate) fn finish_ending(&self, ending: Ending) {
        let Ending { mut job, why } = ending;
        let age = self.age(&job);
        let trail = job.take_trail("it was waiting for a deployment to admit it");
        let attempts = trail.ledger.len();
        let error = match why {
            Why::NoEndpoint(unavailable) => Error::NoEndpoint {
                endpoints: unavailable.reasons,
                trail,
            },
            Why::TimedOut => Error::Timeout {
                timeout: self.timeout_of(&job),
                trail,
            },
            Why::TooLate(at) => Error::TooLate {
                timeout: self.timeout_of(&job),
                earliest: self.moment(at).since(job.submitted),
                trail,
            },
            Why::TooLarge(most) => Error::TooLarge {
                tokens: job.request.size.total().into(),
                most,
                trail,
            },
            Why::ShutDown => Error::ShutDown(trail),
            Why::Cancelled => Error::Cancelled(trail),
            Why::Panicked(what) => Error::Panicked {
                what: what.to_string(),
                trail,
            },
        };
        self.finish(&mut job, age, attempts, Err(error));
    }

    /// The job's own timeout, as it was set.
    pub(crate) fn timeout_of(&self, job: &Job) -> Duration {
        job.deadline
            .map_or(Duration::MAX, |deadline| deadline.since(job.submitted))
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
        let Some(endings) = self.shut(|_| ()) else { return };
        for ending in endings {
            self.finish_ending(ending);
        }
        self.await_in_flight();
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
    /// held up elsewhere (a name that does not resolve, a callback that does not return) is not waited for.
    fn await_in_flight(&self) {
        const PATIENCE: Duration = Duration::from_millis(250);
        if self.is_own_worker() {
            return;
        }
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
            cell.slot.fill(Err(Error::ShutDown(Box::default())));
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
