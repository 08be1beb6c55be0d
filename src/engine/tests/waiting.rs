//! Who ends while waiting, what is due next, and what bounds the queue.

use std::time::Duration;

use crate::api::{Operation, Priority};
use crate::balance::outcome::{Blame, Outcome, Scope};
use crate::balance::{GiveUp, Remark};
use crate::engine::actions::{Actions, Settled};
use crate::engine::core::{MOST_ASIDE, NotTaken};
use crate::engine::scenario::*;

const HALF: Duration = Duration::from_millis(500);

fn submit_for(bench: &mut Bench, timeout: Duration) -> u64 {
    bench.submit_as("m", &CHAT, Priority::Normal, Some(timeout)).id
}

#[test]
fn a_deadline_ends_a_job_wherever_it_waits() {
    type Wait = fn(&mut Bench) -> u64;
    let waits: [(&str, Wait); 2] = [
        ("for a worker", |bench| {
            bench.submit(Priority::Interactive);
            assert_eq!(bench.pump().len(), 1);
            submit_for(bench, HALF)
        }),
        ("for its retry", |bench| {
            let id = submit_for(bench, HALF);
            let sent = bench.next();
            bench.settle(sent, &failed(Blame::Unclear));
            id
        }),
    ];
    for (name, wait) in waits {
        let mut bench = Bench::new(1, 1);
        let id = wait(&mut bench);
        assert!(bench.pump().is_empty());
        assert_eq!(bench.wakes_in(), Some(HALF), "{name}");
        bench.pass(HALF - NANO).round();
        assert_eq!(bench.ended, [], "{name}");
        bench.pass(NANO).round();
        assert_eq!(bench.ended, [(id, "timed out")], "{name}");
        assert_eq!((bench.core.waiting(), bench.wakes_in()), (0, None), "{name}");
    }
}

#[test]
fn a_job_that_nobody_can_take_in_its_time_ends_at_once_and_one_that_may_be_taken_waits() {
    let mut bench = Bench::new(1, 1);
    let (late, in_time) = (submit_for(&mut bench, HALF), submit_for(&mut bench, 2 * SECOND));
    let sent = bench.next();
    bench.settle(sent, &throttled(SECOND));
    // One hold of the lock ends one job.
    bench.round();
    bench.round();
    assert_eq!(bench.ended, [(late, "too late")]);
    assert_eq!(bench.wakes_in(), Some(SECOND));
    bench.pass(SECOND);
    assert_eq!(bench.next().job.id(), in_time);
}

#[test]
fn a_job_waits_for_what_may_end_in_its_time_although_a_rest_lasts_longer() {
    let mut bench = Bench::new(2, 4);
    let at = |bench: &mut Bench, model| {
        bench.submit_as(model, &CHAT, Priority::Normal, None);
        bench.next()
    };
    let mut busy: Vec<_> = (0..3).map(|_| at(&mut bench, "m1")).collect();
    let refused = at(&mut bench, "m0");
    bench.settle(refused, &throttled(60 * SECOND));
    let id = submit_for(&mut bench, HALF);
    bench.round();
    assert_eq!(bench.ended, []);
    let answered = busy.pop().unwrap();
    bench.settle(answered, &Outcome::SUCCESS);
    assert_eq!(bench.next().job.id(), id);
}

#[test]
fn a_job_whose_time_is_over_when_its_attempt_fails_is_not_tried_again() {
    let mut bench = Bench::new(2, 1);
    submit_for(&mut bench, SECOND);
    let sent = bench.next();
    assert_eq!(bench.wakes_in(), None, "the attempt's own limits see to it");
    bench.pass(SECOND);
    match bench.settle(sent, &failed(Blame::Endpoint)) {
        Settled::Ended(ending) => assert_eq!(told(&ending), (0, "timed out")),
        other => panic!("{other:?}"),
    }
    assert!(bench.core.is_idle());
}

#[test]
fn cancel_ends_a_job_wherever_it_waits_and_once() {
    let mut bench = Bench::new(1, 1);
    let retrying = bench.submit(Priority::Normal);
    let waiting = bench.submit_as("m", &CHAT, Priority::Normal, Some(60 * SECOND));
    let sent = bench.next();
    assert!(bench.cancel(&waiting));
    assert_eq!(bench.ended, [(waiting.id, "cancelled")]);
    assert!(!bench.cancel(&waiting), "a second time");

    bench.settle(sent, &failed(Blame::Unclear));
    assert_eq!(bench.core.waiting(), 1, "for its retry");
    assert!(bench.cancel(&retrying));
    assert_eq!(bench.ended.len(), 2);
    assert!(bench.core.is_idle());
    assert_eq!(bench.wakes_in(), None, "no timer stays behind");
}

