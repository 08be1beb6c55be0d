//! What becomes of a job when its attempt is over, and who may go on then.

use std::time::Instant;

use crate::balance::outcome::Outcome;
use crate::balance::{GiveUp, Lease, ReplyHead, Verdict};
use crate::engine::actions::{Ending, Settled, Why};
use crate::engine::job::Job;

use super::{Core, Phase};

impl Core {
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
            Some(self.out_of_time(set))
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
}
