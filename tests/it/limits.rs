//! Quotas that are kept to: who waits for them, who does not, and what a report says of them.
//!
//! Windows are seconds long instead of a minute, and both sides are told so. Each request sets a limit on its answer that
//! is most of what it is charged, so that counts do not hang on estimates.

use std::collections::BTreeSet;
use std::time::Duration;

use azure_openai_blaster::api::{AdviceKind, ChatCompletion, ChatRequest, EndpointReport, QuotaForm};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, QuotaGroup, Sku, Strategy};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::sim::{
    FaultKind, Latency, LimiterForm, Limits, RateHeaders, RefusalFamily, RetryAfter, SimConfig, SimDeployment,
    SimFault, SimFleet,
};
use azure_openai_blaster::{Blaster, Event, JobHandle};

use crate::canned::Canned;
use crate::support::{arrived, ask, config, eventually, fleet, listened, pool, state, terse, wait, wait_all};

/// The short window in which tokens are counted.
const WINDOW: Duration = Duration::from_secs(2);

/// A request that is charged a little more than so many tokens: its prompt has about ten.
fn sized(id: impl std::fmt::Display, tokens: u32) -> ChatRequest {
    ask(id).max_completion_tokens(tokens - 10)
}

/// The configuration of a client of this fleet, each deployment changed.
fn told(fleet: &SimFleet, change: impl Fn(&str, &mut DeploymentConfig)) -> BlasterConfig {
    let mut config = config(fleet);
    for deployment in &mut config.deployments {
        let name = deployment.name.clone();
        change(&name, deployment);
    }
    config
}

/// Is told that each deployment grants so many tokens a minute, counted in windows of this length.
fn told_tpm(fleet: &SimFleet, tpm: u32, window: Duration) -> BlasterConfig {
    told(fleet, |_, deployment| {
        deployment.tpm_limit = Some(tpm);
        deployment.quota_window = window;
    })
}

