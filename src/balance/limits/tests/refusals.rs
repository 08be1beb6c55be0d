//! What refusals teach.

use super::scenario::{Answer, PROVISIONED, STANDARD, Scenario, UNKNOWN, tokens};
use crate::balance::limits::belief::Form::{Bucket, Window};
use crate::balance::limits::charge::Mode;
use crate::balance::limits::limit::LimitSpec;

use Answer::{At, Now};

#[test]
fn a_wait_that_no_bucket_names_is_the_end_of_a_window() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    let sent = s.send(2_500.0, 5.0);
    s.refuse(sent, 31.0, 5.1);
    assert_eq!(s.belief(), (Window, 60_000.0, true));
    assert_eq!((s.boundary(), s.used()), (Some((35.0, 36.1)), 57_000.0));
    assert_eq!(s.ask(1.0, 5.1), At(36.1));
    assert_eq!(s.ask(1.0, 36.099_999), At(36.1));
    let first = s.send(3_000.0, 36.2);
    assert_eq!(s.ask(3_000.0, 36.2), At(36.5));
    assert_eq!(
        s.limit.clone().admits(&tokens(3_000.0), s.instant(36.5)),
        crate::balance::limits::Admission::Now(Mode::Sure)
    );
    s.answer(first, 36.3);
    assert_eq!(s.ask(3_000.0, 36.3), Now(Mode::Sure));
}

#[test]
fn a_bucket_that_is_refused_twice_tells_its_rate() {
    let mut s = Scenario::standard(120_000);
    s.admitted(20, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 1.0);
    s.refuse(sent, 2.0, 1.05);
    assert_eq!(s.belief(), (Bucket, 120_000.0, true));
    assert_eq!((s.level(), s.block()), (120_880.0, 3.05));
    let sent = s.send(3_000.0, 3.1);
    assert_eq!(s.ask(3_000.0, 3.1), At(3.4), "one alone");
    s.refuse(sent, 1.0, 3.15);
    assert_eq!(s.belief(), (Bucket, 120_000.0, false));
    for at in [7.0, 10.0, 13.0, 16.0] {
        let sent = s.force(3_000.0, Mode::Trial, at);
        s.answer(sent, at);
    }
    let sent = s.force(3_000.0, Mode::Trial, 16.3);
    s.refuse(sent, 1.0, 16.35);
    assert!(
        (s.quota() - 84_000.0).abs() < 1e-6,
        "down by 30 % at most: {}",
        s.quota()
    );
}

#[test]
fn a_window_that_others_use_is_measured_by_the_burst_that_finds_it_full() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(10, 3_000.0, 0.0);
    let burst: Vec<_> = (0..6).map(|_| s.send(3_000.0, 5.0)).collect();
    let mut refused = burst.into_iter();
    s.refuse(refused.next().expect("six"), 41.0, 5.1);
    assert_eq!(s.belief(), (Window, 45_000.0, false));
    s.refuse(refused.next().expect("six"), 41.0, 5.1);
    assert_eq!((s.belief(), s.block()), ((Window, 42_000.0, false), 46.1));
    s.refuse(refused.next().expect("six"), 1.0, 47.0);
    assert_eq!(s.quota(), 42_000.0, "the next window has not been measured");
}

#[test]
fn a_refusal_just_after_the_boundary_shifts_the_clock() {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, 20);
    s.admitted(10, 3_000.0, 30.0);
    let sent = s.send(3_000.0, 60.1);
    s.refuse(sent, 1.0, 60.15);
    let (earliest, reset) = s.boundary().expect("it is known");
    assert_eq!((earliest, reset, s.used()), (60.15, 61.15, 0.0));
    assert_eq!(s.ask(1.0, 60.15), At(61.15));
    let _alone = s.send(3_000.0, 61.15);
    assert_eq!(s.ask(3_000.0, 61.15), At(61.45));
}

#[test]
fn a_refusal_by_the_known_clock_measures_the_quota() {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, 20);
    s.admitted(12, 3_000.0, 5.0);
    let sent = s.send(3_000.0, 10.0);
    s.refuse(sent, 50.0, 10.05);
    assert_eq!(
        (s.belief(), s.block(), s.limit.belief.evidence),
        ((Window, 36_000.0, false), 60.0, 16)
    );
}

#[test]
fn a_refusal_of_a_window_that_is_all_but_full_leaves_the_quota_alone() {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, 20);
    s.admitted(19, 3_000.0, 5.0);
    let sent = s.send(2_900.0, 10.0);
    s.refuse(sent, 50.0, 10.05);
    assert_eq!((s.belief(), s.used()), ((Window, 60_000.0, true), 60_000.0));
    assert_eq!(s.ask(1.0, 10.05), At(60.0));
}

