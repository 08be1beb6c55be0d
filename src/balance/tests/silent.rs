//! Endpoints that fall silent.

use crate::api::Condition;
use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;
use crate::balance::{Role, Verdict};

/// `EAST`, whose requests take 1 s, has just fallen silent with twenty under way.
fn silent(endpoints: usize) -> (World, Vec<Sent>) {
    let mut world = Scenario::of(endpoints).workers(100).begin();
    for _ in 0..20 {
        let sent = world.send_to(EAST);
        world.pass(SECOND).head(&sent);
        world.settle(sent, &Outcome::SUCCESS);
    }
    let sent = (0..20).map(|_| world.send_to(EAST)).collect();
    // The time of an answer, and two seconds.
    world.pass(3 * SECOND - NANO);
    assert_eq!(world.reason(EAST), "");
    world.pass(NANO);
    (world, sent)
}

#[test]
fn a_silent_endpoint_is_given_nothing_until_something_comes() {
    let (mut world, mut sent) = silent(2);
    assert_eq!(world.reason(EAST), "silent for 2 s with 20 requests under way");
    assert_eq!(world.condition(EAST), Condition::Ready);
    assert!(!world.balancer.has_changes(), "no news is made of it");
    for _ in 0..10 {
        let elsewhere = world.send();
        assert_eq!(elsewhere.lease.endpoint(), WEST);
        world.settle(elsewhere, &Outcome::SUCCESS);
    }
    assert!(world.head(&sent[0]), "others may go now");
    assert_eq!(world.reason(EAST), "");
    let again = world.send_to(EAST);
    world.settle(again, &Outcome::Abandoned);
    assert!(!world.head(&sent.remove(1)), "it is not silent any more");
}

#[test]
fn what_an_attempt_comes_to_ends_a_silence_if_something_has_come() {
    for (outcome, ends) in [
        (Outcome::SUCCESS, true),
        (refused(), true),
        (server_error(), true),
        (Outcome::Abandoned, false),
        (Outcome::OutOfTime { silent: false }, false),
    ] {
        let (mut world, mut sent) = silent(2);
        world.settle(sent.remove(0), &outcome);
        assert_eq!(world.reason(EAST).is_empty(), ends, "{outcome:?}");
    }
}

#[test]
fn a_silent_endpoint_is_asked_by_one_request_from_time_to_time() {
    let (mut world, _under_way) = silent(2);
    let due = world.now() - world.t0 + 10 * SECOND;
    world.at(due - NANO);
    let elsewhere = world.send();
    assert_eq!(elsewhere.lease.endpoint(), WEST);
    let mut knocks = Vec::new();
    for turn in 0..3 {
        let knock = world.at(due + turn * 5 * SECOND).send();
        assert_eq!((knock.lease.endpoint(), knock.lease.role()), (EAST, Role::Probe));
        let limit = knock.lease.first_byte().unwrap();
        assert!(limit >= 6 * SECOND && limit < 7 * SECOND, "{limit:?}");
        let elsewhere = world.send();
        assert_eq!(elsewhere.lease.endpoint(), WEST);
        knocks.push(knock);
    }
    let (verdict, job) = world.settle(knocks.remove(0), &timeout());
    assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.now()), 0));
    assert_eq!(world.snapshot(EAST).streak, 0, "that it is silent is known");
    let young = world.pass(5 * SECOND).send();
    assert!(world.head(&young), "others may go now");
    assert_eq!(world.reason(EAST), "");
    for late in knocks {
        world.settle(late, &timeout());
        assert_eq!(
            (world.condition(EAST), world.snapshot(EAST).streak),
            (Condition::Ready, 0)
        );
    }
    let again = world.send_to(EAST);
    assert_eq!(again.lease.role(), Role::Regular);
    let more = world.send_all();
    assert!(
        more.iter().all(|sent| sent.lease.endpoint() == WEST),
        "it has room for one at first, as where it had been out"
    );
}

