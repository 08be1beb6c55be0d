//! What must not grow, however long it goes on.

use std::time::Duration;

use azure_openai_blaster::Ledger;
use azure_openai_blaster::error::ErrorKind;
use azure_openai_blaster::sim::{FaultKind, RefusalFamily, RetryAfter, SimConfig, SimFault, SimFleet};

use crate::support::{PATIENCE, ask, config, fleet, is_answer, pool, terse};

/// A job that is refused by forty endpoints, twice by each, is answered in the end: its ledger counts every request, and
/// keeps the first ones and the last.
#[test]
fn a_ledger_counts_every_attempt_and_keeps_the_first_and_the_last() {
    let refusal = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Seconds(1),
        wait_ms: 1000,
    };
    const ENDPOINTS: usize = 40;
    let fleet = fleet((0..ENDPOINTS).map(|n| {
        terse(format!("sim-{n}"))
            .resource("one")
            .fault(SimFault::next(2, refusal))
    }));
    let blaster = pool(&fleet, 1);
    let completion = blaster.chat(ask(1)).unwrap();
    assert!(is_answer(completion.text(), 1));
    let ledger = completion.ledger();
    assert_eq!(ledger.len(), fleet.totals().requests as usize);
    assert!(ledger.len() > Ledger::KEPT, "{} attempts", ledger.len());
    assert_eq!(ledger.attempts().len(), Ledger::KEPT);
    let (last, before) = ledger.attempts().split_last().unwrap();
    assert_eq!((last.status, &last.problem), (Some(200), &None));
    assert!(before.iter().all(|attempt| attempt.status == Some(429)));
    let shown = ledger.to_string();
    let hidden = ledger.len() - Ledger::KEPT;
    assert!(
        shown.ends_with(&format!("({hidden} more attempts before the last are not listed)")),
        "{shown}"
    );
}

#[test]
fn an_endpoint_keeps_its_newest_errors_only() {
    let config_of_fleet = SimConfig::new([terse("east"), terse("west")]).poison("poison", 500);
    let fleet = SimFleet::start(config_of_fleet).unwrap();
    let blaster = pool(&fleet, 2);
    for id in 0..30 {
        let poisoned = azure_openai_blaster::ChatRequest::from(format!("id:{id} poison"));
        assert_eq!(blaster.chat(poisoned).unwrap_err().kind(), ErrorKind::ServerErrors);
        assert!(blaster.chat(ask(id)).is_ok());
    }
    for state in blaster.states() {
        let report = state.report();
        assert!(report.totals.failed > 8, "{report}");
        assert_eq!(report.errors.len(), 8, "{report}");
    }
}

/// Jobs that are cancelled leave nothing behind: neither a place in the queue, nor a deadline that the timer wakes for.
#[test]
fn a_hundred_thousand_cancelled_jobs_leave_nothing_behind() {
    const JOBS: usize = 100_000;
    let fleet = fleet([terse("east")]);
    let config = config(&fleet).num_workers(2).queue_capacity(JOBS);
    let blaster = azure_openai_blaster::Blaster::builder().config(config).build().unwrap();
    blaster.states()[0].cool_down(Duration::from_secs(3600));
    let timeout = Duration::from_secs(3000);
    let handles: Vec<_> = (0..JOBS)
        .map(|id| blaster.try_submit(ask(id).timeout(timeout)).unwrap().cancel_on_drop())
        .collect();
    assert_eq!(blaster.waiting(), JOBS);
    assert!(blaster.try_submit(ask("late")).is_err());
    drop(handles);
    assert_eq!((blaster.waiting(), blaster.in_flight()), (0, 0));
    blaster.states()[0].enable();
    assert!(is_answer(blaster.chat(ask(1).timeout(PATIENCE)).unwrap().text(), 1));
    assert_eq!(fleet.totals().requests, 1);
    assert!(blaster.drain(PATIENCE).is_complete());
}
