//! Failures of which the endpoint may be to blame or the job, and what clears the one or the other.

use crate::api::{Condition, Operation};
use crate::balance::endpoint::EJECTED_PROBE;
use crate::balance::outcome::{Blame, Outcome, Scope};
use crate::balance::scenario::*;
use crate::balance::{GiveUp, JobState, Pick, Role, Verdict};

fn failed(blame: Blame) -> Outcome {
    Outcome::Failed {
        blame,
        reason: format!("{blame:?}"),
    }
}

fn cut() -> Outcome {
    failed(Blame::Cut)
}

fn missing() -> Outcome {
    Outcome::Unusable {
        scope: Scope::Path { own: false },
        reason: "404".to_owned(),
    }
}

/// In the service's own form.
fn not_served() -> Outcome {
    Outcome::Unusable {
        scope: Scope::Path { own: true },
        reason: "404".to_owned(),
    }
}

fn page() -> Outcome {
    Outcome::Refused {
        own: false,
        reason: "400 page".to_owned(),
    }
}

/// A world whose first endpoint has answered this many jobs well.
fn served(endpoints: usize, jobs: usize) -> World {
    let mut world = Scenario::of(endpoints).begin();
    (0..jobs).for_each(|_| drop(world.run(EAST, &Outcome::SUCCESS)));
    world
}

#[test]
fn a_failure_is_taken_back_with_its_rest_when_a_job_sent_later_is_answered_well() {
    for outcome in [cut(), failed(Blame::ServerError), timeout()] {
        for (later, then) in [(true, Condition::Ready), (false, Condition::CoolingDown)] {
            let mut world = Scenario::of(1).begin();
            let (first, second) = (world.send(), world.send());
            let (fails, succeeds) = if later { (first, second) } else { (second, first) };
            world.settle(fails, &outcome);
            assert_eq!(world.condition(EAST), Condition::CoolingDown);
            world.settle(succeeds, &Outcome::SUCCESS);
            assert_eq!(world.condition(EAST), then, "{outcome:?}");
            assert_eq!(world.snapshot(EAST).streak, u32::from(!later));
        }
    }
}

#[test]
fn a_failure_that_others_sent_later_have_outlived_costs_nothing() {
    for outcome in [cut(), failed(Blame::ServerError), timeout()] {
        let mut world = Scenario::of(1).begin();
        let hangs = world.send();
        world.run(EAST, &Outcome::SUCCESS);
        world.pass(SECOND).settle(hangs, &outcome);
        assert_eq!(world.condition(EAST), Condition::Ready, "{outcome:?}");
    }
}

