//! A callback or an event hook that panics, or that waits for its own worker.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use azure_openai_blaster::api::{Condition, EmbeddingRequest, Operation, RawRequest};
use azure_openai_blaster::error::{Error, ErrorKind, SubmitError};
use azure_openai_blaster::sim::{FaultKind, SimFault, SimFleet};
use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Blaster, Event, JobHandle, JobSet, NextPiece};

use crate::support::{PATIENCE, ask, await_requests, config, fleet, is_answer, pool, terse};

const WORKERS: usize = 3;

/// A job that panicked says so, with what it had sent; its endpoint is not blamed, and every worker is still there.
fn assert_panicked(error: &Error, requests: usize, fleet: &SimFleet, blaster: &Blaster) {
    assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!(error.ledger().unwrap().len(), requests, "{}", error.ledger().unwrap());
    assert_eq!(blaster.workers(), WORKERS);
    for id in 0..4 * WORKERS {
        assert!(is_answer(blaster.chat(ask(id)).unwrap().text(), id));
    }
    assert_eq!((blaster.waiting(), blaster.in_flight()), (0, 0));
    for state in blaster.states() {
        let report = state.report();
        assert_eq!(
            (report.condition, report.in_flight, report.totals.failed),
            (Condition::Ready, 0, 0),
            "{report}"
        );
    }
    assert!(fleet.journal().iter().all(|entry| entry.status == Some(200)));
}

