//! How endpoints come back that were out, and what takes them out beside failures in a row.

use crate::api::Condition;
use crate::balance::endpoint::EJECTED_PROBE;
use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;
use crate::balance::{Pick, Role};

#[test]
fn an_endpoint_that_is_back_has_room_for_twice_as_many_with_each_round_of_answers() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
    for round in [1, 2, 4, 8, 16, 32, 64, 64] {
        let sent = world.send_all();
        assert_eq!(sent.len(), round);
        for sent in sent {
            world.head(&sent);
            world.settle(sent, &Outcome::SUCCESS);
        }
    }
}

#[test]
fn who_waits_for_an_endpoint_that_is_back_waits_for_a_second_or_for_a_head() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
    let now = world.now() - world.t0;
    let first = world.send();
    assert_eq!(world.wait(), Wait::Until(now + SECOND));
    let job = world.job();
    assert!(
        matches!(world.pick_within(&job, SECOND / 2), Pick::WaitUntil(_)),
        "it is not too late for it: a head may come sooner"
    );
    assert!(world.head(&first), "others may go now");
    assert_eq!(world.send_all().len(), 1);
}

#[test]
fn a_failure_of_an_endpoint_that_was_out_not_long_ago_begins_the_ramp_anew() {
    let mut world = Scenario::of(1).threshold(3).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
    world.pass(3 * SECOND);
    let mut sent = world.send_all();
    assert_eq!(sent.len(), 8);
    world.settle(sent.remove(0), &timeout());
    let left = world.left(EAST);
    let trial = world.pass(left).send();
    assert_eq!(trial.lease.role(), Role::Trial);
    world.settle(trial, &Outcome::SUCCESS);
    assert_eq!(world.send_all().len(), 1, "beside the seven that are still under way");
}

#[test]
fn an_endpoint_that_refused_its_probe_comes_back_little_by_little_too() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &throttled(SECOND));
    world.pass(SECOND).run(EAST, &Outcome::SUCCESS);
    assert_eq!(world.send_all().len(), 1);
}

#[test]
fn an_endpoint_that_comes_back_has_its_share_within_ten_seconds() {
    // Latencies of 3 s and 20 requests a second, of which each has a half.
    let mut world = Scenario::of(2).workers(400).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
    let mut under_way = std::collections::VecDeque::new();
    let mut counts = [0, 0];
    for turn in 0..220 {
        let sent = world.send();
        if turn >= 200 {
            counts[sent.lease.endpoint().index()] += 1;
        }
        under_way.push_back((world.now() + 3 * SECOND, sent));
        world.pass(SECOND / 20);
        while under_way.front().is_some_and(|(due, _)| *due <= world.now()) {
            let (_, sent) = under_way.pop_front().unwrap();
            world.head(&sent);
            world.settle(sent, &Outcome::SUCCESS);
        }
    }
    assert_eq!(counts, [10, 10]);
}

/// So many jobs at `EAST`, a tenth of a second apart, of which those that `fails` chooses meet a 500 there and are served at
/// `WEST`. How many it took to eject it, if it was.
fn jobs_until_ejected(world: &mut World, jobs: usize, fails: impl Fn(usize) -> bool) -> Option<usize> {
    (0..jobs).find(|&turn| {
        let rest = world.snapshot(EAST).left.unwrap_or_default();
        let sent = world.pass(rest + SECOND / 10).send_to(EAST);
        if fails(turn) {
            let (_, job) = world.settle(sent, &server_error());
            let again = world.send_again(job);
            world.settle(again, &Outcome::SUCCESS);
        } else {
            world.head(&sent);
            world.settle(sent, &Outcome::SUCCESS);
        }
        world.condition(EAST) == Condition::Ejected
    })
}

#[test]
fn an_endpoint_is_out_that_fails_most_of_its_attempts_though_never_many_in_a_row() {
    let most = |turn: usize| !turn.is_multiple_of(3);
    let mut world = Scenario::of(2).begin();
    assert!(jobs_until_ejected(&mut world, 200, most).is_some());
    let reason = world.reason(EAST);
    assert!(reason.contains("attempts failed in 30 s: 500"), "{reason}");
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
    assert_eq!(
        jobs_until_ejected(&mut world, 15, most),
        None,
        "what was before is past"
    );

    let mut world = Scenario::of(2).begin();
    assert_eq!(jobs_until_ejected(&mut world, 500, |turn| turn % 3 == 0), None);
    assert_eq!(world.snapshot(WEST).totals.failed, 0);
}

#[test]
fn failures_at_one_instant_do_not_take_an_endpoint_out_not_even_with_one_more_later() {
    let mut world = Scenario::of(1).begin();
    let sent: Vec<_> = (0..50).map(|_| world.send()).collect();
    for sent in sent {
        world.settle(sent, &timeout());
    }
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
    for _ in 0..20 {
        world.pass(SECOND).run(EAST, &Outcome::SUCCESS);
    }
    world.run(EAST, &timeout());
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
}
