//! Refusals that may have nothing to do with what was sent.

use super::scenario::{Answer, PROVISIONED, STANDARD, Scenario, UNKNOWN};
use crate::balance::limits::belief::Form::Bucket;
use crate::balance::limits::charge::{Mode, Reservation, Settlement};

use Answer::{At, Now};

/// Of five that went together at 5 the first is refused for a second.
fn refused_first(s: &mut Scenario) -> Vec<Reservation> {
    let mut burst: Vec<_> = (0..5).map(|_| s.send(3_000.0, 5.0)).collect();
    let first = burst.remove(0);
    s.refuse(first, 1.0, 5.05);
    burst
}

/// Of so many that went together at `at`, the first `refused` are refused for a second, and the others are answered.
fn together(s: &mut Scenario, count: usize, refused: usize, at: f64) {
    let burst: Vec<_> = (0..count).map(|_| s.force(3_000.0, Mode::Sure, at)).collect();
    for (index, sent) in burst.into_iter().enumerate() {
        if index < refused {
            s.refuse(sent, 1.0, at + 0.05);
        } else {
            s.answer(sent, at + 0.1);
        }
    }
}

#[test]
fn who_refuses_one_and_admits_the_next_has_met_no_limit_and_teaches_nothing() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(5, 3_000.0, 0.0);
    for sent in refused_first(&mut s) {
        s.answer(sent, 5.1);
    }
    assert_eq!(
        (s.belief(), s.block()),
        ((Bucket, 60_000.0, true), 6.05),
        "its wait is kept"
    );
    assert_eq!(s.limit.belief.surprises, 0);
    let (next, _) = s.burst(3_000.0, 6.1);
    assert!(next.len() > 5, "not one at a time: {}", next.len());
}

#[test]
fn whoever_refuses_those_after_it_too_has_met_a_limit() {
    for (refused, surprises) in [(1, 0), (2, 1), (4, 1)] {
        let mut s = Scenario::new(&STANDARD);
        s.admitted(5, 3_000.0, 0.0);
        together(&mut s, 5, 1 + refused, 5.0);
        assert_eq!(s.limit.belief.surprises, surprises, "{refused} of four");
    }
}

#[test]
fn nothing_is_learnt_and_nothing_sent_before_the_witnesses_are_heard() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(5, 3_000.0, 0.0);
    let mut burst: Vec<_> = (0..5).map(|_| s.send(3_000.0, 5.0)).collect();
    let first = burst.remove(0);
    s.refuse(first, 0.001, 5.05);
    assert_eq!(s.ask(3_000.0, 5.06), At(5.3), "silence tells by then");
    assert!(matches!(s.ask(3_000.0, 5.3), Now(_)));
    assert_eq!((s.belief(), s.limit.belief.surprises), ((Bucket, 60_000.0, true), 0));
    // Nor is somebody waited for who will not be heard of any more.
    let mut s = Scenario::new(&STANDARD);
    s.admitted(5, 3_000.0, 0.0);
    for sent in refused_first(&mut s) {
        s.settle(sent, Settlement::Kept, 5.06);
    }
    assert_eq!(s.limit.belief.surprises, 1, "there are no witnesses");
}

#[test]
fn what_refusals_without_witnesses_taught_is_taken_back_when_others_show_that_it_was_noise() {
    let mut s = Scenario::standard(120_000);
    s.admitted(5, 3_000.0, 0.0);
    for at in [1.0, 10.0] {
        let alone = s.send(3_000.0, at);
        s.refuse(alone, 1.0, at + 0.05);
    }
    let (_, quota, trusted) = s.belief();
    assert!(quota < 120_000.0 && !trusted, "{:?}", s.belief());
    together(&mut s, 4, 1, 20.0);
    assert_eq!(s.belief(), (Bucket, 120_000.0, true));
}

#[test]
fn two_lone_refusals_teach_nothing_where_no_bucket_admits_what_went_between() {
    // When 30,000 tokens were admitted between the refusals → what is believed, and the surprises that are left
    let evenly: &[(usize, f64)] = &[(2, 2.1), (2, 4.0), (2, 6.0), (2, 8.0), (2, 9.5)];
    let at_once: &[(usize, f64)] = &[(10, 3.1)];
    for (sends, believed, surprises) in [
        (evenly, (Bucket, 120_000.0, false), 2),
        (at_once, (Bucket, 120_000.0, true), 0),
    ] {
        let mut s = Scenario::standard(120_000);
        s.admitted(5, 3_000.0, 0.0);
        let alone = s.send(3_000.0, 1.0);
        s.refuse(alone, 1.0, 1.05);
        assert_eq!(s.limit.belief.surprises, 1);
        for &(count, at) in sends {
            for _ in 0..count {
                let sent = s.force(3_000.0, Mode::Sure, at);
                s.answer(sent, at);
            }
        }
        let alone = s.force(3_000.0, Mode::Sure, 10.0);
        s.refuse(alone, 1.0, 10.05);
        assert_eq!((s.belief(), s.limit.belief.surprises), (believed, surprises));
    }
}

#[test]
fn what_as_many_witnesses_gainsay_as_bear_out_may_be_taken_back() {
    let mut s = Scenario::standard(120_000);
    s.admitted(5, 3_000.0, 0.0);
    for (at, refused) in [(5.0, 3), (15.0, 5)] {
        together(&mut s, 5, refused, at);
        // Two of four witnesses refused; then all four.
        assert_eq!(s.limit.before.is_some(), refused == 3, "{refused} of five");
    }
}

