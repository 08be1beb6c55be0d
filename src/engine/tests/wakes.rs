//! No worker waits while something is admissible: who goes on when a quota has room again.

use crate::api::{Priority, RequestBody, Told};
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Outcome, Used};
use crate::balance::{BalanceSettings, Balancer, EndpointSpec, HealthSettings, JobSize, Output, ReplyHead, Strategy};
use crate::clock;
use crate::engine::core::Core;
use crate::engine::job::{Job, ReplyKind, Request};
use crate::engine::scenario::*;
use crate::transport::Method;

const WORKERS: usize = 64;

pub(super) fn limit(tpm: Option<u64>) -> LimitSpec {
    LimitSpec {
        sku: Sku::Standard,
        tpm,
        rpm: None,
        quota_window: 60 * SECOND,
        request_window: 10 * SECOND,
    }
}

pub(super) fn endpoint(number: usize) -> EndpointSpec {
    EndpointSpec::new(format!("e{number}"), vec!["m".into(), format!("m{number}").into()])
}

pub(super) fn bench(specs: Vec<EndpointSpec>, groups: Vec<LimitSpec>) -> Bench {
    let start = clock::now();
    let settings = BalanceSettings {
        strategy: Strategy::Weighted,
        workers: WORKERS as u32,
        max_attempts: 5,
        health: HealthSettings {
            threshold: 5,
            cooldown_max: 3600 * SECOND,
        },
        groups,
        start,
        seed: 1,
    };
    let mut core = Core::new(Balancer::new(specs, settings), usize::MAX, start);
    core.workers = WORKERS;
    (0..WORKERS).for_each(|_| core.worker_idles());
    Bench {
        core,
        now: start,
        ended: Vec::new(),
    }
}

/// One endpoint with this quota of its own.
pub(super) fn sole(tpm: Option<u64>) -> Bench {
    let mut spec = endpoint(0);
    spec.limit = Some(limit(tpm));
    bench(vec![spec], Vec::new())
}

/// Submits a job that is charged so many tokens, half of them for its prompt.
pub(super) fn submit(bench: &mut Bench, model: &str, tokens: u32, priority: Priority) -> u64 {
    let size = JobSize::new(tokens / 2, Output::AtMost(tokens / 2));
    let request = Request::new(
        RequestBody::opaque(Vec::new()),
        Method::Post,
        ReplyKind::Raw,
        size,
        None,
        None,
    );
    let set = bench.core.balancer.set(Some(model)).unwrap();
    bench
        .core
        .submit(set, &CHAT, Job::new(request, priority), None, bench.now)
        .id
}

/// Submits jobs of these sizes.
pub(super) fn submit_all(bench: &mut Bench, sizes: impl Iterator<Item = u32>) {
    for tokens in sizes {
        submit(bench, "m", tokens, Priority::Normal);
    }
}

pub(super) fn head(told: Told) -> ReplyHead {
    ReplyHead { admitted: true, told }
}

#[test]
fn a_small_interactive_job_does_not_wait_for_the_place_of_a_large_one_of_a_lower_class() {
    let mut bench = sole(Some(60_000));
    // Confirmed by silence, so that the whole quota may be used.
    for _ in 0..4 {
        submit(&mut bench, "m", 12_000, Priority::Normal);
        assert_eq!(bench.pump().len(), 1);
        bench.pass(SECOND / 2);
    }
    submit(&mut bench, "m", 30_000, Priority::Batch);
    assert_eq!(bench.pump().len(), 0, "no room for it");
    let small = submit(&mut bench, "m", 1_000, Priority::Interactive);
    let sent = bench.go_on();
    assert_eq!(sent.iter().map(|sent| sent.job.id()).collect::<Vec<_>>(), [small]);
}

#[test]
fn what_a_member_of_a_group_gives_back_lets_another_member_go_on() {
    let mut specs = vec![endpoint(0), endpoint(1)];
    specs.iter_mut().for_each(|spec| spec.group = Some(0));
    let mut bench = bench(specs, vec![limit(Some(60_000))]);
    let mut sent = Vec::new();
    for _ in 0..4 {
        submit(&mut bench, "m0", 14_000, Priority::Normal);
        sent.extend(bench.pump());
        bench.pass(SECOND / 2);
    }
    assert_eq!(sent.len(), 4);
    let other = submit(&mut bench, "m1", 12_000, Priority::Normal);
    assert_eq!(bench.pump().len(), 0, "no room for it");
    // Its prompt was estimated far too high.
    let used = Used {
        prompt: Some(10),
        output: Some(10),
    };
    bench.settle(sent.remove(0), &Outcome::Success(used));
    bench.settle(sent.remove(0), &Outcome::Success(used));
    let went: Vec<_> = bench.go_on().iter().map(|sent| sent.job.id()).collect();
    assert_eq!(went, [other]);
}

