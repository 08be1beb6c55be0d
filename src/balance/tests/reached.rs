//! Endpoints that are never reached, and machines that reach nobody.

use crate::api::Condition;
use crate::balance::outcome::Outcome;
use crate::balance::remark::Remark;
use crate::balance::scenario::*;
use crate::balance::{EndpointId, Pick};

/// Sends whatever job is taken, which fails on the way; false where none is taken now.
fn refuse(world: &mut World) -> Option<EndpointId> {
    let job = world.job();
    let Pick::Send(mut lease) = world.pick(&job, &CHAT) else {
        return None;
    };
    let endpoint = lease.endpoint();
    lease.never_written();
    world.settle(Sent { lease, job }, &failure("connection refused"));
    Some(endpoint)
}

/// Jobs come all the time, and fail on the way.
fn refuse_for(world: &mut World, seconds: u32) {
    for _ in 0..seconds * 2 {
        while refuse(world).is_some() {}
        world.pass(SECOND / 2);
    }
}

#[test]
fn who_was_never_reached_for_half_a_minute_is_waited_for_no_longer_and_probed_every_five_seconds() {
    let mut world = Scenario::of(1).begin();
    refuse_for(&mut world, 29);
    assert!(matches!(world.condition(EAST), Condition::Ejected));
    refuse_for(&mut world, 7);
    assert_eq!(world.condition(EAST), Condition::Disabled);
    assert_eq!(world.reason(EAST), "never reached: connection refused");
    assert!(matches!(world.wait(), Wait::Never(_)));
    world.balancer.take_changes();
    for _ in 0..3 {
        let left = world.left(EAST);
        assert!(left <= 5 * SECOND);
        world.pass(left);
        assert_eq!(refuse(&mut world), Some(EAST), "a probe");
        let told = world.balancer.take_changes();
        let news = told.iter().filter(|change| change.condition == Condition::Disabled);
        assert!(news.count() <= 1);
        assert!(matches!(world.wait(), Wait::Never(_)));
    }
    let left = world.left(EAST);
    world.pass(left).run(EAST, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn who_has_answered_before_is_ejected_and_waited_for() {
    for outcome in [Outcome::SUCCESS, refused(), server_error()] {
        let mut world = Scenario::of(1).begin();
        world.run(EAST, &outcome);
        world.pass(2 * SECOND);
        refuse_for(&mut world, 120);
        assert!(!matches!(world.wait(), Wait::Never(_)), "{outcome:?}");
    }
}

#[test]
fn where_no_host_of_two_is_ever_reached_jobs_wait_with_a_warning() {
    let mut world = Scenario::of(2).begin();
    refuse_for(&mut world, 100);
    for endpoint in [EAST, WEST] {
        assert_eq!(world.condition(endpoint), Condition::Ejected);
    }
    assert!(!matches!(world.wait(), Wait::Never(_)));
    let (set, now) = (world.set, world.now());
    world.balancer.waits(set, 100 * SECOND, now);
    let remarks = world.balancer.take_remarks();
    assert!(
        matches!(&remarks[..], [Remark::AllOut(_, absent, true)] if absent.len() == 2),
        "{remarks:?}"
    );

    // One of them is there after all: the other is at fault, and not this machine.
    world.pass(5 * SECOND);
    let there = world.send();
    let (here, gone) = match there.lease.endpoint() {
        EAST => (EAST, WEST),
        _ => (WEST, EAST),
    };
    world.settle(there, &Outcome::SUCCESS);
    assert_eq!(world.condition(here), Condition::Ready);
    for _ in 0..20 {
        let sent = world.send();
        if sent.lease.endpoint() == gone {
            let Sent { mut lease, job } = sent;
            lease.never_written();
            world.settle(Sent { lease, job }, &failure("connection refused"));
        } else {
            world.settle(sent, &Outcome::SUCCESS);
        }
        world.pass(SECOND);
    }
    assert_eq!(world.reason(gone), "never reached: connection refused");
}

#[test]
fn two_deployments_of_one_host_are_no_two_hosts() {
    let mut world = Scenario::of(2).at_one_host().begin();
    refuse_for(&mut world, 40);
    assert!(matches!(world.wait(), Wait::Never(_)));
}