#[test]
fn a_job_that_is_cancelled_under_way_is_not_tried_again() {
    let mut bench = Bench::new(2, 1);
    let cell = bench.submit(Priority::Normal);
    let sent = bench.next();
    assert!(!bench.cancel(&cell), "its worker ends it");
    match bench.settle(sent, &failed(Blame::Endpoint)) {
        Settled::Ended(ending) => assert_eq!(told(&ending), (cell.id, "cancelled")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_that_has_handed_out_content_is_not_tried_again() {
    let mut bench = Bench::new(2, 1);
    bench.submit(Priority::Normal);
    let mut sent = bench.next();
    sent.job.note_handed_out();
    assert!(matches!(
        bench.settle(sent, &failed(Blame::Endpoint)),
        Settled::Failed(_, GiveUp::Attempts)
    ));
    assert!(bench.core.is_idle());
}

#[test]
fn close_returns_every_job_and_nothing_goes_after_it() {
    let mut bench = Bench::new(2, 2);
    let resting = bench.submit_as("m0", &CHAT, Priority::Normal, Some(60 * SECOND));
    let sent = bench.pump().remove(0);
    bench.settle(sent, &failed(Blame::Unclear));
    let (first, second) = (bench.submit(Priority::Normal), bench.submit(Priority::Normal));
    let mut under_way = bench.pump();
    let waiting: Vec<u64> = Priority::ALL.map(|priority| bench.submit(priority).id).into();

    let (endings, in_flight) = bench.core.close().unwrap();
    let mut ended: Vec<_> = endings.iter().map(told).collect();
    ended.sort();
    let mut all = vec![(resting.id, "shut down")];
    all.extend(waiting.iter().map(|&id| (id, "shut down")));
    assert_eq!(ended, all);
    let mut flying: Vec<u64> = in_flight.iter().map(|cell| cell.id).collect();
    flying.sort();
    assert_eq!(flying, [first.id, second.id]);

    assert!(bench.core.close().is_none(), "closed before");
    assert_eq!(bench.core.admission(), Err(NotTaken::Closed));
    assert_eq!(bench.wakes_in(), None);
    let answered = bench.settle(under_way.remove(0), &Outcome::SUCCESS);
    assert!(
        matches!(answered, Settled::Answered(_)),
        "what has come is not thrown away"
    );
    match bench.settle(under_way.remove(0), &failed(Blame::Endpoint)) {
        Settled::Ended(ending) => assert_eq!(told(&ending).1, "shut down"),
        other => panic!("{other:?}"),
    }
    assert!(bench.pump().is_empty());
    assert!(bench.core.is_idle());
    assert_eq!((bench.core.ended.answered, bench.core.ended.failed), (1, 5));
}

#[test]
fn a_drained_core_takes_no_jobs_and_finishes_those_it_has() {
    let mut bench = Bench::new(1, 1);
    bench.submit(Priority::Normal);
    bench.core.drain();
    assert_eq!(bench.core.admission(), Err(NotTaken::Closed));
    assert_eq!(bench.answer_next(), 0);
    assert!(bench.core.is_idle());
}

#[test]
fn the_queue_has_room_again_when_a_job_goes() {
    let mut bench = Bench::with_capacity(1, 1, 2);
    for _ in 0..2 {
        assert_eq!(bench.core.admission(), Ok(()));
        bench.submit(Priority::Normal);
    }
    assert_eq!(bench.core.admission(), Err(NotTaken::Full));
    assert_eq!(bench.pump().len(), 1);
    assert_eq!(bench.core.admission(), Ok(()));
}

/// A hold of the lock hands out, or ends, so many jobs at most.
const BATCH: usize = 1;

#[test]
fn one_hold_of_the_lock_does_a_batch_and_says_that_there_is_more() {
    let mut bench = Bench::new(1, 100);
    for _ in 0..100 {
        bench.submit(Priority::Normal);
    }
    let first = bench.round();
    assert_eq!((first.assignments.len(), first.more), (BATCH, true));
    assert_eq!(bench.pump().len(), 100 - BATCH);

    for _ in 0..100 {
        submit_for(&mut bench, SECOND);
    }
    assert!(bench.pass(SECOND).round().more);
    assert_eq!(bench.ended.len(), BATCH, "deadlines");
    bench.pump();
    assert_eq!(bench.ended.len(), 100);

    for _ in 0..100 {
        bench.submit(Priority::Normal);
    }
    bench.disable(0);
    assert!(bench.round().more);
    assert_eq!(bench.ended.len(), 100 + BATCH, "hopeless jobs, with every worker busy");
    bench.pump();
    assert_eq!(bench.ended.len(), 200);
    assert_eq!(bench.core.in_flight(), 100);
}

#[test]
fn one_hold_of_the_lock_finds_out_about_one_lane_that_has_to_wait_and_a_round_about_each_once() {
    let mut bench = Bench::new(3, 4);
    for (seconds, model) in (1..).zip(["m0", "m1", "m2"]) {
        bench.submit_as(model, &CHAT, Priority::Normal, None);
        let sent = bench.next();
        bench.settle(sent, &throttled(seconds * SECOND));
    }
    for time_of_a_hold in [Duration::ZERO, SECOND] {
        let mut holds = 1;
        let mut hold = bench.round();
        while hold.more {
            // Though the first lane can go on by now: the timer begins a new round for it.
            bench.pass(time_of_a_hold);
            hold = Actions::default();
            bench.core.go_on(bench.now, &mut hold);
            holds += 1;
        }
        assert_eq!(holds, 3);
        assert_eq!(bench.wakes_in(), Some(SECOND.saturating_sub(2 * time_of_a_hold)));
    }
}

#[test]
fn hopeless_jobs_end_at_once_although_every_worker_is_busy() {
    let mut bench = Bench::new(2, 1);
    bench.submit_as("m0", &CHAT, Priority::Normal, None);
    let busy = bench.next();
    let hopeless = bench.submit_as("m1", &CHAT, Priority::Batch, None);
    let may_go = bench.submit(Priority::Normal);
    bench.disable(1);
    assert!(bench.pump().is_empty());
    assert_eq!(bench.ended, [(hopeless.id, "no endpoint")]);
    bench.settle(busy, &Outcome::SUCCESS);
    assert_eq!(bench.next().job.id(), may_go.id);
}

#[test]
fn jobs_whose_operation_nobody_knows_end_although_every_worker_is_busy() {
    let mut bench = Bench::new(1, 2);
    for _ in 0..3 {
        bench.submit_as("m", &Operation::Embeddings, Priority::Normal, None);
    }
    bench.submit(Priority::Interactive);
    bench.submit(Priority::Interactive);
    let mut sent = bench.pump();
    bench.settle(sent.remove(0), &Outcome::SUCCESS);
    let asked = bench.next();
    bench.submit(Priority::Interactive);
    bench.settle(asked, &unusable(Scope::Operation));
    assert_eq!(bench.pump().len(), 1);
    assert_eq!(
        bench.ended,
        [(0, "no endpoint"), (1, "no endpoint"), (2, "no endpoint")]
    );
}

#[test]
fn jobs_of_ejected_endpoints_wait_with_every_worker_busy_too() {
    let mut bench = Bench::new(2, 1);
    bench.submit_as("m1", &CHAT, Priority::Normal, None);
    for _ in 0..5 {
        let sent = bench.next();
        bench.settle(sent, &failed(Blame::Endpoint));
        bench.pass(20 * SECOND);
    }
    assert_eq!(bench.ended, []);
    bench.submit_as("m1", &CHAT, Priority::Normal, None);
    bench.submit_as("m0", &CHAT, Priority::Interactive, None);
    assert_eq!(bench.pump().len(), 1);
    assert_eq!(bench.ended, []);
}

#[test]
fn the_next_wake_up_is_the_earliest_thing_that_is_due() {
    let mut bench = Bench::new(4, 2);
    assert_eq!(bench.wakes_in(), None, "an idle engine sleeps");
    for (model, rest) in [("m0", 30), ("m1", 20)] {
        bench.submit_as(model, &CHAT, Priority::Normal, None);
        let sent = bench.next();
        bench.settle(sent, &throttled(rest * SECOND));
        bench.pump();
    }
    assert_eq!(bench.wakes_in(), Some(20 * SECOND), "a lane goes on");

    let limited = bench.submit_as("m0", &CHAT, Priority::Normal, Some(10 * SECOND));
    bench.pump();
    assert_eq!(bench.wakes_in(), Some(10 * SECOND), "a deadline");

    let retried = bench.submit_as("m2", &CHAT, Priority::Normal, None);
    let sent = bench.next();
    bench.settle(sent, &failed(Blame::Unclear));
    bench.pump();
    let retry = bench.wakes_in().unwrap();
    assert!(retry <= SECOND && retry >= SECOND * 3 / 4, "a retry: {retry:?}");

    assert!(bench.cancel(&retried) && bench.cancel(&limited));
    assert_eq!(bench.wakes_in(), Some(20 * SECOND));
    for model in ["m2", "m3"] {
        bench.submit_as(model, &CHAT, Priority::Interactive, None);
    }
    let busy = bench.pump();
    assert_eq!(busy.len(), 2);
    assert_eq!(bench.wakes_in(), None, "without an idle worker no lane can go on");
    for sent in busy {
        bench.settle(sent, &Outcome::SUCCESS);
    }
    bench.pump();
    assert_eq!(bench.wakes_in(), Some(20 * SECOND));
}

#[test]
fn a_hundred_thousand_jobs_wait_and_go_in_order() {
    let mut bench = Bench::new(4, 1);
    let jobs = 100_000;
    for _ in 0..jobs {
        bench.submit(Priority::Normal);
    }
    assert_eq!(bench.core.waiting(), jobs);
    for id in 0..jobs as u64 {
        assert_eq!(bench.answer_next(), id);
    }
    assert!(bench.core.is_idle());
}

#[test]
fn a_job_that_has_waited_for_a_minute_because_all_are_out_is_remarked_once_while_others_probe() {
    let mut bench = Bench::new(1, 2);
    for _ in 0..20 {
        bench.submit(Priority::Normal);
    }
    let mut remarked = Vec::new();
    for second in 0..200 {
        let mut actions = bench.round();
        remarked.extend(actions.remarks.drain(..).map(|remark| (second, remark)));
        for assignment in actions.assignments {
            bench.settle(assignment, &failed(Blame::Endpoint));
        }
        bench.pass(SECOND);
    }
    let [(second, Remark::AllOut(waited, absent, false))] = &remarked[..] else {
        panic!("{remarked:?}");
    };
    assert!((60..120).contains(second), "after {second} s");
    assert_eq!(waited.as_secs(), *second);
    assert_eq!(absent.len(), 1);
    assert!(absent[0].reason.contains("failures in a row"), "{absent:?}");
}

#[test]
fn jobs_put_aside_in_one_lane_keep_nobody_of_another_from_going() {
    let embeddings = Operation::Embeddings;
    let mut bench = Bench::new(2, 100);
    let rest = bench.submit_as("m1", &CHAT, Priority::Normal, None);
    let sent = bench.next();
    assert_eq!(sent.job.id(), rest.id);
    bench.settle(sent, &throttled(60 * SECOND));
    // All of them have had a 500 at the one that is ready, and wait for the other.
    let lanes = [(CHAT, MOST_ASIDE - 1), (embeddings.clone(), 1)];
    for (operation, jobs) in lanes {
        (0..jobs).for_each(|_| drop(bench.submit_as("m", &operation, Priority::Normal, None)));
        for sent in bench.pump() {
            bench.settle(sent, &failed(Blame::Unclear));
        }
    }
    assert!(bench.pump().is_empty());
    let fresh = bench.submit_as("m", &embeddings, Priority::Normal, None);
    assert_eq!(bench.next().job.id(), fresh.id);
}

#[test]
fn one_round_puts_aside_so_many_jobs_of_each_lane_at_most() {
    let operations = [CHAT, Operation::Embeddings];
    let mut bench = Bench::new(2, 200);
    bench.submit_as("m1", &CHAT, Priority::Normal, None);
    let sent = bench.next();
    bench.settle(sent, &throttled(60 * SECOND));
    for operation in &operations {
        (0..2 * MOST_ASIDE).for_each(|_| drop(bench.submit_as("m", operation, Priority::Normal, None)));
        for sent in bench.pump() {
            bench.settle(sent, &failed(Blame::Unclear));
        }
    }
    assert!(bench.pump().is_empty());
    let set = bench.core.balancer.set(Some("m")).unwrap();
    let blocked = bench.core.lanes.blocked();
    for operation in &operations {
        let lane = bench.core.lanes.lane(set, operation);
        assert!(blocked.contains(&lane), "its other jobs are looked at in vain");
    }
}
