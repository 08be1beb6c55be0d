//! Refusals for want of quota: the service's wait is kept to the moment, costs no attempt, and holds up nobody who can go
//! elsewhere.
//!
//! A provisioned deployment names its wait in milliseconds, which keeps these tests short. The journal's times are the
//! service's: the refusal's head goes out before the client can begin to count, and the next request comes in after it
//! has stopped.

use std::time::{Duration, SystemTime};

use azure_openai_blaster::api::Condition;
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::sim::{FaultKind, RefusalFamily, RetryAfter, SimDeployment, SimFault, SimFleet};
use azure_openai_blaster::{Blaster, JobHandle};

use crate::canned::Canned;
use crate::support::{arrived, ask, attempts, config, fleet, listened, state, wait, wait_all};

const MS: Duration = Duration::from_millis(1);

/// A 429 whose true wait is `wait_ms`.
fn refusal(retry_after: RetryAfter, wait_ms: u32) -> FaultKind {
    let family = RefusalFamily::Provisioned;
    FaultKind::Throttle {
        family,
        retry_after,
        wait_ms,
    }
}

/// A deployment that refuses its first requests for so many milliseconds each.
fn refusing(name: &str, requests: u64, wait_ms: u32) -> SimDeployment {
    let fault = SimFault::next(requests, refusal(RetryAfter::Both, wait_ms));
    SimDeployment::new(name).provisioned(1_000_000_000).fault(fault)
}

/// A blaster that gives a job up after its first failed attempt.
fn one_attempt(fleet: &SimFleet, workers: usize) -> BlasterConfig {
    config(fleet).num_workers(workers).max_job_retry(1)
}

fn build(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// Nothing arrived at a deployment in the time after any of its refusals.
fn check_rests(fleet: &SimFleet, deployment: &str, rest: Duration) {
    let entries = arrived(fleet, deployment);
    for (index, entry) in entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.status == Some(429))
    {
        let refused = entry.answered.unwrap();
        for later in &entries[index + 1..] {
            let gap = later.received.saturating_sub(refused);
            assert!(
                gap >= rest,
                "{deployment}: asked again after {gap:?} instead of {rest:?}"
            );
        }
    }
}

#[test]
fn a_sole_endpoint_is_asked_again_at_the_named_moment_and_no_attempt_is_spent() {
    let fleet = fleet([refusing("ptu", 2, 300)]);
    let blaster = build(one_attempt(&fleet, 1));
    let handles: Vec<_> = (0..20).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    let results = wait_all(handles);
    for result in &results {
        assert!(result.is_ok(), "{result:?}");
    }
    check_rests(&fleet, "ptu", 300 * MS);
    let first = results[0].as_ref().unwrap().ledger();
    let statuses: Vec<_> = first.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(429), Some(429), Some(200)]);
    assert!(
        first.attempts()[1].wait >= 300 * MS && first.attempts()[2].wait >= 300 * MS,
        "{first}"
    );
    assert_eq!(results.iter().map(attempts).sum::<usize>(), 22);
    assert_eq!(fleet.journal().len(), 22);
}

#[test]
fn two_endpoints_that_both_refuse_are_waited_for() {
    let fleet = fleet([refusing("east", 2, 300), refusing("west", 2, 300)]);
    let blaster = build(one_attempt(&fleet, 1));
    for id in 0..8 {
        let completion = blaster.chat(ask(id)).unwrap();
        let ledger = completion.ledger();
        let refused = ledger
            .attempts()
            .iter()
            .filter(|attempt| attempt.status == Some(429))
            .count();
        assert_eq!(ledger.len(), refused + 1);
    }
    for name in ["east", "west"] {
        check_rests(&fleet, name, 300 * MS);
        assert_eq!(state(&blaster, name).report().totals.throttled, 2);
    }
    assert_eq!(fleet.journal().len(), 8 + 4);
}

#[test]
fn two_endpoints_that_both_name_whole_seconds_are_left_alone_for_them() {
    // What `Retry-After: 2` alone says, with no other header and no milliseconds beside it.
    let names = ["east", "west"];
    let fault = || SimFault::next(1, refusal(RetryAfter::Honest, 2000));
    let fleet = fleet(names.map(|name| SimDeployment::new(name).fault(fault())));
    let blaster = build(one_attempt(&fleet, 1));
    let handles: Vec<_> = (0..8).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    for result in wait_all(handles) {
        assert!(result.is_ok(), "{result:?}");
    }
    for name in names {
        check_rests(&fleet, name, 2000 * MS);
        // The first job asked both in turn.
        let refusals = arrived(&fleet, name)
            .iter()
            .filter(|entry| entry.status == Some(429))
            .count();
        assert_eq!(refusals, 1, "{name}");
        assert_eq!(state(&blaster, name).report().totals.throttled, 1, "{name}");
    }
    assert_eq!(fleet.journal().len(), 8 + 2);
}