fn build(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

fn submit(blaster: &Blaster, requests: impl IntoIterator<Item = ChatRequest>) -> Vec<JobHandle<ChatCompletion>> {
    requests
        .into_iter()
        .map(|request| blaster.submit(request).unwrap())
        .collect()
}

fn finished(handles: &[JobHandle<ChatCompletion>]) -> usize {
    handles.iter().filter(|handle| handle.is_finished()).count()
}

/// Requests that were refused with 429.
fn refused(fleet: &SimFleet) -> usize {
    fleet.journal().iter().filter(|entry| entry.status == Some(429)).count()
}

fn charged(fleet: &SimFleet) -> u64 {
    fleet.journal().iter().map(|entry| entry.charged).sum()
}

/// Sixty jobs, three windows' worth, all at once. Few of their requests are refused: to find out when windows begin, and
/// because in so short a window a tenth of a second on the way is a job's worth.
fn check_burst(form: LimiterForm) {
    const FEW: usize = 12;
    let limits = Limits::new().tpm(60_000).window_s(2.0).form(form);
    let fleet = fleet([terse("gpt").limits(limits)]);
    let blaster = build(told_tpm(&fleet, 60_000, WINDOW));
    let results = wait_all(submit(&blaster, (0..60).map(|id| sized(id, 100))));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(refused(&fleet) <= FEW, "{form:?}: {} were refused", refused(&fleet));
    assert_eq!(fleet.journal().len(), 60 + refused(&fleet));
    assert!(charged(&fleet) > 2 * 2_000, "it had to wait for two more windows");
    // What was refused cost no attempt, and the order stayed that of submission.
    let report = state(&blaster, "gpt").report();
    let limit = report.limit.clone().unwrap();
    assert_eq!(
        (limit.quota_tpm, limit.configured_tpm),
        (Some(60_000), Some(60_000)),
        "{report}"
    );
    assert_eq!(limit.refusals as usize, refused(&fleet), "{report}");
}

#[test]
fn a_burst_over_the_limit_of_a_bucket_waits_and_few_are_refused() {
    check_burst(LimiterForm::Bucket);
}

#[test]
fn a_burst_over_the_limit_of_windows_waits_and_few_are_refused() {
    check_burst(LimiterForm::Window);
}

#[test]
fn a_burst_over_the_limit_of_a_sliding_log_waits_and_few_are_refused() {
    check_burst(LimiterForm::Log);
}

#[test]
fn a_burst_over_the_limit_of_requests_waits_and_nothing_is_refused() {
    // Ten in each second.
    let limits = Limits::new().rpm(600).request_window_s(1.0);
    let fleet = fleet([terse("gpt").limits(limits)]);
    let blaster = build(told(&fleet, |_, deployment| {
        deployment.rpm_limit = Some(600);
        deployment.request_window = Duration::from_secs(1);
    }));
    let results = wait_all(submit(&blaster, (0..35).map(ask)));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((refused(&fleet), fleet.journal().len()), (0, 35));
    let arrivals: Vec<Duration> = arrived(&fleet, "gpt").iter().map(|entry| entry.received).collect();
    for eleven in arrivals.windows(11) {
        let apart = eleven[10] - eleven[0];
        assert!(apart > Duration::from_millis(900), "eleven arrived within {apart:?}");
    }
    let limit = state(&blaster, "gpt").report().limit.unwrap();
    assert_eq!(
        (limit.window_requests, limit.request_window.as_secs()),
        (Some(10), 1),
        "{limit}"
    );
}

#[test]
fn limits_of_one_model_never_delay_another() {
    let bucket = Limits::new().tpm(5_000).form(LimiterForm::Bucket);
    let fleet = fleet([
        terse("narrow").model("narrow", "").limits(bucket),
        terse("wide").model("wide", ""),
    ]);
    let blaster = build(told(&fleet, |name, deployment| {
        deployment.tpm_limit = (name == "narrow").then_some(5_000);
    }));
    // Four fit into the minute; the others wait for a quarter of it each, at the head of the queue.
    let narrow = submit(&blaster, (0..30).map(|id| sized(id, 1_100).model("narrow")));
    eventually("what fits", || finished(&narrow) >= 4);
    let wide = submit(&blaster, (100..200).map(|id| sized(id, 1_100).model("wide")));
    assert!(wait_all(wide).iter().all(Result::is_ok));
    assert!(finished(&narrow) < 15, "they still wait");
    assert_eq!(refused(&fleet), 0);
}

#[test]
fn two_blasters_in_one_process_share_nothing() {
    // The same name and the same limit, at two services.
    let fleets = [0, 1].map(|_| fleet([terse("gpt").limits(Limits::new().tpm(5_000).form(LimiterForm::Bucket))]));
    let blasters = fleets
        .each_ref()
        .map(|fleet| build(told_tpm(fleet, 5_000, Duration::from_secs(60))));
    let first = submit(&blasters[0], (0..20).map(|id| sized(id, 1_100)));
    eventually("what fits", || finished(&first) >= 4);
    let used = |blaster: &Blaster| state(blaster, "gpt").report().limit.unwrap().used_tokens;
    assert!(used(&blasters[0]) > 4_000);
    assert_eq!(used(&blasters[1]), 0);
    let second = submit(&blasters[1], (0..4).map(|id| sized(id, 1_100)));
    assert!(
        wait_all(second).iter().all(Result::is_ok),
        "the quota of the other is its own"
    );
    assert!(finished(&first) < 20);
    assert_eq!(fleets.each_ref().map(refused), [0, 0]);
}

/// Two deployments that draw from one quota, and a client that knows so much of it.
fn grouped(deployments: [SimDeployment; 2], quota: Limits, known: QuotaGroup) -> (SimFleet, BlasterConfig) {
    let members = deployments.map(|deployment| deployment.quota_group("shared"));
    let fleet = SimFleet::start(SimConfig::new(members).quota_group("shared", quota)).unwrap();
    let config = told(&fleet, |_, deployment| {
        deployment.quota_group = Some("shared".to_owned())
    });
    (fleet, config.quota_group(known))
}

#[test]
fn the_members_of_a_quota_group_keep_to_it_together() {
    let (fleet, config) = grouped(
        [terse("east"), terse("west")],
        Limits::new().tpm(10_000).form(LimiterForm::Bucket),
        QuotaGroup::new("shared").tpm_limit(10_000),
    );
    let blaster = build(config);
    let handles = submit(&blaster, (0..40).map(|id| sized(id, 1_100)));
    eventually("what fits", || finished(&handles) >= 8);
    assert!(finished(&handles) < 20, "one more each six seconds");
    assert_eq!(refused(&fleet), 0);
    let members: BTreeSet<_> = fleet
        .journal()
        .iter()
        .filter_map(|entry| entry.deployment.clone())
        .collect();
    assert_eq!(members.len(), 2, "both were used");
    for name in ["east", "west"] {
        let report = state(&blaster, name).report();
        assert_eq!(report.limit, None, "{report}");
        let group = report.group_limit.clone().unwrap();
        assert_eq!(group.quota_tpm, Some(10_000), "{report}");
        assert!(group.used_tokens > 8_000, "what both have used: {report}");
    }
}

#[test]
fn a_refusal_of_one_member_rests_the_whole_group() {
    let kind = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Both,
        wait_ms: 1_000,
    };
    let (fleet, config) = grouped(
        [terse("east").fault(SimFault::next(1, kind)), terse("west")],
        Limits::new(),
        QuotaGroup::new("shared").tpm_limit(1_000_000),
    );
    let (blaster, events) = listened(config);
    let east = blaster.submit(ask(0).model("east")).unwrap();
    events.until_condition("east", azure_openai_blaster::api::Condition::CoolingDown);
    assert!(state(&blaster, "west").report().group_limit.unwrap().blocked.is_some());
    let west = submit(&blaster, (1..6).map(|id| ask(id).model("west")));
    assert!(wait_all(west).iter().all(Result::is_ok));
    assert!(wait(east).is_ok());
    let answered = arrived(&fleet, "east")[0].answered.unwrap();
    for entry in arrived(&fleet, "west") {
        let apart = entry.received.saturating_sub(answered);
        assert!(apart >= Duration::from_secs(1), "west was asked after {apart:?}");
    }
}

