//! Endpoints that are ejected or disabled, and how they come back.

use crate::api::Condition;
use crate::balance::endpoint::{DISABLED_PROBE, EJECTED_PROBE, PROBE_FIRST_BYTE};
use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;
use crate::balance::{GiveUp, Pick, Role, Verdict};

#[test]
fn the_threshold_ejects_with_the_first_and_the_last_error() {
    let mut world = Scenario::of(1).threshold(3).begin();
    for reason in ["refused", "reset", "timed out"] {
        assert_ne!(world.condition(EAST), Condition::Ejected);
        world.run(EAST, &failure(reason));
        if world.condition(EAST) == Condition::CoolingDown {
            let left = world.left(EAST);
            world.pass(left);
        }
    }
    assert_eq!(world.condition(EAST), Condition::Ejected);
    assert_eq!(
        world.reason(EAST),
        "3 failures in a row; first: refused; last: timed out"
    );
}

#[test]
fn an_ejected_endpoint_is_probed_every_five_seconds_by_one_job() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    for next in [EJECTED_PROBE, EJECTED_PROBE, 20 * SECOND / 3] {
        assert_eq!(world.left(EAST), EJECTED_PROBE);
        let due = world.now() - world.t0 + EJECTED_PROBE;
        assert_eq!(world.wait(), Wait::Until(due));
        let probe = world.at(due).send();
        assert_eq!(probe.lease.role(), Role::Probe);
        assert_eq!(world.condition(EAST), Condition::Probing);
        assert_eq!(
            world.wait(),
            Wait::Until(due + next),
            "one job is the probe, the others wait for it, but for one after a third of its time"
        );
        let (verdict, job) = world.pass(SECOND).settle(probe, &timeout());
        assert_eq!(verdict, Verdict::RetryAt(world.now()));
        assert_eq!(job.failures(), 0, "a failed probe costs no attempt");
    }
}

#[test]
fn a_probe_brings_back_or_not_as_its_outcome_says() {
    for (outcome, then) in [
        (Outcome::SUCCESS, Condition::Ready),
        (refused(), Condition::Ready),
        (unsupported(), Condition::Ready),
        (throttled(SECOND), Condition::CoolingDown),
        (timeout(), Condition::Ejected),
        (server_error(), Condition::Ejected),
        (unauthorized(), Condition::Disabled),
        (denied(), Condition::Disabled),
        (Outcome::Abandoned, Condition::Ejected),
        (OUT_OF_TIME, Condition::Ejected),
    ] {
        let mut world = Scenario::of(1).begin();
        world.eject(EAST);
        world.pass(EJECTED_PROBE).run(EAST, &outcome);
        assert_eq!(world.condition(EAST), then, "{outcome:?}");
    }
}

#[test]
fn the_head_of_a_probe_lets_the_others_go() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    let probe = world.pass(EJECTED_PROBE).send();
    assert!(world.head(&probe));
    assert_eq!(world.condition(EAST), Condition::Ready);
    assert_eq!(world.snapshot(EAST).streak, 0);
    let mut under_way = Vec::new();
    for sent in [1, 1, 2, 4, 8, 16, 31] {
        let all = world.send_all();
        assert_eq!(
            all.len(),
            sent,
            "twice as many under way each second, until all 64 places are taken"
        );
        under_way.extend(all);
        world.pass(SECOND);
    }
}

#[test]
fn an_abandoned_probe_is_replaced_at_once() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &Outcome::Abandoned);
    assert_eq!(world.send().lease.role(), Role::Probe);
}

#[test]
fn a_probe_whose_job_runs_out_of_time_is_a_failed_one() {
    let mut world = Scenario::of(2).begin();
    world.eject(EAST);
    let probe = world.pass(EJECTED_PROBE).send();
    let (verdict, _) = world.pass(SECOND).settle(probe, &OUT_OF_TIME);
    assert_eq!(verdict, Verdict::GiveUp(GiveUp::Abandoned));
    assert_eq!(world.left(EAST), EJECTED_PROBE);
}