#[test]
fn a_take_back_shortens_no_rest_that_was_asked_for() {
    let mut world = Scenario::of(1).begin();
    let (fails, asks, succeeds) = (world.send(), world.send(), world.send());
    world.settle(fails, &cut());
    world.settle(asks, &throttled(SECOND / 10));
    world.settle(succeeds, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
}

#[test]
fn a_job_that_has_been_outlived_twice_counts_nowhere_any_more() {
    let mut world = Scenario::of(1).max_attempts(9).begin();
    let mut job = world.job();
    for turn in 0..6 {
        let (sent, other) = (world.send_again(job), world.send());
        (_, job) = world.settle(sent, &cut());
        let rests = world.condition(EAST) == Condition::CoolingDown;
        assert_eq!(rests, turn < 2, "failure {turn}");
        world.settle(other, &Outcome::SUCCESS);
        assert_eq!(world.condition(EAST), Condition::Ready);
        assert_eq!(job.failures(), turn + 1, "its attempts count");
        world.pass(SECOND);
    }
}

#[test]
fn an_endpoint_that_has_died_is_out_after_as_many_failures_as_the_threshold_says() {
    for before in [0, 100] {
        let mut world = served(1, before);
        for failures in 1..=5 {
            world.run(EAST, &cut());
            assert_eq!(world.condition(EAST) == Condition::Ejected, failures == 5);
            if world.condition(EAST) == Condition::CoolingDown {
                let left = world.left(EAST);
                world.pass(left);
            }
        }
        assert_eq!(world.reason(EAST), "5 failures in a row: Cut", "after {before} answers");
    }
}

#[test]
fn one_job_alone_counts_as_often_as_it_fails_and_among_others_once() {
    let mut world = served(1, 100);
    let mut job = world.job();
    for attempt in 1..=4 {
        let sent = world.send_again(job);
        (_, job) = world.settle(sent, &cut());
        assert_eq!(world.snapshot(EAST).streak, attempt, "alone");
        if let Some(left) = world.snapshot(EAST).left {
            world.pass(left);
        }
    }
    let mut world = served(1, 100);
    let _beside = world.send();
    let mut job = world.job();
    for _ in 0..4 {
        let sent = world.send_again(job);
        (_, job) = world.settle(sent, &cut());
        assert_eq!(world.snapshot(EAST).streak, 1, "beside another");
        assert_eq!(world.condition(EAST), Condition::Ready);
    }
}

#[test]
fn a_job_that_has_failed_at_all_that_are_ready_rests_for_a_moment() {
    let mut world = served(2, 100);
    (0..20).for_each(|_| drop(world.run(WEST, &Outcome::SUCCESS)));
    let mut job = world.job();
    let mut rests = Vec::new();
    for _ in 0..4 {
        let sent = world.send_again(job);
        let (verdict, back) = world.settle(sent, &cut());
        job = back;
        let Verdict::RetryAt(at) = verdict else {
            panic!("{verdict:?}")
        };
        rests.push((at - world.now()).as_millis());
        world.pass(SECOND);
        world.run(EAST, &Outcome::SUCCESS);
        world.run(WEST, &Outcome::SUCCESS);
    }
    assert_eq!(rests[0], 0, "another has not been asked");
    assert!(
        (25..=50).contains(&rests[1]) && (50..=100).contains(&rests[2]),
        "{rests:?}"
    );
}

/// Each of its failures is taken back, and each job is answered elsewhere.
#[test]
fn failures_of_jobs_that_are_answered_in_the_end_stand_in_the_rate() {
    // Two of three fail.
    let mut world = Scenario::of(2).begin();
    let mut turns = 0;
    while world.condition(EAST) != Condition::Ejected {
        turns += 1;
        assert!(turns < 100, "it is never ejected");
        let sent = world.send_to(EAST);
        if turns % 3 == 0 {
            world.settle(sent, &Outcome::SUCCESS);
        } else {
            let (_, job) = world.settle(sent, &cut());
            let again = world.send_again(job);
            assert_eq!(again.lease.endpoint(), WEST);
            world.settle(again, &Outcome::SUCCESS);
        }
        let left = world.snapshot(EAST).left.unwrap_or(SECOND / 10);
        world.pass(left);
    }
    assert!(
        world.reason(EAST).contains("attempts failed in 30 s"),
        "{}",
        world.reason(EAST)
    );

    // Nobody answers these, so they may be to blame themselves.
    let mut world = Scenario::of(2).begin();
    for _ in 0..100 {
        world.run(EAST, &cut());
        let left = world.snapshot(EAST).left.unwrap_or(SECOND / 10);
        world.pass(left).run(EAST, &Outcome::SUCCESS);
        assert_ne!(world.condition(EAST), Condition::Ejected);
    }
}

#[test]
fn a_failed_probe_is_an_attempt_once_its_endpoint_has_answered_another_job() {
    for answered in [false, true] {
        let mut world = Scenario::of(1).begin();
        world.eject(EAST);
        let mut job = world.job();
        for _ in 0..7 {
            let probe = world.pass(EJECTED_PROBE).send_again(job);
            let (verdict, back) = world.settle(probe, &cut());
            assert_eq!(verdict, Verdict::RetryAt(world.now()));
            job = back;
        }
        assert_eq!(job.failures(), 0, "it is dead as far as anybody knows");
        if answered {
            world.pass(EJECTED_PROBE).run(EAST, &Outcome::SUCCESS);
        }
        let sent = world.pass(EJECTED_PROBE).send_again(job);
        let expected = if answered {
            Verdict::GiveUp(GiveUp::Attempts)
        } else {
            Verdict::RetryAt(world.now())
        };
        assert_eq!(world.settle(sent, &cut()).0, expected);
    }
}

#[test]
fn an_operation_that_has_served_is_missing_when_as_many_jobs_in_a_row_say_so_as_take_an_endpoint_out() {
    let mut world = served(1, 1);
    for jobs in 1..=5 {
        assert_eq!(world.condition(EAST), Condition::Ready);
        let (verdict, job) = world.run(EAST, &missing());
        assert!(matches!(verdict, Verdict::RetryAt(_)));
        assert_eq!(job.failures(), 1, "it is tried again, and not without end");
        let hopeless = world.balancer.hopeless(world.set, &CHAT, world.now());
        assert_eq!(hopeless.is_some(), jobs == 5, "after {jobs} jobs");
    }
    assert_eq!(world.wait(), Wait::Never(vec!["404".to_owned()]));

    let mut world = Scenario::of(1).begin();
    world.run(EAST, &not_served());
    assert!(matches!(world.wait(), Wait::Never(_)), "it has never served");
}

#[test]
fn where_a_page_says_to_one_job_that_all_there_is_lacks_its_operation_the_next_finds_out() {
    for (outcome, is_missing) in [
        (Outcome::SUCCESS, false),
        (missing(), true),
        (not_served(), true),
        (cut(), false),
    ] {
        let mut world = Scenario::of(1).begin();
        let (first, under_way) = (world.send(), world.send());
        let (verdict, _) = world.settle(first, &missing());
        assert_eq!(verdict, Verdict::RetryAt(world.t0));
        // Nobody else goes, and nobody ends, before it is known.
        let never = world.balancer.hopeless(world.set, &CHAT, world.now());
        assert!(never.is_none() && matches!(world.wait(), Wait::Until(_)));
        world.settle(under_way, &Outcome::Abandoned);
        let next = world.send();
        assert_eq!(next.lease.role(), Role::Trial);
        assert!(matches!(world.wait(), Wait::Until(_)), "one by one");
        world.settle(next, &outcome);
        let never = world.balancer.hopeless(world.set, &CHAT, world.now());
        assert_eq!(never.is_some(), is_missing, "{outcome:?}");
        if outcome == Outcome::SUCCESS {
            assert!(world.send_all().len() > 1);
        }
    }
    // Where somebody else is there jobs go there meanwhile, and this one is believed.
    let mut world = Scenario::of(2).begin();
    world.run(EAST, &missing());
    assert!(world.send_all().iter().all(|sent| sent.lease.endpoint() == WEST));
}

#[test]
fn a_job_is_believed_once_that_a_path_is_missing() {
    let mut world = Scenario::of(3).begin();
    let mut job = world.job();
    let mut asked = 0;
    let verdict = loop {
        let sent = world.send_again(job);
        asked += 1;
        let (verdict, back) = world.settle(sent, &missing());
        job = back;
        if !matches!(verdict, Verdict::RetryAt(_)) {
            break verdict;
        }
    };
    assert_eq!((verdict, asked), (Verdict::GiveUp(GiveUp::ServerErrors), 3));
    let mut others: Vec<_> = world.send_all().iter().map(|sent| sent.lease.endpoint()).collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 2, "one lacks it");
}

