//! Everything that the one lock guards, and the decisions taken under it.
//!
//! A decision never waits, sends or calls foreign code. What is to be done about it is returned as [`Actions`], and
//! is done when the lock is free again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::api::{Operation, Priority};
use crate::balance::{Balancer, SetId, Unavailable};

use super::actions::{Actions, Ending, Why};
use super::by_id::ById;
use super::job::{Job, JobCell};
use super::lanes::{LaneId, Lanes};
use super::moment::{Epoch, Moment};

mod pump;
mod settle;

#[cfg(test)]
pub(super) use pump::MOST_ASIDE;

/// Most jobs handed out, or ended, in one hold of the lock; more are taken in a further one. Where an endpoint comes
/// back and hundreds of workers are idle, whoever else wants the lock waits for one decision, not for hundreds. To have
/// found out that a lane has to wait is a decision, too.
const BATCH: usize = 1;

/// Most deployments of which a job that has run out of time says why they had no token.
const REASONS_TOLD: usize = 5;

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) balancer: Balancer,
    pub(super) lanes: Lanes,
    /// Jobs that are to be tried again at a given moment, by that moment; nobody can take them before.
    scheduled: BTreeMap<(Moment, u64), Box<Job>>,
    /// When each of them is due, to find one by its id.
    due: ById<Moment>,
    /// The deadlines of the jobs that wait.
    deadlines: BTreeSet<(Moment, u64, LaneId, Priority)>,
    /// The jobs that are under way.
    in_flight: ById<Arc<JobCell>>,
    /// Workers that have nothing to do.
    idle: usize,
    /// Workers that live.
    pub(crate) workers: usize,
    next_id: u64,
    phase: Phase,
    /// Most jobs waiting.
    capacity: usize,
    epoch: Epoch,
    /// When the first blocked lane may go on, as the rounds of the pump since the last change have found.
    lanes_wake: Option<Instant>,
    /// The last round ended with a lane that has to wait, before it had looked at all of them.
    is_broken_off: bool,
    /// Why nobody could serve the jobs that ended last for that; further ones share it.
    last_why: Option<Unavailable>,
    /// Jobs that have ended, by how.
    pub(crate) ended: Ended,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Jobs are taken.
    Open,
    /// No more jobs are taken; those that there are go on.
    Draining,
    /// Everything ends.
    Closed,
}

/// Counts of jobs that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
}

/// A job that is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Closed,
}