#[test]
fn whole_seconds_and_the_traps_around_them_are_understood() {
    // Each is a sole endpoint for its model; all rest at once.
    let rows = [
        ("seconds", RetryAfter::Honest, 1000),
        ("both", RetryAfter::Both, 1000),
        // `retry-after-ms: 0` beside `retry-after: 1`.
        ("zero-ms", RetryAfter::ZeroMs, 1000),
        // No wait is named, or limits of −1 with a reset of 0: the back-off of a first refusal.
        ("silent", RetryAfter::Silent, 1000),
        ("unlimited", RetryAfter::Unlimited, 1000),
    ];
    let fleet = fleet(
        rows.map(|(name, form, wait_ms)| SimDeployment::new(name).fault(SimFault::next(1, refusal(form, wait_ms)))),
    );
    let blaster = build(one_attempt(&fleet, 8));
    let handles = rows.map(|(name, _, _)| blaster.submit(ask(name).model(name)).unwrap());
    for (handle, (name, _, _)) in handles.into_iter().zip(rows) {
        let completion = wait(handle).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(completion.ledger().len(), 2, "{name}");
        check_rests(&fleet, name, 1000 * MS);
    }
}

#[test]
fn a_wait_that_is_named_as_a_date_is_understood() {
    let fault = SimFault::next(1, refusal(RetryAfter::Date, 60_000));
    let fleet = fleet([SimDeployment::new("gpt").fault(fault)]);
    let (blaster, told) = listened(one_attempt(&fleet, 2));
    let handle = blaster.submit(ask(0)).unwrap();
    told.until_condition("gpt", Condition::CoolingDown);
    // Dates have no fractions, and this one was written a moment ago.
    let left = state(&blaster, "gpt").report().left.unwrap();
    assert!(
        left > Duration::from_secs(20) && left <= Duration::from_secs(62),
        "{left:?}"
    );
    state(&blaster, "gpt").enable();
    assert_eq!(wait(handle).unwrap().ledger().len(), 2);
}