#[test]
fn where_one_job_is_denied_everywhere_another_finds_out_at_once() {
    for (outcome, then) in [(Outcome::SUCCESS, Condition::Ready), (denied(), Condition::Disabled)] {
        let mut world = Scenario::of(2).begin();
        let (_, job) = world.run(EAST, &denied());
        let again = world.send_again(job);
        assert_eq!(again.lease.endpoint(), WEST, "while another is ready that one is asked");
        let (verdict, _) = world.settle(again, &denied());
        assert_eq!(verdict, Verdict::RetryAt(world.t0));
        assert_eq!(
            (world.condition(EAST), world.condition(WEST)),
            (Condition::Disabled, Condition::Disabled)
        );
        for _ in 0..2 {
            let probe = world.send();
            assert_eq!(probe.lease.role(), Role::Probe);
            let endpoint = probe.lease.endpoint();
            world.settle(probe, &outcome);
            assert_eq!(world.condition(endpoint), then);
            if then == Condition::Ready {
                break;
            }
        }
        if then == Condition::Disabled {
            assert!(matches!(world.wait(), Wait::Never(_)), "two jobs are enough");
        }
    }
}

#[test]
fn a_denial_before_anything_was_served_is_taken_back_by_what_was_under_way() {
    let mut world = Scenario::of(1).begin();
    let (good, denied_one) = (world.send(), world.send());
    world.settle(denied_one, &denied());
    assert_eq!(world.condition(EAST), Condition::Disabled);
    world.settle(good, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn a_refusal_that_is_a_page_is_believed_from_the_second_endpoint_on() {
    let send = |world: &mut World, job: JobState, outcome: &Outcome| {
        let sent = world.send_again(job);
        let endpoint = sent.lease.endpoint();
        let (verdict, job) = world.settle(sent, outcome);
        (endpoint, verdict, job)
    };
    let mut world = Scenario::of(2).begin();
    let job = world.job();
    let (first, verdict, job) = send(&mut world, job, &page());
    assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.t0), 0));
    let (second, verdict, _) = send(&mut world, job, &page());
    assert_eq!(verdict, Verdict::GiveUp(GiveUp::Refused));
    assert_ne!(first, second);
    assert_eq!(world.snapshot(first).streak + world.snapshot(second).streak, 0);

    let mut world = Scenario::of(1).begin();
    assert_eq!(
        world.run(EAST, &page()).0,
        Verdict::GiveUp(GiveUp::Refused),
        "there is no elsewhere"
    );
    let mut world = Scenario::of(2).begin();
    assert_eq!(
        world.run(EAST, &refused()).0,
        Verdict::GiveUp(GiveUp::Refused),
        "in its own form"
    );
}

