//! Jobs that go before the oldest, and how often they may.

use crate::api::{Priority, Told};
use crate::balance::outcome::{Axis, Outcome, Throttle};
use crate::engine::scenario::*;

/// A sole endpoint that counts in windows, of whose 60,000 tokens 50,000 are used.
fn window_with_a_rest() -> Bench {
    let mut bench = Stage::of(1).limit(0, limit(Some(60_000))).begin();
    for _ in 0..10 {
        bench.submit_sized("m", 5_000, Priority::Normal);
        for sent in bench.pump() {
            bench.head(&sent, Told::default());
            bench.settle(sent, &Outcome::SUCCESS);
        }
        bench.pass(SECOND / 2);
    }
    bench.submit_sized("m", 5_000, Priority::Normal);
    let sent = bench.next();
    let refused = Outcome::Throttled(Throttle {
        wait: Some(45 * SECOND),
        axis: Axis::Tokens,
        reason: "429".to_owned(),
    });
    bench.settle(sent, &refused);
    // The next window begins; one request shows that it does.
    bench.pass(46 * SECOND);
    let sent = bench.next();
    bench.head(&sent, Told::default());
    bench.settle(sent, &Outcome::SUCCESS);
    bench
}

/// Sends and answers what goes now; the sizes of it, in its order.
fn go(bench: &mut Bench) -> Vec<u32> {
    let mut sizes = Vec::new();
    for sent in bench.pump() {
        sizes.push(sent.job.request.size.total());
        bench.head(&sent, Told::default());
        bench.settle(sent, &Outcome::SUCCESS);
    }
    sizes
}

#[test]
fn what_is_left_of_a_window_takes_the_largest_that_fits_and_an_interactive_job_is_not_passed() {
    for (priority, expected) in [(Priority::Normal, vec![9_000, 700]), (Priority::Interactive, vec![])] {
        let mut bench = window_with_a_rest();
        for size in [15_000, 15_000, 15_000] {
            bench.submit_sized("m", size, Priority::Normal);
            assert_eq!(go(&mut bench), [size]);
        }
        for size in [30_000, 700, 9_000, 12_000] {
            bench.submit_sized("m", size, priority);
        }
        let mut went = Vec::new();
        // What is unconfirmed is bounded at first; nothing else is in the way.
        for _ in 0..4 {
            went.extend(go(&mut bench));
            bench.pass(SECOND / 2);
        }
        assert_eq!(went, expected, "{priority:?}");
    }
}

#[test]
fn the_oldest_job_goes_in_the_end_although_small_ones_come_all_the_time() {
    let mut bench = window_with_a_rest();
    bench.submit_sized("m", 15_000, Priority::Normal);
    assert_eq!(go(&mut bench), [15_000]);
    let large = bench.submit_sized("m", 50_000, Priority::Normal);
    let mut passed = 0;
    // Small ones come all the time, more than 400 of which what is left would hold.
    for _ in 0..60 * 4 {
        for _ in 0..10 {
            bench.submit_sized("m", 100, Priority::Normal);
        }
        for sent in bench.pump() {
            if sent.job.id() == large {
                assert_eq!(passed, 256);
                return;
            }
            passed += 1;
            bench.head(&sent, Told::default());
            bench.settle(sent, &Outcome::SUCCESS);
        }
        bench.pass(SECOND / 4);
    }
    panic!("it waits for longer than a window, passed by {passed}");
}

#[test]
fn a_job_that_comes_takes_what_is_left_of_a_window_at_once_unless_an_interactive_one_waits() {
    for (priority, fits) in [(Priority::Normal, true), (Priority::Interactive, false)] {
        let mut bench = window_with_a_rest();
        for size in [15_000, 15_000, 15_000] {
            bench.submit_sized("m", size, Priority::Normal);
            assert_eq!(go(&mut bench), [size]);
        }
        bench.submit_sized("m", 30_000, priority);
        assert!(bench.go_on().is_empty(), "no room for it");
        bench.submit_sized("m", 20_000, priority);
        assert!(bench.go_on().is_empty(), "nor for this");
        let small = bench.submit_sized("m", 700, priority);
        let went: Vec<u64> = bench.go_on().iter().map(|sent| sent.job.id()).collect();
        assert_eq!(went, if fits { vec![small] } else { Vec::new() }, "{priority:?}");
    }
}