/// Where its clock, or ours, is an hour off: a date means what it means beside the reply's own.
#[test]
fn a_wait_until_a_date_counts_from_the_date_of_the_reply() {
    const HOUR: Duration = Duration::from_secs(3600);
    const WAIT: Duration = Duration::from_secs(600);
    let now = SystemTime::now();
    for service in [now - HOUR, now, now + HOUR] {
        let [date, until] = [service, service + WAIT].map(httpdate::fmt_http_date);
        let head = format!("429 Too Many Requests\r\ndate: {date}\r\nretry-after: {until}");
        let server = Canned::start(&head, r#"{"error":{"code":"429","message":"m"}}"#);
        let deployment = DeploymentConfig::new("gpt", &server.url, "gpt").auth(Auth::key("k"));
        let (blaster, told) = listened(BlasterConfig::new([deployment]).num_workers(1));
        let _waits = blaster.submit(ask(0)).unwrap();
        told.until_condition("gpt", Condition::CoolingDown);
        let left = state(&blaster, "gpt").report().left.unwrap();
        assert!(left <= WAIT && left > WAIT / 2, "{date}: {left:?}");
    }
}

#[test]
fn an_endpoint_that_names_a_day_is_disabled_and_the_other_serves_at_once() {
    let day = SimFault::always(refusal(RetryAfter::Seconds(86_400), 86_400_000));
    let fleet = fleet([SimDeployment::new("empty").fault(day), SimDeployment::new("full")]);
    let blaster = build(one_attempt(&fleet, 4));
    for id in 0..20 {
        let completion = blaster.chat(ask(id)).unwrap();
        assert_eq!(completion.ledger().last().unwrap().endpoint.as_ref(), "full");
    }
    let report = state(&blaster, "empty").report();
    assert_eq!(report.condition, Condition::Disabled, "{report}");
    assert!(report.reason.as_ref().unwrap().contains("86400 s"), "{report}");
    assert!(
        report.left.unwrap() <= Duration::from_secs(60),
        "probed all the same: {report}"
    );
    assert_eq!(arrived(&fleet, "empty").len(), 1);
}

#[test]
fn a_wait_beyond_the_limit_disables_the_last_endpoint_until_it_is_enabled() {
    let fleet = fleet([refusing("ptu", 1, 2000)]);
    let blaster = build(one_attempt(&fleet, 2).cooldown_max(Duration::from_secs(1)));
    let error = blaster.chat(ask(0)).unwrap_err();
    let Error::NoEndpoint { endpoints, trail, .. } = &error else {
        panic!("{error}")
    };
    assert!(endpoints[0].1.contains("asked to wait 2 s"), "{error}");
    assert!(error.is_retryable(), "that passes by itself");
    assert_eq!(trail.ledger.len(), 1);
    assert_eq!(
        blaster.chat(ask(1)).unwrap_err().ledger().unwrap().len(),
        0,
        "it is not asked meanwhile"
    );
    state(&blaster, "ptu").enable();
    assert_eq!(blaster.chat(ask(2)).unwrap().ledger().len(), 1);
    assert_eq!(state(&blaster, "ptu").report().condition, Condition::Ready);
}

#[test]
fn a_refusal_inside_a_200_is_one_as_well() {
    let fault = SimFault::next(1, FaultKind::RefusedStream { retry_after_s: 1 });
    let fleet = fleet([SimDeployment::new("gpt").fault(fault)]);
    let blaster = build(one_attempt(&fleet, 2));
    let completion = blaster.chat(ask(0).stream(true)).unwrap();
    assert_eq!(completion.ledger().len(), 2);
    let entries = arrived(&fleet, "gpt");
    assert!(entries[1].received - entries[0].answered.unwrap() >= 1000 * MS);
    assert_eq!(state(&blaster, "gpt").report().totals.throttled, 1);
}

#[test]
fn a_ready_endpoint_never_idles_beside_work_that_it_may_serve() {
    let fleet = fleet([
        refusing("resting", 1, 60_000).model("gpt-4o", ""),
        SimDeployment::new("ready").model("gpt-4o", ""),
    ]);
    let (blaster, told) = listened(config(&fleet));
    let mut stuck = vec![blaster.submit(ask(0).model("resting")).unwrap()];
    told.until_condition("resting", Condition::CoolingDown);
    stuck.extend((1..10).map(|id| blaster.submit(ask(id).model("resting")).unwrap()));
    let shared: Vec<_> = (10..210)
        .map(|id| blaster.submit(ask(id).model("gpt-4o")).unwrap())
        .collect();
    for result in wait_all(shared) {
        let completion = result.unwrap();
        assert_eq!(completion.ledger().attempts().len(), 1);
        assert_eq!(completion.ledger().attempts()[0].endpoint.as_ref(), "ready");
    }
    // The lane of those that must wait blocked nobody, and nobody was sent too early.
    let report = state(&blaster, "resting").report();
    assert_eq!(report.condition, Condition::CoolingDown, "{report}");
    assert!(
        report.left.unwrap() > Duration::from_secs(20),
        "the rest is as long as was asked: {report}"
    );
    assert!(!stuck.iter().any(JobHandle::is_finished) && arrived(&fleet, "resting").len() == 1);
    // What waits goes as soon as it may.
    state(&blaster, "resting").enable();
    assert!(wait_all(stuck).iter().all(Result::is_ok));
}

#[test]
fn a_wait_is_never_shortened_by_a_later_shorter_one() {
    let slow = SimDeployment::new("ptu")
        .provisioned(1_000_000_000)
        .fault(SimFault::at([0], refusal(RetryAfter::Both, 900)))
        .fault(SimFault::at([1, 2, 3], refusal(RetryAfter::Both, 100)));
    let fleet = fleet([slow]);
    let (blaster, told) = listened(one_attempt(&fleet, 4));
    let handles: Vec<_> = (0..4).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    assert!(wait_all(handles).iter().all(Result::is_ok));
    let entries = arrived(&fleet, "ptu");
    let refused = entries[0].answered.unwrap();
    // Those that were on their way together were refused together; whoever came later came when the longest was over.
    for entry in entries.iter().filter(|entry| entry.status == Some(200)) {
        assert!(entry.received - refused >= 900 * MS, "{:?}", entry.received - refused);
    }
    let conditions = told.conditions();
    let out = |condition: &Condition| matches!(condition, Condition::Ejected | Condition::Disabled);
    assert!(
        !conditions.iter().any(|(_, condition)| out(condition)),
        "{conditions:?}"
    );
}
