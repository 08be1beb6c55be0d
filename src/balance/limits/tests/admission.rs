//! May it go, and if not, when?

use std::time::Duration;

use super::scenario::{Answer, PROVISIONED, STANDARD, Scenario, UNKNOWN, tokens};
use crate::api::Told;
use crate::balance::limits::belief::Form;
use crate::balance::limits::charge::{Charge, Mode, Settlement};
use crate::balance::limits::limit::LimitSpec;

use Answer::{At, Now};

#[test]
fn at_first_a_quarter_of_the_quota_is_risked_and_what_silence_confirms_doubles_it() {
    let mut s = Scenario::new(&STANDARD);
    let (first, next) = s.burst(3_000.0, 0.0);
    assert_eq!((first.len(), next), (5, 0.3));
    assert_eq!(first[4].mode(), Mode::Sure);
    assert_eq!(s.ask(3_000.0, 0.299_999), At(0.3));
    let (second, next) = s.burst(3_000.0, 0.3);
    assert_eq!((second.len(), next), (10, 0.6));
}

#[test]
fn a_thousandth_of_the_quota_is_kept_back() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    assert_eq!(s.ask(3_000.0, 0.0), At(0.060_001));
    assert_eq!(s.ask(2_900.0, 0.0), Now(Mode::Sure));
}

#[test]
fn a_provisioned_deployment_admits_under_the_brim_whatever_the_size() {
    let mut s = Scenario::new(&PROVISIONED);
    let (sent, next) = s.burst(3_000.0, 0.0);
    // 300,000 are in it; the brim is at 299,700, and 10,000 drain per second.
    assert_eq!((sent.len(), next), (100, 0.030_001));
    assert_eq!(s.ask(50_000.0, 0.030_001), Now(Mode::Sure));
}

#[test]
fn a_provisioned_deployment_keeps_three_deviations_free() {
    let mut s = Scenario::new(&PROVISIONED);
    let uncertain = Charge {
        variance: 1e8,
        ..tokens(275_000.0)
    };
    assert_eq!(s.ask_charge(&uncertain, 0.0), Now(Mode::Sure));
    let at = s.instant(0.0);
    let reservation = s.limit.reserve(&uncertain, Mode::Sure, at);
    // 275,000 + 3 · 10,000 − 299,700
    assert_eq!(s.ask(1.0, 0.0), At(0.530_001));
    s.answer(reservation, 0.0);
    assert_eq!(s.ask(1.0, 0.0), Now(Mode::Sure));
}

#[test]
fn requests_are_counted_apart_in_any_ten_seconds() {
    let mut s = Scenario::new(&LimitSpec {
        tpm: Some(6_000_000),
        rpm: Some(600),
        ..STANDARD
    });
    let (sent, next) = s.burst(10.0, 0.0);
    assert_eq!((sent.len(), next), (100, 10.05));
    assert_eq!(s.ask(10.0, 10.049_999), At(10.05));
    assert_eq!(s.ask(10.0, 10.05), Now(Mode::Sure));
}

#[test]
fn the_request_window_is_as_configured() {
    // Seconds in the window, requests a minute → how many go at once, and when the next one may.
    let rows = [
        (1, 600, 10, 1.05),
        (10, 600, 100, 10.05),
        (60, 600, 600, 60.05),
        (10, 5, 1, 12.05),
        (1, 600_000, 10_000, 1.05),
    ];
    for (window, rpm, at_once, next) in rows {
        let spec = LimitSpec {
            tpm: Some(600_000_000),
            rpm: Some(rpm),
            request_window: Duration::from_secs(window),
            ..STANDARD
        };
        let mut s = Scenario::new(&spec);
        let mut sent = 0;
        while s.ask(1.0, 0.0) == Now(Mode::Sure) {
            let _ = s.force(1.0, Mode::Sure, 0.0);
            sent += 1;
        }
        assert_eq!(
            (sent, s.ask(1.0, 0.0)),
            (at_once, At(next)),
            "{window} s, {rpm} a minute"
        );
    }
}

#[test]
fn an_unknown_quota_is_found_by_a_slow_start() {
    let mut s = Scenario::new(&UNKNOWN);
    let (first, next) = s.burst(3_000.0, 0.0);
    assert_eq!((first.len(), first[0].mode(), next), (16, Mode::Trial, 0.3));
    for reservation in first {
        s.answer(reservation, 0.1);
    }
    // Sixteen again, until a quarter of those confirmed is more.
    for round in 1..=4 {
        let (sent, _) = s.burst(3_000.0, 0.1 + f64::from(round));
        assert_eq!(sent.len(), 16, "round {round}");
    }
    let (sent, _) = s.burst(3_000.0, 6.0);
    assert_eq!(sent.len(), 20);
}