#[test]
fn a_burst_that_finds_its_window_full_much_too_early_measures_the_quota() {
    // Of twenty jobs of 3,000 that went at once: refused → quota, trusted
    let rows = [
        (1, 60_000.0, true),
        (3, 60_000.0, true),
        (4, 51_000.0, false),
        (10, 33_000.0, false),
    ];
    for (refused, quota, trusted) in rows {
        let mut s = Scenario::new(&STANDARD);
        s.believes_window(59.0, 60.0, 20);
        let burst: Vec<_> = (0..20).map(|_| s.force(3_000.0, Mode::Sure, 10.0)).collect();
        for sent in burst.into_iter().take(refused) {
            s.refuse(sent, 50.0, 10.05);
        }
        assert_eq!(s.belief(), (Window, quota, trusted), "{refused} refused");
    }
}

/// A limit of 60,000 that believes in a window [59, 60] with these confirmations and has admitted so many jobs of 3,000 at
/// 0; then one is sent at 10 and refused at 10.05.
fn window_refused(evidence: u32, jobs: usize, mode: Mode, wait: f64) -> Scenario {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, evidence);
    for _ in 0..jobs {
        let sent = s.force(3_000.0, Mode::Sure, 0.0);
        s.answer(sent, 0.0);
    }
    let sent = s.force(3_000.0, mode, 10.0);
    s.refuse(sent, wait, 10.05);
    s
}

#[test]
fn a_window_that_is_refused_stands_is_measured_or_gives_way() {
    // Confirmations, jobs before, mode, wait → form, quota, trusted, blocked until
    #[rustfmt::skip] // a table
    let rows = [
        ("the bucket had no room either, and names that wait", 0, 23, Mode::Trial, 3.0, Bucket, 60_000.0, true, 13.05),
        ("too long a wait for a bucket, same clock", 0, 23, Mode::Trial, 50.0, Window, 60_000.0, true, 60.0),
        ("proven, same clock", 20, 23, Mode::Trial, 50.0, Window, 60_000.0, true, 60.0),
        ("same clock, little used", 20, 8, Mode::Sure, 50.0, Window, 60_000.0, true, 60.05),
        ("another clock, the first time", 20, 15, Mode::Sure, 20.0, Window, 60_000.0, true, 30.05),
        ("same clock, half used", 20, 11, Mode::Sure, 50.0, Window, 33_000.0, false, 60.0),
    ];
    for (name, evidence, jobs, mode, wait, form, quota, trusted, block) in rows {
        let s = window_refused(evidence, jobs, mode, wait);
        assert_eq!((s.belief(), s.block()), ((form, quota, trusted), block), "{name}");
    }
}

#[test]
fn each_refusal_by_the_known_clock_narrows_it() {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(59.0, 60.0, 20);
    s.admitted(19, 3_000.0, 5.0);
    let sent = s.send(2_900.0, 10.3);
    s.refuse(sent, 49.0, 10.35);
    assert_eq!((s.boundary(), s.block()), (Some((59.0, 59.35)), 59.35));
}

#[test]
fn a_proven_window_is_not_given_up_for_a_wait_that_a_bucket_may_name_too() {
    for (evidence, form) in [(0, Bucket), (20, Window)] {
        let mut s = Scenario::new(&STANDARD);
        s.believes_window(59.0, 60.0, evidence);
        for _ in 0..24 {
            let sent = s.force(3_000.0, Mode::Sure, 50.0);
            s.answer(sent, 50.0);
        }
        let sent = s.force(3_000.0, Mode::Trial, 56.0);
        s.refuse(sent, 4.0, 56.05);
        assert_eq!(s.form(), form, "{evidence}");
    }
}

#[test]
fn a_second_refusal_by_another_clock_teaches_that_clock() {
    let mut s = window_refused(20, 19, Mode::Sure, 20.0);
    assert_eq!(s.boundary(), Some((59.0, 60.0)));
    let sent = s.force(3_000.0, Mode::Sure, 31.0);
    s.refuse(sent, 40.0, 31.05);
    assert_eq!(s.boundary(), Some((70.0, 71.05)));
}