#[test]
fn a_callback_that_panics_fails_its_own_job() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, WORKERS);
    // At the first piece, and after some: that they were handed out changes nothing.
    for pieces in [0, 2] {
        let mut left = pieces;
        let handle = blaster
            .submit_streaming(ask("panics"), move |_| {
                assert!(left > 0, "on purpose");
                left -= 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_panicked(&handle.wait().unwrap_err(), 1, &fleet, &blaster);
    }
}

/// A worker that panics on its own account, here in the transport that it calls.
#[test]
fn a_worker_that_panics_fails_its_own_job() {
    let service = Scripted::new(|call| {
        assert!(!call.body.to_string().contains("panics"), "on purpose");
        ScriptedReply::text("well")
    });
    let blaster = Blaster::builder().transport(service).workers(WORKERS).build().unwrap();
    for _ in 0..4 * WORKERS {
        let error = blaster.chat_completion("panics").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        assert!(error.to_string().contains("on purpose"), "{error}");
    }
    for _ in 0..4 * WORKERS {
        assert_eq!(blaster.chat_completion("hello").unwrap(), "well");
    }
    assert_eq!(
        (blaster.workers(), blaster.waiting(), blaster.in_flight()),
        (WORKERS, 0, 0)
    );
    let report = blaster.states()[0].report();
    assert_eq!(
        (report.condition, report.failure_streak, report.totals.failed),
        (Condition::Ready, 0, 0),
        "{report}"
    );
}

#[test]
fn an_event_hook_that_panics_fails_the_job_that_it_was_told_of() {
    let is_attempt = |event: &Event| matches!(event, Event::AttemptEnded { .. });
    let is_end = |event: &Event| matches!(event, Event::JobEnded { .. });
    for panics in [is_attempt, is_end] {
        let fleet = fleet([terse("east")]);
        let armed = Arc::new(AtomicBool::new(true));
        let hook = {
            let armed = Arc::clone(&armed);
            move |event: &Event| assert!(!(panics(event) && armed.swap(false, Ordering::SeqCst)), "on purpose")
        };
        let config = config(&fleet).num_workers(WORKERS);
        let blaster = Blaster::builder().config(config).on_event(hook).build().unwrap();
        assert_panicked(&blaster.chat(ask("panics")).unwrap_err(), 1, &fleet, &blaster);
        // The same for a job that ends while it waits: its end is told on the canceller's thread.
        blaster.states()[0].cool_down(Duration::from_secs(3600));
        let waiting = blaster.submit(ask("cancelled")).unwrap();
        armed.store(true, Ordering::SeqCst);
        waiting.cancel();
        let error = waiting.wait().unwrap_err();
        // There was no attempt to be told of.
        let silent = armed.swap(false, Ordering::SeqCst);
        let expected = if silent {
            ErrorKind::Cancelled
        } else {
            ErrorKind::Panicked
        };
        assert_eq!(error.kind(), expected, "{error}");
        blaster.states()[0].enable();
        assert!(blaster.chat(ask(1)).is_ok());
    }
}

/// Nobody's job is to blame for what an endpoint does, so a panic over that is logged and costs nothing.
#[test]
fn an_event_hook_that_panics_about_an_endpoint_costs_no_job() {
    let fleet = fleet([
        terse("bad").fault(SimFault::next(1, FaultKind::Status { status: 401 })),
        terse("good"),
    ]);
    let hook = |event: &Event| assert!(!matches!(event, Event::EndpointChanged { .. }), "on purpose");
    let config = config(&fleet).num_workers(WORKERS);
    let blaster = Blaster::builder().config(config).on_event(hook).build().unwrap();
    for id in 0..20 {
        assert!(is_answer(blaster.chat(ask(id)).unwrap().text(), id));
    }
    let states = blaster.states();
    assert_eq!(states[0].report().condition, Condition::Disabled);
    states[1].cool_down(Duration::from_secs(3600));
    states[0].enable();
    states[1].disable("by hand");
    assert!(blaster.chat(ask(1)).is_ok());
    assert_eq!(blaster.workers(), WORKERS);
}

/// What a callback finds when it makes every call that could wait for the worker that it runs on.
#[test]
fn a_blocking_call_on_a_workers_thread_is_refused_and_a_submit_never_waits() {
    let fleet = fleet([terse("east").fault(SimFault::at([1], FaultKind::Hang))]);
    let config = config(&fleet).num_workers(2).queue_capacity(1);
    let blaster = Blaster::builder().config(config).build().unwrap();
    let earlier = blaster.submit(ask("earlier")).unwrap();
    await_requests(&fleet, 1);
    let held = blaster.submit(ask("held")).unwrap();
    await_requests(&fleet, 2);
    assert!(is_answer(earlier.wait().unwrap().text(), "earlier"));

    let (tell, told) = mpsc::channel::<JobHandle<_>>();
    let inner = blaster.clone();
    let mut first = true;
    let outer = blaster
        .submit_streaming(ask("outer"), move |_| {
            if !std::mem::take(&mut first) {
                return ControlFlow::Continue(());
            }
            let deadlock = |error: Error| assert_eq!(error.kind(), ErrorKind::WouldDeadlock, "{error}");
            deadlock(inner.chat(ask(0)).unwrap_err());
            deadlock(inner.chat_completion(ask(0)).unwrap_err());
            deadlock(inner.embeddings(EmbeddingRequest::from("x")).unwrap_err());
            deadlock(
                inner
                    .stream_raw(RawRequest::post(Operation::Embeddings, "{}"))
                    .unwrap_err(),
            );
            // There is room for one, whose turn comes after this; no wait for it, and for no further one.
            let mut queued = inner.submit(ask("queued")).unwrap();
            assert!(matches!(inner.submit(ask(1)), Err(SubmitError::Full(_))));
            assert!(matches!(
                inner.submit_timeout(ask(1), PATIENCE),
                Err(SubmitError::Full(_))
            ));
            assert!(queued.try_wait().is_none());
            deadlock(queued.wait_timeout(PATIENCE).unwrap().unwrap_err());
            tell.send(queued).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(is_answer(outer.wait().unwrap().text(), "outer"));
    assert!(is_answer(told.recv().unwrap().wait().unwrap().text(), "queued"));
    held.cancel();
    assert_eq!(blaster.workers(), 2);
}

/// What a callback of the caller's has captured.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor on purpose");
    }
}

fn armed(bomb: Bomb) -> impl FnMut(&azure_openai_blaster::api::Delta) -> ControlFlow<()> + Send {
    move |_| {
        let _ = &bomb;
        ControlFlow::Continue(())
    }
}

#[test]
fn a_callback_whose_captures_panic_when_dropped_costs_neither_its_answer_nor_a_worker() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, 1);
    let first = blaster.submit_streaming(ask("first"), armed(Bomb)).unwrap();
    assert!(is_answer(first.wait().unwrap().text(), "first"));
    let mut second = blaster.submit(ask("second")).unwrap();
    assert!(second.wait_timeout(PATIENCE).expect("a worker lives").is_ok());
}

