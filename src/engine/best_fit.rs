//! Which job goes where another could: what is left of a window, and provisioned beside standard deployments.
//!
//! The oldest job goes first as a rule. Twice another one of its queue is preferred to it, and it is passed over some
//! hundred times at most; an interactive one never is.
//!
//! - Where the oldest fits nowhere, what is left of a window takes the largest that fits.
//! - Where provisioned deployments stand beside standard ones, they take the smallest, and the standard ones the
//!   largest: what a request reserves for its answer and does not use is lost on a standard deployment, and given back
//!   on a provisioned one, so these serve the requests of which it is the larger part. What a conversation finds cached
//!   at its place is worth more than that: it goes there.

use std::time::Instant;

use crate::api::Priority;
use crate::balance::{Balancer, JobState, Need, Opening, Role, Target};

use super::job::Job;
use super::lanes::{Gap, Lanes};
use super::moment::Epoch;

/// The oldest jobs of a queue that are looked at.
const AMONG: usize = 64;
/// The same where provisioned and standard deployments are matched with jobs.
const AMONG_MIXED: usize = 256;
/// Jobs that are tried for one place.
const TRIES: usize = 4;
/// A job's estimate at the deployment may be so much smaller than the general one.
const ESTIMATES_DIFFER: f64 = 1.1;

/// A job that is preferred to the oldest, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preferred {
    pub(super) job: u64,
    pub(super) target: Target,
}

/// What becomes of a place that the oldest job cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// This job takes it.
    Goes(Preferred),
    /// None of those that wait.
    None {
        /// What is left all the same, for one that comes.
        gap: Option<Gap>,
        /// When one of them may, as far as time alone can tell.
        at: Option<Instant>,
    },
}

/// What a job needs of an endpoint.
pub(super) fn need<'a>(lanes: &'a Lanes, epoch: Epoch, job: &'a Job, untried: &'a JobState) -> Need<'a> {
    let (set, operation) = lanes.need(job.cell.lane);
    Need {
        set,
        operation,
        job: job.known_state().unwrap_or(untried),
        deadline: job.deadline.map(|deadline| epoch.instant(deadline)),
        size: job.request.size,
        affinity: job.request.affinity(),
    }
}

/// The job that goes to `target` instead of `oldest`, which could.
pub(super) fn instead(
    lanes: &mut Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    oldest: &Job,
    target: Target,
    now: Instant,
) -> Option<Preferred> {
    let (set, _) = lanes.need(oldest.cell.lane);
    let is_free = target.role == Role::Regular && oldest.request.affinity().is_none();
    let job = if !is_free || !balancer.is_mixed(set) || !may_pass(lanes, oldest) {
        None
    } else if balancer.is_provisioned(target.endpoint) {
        lanes.index(oldest, AMONG_MIXED);
        let smaller = |job: &&Job| job.request.size.total() < oldest.request.size.total();
        first_that_fits(
            lanes,
            balancer,
            epoch,
            lanes.smallest(oldest).take_while(smaller),
            target,
            now,
        )
    } else {
        lanes.index(oldest, AMONG_MIXED);
        let larger = |job: &&Job| job.request.size.total() > oldest.request.size.total();
        let jobs = lanes.largest(oldest, u32::MAX).take_while(larger);
        first_that_fits(lanes, balancer, epoch, jobs, target, now)
    };
    job.map(|job| Preferred { job, target })
}

/// The job that goes although `oldest` has to wait: into what is left of a window.
pub(super) fn meanwhile(
    lanes: &mut Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    oldest: &Job,
    now: Instant,
) -> Meanwhile {
    let (mut gap, mut at) = (None, None);
    if !may_pass(lanes, oldest) {
        return Meanwhile::None { gap, at };
    }
    let untried = JobState::new(oldest.id());
    let mut after = None;
    while let Some((target, room)) = balancer.gap(&need(lanes, epoch, oldest, &untried), after, now) {
        after = Some(target.endpoint);
        let room = match room {
            Ok(room) => room,
            Err(opens) => {
                at = at.into_iter().chain([opens]).min();
                continue;
            }
        };
        lanes.index(oldest, AMONG);
        let most = (room * ESTIMATES_DIFFER) as u32;
        for job in lanes.largest(oldest, most).take(TRIES) {
            let untried = JobState::new(job.id());
            match balancer.fits(target, &need(lanes, epoch, job, &untried), now) {
                Opening::Now => return Meanwhile::Goes(Preferred { job: job.id(), target }),
                Opening::At(instant) => at = at.into_iter().chain([instant]).min(),
                Opening::Never => {}
            }
        }
        let largest = gap.map_or(most, |gap: Gap| gap.most.max(most));
        gap = Some(Gap {
            most: largest,
            among: AMONG,
        });
    }
    Meanwhile::None { gap, at }
}

fn may_pass(lanes: &Lanes, oldest: &Job) -> bool {
    oldest.cell.priority != Priority::Interactive && lanes.may_pass(oldest)
}

fn first_that_fits<'a>(
    lanes: &Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    jobs: impl Iterator<Item = &'a Job>,
    target: Target,
    now: Instant,
) -> Option<u64> {
    jobs.take(TRIES)
        .find(|job| {
            let untried = JobState::new(job.id());
            balancer.fits(target, &need(lanes, epoch, job, &untried), now) == Opening::Now
        })
        .map(Job::id)
}
