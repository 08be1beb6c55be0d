//! The engine's decisions without its threads, for the bench that tells how long the lock is held for each.

use std::collections::VecDeque;
use std::time::Instant;

use crate::api::{Method, Operation, Priority, RequestBody};
use crate::balance::outcome::Outcome;
use crate::balance::{BalanceSettings, Balancer, EndpointSpec, JobSize, SetId};

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

/// What is left of a decision, to be dropped without the lock.
#[derive(Debug)]
#[allow(dead_code)] // to be dropped is all that it is for
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
        if self.core.admission().is_ok() {
            self.core.submit(set, &Operation::ChatCompletions, job.0, deadline, now);
        }
        let mut actions = Actions::default();
        self.core.go_on(now, &mut actions);
        self.rest(None, actions)
    }

    /// The job that has been under way for longest comes to its end, and its worker asks for the next.
    pub fn settle(&mut self, outcome: &Outcome, now: Instant) -> Rest {
        let settled = self.under_way.pop_front().map(|Assignment { job, lease, .. }| {
            let settled = self.core.settle(job, lease, outcome, now);
            self.core.worker_idles();
            settled
        });
        let mut actions = Actions::default();
        self.core.go_on(now, &mut actions);
        self.rest(settled, actions)
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
