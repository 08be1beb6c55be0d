//! Who goes next.

use crate::api::{Operation, Priority};
use crate::balance::outcome::{Blame, Outcome};
use crate::engine::actions::Settled;
use crate::engine::scenario::*;

#[test]
fn jobs_go_by_class_and_then_by_age() {
    let mut bench = Bench::new(1, 1);
    let classes = [
        Priority::Batch,
        Priority::Normal,
        Priority::Interactive,
        Priority::Batch,
        Priority::Normal,
        Priority::Interactive,
    ];
    for priority in classes {
        bench.submit(priority);
    }
    let order: Vec<u64> = classes.iter().map(|_| bench.answer_next()).collect();
    assert_eq!(order, [2, 5, 1, 4, 0, 3]);
}

#[test]
fn jobs_of_a_class_go_by_age_over_all_lanes() {
    let mut bench = Bench::new(2, 1);
    for model in ["m1", "m", "m0", "m1", "m0", "m"] {
        bench.submit_as(model, &CHAT, Priority::Normal, None);
    }
    let order: Vec<u64> = (0..6).map(|_| bench.answer_next()).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
}

/// Whether each of the next `turns` goes to a job with one of the first `aged` numbers, while the others never end.
fn turns_of_the_old(bench: &mut Bench, aged: u64, turns: usize) -> Vec<bool> {
    let turn = |_| {
        bench.submit(Priority::Interactive);
        bench.answer_next() < aged
    };
    (0..turns).map(turn).collect()
}

#[test]
fn a_class_that_has_waited_for_thirty_seconds_takes_every_sixteenth_turn() {
    let mut bench = Bench::new(1, 1);
    for _ in 0..10 {
        bench.submit(Priority::Batch);
    }
    bench.pass(30 * SECOND - NANO);
    assert!(
        turns_of_the_old(&mut bench, 10, 100).iter().all(|old| !old),
        "before its time"
    );
    bench.pass(NANO);
    let turns = turns_of_the_old(&mut bench, 10, 100);
    let old: Vec<usize> = (0..100).filter(|&turn| turns[turn]).collect();
    assert_eq!(old, [0, 16, 32, 48, 64, 80, 96], "16 turns were without it already");
}

#[test]
fn ageing_in_many_lanes_leaves_the_urgent_most_of_the_turns() {
    let mut bench = Bench::new(1, 1);
    for lane in 0..40 {
        for _ in 0..10 {
            let operation = Operation::other(&format!("x{lane}")).unwrap();
            bench.submit_as("m", &operation, Priority::Batch, None);
        }
    }
    bench.pass(60 * SECOND);
    let turns = turns_of_the_old(&mut bench, 400, 160);
    assert_eq!(turns.iter().filter(|&&old| old).count(), 10);
}

#[test]
fn ageing_in_one_lane_is_not_put_off_by_turns_of_the_class_in_another() {
    // The first endpoint's jobs compete for its one place; the second's, of the same class, have a place of their own.
    let mut bench = Bench::new(2, 2);
    let old = bench.submit_as("m0", &CHAT, Priority::Batch, None);
    bench.pass(60 * SECOND);
    bench.submit_as("m0", &CHAT, Priority::Interactive, None);
    let mut busy = bench.next();
    for turn in 0..40 {
        bench.submit_as("m0", &CHAT, Priority::Interactive, None);
        bench.submit_as("m1", &CHAT, Priority::Batch, None);
        let elsewhere = bench.next();
        assert_eq!(elsewhere.lease.endpoint().index(), 1, "turn {turn}");
        bench.settle(elsewhere, &Outcome::SUCCESS);
        bench.settle(busy, &Outcome::SUCCESS);
        // A place is free at the first endpoint.
        let mut sent = bench.pump();
        assert!(!sent.is_empty());
        busy = sent.remove(0);
        if busy.job.id() == old.id {
            assert!((14..=16).contains(&turn), "turn {turn}");
            return;
        }
        for other in sent {
            bench.settle(other, &Outcome::SUCCESS);
        }
    }
    panic!("it starves");
}

#[test]
fn a_lane_that_waits_never_blocks_another() {
    let mut bench = Bench::new(2, 4);
    bench.submit_as("m0", &CHAT, Priority::Interactive, None);
    let first = bench.next();
    bench.settle(first, &throttled(60 * SECOND));
    for _ in 0..3 {
        bench.submit_as("m0", &CHAT, Priority::Interactive, None);
    }
    let other = bench.submit_as("m1", &CHAT, Priority::Batch, None);
    assert_eq!(bench.next().job.id(), other.id);
    assert_eq!(bench.core.waiting(), 4);
    assert_eq!(bench.wakes_in(), Some(60 * SECOND));
    bench.pass(60 * SECOND);
    assert_eq!(bench.pump().len(), 3, "as many as there are workers left");
}

#[test]
fn a_retry_regains_the_place_that_its_age_gives_it() {
    let mut bench = Bench::new(2, 1);
    for _ in 0..3 {
        bench.submit(Priority::Normal);
    }
    let first = bench.next();
    assert_eq!(first.job.id(), 0);
    let endpoint = first.lease.endpoint();
    assert!(matches!(
        bench.settle(first, &failed(Blame::Endpoint)),
        Settled::Waiting
    ));
    let again = bench.next();
    assert_eq!(again.job.id(), 0);
    assert_ne!(again.lease.endpoint(), endpoint, "and goes where it has not failed");
}

#[test]
fn a_retry_after_a_rest_regains_its_place_when_the_rest_is_over() {
    let mut bench = Bench::new(1, 1);
    for _ in 0..3 {
        bench.submit(Priority::Normal);
    }
    let first = bench.next();
    bench.settle(first, &failed(Blame::Unclear));
    assert_eq!(bench.answer_next(), 1, "the first rests after its 500");
    assert_eq!(bench.core.waiting(), 2);
    bench.pass(SECOND);
    assert_eq!(bench.answer_next(), 0);
    assert_eq!(bench.answer_next(), 2);
}
