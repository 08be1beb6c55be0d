//! The engine's decisions without its threads, for the bench that tells how long the lock is held for each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::api::{Method, Operation, Priority, RequestBody};
use crate::balance::outcome::Outcome;
use crate::balance::{BalanceSettings, Balancer, EndpointSpec, SetId};

use super::core::{Actions, Assignment, Core, Settled};
use super::job::{Job, JobCell, ReplyKind, Request};

/// What the lock guards, with its decisions called as the engine calls them, each under one hold of the lock.
#[derive(Debug)]
pub struct Decisions {
    core: Core,
    under_way: VecDeque<Assignment>,
}

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

    /// A job with this body is submitted.
    pub fn submit(
        &mut self,
        set: SetId,
        priority: Priority,
        body: Vec<u8>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Rest {
        let request = Request::new(RequestBody::opaque(body), Method::Post, ReplyKind::Chat, None, None);
        let epoch = self.core.epoch();
        if self.core.admission().is_ok() {
            self.core.submit(set, &Operation::ChatCompletions, |id, lane| {
                let cell = Arc::new(JobCell::new(id, lane, priority));
                let deadline = deadline.map(|at| epoch.moment(at));
                Box::new(Job::new(cell, request, epoch.moment(now), deadline))
            });
        }
        self.pump(None, now)
    }

    /// The job that has been under way for longest comes to its end, and its worker asks for the next.
    pub fn settle(&mut self, outcome: &Outcome, now: Instant) -> Rest {
        let settled = self.under_way.pop_front().map(|Assignment { job, lease, .. }| {
            let settled = self.core.settle(job, lease, outcome, now);
            self.core.worker_idles();
            settled
        });
        self.pump(settled, now)
    }

    fn pump(&mut self, settled: Option<Settled>, now: Instant) -> Rest {
        let mut actions = Actions::default();
        self.core.pump(now, &mut actions);
        self.core.next_wake();
        self.under_way.extend(actions.assignments.drain(..));
        Rest(settled, actions)
    }
}
