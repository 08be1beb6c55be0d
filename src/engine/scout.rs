//! Who goes first: to an endpoint that has failed, or to find out whether one is back.
//!
//! What a job that has failed before finds out there says little: it may be at fault itself. And one that no endpoint bears
//! would be the first again and again, for it is the oldest, and keep an endpoint out that is well. So the one goes that
//! has failed least of all that wait and that the endpoint may serve, of the oldest of each queue.

use std::time::Instant;

use crate::balance::{Balancer, JobState, Role, Target};

use super::best_fit::need;
use super::job::Job;
use super::lanes::{LaneId, Lanes};
use super::moment::Epoch;
use crate::api::Priority;

/// The oldest jobs of a queue that are looked at.
const AMONG: usize = 64;

/// Where a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: LaneId,
    pub(super) class: Priority,
    pub(super) job: u64,
}

/// Who goes to `target` in place of `first`, whose turn it is.
pub(super) fn instead(
    lanes: &Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    first: &Job,
    target: Target,
    now: Instant,
) -> Option<Place> {
    let mut least = troubles(first);
    if target.role == Role::Regular || least == 0 {
        return None;
    }
    let own = first.cell.lane;
    let others = lanes.occupied().into_iter().filter(|&lane| lane != own);
    let mut found = None;
    for lane in [own].into_iter().chain(others) {
        let (set, _) = lanes.need(lane);
        if !balancer.includes(set, target.endpoint) {
            continue;
        }
        for class in Priority::ALL {
            for job in lanes.oldest(lane, class).take(AMONG) {
                let untried = JobState::new(job.id());
                if troubles(job) < least && balancer.may_go_first(target, &need(lanes, epoch, job, &untried), now) {
                    least = troubles(job);
                    let job = job.id();
                    found = Some(Place { lane, class, job });
                }
                if least == 0 {
                    return found;
                }
            }
        }
    }
    found
}

fn troubles(job: &Job) -> usize {
    job.known_state().map_or(0, JobState::troubles)
}