#[test]
fn a_job_that_ends_sooner_than_a_probe_may_is_the_probe_only_where_no_other_endpoint_is_ready() {
    let mut world = Scenario::of(2).max_in_flight(WEST, 1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE);
    let hurried = |world: &mut World, time| {
        let job = world.job();
        match world.pick_within(&job, time) {
            Pick::Send(lease) => Sent { lease, job },
            other => panic!("{other:?}"),
        }
    };
    let first = hurried(&mut world, PROBE_FIRST_BYTE - NANO);
    assert_eq!(first.lease.endpoint(), WEST);
    let second = hurried(&mut world, PROBE_FIRST_BYTE - NANO);
    assert_eq!((second.lease.endpoint(), second.lease.role()), (EAST, Role::Probe));
    world.settle(first, &Outcome::SUCCESS);
    world.settle(second, &Outcome::Abandoned);
    let patient = hurried(&mut world, PROBE_FIRST_BYTE);
    assert_eq!(patient.lease.role(), Role::Probe);
}

#[test]
fn silence_is_held_against_an_endpoint_when_it_is_long_or_met_by_many_jobs_in_a_row() {
    let mut world = Scenario::of(1).threshold(3).begin();
    let meets = |world: &mut World, outcome: &Outcome, after| {
        let sent = world.send();
        world.pass(after).settle(sent, outcome);
        world.snapshot(EAST).streak
    };
    let talking = Outcome::OutOfTime { silent: false };
    for between in [Outcome::SUCCESS, refused()] {
        for _ in 0..2 {
            assert_eq!(meets(&mut world, &OUT_OF_TIME, SECOND), 0, "it may be the job's haste");
        }
        let sent = world.send();
        world.head(&sent);
        world.settle(sent, &between);
    }
    for _ in 0..9 {
        assert_eq!(meets(&mut world, &talking, 60 * SECOND), 0, "it was answering");
    }
    assert_eq!(meets(&mut world, &OUT_OF_TIME, PROBE_FIRST_BYTE), 1, "long");
    assert_eq!(world.condition(EAST), Condition::CoolingDown);

    let mut world = Scenario::of(1).threshold(3).begin();
    let streaks: Vec<u32> = (0..3).map(|_| meets(&mut world, &OUT_OF_TIME, SECOND)).collect();
    assert_eq!(streaks, [0, 0, 1], "many");
    let left = world.left(EAST);
    world.pass(left);
    assert_eq!(meets(&mut world, &OUT_OF_TIME, NANO), 2, "a trial's job shows it alone");
}

#[test]
fn what_an_endpoint_is_known_to_need_is_not_held_against_it() {
    let mut world = Scenario::of(1).begin();
    let slow = world.send();
    world.pass(20 * SECOND).head(&slow);
    world.settle(slow, &Outcome::SUCCESS);
    for (waited, streak) in [(19, 0), (22, 1)] {
        let sent = world.send();
        world.pass(waited * SECOND).settle(sent, &OUT_OF_TIME);
        assert_eq!(world.snapshot(EAST).streak, streak, "{waited} s");
    }
}

#[test]
fn a_refused_probe_is_followed_by_a_trial() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    world.pass(EJECTED_PROBE).run(EAST, &throttled(3 * SECOND));
    assert_eq!(world.left(EAST), 3 * SECOND);
    assert_eq!(world.pass(3 * SECOND).send().lease.role(), Role::Trial);
}

#[test]
fn a_due_probe_goes_before_regular_requests_and_a_failed_one_is_served_elsewhere() {
    let mut world = Scenario::of(2).begin();
    world.eject(EAST);
    let probe = world.pass(EJECTED_PROBE).send();
    assert_eq!((probe.lease.endpoint(), probe.lease.role()), (EAST, Role::Probe));
    let (_, job) = world.settle(probe, &timeout());
    assert_eq!(world.send_again(job).lease.endpoint(), WEST);
}

#[test]
fn a_probe_is_given_five_seconds_for_its_first_byte_beside_what_was_learnt() {
    let mut world = Scenario::of(1).begin();
    let limit = |world: &mut World| {
        let probe = world.pass(EJECTED_PROBE).send();
        let limit = probe.lease.first_byte();
        world.settle(probe, &Outcome::Abandoned);
        limit.unwrap()
    };
    world.eject(EAST);
    assert_eq!(limit(&mut world), PROBE_FIRST_BYTE);

    let mut world = Scenario::of(1).begin();
    let slow = world.send();
    assert_eq!(slow.lease.first_byte(), None, "only probes are limited");
    world.pass(20 * SECOND).head(&slow);
    world.settle(slow, &Outcome::SUCCESS);
    world.eject(EAST);
    let learnt = limit(&mut world);
    assert!(learnt >= 25 * SECOND && learnt < 27 * SECOND, "{learnt:?}");
}

