//! What must not keep work from an endpoint that could serve it.

use std::time::Duration;

use crate::balance::Role;
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;

const LIMIT: LimitSpec = LimitSpec {
    sku: Sku::Standard,
    tpm: Some(600_000),
    rpm: None,
    quota_window: Duration::from_secs(60),
    request_window: Duration::from_secs(10),
};
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_probe_that_succeeds_ends_a_wait_that_was_too_long_to_be_kept() {
    let mut world = Scenario::of(1).limited().begin();
    world.run(EAST, &throttled(DAY));
    world.pass(60 * SECOND);
    let probe = world.send();
    assert_eq!(probe.lease.role(), Role::Probe);
    world.head(&probe);
    world.settle(probe, &Outcome::SUCCESS);
    world.pass(10 * SECOND);
    let next = world.send();
    world.settle(next, &Outcome::SUCCESS);
}

#[test]
fn a_wait_too_long_to_be_kept_keeps_nobody_else_of_its_group_for_as_long() {
    let mut world = Scenario::of(2).group(2, LIMIT).begin();
    world.run(EAST, &throttled(DAY));
    world.balancer.disable(EAST, "by hand".to_owned());
    world.pass(61 * SECOND);
    let sent = world.send();
    assert_eq!(sent.lease.endpoint(), WEST);
    world.settle(sent, &Outcome::SUCCESS);
}

/// Most requests that go to an endpoint with this `rpm_limit` in a minute, all of them answered at once.
fn in_a_minute(rpm: u64) -> usize {
    let limit = LimitSpec {
        tpm: None,
        rpm: Some(rpm),
        ..LIMIT
    };
    let mut world = Scenario::of(1).limit(EAST, limit).begin();
    let mut sent = 0;
    for _ in 0..600 {
        for job in world.send_all() {
            sent += 1;
            world.head(&job);
            world.settle(job, &Outcome::SUCCESS);
        }
        world.pass(SECOND / 10);
    }
    sent
}

#[test]
fn fewer_requests_a_minute_than_there_are_windows_in_it_are_kept_to() {
    for rpm in [1, 2, 3, 5, 6, 7, 59, 60] {
        let sent = in_a_minute(rpm);
        assert!(sent as u64 <= rpm, "{sent} instead of {rpm}");
        assert!(sent as u64 * 4 >= rpm * 3, "{sent} of {rpm}");
    }
}