impl Core {
    pub(crate) fn new(balancer: Balancer, capacity: usize, start: Instant) -> Self {
        Core {
            balancer,
            lanes: Lanes::default(),
            scheduled: BTreeMap::new(),
            due: ById::default(),
            deadlines: BTreeSet::new(),
            in_flight: ById::default(),
            idle: 0,
            workers: 0,
            next_id: 0,
            phase: Phase::Open,
            capacity,
            epoch: Epoch::new(start),
            lanes_wake: None,
            is_broken_off: false,
            last_why: None,
            ended: Ended::default(),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Jobs waiting to be sent, those that wait for a retry included.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.waiting() + self.scheduled.len()
    }

    /// Jobs under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The jobs under way, as far as their handles share them.
    pub(crate) fn under_way(&self) -> Vec<Arc<JobCell>> {
        self.in_flight.values().cloned().collect()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.in_flight.is_empty()
    }

    /// Whether a job may be taken now.
    pub(crate) fn admission(&self) -> Result<(), NotTaken> {
        if self.phase != Phase::Open {
            Err(NotTaken::Closed)
        } else if self.waiting() >= self.capacity {
            Err(NotTaken::Full)
        } else {
            Ok(())
        }
    }

    /// Takes a job. To be followed by a pump.
    pub(crate) fn submit(
        &mut self,
        set: SetId,
        operation: &Operation,
        mut job: Box<Job>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Arc<JobCell> {
        let id = self.next_id;
        self.next_id += 1;
        let lane = self.lanes.lane(set, operation);
        self.lanes.enter(lane);
        let deadline = deadline.map(|at| self.epoch.moment(at));
        job.enter(id, lane, self.epoch.moment(now), deadline);
        let cell = Arc::clone(&job.cell);
        self.wait(job);
        cell
    }

    fn wait(&mut self, job: Box<Job>) {
        if let Some(deadline) = job.deadline {
            self.deadlines
                .insert((deadline, job.id(), job.cell.lane, job.cell.priority));
        }
        self.lanes.insert(job);
    }

    fn forget_deadline(&mut self, job: &Job) {
        if let Some(deadline) = job.deadline {
            self.deadlines
                .remove(&(deadline, job.id(), job.cell.lane, job.cell.priority));
        }
    }

    /// A worker has nothing to do.
    pub(crate) fn worker_idles(&mut self) {
        self.idle += 1;
    }

    /// A worker is gone; it had nothing to do.
    pub(crate) fn worker_left(&mut self) {
        self.workers -= 1;
    }

    /// A job that waited ends.
    fn end_with(&mut self, job: Box<Job>, why: Why, actions: &mut Actions) {
        self.end(&job);
        actions.endings.push(Ending { job, why });
    }

    /// With every worker busy nobody looks at the lanes; jobs that no endpoint can serve end all the same.
    fn end_hopeless(&mut self, now: Instant, actions: &mut Actions) {
        if !self.balancer.any_choosy() {
            return;
        }
        for lane in self.lanes.occupied() {
            let (set, operation) = self.lanes.need(lane);
            let Some(why) = self.balancer.hopeless(set, operation, now) else {
                continue;
            };
            self.end_lane(lane, why, actions);
            if actions.more {
                return;
            }
        }
    }

    /// Ends the jobs of a lane that nobody can serve, as many as one hold of the lock allows.
    fn end_lane(&mut self, lane: LaneId, why: Unavailable, actions: &mut Actions) {
        // The reasons are long where there are many endpoints, and a million jobs may end for the same ones.
        let why = match self.last_why.take() {
            Some(last) if last == why => last,
            _ => why,
        };
        self.last_why = Some(why.clone());
        while let Some(job) = self.lanes.take_of(lane) {
            if actions.endings.len() >= BATCH {
                self.lanes.put_back(job);
                actions.more = true;
                return;
            }
            self.end(&job);
            actions.endings.push(Ending {
                job,
                why: Why::NoEndpoint(why.clone()),
            });
        }
    }

    /// A job that waited, or was under way, is over.
    fn end(&mut self, job: &Job) {
        self.forget_deadline(job);
        self.lanes.leave(job.cell.lane);
        self.ended.failed += 1;
    }

    /// Ends the waiting jobs whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant, actions: &mut Actions) {
        let now = self.epoch.moment(now);
        while let Some(&(deadline, id, lane, priority)) = self.deadlines.first()
            && deadline <= now
        {
            if actions.endings.len() >= BATCH {
                actions.more = true;
                return;
            }
            self.deadlines.pop_first();
            if let Some(job) = self.take_waiting(id, lane, priority) {
                let (set, _) = self.lanes.need(lane);
                let why = self.out_of_time(set);
                self.end(&job);
                actions.endings.push(Ending { job, why });
            }
        }
    }

    /// The time of a job is over, which might have gone to any of the set.
    fn out_of_time(&self, set: SetId) -> Why {
        let awaited = self.balancer.awaited_tokens(set);
        let words = awaited.iter().map(|(name, reason)| format!("{name} {reason}"));
        let words: Vec<_> = words.take(REASONS_TOLD).collect();
        Why::TimedOut((!words.is_empty()).then(|| words.join("; ").into()))
    }

    fn take_waiting(&mut self, id: u64, lane: LaneId, priority: Priority) -> Option<Box<Job>> {
        self.lanes.remove(lane, priority, id).or_else(|| {
            let due = self.due.remove(&id)?;
            self.scheduled.remove(&(due, id))
        })
    }

    /// The next moment at which something is to be done although nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let retry = self.scheduled.first_key_value().map(|(&(at, _), _)| at);
        let deadline = self.deadlines.first().map(|&(at, ..)| at);
        let own = retry
            .into_iter()
            .chain(deadline)
            .min()
            .map(|moment| self.epoch.instant(moment));
        // Without an idle worker no lane can go on; the one that becomes idle asks anew.
        let lanes = self.lanes_wake.filter(|_| self.idle > 0 && self.lanes.waiting() > 0);
        own.into_iter().chain(lanes).min()
    }

    /// Takes a job out of its lane to end it; none where it is under way or over.
    pub(crate) fn cancel(&mut self, cell: &JobCell) -> Option<Ending> {
        let job = self.take_waiting(cell.id, cell.lane, cell.priority)?;
        self.end(&job);
        Some(Ending {
            job,
            why: Why::Cancelled,
        })
    }

    /// No more jobs are taken.
    pub(crate) fn drain(&mut self) {
        self.phase = self.phase.max(Phase::Draining);
    }

    /// Ends everything: the jobs that wait are returned to be ended, those under way to be cancelled. Nothing
    /// where it has been closed before.
    pub(crate) fn close(&mut self) -> Option<(Vec<Ending>, Vec<Arc<JobCell>>)> {
        if self.phase == Phase::Closed {
            return None;
        }
        self.phase = Phase::Closed;
        self.deadlines.clear();
        self.due.clear();
        let waiting = self
            .lanes
            .drain()
            .into_iter()
            .chain(std::mem::take(&mut self.scheduled).into_values());
        let endings: Vec<Ending> = waiting
            .map(|job| Ending {
                job,
                why: Why::ShutDown,
            })
            .collect();
        self.ended.failed += endings.len() as u64;
        Some((endings, self.under_way()))
    }
}
