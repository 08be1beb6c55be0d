//! How long a refusal blocks, and those that teach nothing else.

use std::time::Duration;

use super::scenario::{Answer, PROVISIONED, STANDARD, Scenario, UNKNOWN, refusal};
use crate::balance::limits::belief::Form::{Bucket, Window};
use crate::balance::limits::charge::{Refusal, Settlement, Wait};
use crate::balance::outcome::Axis;

use Answer::At;

#[test]
fn a_wait_blocks_and_is_never_shortened() {
    let mut s = Scenario::new(&STANDARD);
    let (sent, _) = s.burst(3_000.0, 0.0);
    for (reservation, wait) in sent.into_iter().zip([10.0, 20.0, 5.0]) {
        s.refuse(reservation, wait, 0.1);
    }
    assert_eq!(s.ask(1.0, 0.1), At(20.1));
}

/// A limit of 60,000 with ten jobs of 3,000 admitted at 0, and one sent at 5 that is refused like this at 5.1.
fn refused_with(refusal: Refusal) -> Scenario {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(10, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 5.0);
    s.settle(sent, Settlement::Refused(refusal), 5.1);
    s
}

#[test]
fn a_refusal_that_says_nothing_about_the_quota_only_blocks() {
    let rows = [
        ("capacity", refusal(Axis::Capacity, 41.0), 46.1),
        ("longer than a window", refusal(Axis::Tokens, 61.0), 66.1),
        ("a quota of zero", refusal(Axis::Tokens, 86_400.0), 86_405.1),
        ("requests, longer than any window", refusal(Axis::Requests, 61.0), 66.1),
    ];
    for (name, refusal, block) in rows {
        let s = refused_with(refusal);
        assert_eq!((s.belief(), s.block()), ((Bucket, 60_000.0, true), block), "{name}");
        assert_eq!(
            (s.limit.belief.surprises, s.limit.requests.limit()),
            (0, None),
            "{name}"
        );
        // Its tokens are free again.
        assert_eq!(s.used(), 30_000.0, "{name}");
    }
}

#[test]
fn after_a_wait_longer_than_a_window_one_goes_at_a_time() {
    let mut s = refused_with(refusal(Axis::Tokens, 61.0));
    let _one = s.send(3_000.0, 66.1);
    assert_eq!(s.ask(3_000.0, 66.1), At(66.4));
    let mut s = refused_with(refusal(Axis::Capacity, 61.0));
    assert!(s.burst(3_000.0, 66.1).0.len() > 4, "capacity says nothing about us");
}

#[test]
fn an_axis_that_is_not_named_is_the_one_of_which_nothing_remains() {
    let unnamed = |remaining_tokens, remaining_requests| Refusal {
        remaining_tokens,
        remaining_requests,
        ..refusal(Axis::Unknown, 41.0)
    };
    // Whether the form was learnt (tokens) or a limit of requests.
    for (tokens, requests, form) in [
        (None, None, Window),
        (Some(0), Some(12), Window),
        (Some(-27_689), None, Window),
        (Some(4_000), Some(0), Bucket),
        (None, Some(0), Bucket),
        (Some(-1), Some(-1), Window),
        (Some(0), Some(0), Window),
    ] {
        let s = refused_with(unnamed(tokens, requests));
        assert_eq!(
            (s.form(), s.limit.requests.limit().is_some()),
            (form, form == Bucket),
            "{tokens:?} {requests:?}"
        );
    }
}

#[test]
fn a_refusal_that_names_no_time_teaches_nothing_about_clocks() {
    let own = Refusal {
        wait: Wait::Own(Duration::from_secs(30)),
        ..refusal(Axis::Tokens, 0.0)
    };
    let mut s = refused_with(own);
    assert_eq!(
        (s.belief(), s.boundary(), s.block()),
        ((Bucket, 60_000.0, true), None, 35.1)
    );
    assert_eq!(s.ask(1.0, 6.0), At(35.1));
    let _one = s.send(3_000.0, 35.1);
    assert_eq!(s.ask(3_000.0, 35.1), At(35.4), "one at a time after a surprise");
    // Zero is no time either.
    let s = refused_with(refusal(Axis::Tokens, 0.0));
    assert_eq!((s.form(), s.boundary(), s.limit.requests.limit()), (Bucket, None, None));
    // In a window with a known clock, it is measured by what it has admitted.
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, 20);
    s.admitted(12, 3_000.0, 5.0);
    let sent = s.send(3_000.0, 10.0);
    s.settle(sent, Settlement::Refused(own), 10.05);
    assert_eq!(
        (s.belief(), s.block(), s.boundary()),
        ((Window, 36_000.0, false), 40.05, Some((59.0, 60.0)))
    );
}

#[test]
fn a_refusal_while_nothing_else_of_ours_is_charged_only_blocks() {
    for spec in [STANDARD, PROVISIONED, UNKNOWN] {
        for axis in [Axis::Tokens, Axis::Requests, Axis::Unknown, Axis::Throughput] {
            let mut s = Scenario::new(&spec);
            let before = (s.belief(), s.limit.requests.limit());
            let sent = s.send(3_000.0, 0.0);
            let settled = s.settle(sent, Settlement::Refused(refusal(axis, 30.0)), 0.1);
            assert!(settled.alone);
            assert_eq!((s.belief(), s.limit.requests.limit()), before, "{spec:?} {axis:?}");
            assert_eq!(s.ask(1.0, 0.1), At(30.1), "{spec:?} {axis:?}");
        }
    }
    let mut s = Scenario::new(&STANDARD);
    s.admitted(1, 1.0, 0.0);
    let sent = s.send(3_000.0, 0.0);
    assert!(!s.refuse(sent, 30.0, 0.1).alone);
}