#[test]
fn a_job_whose_time_ends_before_it_could_be_admitted_fails_at_once_and_names_the_moment() {
    let fleet = fleet([terse("gpt").limits(Limits::new().tpm(5_000).form(LimiterForm::Bucket))]);
    let blaster = build(told_tpm(&fleet, 5_000, Duration::from_secs(60)));
    let first = submit(&blaster, (0..4).map(|id| sized(id, 1_100)));
    assert!(wait_all(first).iter().all(Result::is_ok));
    let asked = fleet.journal().len();
    // Some 600 tokens are left, and a second drains 83.
    let error = blaster
        .chat(sized(9, 3_000).timeout(Duration::from_secs(3)))
        .unwrap_err();
    let Error::TooLate { timeout, earliest, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(timeout.as_secs(), 3);
    assert!((10..60).contains(&earliest.as_secs()), "{error}");
    assert!(error.to_string().contains("after it was submitted"), "{error}");
    assert_eq!(fleet.journal().len(), asked);
}

#[test]
fn a_request_larger_than_every_quota_fails_at_once() {
    let fleet = fleet([terse("small"), terse("large")]);
    let blaster = build(told(&fleet, |name, deployment| {
        deployment.tpm_limit = Some(if name == "small" { 3_000 } else { 6_000 });
    }));
    let error = blaster.chat(sized(0, 7_000)).unwrap_err();
    let Error::TooLarge { tokens, most, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*most, 6_000);
    assert!((6_990..7_100).contains(tokens), "{error}");
    assert_eq!(fleet.totals().requests, 0);
    // What fits into the larger one goes there.
    let completion = blaster.chat(sized(1, 4_000)).unwrap();
    assert_eq!(completion.ledger().attempts()[0].endpoint.as_ref(), "large");
}

#[test]
fn provisioned_throughput_is_used_first_and_spills_before_it_refuses() {
    let slow = Latency::fixed(400.0);
    let fleet = fleet([
        terse("payg").latency(slow.clone()),
        terse("ptu").provisioned(60_000).latency(slow),
    ]);
    let mut config = told(&fleet, |name, deployment| {
        let is_reserved = name == "ptu";
        deployment.priority = if is_reserved { 1 } else { 2 };
        deployment.sku = if is_reserved { Sku::Provisioned } else { Sku::Standard };
        deployment.tpm_limit = Some(if is_reserved { 60_000 } else { 10_000_000 });
        deployment.max_in_flight = Some(64);
    });
    config.num_workers = Some(64);
    let blaster = build(config);
    assert_eq!(state(&blaster, "ptu").report().tier, 1);
    // A lone one goes where it is paid for.
    for id in 0..5 {
        blaster.chat(sized(id, 1_000)).unwrap();
    }
    assert_eq!((arrived(&fleet, "ptu").len(), arrived(&fleet, "payg").len()), (5, 0));
    // Half a minute's tokens are admitted at once, some thirty jobs; the others spill.
    let results = wait_all(submit(&blaster, (10..70).map(|id| sized(id, 1_000))));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(refused(&fleet), 0);
    let (reserved, spilled) = (arrived(&fleet, "ptu").len() - 5, arrived(&fleet, "payg").len());
    assert!(reserved >= 20 && spilled >= 10, "{reserved} and {spilled}");
}

#[test]
fn failover_takes_the_first_while_it_is_ready_and_returns_to_it() {
    let kind = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Both,
        wait_ms: 1_000,
    };
    let fleet = fleet([
        terse("first").fault(SimFault::at([5], kind)),
        terse("second"),
        terse("third"),
    ]);
    let blaster = build(config(&fleet).strategy(Strategy::Failover));
    let served = |id: u32| {
        let completion = blaster.chat(ask(id)).unwrap();
        completion.ledger().last().unwrap().endpoint.to_string()
    };
    let begin: Vec<String> = (0..6).map(served).collect();
    assert_eq!(begin, ["first", "first", "first", "first", "first", "second"]);
    let mut id = 6;
    eventually("the first is back", || {
        id += 1;
        served(id) == "first"
    });
    assert_eq!(arrived(&fleet, "third").len(), 0);
}

