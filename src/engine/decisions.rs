//! The engine's decisions without its threads, for two benches: one tells how long the lock is held for each, the other
//! how well they use what quotas allow, in a world whose time is simulated.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::api::{Method, Operation, Priority, RequestBody};
use crate::balance::outcome::Outcome;
use crate::balance::{BalanceSettings, Balancer, EndpointId, EndpointSpec, JobSize, ReplyHead, Role, SetId};

use super::actions::{Actions, Assignment, Settled};
use super::core::Core;
use super::job::{Job, ReplyKind, Request};

/// What the lock guards, with its decisions called as the engine calls them, each under one hold of the lock.
#[derive(Debug)]
pub struct Decisions {
    core: Core,
    under_way: VecDeque<Assignment>,
    more: bool,
}

/// A job that has not been submitted.
#[derive(Debug)]
pub struct Entrant(Box<Job>);

/// A request under way, taken to be settled by [`Decisions::settle_one`] whenever it ends.
#[derive(Debug)]
#[must_use = "a request that is not settled keeps a worker busy for ever"]
pub struct Sent(Assignment);

/// What has become of a job whose attempt was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has its answer.
    Answered,
    /// It waits to be tried again.
    Waiting,
    /// It has ended with an error.
    Failed,
}

/// What is left of a decision, to be dropped without the lock.
#[derive(Debug)]
pub struct Rest(Option<Settled>, Actions);

impl Decisions {
    /// An engine with `settings.workers` idle workers and room for `capacity` jobs.
    pub fn new(specs: Vec<EndpointSpec>, settings: BalanceSettings, capacity: usize, now: Instant) -> Self {
        let workers = settings.workers;
        let mut core = Core::new(Balancer::new(specs, settings), capacity, now);
        (0..workers).for_each(|_| core.worker_idles());
        Decisions {
            core,
            under_way: VecDeque::new(),
            more: false,
        }
    }

    /// The endpoints that serve `model`.
    pub fn set(&self, model: &str) -> Option<SetId> {
        self.core.balancer.set(Some(model))
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.core.waiting()
    }

    /// Jobs under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// A job with this body, made without the lock.
    pub fn job(priority: Priority, body: Vec<u8>) -> Entrant {
        let size = JobSize::of(&Operation::ChatCompletions, &body);
        Decisions::job_of(priority, size, body)
    }

    /// A job of this size.
    pub fn job_of(priority: Priority, size: JobSize, body: Vec<u8>) -> Entrant {
        let request = Request::new(
            RequestBody::opaque(body),
            Method::Post,
            ReplyKind::Chat,
            size,
            None,
            None,
        );
        Entrant(Job::new(request, priority))
    }

    /// A job is submitted.
    pub fn submit(&mut self, set: SetId, job: Entrant, deadline: Option<Instant>, now: Instant) -> Rest {
        self.enqueue(set, job, deadline, now);
        let mut actions = Actions::default();
        self.core.go_on(now, &mut actions);
        self.rest(None, actions)
    }

    /// A job is submitted before the workers look for one: part of a backlog, which [`Decisions::wake`] begins.
    pub fn enqueue(&mut self, set: SetId, job: Entrant, deadline: Option<Instant>, now: Instant) {
        if self.core.admission().is_ok() {
            self.core.submit(set, &Operation::ChatCompletions, job.0, deadline, now);
        }
    }

    /// Takes the request that has been under way for longest of those that were not taken, to settle it by itself.
    pub fn take(&mut self) -> Option<Sent> {
        self.under_way.pop_front().map(Sent)
    }

    /// A connection has been made before anything was sent over it, which took so long.
    pub fn connected(&mut self, endpoint: EndpointId, took: Duration, now: Instant) {
        self.core.balancer.connected(endpoint, 0, took, now);
    }

    /// The head of a reply has come.
    pub fn admitted(&mut self, sent: &Sent, head: &ReplyHead, now: Instant) -> Rest {
        let mut actions = Actions::default();
        if self.core.admitted(&sent.0.lease, head, now) {
            self.core.go_on(now, &mut actions);
        }
        self.rest(None, actions)
    }

    /// The job that has been under way for longest comes to its end, and its worker asks for the next.
    pub fn settle(&mut self, outcome: &Outcome, now: Instant) -> Rest {
        match self.take() {
            Some(sent) => self.settle_one(sent, outcome, now),
            None => self.go_on(now),
        }
    }

    /// A request comes to its end, and its worker asks for the next.
    pub fn settle_one(&mut self, Sent(assignment): Sent, outcome: &Outcome, now: Instant) -> Rest {
        let Assignment { job, lease, .. } = assignment;
        let settled = self.core.settle(job, lease, outcome, now);
        self.core.worker_idles();
        let mut actions = Actions::default();
        self.core.go_on(now, &mut actions);
        self.rest(Some(settled), actions)
    }

    /// When the timer is to call [`Decisions::wake`] although nothing else happens.
    pub fn next_wake(&self) -> Option<Instant> {
        self.core.next_wake()
    }

    /// Time has passed: what is due is done.
    pub fn wake(&mut self, now: Instant) -> Rest {
        let mut actions = Actions::default();
        self.core.expire(now, &mut actions);
        self.core.pump(now, &mut actions);
        self.rest(None, actions)
    }

    /// Whether the last hold of the lock has left something to do.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Does more of it.
    pub fn go_on(&mut self, now: Instant) -> Rest {
        let mut actions = Actions::default();
        self.core.expire(now, &mut actions);
        self.core.go_on(now, &mut actions);
        self.rest(None, actions)
    }

    /// As the engine ends each hold of the lock.
    fn rest(&mut self, settled: Option<Settled>, mut actions: Actions) -> Rest {
        self.core.next_wake();
        self.more = actions.more;
        self.under_way.extend(actions.assignments.drain(..));
        Rest(settled, actions)
    }
}

impl Sent {
    /// Position of its job in the order of submission, from 0.
    pub fn job(&self) -> u64 {
        self.0.job.id()
    }

    /// Where it goes.
    pub fn endpoint(&self) -> EndpointId {
        self.0.lease.endpoint()
    }

    /// What it is to its endpoint.
    pub fn role(&self) -> Role {
        self.0.lease.role()
    }

    /// Longest wait for its first byte, where that is less than the configured one.
    pub fn first_byte(&self) -> Option<Duration> {
        self.0.first_byte
    }
}

impl Rest {
    /// What has become of the job whose attempt was settled, if one was.
    pub fn fate(&self) -> Option<Fate> {
        self.0.as_ref().map(|settled| match settled {
            Settled::Answered(_) => Fate::Answered,
            Settled::Waiting => Fate::Waiting,
            Settled::Failed(..) | Settled::Ended(_) => Fate::Failed,
        })
    }

    /// The jobs that have ended without having been sent (again), by their positions in the order of submission.
    pub fn ended(&self) -> impl Iterator<Item = u64> {
        self.1.endings.iter().map(|ending| ending.job.id())
    }
}
