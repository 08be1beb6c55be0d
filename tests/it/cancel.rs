//! Jobs that are cancelled in the queue, under way, between two attempts and too late.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use azure_openai_blaster::api::Condition;
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{End, FaultKind, Latency, RefusalFamily, RetryAfter, SimFault};
use azure_openai_blaster::{ChatCompletion, JobHandle, JobSet};

use crate::support::{PATIENCE, ask, await_requests, eventually, fleet, is_answer, pool, terse};

fn assert_cancelled(error: &Error, requests: usize) {
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(error.ledger().unwrap().len(), requests, "{}", error.ledger().unwrap());
}

#[test]
fn a_job_that_is_cancelled_in_the_queue_is_never_sent() {
    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let holder = blaster.submit(ask("holder")).unwrap();
    await_requests(&fleet, 1);
    let handles: Vec<_> = (0..100).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    handles
        .iter()
        .filter(|handle| handle.id() % 2 == 0)
        .for_each(|handle| handle.cancel());
    assert_eq!(blaster.waiting(), 50);
    holder.cancel();
    for (id, handle) in handles.into_iter().enumerate() {
        let cancelled = handle.id() % 2 == 0;
        match handle.wait() {
            Ok(completion) => assert!(!cancelled && is_answer(completion.text(), id)),
            Err(error) => {
                assert!(cancelled);
                assert_cancelled(&error, 0);
            }
        }
    }
    assert_cancelled(&holder.wait().unwrap_err(), 1);
    assert_eq!(fleet.totals().requests, 51);
}