#[test]
fn a_request_of_another_size_is_no_witness() {
    // The size of four that went with one of 3,000, whether they were refused → whether a limit is believed
    for (size, refused, limit) in [
        (900.0, false, true),
        (1_100.0, false, false),
        (9_100.0, true, true),
        (8_900.0, true, true),
    ] {
        let mut s = Scenario::new(&STANDARD);
        s.admitted(5, 3_000.0, 0.0);
        let first = s.force(3_000.0, Mode::Sure, 5.0);
        let burst: Vec<_> = (0..4).map(|_| s.force(size, Mode::Sure, 5.0)).collect();
        s.refuse(first, 1.0, 5.05);
        for sent in burst {
            if refused {
                s.refuse(sent, 1.0, 5.06);
            } else {
                s.answer(sent, 5.1);
            }
        }
        assert_eq!(s.limit.belief.surprises > 0, limit, "{size}");
        // A limit without witnesses may be taken back.
        assert_eq!(s.limit.before.is_some(), size == 900.0 || size == 9_100.0, "{size}");
    }
}

#[test]
fn a_provisioned_level_is_not_set_by_noise() {
    let mut s = Scenario::new(&PROVISIONED);
    s.admitted(5, 3_000.0, 0.0);
    for sent in refused_first(&mut s) {
        s.answer(sent, 5.1);
    }
    assert_eq!((s.quota(), s.is_trusted()), (600_000.0, true));
    assert!(s.level() < 20_000.0, "{}", s.level());
}

#[test]
fn an_unknown_quota_is_not_found_by_noise() {
    let mut s = Scenario::new(&UNKNOWN);
    s.admitted(5, 3_000.0, 0.0);
    for sent in refused_first(&mut s) {
        s.answer(sent, 5.1);
    }
    assert!(!s.limit.quota.is_known());
}

#[test]
fn a_long_wait_teaches_at_once() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(5, 3_000.0, 0.0);
    let mut burst: Vec<_> = (0..5).map(|_| s.send(3_000.0, 5.0)).collect();
    let first = burst.remove(0);
    s.refuse(first, 4.0, 5.05);
    assert_eq!(s.limit.belief.surprises, 1);
}

#[test]
fn witnesses_of_a_wait_of_milliseconds_are_those_sent_at_once() {
    // When four went that were admitted, after one that is refused → whether what was taught before is taken back
    for (after, is_taken_back) in [(0.0, true), (0.02, true), (0.021, false)] {
        let mut s = Scenario::standard(120_000);
        s.admitted(5, 3_000.0, 0.0);
        for at in [1.0, 10.0] {
            let alone = s.send(3_000.0, at);
            s.refuse(alone, 1.0, at + 0.05);
        }
        let first = s.force(3_000.0, Mode::Sure, 20.0);
        let burst: Vec<_> = (0..4).map(|_| s.force(3_000.0, Mode::Sure, 20.0 + after)).collect();
        s.refuse(first, 0.001, 20.05);
        for sent in burst {
            s.answer(sent, 20.1);
        }
        assert_eq!(
            s.belief() == (Bucket, 120_000.0, true),
            is_taken_back,
            "{after} s later"
        );
    }
}

#[test]
fn a_wait_of_few_milliseconds_is_noise_until_all_of_the_latest_sixteen_are_refused() {
    for (wait, met_limit_at) in [(0.009, Some(15)), (0.01, Some(0))] {
        let mut s = Scenario::new(&STANDARD);
        s.admitted(16, 100.0, 0.0);
        let meets_limit = |index| {
            let at = 1.0 + f64::from(index);
            let alone = s.force(100.0, Mode::Sure, at);
            s.refuse(alone, wait, at + 0.01);
            s.limit.belief.surprises > 0
        };
        assert_eq!((0..16).position(meets_limit), met_limit_at, "{wait}");
    }
}

#[test]
fn a_provisioned_deployment_is_full_also_for_few_milliseconds() {
    let mut s = Scenario::new(&PROVISIONED);
    s.admitted(5, 3_000.0, 0.0);
    let alone = s.send(3_000.0, 1.0);
    s.refuse(alone, 0.009, 1.01);
    assert!(!s.is_trusted());
}

#[test]
fn a_quota_that_noise_has_taught_is_unknown_again() {
    let mut s = Scenario::new(&UNKNOWN);
    s.admitted(5, 3_000.0, 0.0);
    let alone = s.send(3_000.0, 1.0);
    s.refuse(alone, 1.0, 1.05);
    assert!(s.limit.quota.is_known());
    together(&mut s, 4, 1, 20.0);
    assert!(!s.limit.quota.is_known());
}

#[test]
fn whoever_waits_for_a_witness_may_go_when_it_is_heard() {
    for spec in [&STANDARD, &PROVISIONED, &UNKNOWN] {
        let mut s = Scenario::new(spec);
        s.admitted(5, 3_000.0, 0.0);
        let (first, witness) = (s.send(3_000.0, 5.0), s.send(3_000.0, 5.0));
        s.refuse(first, 0.001, 5.01);
        assert!(matches!(s.ask(3_000.0, 5.1), At(_)));
        let at = s.instant(5.1);
        assert!(s.limit.awaits_confirmation());
        assert!(s.limit.confirm(&witness, at), "it is said that others may go now");
        assert!(matches!(s.ask(3_000.0, 5.1), Now(_)));
    }
}
