//! The third form: a sliding log.

use super::scenario::{Answer, STANDARD, Scenario, UNKNOWN, refusal};
use crate::balance::limits::belief::Form::{Bucket, Log, Window};
use crate::balance::limits::charge::{Exhausted, Mode, Refusal};
use crate::balance::outcome::Axis;

use Answer::{At, Now};

/// A log of 60,000 is believed, 57,000 of which were sent at 0 and the rest is free.
fn believed() -> Scenario {
    let mut s = Scenario::new(&STANDARD);
    s.admitted(19, 3_000.0, 0.0);
    let sent = s.send(2_500.0, 5.0);
    s.refuse(sent, 55.0, 5.1);
    s
}

/// The same of which nothing was told but twice as much.
fn measured() -> Scenario {
    let mut s = Scenario::standard(120_000);
    s.admitted(20, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 5.0);
    s.refuse(sent, 55.0, 5.1);
    s
}

#[test]
fn a_wait_that_ends_when_a_send_of_ours_is_a_minute_old_shows_a_log() {
    let s = believed();
    assert_eq!(
        (s.belief(), s.boundary(), s.block()),
        ((Log, 60_000.0, true), None, 60.1)
    );
    // Not when it ends at another moment: that is a window's boundary.
    for wait in [31.0, 53.0, 57.0] {
        let mut s = Scenario::new(&STANDARD);
        s.admitted(19, 3_000.0, 0.0);
        let sent = s.send(2_500.0, 5.0);
        s.refuse(sent, wait, 5.1);
        assert_eq!(s.form(), Window, "{wait}");
    }
}

#[test]
fn a_log_has_room_when_enough_is_older_than_a_minute() {
    let mut s = believed();
    // At 60.05 all that was sent at 0 is over; by then the refusal's wait is, too.
    s.admitted(10, 3_000.0, 60.1);
    s.admitted(9, 3_000.0, 70.0);
    assert_eq!(s.ask(3_000.0, 80.0), At(120.15));
    assert_eq!(s.ask(2_940.0, 80.0), Now(Mode::Sure));
    assert_eq!(
        s.ask(33_000.0, 80.0),
        At(130.05),
        "some of the later ones must be over, too"
    );
    assert_eq!(s.ask(3_000.0, 120.149), At(120.15));
    assert_eq!(s.ask(3_000.0, 120.15), Now(Mode::Sure));
}

#[test]
fn a_log_that_is_smaller_than_told_is_what_was_sent_in_the_last_minute() {
    let mut s = measured();
    assert_eq!((s.belief(), s.block()), ((Log, 60_000.0, false), 60.1));
    let _one = s.send(3_000.0, 60.2);
    assert_eq!(s.ask(3_000.0, 60.2), At(60.5), "one at a time");
}

#[test]
fn the_rest_of_a_burst_measures_a_log_that_is_not_trusted() {
    let mut s = Scenario::standard(120_000);
    s.admitted(20, 3_000.0, 0.0);
    let burst: Vec<_> = (0..15).map(|_| s.send(3_000.0, 5.0)).collect();
    for reservation in burst {
        s.refuse(reservation, 55.0, 5.1);
    }
    assert_eq!(s.belief(), (Log, 60_000.0, false));
}