#[test]
fn a_job_larger_than_the_quota_goes_when_the_model_is_all_but_empty() {
    let mut s = Scenario::new(&STANDARD);
    assert_eq!(s.ask(500_000.0, 0.0), Now(Mode::Sure));
    s.admitted(2, 3_000.0, 0.0);
    // 5 % of 59,940 may be left of the 6,000, which drain by 1,000 a second.
    assert_eq!(s.ask(500_000.0, 0.0), At(3.003_001));
    assert_eq!(s.ask(500_000.0, 3.003_001), Now(Mode::Trial));
}

#[test]
fn while_a_connection_is_being_made_silence_says_nothing() {
    let mut s = Scenario::new(&STANDARD);
    let (mut sent, _) = s.burst(3_000.0, 0.0);
    let slow = sent.pop().expect("five were sent");
    s.limit.dialing(slow.short_number());
    // Four are confirmed by silence; the fifth of 15,000 + 12,000 is still at risk.
    let (more, _) = s.burst(3_000.0, 0.3);
    assert_eq!(more.len(), 8);
    s.limit.written(slow.short_number(), s.instant(1.0));
    assert_eq!(
        s.limit.unconfirmed.numbers().count(),
        1,
        "the eight are confirmed by now"
    );
    s.ask(3_000.0, 1.299_999);
    assert_eq!(s.limit.unconfirmed.numbers().count(), 1);
    s.ask(3_000.0, 1.3);
    assert_eq!(s.limit.unconfirmed.numbers().count(), 0);
    s.answer(slow, 2.0);
}

#[test]
fn a_slow_network_makes_silence_last_longer() {
    let mut s = Scenario::new(&STANDARD);
    s.limit.connected(Duration::from_secs(1));
    let (_, next) = s.burst(3_000.0, 0.0);
    assert_eq!(next, 1.5);
    for _ in 0..32 {
        s.limit.connected(Duration::from_millis(20));
    }
    assert_eq!(s.ask(3_000.0, 0.1), At(0.3));
}

#[test]
fn a_window_whose_clock_is_new_is_tried_by_one_alone() {
    let mut s = Scenario::new(&STANDARD);
    s.believes_window(9.0, 10.0, 0);
    s.limit.belief.clock_is_new = true;
    assert_eq!(s.ask(3_000.0, 10.0), Now(Mode::Trial));
    let first = s.send(3_000.0, 10.0);
    assert_eq!(s.ask(3_000.0, 10.0), At(10.3));
    s.answer(first, 10.1);
    assert_eq!(s.ask(3_000.0, 10.1), Now(Mode::Sure));
}

#[test]
fn where_only_the_believed_model_has_room_trials_prove_it() {
    let mut s = Scenario::standard(60_000);
    s.admitted(19, 3_000.0, 0.0);
    s.believes_window(0.0, 0.05, 0);
    // The window is empty again, the bucket is not.
    let first = s.send(3_000.0, 0.05);
    assert_eq!(first.mode(), Mode::Trial);
    assert_eq!(s.ask(3_000.0, 0.05), At(0.35));
    s.answer(first, 0.1);
    let (sent, _) = s.burst(3_000.0, 0.1);
    assert_eq!(sent.len(), 2, "each confirmation allows one more at once");
    for reservation in sent {
        s.answer(reservation, 0.2);
    }
    s.limit.belief.evidence = 16;
    let (sent, _) = s.burst(3_000.0, 0.2);
    assert_eq!(sent.len(), 16, "proven: all that the window holds");
}

#[test]
fn the_end_of_a_window_is_sought_by_four_at_once() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    s.believes_window(0.0, 0.0, 0);
    s.limit.window.forget_boundary();
    s.limit.belief.budget = 9;
    let (sent, next) = s.burst(3_000.0, 1.0);
    assert_eq!((sent.len(), next), (4, 1.3));
}

