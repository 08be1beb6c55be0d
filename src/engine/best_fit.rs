//! Which job goes where another could: what is left of a window, and provisioned beside standard deployments.
//!
//! The oldest job goes first as a rule. Twice another one of its queue is preferred to it, and it is passed over some
//! hundred times at most; an interactive one never is.
//!
//! - Where the oldest fits nowhere, what is left of a window takes the largest that fits.
//! - Where provisioned deployments stand beside standard ones, they take the job that reserves most by what it is likely
//!   to use, and the standard ones the one that reserves least by that: what a request reserves for its answer and does
//!   not use is lost on a standard deployment, and given back on a provisioned one. Of jobs with like limits on their
//!   answers those are the smallest, and the largest. What a conversation finds cached at its place is worth more than
//!   that: it goes there.

use std::time::Instant;

use crate::api::Priority;
use crate::balance::rules::Rule;
use crate::balance::{Balancer, JobState, Need, Opening, Role, Target};

use super::job::Job;
use super::lanes::{Gap, Lanes};
use super::moment::Epoch;

/// The oldest jobs of a queue that are looked at.
pub(super) const AMONG: usize = 64;
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
        /// What is left all the same, for one that comes, if one may go before the oldest.
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
    if !Rule::Matching.is_on() || !is_free || !balancer.is_mixed(set) || !may_pass(lanes, oldest) {
        return None;
    }
    lanes.index_by_class(oldest, AMONG_MIXED);
    let job = best_matched(lanes, balancer, epoch, oldest, target, now)?;
    Some(Preferred { job, target })
}

/// Of the jobs that fit, the one whose surplus suits a place best, if it suits better than that of `oldest`.
fn best_matched(
    lanes: &Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    oldest: &Job,
    target: Target,
    now: Instant,
) -> Option<u64> {
    let takes_surplus = balancer.is_provisioned(target.endpoint);
    // The less the better.
    let rank = |balancer: &Balancer, job: &Job| {
        let size = job.request.size;
        let (surplus, total) = (balancer.surplus(target.endpoint, &size), f64::from(size.total()));
        if takes_surplus {
            (-surplus, total)
        } else {
            (surplus, -total)
        }
    };
    let mut best = (rank(balancer, oldest), None);
    let mut class = None;
    while let Some(next) = lanes.class_after(oldest, class) {
        class = Some(next);
        let mut jobs = lanes.of_class(oldest, next);
        for _ in 0..TRIES {
            let Some(job) = (if takes_surplus { jobs.next() } else { jobs.next_back() }) else {
                break;
            };
            let rank = rank(balancer, job);
            if rank >= best.0 {
                break;
            }
            if fits(lanes, balancer, epoch, job, target, now) {
                best = (rank, Some(job.id()));
                break;
            }
        }
    }
    best.1
}

/// The job that goes although `oldest` has to wait: into what is left of a window.
pub(super) fn meanwhile(
    lanes: &mut Lanes,
    balancer: &mut Balancer,
    epoch: Epoch,
    oldest: &Job,
    now: Instant,
) -> Meanwhile {
    let mut at = None;
    if !Rule::Backfill.is_on() || !may_pass(lanes, oldest) {
        return Meanwhile::None { gap: None, at };
    }
    let mut largest = 0;
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
        // The oldest may have to wait for longer than until the next window begins, and others need not.
        at = at.into_iter().chain(balancer.gap_grows_at(target.endpoint)).min();
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
        largest = largest.max(most);
    }
    let gap = Some(Gap {
        most: largest,
        among: AMONG,
    });
    Meanwhile::None { gap, at }
}

fn may_pass(lanes: &Lanes, oldest: &Job) -> bool {
    oldest.cell.priority != Priority::Interactive && lanes.may_pass(oldest)
}