#[test]
fn a_quota_that_a_head_names_higher_lets_others_go_at_once() {
    let mut bench = sole(None);
    let mut sent = Vec::new();
    submit(&mut bench, "m", 2_000, Priority::Normal);
    sent.extend(bench.pump());
    let low = Told {
        limit_tokens: Some(10_000),
        ..Told::default()
    };
    bench.core.admitted(&sent[0].lease, &head(low), bench.now);
    for _ in 0..10 {
        submit(&mut bench, "m", 2_000, Priority::Normal);
        sent.extend(bench.pump());
        bench.pass(SECOND / 2);
    }
    assert!(bench.core.waiting() > 0);
    let high = Told {
        limit_tokens: Some(100_000),
        ..Told::default()
    };
    let last = sent.last().unwrap();
    assert!(
        bench.core.admitted(&last.lease, &head(high), bench.now),
        "a pump should follow"
    );
}

#[test]
fn a_head_that_confirms_lets_those_go_that_waited_for_silence() {
    let mut bench = sole(Some(60_000));
    for _ in 0..6 {
        submit(&mut bench, "m", 3_000, Priority::Normal);
    }
    let sent = bench.pump();
    assert_eq!(sent.len(), 5, "a quarter of the quota may be unconfirmed");
    assert!(
        bench.core.admitted(&sent[0].lease, &head(Told::default()), bench.now),
        "a pump should follow"
    );
}

#[test]
fn a_job_is_not_too_late_for_a_send_that_a_head_may_confirm_in_its_time() {
    let mut bench = sole(Some(60_000));
    for _ in 0..5 {
        submit(&mut bench, "m", 3_000, Priority::Normal);
    }
    let sent = bench.pump();
    assert_eq!(sent.len(), 5, "a quarter of the quota may be unconfirmed");
    let set = bench.core.balancer.set(Some("m")).unwrap();
    let job = Job::new(request(), Priority::Normal);
    bench
        .core
        .submit(set, &CHAT, job, Some(bench.now + SECOND / 5), bench.now);
    let size = JobSize::new(1_500, Output::AtMost(1_500));
    let request = Request::new(
        RequestBody::opaque(Vec::new()),
        Method::Post,
        ReplyKind::Raw,
        size,
        None,
        None,
    );
    let job = Job::new(request, Priority::Normal);
    bench
        .core
        .submit(set, &CHAT, job, Some(bench.now + SECOND / 5), bench.now);
    bench.pump();
    assert_eq!(bench.ended, []);
}
#[test]
fn a_job_is_not_too_late_while_what_is_under_way_may_give_room_back_in_its_time() {
    let mut bench = sole(Some(60_000));
    let mut sent = Vec::new();
    for _ in 0..4 {
        submit(&mut bench, "m", 14_000, Priority::Normal);
        sent.extend(bench.pump());
        bench.pass(SECOND / 2);
    }
    let set = bench.core.balancer.set(Some("m")).unwrap();
    let size = JobSize::new(6_000, Output::AtMost(6_000));
    let request = Request::new(
        RequestBody::opaque(Vec::new()),
        Method::Post,
        ReplyKind::Raw,
        size,
        None,
        None,
    );
    let job = Job::new(request, Priority::Normal);
    let deadline = bench.now + 3 * SECOND;
    let id = bench.core.submit(set, &CHAT, job, Some(deadline), bench.now).id;
    assert_eq!(bench.pump().len(), 0, "no room for it");
    // Its prompt was estimated far too high.
    let used = Used {
        prompt: Some(10),
        output: Some(10),
    };
    bench.settle(sent.remove(0), &Outcome::Success(used));
    bench.settle(sent.remove(0), &Outcome::Success(used));
    assert_eq!(bench.ended, []);
    let went: Vec<_> = bench.go_on().iter().map(|sent| sent.job.id()).collect();
    assert_eq!(went, [id]);
}