#[test]
fn a_refused_raise_is_not_repeated_at_the_same_total_for_some_windows() {
    let mut s = Scenario::standard(120_000);
    s.believes_window(59.0, 60.0, 16);
    s.limit.quota.distrust();
    s.limit.quota.learn(30_000.0);
    // Each window is filled to the learnt quota; the windows in which a raise is sent and refused.
    let mut raised = Vec::new();
    for window in 0..9u32 {
        // The first burst fills the window, the second finds a raise that the first was too early for.
        for at in [0.5, 1.0].map(|after| f64::from(60 * window) + after) {
            for reservation in s.burst(3_000.0, at).0 {
                if reservation.mode() == Mode::Raise {
                    raised.push(window);
                    s.refuse(reservation, 59.0, at + 0.05);
                } else {
                    s.answer(reservation, at + 0.05);
                }
            }
        }
    }
    assert_eq!(raised, [0, 1, 2, 4, 7]);
    assert_eq!(s.quota(), 30_000.0);
}

#[test]
fn of_raises_that_are_refused_together_one_counts() {
    let mut s = Scenario::standard(1_200_000);
    s.believes_window(59.0, 60.0, 16);
    s.limit.quota.distrust();
    s.limit.quota.learn(300_000.0);
    s.admitted(99, 3_000.0, 0.5);
    // One whose refusal comes late, after silence has let the next go.
    let late = s.send(3_000.0, 1.0);
    let next = s.send(3_000.0, 1.5);
    assert_eq!((late.mode(), next.mode()), (Mode::Raise, Mode::Raise));
    for reservation in [late, next] {
        s.refuse(reservation, 58.0, 2.05);
    }
    assert!(
        s.limit.raises.is_due(),
        "this total was refused once: no window is left out"
    );
}

#[test]
fn a_test_decides_between_the_models() {
    // Wait, or none where it is answered → form, proven
    for (wait, form, proven) in [
        (Some(3.0), Bucket, true),
        (Some(40.0), Window, false),
        (None, Window, false),
    ] {
        let mut s = Scenario::new(&STANDARD);
        s.admitted(19, 3_000.0, 0.0);
        s.admitted(1, 2_900.0, 0.0);
        s.limit.belief.test_is_due = true;
        let test = s.send(3_000.0, 0.0);
        match wait {
            Some(wait) => drop(s.refuse(test, wait, 0.1)),
            None => s.answer(test, 0.1),
        }
        assert_eq!((s.form(), s.limit.belief.bucket_is_proven), (form, proven), "{wait:?}");
        assert_eq!(s.boundary().is_some(), wait == Some(40.0), "{wait:?}");
    }
}

#[test]
fn where_the_boundary_is_unknown_any_refusal_names_it() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    s.believes_window(0.0, 0.0, 0);
    s.limit.window.forget_boundary();
    let sent = s.send(3_000.0, 10.0);
    s.refuse(sent, 2.0, 10.1);
    assert_eq!((s.form(), s.boundary()), (Window, Some((11.0, 12.1))));
}

#[test]
fn the_first_refusal_of_an_unknown_quota_tells_form_and_figure() {
    // Wait → form, quota, blocked until: 16 of 3,000 were confirmed at 0, and are 48,000 in a window, or what a bucket must
    // hold that has drained for a tenth of a second.
    let bucket = 48_000.0 / (1.0 + 0.1 / 60.0);
    for (wait, form, quota, block) in [(55.0, Window, 48_000.0, 55.1), (4.0, Bucket, bucket, 4.1)] {
        let mut s = Scenario::new(&UNKNOWN);
        s.admitted(16, 3_000.0, 0.0);
        let (sent, _) = s.burst(3_000.0, 0.0);
        let mut sent = sent.into_iter();
        s.refuse(sent.next().expect("sixteen were sent"), wait, 0.1);
        assert_eq!((s.form(), s.limit.quota.is_trusted(), s.block()), (form, false, block));
        let of_window = 48_000.0 + 45_000.0;
        let expected = if form == Window { of_window } else { quota };
        assert!((s.quota() - expected).abs() < 1e-6, "{form:?}: {}", s.quota());
        // The rest of the burst is stale: in a window it measures on, for a bucket it only waits.
        for reservation in sent {
            s.refuse(reservation, wait, 0.1);
        }
        assert!((s.quota() - quota).abs() < 1e-6, "{form:?}: {}", s.quota());
        assert_eq!((s.block(), s.ask(1.0, 0.1)), (block, At(block)));
    }
}