#[test]
fn the_limit_of_a_probe_doubles_where_nobody_else_serves() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    for limit in [5, 10, 20, 40, 80, 160] {
        let probe = world.pass(EJECTED_PROBE).send();
        assert_eq!(probe.lease.first_byte(), Some(limit * SECOND));
        world.settle(probe, &timeout());
    }
}

#[test]
fn an_unanswered_probe_is_followed_by_two_others_of_which_the_first_good_head_counts() {
    for first in 0..3 {
        let mut world = Scenario::of(2).begin();
        world.eject(EAST);
        let mut probes: Vec<_> = (0..3).map(|_| world.pass(EJECTED_PROBE).send()).collect();
        assert!(probes.iter().all(|probe| probe.lease.role() == Role::Probe));
        let elsewhere = world.pass(EJECTED_PROBE).send();
        assert_eq!(elsewhere.lease.endpoint(), WEST, "three are enough");
        assert!(world.head(&probes[first]));
        assert_eq!(world.condition(EAST), Condition::Ready);
        let answered = probes.remove(first);
        for (late, outcome) in probes.into_iter().zip([timeout(), unauthorized()]) {
            let (verdict, job) = world.pass(SECOND).settle(late, &outcome);
            assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.now()), 0));
            assert_eq!(world.condition(EAST), Condition::Ready, "{outcome:?} of an older one");
            assert_eq!(world.snapshot(EAST).streak, 0);
        }
        world.settle(answered, &failure("reset"));
        assert_eq!(
            world.condition(EAST),
            Condition::CoolingDown,
            "what broke off later counts"
        );
    }
}

#[test]
fn a_probe_that_fails_while_another_is_out_leaves_the_decision_to_that_one() {
    for outcome in [timeout(), OUT_OF_TIME, server_error(), Outcome::Abandoned] {
        let mut world = Scenario::of(2).begin();
        world.eject(EAST);
        let old = world.pass(EJECTED_PROBE).send();
        let young = world.pass(EJECTED_PROBE).send();
        world.pass(SECOND).settle(old, &outcome);
        assert_eq!(world.condition(EAST), Condition::Probing, "{outcome:?}");
        assert_eq!(world.send().lease.endpoint(), WEST, "the next is not due yet");
        let next = world.pass(4 * SECOND).send();
        assert_eq!((next.lease.endpoint(), next.lease.role()), (EAST, Role::Probe));
        world.settle(young, &timeout());
        world.settle(next, &timeout());
        assert_eq!(world.condition(EAST), Condition::Ejected);
    }
}

#[test]
fn a_job_that_an_endpoint_has_let_down_is_not_its_probe_while_another_is_ready() {
    let mut world = Scenario::of(2).begin();
    let (_, failed) = world.run(EAST, &timeout());
    world.pass(SECOND * 2).eject(EAST);
    let probe = world.pass(EJECTED_PROBE).send();
    let (_, probed) = world.pass(EJECTED_PROBE).settle(probe, &timeout());
    for job in [failed, probed] {
        let sent = world.send_again(job);
        assert_eq!(sent.lease.endpoint(), WEST);
        world.settle(sent, &Outcome::SUCCESS);
    }
    let other = world.send();
    assert_eq!((other.lease.endpoint(), other.lease.role()), (EAST, Role::Probe));
    let (_, only) = world.settle(other, &timeout());
    world.balancer.disable(WEST, "away".to_owned());
    let again = world.pass(EJECTED_PROBE).send_again(only);
    assert_eq!(again.lease.role(), Role::Probe, "nobody else is there");
}

#[test]
fn a_probe_beside_another_endpoint_waits_for_what_its_answer_needs_and_a_lonely_one_for_more() {
    let mut world = Scenario::of(2).begin();
    for _ in 0..10 {
        let sent = world.send_to(WEST);
        world.pass(8 * SECOND).head(&sent);
        world.settle(sent, &Outcome::SUCCESS);
    }
    world.eject(EAST);
    let probe = world.pass(EJECTED_PROBE).send();
    let limit = probe.lease.first_byte().unwrap();
    assert!(
        limit >= 13 * SECOND && limit < 15 * SECOND,
        "as the other one: {limit:?}"
    );
    world.settle(probe, &timeout());
    world.balancer.disable(WEST, "away".to_owned());
    for _ in 0..5 {
        let probe = world.pass(EJECTED_PROBE).send();
        world.settle(probe, &timeout());
    }
    let probe = world.pass(EJECTED_PROBE).send();
    assert!(probe.lease.first_byte().unwrap() > 300 * SECOND);
}

