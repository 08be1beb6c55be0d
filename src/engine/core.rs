//! Everything that the one lock guards, and the decisions taken under it.
//!
//! A decision never waits, sends or calls foreign code. What is to be done about it is returned as [`Actions`], and
//! is done when the lock is free again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::api::{Operation, Priority};
use crate::balance::outcome::Outcome;
use crate::balance::{
    Balancer, EndpointId, GiveUp, JobState, Lease, Opening, Pick, ReplyHead, SetId, Target, Unavailable, Verdict,
};

use super::actions::{Actions, Assignment, Ending, Settled, Why};
use super::best_fit::{self, Meanwhile, Preferred, need};
use super::by_id::ById;
use super::job::{Job, JobCell};
use super::lanes::{LaneId, Lanes};
use super::moment::{Epoch, Moment};

/// Most jobs handed out, or ended, in one hold of the lock; more are taken in a further one. Where an endpoint comes
/// back and hundreds of workers are idle, whoever else wants the lock waits for one decision, not for hundreds.
const BATCH: usize = 1;
/// Jobs passed over in one round because they wait for another endpoint than those that are ready.
pub(super) const MOST_ASIDE: usize = 32;

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
    /// Who submits has said that nothing more comes.
    nothing_more: bool,
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
            nothing_more: false,
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
        self.nothing_more = false;
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

    /// The caller who submits has no more, unless somebody submits again.
    pub(crate) fn nothing_more_comes(&mut self) {
        self.nothing_more = true;
    }

    fn is_complete(&self) -> bool {
        self.nothing_more || self.phase == Phase::Draining
    }

    /// A worker has nothing to do.
    pub(crate) fn worker_idles(&mut self) {
        self.idle += 1;
    }

    /// A worker is gone; it had nothing to do.
    pub(crate) fn worker_left(&mut self) {
        self.workers -= 1;
    }

    /// Hands jobs to idle workers for as long as there is a worker and a lane that admits, the most urgent first,
    /// and ends the jobs that nobody can serve.
    pub(crate) fn pump(&mut self, now: Instant, actions: &mut Actions) {
        self.unblock();
        self.go_on(now, actions);
    }

    fn unblock(&mut self) {
        self.lanes_wake = None;
        self.lanes.unblock();
    }

    /// Something has ended at one endpoint: nothing for those whom neither it nor its quota serves, nor for those who
    /// have to wait there all the same.
    fn unblock_for(&mut self, endpoint: EndpointId, now: Instant) {
        let is_shared = self.balancer.shares_quota(endpoint);
        let has_gaps = self.balancer.is_in_windows(endpoint);
        for id in self.lanes.blocked() {
            let (set, _) = self.lanes.need(id);
            if !self.balancer.may_let_go(set, endpoint) {
                continue;
            }
            let opening = if is_shared {
                Opening::Now
            } else {
                if has_gaps {
                    // What is left may have room for the smallest, if for any.
                    self.lanes.index_all(id, best_fit::AMONG);
                    self.lanes.gap_may_be_larger(id);
                }
                let (_, operation) = self.lanes.need(id);
                let sizes = self.lanes.candidates(id);
                self.balancer.opening(endpoint, operation, sizes, now)
            };
            match opening {
                Opening::Now => self.lanes.unblock_one(id),
                Opening::At(at) => self.wake_at(at),
                Opening::Never => {}
            }
        }
    }

    /// The lanes are looked at anew at this instant, at the latest.
    fn wake_at(&mut self, at: Instant) {
        self.lanes_wake = self.lanes_wake.into_iter().chain([at]).min();
    }

    /// Something was sent to an endpoint, or heard from it: should it fall silent, one of those that wait for its quota
    /// finds out whether it is there. True where that is earlier than what the timer is set for.
    fn wake_for_silence(&mut self, endpoint: EndpointId) -> bool {
        let somebody_waits = self.idle > 0 && self.lanes.waiting() > 0;
        let knock = self.balancer.knock_at(endpoint).filter(|_| somebody_waits);
        let sooner = knock.filter(|&at| self.lanes_wake.is_none_or(|wake| at < wake));
        self.lanes_wake = sooner.or(self.lanes_wake);
        sooner.is_some()
    }

    /// The part of a pump that is left where no lane can go on that could not before, but for those that have been
    /// unblocked: jobs have come, an attempt was settled, the last round was broken off.
    pub(crate) fn go_on(&mut self, now: Instant, actions: &mut Actions) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.lanes_wake.is_some_and(|at| at <= now) {
            self.unblock();
        }
        let moment = self.epoch.moment(now);
        self.wake_scheduled(moment);
        let rest = if self.is_complete() { self.lanes.rest() } else { None };
        if self.balancer.nothing_more_comes(rest, now) {
            self.unblock();
        }
        let mut aside = Vec::new();
        while self.idle > 0 {
            let Some(job) = self.lanes.take_next(moment) else {
                break;
            };
            if actions.assignments.len() + actions.endings.len() >= BATCH {
                self.lanes.put_back(job);
                actions.more = true;
                break;
            }
            let lane = job.cell.lane;
            let untried = JobState::new(job.id());
            let chosen = self
                .balancer
                .choose(&need(&self.lanes, self.epoch, &job, &untried), now);
            match chosen {
                Pick::Send(target) => {
                    let (lanes, balancer) = (&mut self.lanes, &mut self.balancer);
                    match best_fit::instead(lanes, balancer, self.epoch, &job, target, now) {
                        Some(preferred) => self.prefer(preferred, job, now, actions),
                        None => self.hand_out(job, target, now, actions),
                    }
                }
                Pick::WaitUntil(at) => {
                    let (lanes, balancer) = (&mut self.lanes, &mut self.balancer);
                    match best_fit::meanwhile(lanes, balancer, self.epoch, &job, now) {
                        Meanwhile::Goes(preferred) => self.prefer(preferred, job, now, actions),
                        Meanwhile::None { gap, at: sooner } => {
                            self.wake_at(sooner.map_or(at, |sooner| sooner.min(at)));
                            self.lanes.block(&job, gap);
                            self.lanes.put_back(job);
                        }
                    }
                }
                Pick::WaitForSettle => {
                    self.lanes.block(&job, None);
                    self.lanes.put_back(job);
                }
                Pick::TooLate(at) => self.end_with(job, Why::TooLate(at), actions),
                Pick::TooLarge(most) => self.end_with(job, Why::TooLarge(most), actions),
                Pick::WaitElsewhere(at) => {
                    if let Some(at) = at {
                        self.wake_at(at);
                    }
                    if aside.len() + 1 == MOST_ASIDE {
                        self.lanes.block(&job, None);
                    }
                    aside.push(job);
                }
                Pick::Never(why) => {
                    // It is so for all jobs of the lane.
                    self.lanes.put_back(job);
                    self.end_lane(lane, why, actions);
                }
            }
        }
        aside.into_iter().for_each(|job| self.lanes.put_back(job));
        if self.idle == 0 {
            self.end_hopeless(now, actions);
        }
        if self.idle == 0 {
            self.look_for_room(moment, now);
        }
        actions.changes.append(&mut self.balancer.take_changes());
        actions.remarks.append(&mut self.balancer.take_remarks());
    }

    /// With every worker busy it is seen now and then whether the next job waits for more than a worker, for advice.
    fn look_for_room(&mut self, moment: Moment, now: Instant) {
        if self.lanes.waiting() == 0 || !self.balancer.all_busy() {
            return;
        }
        if let Some(job) = self.lanes.take_next(moment) {
            let untried = JobState::new(job.id());
            self.balancer.look(&need(&self.lanes, self.epoch, &job, &untried), now);
            self.lanes.put_back(job);
        }
    }

    /// Another job goes before this one, which goes back to its place.
    fn prefer(&mut self, preferred: Preferred, oldest: Box<Job>, now: Instant, actions: &mut Actions) {
        if let Some(job) = self.lanes.take_instead(&oldest, preferred.job) {
            self.hand_out(job, preferred.target, now, actions);
        }
        self.lanes.put_back(oldest);
    }

    /// Hands a job to an idle worker.
    fn hand_out(&mut self, job: Box<Job>, target: Target, now: Instant, actions: &mut Actions) {
        if self.balancer.is_test_due(target.endpoint) {
            // It may be the test, which lets others go when it is confirmed, or the reason why another one is.
            self.lanes.unblock();
        }
        let untried = JobState::new(job.id());
        let lease = self
            .balancer
            .take(target, &need(&self.lanes, self.epoch, &job, &untried), now);
        self.lanes.took_turn(&job);
        self.forget_deadline(&job);
        self.in_flight.insert(job.id(), Arc::clone(&job.cell));
        self.idle -= 1;
        self.wake_for_silence(target.endpoint);
        let first_byte = self.balancer.first_byte_limit(&lease);
        actions.assignments.push(Assignment { job, lease, first_byte });
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

    fn wake_scheduled(&mut self, now: Moment) {
        while let Some(entry) = self.scheduled.first_entry()
            && entry.key().0 <= now
        {
            let job = entry.remove();
            self.due.remove(&job.id());
            self.lanes.insert(job);
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
                self.end(&job);
                actions.endings.push(Ending {
                    job,
                    why: Why::TimedOut,
                });
            }
        }
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

    /// Learns from a reply's head. True where [`Core::go_on`] should follow.
    pub(crate) fn admitted(&mut self, lease: &Lease, head: &ReplyHead, now: Instant) -> bool {
        let go_on = self.balancer.admitted(lease, head, now);
        if go_on {
            self.unblock();
        }
        go_on | self.wake_for_silence(lease.endpoint())
    }

    /// Takes back a lease with what came of the attempt, and says what becomes of its job. The worker is then
    /// idle, and [`Core::go_on`] must follow.
    pub(crate) fn settle(&mut self, mut job: Box<Job>, lease: Lease, outcome: &Outcome, now: Instant) -> Settled {
        self.in_flight.remove(&job.id());
        let (set, _) = self.lanes.need(job.cell.lane);
        let endpoint = lease.endpoint();
        let verdict = self.balancer.settle(lease, job.state(), set, outcome, now);
        // Who lacks an operation is waited for no longer by those who have failed elsewhere.
        if self.balancer.has_changes() || matches!(outcome, Outcome::Unusable { .. }) {
            self.unblock();
        } else {
            self.unblock_for(endpoint, now);
        }
        self.wake_for_silence(endpoint);
        let moment = self.epoch.moment(now);
        job.note_end(moment);
        let at = match verdict {
            Verdict::Done => {
                self.lanes.leave(job.cell.lane);
                self.ended.answered += 1;
                return Settled::Answered(job);
            }
            Verdict::GiveUp(why) => {
                self.end(&job);
                return Settled::Failed(job, why);
            }
            Verdict::RetryAt(at) => at,
        };
        let ends = if self.phase == Phase::Closed {
            Some(Why::ShutDown)
        } else if job.cell.gate.is_cancelled() {
            Some(Why::Cancelled)
        } else if job.deadline.is_some_and(|deadline| deadline <= moment) {
            Some(Why::TimedOut)
        } else {
            None
        };
        if let Some(why) = ends {
            self.end(&job);
            return Settled::Ended(Ending { job, why });
        }
        if job.handed_out() {
            self.end(&job);
            return Settled::Failed(job, GiveUp::Attempts);
        }
        if at <= now {
            self.wait(job);
        } else {
            let due = self.epoch.moment(at);
            if let Some(deadline) = job.deadline {
                self.deadlines
                    .insert((deadline, job.id(), job.cell.lane, job.cell.priority));
            }
            self.due.insert(job.id(), due);
            self.scheduled.insert((due, job.id()), job);
        }
        Settled::Waiting
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