#[test]
fn above_a_learnt_quota_one_job_is_tried() {
    let mut s = Scenario::standard(120_000);
    s.believes_window(59.0, 60.0, 16);
    s.limit.quota.distrust();
    s.limit.quota.learn(30_000.0);
    s.admitted(9, 3_000.0, 0.0);
    let raise = s.send(3_000.0, 0.0);
    assert_eq!(raise.mode(), Mode::Raise);
    assert_eq!(
        s.ask(3_000.0, 0.0),
        At(0.3),
        "one at a time: when silence has confirmed this one"
    );
    s.answer(raise, 0.1);
    assert_eq!(s.quota(), 30_000.0, "so much had been learnt");
    s.admitted(1, 3_000.0, 0.1);
    assert_eq!(s.quota(), 33_000.0);
    s.limit.window.refused = true;
    assert_eq!(s.ask(3_000.0, 0.1), At(60.0), "no more in a window that has refused");
}

#[test]
fn a_test_is_one_job_that_only_a_window_admits() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    assert_eq!(s.ask(3_000.0, 0.0), At(0.060_001), "no test is due");
    s.limit.belief.test_is_due = true;
    assert_eq!(s.ask(2_990.0, 0.0), At(0.050_001), "too near to what a bucket holds");
    s.admitted(1, 2_900.0, 0.0);
    let test = s.send(3_000.0, 0.0);
    assert_eq!(test.mode(), Mode::Test);
    assert!(matches!(s.ask(3_000.0, 0.0), At(_)), "one only");
    s.settle(test, Settlement::Kept, 0.1);
    assert_eq!(
        s.ask(3_000.0, 0.1),
        Now(Mode::Test),
        "it has shown nothing, so it is still due"
    );
}

#[test]
fn what_is_left_of_a_window_is_named_for_filling_it() {
    let mut s = Scenario::new(&STANDARD);
    let at = s.instant(0.0);
    assert_eq!(s.limit.room(at), None, "no window is believed");
    s.believes_window(59.0, 60.0, 16);
    s.admitted(10, 3_000.0, 0.0);
    assert_eq!(s.limit.room(at), Some(Ok(29_940.0)));
    s.limit.block = s.moment(1.0);
    assert_eq!(s.limit.room(at), Some(Err(s.instant(1.0))), "it is blocked until then");
}

#[test]
fn a_closed_limit_answers_the_same_until_something_happens() {
    let mut s = Scenario::new(&UNKNOWN);
    let (mut sent, next) = s.burst(10.0, 0.0);
    assert!(s.limit.closed.is_some());
    assert_eq!(s.ask(1e6, 0.1), At(next));
    let at = s.instant(0.1);
    s.limit.confirm(&sent.pop().expect("sixteen were sent"), at);
    assert_eq!(s.ask(10.0, 0.1), Now(Mode::Trial));
}

#[test]
fn a_limit_that_is_closed_for_one_charge_may_be_open_for_another() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    assert_eq!(s.ask(3_000.0, 0.0), At(0.060_001));
    assert_eq!(s.ask(2_900.0, 0.0), Now(Mode::Sure));
    assert_eq!(s.ask(3_000.0, 0.0), At(0.060_001));
}

#[test]
fn what_waits_for_a_trial_goes_as_soon_as_it_needs_none() {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    let trial = s.send(3_000.0, 30.0);
    assert_eq!(trial.mode(), Mode::Trial);
    s.limit.dialing(trial.short_number());
    assert_eq!(s.ask(3_000.0, 60.9), At(61.000_001));
    // The last minute holds no longer what was sent at 0.
    assert_eq!(s.ask(3_000.0, 61.000_001), Now(Mode::Sure));
}

#[test]
fn a_window_of_another_length_has_its_share_of_the_minute() {
    let mut s = Scenario::new(&LimitSpec {
        quota_window: Duration::from_secs(10),
        ..STANDARD
    });
    // A sixth of 60,000: 9,990 are usable, a quarter may be at risk.
    s.admitted(9, 1_000.0, 0.0);
    assert_eq!(s.ask(1_000.0, 0.0), At(0.010_001));
    let snapshot = s.limit.snapshot(s.instant(0.0));
    assert_eq!((snapshot.quota, snapshot.configured), (Some(60_000.0), Some(60_000.0)));
    assert_eq!(s.limit.used_share(s.instant(0.0)), Some(0.9));
}