#[test]
fn a_silent_endpoint_beside_others_is_out_as_soon_as_one_of_its_requests_times_out() {
    let (mut world, mut sent) = silent(2);
    let knock = world.pass(10 * SECOND).send();
    assert_eq!(knock.lease.role(), Role::Probe);
    world.pass(SECOND).settle(sent.remove(0), &timeout());
    assert_eq!(world.condition(EAST), Condition::Ejected);
    assert_eq!(world.reason(EAST), "silent, then: no reply");
    assert_eq!(world.left(EAST), 4 * SECOND, "when it would have been asked next");
    assert!(world.head(&knock));
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn a_silent_endpoint_is_given_work_to_half_of_its_places_where_nobody_else_is_at_work() {
    let (mut world, _under_way) = silent(1);
    let cap = world.snapshot(EAST).max_in_flight;
    let sent = world.send_all();
    assert!(sent.iter().all(|sent| sent.lease.role() == Role::Regular));
    assert!(
        sent.iter().all(|sent| sent.lease.first_byte().is_none()),
        "with their full time"
    );
    assert_eq!(world.snapshot(EAST).in_flight, cap / 2);
    let knock = world.pass(10 * SECOND).send();
    assert_eq!(knock.lease.role(), Role::Probe);

    for away in [true, false] {
        let (mut world, _under_way) = silent(2);
        if away {
            world.balancer.disable(WEST, "away".to_owned());
        }
        let sent = world.send();
        assert_eq!(sent.lease.endpoint() == EAST, away);
    }
}

#[test]
fn an_endpoint_that_is_back_is_not_silent_for_what_was_sent_before() {
    let mut world = Scenario::of(1).threshold(1).begin();
    for _ in 0..20 {
        let sent = world.send();
        world.pass(5 * SECOND).head(&sent);
        world.settle(sent, &Outcome::SUCCESS);
    }
    let mut lost: Vec<_> = (0..20).map(|_| world.send()).collect();
    world.settle(lost.remove(0), &timeout());
    let left = world.left(EAST);
    world.pass(left).run(EAST, &Outcome::SUCCESS);
    let _first = world.send();
    world.pass(10 * SECOND);
    assert_eq!(world.reason(EAST), "", "one request says little");
}

#[test]
fn a_sole_endpoint_whose_request_times_out_is_tried_though_one_still_asks_whether_it_is_there() {
    let (mut world, mut sent) = silent(1);
    world.send_all();
    let knock = world.pass(10 * SECOND).send();
    assert_eq!(knock.lease.role(), Role::Probe);
    world.settle(sent.remove(0), &timeout());
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
    let rest = world.left(EAST);
    let trial = world.pass(rest).send();
    assert_eq!(trial.lease.role(), Role::Trial);
}

#[test]
fn a_knock_that_is_throttled_makes_nothing_of_what_the_others_come_to() {
    let (mut world, _under_way) = silent(2);
    let old = world.pass(10 * SECOND).send();
    let young = world.pass(5 * SECOND).send();
    assert_eq!((old.lease.role(), young.lease.role()), (Role::Probe, Role::Probe));
    world.settle(young, &throttled(2 * SECOND));
    world.pass(SECOND).settle(old, &timeout());
    assert_eq!((world.left(EAST), world.snapshot(EAST).streak), (SECOND, 0));
}

#[test]
fn a_silent_endpoint_that_is_full_of_requests_that_hang_is_asked_all_the_same() {
    for (most, knocks) in [(None, 3), (Some(48), 0)] {
        let mut scenario = Scenario::of(2).workers(64);
        if let Some(most) = most {
            scenario = scenario.max_in_flight(EAST, most);
        }
        let mut world = scenario.begin();
        for _ in 0..20 {
            let sent = world.send_to(EAST);
            world.pass(SECOND).head(&sent);
            world.settle(sent, &Outcome::SUCCESS);
        }
        let _all_places = world.send_all();
        assert_eq!(world.snapshot(EAST).in_flight, 48);
        let is_until = matches!(world.wait(), Wait::Until(_));
        assert_eq!(is_until, most.is_none(), "time alone lets one ask");
        let mut asked = 0;
        for _ in 0..60 {
            let sent = world.pass(SECOND).send_all();
            assert!(sent.iter().all(|sent| sent.lease.role() == Role::Probe));
            asked += sent.len();
        }
        assert_eq!(asked, knocks, "{most:?}");
    }
}