#[test]
fn an_endpoint_that_is_ejected_while_it_rests_is_left_alone_until_the_rest_is_over() {
    let mut world = Scenario::of(1).threshold(1).begin();
    let (first, second) = (world.send(), world.send());
    world.settle(first, &throttled(60 * SECOND));
    world.settle(second, &timeout());
    assert_eq!(world.condition(EAST), Condition::Ejected);
    assert_eq!(world.wait(), Wait::Until(60 * SECOND));
}

#[test]
fn a_refusal_that_comes_when_the_endpoint_is_out_puts_its_probe_off() {
    let mut world = Scenario::of(1).threshold(1).begin();
    let (first, second) = (world.send(), world.send());
    world.settle(first, &timeout());
    world.settle(second, &throttled(60 * SECOND));
    assert_eq!(world.wait(), Wait::Until(60 * SECOND));
}

#[test]
fn a_deployment_that_refuses_the_key_is_disabled_while_others_serve() {
    let mut world = Scenario::of(2).begin();
    let (verdict, job) = world.run(EAST, &unauthorized());
    assert_eq!(verdict, Verdict::RetryAt(world.t0));
    assert_eq!(job.failures(), 0);
    assert_eq!(world.condition(EAST), Condition::Disabled);
    assert_eq!(world.reason(EAST), "401");
    let again = world.send_again(job);
    assert_eq!(again.lease.endpoint(), WEST);
    assert_eq!(world.settle(again, &Outcome::SUCCESS).0, Verdict::Done);
    let sent = world.send_all();
    assert!(sent.iter().all(|sent| sent.lease.endpoint() == WEST));
    assert_eq!(sent.len(), 64, "who is left may use all workers");
}

