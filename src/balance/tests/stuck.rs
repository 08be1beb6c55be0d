//! What must not keep work from an endpoint that could serve it.

use std::time::Duration;

use crate::balance::backlog::Rest;
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Outcome, Used};
use crate::balance::scenario::*;
use crate::balance::{Pick, Role, Strategy};

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

/// East answers in 1 s, west in 30 s; what is left of a backlog is so little that west is held back.
fn end_of_backlog(change: impl FnOnce(Scenario) -> Scenario) -> World {
    let mut world = change(
        Scenario::of(2)
            .limit(EAST, LIMIT)
            .limit(WEST, LIMIT)
            .strategy(Strategy::RoundRobin),
    )
    .begin();
    for _ in 0..30 {
        let used = Outcome::Success(Used {
            prompt: Some(1000),
            output: Some(100),
        });
        let (east, west) = (world.send_to(EAST), world.send_to(WEST));
        world.pass(SECOND).head(&east);
        world.settle(east, &used);
        world.pass(29 * SECOND).head(&west);
        world.settle(west, &used);
    }
    world
}

fn say_that_nothing_more_comes(world: &mut World) {
    world.pass(SECOND / 2);
    let rest = Rest {
        set: world.set,
        tokens: 40_000,
    };
    let now = world.now();
    world.balancer.nothing_more_comes(Some(rest), now);
}

fn goes_to_west(world: &mut World) -> bool {
    let mut sent = Vec::new();
    while sent.len() < 4 {
        let job = world.job();
        match world.pick(&job, &CHAT) {
            Pick::Send(lease) => sent.push(Sent { lease, job }),
            _ => break,
        }
    }
    let is_used = sent.iter().any(|sent| sent.lease.endpoint() == WEST);
    for sent in sent {
        world.settle(sent, &Outcome::Abandoned);
    }
    is_used
}

#[test]
fn a_slow_endpoint_is_held_back_only_while_the_faster_ones_can_serve() {
    type Change = fn(&mut World);
    let changes: [(&str, bool, Change); 5] = [
        ("nothing", false, |_| {}),
        ("it is asked to rest", true, |world| {
            let until = world.now() + 3600 * SECOND;
            world.balancer.cool_down(EAST, until);
        }),
        ("it rests after a failure", true, |world| {
            world.run(EAST, &timeout());
        }),
        ("it has fallen silent", true, |world| {
            for _ in 0..20 {
                let sent = world.send_to(EAST);
                std::mem::forget(sent);
            }
            world.pass(20 * SECOND);
        }),
        ("it is ejected", true, |world| world.eject(EAST)),
    ];
    for (name, is_used, change) in changes {
        let mut world = end_of_backlog(|scenario| scenario);
        change(&mut world);
        say_that_nothing_more_comes(&mut world);
        assert_eq!(goes_to_west(&mut world), is_used, "{name}");
    }
}

#[test]
fn a_slow_endpoint_is_not_held_back_for_a_faster_one_that_takes_one_at_a_time() {
    let mut world = end_of_backlog(|scenario| scenario.max_in_flight(EAST, 1));
    world.pass(SECOND / 2);
    let (set, now) = (world.set, world.now());
    // Two hundred requests of 2,000 tokens: the fast one needs 200 s for them.
    world
        .balancer
        .nothing_more_comes(Some(Rest { set, tokens: 250_000 }), now);
    let busy = world.send_to(EAST);
    assert!(goes_to_west(&mut world));
    world.settle(busy, &Outcome::SUCCESS);
}

#[test]
fn a_job_whose_time_ends_soon_is_not_held_back() {
    let mut world = end_of_backlog(|scenario| scenario);

    say_that_nothing_more_comes(&mut world);
    // The fast one has no room for long.
    world.run(EAST, &throttled(40 * SECOND));
    let job = world.job();
    match world.pick_within(&job, SECOND / 5) {
        Pick::Send(lease) => {
            world.settle(Sent { lease, job }, &Outcome::Abandoned);
        }
        other => panic!("west is idle, and it is not sent there: {other:?}"),
    }
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
