//! How a blaster ends: closed, drained or dropped, whatever is under way.

use std::ops::ControlFlow;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use azure_openai_blaster::error::{Error, ErrorKind, Result, SubmitError};
use azure_openai_blaster::sim::{FaultKind, Latency, SimDeployment, SimFault, SimFleet};
use azure_openai_blaster::{Blaster, ChatCompletion, ChatRequest, Event, JobHandle};

use crate::support::{PATIENCE, ask, await_requests, config, eventually, fleet, is_answer, terse};

/// A deployment that answers nobody.
fn silent(name: &str) -> SimDeployment {
    terse(name).fault(SimFault::always(FaultKind::Hang))
}

/// A client with so many workers and room for so many jobs.
fn room(fleet: &SimFleet, workers: usize, capacity: usize) -> Blaster {
    let config = config(fleet).num_workers(workers).queue_capacity(capacity);
    Blaster::builder().config(config).seed(1).build().unwrap()
}

fn submit(blaster: &Blaster, ids: std::ops::Range<usize>) -> Vec<JobHandle<ChatCompletion>> {
    ids.map(|id| blaster.submit(ask(id)).unwrap()).collect()
}

/// Asserts that all of them were shut down, and returns how many requests had left for them.
fn shut_down(handles: Vec<JobHandle<ChatCompletion>>) -> usize {
    let sent = handles.into_iter().map(|mut handle| {
        let error = handle.wait_timeout(PATIENCE).expect("it ends").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ShutDown, "{error}");
        error.ledger().unwrap().len()
    });
    sent.sum()
}

/// Asserts that a refused submit has given its request back.
fn given_back(
    result: Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>>,
    kind: ErrorKind,
    request: &ChatRequest,
) {
    let error = result.map(|_| ()).unwrap_err();
    let found = match &error {
        SubmitError::Full(_) => ErrorKind::QueueFull,
        SubmitError::ShutDown(_) => ErrorKind::ShutDown,
        other => panic!("{other:?}"),
    };
    assert_eq!(found, kind);
    assert_eq!(error.into_request().messages(), request.messages());
}

#[test]
fn drain_without_a_limit_lets_jobs_finish() {
    let fleet = fleet([terse("east").latency(Latency::fixed(20.0))]);
    let blaster = room(&fleet, 2, 100);
    let handles = submit(&blaster, 0..20);
    let report = blaster.drain(Duration::MAX);
    assert!(report.is_complete(), "{report}");
    assert!(handles.into_iter().all(|handle| handle.wait().is_ok()));
}

#[test]
fn close_ends_a_full_queue_without_waiting_for_sockets_or_cooldowns() {
    let fleet = fleet([silent("silent"), terse("resting")]);
    let blaster = room(&fleet, 4, 1000);
    blaster.states()[1].cool_down(Duration::from_secs(86_400));
    let mut handles = Vec::new();
    // Three of the four workers: the fourth is kept for the endpoint that rests.
    let busy = blaster.states()[0].report().max_in_flight as usize;
    handles.extend(submit(&blaster, 0..busy));
    await_requests(&fleet, busy as u64);
    handles.extend(submit(&blaster, busy..busy + 1000));
    given_back(blaster.try_submit(ask("late")), ErrorKind::QueueFull, &ask("late"));
    let begun = Instant::now();
    blaster.close();
    assert_eq!(shut_down(handles), busy);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it waits for a quarter of a second at most"
    );
    assert_eq!((blaster.waiting(), blaster.in_flight()), (0, 0));
    assert!(fleet.wait_for(PATIENCE, |view| view.entries().all(|entry| entry.client_left())));
    assert_eq!(fleet.totals().requests, busy as u64);
    eventually("the workers' end", || blaster.workers() == 0);
}