#[test]
fn a_snapshot_shows_what_is_believed_in_figures_of_a_minute() {
    let mut s = Scenario::new(&LimitSpec {
        rpm: Some(600),
        ..STANDARD
    });
    s.admitted(10, 3_000.0, 0.0);
    let shown = s.limit.snapshot(s.instant(1.0));
    assert_eq!(
        (shown.quota, shown.configured, shown.is_trusted),
        (Some(60_000.0), Some(60_000.0), true)
    );
    assert_eq!((shown.form, shown.used, shown.contradicted), (None, 30_000.0, None));
    assert_eq!(
        (shown.requests, shown.request_window),
        (Some(100.0), Duration::from_secs(10))
    );
    assert_eq!((shown.blocked_until, shown.refusals), (None, 0));

    let refused = s.send(3_000.0, 5.0);
    s.refuse(refused, 41.0, 5.1);
    let shown = s.limit.snapshot(s.instant(6.0));
    assert_eq!(
        (shown.form, shown.used, shown.refusals),
        (Some(Form::Window), 30_000.0, 1)
    );
    assert_eq!(shown.blocked_until, Some(s.instant(46.1)));
    let contradicted = shown.contradicted.expect("others use half of it");
    assert_eq!(
        (contradicted.told, contradicted.believed, shown.quota),
        (60_000.0, 30_000.0, Some(30_000.0))
    );

    let shown = s.limit.snapshot(s.instant(47.0));
    assert_eq!((shown.used, shown.blocked_until), (0.0, None));
}

#[test]
fn a_snapshot_shows_when_what_was_held_back_has_room() {
    let mut s = Scenario::new(&STANDARD);
    assert_eq!(s.limit.snapshot(s.instant(0.0)).full_until, None);
    s.admitted(10, 3_000.0, 0.0);
    assert_eq!(
        s.limit.snapshot(s.instant(1.0)).full_until,
        None,
        "nobody was held back"
    );
    let now = s.instant(1.0);
    let At(seconds) = s.ask(40_000.0, 1.0) else {
        panic!("half of 60,000 tokens a minute are used up");
    };
    let until = s.instant(seconds);
    assert_eq!(s.limit.snapshot(now).full_until, Some(until));
    assert_eq!(s.limit.snapshot(until).full_until, None);

    let refused = s.send(3_000.0, 70.0);
    s.refuse(refused, 41.0, 70.1);
    assert_eq!(
        s.limit.snapshot(s.instant(71.0)).full_until,
        Some(s.instant(111.1)),
        "the service's word"
    );
}

#[test]
fn requests_are_counted_in_the_window_that_the_service_names() {
    let told = |renewal| Told {
        renewal_requests: Some(renewal),
        ..Told::default()
    };
    let spec = LimitSpec {
        tpm: None,
        rpm: Some(600),
        ..STANDARD
    };
    for (renewal, requests, seconds) in [
        (1, 10.0, 1),
        (10, 100.0, 10),
        (60, 600.0, 60),
        (0, 100.0, 10),
        (-1, 100.0, 10),
        (i64::MAX, 100.0, 10),
    ] {
        let mut s = Scenario::new(&spec);
        s.limit.told(&told(renewal), s.instant(0.0));
        let snapshot = s.limit.snapshot(s.instant(0.0));
        assert_eq!(
            (snapshot.requests, snapshot.request_window),
            (Some(requests), Duration::from_secs(seconds)),
            "{renewal}"
        );
    }
}

#[test]
fn tokens_are_counted_in_the_window_that_the_service_names() {
    let told = |renewal| Told {
        renewal_tokens: Some(renewal),
        ..Told::default()
    };
    // Named → tokens that go within one window, whose boundary is known no more where it is another one.
    for (renewal, granted, knows_boundary) in [
        (60, 60_000.0, true),
        (10, 10_000.0, false),
        (300, 300_000.0, false),
        (0, 60_000.0, true),
        (-1, 60_000.0, true),
        (i64::MAX, 60_000.0, true),
    ] {
        let mut s = Scenario::new(&STANDARD);
        s.believes_window(59.0, 60.0, 16);
        s.told(&told(renewal), 0.0);
        assert_eq!(s.quota(), granted, "{renewal}");
        assert_eq!(s.boundary().is_some(), knows_boundary, "{renewal}");
        let snapshot = s.limit.snapshot(s.instant(0.0));
        assert_eq!(
            (snapshot.quota, snapshot.configured),
            (Some(60_000.0), Some(60_000.0)),
            "{renewal}"
        );
    }
    let mut s = Scenario::new(&LimitSpec {
        quota_window: Duration::from_millis(2_500),
        ..STANDARD
    });
    s.told(&told(3), 0.0);
    assert_eq!(s.quota(), 2_500.0, "whole seconds name no fraction");
}
