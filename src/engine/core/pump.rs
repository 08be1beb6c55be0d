//! Jobs are handed to idle workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::balance::{EndpointId, JobState, Opening, Pick, Target};
use crate::engine::actions::{Actions, Assignment, Why};
use crate::engine::best_fit::{self, Meanwhile, Preferred, need};
use crate::engine::job::Job;
use crate::engine::moment::Moment;
use crate::engine::scout;

use super::{BATCH, Core, Phase};

/// Jobs of a lane passed over in one round because they wait for another endpoint than those that are ready.
pub(in crate::engine) const MOST_ASIDE: usize = 32;

impl Core {
    /// Hands jobs to idle workers for as long as there is a worker and a lane that admits, the most urgent first,
    /// and ends the jobs that nobody can serve.
    pub(crate) fn pump(&mut self, now: Instant, actions: &mut Actions) {
        self.unblock();
        self.go_on(now, actions);
    }

    pub(super) fn unblock(&mut self) {
        self.lanes_wake = None;
        self.lanes.unblock();
    }

    /// Something has ended at one endpoint: nothing for those whom neither it nor its quota serves, nor for those who
    /// have to wait there all the same.
    pub(super) fn unblock_for(&mut self, endpoint: EndpointId, now: Instant) {
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
    pub(super) fn wake_for_silence(&mut self, endpoint: EndpointId) -> bool {
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
        // A round that was broken off comes to its end first: whoever goes on with it looks at each lane once, however
        // soon the first of them may be looked at again. The timer wakes for that.
        let goes_on = std::mem::take(&mut self.is_broken_off);
        if !goes_on && self.lanes_wake.is_some_and(|at| at <= now) {
            self.unblock();
        }
        let moment = self.epoch.moment(now);
        self.wake_scheduled(moment);
        let mut aside = Vec::new();
        let mut aside_of = BTreeMap::new();
        while self.idle > 0 {
            let is_enough = actions.assignments.len() + actions.endings.len() >= BATCH;
            if is_enough || self.is_broken_off {
                actions.more |= self.lanes.any_may_go();
                break;
            }
            let Some(job) = self.lanes.take_next(moment) else {
                break;
            };
            let lane = job.cell.lane;
            let untried = JobState::new(job.id());
            let chosen = self
                .balancer
                .choose(&need(&self.lanes, self.epoch, &job, &untried), now);
            if !matches!(chosen, Pick::Send(_)) {
                let (set, _) = self.lanes.need(lane);
                self.balancer.waits(set, moment.since(job.submitted), now);
            }
            match chosen {
                Pick::Send(target) => {
                    let (lanes, balancer) = (&mut self.lanes, &mut self.balancer);
                    if let Some(place) = scout::instead(lanes, balancer, self.epoch, &job, target, now)
                        && let Some(scout) = lanes.remove(place.lane, place.class, place.job)
                    {
                        self.hand_out(scout, target, now, actions);
                        self.lanes.put_back(job);
                        continue;
                    }
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
                            // Jobs that were put aside would be looked at again.
                            self.is_broken_off = aside.is_empty();
                        }
                    }
                }
                Pick::WaitForSettle => {
                    self.lanes.block(&job, None);
                    self.lanes.put_back(job);
                    self.is_broken_off = aside.is_empty();
                }
                Pick::TooLate(at) => self.end_with(job, Why::TooLate(at), actions),
                Pick::TooLarge(most) => self.end_with(job, Why::TooLarge(most), actions),
                Pick::WaitElsewhere(at) => {
                    if let Some(at) = at {
                        self.wake_at(at);
                    }
                    let of_lane: &mut usize = aside_of.entry(lane).or_default();
                    *of_lane += 1;
                    if *of_lane == MOST_ASIDE {
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
        self.is_broken_off &= actions.more;
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
            // It may be the test, which lets others go when it is confirmed, or the reason why another one is: also one that
            // was put aside in this round.
            self.lanes.unblock();
            actions.more |= self.idle > 1;
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
        let first_byte = lease.first_byte();
        actions.assignments.push(Assignment { job, lease, first_byte });
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
}
