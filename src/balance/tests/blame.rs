//! Whose fault a failure is, and what becomes of its job.

use crate::api::Condition;
use crate::balance::outcome::{Blame, Outcome};
use crate::balance::scenario::*;
use crate::balance::{EndpointId, GiveUp, JobState, Pick, Verdict, backoff};

/// Sends `job` again and again, each time with what `answer` says for the endpoint, until it ends. Returns where it
/// was, and its end.
fn drive(world: &mut World, mut job: JobState, answer: impl Fn(EndpointId) -> Outcome) -> (Vec<EndpointId>, Verdict) {
    let mut visited = Vec::new();
    loop {
        let sent = world.send_again(job);
        let endpoint = sent.lease.endpoint();
        visited.push(endpoint);
        let (verdict, back) = world.settle(sent, &answer(endpoint));
        job = back;
        let Verdict::RetryAt(at) = verdict else {
            return (visited, verdict);
        };
        let due = at - world.t0;
        world.at(due);
    }
}

fn new_job(world: &mut World, answer: impl Fn(EndpointId) -> Outcome) -> (Vec<EndpointId>, Verdict) {
    let job = world.job();
    drive(world, job, answer)
}

#[test]
fn refused_requests_harm_no_endpoint_and_end_at_once() {
    let mut world = Scenario::of(2).threshold(1).begin();
    for _ in 0..50 {
        let (visited, verdict) = new_job(&mut world, |_| refused());
        assert_eq!((visited.len(), verdict), (1, Verdict::GiveUp(GiveUp::Refused)));
    }
    assert_eq!(
        (world.condition(EAST), world.condition(WEST)),
        (Condition::Ready, Condition::Ready)
    );
}

#[test]
fn fifty_jobs_that_every_endpoint_answers_with_500_harm_none_and_end_after_each_has_been_asked() {
    for (endpoints, requests) in [(2, 2), (3, 3), (5, 3)] {
        let mut world = Scenario::of(endpoints).threshold(2).begin();
        for _ in 0..50 {
            let (mut visited, verdict) = new_job(&mut world, |_| server_error());
            assert_eq!(verdict, Verdict::GiveUp(GiveUp::ServerErrors));
            visited.sort();
            visited.dedup();
            assert_eq!(visited.len(), requests, "each of {endpoints} once, at most three");
        }
        for endpoint in 0..endpoints {
            assert_eq!(world.condition(EndpointId::at(endpoint)), Condition::Ready);
        }
    }
}

#[test]
fn a_500_is_blamed_on_its_endpoint_when_the_job_succeeds_elsewhere() {
    let mut world = Scenario::of(2).threshold(2).begin();
    let answer = |endpoint| {
        if endpoint == EAST {
            server_error()
        } else {
            Outcome::SUCCESS
        }
    };
    let mut jobs = 0;
    while world.condition(EAST) != Condition::Ejected {
        jobs += 1;
        assert!(jobs < 20, "it is never ejected");
        let sent = world.send_to(EAST);
        let (_, job) = world.settle(sent, &server_error());
        assert_eq!(drive(&mut world, job, answer), (vec![WEST], Verdict::Done));
        if world.condition(EAST) == Condition::CoolingDown {
            let left = world.left(EAST);
            world.pass(left);
        }
    }
    assert_eq!(jobs, 2);
    assert_eq!(world.reason(EAST), "2 failures in a row: 500");
    assert_eq!(world.condition(WEST), Condition::Ready);
}

#[test]
fn the_500s_of_jobs_under_way_together_count_once() {
    let mut world = Scenario::of(2).threshold(2).begin();
    let sent: Vec<_> = (0..8).map(|_| world.send_to(EAST)).collect();
    let jobs: Vec<_> = sent
        .into_iter()
        .map(|sent| world.settle(sent, &server_error()).1)
        .collect();
    for job in jobs {
        assert_eq!(drive(&mut world, job, |_| Outcome::SUCCESS).1, Verdict::Done);
    }
    assert_eq!(world.snapshot(EAST).streak, 1);
}

#[test]
fn a_sole_endpoint_is_blamed_from_the_second_job_in_a_row_on() {
    let mut world = Scenario::of(1).threshold(5).begin();
    let (visited, verdict) = new_job(&mut world, |_| server_error());
    assert_eq!(
        (visited.len(), verdict),
        (2, Verdict::GiveUp(GiveUp::ServerErrors)),
        "it is asked twice"
    );
    assert_eq!(world.snapshot(EAST).streak, 0, "one job may be to blame itself");
    world.run(EAST, &server_error());
    assert_eq!(world.snapshot(EAST).streak, 1);
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
}