#[test]
fn close_may_be_called_again_and_by_many_at_once() {
    let fleet = fleet([silent("silent")]);
    let blaster = room(&fleet, 4, 100);
    let handles = submit(&blaster, 0..50);
    await_requests(&fleet, 4);
    let together = Barrier::new(6);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                together.wait();
                blaster.close();
            });
        }
    });
    assert_eq!(shut_down(handles), 4);
    blaster.close();
    assert!(blaster.drain(PATIENCE).is_complete());
    given_back(blaster.submit(ask(1)), ErrorKind::ShutDown, &ask(1));
    assert_eq!(blaster.chat(ask(1)).unwrap_err().kind(), ErrorKind::ShutDown);
}

#[test]
fn close_may_be_called_from_a_callback_and_from_the_event_hook() {
    for from_hook in [false, true] {
        let fleet = fleet([terse("east").fault(SimFault::at([0, 1], FaultKind::Hang))]);
        let inside: Arc<Mutex<Option<Blaster>>> = Arc::default();
        let hook = {
            let inside = Arc::clone(&inside);
            move |event: &Event| {
                let closes = from_hook && matches!(event, Event::AttemptEnded { .. });
                if let (true, Some(blaster)) = (closes, &*inside.lock().unwrap()) {
                    blaster.close();
                }
            }
        };
        let config = config(&fleet).num_workers(3);
        let blaster = Blaster::builder().config(config).on_event(hook).build().unwrap();
        let handles = submit(&blaster, 0..2);
        await_requests(&fleet, 2);
        *inside.lock().unwrap() = Some(blaster.clone());
        let closing = blaster.clone();
        let last = blaster
            .submit_streaming(ask("last"), move |_| {
                if !from_hook {
                    closing.close();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        match last.wait() {
            // The hook hears of it when the answer is there.
            Ok(_) => assert!(from_hook),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ShutDown, "{error}"),
        }
        assert_eq!(shut_down(handles), 2);
        given_back(blaster.submit(ask(1)), ErrorKind::ShutDown, &ask(1));
        eventually("the workers' end", || blaster.workers() == 0);
        // A hook that holds its own blaster keeps it alive.
        inside.lock().unwrap().take();
    }
}

#[test]
fn the_last_clone_that_is_dropped_closes_and_handles_outlive_it() {
    let fleet = fleet([terse("east").fault(SimFault::at([1], FaultKind::Hang))]);
    let blaster = room(&fleet, 1, 100);
    let clone = blaster.clone();
    let mut answered = blaster.submit(ask("answered")).unwrap();
    eventually("the first answer", || answered.is_finished());
    let held = submit(&blaster, 0..10);
    await_requests(&fleet, 2);
    drop(blaster);
    assert_eq!(
        (clone.waiting(), clone.in_flight()),
        (9, 1),
        "the other clone keeps it going"
    );
    drop(clone);
    let completion = answered.try_wait().unwrap().unwrap();
    assert!(is_answer(completion.text(), "answered"));
    assert_eq!(shut_down(held), 1);
    assert!(fleet.wait_for(
        PATIENCE,
        |view| view.entries().filter(|entry| entry.client_left()).count() == 1
    ));
}

#[test]
fn dropping_the_last_clone_does_not_wait_for_what_is_held_up() {
    let fleet = fleet([terse("east")]);
    // A machine that stands still for a while may have ended the job by the time it is looked at: not ten times.
    let came_back_first = (0..10).any(|_| {
        let (began, begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let blaster = room(&fleet, 1, 100);
        let held_up = move |_: &_| {
            let _ = began.send(());
            let _ = released.recv();
            ControlFlow::Continue(())
        };
        let mut handle = blaster.submit_streaming(ask("held up"), held_up).unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        drop(blaster);
        let came_back_first = !handle.is_finished();
        // The callback has not come back yet.
        let error = handle.wait_timeout(PATIENCE).expect("it ends").unwrap_err();
        assert!(matches!(error, Error::ShutDown { dropped: true, .. }), "{error}");
        drop(release);
        came_back_first
    });
    assert!(came_back_first);
}

#[test]
fn a_handle_whose_blaster_was_dropped_says_so() {
    let fleet = fleet([silent("east")]);
    let under_way = room(&fleet, 1, 100).submit(ask("temporary")).unwrap();
    let blaster = room(&fleet, 1, 100);
    let mut others = submit(&blaster, 0..2);
    drop(blaster);
    others.push(under_way);
    for mut handle in others {
        let error = handle.wait_timeout(PATIENCE).expect("it ends").unwrap_err();
        assert!(
            error.to_string().starts_with("the blaster was dropped before"),
            "{error}"
        );
    }
    let closed = room(&fleet, 1, 100);
    let handle = closed.submit(ask("closed")).unwrap();
    closed.close();
    drop(closed);
    assert_eq!(handle.wait().unwrap_err().to_string(), "the blaster is shut down");
}

#[test]
fn drain_lets_everything_finish_and_takes_nothing_more() {
    let fleet = fleet([terse("east")
        .latency(Latency::fixed(2.0))
        .fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = room(&fleet, 4, 1000);
    let held = blaster.submit(ask("held")).unwrap();
    await_requests(&fleet, 1);
    let handles = submit(&blaster, 0..100);
    let report = thread::scope(|scope| {
        let draining = scope.spawn(|| blaster.drain(PATIENCE));
        // What is still taken until then is answered like the others.
        eventually("the drain's beginning", || {
            matches!(blaster.try_submit(ask("late")), Err(SubmitError::ShutDown(_)))
        });
        for (id, handle) in handles.into_iter().enumerate() {
            assert!(is_answer(handle.wait().unwrap().text(), id));
        }
        assert!(!draining.is_finished(), "one job is still under way");
        held.cancel();
        draining.join().unwrap()
    });
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.failed, 1, "{report}");
    assert_eq!(held.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    eventually("the workers' end", || blaster.workers() == 0);
}

#[test]
fn drain_reports_what_did_not_finish_in_time() {
    let fleet = fleet([silent("silent")]);
    let blaster = room(&fleet, 2, 100);
    let handles = submit(&blaster, 0..7);
    await_requests(&fleet, 2);
    let report = blaster.drain(Duration::from_millis(20));
    assert_eq!(
        (report.answered, report.failed, report.waiting, report.in_flight),
        (0, 0, 5, 2)
    );
    assert!(!report.is_complete());
    assert_eq!(
        report.to_string(),
        "meanwhile 0 answered, 0 failed; 5 waiting and 2 under way were left"
    );
    assert_eq!(shut_down(handles), 2);
}

/// A submitter on a thread of its own that is really asleep when this returns.
fn blocked_submitter(
    blaster: &Blaster,
    id: usize,
) -> thread::JoinHandle<Result<JobHandle<ChatCompletion>, SubmitError<ChatRequest>>> {
    let (tell, told) = mpsc::channel();
    let blaster = blaster.clone();
    let submitter = thread::spawn(move || {
        // On Linux this is `<process>/task/<thread>`.
        tell.send(std::fs::read_link("/proc/thread-self").ok()).unwrap();
        blaster.submit(ask(id))
    });
    if let Some(place) = told.recv().unwrap() {
        eventually("a blocked submitter", || {
            let stat = std::fs::read_to_string(std::path::Path::new("/proc").join(&place).join("stat"));
            stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
        });
    }
    submitter
}

#[test]
fn a_blocked_submitter_gets_its_request_back_when_the_blaster_ends() {
    for drain in [false, true] {
        let fleet = fleet([silent("silent")]);
        let blaster = room(&fleet, 1, 2);
        let held = blaster.submit(ask("held")).unwrap();
        await_requests(&fleet, 1);
        let queued = submit(&blaster, 0..2);
        let blocked: Vec<_> = (0..4).map(|id| blocked_submitter(&blaster, id)).collect();
        assert!(blocked.iter().all(|submitter| !submitter.is_finished()));
        if drain {
            blaster.drain(Duration::from_millis(1));
        } else {
            blaster.close();
        }
        for (id, submitter) in blocked.into_iter().enumerate() {
            given_back(submitter.join().unwrap(), ErrorKind::ShutDown, &ask(id));
        }
        assert_eq!(shut_down(queued), 0);
        assert_eq!(shut_down(vec![held]), 1);
    }
}

#[test]
fn a_full_queue_gives_the_request_back_or_lets_the_submitter_wait_for_its_turn() {
    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = room(&fleet, 1, 2);
    let held = blaster.submit(ask("held")).unwrap();
    await_requests(&fleet, 1);
    let queued = submit(&blaster, 0..2);
    given_back(blaster.try_submit(ask(7)), ErrorKind::QueueFull, &ask(7));
    given_back(
        blaster.submit_timeout(ask(8), Duration::from_millis(5)),
        ErrorKind::QueueFull,
        &ask(8),
    );
    given_back(
        blaster.submit_timeout(ask(9), Duration::ZERO),
        ErrorKind::QueueFull,
        &ask(9),
    );
    assert_eq!(fleet.totals().requests, 1);
    // A job that is cancelled in the queue makes room for one, no more.
    let first = blocked_submitter(&blaster, 10);
    queued[0].cancel();
    let first = first.join().unwrap().unwrap();
    given_back(blaster.try_submit(ask(11)), ErrorKind::QueueFull, &ask(11));
    let blocked: Vec<_> = (20..26).map(|id| blocked_submitter(&blaster, id)).collect();
    held.cancel();
    for (id, submitter) in (20..).zip(blocked) {
        assert!(is_answer(submitter.join().unwrap().unwrap().wait().unwrap().text(), id));
    }
    assert!(is_answer(first.wait().unwrap().text(), 10));
    assert!(blaster.submit_timeout(ask(12), PATIENCE).unwrap().wait().is_ok());
}

/// Whatever it is that a job is doing when the blaster is closed: it ends once, and its ledger tells the truth.
#[test]
fn a_close_amid_answers_loses_no_job_and_forgets_no_request() {
    let fleet = fleet((0..4).map(|n| terse(format!("sim-{n}")).latency(Latency::fixed(1.0))));
    let (mut requests, mut answered, mut ended) = (0, 0, 0);
    for round in 0..40 {
        let blaster = room(&fleet, 16, 1000);
        let handles = submit(&blaster, 0..100);
        assert!(fleet.wait_for(PATIENCE, |view| view.totals().requests > requests + round));
        blaster.close();
        for (id, handle) in handles.into_iter().enumerate() {
            match handle.wait() {
                Ok(completion) => {
                    assert!(is_answer(completion.text(), id));
                    requests += completion.ledger().len() as u64;
                    answered += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ShutDown, "{error}");
                    requests += error.ledger().unwrap().len() as u64;
                    ended += 1;
                }
            }
        }
        assert!(
            fleet.wait_for(PATIENCE / 6, |view| view.totals().requests == requests),
            "round {round}: {} requests await_requests, {requests} stand in the ledgers",
            fleet.totals().requests
        );
    }
    assert!(answered > 0 && ended > 0, "{answered} answered, {ended} shut down");
}

/// The names of this process's threads that belong to a blaster (and not to the simulator).
#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let names = names.map(|name| name.trim().to_owned());
    names
        .filter(|name| name.starts_with("blaster-") && name != "blaster-sim")
        .collect()
}

/// In a process of its own, because other tests have threads of the same names.
#[cfg(target_os = "linux")]
#[test]
fn no_thread_outlives_its_blaster() {
    use crate::child;

    if child::role().is_none() {
        return child::run("closing::no_thread_outlives_its_blaster", "");
    }
    let fleet = fleet([terse("east"), silent("silent")]);
    let ends: [fn(Blaster); 3] = [
        |blaster| blaster.close(),
        |blaster| assert!(!blaster.drain(Duration::from_millis(1)).is_complete()),
        drop,
    ];
    for end in ends {
        let blaster = room(&fleet, 8, 1000);
        let before = fleet.counters("silent").unwrap().requests;
        let handles = submit(&blaster, 0..100);
        assert!(fleet.wait_for(PATIENCE, |view| view.counters("silent").unwrap().requests > before));
        eventually("nine threads", || threads().len() == 9);
        end(blaster);
        eventually("the threads' end", || threads().is_empty());
        assert!(handles.into_iter().all(|handle| handle.is_finished()));
    }
}