/// Endpoint and group, what was told and what is believed.
fn contradiction(event: &Event) -> Option<(String, Option<String>, u64, u64)> {
    match event {
        Event::LimitContradicted {
            endpoint,
            group,
            told_tpm,
            believed_tpm,
        } => Some((
            endpoint.to_string(),
            group.as_deref().map(str::to_owned),
            *told_tpm,
            *believed_tpm,
        )),
        _ => None,
    }
}

#[test]
fn a_quota_lower_than_told_is_followed_reported_with_both_figures_and_told_once() {
    // A quarter of what is told, which no header corrects.
    let limits = Limits::new().tpm(30_000).window_s(2.0);
    let fleet = fleet([terse("gpt").limits(limits).rate_headers(RateHeaders::Off)]);
    let (blaster, events) = listened(told_tpm(&fleet, 120_000, WINDOW));
    // On a machine so slow that nothing is refused, nothing shows: then more is asked for.
    let mut contradictions = Vec::new();
    eventually("a contradiction was told", || {
        let handles = submit(&blaster, (0..40).map(|id| sized(id, 100)));
        assert!(wait_all(handles).iter().all(Result::is_ok));
        contradictions = events.so_far(|event| contradiction(&event));
        !contradictions.is_empty()
    });
    let (endpoint, group, told, first) = contradictions.remove(0);
    assert_eq!((endpoint.as_str(), group, told), ("gpt", None, 120_000));
    assert!(first < 114_000, "{first}");
    // Told again only where it has moved by more than a fifth.
    let further = contradictions;
    let mut last = first as f64;
    for (_, _, _, believed) in &further {
        assert!(
            (*believed as f64 - last).abs() > 0.199 * last,
            "{first}, then {further:?}"
        );
        last = *believed as f64;
    }
    let report = state(&blaster, "gpt").report();
    let limit = report.limit.clone().unwrap();
    assert_eq!(limit.configured_tpm, Some(120_000), "{report}");
    assert_eq!(limit.contradicted_tpm, Some(120_000), "{report}");
    assert!((15_000..100_000).contains(&limit.quota_tpm.unwrap()), "{report}");
    assert!(
        report.to_string().contains("tpm instead of the 120000 that were told"),
        "{report}"
    );
    assert_eq!(limit.refusals as usize, refused(&fleet), "{report}");
    assert!(limit.form != Some(QuotaForm::Bucket), "{report}");
}

#[test]
fn a_groups_quota_lower_than_told_is_told_with_the_groups_name() {
    let (_fleet, config) = grouped(
        [
            terse("east").rate_headers(RateHeaders::Off),
            terse("west").rate_headers(RateHeaders::Off),
        ],
        Limits::new().tpm(10_000).phase_s(600.0),
        QuotaGroup::new("shared").tpm_limit(100_000),
    );
    let (blaster, events) = listened(config);
    let _waiting = submit(&blaster, (0..40).map(|id| sized(id, 1_100)));
    let (_, group, told, believed) = events.until(contradiction);
    assert_eq!((group.as_deref(), told), (Some("shared"), 100_000));
    assert!(believed < 95_000, "{believed}");
    for name in ["east", "west"] {
        let report = state(&blaster, name).report();
        let group = report.group_limit.clone().unwrap();
        assert_eq!(
            (group.configured_tpm, group.contradicted_tpm),
            (Some(100_000), Some(100_000)),
            "{report}"
        );
    }
}