#[test]
fn a_callback_whose_captures_panic_when_dropped_does_not_end_the_timer() {
    let fleet = fleet([terse("east").fault(SimFault::always(FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let _busy = blaster.submit(ask("busy")).unwrap();
    await_requests(&fleet, 1);
    let hasty = |id: &str| ask(id).timeout(Duration::from_millis(20));
    let mut handles = vec![blaster.submit_streaming(hasty("first"), armed(Bomb)).unwrap()];
    handles[0].wait_timeout(PATIENCE).expect("it ends").unwrap_err();
    handles.push(blaster.submit(hasty("second")).unwrap());
    let error = handles[1]
        .wait_timeout(PATIENCE)
        .expect("timeouts are kept")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[test]
fn waiting_for_many_or_for_a_stream_on_a_workers_own_thread_is_refused() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, 1);
    let inner = blaster.clone();
    let (tell, told) = mpsc::channel();
    let handle = blaster
        .submit_streaming(ask("outer"), move |_| {
            let deadlock = |error: Error| assert_eq!(error.kind(), ErrorKind::WouldDeadlock, "{error}");
            let mut set = JobSet::new();
            for key in 0..3 {
                set.insert(key, inner.submit(ask(key)).unwrap());
            }
            // The oldest first, until none is left; a time limit makes no difference.
            let (key, refused) = set.next().unwrap();
            assert_eq!(key, 0);
            deadlock(refused.unwrap_err());
            let (key, refused) = set.next_timeout(PATIENCE).unwrap();
            assert_eq!(key, 1);
            deadlock(refused.unwrap_err());
            assert_eq!(set.by_ref().count(), 1);
            // Nothing is sent that could not be waited for.
            let waiting = inner.waiting();
            for (_, refused) in inner.run_all([ask(1), ask(2)]) {
                deadlock(refused.unwrap_err());
            }
            assert_eq!(inner.waiting(), waiting);
            let mut stream = inner.stream(ask("streamed")).unwrap();
            deadlock(stream.next().unwrap().unwrap_err());
            assert!(stream.next().is_none(), "it is over");
            let mut stream = inner.stream(ask("streamed")).unwrap();
            let NextPiece::Piece(refused) = stream.next_timeout(PATIENCE) else {
                panic!("it is refused at once");
            };
            deadlock(refused.unwrap_err());
            deadlock(inner.stream(ask("streamed")).unwrap().into_completion().unwrap_err());
            deadlock(
                inner
                    .submit(ask("waited for"))
                    .unwrap()
                    .cancel_on_drop()
                    .wait()
                    .unwrap_err(),
            );
            // The three of the set run on; those that cancel when they are dropped have been cancelled.
            assert_eq!(inner.waiting(), 3);
            tell.send(()).unwrap();
            ControlFlow::Break(())
        })
        .unwrap();
    assert!(handle.wait().is_ok());
    told.recv().unwrap();
}

#[test]
fn drain_on_a_workers_own_thread_takes_no_more_jobs_and_closes_nothing() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, 1);
    let inner = blaster.clone();
    let (go, gone) = mpsc::channel();
    let mut report = None;
    let (tell, told) = mpsc::channel();
    let outer = blaster
        .submit_streaming(ask("outer"), move |_| {
            if report.is_none() {
                gone.recv().unwrap();
                report = Some(inner.drain(PATIENCE));
                assert!(matches!(inner.submit(ask("late")), Err(SubmitError::ShutDown(_))));
                tell.send(report).unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let queued = blaster.submit(ask("queued")).unwrap();
    go.send(()).unwrap();
    let report = told.recv().unwrap().unwrap();
    assert_eq!((report.waiting, report.in_flight), (1, 1), "{report}");
    assert!(is_answer(outer.wait().unwrap().text(), "outer"));
    assert!(is_answer(queued.wait().unwrap().text(), "queued"));
}

/// Each blaster knows its own threads: a worker of one may wait for another.
#[test]
fn a_worker_may_wait_for_another_blaster() {
    let fleet = fleet([terse("east")]);
    let (blaster, other) = (pool(&fleet, 1), pool(&fleet, 1));
    let mut answer = None;
    let (tell, told) = mpsc::channel();
    let handle = blaster
        .submit_streaming(ask("outer"), move |_| {
            let answer = answer.get_or_insert_with(|| other.chat_completion(ask("inner")).unwrap());
            tell.send(answer.clone()).unwrap();
            ControlFlow::Break(())
        })
        .unwrap();
    assert!(handle.wait().is_ok());
    assert!(is_answer(Some(&told.recv().unwrap()), "inner"));
}

/// A wait on a worker's own thread is refused only where it would have to wait.
#[test]
fn what_has_ended_can_be_taken_on_a_workers_thread() {
    let fleet = fleet([terse("east")]);
    let blaster = pool(&fleet, 1);
    let mut done = blaster.submit(ask("done")).unwrap();
    let (tell, told) = mpsc::channel();
    crate::support::eventually("the first answer", || done.is_finished());
    let handle = blaster
        .submit_streaming(ask("outer"), move |_| {
            let taken = done.wait_timeout(PATIENCE);
            tell.send(taken.and_then(Result::ok)).unwrap();
            ControlFlow::Break(())
        })
        .unwrap();
    assert!(handle.wait().is_ok());
    assert!(is_answer(told.recv().unwrap().unwrap().text(), "done"));
}