#[test]
fn an_endpoint_that_answers_with_pages_what_another_serves_is_out_and_loses_no_job() {
    let mut world = Scenario::of(2).begin();
    let mut jobs = 0;
    while world.condition(EAST) != Condition::Ejected {
        jobs += 1;
        assert!(jobs < 100, "it is never ejected");
        let sent = world.send_to(EAST);
        let (verdict, job) = world.settle(sent, &page());
        assert!(matches!(verdict, Verdict::RetryAt(_)));
        let again = world.send_again(job);
        assert_eq!(world.settle(again, &Outcome::SUCCESS).0, Verdict::Done);
        let left = world.snapshot(EAST).left.unwrap_or_default();
        world.pass(left);
    }
    assert!(world.reason(EAST).contains("400 page"));
    world.pass(EJECTED_PROBE).run(EAST, &page());
    assert_eq!(
        world.condition(EAST),
        Condition::Ejected,
        "a page is no sign that it is back"
    );
}

#[test]
fn what_one_operation_has_served_proves_nothing_for_another() {
    let mut world = served(1, 30);
    let job = world.job();
    let Pick::Send(lease) = world.pick(&job, &Operation::Embeddings) else {
        panic!("it is not sent");
    };
    world.settle(Sent { lease, job }, &not_served());
    let hopeless = |operation| world.balancer.hopeless(world.set, &operation, world.t0).is_some();
    assert!(hopeless(Operation::Embeddings) && !hopeless(CHAT));
}