#[test]
fn figures_that_make_no_sense_change_nothing() {
    let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":
        "assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":1,
        "total_tokens":9}}"#;
    for odd in [
        "-1",
        "0",
        "1000000000000000000",
        "NaN",
        "-9223372036854775808",
        "1e400",
        "",
        "soon",
    ] {
        let headers: String = [
            "limit-tokens",
            "remaining-tokens",
            "limit-requests",
            "remaining-requests",
            "reset-tokens",
        ]
        .iter()
        .map(|name| format!("x-ratelimit-{name}: {odd}\r\n"))
        .collect();
        let head = format!(
            "200 OK\r\ncontent-type: application/json\r\nazure-openai-deployment-utilization: {odd}\r\n{headers}"
        );
        let server = Canned::start(head.trim_end_matches("\r\n"), body);
        let deployment = DeploymentConfig::new("gpt", &server.url, "gpt")
            .auth(Auth::None)
            .tpm_limit(60_000)
            .rpm_limit(600);
        let blaster = build(BlasterConfig::new([deployment]).allow_http(true).num_workers(4));
        let believed = |report: &EndpointReport| {
            let limit = report.limit.clone().unwrap();
            (
                limit.quota_tpm,
                limit.contradicted_tpm,
                limit.window_requests,
                limit.blocked,
                limit.refusals,
            )
        };
        let before = believed(&state(&blaster, "gpt").report());
        assert_eq!(before, (Some(60_000), None, Some(100), None, 0));
        let results = wait_all(submit(&blaster, (0..20).map(|id| sized(id, 100))));
        assert!(results.iter().all(Result::is_ok), "{odd:?}: {results:?}");
        assert_eq!(believed(&state(&blaster, "gpt").report()), before, "{odd:?}");
        assert_eq!(server.received().len(), 20, "{odd:?}");
    }
}

#[test]
fn advice_names_more_workers_and_lower_limits_on_answers() {
    let fleet = fleet([terse("gpt")
        .latency(Latency::fixed(4.0))
        .limits(Limits::new().tpm(6_000_000))]);
    let mut config = told_tpm(&fleet, 6_000_000, Duration::from_secs(60));
    config.num_workers = Some(1);
    let blaster = build(config);
    assert_eq!(blaster.advice(), []);
    let results = wait_all(submit(&blaster, (0..700).map(|id| sized(id, 100))));
    assert!(results.iter().all(Result::is_ok));
    let advice = blaster.advice();
    assert_eq!(advice.len(), 2, "{advice:?}");
    assert!(
        matches!(
            advice[0].kind,
            AdviceKind::MoreWorkers {
                workers: 1,
                needed: 2..
            }
        ),
        "{advice:?}"
    );
    let lower = AdviceKind::LowerLimit { limit: 90, enough: 4 };
    assert_eq!((advice[1].endpoint.as_deref(), &advice[1].kind), (Some("gpt"), &lower));
    let report = state(&blaster, "gpt").report();
    assert_eq!(report.advice, advice[1..], "{report}");
    assert_eq!(report.prompt_error.unwrap().answers, 700);
    // Where there are enough workers, nothing is to be said about them.
    let enough = pool(&fleet, 64);
    assert!(
        wait_all(submit(&enough, (0..200).map(|id| sized(id, 100))))
            .iter()
            .all(Result::is_ok)
    );
    assert!(
        !enough
            .advice()
            .iter()
            .any(|advice| matches!(advice.kind, AdviceKind::MoreWorkers { .. }))
    );
}

#[test]
fn refusals_that_follow_nothing_that_was_sent_are_told_and_lower_no_limit() {
    // Of ten requests one is refused for a moment, with nearly all of the quota left.
    let kind = FaultKind::Throttle {
        family: RefusalFamily::Provisioned,
        retry_after: RetryAfter::Honest,
        wait_ms: 20,
    };
    let noisy = SimFault::at((0..1_000).map(|round| 10 * round + 9), kind);
    let fleet = fleet([terse("ptu").provisioned(600_000_000).fault(noisy)]);
    let config = told(&fleet, |_, deployment| {
        deployment.sku = Sku::Provisioned;
        deployment.tpm_limit = Some(600_000_000);
    });
    let blaster = build(config.num_workers(32));
    let results = wait_all(submit(&blaster, (0..600).map(|id| sized(id, 100))));
    assert!(results.iter().all(Result::is_ok));
    let report = state(&blaster, "ptu").report();
    let limit = report.limit.clone().unwrap();
    assert_eq!((limit.quota_tpm, limit.contradicted_tpm), (Some(600_000_000), None));
    let percent = limit.noise_percent.unwrap();
    assert!((5..=15).contains(&percent), "{report}");
    let advised: Vec<AdviceKind> = blaster.advice().into_iter().map(|advice| advice.kind).collect();
    assert!(
        advised.contains(&AdviceKind::RefusedByNoLimit { percent }),
        "{advised:?}"
    );
    let text = report.to_string();
    assert!(
        text.contains(&format!("{percent} % of requests refused by no limit")),
        "{text}"
    );
}
