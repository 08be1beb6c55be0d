//! No worker idles beside a job that some endpoint could take, and no time passes beside one that nobody wakes for.

use std::time::Instant;

use proptest::prelude::*;

use super::fleets::{Fleet, JUST_BEFORE, Play, Step, fleet, step};
use crate::api::Priority;
use crate::balance::{EndpointId, JobState, Pick};
use crate::engine::best_fit::{self, Meanwhile, need};
use crate::engine::core::{Core, MOST_ASIDE};
use crate::engine::lanes::LaneId;

/// Where a job could go now.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Overlooked {
    job: u64,
    endpoint: EndpointId,
    /// Into what is left of a window, before an older one.
    instead: bool,
}

/// A job that could go now, if there is a worker for it; by decisions made afresh, which leave nothing behind. Who waits all
/// the same, and for what reason:
///
/// - Whoever is not the first of its lane: the most urgent class goes before the others, the oldest of a class before the
///   younger ones. Only what is left of a window takes one of the 64 oldest instead, as [`best_fit::meanwhile`] says.
/// - Whoever stands behind [`MOST_ASIDE`] jobs that wait for another endpoint than those that are ready.
/// - Whoever is the first of its lane only since it has aged, or only until another has: whose turn it is is looked at with
///   the next event.
fn overlooked(core: &mut Core, now: Instant) -> Option<Overlooked> {
    let had_changes = core.balancer.has_changes();
    core.balancer.forget_answers();
    let moment = core.epoch().moment(now);
    let lanes = core.lanes.occupied();
    let found = lanes.into_iter().find_map(|lane| {
        let classes = core.lanes.classes_that_may_be_first(lane, moment);
        let kept = core.lanes.indexes(lane);
        let mut found = classes.into_iter().map(|class| first_that_goes(core, lane, class, now));
        let first = found.next()??;
        let others = found.all(|other| other.is_some());
        core.lanes.restore_indexes(lane, kept);
        others.then_some(first)
    });
    if !had_changes {
        core.balancer.take_changes();
    }
    found
}

/// Of the jobs of a lane, from this class on, the one that goes now, as the pump finds it.
fn first_that_goes(core: &mut Core, lane: LaneId, class: Priority, now: Instant) -> Option<Overlooked> {
    let mut aside = Vec::new();
    let mut found = None;
    while aside.len() < MOST_ASIDE
        && let Some(job) = core.lanes.take_from(lane, class)
    {
        let (epoch, untried) = (core.epoch(), JobState::new(job.id()));
        let chosen = core.balancer.choose(&need(&core.lanes, epoch, &job, &untried), now);
        let id = job.id();
        let waits_elsewhere = matches!(chosen, Pick::WaitElsewhere(_));
        found = match chosen {
            Pick::Send(target) => Some(Overlooked {
                job: id,
                endpoint: target.endpoint,
                instead: false,
            }),
            Pick::WaitUntil(_) => match best_fit::meanwhile(&mut core.lanes, &mut core.balancer, epoch, &job, now) {
                Meanwhile::Goes(preferred) => Some(Overlooked {
                    job: preferred.job,
                    endpoint: preferred.target.endpoint,
                    instead: true,
                }),
                Meanwhile::None { .. } => None,
            },
            _ => None,
        };
        aside.push(job);
        if !waits_elsewhere {
            break;
        }
    }
    aside.into_iter().for_each(|job| core.lanes.put_back(job));
    found
}

/// Fails where a worker is idle beside a job that could go, and is not about to be woken.
fn look(play: &mut Play) {
    if !play.has_idle() {
        return;
    }
    let now = play.bench.now;
    let wakes_in = play.bench.wakes_in();
    if wakes_in.is_some_and(|wakes_in| wakes_in <= JUST_BEFORE) {
        return;
    }
    if let Some(overlooked) = overlooked(&mut play.bench.core, now) {
        panic!(
            "{:?} after the beginning: {overlooked:?}; the timer is set for {wakes_in:?} from now",
            play.age()
        );
    }
}

fn run(fleet: &Fleet, steps: &[Step]) {
    let mut play = Play::new(fleet);
    for step in steps {
        play.take(step, look);
    }
}

proptest! {
    #[test]
    fn a_ready_endpoint_never_idles_beside_work_that_it_may_serve(
        fleet in fleet(), steps in prop::collection::vec(step(), 1..100),
    ) {
        run(&fleet, &steps);
    }
}