#[test]
fn a_first_refusal_before_anything_was_confirmed_only_waits() {
    let mut s = Scenario::new(&UNKNOWN);
    let (sent, _) = s.burst(3_000.0, 0.0);
    for reservation in sent {
        s.refuse(reservation, 7.0, 0.1);
    }
    assert!(!s.limit.quota.is_known());
    assert_eq!(s.ask(3_000.0, 7.1), Now(Mode::Trial));
}

#[test]
fn a_stale_refusal_proves_nothing() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(10, 3_000.0, 0.0);
    let (mut burst, _) = s.burst(3_000.0, 5.0);
    let (first, second) = (burst.remove(0), burst.remove(0));
    s.refuse(first, 4.0, 5.1);
    let (belief, surprises) = (s.belief(), s.limit.belief.surprises);
    s.refuse(second, 41.0, 5.2);
    assert_eq!(
        (s.belief(), s.limit.belief.surprises, s.block()),
        (belief, surprises, 46.2)
    );
    // Nor does an answer to what was sent before the change of mind.
    for reservation in burst {
        s.answer(reservation, 5.2);
    }
    let _one = s.send(3_000.0, 46.2);
    assert_eq!(s.ask(3_000.0, 46.2), At(46.5));
}

#[test]
fn a_provisioned_deployment_waits_exactly_and_is_doubted_slowly() {
    let mut s = Scenario::new(&PROVISIONED);
    s.admitted(50, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 0.0);
    s.refuse(sent, 1.234, 0.0);
    assert_eq!((s.quota(), s.is_trusted(), s.block()), (600_000.0, false, 1.234));
    assert_eq!(s.level(), 299_700.0 + 12_340.0);
    assert_eq!(s.ask(3_000.0, 0.0), At(1.234));
    let sent = s.send(3_000.0, 1.3);
    s.refuse(sent, 0.5, 1.3);
    assert_eq!(s.quota(), 594_000.0);
}

#[test]
fn an_unknown_provisioned_quota_is_what_a_bucket_of_half_a_minute_must_have_had() {
    let mut s = Scenario::new(&LimitSpec {
        tpm: None,
        ..PROVISIONED
    });
    s.admitted(100, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 6.0);
    s.refuse(sent, 0.5, 6.0);
    assert_eq!(s.quota(), 300_000.0 / 0.6);
    // Full, and half a second more: what was sent before had drained all the time.
    let level = 0.999 * s.quota() / 2.0 + 0.5 * s.quota() / 60.0;
    assert!((s.level() - level).abs() < 1e-6, "{}", s.level());
}

#[test]
fn after_a_long_pause_the_windows_clock_is_sought_anew() {
    for (idle, known) in [(5.0, true), (6.0, false)] {
        let mut s = Scenario::new(&STANDARD);
        s.believes_window(59.0, 60.0, 20);
        s.ask(1.0, idle * 60.0 + 0.5);
        assert_eq!(
            (s.boundary().is_some(), s.limit.belief.evidence > 0),
            (known, known),
            "{idle}"
        );
    }
}

#[test]
fn a_doubted_bucket_grows_slowly_then_faster_while_work_waits() {
    let mut s = Scenario::standard(120_000);
    s.limit.quota.distrust();
    s.limit.quota.learn(60_000.0);
    s.limit.tokens_refused = s.moment(0.0);
    s.limit.quota.rest(s.moment(0.0));
    // Also while nothing may be sent, and whoever asks gets the answer that is remembered.
    s.limit.block = s.moment(35.0);
    let mut quotas = Vec::new();
    for at in [9.999, 10.0, 20.0, 30.0, 40.0] {
        s.ask(1e6, at);
        quotas.push(s.quota().round());
    }
    assert_eq!(quotas, [60_000.0, 60_150.0, 60_451.0, 60_753.0, 61_361.0]);
    s.limit.set_backlog(false);
    s.ask(1e6, 90.0);
    assert_eq!(s.quota().round(), 61_361.0);
    s.limit.set_backlog(true);
    for step in 0..200 {
        s.ask(1e6, 100.0 + 10.0 * f64::from(step));
    }
    assert_eq!(s.quota(), 120_000.0);
}

#[test]
fn who_says_that_all_is_well_is_believed_and_what_was_sent_still_counts() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    let refused = s.send(2_500.0, 5.0);
    s.refuse(refused, 31.0, 5.1);
    assert_eq!(s.ask(3_000.0, 5.1), At(36.1));
    s.limit.begin_anew(s.instant(5.1));
    assert!(matches!(s.ask(3_000.0, 5.1), Now(_)));
    assert!(matches!(s.ask(30_000.0, 5.1), At(_)), "19 were sent a moment ago");
}
