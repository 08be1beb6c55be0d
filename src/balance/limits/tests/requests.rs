//! What refusals of requests teach.

use super::scenario::{STANDARD, Scenario, refusal};
use crate::balance::limits::charge::{Mode, Settlement};
use crate::balance::limits::limit::LimitSpec;
use crate::balance::outcome::Axis;

#[test]
fn requests_that_are_refused_tell_window_and_limit() {
    // Told a minute, sent at 0 and admitted, wait → window in seconds, limit in it. The refused ones were sent at 0.5.
    let rows = [
        ("a long wait is a long window", Some(600), 50, 30.0, 60.0, 50.0),
        ("ten seconds", Some(600), 50, 9.0, 10.0, 50.0),
        ("paced well for ten seconds: it is one", Some(600), 14, 1.0, 1.0, 9.0),
        ("less than a second's share", Some(600), 4, 1.0, 10.0, 4.0),
        ("a burst says nothing about the window", Some(600), 50, 1.0, 10.0, 50.0),
        ("nothing was told", None, 50, 9.0, 10.0, 50.0),
        ("all that was told has been admitted", Some(60), 10, 9.0, 10.0, 9.0),
    ];
    for (name, rpm, admitted, wait, window, limit) in rows {
        let mut s = Scenario::new(&LimitSpec {
            tpm: Some(6_000_000),
            rpm,
            ..STANDARD
        });
        for _ in 0..admitted {
            let sent = s.force(10.0, Mode::Sure, 0.0);
            s.answer(sent, 0.1);
        }
        let sent = s.force(10.0, Mode::Sure, 0.5);
        s.settle(sent, Settlement::Refused(refusal(Axis::Requests, wait)), 0.55);
        let snapshot = s.limit.snapshot(s.instant(0.55));
        assert_eq!(snapshot.request_window.as_secs_f64(), window, "{name}");
        assert_eq!(snapshot.requests, Some(limit), "{name}");
        assert_eq!(s.block(), 0.55 + wait, "{name}");
        assert_eq!(s.quota(), 6_000_000.0, "{name}: tokens were not refused");
    }
}

#[test]
fn a_few_requests_above_a_learnt_limit_do_not_make_its_window_a_short_one() {
    let mut s = Scenario::new(&LimitSpec {
        tpm: Some(6_000_000),
        rpm: None,
        ..STANDARD
    });
    // At first nothing is known: a hundred of ten seconds. Later two more than that are sent near the window's end.
    for (at, after, wait, limit) in [(0.0, 8.5, 2.0, 100.0), (20.0, 9.5, 1.0, 97.0)] {
        for _ in 0..100 {
            let sent = s.force(10.0, Mode::Sure, at);
            s.answer(sent, at + 0.1);
        }
        let above = [0; 2].map(|_| s.force(10.0, Mode::Sure, at + after));
        for sent in above {
            s.settle(
                sent,
                Settlement::Refused(refusal(Axis::Requests, wait)),
                at + after + 0.05,
            );
        }
        assert_eq!(s.limit.requests.limit(), Some(limit), "at {at}");
        assert_eq!(s.limit.requests.span(), 10.0, "at {at}");
    }
}

#[test]
fn a_short_window_has_its_share_of_what_was_told_whatever_was_learnt_of_a_longer_one() {
    let mut s = Scenario::new(&LimitSpec {
        tpm: Some(6_000_000),
        rpm: Some(600),
        ..STANDARD
    });
    for (at, admitted, wait, limit) in [(0.0, 50, 9.0, 50.0), (20.0, 14, 1.0, 9.0)] {
        for _ in 0..admitted {
            let sent = s.force(10.0, Mode::Sure, at);
            s.answer(sent, at + 0.1);
        }
        let sent = s.force(10.0, Mode::Sure, at + 0.5);
        s.settle(sent, Settlement::Refused(refusal(Axis::Requests, wait)), at + 0.55);
        assert_eq!(s.limit.requests.limit(), Some(limit), "at {at}");
    }
}

#[test]
fn a_lowered_request_limit_grows_ever_faster_to_what_was_told() {
    let mut s = Scenario::new(&LimitSpec {
        tpm: Some(6_000_000),
        rpm: Some(600),
        ..STANDARD
    });
    for _ in 0..50 {
        let sent = s.force(10.0, Mode::Sure, 0.0);
        s.answer(sent, 0.1);
    }
    // The second one is of the same burst: it makes the pause before the limit grows no longer.
    for sent in [0.5, 0.5].map(|at| s.force(10.0, Mode::Sure, at)) {
        s.settle(sent, Settlement::Refused(refusal(Axis::Requests, 9.0)), 0.55);
    }
    let mut limits = Vec::new();
    for at in [60.5, 60.55, 120.55, 180.55, 240.55, 300.55, 360.55] {
        s.ask(10.0, at);
        limits.push(s.limit.requests.limit().expect("a limit is known"));
    }
    assert_eq!(limits, [50.0, 52.0, 56.0, 64.0, 82.0, 100.0, 100.0]);
}
