//! Endpoints that fail, hang and die: what takes them out, what brings them back, and that nobody else suffers.

use std::time::Duration;

use azure_openai_blaster::api::{Condition, Ledger};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{Death, FaultKind, JournalEntry, Latency, SimDeployment, SimFault, SimFleet};
use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Blaster, ChatCompletion, JobHandle};

use crate::support::{PATIENCE, arrived, ask, attempts, blaster, config, echo, fleet, listened, state, wait, wait_all};

fn build(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

fn is_out(condition: Condition) -> bool {
    matches!(condition, Condition::Ejected | Condition::Disabled)
}

/// Of these requests the first came alone: nobody followed before the head of its reply had gone out.
pub(crate) fn check_one_first(entries: &[JournalEntry]) {
    let head = entries[0].answered.unwrap();
    let early = entries[1..].iter().filter(|entry| entry.received < head).count();
    assert_eq!(early, 0, "requests beside the first one, of {}", entries.len());
}

#[test]
fn eight_timeouts_at_once_do_not_remove_an_endpoint() {
    let fleet = fleet([SimDeployment::new("gpt").fault(SimFault::next(8, FaultKind::Hang))]);
    let config = config(&fleet).num_workers(8).first_byte_timeout(Duration::from_secs(1));
    let (blaster, told) = listened(config);
    let handles: Vec<_> = (0..8).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    let results = wait_all(handles);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(results.iter().map(attempts).sum::<usize>(), fleet.journal().len());
    let conditions = told.conditions();
    assert!(
        !conditions.iter().any(|(_, condition)| is_out(*condition)),
        "{conditions:?}"
    );
    let report = state(&blaster, "gpt").report();
    assert_eq!(
        (report.condition, report.failure_streak, report.totals.failed),
        (Condition::Ready, 0, 8),
        "{report}"
    );
    assert!(fleet.wait_for(PATIENCE, |view| view.counters("gpt").unwrap().client_left == 8));
}

#[test]
fn a_dying_endpoint_is_ejected_probed_by_one_request_and_back() {
    let fleet = fleet([
        SimDeployment::new("frail").latency(Latency::fixed(50.0)),
        SimDeployment::new("sound").latency(Latency::fixed(50.0)),
    ]);
    let (blaster, told) = listened(config(&fleet).auto_disable_threshold(1));
    let mut next = 0;
    let mut batch = |size: usize| {
        next += size;
        let handles: Vec<_> = (next - size..next).map(|id| blaster.submit(ask(id)).unwrap()).collect();
        for (id, result) in (next - size..).zip(wait_all(handles)) {
            assert!(result.unwrap().text().unwrap().starts_with(&echo(id)));
        }
    };
    batch(40);
    assert!(!arrived(&fleet, "frail").is_empty() && !arrived(&fleet, "sound").is_empty());
    fleet.kill("frail", Death::Reset).unwrap();
    batch(40);
    let reason = told.until_condition("frail", Condition::Ejected).unwrap();
    assert!(reason.contains("closed"), "{reason}");
    let dead = arrived(&fleet, "frail").len();
    batch(40);
    assert_eq!(arrived(&fleet, "frail").len(), dead, "it is left alone");
    fleet.revive("frail").unwrap();
    let ready = || state(&blaster, "frail").report().condition == Condition::Ready;
    while !ready() {
        batch(8);
    }
    batch(40);
    let revived = &arrived(&fleet, "frail")[dead..];
    assert!(revived.len() > 1 && revived.iter().all(|entry| entry.status == Some(200)));
    check_one_first(revived);
}

#[test]
fn the_last_endpoint_is_waited_for_and_probed_by_exactly_one_request() {
    let fleet = fleet([SimDeployment::new("gpt").latency(Latency::fixed(50.0))]);
    let (blaster, told) = listened(config(&fleet).auto_disable_threshold(1));
    fleet.kill("gpt", Death::Reset).unwrap();
    let mut handles = vec![blaster.submit(ask(0)).unwrap()];
    told.until_condition("gpt", Condition::Ejected);
    handles.extend((1..40).map(|id| blaster.submit(ask(id)).unwrap()));
    // Sooner than every five seconds, in which it would be probed by itself.
    for _ in 0..3 {
        state(&blaster, "gpt").enable();
        told.until_condition("gpt", Condition::Probing);
        told.until_condition("gpt", Condition::Ejected);
    }
    fleet.revive("gpt").unwrap();
    state(&blaster, "gpt").enable();
    let results = wait_all(handles);
    assert!(
        results.iter().all(Result::is_ok),
        "a failed probe costs its job no attempt"
    );
    let (well, dead): (Vec<_>, Vec<_>) = arrived(&fleet, "gpt")
        .into_iter()
        .partition(|entry| entry.status == Some(200));
    let ledgers = results.iter().map(|result| result.as_ref().unwrap().ledger());
    let tried: Vec<_> = ledgers.flat_map(Ledger::attempts).collect();
    assert_eq!(tried.len(), well.len() + dead.len());
    // Dead, it met the first job and probes; back again, one probe and then all others.
    let probes = tried.iter().filter(|attempt| attempt.probe).count();
    assert!(probes >= 4);
    assert_eq!((dead.len(), well.len()), (1 + probes - 1, 40));
    check_one_first(&well);
}

#[test]
fn with_every_endpoint_disabled_jobs_fail_at_once_with_each_reason_until_one_is_enabled() {
    let fleet = fleet([
        SimDeployment::new("east").fault(SimFault::next(1, FaultKind::Status { status: 401 })),
        SimDeployment::new("west").fault(SimFault::next(1, FaultKind::Status { status: 403 })),
    ]);
    let blaster = blaster(&fleet);
    let check = |error: &Error| {
        let Error::NoEndpoint { endpoints, .. } = error else {
            panic!("{error}")
        };
        for ((name, reason), (wanted, status)) in endpoints.iter().zip([("east", "401"), ("west", "403")]) {
            assert!(name.as_ref() == wanted && reason.contains(status), "{error}");
        }
        assert!(!error.is_retryable(), "somebody has to mend them: {error}");
    };
    let first = blaster.chat(ask(0)).unwrap_err();
    check(&first);
    assert_eq!(first.ledger().unwrap().len(), 2);
    let handles: Vec<_> = (1..100).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    for result in wait_all(handles) {
        check(result.as_ref().unwrap_err());
        assert_eq!(attempts(&result), 0);
    }
    assert_eq!(fleet.journal().len(), 2, "nobody is asked again before a probe is due");

    state(&blaster, "west").enable();
    let handles: Vec<_> = (100..150).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    assert!(wait_all(handles).iter().all(Result::is_ok));
    assert_eq!(arrived(&fleet, "east").len(), 1);
    state(&blaster, "east").enable();
    assert!((0..10).all(|id| blaster.chat(ask(id)).is_ok()));
    assert!(arrived(&fleet, "east").len() > 1);
    assert!(
        blaster
            .states()
            .iter()
            .all(|state| state.report().condition == Condition::Ready)
    );
}

#[test]
fn what_is_switched_off_by_hand_stays_off_and_what_is_under_way_there_goes_on() {
    let fleet = fleet([SimDeployment::new("gpt").latency(Latency::fixed(1000.0))]);
    let blaster = blaster(&fleet);
    let under_way: Vec<_> = (0..4).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    assert!(fleet.wait_for(PATIENCE, |view| view.counters("gpt").unwrap().in_flight == 4));
    let state = state(&blaster, "gpt");
    state.disable("maintenance until noon");
    let error = blaster.chat(ask(4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEndpoint);
    assert!(error.to_string().contains("gpt: maintenance until noon"), "{error}");
    assert!(wait_all(under_way).iter().all(Result::is_ok));
    // A success of what was under way before does not bring it back.
    assert_eq!(state.report().condition, Condition::Disabled);
    assert_eq!(blaster.chat(ask(5)).unwrap_err().ledger().unwrap().len(), 0);
    state.enable();
    assert!(blaster.chat(ask(6)).is_ok());
}

/// Whether the client hung up on every request to a deployment, of which there was one at least.
fn all_left(fleet: &SimFleet, deployment: &str) -> bool {
    fleet.wait_for(PATIENCE, |view| {
        let counters = view.counters(deployment).unwrap();
        counters.requests > 0 && counters.client_left == counters.requests
    })
}

/// Runs 200 jobs over one endpoint that hangs and two that are well, each entitled to 4 of 12 workers.
fn beside_a_hang(first_byte_timeout: Duration) -> (SimFleet, Blaster, Vec<JobHandle<ChatCompletion>>) {
    let well = |name: &str| SimDeployment::new(name).latency(Latency::fixed(20.0));
    let hung = SimDeployment::new("hung").fault(SimFault::always(FaultKind::Hang));
    let fleet = fleet([hung, well("a"), well("b")]);
    let blaster = build(config(&fleet).num_workers(12).first_byte_timeout(first_byte_timeout));
    let handles = (0..200).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    (fleet, blaster, handles)
}

#[test]
fn an_endpoint_that_hangs_holds_only_the_jobs_that_it_has() {
    let (fleet, blaster, handles) = beside_a_hang(10 * PATIENCE);
    // All are answered but those that hang.
    assert!(fleet.wait_for(PATIENCE, |view| {
        let completed = |name| view.counters(name).unwrap().completed;
        completed("a") + completed("b") + view.counters("hung").unwrap().in_flight == 200
    }));
    let held: Vec<String> = arrived(&fleet, "hung")
        .iter()
        .map(|entry| entry.id().unwrap().to_owned())
        .collect();
    assert!(
        (1..=8).contains(&held.len()),
        "most of its own share and half of the others': {held:?}"
    );
    let mut left = Vec::new();
    for (id, handle) in handles.into_iter().enumerate() {
        if held.contains(&id.to_string()) {
            assert!(!handle.is_finished());
            left.push(handle);
        } else {
            wait(handle).unwrap();
        }
    }
    let most = |name| fleet.counters(name).unwrap().most_in_flight;
    assert!(
        most("a") + most("b") >= 4,
        "half of their eight workers: {} and {}",
        most("a"),
        most("b")
    );
    for name in ["a", "b"] {
        let completed = fleet.counters(name).unwrap().completed;
        assert!(
            completed >= 60,
            "of some two hundred, taken in turns: {completed} at {name}"
        );
    }
    blaster.close();
    for handle in left {
        assert_eq!(wait(handle).unwrap_err().kind(), ErrorKind::ShutDown);
    }
}

#[test]
fn jobs_of_an_endpoint_that_hangs_are_answered_elsewhere_after_its_timeout() {
    let (fleet, blaster, handles) = beside_a_hang(Duration::from_secs(1));
    let results = wait_all(handles);
    assert!(results.iter().all(Result::is_ok));
    let retried = results.iter().filter(|result| attempts(result) > 1).count();
    let hung = arrived(&fleet, "hung");
    assert_eq!(retried, hung.len(), "each that hung was made again, once");
    assert!(all_left(&fleet, "hung"));
    let report = state(&blaster, "hung").report();
    assert_eq!(report.totals.failed as usize, hung.len(), "{report}");
}

#[test]
fn drops_of_a_reply_do_not_outlast_the_time_of_an_attempt() {
    // Every read brings a byte, so that neither the first byte nor the silence after it is ever late.
    let drip = FaultKind::Drip { bytes: 1, every_ms: 40 };
    let fleet = fleet([
        SimDeployment::new("drip").fault(SimFault::always(drip)),
        SimDeployment::new("good"),
    ]);
    let blaster = build(config(&fleet).attempt_timeout(Duration::from_millis(700)));
    for stream in [false, true] {
        let results = wait_all(
            (0..2)
                .map(|id| blaster.submit(ask(id).stream(stream)).unwrap())
                .collect::<Vec<_>>(),
        );
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert!(all_left(&fleet, "drip"));
}

/// Two endpoints, of which the first never answers.
fn east_hangs() -> Blaster {
    let service = Scripted::new(|call| {
        if call.endpoint.as_ref() == "east" {
            ScriptedReply::hang()
        } else {
            ScriptedReply::text("yes")
        }
    });
    scripted(service)
}

fn scripted(service: Scripted) -> Blaster {
    let deployments =
        ["east", "west"].map(|name| DeploymentConfig::new(name, "http://localhost", "gpt-4o").auth(Auth::None));
    Blaster::builder()
        .config(BlasterConfig::new(deployments).num_workers(8))
        .transport(service)
        .seed(1)
        .build()
        .unwrap()
}

/// How many of so many jobs with little time fail, made one after the other.
fn failed_of(blaster: &Blaster, jobs: usize) -> usize {
    let hurried = |id: &usize| {
        let request = ask(id).timeout(Duration::from_millis(100));
        blaster.chat(request).is_err()
    };
    (0..jobs).filter(hurried).count()
}

#[test]
fn a_hanging_endpoint_that_is_to_be_probed_fails_no_job_that_another_can_serve() {
    let blaster = east_hangs();
    let east = state(&blaster, "east");
    east.disable("down");
    east.enable(); // as a probe that is due
    assert_eq!(failed_of(&blaster, 20), 0);
}

#[test]
fn an_endpoint_that_hangs_for_longer_than_its_jobs_wait_is_taken_out() {
    let blaster = east_hangs();
    let failed = failed_of(&blaster, 40);
    let report = state(&blaster, "east").report();
    assert!(failed <= 8, "{failed} of 40 jobs failed; {report}");
    assert_ne!(report.condition, Condition::Ready, "{report}");
    assert_eq!(report.totals.failed, 1, "{report}");
}

#[test]
fn one_prompt_that_a_firewall_answers_with_403_fails_alone() {
    let service = Scripted::new(|call| {
        if call.body.to_string().contains("<script>") {
            ScriptedReply::status(403).body("<html>blocked by policy</html>")
        } else {
            ScriptedReply::text("yes").after(Duration::from_millis(5))
        }
    });
    let blaster = scripted(service);
    let prompt = |id| if id == 40 { "<script>" } else { "fine" };
    let handles: Vec<_> = (0..200).map(|id| blaster.submit(prompt(id)).unwrap()).collect();
    for (id, result) in wait_all(handles).iter().enumerate() {
        assert_eq!(result.is_err(), id == 40, "{id}: {result:?}");
    }
}

#[test]
fn a_failed_probe_costs_its_job_nothing_also_where_it_is_a_500() {
    let service = Scripted::new(|call| {
        if call.endpoint.as_ref() == "east" {
            ScriptedReply::status(500)
        } else {
            ScriptedReply::status(429).header("retry-after", "60")
        }
    });
    let blaster = scripted(service);
    let east = state(&blaster, "east");
    east.disable("down");
    let mut handle = blaster.submit("x").unwrap();
    for _ in 0..4 {
        east.enable(); // as a probe that is due
        let ended = handle.wait_timeout(Duration::from_millis(100));
        assert!(ended.is_none(), "although west is free in a minute: {ended:?}");
    }
}