#[test]
fn a_disabled_endpoint_is_probed_every_minute() {
    let mut world = Scenario::of(2).begin();
    world.run(EAST, &unauthorized());
    for minute in 1..4 {
        world.at(minute * DISABLED_PROBE - NANO);
        assert_eq!(world.send_to(WEST).lease.role(), Role::Regular);
        let probe = world.at(minute * DISABLED_PROBE).send();
        assert_eq!((probe.lease.endpoint(), probe.lease.role()), (EAST, Role::Probe));
        world.settle(probe, &unauthorized());
    }
    let probe = world.at(4 * DISABLED_PROBE).send();
    world.settle(probe, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn a_wait_beyond_the_longest_disables_and_is_probed_all_the_same() {
    let mut world = Scenario::of(2).cooldown_max(3600 * SECOND).begin();
    let (verdict, _) = world.run(EAST, &throttled(86_400 * SECOND));
    assert_eq!(verdict, Verdict::RetryAt(world.t0));
    assert_eq!(world.condition(EAST), Condition::Disabled);
    assert_eq!(world.reason(EAST), "asked to wait 86400 s: 429");
    assert_eq!(world.left(EAST), DISABLED_PROBE);
    world.run(WEST, &throttled(3600 * SECOND));
    assert_eq!(world.condition(WEST), Condition::CoolingDown, "just short enough");
}

#[test]
fn the_own_back_off_never_disables() {
    let mut world = Scenario::of(1).cooldown_max(3 * SECOND).begin();
    for wait in [None, Some(3 * SECOND)] {
        for _ in 0..8 {
            world.pass(NANO).run(EAST, &refusal(wait));
            assert_eq!(world.condition(EAST), Condition::CoolingDown);
            let left = world.left(EAST);
            world.pass(left);
        }
    }
}

#[test]
fn a_deployment_that_is_unavailable_as_it_is_configured_is_never_brought_back() {
    let mut world = Scenario::of(1).unavailable(EAST, "sign-in is not supported").begin();
    let now = world.now();
    world.balancer.disable(EAST, "maintenance".to_owned());
    world.balancer.cool_down(EAST, now + SECOND);
    world.balancer.enable(EAST, now);
    assert_eq!(world.wait(), Wait::Never(vec!["sign-in is not supported".to_owned()]));
    assert!(!world.balancer.has_changes());
    world.pass(100 * DISABLED_PROBE);
    assert!(matches!(world.wait(), Wait::Never(_)));
}

#[test]
fn where_all_are_disabled_each_reason_is_told() {
    let mut world = Scenario::of(3).unavailable(NORTH, "sign-in is not supported").begin();
    world.run(EAST, &unauthorized());
    world.balancer.disable(WEST, "maintenance".to_owned());
    assert_eq!(
        world.wait(),
        Wait::Never(vec![
            "401".to_owned(),
            "maintenance".to_owned(),
            "sign-in is not supported".to_owned()
        ])
    );
    let hopeless = world.balancer.hopeless(world.set, &CHAT, world.now());
    assert_eq!(hopeless.unwrap().reasons.len(), 3);

    let probe = world.pass(DISABLED_PROBE).send();
    assert_eq!((probe.lease.endpoint(), probe.lease.role()), (EAST, Role::Probe));
    assert!(
        matches!(world.wait(), Wait::Never(_)),
        "exactly one job becomes the probe"
    );
    assert_eq!(world.settle(probe, &Outcome::SUCCESS).0, Verdict::Done);
    assert_eq!(world.send().lease.endpoint(), EAST);
}

#[test]
fn where_all_are_ejected_jobs_wait_for_the_first_probe() {
    let mut world = Scenario::of(2).threshold(1).begin();
    world.eject(EAST);
    world.pass(SECOND).eject(WEST);
    assert_eq!(world.wait(), Wait::Until(EJECTED_PROBE));
    assert!(world.balancer.hopeless(world.set, &CHAT, world.now()).is_none());
}

#[test]
fn what_is_switched_off_by_hand_stays_off_until_it_is_switched_on() {
    let mut world = Scenario::of(1).begin();
    let (old, older) = (world.send(), world.send());
    world.balancer.disable(EAST, "maintenance".to_owned());
    world.settle(old, &unauthorized());
    world.settle(older, &Outcome::SUCCESS);
    assert_eq!(world.reason(EAST), "maintenance");
    world.pass(86_400 * SECOND);
    assert_eq!(world.wait(), Wait::Never(vec!["maintenance".to_owned()]));

    let now = world.now();
    world.balancer.enable(EAST, now);
    let probe = world.send();
    assert_eq!(probe.lease.role(), Role::Probe);
    let next = now - world.t0 + EJECTED_PROBE;
    assert_eq!(
        world.wait(),
        Wait::Until(next),
        "jobs wait for the probe instead of failing"
    );
    world.settle(probe, &timeout());
    assert_eq!(world.condition(EAST), Condition::Ejected);
    assert_eq!(world.left(EAST), EJECTED_PROBE);
}

#[test]
fn what_was_sent_before_the_endpoint_was_enabled_does_not_disable_it_again() {
    let mut world = Scenario::of(1).begin();
    let (first, late) = (world.send(), world.send());
    world.settle(first, &unauthorized());
    let now = world.now();
    world.balancer.enable(EAST, now);
    world.run(EAST, &Outcome::SUCCESS);
    world.settle(late, &unauthorized());
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn enable_ends_a_rest_and_after_a_failure_one_goes_first_all_the_same() {
    for (outcome, role) in [(throttled(60 * SECOND), Role::Regular), (timeout(), Role::Trial)] {
        let mut world = Scenario::of(1).begin();
        world.run(EAST, &outcome);
        let now = world.now();
        world.balancer.enable(EAST, now);
        assert_eq!(world.send().lease.role(), role, "{outcome:?}");
    }
}

#[test]
fn enable_during_a_probe_sends_no_second_one() {
    let mut world = Scenario::of(1).begin();
    world.run(EAST, &unauthorized());
    let probe = world.pass(DISABLED_PROBE).send();
    assert!(matches!(world.wait(), Wait::Never(_)));
    let now = world.now();
    world.balancer.enable(EAST, now);
    let next = now - world.t0 + EJECTED_PROBE;
    assert_eq!(world.wait(), Wait::Until(next), "not at once");
    world.settle(probe, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn cool_down_rests_an_endpoint_in_whatever_state_it_is() {
    let mut world = Scenario::of(1).begin();
    let until = world.t0 + 30 * SECOND;
    world.balancer.cool_down(EAST, until);
    assert_eq!(world.wait(), Wait::Until(30 * SECOND));
    world.balancer.cool_down(EAST, world.t0 + SECOND);
    assert_eq!(world.wait(), Wait::Until(30 * SECOND), "a longer rest stays");

    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    let rest = world.now() - world.t0 + 30 * SECOND;
    let until = world.t0 + rest;
    world.balancer.cool_down(EAST, until);
    assert_eq!(world.wait(), Wait::Until(rest), "the probe too");
    let probe = world.at(rest).send();
    world.balancer.cool_down(EAST, until + 30 * SECOND);
    world.settle(probe, &Outcome::SUCCESS);
    assert_eq!(
        world.wait(),
        Wait::Until(rest + 30 * SECOND),
        "and a probe that succeeds"
    );
}

#[test]
fn a_pair_that_lacks_an_operation_disturbs_no_other() {
    let mut world = Scenario::of(2).begin();
    let embeddings = crate::api::Operation::Embeddings;
    let send = |world: &mut World| {
        let job = world.job();
        match world.pick(&job, &embeddings) {
            crate::balance::Pick::Send(lease) => Ok(Sent { lease, job }),
            crate::balance::Pick::Never(why) => Err(why.reasons),
            other => panic!("{other:?}"),
        }
    };
    let mut lacking = 0;
    while let Ok(sent) = send(&mut world) {
        lacking += 1;
        let (verdict, job) = world.settle(sent, &unsupported());
        assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.t0), 0));
    }
    assert_eq!(lacking, 2, "each deployment is asked once");
    assert!(world.balancer.any_choosy());
    assert!(world.balancer.hopeless(world.set, &embeddings, world.now()).is_some());
    assert_eq!(send(&mut world).unwrap_err()[0].1, "no such operation");
    for endpoint in [EAST, WEST] {
        assert_eq!(world.condition(endpoint), Condition::Ready);
        assert_eq!(world.snapshot(endpoint).streak, 0);
        world.run(endpoint, &Outcome::SUCCESS);
    }

    world.pass(DISABLED_PROBE);
    let (first, second) = (send(&mut world).unwrap(), send(&mut world).unwrap());
    assert_ne!(first.lease.endpoint(), second.lease.endpoint(), "one finds out at each");
    assert!(send(&mut world).is_err());
    world.settle(first, &Outcome::Abandoned);
    world.settle(second, &Outcome::SUCCESS);
    let (third, fourth) = (send(&mut world).unwrap(), send(&mut world).unwrap());
    assert_ne!(
        third.lease.endpoint(),
        fourth.lease.endpoint(),
        "the one that was given up is replaced at once"
    );
}

#[test]
fn what_waits_for_a_resting_endpoint_becomes_the_probe_of_a_disabled_one() {
    let mut world = Scenario::of(2).begin();
    world.run(EAST, &unauthorized());
    world.run(WEST, &throttled(600 * SECOND));
    assert_eq!(
        world.wait(),
        Wait::Until(DISABLED_PROBE),
        "not only when the rest is over"
    );
    assert_eq!(world.at(DISABLED_PROBE).send().lease.role(), Role::Probe);
    assert_eq!(world.wait(), Wait::Until(600 * SECOND));
}

#[test]
fn lacking_operations_that_users_invent_do_not_pile_up() {
    let mut world = Scenario::of(1).begin();
    for number in 0..1000 {
        let invented = crate::api::Operation::other(&format!("x{number}")).unwrap();
        let job = world.job();
        let crate::balance::Pick::Send(lease) = world.pick(&job, &invented) else {
            panic!("{invented} is not sent");
        };
        world.settle(Sent { lease, job }, &unsupported());
    }
    let first = crate::api::Operation::other("x0").unwrap();
    let job = world.job();
    assert!(matches!(world.pick(&job, &first), crate::balance::Pick::Send(_)));
}

#[test]
fn a_poisoned_job_cannot_hold_an_endpoint_out_for_ever() {
    let mut world = Scenario::of(1).begin();
    world.eject(EAST);
    let mut job = world.job();
    let mut probes = 0;
    let verdict = loop {
        let probe = world.pass(EJECTED_PROBE).send_again(job);
        assert_eq!(probe.lease.role(), Role::Probe);
        probes += 1;
        let (verdict, back) = world.settle(probe, &server_error());
        job = back;
        if !matches!(verdict, Verdict::RetryAt(_)) {
            break verdict;
        }
    };
    assert_eq!((verdict, probes), (Verdict::GiveUp(GiveUp::ServerErrors), 3));
}