#[test]
fn a_set_cancels_what_was_not_taken_at_once_or_when_it_is_dropped() {
    let fleet = fleet([terse("east").fault(SimFault::at([0, 1], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let mut set = JobSet::new().cancel_on_drop();
    for id in 0..10 {
        set.insert(id, blaster.submit(ask(id)).unwrap());
    }
    await_requests(&fleet, 1);
    set.cancel_all();
    for (id, result) in set.by_ref().take(5) {
        assert_cancelled(&result.unwrap_err(), usize::from(id == 0));
    }
    drop(set);
    let mut set = JobSet::new().cancel_on_drop();
    for id in 0..10 {
        set.insert(id, blaster.submit(ask(id)).unwrap());
    }
    await_requests(&fleet, 2);
    drop(set);
    eventually("the end of all jobs", || {
        blaster.waiting() == 0 && blaster.in_flight() == 0
    });
    assert!(is_answer(blaster.chat(ask(100)).unwrap().text(), 100));
    assert_eq!(fleet.totals().requests, 3);
}

#[test]
fn a_backlog_that_is_given_up_cancels_what_is_under_way_where_that_is_asked_for() {
    let fleet = fleet([terse("east").fault(SimFault::at([1], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let mut answers = blaster.run_all((0..1000).map(ask)).cancel_on_drop();
    assert!(answers.next().unwrap().1.is_ok());
    await_requests(&fleet, 2);
    drop(answers);
    eventually("the end of all jobs", || {
        blaster.waiting() == 0 && blaster.in_flight() == 0
    });
    assert_eq!(fleet.totals().requests, 2);
}

#[test]
fn cancelling_a_job_under_way_closes_its_connection_and_no_other() {
    const WORKERS: usize = 8;
    let fleet = fleet([terse("east").fault(SimFault::at(0..WORKERS as u64, FaultKind::Hang))]);
    let blaster = pool(&fleet, WORKERS);
    let mut handles: Vec<_> = (0..WORKERS).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    await_requests(&fleet, WORKERS as u64);
    let victim = handles.remove(3);
    victim.cancel();
    assert_cancelled(&victim.wait().unwrap_err(), 1);
    // The worker and the place at the endpoint are free again: all workers are held but this one.
    for id in 100..120 {
        assert!(is_answer(blaster.chat(ask(id)).unwrap().text(), id));
    }
    assert!(fleet.wait_for(PATIENCE, |view| view.entries().any(|entry| entry.client_left())));
    let journal = fleet.journal();
    let left: Vec<_> = journal.iter().filter(|entry| entry.client_left()).collect();
    assert_eq!(left.iter().map(|entry| entry.id().unwrap()).collect::<Vec<_>>(), ["3"]);
    let open: HashSet<_> = journal
        .iter()
        .filter(|entry| entry.end == End::Open)
        .filter_map(|entry| entry.id())
        .collect();
    assert_eq!(open, HashSet::from(["0", "1", "2", "4", "5", "6", "7"]));
    assert!(handles.iter().all(|handle| !handle.is_finished()));
    let report = blaster.states()[0].report();
    assert_eq!(
        (report.condition, report.totals.failed, report.totals.abandoned),
        (Condition::Ready, 0, 1),
        "{report}"
    );
    for handle in handles {
        handle.cancel();
        assert_cancelled(&handle.wait().unwrap_err(), 1);
    }
    assert_eq!(blaster.in_flight(), 0);
}

#[test]
fn a_stream_that_is_cancelled_half_way_closes_its_connection_and_no_other() {
    let fleet = fleet([terse("east").fault(SimFault::at([0, 1], FaultKind::StallStream { frames: 3 }))]);
    let blaster = pool(&fleet, 2);
    let mut streams: Vec<_> = ["0", "1"].map(|id| blaster.stream(ask(id)).unwrap()).into();
    for stream in &mut streams {
        stream.next().unwrap().unwrap();
    }
    let (kept, dropped) = (streams.remove(1), streams.remove(0));
    let canceller = kept.canceller().unwrap();
    drop(dropped);
    assert!(fleet.wait_for(
        PATIENCE,
        |view| view.entries().filter(|entry| entry.client_left()).count() == 1
    ));
    assert!(
        fleet
            .journal()
            .iter()
            .all(|entry| entry.client_left() == (entry.id() == Some("0")))
    );
    canceller.cancel();
    assert_cancelled(&kept.into_completion().unwrap_err(), 1);
}

#[test]
fn cancels_that_race_with_answers_mix_nothing_up() {
    const JOBS: usize = 10_000;
    let fleet = fleet((0..4).map(|n| terse(format!("sim-{n}")).latency(Latency::fixed(1.0))));
    let blaster = pool(&fleet, 16);
    let tally = Tally::default();
    thread::scope(|scope| {
        for submitter in 0..4 {
            let (blaster, tally) = (&blaster, &tally);
            scope.spawn(move || {
                // Some are cancelled at once, some when later ones have been submitted, and so at every stage.
                let mut cancellers = Vec::new();
                let mut handles = VecDeque::new();
                for id in (submitter..JOBS).step_by(4) {
                    let handle = blaster.submit(ask(id)).unwrap();
                    cancellers.push(handle.canceller());
                    handles.push_back((id, handle));
                    let earlier: usize = rand::random_range(0..cancellers.len().min(12));
                    cancellers[cancellers.len() - 1 - earlier].cancel();
                    if handles.len() > 12 {
                        handles.pop_front().into_iter().for_each(|job| tally.take(job));
                    }
                }
                handles.into_iter().for_each(|job| tally.take(job));
            });
        }
    });
    let [answered, queued, sent] = tally.0.map(AtomicUsize::into_inner);
    assert_eq!(answered + queued + sent, JOBS);
    assert!(
        answered.min(queued).min(sent) > 0,
        "{answered} answered, {queued} never sent, {sent} cut off"
    );
    let requests = (answered + sent) as u64;
    assert!(
        fleet.wait_for(PATIENCE, |view| view.totals().requests == requests),
        "{} requests await_requests, {requests} stand in the ledgers",
        fleet.totals().requests
    );
    assert_eq!((blaster.waiting(), blaster.in_flight(), blaster.workers()), (0, 0, 16));
    for state in blaster.states() {
        let report = state.report();
        assert_eq!(
            (report.condition, report.in_flight, report.totals.failed),
            (Condition::Ready, 0, 0),
            "{report}"
        );
    }
}

/// Jobs that were answered, cancelled before they were sent, and cancelled under way.
#[derive(Default)]
struct Tally([AtomicUsize; 3]);

impl Tally {
    fn take(&self, (id, handle): (usize, JobHandle<ChatCompletion>)) {
        let kind = match handle.wait() {
            Ok(completion) => {
                assert!(is_answer(completion.text(), id), "{id} got {:?}", completion.text());
                assert_eq!(completion.ledger().len(), 1);
                0
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{id}: {error}");
                1 + error.ledger().unwrap().len()
            }
        };
        self.0[kind].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_handle_cancels_on_drop_only_where_it_was_asked_to() {
    let fleet = fleet([terse("east").fault(SimFault::at([0, 1], FaultKind::Hang))]);
    let blaster = pool(&fleet, 3);
    drop(blaster.submit(ask("kept")).unwrap());
    let waited = blaster.submit(ask("dropped")).unwrap().cancel_on_drop();
    await_requests(&fleet, 2);
    drop(waited);
    assert!(fleet.wait_for(PATIENCE, |view| view.entries().any(|entry| entry.client_left())));
    let journal = fleet.journal();
    assert!(
        journal
            .iter()
            .all(|entry| entry.client_left() == (entry.id() == Some("dropped"))),
        "{journal:?}"
    );
    // One that was answered, or is waited for to its end, is none that was dropped.
    assert!(blaster.submit(ask(1)).unwrap().cancel_on_drop().wait().is_ok());
    eventually("the dropped job's end", || blaster.in_flight() == 1);
}

#[test]
fn a_job_that_waits_for_a_cooldown_or_its_retry_is_cancelled_at_once() {
    let throttle = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Seconds(3600),
        wait_ms: 3_600_000,
    };
    let fleet = fleet([terse("east").fault(SimFault::always(throttle))]);
    let blaster = pool(&fleet, 2);
    let failed = blaster.submit(ask(0)).unwrap();
    await_requests(&fleet, 1);
    eventually("the end of the first attempt", || blaster.in_flight() == 0);
    let waiting = blaster.submit(ask(1)).unwrap();
    assert_eq!(blaster.waiting(), 2);
    failed.cancel();
    waiting.cancel();
    assert_eq!(blaster.waiting(), 0);
    assert_cancelled(&failed.wait().unwrap_err(), 1);
    assert_cancelled(&waiting.wait().unwrap_err(), 0);
    assert_eq!(fleet.totals().requests, 1);
}

/// A job that met 500 at its only endpoint is tried there again after half a second or so, in which nobody can take it.
#[test]
fn a_job_that_pauses_between_two_attempts_is_cancelled_at_once() {
    let caught_in_its_pause = || {
        let fleet = fleet([terse("east").fault(SimFault::always(FaultKind::Status { status: 500 }))]);
        let blaster = pool(&fleet, 2);
        let handle = blaster.submit(ask(0)).unwrap();
        eventually("the pause", || {
            blaster.waiting() == 1 && fleet.totals().requests == 1 || handle.is_finished()
        });
        handle.cancel();
        assert_eq!(blaster.waiting(), 0);
        let error = handle.wait().unwrap_err();
        let caught = error.kind() == ErrorKind::Cancelled && error.ledger().unwrap().len() == 1;
        caught && fleet.totals().requests == 1
    };
    // A machine that is busy elsewhere may let the pause go by.
    assert!((0..5).any(|_| caught_in_its_pause()));
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, 1);
    let mut handle = blaster.submit(ask(0)).unwrap();
    let canceller = handle.canceller();
    let completion = handle.wait_timeout(PATIENCE).unwrap().unwrap();
    canceller.cancel();
    handle.cancel();
    assert!(is_answer(completion.text(), 0));
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Taken);
    // The connection that it used is another job's by now.
    let later = blaster.submit(ask(1)).unwrap();
    canceller.cancel();
    assert!(is_answer(later.wait().unwrap().text(), 1));
    assert!(
        fleet
            .journal()
            .iter()
            .all(|entry| entry.connection == 0 && !entry.client_left())
    );
}