#[test]
fn after_a_refused_raise_the_next_one_waits_for_longer_and_longer() {
    let mut s = measured();
    // Twenty in a minute, evenly, are what the service admits; whatever goes beside them is a raise.
    let mut counted: Vec<(f64, f64)> = Vec::new();
    let mut refused: Vec<f64> = Vec::new();
    for step in 0..4_000 {
        let at = 62.0 + 0.5 * f64::from(step);
        let size = 3_000.0;
        let Now(mode) = s.ask(size, at) else { continue };
        if step % 6 != 0 && mode == Mode::Sure {
            continue;
        }
        let sent = s.force(size, mode, at);
        counted.retain(|(since, _)| since + 60.0 > at);
        let used: f64 = counted.iter().map(|(_, tokens)| tokens).sum();
        if used + size <= 60_000.0 {
            counted.push((at, size));
            s.answer(sent, at + 0.1);
        } else {
            assert_eq!(mode, Mode::Raise, "at {at}");
            refused.push(at);
            let mut short = used + size - 60_000.0;
            let leaves = counted.iter().find(|(_, tokens)| {
                short -= tokens;
                short <= 0.0
            });
            s.refuse(sent, (leaves.expect("they do").0 + 60.0 - at).ceil(), at + 0.1);
            assert!(
                s.form() == Log && (60_000.0..61_500.0).contains(&s.quota()),
                "{:?} at {at}",
                s.belief()
            );
        }
    }
    let pauses: Vec<f64> = refused.windows(2).map(|two| two[1] - two[0]).collect();
    for (pause, least) in pauses.iter().zip([20.0, 40.0, 80.0, 160.0, 240.0, 240.0]) {
        // Whatever is found out has to wait until the log is full once more: within a minute.
        assert!((least..least + 63.5).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() >= 6, "{pauses:?}");
}

#[test]
fn an_answered_raise_shows_that_a_log_holds_more() {
    let mut s = measured();
    for _ in 0..20 {
        let sent = s.force(3_000.0, Mode::Sure, 60.2);
        s.answer(sent, 60.2);
    }
    let raise = s.send(3_000.0, 61.0);
    assert_eq!(raise.mode(), Mode::Raise);
    assert_eq!(s.ask(3_000.0, 61.0), At(61.3), "the next when this one is confirmed");
    s.answer(raise, 61.1);
    assert_eq!(s.belief(), (Log, 63_000.0, false));
    assert_eq!(s.ask(3_000.0, 61.1), Now(Mode::Raise));
}

#[test]
fn what_came_late_leaves_late_and_that_is_no_smaller_quota() {
    let mut s = believed();
    s.admitted(19, 3_000.0, 60.1);
    // Those were on the way for 0.3 s.
    let sent = s.send(3_000.0, 120.2);
    s.refuse(sent, 1.0, 120.3);
    assert_eq!((s.belief(), s.block()), ((Log, 60_000.0, true), 121.3));
    s.admitted(19, 3_000.0, 121.3);
    assert_eq!(
        s.ask(3_000.0, 125.0),
        At(181.4),
        "a tenth of a second later than the first time"
    );
}

#[test]
fn where_nothing_was_told_two_refusals_in_a_row_show_a_log() {
    let mut s = Scenario::new(&UNKNOWN);
    s.admitted(20, 3_000.0, 0.0);
    let sent = s.send(3_000.0, 5.0);
    s.refuse(sent, 55.0, 5.1);
    assert_eq!(s.form(), Window);
    s.admitted(10, 3_000.0, 75.0);
    let sent = s.force(3_000.0, Mode::Sure, 80.0);
    s.refuse(sent, 55.0, 80.1);
    assert_eq!(s.form(), Log);
}

#[test]
fn a_log_that_names_the_waits_of_a_bucket_or_senseless_ones_gives_way() {
    let mut s = believed();
    for _ in 0..25 {
        let sent = s.force(3_000.0, Mode::Sure, 60.2);
        s.answer(sent, 60.2);
    }
    let sent = s.force(3_000.0, Mode::Raise, 61.0);
    s.refuse(sent, 3.0, 61.1);
    assert_eq!(s.form(), Bucket);

    let mut s = believed();
    for (at, form) in [(60.2, Log), (90.0, Bucket)] {
        s.admitted(5, 3_000.0, at);
        let sent = s.force(3_000.0, Mode::Sure, at + 1.0);
        s.refuse(sent, 25.0, at + 1.1);
        assert_eq!(s.form(), form, "{at}");
    }
}

#[test]
fn a_call_rate_limit_is_about_tokens_where_fewer_of_those_remain_than_were_charged() {
    // Remaining tokens and requests → what is exhausted, of 3,000 charged
    let rows = [
        (Some(2_999), Some(4), Exhausted::Tokens),
        (Some(0), Some(4), Exhausted::Tokens),
        (Some(3_000), Some(4), Exhausted::Requests),
        (Some(2_999), Some(0), Exhausted::Requests),
        (Some(2_999), None, Exhausted::Requests),
        (Some(2_999), Some(-1), Exhausted::Requests),
        (Some(-1), Some(4), Exhausted::Requests),
        (None, Some(4), Exhausted::Requests),
    ];
    for (remaining_tokens, remaining_requests, exhausted) in rows {
        let refusal = Refusal {
            remaining_tokens,
            remaining_requests,
            ..refusal(Axis::Requests, 12.0)
        };
        assert_eq!(refusal.exhausted(3_000.0), exhausted, "{refusal:?}");
    }
}