#[test]
fn a_success_between_two_jobs_clears_a_sole_endpoint() {
    let mut world = Scenario::of(1).begin();
    for _ in 0..20 {
        world.run(EAST, &server_error());
        world.run(EAST, &Outcome::SUCCESS);
    }
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn the_second_try_at_a_sole_endpoint_is_made_after_a_rest() {
    let mut world = Scenario::of(1).begin();
    let (verdict, _) = world.run(EAST, &server_error());
    let Verdict::RetryAt(at) = verdict else {
        panic!("{verdict:?}")
    };
    let rest = at - world.t0;
    assert!(rest >= SECOND * 3 / 4 && rest <= SECOND, "{rest:?}");
}

#[test]
fn an_endpoint_that_lacks_the_operation_is_no_elsewhere() {
    let mut world = Scenario::of(2).threshold(1).begin();
    world.run(WEST, &unsupported());
    let (visited, verdict) = new_job(&mut world, |_| server_error());
    assert_eq!(visited, [EAST, EAST], "as where it is alone");
    assert_eq!(verdict, Verdict::GiveUp(GiveUp::ServerErrors));
    world.run(EAST, &server_error());
    assert_eq!(world.condition(EAST), Condition::Ejected, "the second job in a row");
}

#[test]
fn a_retry_goes_where_the_job_has_not_failed() {
    for seed in 0..20 {
        let mut world = Scenario::of(3).seed(seed).max_attempts(3).begin();
        let job = world.job();
        let (mut visited, verdict) = drive(&mut world, job, |_| Outcome::Failed {
            blame: Blame::Unclear,
            reason: "500".to_owned(),
        });
        visited.sort();
        assert_eq!(visited, [EAST, WEST, NORTH], "seed {seed}");
        assert_eq!(verdict, Verdict::GiveUp(GiveUp::ServerErrors));
    }
}

#[test]
fn a_retry_goes_where_the_job_has_not_failed_whoever_weighs_most() {
    let mut world = Scenario::of(3).weights(&[100, 1, 1]).begin();
    for _ in 0..20 {
        let (_, job) = world.run(EAST, &server_error());
        let again = world.send_again(job);
        assert_ne!(again.lease.endpoint(), EAST);
        world.settle(again, &Outcome::Abandoned);
    }
}

#[test]
fn a_retry_takes_an_endpoint_where_it_has_failed_rather_than_wait() {
    let mut world = Scenario::of(2).begin();
    let (_, job) = world.run(EAST, &timeout());
    world.run(WEST, &throttled(60 * SECOND));
    let left = world.left(EAST);
    assert_eq!(world.pass(left).send_again(job).lease.endpoint(), EAST);
}

#[test]
fn a_retry_waits_for_an_endpoint_elsewhere_rather_than_go_back_to_a_500() {
    let mut world = Scenario::of(2).begin();
    let (_, job) = world.run(EAST, &server_error());
    world.run(WEST, &throttled(60 * SECOND));
    let free = world.now() + 60 * SECOND;
    assert!(matches!(world.pick(&job, &CHAT), Pick::WaitElsewhere(Some(at)) if at == free));
    assert_eq!(world.at(60 * SECOND).send_again(job).lease.endpoint(), WEST);
}

#[test]
fn failed_attempts_count_up_to_the_most_and_refusals_for_quota_do_not() {
    let mut world = Scenario::of(1).threshold(100).max_attempts(3).begin();
    let mut job = world.job();
    let answers = [
        timeout(),
        throttled(SECOND),
        timeout(),
        throttled(SECOND),
        throttled(SECOND),
    ];
    for answer in &answers {
        let sent = world.send_again(job);
        let (verdict, back) = world.settle(sent, answer);
        assert_eq!(verdict, Verdict::RetryAt(world.now()), "{answer:?}");
        job = back;
        let left = world.left(EAST);
        world.pass(left + NANO);
    }
    let sent = world.send_again(job);
    assert_eq!(world.settle(sent, &timeout()).0, Verdict::GiveUp(GiveUp::Attempts));
}

#[test]
fn a_connection_that_went_stale_is_nobodys_fault() {
    let mut world = Scenario::of(1).threshold(1).begin();
    let nobody = Outcome::Failed {
        blame: Blame::Nobody,
        reason: "closed".to_owned(),
    };
    let (verdict, job) = world.run(EAST, &nobody);
    assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.t0), 0));
    assert_eq!(world.condition(EAST), Condition::Ready);
}

