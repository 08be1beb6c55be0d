//! Ready → Cooling → Ready or Trial.

use std::time::Duration;

use crate::api::Condition;
use crate::balance::outcome::{Blame, Outcome};
use crate::balance::scenario::*;
use crate::balance::{Role, Verdict};

#[test]
fn an_endpoint_that_names_a_wait_rests_exactly_that_long() {
    let mut world = Scenario::of(1).begin();
    let (verdict, job) = world.run(EAST, &throttled(7 * SECOND));
    assert_eq!(
        verdict,
        Verdict::RetryAt(world.t0),
        "the wait is the endpoint's, not the job's"
    );
    assert_eq!(job.failures(), 0, "a refusal costs no attempt");
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
    assert_eq!(world.at(7 * SECOND - NANO).wait(), Wait::Until(7 * SECOND));
    assert_eq!(world.at(7 * SECOND).send().lease.role(), Role::Regular);
}

#[test]
fn a_rest_is_never_shortened_by_what_comes_later() {
    for later in [
        throttled(SECOND),
        refusal(None),
        timeout(),
        Outcome::SUCCESS,
        refused(),
        Outcome::Abandoned,
    ] {
        let mut world = Scenario::of(1).begin();
        let (first, second) = (world.send(), world.send());
        world.settle(first, &throttled(60 * SECOND));
        world.pass(SECOND).settle(second, &later);
        assert_eq!(world.wait(), Wait::Until(60 * SECOND), "{later:?}");
    }
}

#[test]
fn a_longer_wait_extends_a_rest() {
    let mut world = Scenario::of(1).begin();
    let (first, second) = (world.send(), world.send());
    world.settle(first, &throttled(5 * SECOND));
    world.settle(second, &throttled(9 * SECOND));
    assert_eq!(world.wait(), Wait::Until(9 * SECOND));
}

/// Refuses the sole endpoint's requests one after another, each sent the moment it may be, and returns the rests.
fn rests(wait: Option<Duration>, count: usize) -> Vec<u64> {
    let mut world = Scenario::of(1).begin();
    let mut rest = || {
        world.pass(NANO).run(EAST, &refusal(wait));
        let left = world.left(EAST);
        world.pass(left);
        left.as_secs()
    };
    (0..count).map(|_| rest()).collect()
}