fn fits(lanes: &Lanes, balancer: &mut Balancer, epoch: Epoch, job: &Job, target: Target, now: Instant) -> bool {
    let untried = JobState::new(job.id());
    balancer.fits(target, &need(lanes, epoch, job, &untried), now) == Opening::Now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::affinity::AffinityKey;
    use crate::balance::limits::{LimitSpec, Sku};
    use crate::balance::outcome::{Outcome, Used};
    use crate::balance::{JobSize, Output};
    use crate::engine::scenario::*;

    /// Endpoint 0 is provisioned, 1 is standard with so many tokens a minute; 2 is standard, and belongs to a set without a
    /// provisioned one.
    fn mixed(tpm: u64) -> Bench {
        let provisioned = LimitSpec {
            sku: Sku::Provisioned,
            ..limit(Some(600_000))
        };
        Stage::of(3)
            .limit(0, provisioned)
            .limit(1, limit(Some(tpm)))
            .limit(2, limit(Some(tpm)))
            .begin()
    }

    /// A queue, the oldest first, and the place that is free.
    struct Case {
        sizes: &'static [u32],
        priority: Priority,
        model: &'static str,
        place: usize,
        role: Role,
        has_conversation: bool,
        /// So many twelve thousands of the 60,000 tokens of the standard ones are used.
        used: usize,
    }

    const CASE: Case = Case {
        sizes: &[3_000, 500, 9_000, 200, 20_000],
        priority: Priority::Normal,
        model: "m",
        place: 0,
        role: Role::Regular,
        has_conversation: false,
        used: 0,
    };

    /// The job whose turn it is, or the one that is preferred to it.
    fn goes(bench: &mut Bench, target: Target) -> u64 {
        let (core, now) = (&mut bench.core, bench.now);
        let (epoch, moment) = (core.epoch(), core.epoch().moment(now));
        let oldest = core.lanes.take_next(moment).expect("somebody waits");
        let preferred = instead(&mut core.lanes, &mut core.balancer, epoch, &oldest, target, now);
        let id = preferred.map_or(oldest.id(), |preferred| preferred.job);
        if preferred.is_some() {
            drop(core.lanes.take_instead(&oldest, id));
            core.lanes.put_back(oldest);
        }
        id
    }

    fn target(place: usize, role: Role) -> Target {
        Target {
            endpoint: crate::balance::EndpointId::at(place),
            role,
        }
    }

    /// The size of the job that goes.
    fn size_of(case: &Case) -> u32 {
        let mut bench = mixed(60_000);
        bench.use_up("m1", case.used, 12_000);
        for (number, &size) in case.sizes.iter().enumerate() {
            let key = (case.has_conversation && number == 0).then(|| AffinityKey::new("session", b"x"));
            bench.enter(case.model, &CHAT, sized(size).near(key), case.priority, None);
        }
        let id = goes(&mut bench, target(case.place, case.role));
        case.sizes[id as usize - case.used]
    }

    #[test]
    fn of_like_answers_provisioned_places_take_the_smallest_and_standard_ones_the_largest_that_fits() {
        for (what, case, expected) in [
            ("the smallest", CASE, 200),
            ("the largest", Case { place: 1, ..CASE }, 20_000),
            (
                "the larger of two where the largest has no room",
                Case {
                    sizes: &[3_000, 30_000, 9_000, 40_000],
                    place: 1,
                    used: 4,
                    ..CASE
                },
                9_000,
            ),
            (
                "the oldest, which is the smallest",
                Case {
                    sizes: &[200, 500, 9_000],
                    ..CASE
                },
                200,
            ),
            (
                "the oldest, which is the largest",
                Case {
                    sizes: &[9_000, 500, 200],
                    place: 1,
                    ..CASE
                },
                9_000,
            ),
            (
                "of those as large as the oldest the oldest",
                Case {
                    sizes: &[500, 500, 500],
                    ..CASE
                },
                500,
            ),
            (
                "an interactive one is not passed",
                Case {
                    priority: Priority::Interactive,
                    ..CASE
                },
                3_000,
            ),
            (
                "as a probe the oldest",
                Case {
                    role: Role::Probe,
                    ..CASE
                },
                3_000,
            ),
            (
                "as a trial the oldest",
                Case {
                    role: Role::Trial,
                    ..CASE
                },
                3_000,
            ),
            (
                "a conversation goes where it is at home",
                Case {
                    has_conversation: true,
                    ..CASE
                },
                3_000,
            ),
            (
                "among standard ones alone the oldest",
                Case {
                    model: "m2",
                    place: 2,
                    ..CASE
                },
                3_000,
            ),
            (
                "at a provisioned one alone the oldest",
                Case { model: "m0", ..CASE },
                3_000,
            ),
        ] {
            assert_eq!(size_of(&case), expected, "{what}");
        }
    }

    #[test]
    fn provisioned_places_take_who_reserves_most_by_its_likely_use_and_standard_ones_who_does_least() {
        // Prompts and limits on answers; while nothing is known, a quarter of a limit is likely to be used.
        let jobs = [(2_000, 2_000), (100, 4_000), (3_000, 200), (50, 100), (6_000, 4_000)];
        // Limits, and how long answers to them are.
        let high_is_filled = [(4_000, 4_000), (100, 5)];
        let low_is_filled = [(4_000, 40), (100, 100)];
        for (what, place, known, expected) in [
            ("nearly all of it is limit", 0, None, 1),
            ("nearly all of it is prompt", 1, None, 2),
            ("its answer is likely to be short", 0, Some(high_is_filled), 3),
            ("its answer is likely to be shorter still", 0, Some(low_is_filled), 1),
            (
                "its answer is likely to be as long as it may",
                1,
                Some(low_is_filled),
                3,
            ),
        ] {
            let mut bench = mixed(600_000);
            let request = |prompt, limit| request_of(JobSize::new(prompt, Output::AtMost(limit)));
            for (limit, output) in known.into_iter().flatten() {
                for model in ["m0", "m1"] {
                    bench.enter(model, &CHAT, request(100, limit), Priority::Normal, None);
                    let sent = bench.next();
                    let used = Used {
                        prompt: Some(100),
                        output: Some(output),
                    };
                    bench.settle(sent, &Outcome::Success(used));
                }
            }
            let entered = jobs.map(|(prompt, limit)| {
                bench
                    .enter("m", &CHAT, request(prompt, limit), Priority::Normal, None)
                    .id
            });
            let goes = goes(&mut bench, target(place, Role::Regular));
            assert_eq!(entered.iter().position(|&id| id == goes), Some(expected), "{what}");
        }
    }

    #[test]
    fn nobody_is_passed_over_for_ever() {
        for (place, oldest, others) in [(0, 3_000, 10), (1, 10, 500)] {
            let mut bench = mixed(60_000);
            let first = bench.submit_sized("m", oldest, Priority::Normal);
            let mut passed = 0;
            loop {
                // Better ones come all the time.
                bench.submit_sized("m", others, Priority::Normal);
                if goes(&mut bench, target(place, Role::Regular)) == first {
                    break;
                }
                passed += 1;
                assert!(passed < 1_000, "it waits for ever");
            }
            assert_eq!(passed, 256, "at place {place}");
        }
    }

    #[test]
    fn what_is_too_young_is_not_looked_at() {
        let mut bench = mixed(60_000);
        for _ in 0..=AMONG_MIXED {
            bench.submit_sized("m", 3_000, Priority::Normal);
        }
        bench.submit_sized("m", 10, Priority::Normal);
        assert_eq!(goes(&mut bench, target(0, Role::Regular)), 0);
    }
}