/// However often: neither endpoint nor job is charged, and the job rests for longer each time, within bounds.
#[test]
fn what_this_machine_lacks_harms_no_endpoint_and_costs_no_attempt() {
    let here = Outcome::Failed {
        blame: Blame::Here,
        reason: "too many open files".to_owned(),
    };
    let mut world = Scenario::of(1).threshold(1).max_attempts(1).begin();
    let mut job = world.job();
    let mut rests = Vec::new();
    for _ in 0..20 {
        let Pick::Send(lease) = world.pick(&job, &CHAT) else {
            panic!("it is given no work");
        };
        let set = world.set;
        let now = world.now();
        let Verdict::RetryAt(at) = world.balancer.settle(lease, &mut job, set, &here, now) else {
            panic!("it is given up");
        };
        rests.push(at - now);
        assert_eq!((job.failures(), world.condition(EAST)), (0, Condition::Ready));
        assert_eq!(world.snapshot(EAST).streak, 0);
    }
    let longest = |row: usize| (backoff::SHORT_BASE * (1 << row)).min(backoff::SHORT_CAP);
    for (row, rest) in rests.into_iter().enumerate() {
        assert!(
            rest > longest(row.min(8)) / 2 && rest <= longest(row.min(8)),
            "{row}: {rest:?}"
        );
    }
}

/// A probe that could not be sent has found nothing out, and the next one is not put off for longer and longer.
#[test]
fn a_probe_that_this_machine_could_not_send_leaves_the_endpoint_out() {
    let here = Outcome::Failed {
        blame: Blame::Here,
        reason: "too many open files".to_owned(),
    };
    let mut world = Scenario::of(1).threshold(1).begin();
    world.run(EAST, &timeout());
    assert_eq!(world.condition(EAST), Condition::Ejected);
    world.pass(5 * SECOND);
    world.run(EAST, &here);
    assert_eq!(world.condition(EAST), Condition::Ejected);
    world.pass(5 * SECOND);
    world.run(EAST, &Outcome::SUCCESS);
    assert_eq!(world.condition(EAST), Condition::Ready);
}

#[test]
fn an_endpoint_that_denies_access_before_it_has_served_is_disabled_at_once() {
    let mut world = Scenario::of(2).begin();
    let (verdict, job) = world.run(EAST, &denied());
    assert_eq!((verdict, job.failures()), (Verdict::RetryAt(world.t0), 0));
    assert_eq!(world.condition(EAST), Condition::Disabled);
    world.run(WEST, &Outcome::SUCCESS);
    let now = world.now();
    world.balancer.disable(WEST, "down".to_owned());
    world.balancer.enable(WEST, now);
    world.run(WEST, &denied());
    assert_eq!(
        world.condition(WEST),
        Condition::Disabled,
        "what it served before is past"
    );
}

#[test]
fn a_job_that_is_denied_everywhere_disables_nobody_that_has_served() {
    let mut world = Scenario::of(2).begin();
    world.run(EAST, &Outcome::SUCCESS);
    world.run(WEST, &Outcome::SUCCESS);
    for _ in 0..5 {
        let (visited, verdict) = new_job(&mut world, |_| denied());
        assert_eq!((visited.len(), verdict), (2, Verdict::GiveUp(GiveUp::ServerErrors)));
        for endpoint in [EAST, WEST] {
            assert_eq!(world.condition(endpoint), Condition::Ready);
            world.run(endpoint, &Outcome::SUCCESS);
        }
    }
    for _ in 0..4 {
        world.run(EAST, &denied());
        assert_eq!(world.condition(EAST), Condition::Ready);
    }
    let (_, job) = world.run(EAST, &denied());
    assert_eq!(world.condition(EAST), Condition::Disabled, "the fifth job in a row");
    assert_eq!(world.reason(EAST), "5 failures in a row: 403");
    assert_eq!(world.condition(WEST), Condition::Ready);
    assert_eq!(
        drive(&mut world, job, |_| Outcome::SUCCESS),
        (vec![WEST], Verdict::Done)
    );
}