#[test]
fn unnamed_waits_double_from_one_second_to_thirty() {
    assert_eq!(rests(None, 7), [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn from_the_third_refusal_on_the_back_off_is_added_to_the_named_wait() {
    assert_eq!(rests(Some(10 * SECOND), 8), [10, 10, 11, 12, 14, 18, 26, 40]);
}

#[test]
fn where_milliseconds_are_named_the_back_off_begins_with_as_many() {
    let mut world = Scenario::of(1).begin();
    let mut rest = |named| {
        world.pass(NANO).run(EAST, &throttled(named));
        let left = world.left(EAST);
        world.pass(left);
        left
    };
    let ms = Duration::from_millis;
    let rests: Vec<_> = (0..5).map(|_| rest(ms(20))).collect();
    assert_eq!(rests, [20, 20, 40, 60, 100].map(ms));
    assert_eq!(
        rest(Duration::ZERO),
        ms(8),
        "after a wait of nothing it begins with one"
    );
}

#[test]
fn refusals_of_requests_under_way_together_count_once() {
    let mut world = Scenario::of(1).begin();
    for sent in world.send_all() {
        world.settle(sent, &refusal(None));
    }
    assert_eq!(world.left(EAST), SECOND);
}

#[test]
fn a_success_ends_a_row_of_refusals() {
    let mut world = Scenario::of(1).begin();
    world.run(EAST, &refusal(None));
    world.pass(SECOND + NANO).run(EAST, &refusal(None));
    world.pass(2 * SECOND).run(EAST, &Outcome::SUCCESS);
    world.pass(NANO).run(EAST, &refusal(None));
    assert_eq!(world.left(EAST), SECOND);
}

#[test]
fn a_success_of_a_request_sent_before_the_refusal_does_not_end_the_row() {
    let mut world = Scenario::of(1).begin();
    let slow = world.send();
    world.pass(NANO).run(EAST, &refusal(None));
    world.pass(SECOND).settle(slow, &Outcome::SUCCESS);
    world.pass(NANO).run(EAST, &refusal(None));
    assert_eq!(world.left(EAST), 2 * SECOND);
}

#[test]
fn what_was_admitted_after_a_refusal_ends_the_row_before_it_is_answered() {
    // Time from a request that is never refused to the next, which is → the rest
    for (between, rest) in [(Duration::ZERO, 11), (SECOND / 10, 11), (SECOND, 10)] {
        let mut world = Scenario::of(1).limited().begin();
        for _ in 0..2 {
            world.run(EAST, &throttled(10 * SECOND));
            world.pass(10 * SECOND + NANO);
        }
        let slow = world.send();
        let next = world.pass(between).send();
        world.settle(next, &throttled(10 * SECOND));
        assert_eq!(world.left(EAST), rest * SECOND, "{between:?} between");
        world.settle(slow, &Outcome::SUCCESS);
    }
}

#[test]
fn bursts_of_which_a_part_is_admitted_are_no_row() {
    let mut world = Scenario::of(1).limited().begin();
    for burst in 0..6 {
        let refused = world.send();
        let slow: Vec<_> = (0..2).map(|_| world.send()).collect();
        world.pass(SECOND / 20).settle(refused, &throttled(SECOND));
        assert_eq!(world.left(EAST), SECOND, "burst {burst}");
        world.pass(SECOND + NANO);
        for sent in slow {
            world.settle(sent, &Outcome::SUCCESS);
        }
    }
}

#[test]
fn rests_after_failures_double_and_are_shortened_by_a_quarter_at_most() {
    for seed in 0..50 {
        let mut world = Scenario::of(1).threshold(100).seed(seed).begin();
        for most in [1, 2, 4, 8, 16, 30, 30] {
            world.run(EAST, &timeout());
            let rest = world.left(EAST);
            assert!(
                rest <= most * SECOND && rest >= most * SECOND * 3 / 4,
                "seed {seed}: {rest:?} instead of {most} s"
            );
            world.pass(rest);
        }
    }
}

#[test]
fn eight_timeouts_at_once_count_once() {
    let mut world = Scenario::of(1).threshold(2).begin();
    let sent: Vec<_> = (0..8).map(|_| world.send()).collect();
    world.pass(10 * SECOND);
    for sent in sent {
        world.settle(sent, &timeout());
    }
    assert_eq!(world.snapshot(EAST).streak, 1);
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
}

#[test]
fn a_success_of_a_request_sent_before_the_failure_does_not_end_the_row() {
    let mut world = Scenario::of(1).threshold(2).begin();
    let slow = world.send();
    world.run(EAST, &timeout());
    world.settle(slow, &Outcome::SUCCESS);
    world.pass(SECOND).run(EAST, &timeout());
    assert_eq!(world.condition(EAST), Condition::Ejected);
}

#[test]
fn after_a_failure_one_request_goes_first_until_its_head_has_come() {
    let mut world = Scenario::of(1).begin();
    world.run(EAST, &timeout());
    world.pass(SECOND);
    let first = world.send();
    assert_eq!(first.lease.role(), Role::Trial);
    assert_eq!(world.wait(), Wait::Settle);
    assert!(world.head(&first), "others may go now");
    assert_eq!(world.send_all().len(), 63, "the rest of the workers");
    world.settle(first, &Outcome::SUCCESS);
    assert_eq!(world.snapshot(EAST).streak, 0);
}

#[test]
fn a_trial_settled_without_a_head_lets_the_next_go_as_its_outcome_says() {
    for (outcome, next) in [
        (Outcome::SUCCESS, Some(Role::Regular)),
        (refused(), Some(Role::Regular)),
        (unsupported(), None),
        (Outcome::Abandoned, Some(Role::Trial)),
        (timeout(), None),
        (throttled(SECOND), None),
        (unauthorized(), None),
    ] {
        let mut world = Scenario::of(1).begin();
        world.run(EAST, &timeout());
        world.pass(SECOND).run(EAST, &outcome);
        assert_eq!(world.role(), next, "{outcome:?}");
    }
}

#[test]
fn a_refused_trial_is_followed_by_another_trial() {
    let mut world = Scenario::of(1).begin();
    world.run(EAST, &timeout());
    world.pass(SECOND).run(EAST, &throttled(3 * SECOND));
    assert_eq!(world.pass(3 * SECOND).send().lease.role(), Role::Trial);
}

#[test]
fn a_second_trial_waits_for_the_first_whatever_happened_between() {
    let mut world = Scenario::of(1).begin();
    let slow = world.send();
    world.run(EAST, &timeout());
    let trial = world.pass(SECOND).send();
    world.settle(slow, &throttled(SECOND));
    world.pass(SECOND);
    assert_eq!(world.wait(), Wait::Settle, "a trial is out already");
    world.settle(trial, &Outcome::Abandoned);
    assert_eq!(world.send().lease.role(), Role::Trial);
}

#[test]
fn abandoned_requests_free_their_places_and_harm_nobody() {
    let mut world = Scenario::of(1).workers(4).begin();
    for _ in 0..20 {
        let sent = world.send_all();
        assert_eq!(sent.len(), 4);
        for sent in sent {
            world.settle(sent, &Outcome::Abandoned);
        }
    }
    assert_eq!(world.condition(EAST), Condition::Ready);
    assert_eq!(world.snapshot(EAST).streak, 0);
    assert_eq!(world.balancer.in_flight(), 0);
}

#[test]
fn a_ready_endpoint_takes_the_work_of_one_that_rests() {
    let mut world = Scenario::of(2).begin();
    world.run(EAST, &throttled(2 * SECOND));
    for _ in 0..10 {
        let sent = world.send();
        assert_eq!(sent.lease.endpoint(), WEST);
        world.settle(sent, &Outcome::SUCCESS);
    }
    world.run(WEST, &throttled(SECOND));
    assert_eq!(world.wait(), Wait::Until(SECOND), "the first that is free");
}

#[test]
fn a_server_error_costs_no_rest_where_nine_of_ten_attempts_succeed() {
    let error = Outcome::Failed {
        blame: Blame::ServerError,
        reason: "503".to_owned(),
    };
    let after = |successes: usize, outcome: &Outcome| {
        let mut world = Scenario::of(1).begin();
        for _ in 0..successes {
            world.pass(SECOND / 2).run(EAST, &Outcome::SUCCESS);
        }
        world.run(EAST, outcome);
        world
    };
    let cut = Outcome::Failed {
        blame: Blame::Cut,
        reason: "reset".to_owned(),
    };
    for (successes, outcome, expected) in [
        (9, &error, false),
        (9, &cut, false),
        (8, &error, true),
        (40, &timeout(), true),
    ] {
        let mut world = after(successes, outcome);
        let rests = world.condition(EAST) == Condition::CoolingDown;
        assert_eq!(rests, expected, "{successes} successes, {outcome:?}");
        assert_eq!(world.snapshot(EAST).streak, 1);
    }
    let mut world = after(60, &error);
    for _ in 0..4 {
        assert_eq!(world.condition(EAST), Condition::Ready);
        world.run(EAST, &error);
    }
    assert_eq!(
        world.condition(EAST),
        Condition::Ejected,
        "five in a row are no exceptions"
    );
    let mut world = after(60, &timeout());
    let left = world.left(EAST);
    world.pass(left).run(EAST, &error);
    assert_eq!(world.condition(EAST), Condition::CoolingDown, "a trial has to succeed");
}

#[test]
fn errors_that_come_fast_among_answers_that_come_slowly_take_no_endpoint_out() {
    let error = Outcome::Failed {
        blame: Blame::ServerError,
        reason: "503".to_owned(),
    };
    let mut world = Scenario::of(1).workers(1000).begin();
    let mut under_way = std::collections::VecDeque::new();
    for turn in 0..2000 {
        let sent = world.send();
        // From the sixth second on every twentieth meets an error at once.
        if turn > 120 && turn % 20 == 0 {
            world.settle(sent, &error);
        } else {
            under_way.push_back((world.now() + 5 * SECOND, sent));
        }
        world.pass(SECOND / 20);
        while under_way.front().is_some_and(|(due, _)| *due <= world.now()) {
            let (_, sent) = under_way.pop_front().unwrap();
            world.head(&sent);
            world.settle(sent, &Outcome::SUCCESS);
        }
    }
    assert!(!world.balancer.has_changes(), "it never even rested");
}
