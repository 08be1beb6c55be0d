//! A request that is larger than a quota of which nobody was told.

use crate::api::Priority;
use crate::balance::outcome::{Axis, Outcome, Throttle, Used};
use crate::balance::{GiveUp, JobSize, Output};
use crate::engine::actions::{Assignment, Settled};
use crate::engine::scenario::*;

const STEP: u32 = 10;

/// A service that counts in windows of a minute.
struct Service {
    quota: u32,
    used: u32,
    /// Requests under way, with the step at which they end and what they come to.
    under_way: Vec<(u32, Assignment, Outcome)>,
}

impl Service {
    fn take(&mut self, sent: Assignment, step: u32) {
        let (size, left) = (sent.job.request.size, 60 - step / STEP % 60);
        let is_admitted = self.used + size.total() <= self.quota;
        let (ends, outcome) = if is_admitted {
            self.used += size.total();
            let used = Used {
                prompt: Some(size.prompt()),
                output: size.max_output(),
            };
            (step + STEP, Outcome::Success(used))
        } else {
            let throttle = Throttle {
                wait: Some(left * SECOND),
                axis: Axis::Tokens,
                reason: "429".to_owned(),
            };
            (step + 1, Outcome::Throttled(throttle))
        };
        self.under_way.push((ends, sent, outcome));
    }
}

/// What an hour comes to, at most.
#[derive(Debug, Default, PartialEq)]
struct Hour {
    minutes: u32,
    answered: usize,
    too_large: usize,
    waiting: usize,
}

fn run(large: &[u32], small: usize) -> Hour {
    let bench = Stage::of(1).limit(0, limit(None)).begin();
    run_in(bench, large, small)
}

fn run_in(mut bench: Bench, large: &[u32], small: usize) -> Hour {
    for tokens in large.iter().copied().chain((0..small).map(|_| 2_000)) {
        bench.submit_sized("m", tokens, Priority::Normal);
    }
    let mut service = Service {
        quota: 20_000,
        used: 0,
        under_way: Vec::new(),
    };
    let mut hour = Hour::default();
    for step in 0..60 * 60 * STEP {
        if step % (60 * STEP) == 0 {
            service.used = 0;
        }
        let (due, later) = service.under_way.drain(..).partition(|(ends, ..)| *ends <= step);
        service.under_way = later;
        let due: Vec<(u32, Assignment, Outcome)> = due;
        for (_, sent, outcome) in due {
            match bench.settle(sent, &outcome) {
                Settled::Answered(_) => hour.answered += 1,
                Settled::Failed(_, GiveUp::TooLarge(_)) => hour.too_large += 1,
                Settled::Waiting => {}
                other => panic!("{other:?}"),
            }
        }
        for sent in bench.pump() {
            service.take(sent, step);
        }
        hour.minutes = step / (60 * STEP);
        if bench.core.is_idle() {
            break;
        }
        bench.pass(SECOND / STEP);
    }
    hour.waiting = bench.core.waiting();
    hour
}

#[test]
fn a_job_larger_than_a_quota_that_was_never_told_does_not_keep_the_others_waiting_for_ever() {
    let alone = run(&[], 300);
    let beside = run(&[60_000], 300);
    assert_eq!(
        (beside.answered, beside.too_large, beside.waiting),
        (300, 1, 0),
        "{beside:?}"
    );
    assert!(beside.minutes <= alone.minutes + 5, "{beside:?}, without it {alone:?}");
}

/// It may be too large, or others may use the quota: nothing tells, so it is asked for once in a window, and no more.
#[test]
fn a_job_that_is_refused_alone_where_nothing_is_known_waits_on() {
    let hour = run(&[60_000], 0);
    assert_eq!((hour.answered, hour.too_large, hour.waiting), (0, 0, 1), "{hour:?}");
}

/// A file of five megabytes, of which nobody can tell what it comes to: 78,000 tokens, as it seems, and 2,000 as it turns
/// out.
#[test]
fn a_guess_that_is_larger_than_the_quota_is_sent_alone_and_learnt_from() {
    let mut bench = Stage::of(1).limit(0, limit(Some(50_000))).begin();
    let small = |bench: &mut Bench| bench.submit_sized("m", 2_000, Priority::Normal);
    small(&mut bench);
    let before = bench.next();
    let guess = JobSize::new(78_000, Output::AtMost(200)).guessed();
    bench.enter("m", &CHAT, request_of(guess), Priority::Normal, None);
    assert!(bench.pump().is_empty(), "something is under way");
    bench.pass(SECOND).settle(before, &Outcome::SUCCESS);
    let mut waited = 0;
    let alone = loop {
        if let Some(alone) = bench.pump().pop() {
            break alone;
        }
        waited += 1;
        assert!(waited < 200 && bench.ended.is_empty(), "{:?}", bench.ended);
        bench.pass(SECOND);
    };
    small(&mut bench);
    assert!(bench.pump().is_empty(), "it is alone");
    let used = Used {
        prompt: Some(2_000),
        output: Some(100),
    };
    assert!(matches!(
        bench.pass(SECOND).settle(alone, &Outcome::Success(used)),
        Settled::Answered(_)
    ));
    assert_eq!(bench.pump().len(), 1, "what it has not used is there for others");
}

#[test]
fn only_what_is_certain_is_refused_before_it_is_sent() {
    for (size, ended) in [
        (JobSize::new(78_000, Output::None), true),
        (JobSize::new(78_000, Output::None).guessed(), false),
        (JobSize::new(100, Output::AtMost(60_000)).guessed(), true),
    ] {
        let mut bench = Stage::of(1).limit(0, limit(Some(50_000))).begin();
        bench.enter("m", &CHAT, request_of(size), Priority::Normal, None);
        bench.pump();
        assert_eq!(bench.ended == [(0, "too large")], ended, "{size:?}");
    }
}
