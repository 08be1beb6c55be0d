//! How many of an endpoint's attempts have failed lately.

use std::collections::VecDeque;
use std::time::Instant;

/// Long enough for 20 outcomes where one comes every second, and short enough to forget an outage soon.
const WINDOW_S: u64 = 30;
/// Of so many one may fail that an endpoint still counts as good.
const TEN: u32 = 10;
/// With fewer outcomes chance speaks: of 20 attempts at an endpoint of which every tenth fails, 10 fail once in 100,000.
const ENOUGH: u32 = 20;

/// What became of the attempts of the last half a minute, second by second.
///
/// An endpoint that fails half of what it is given, with answers between, never fails often enough in a row to be
/// ejected for that; the rate takes it out. Not so for what happens at one instant, however many it hits: the second in
/// which most attempts failed is left out, and the other seconds have to show the same.
#[derive(Debug, Default)]
pub(super) struct FailureRate {
    /// What seconds count from.
    start: Option<Instant>,
    /// Those in which something ended, oldest first; at most [`WINDOW_S`].
    seconds: VecDeque<Second>,
    /// Of all of them.
    good: u32,
    failed: u32,
}

#[derive(Debug, Default)]
struct Second {
    number: u64,
    good: u32,
    failed: u32,
    /// Why the first of them failed.
    reason: Option<Box<str>>,
}

impl FailureRate {
    /// An attempt was answered well.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.now(now).good += 1;
        self.good += 1;
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) {
        let second = self.now(now);
        second.failed += 1;
        second.reason.get_or_insert_with(|| reason.into());
        self.failed += 1;
    }

    /// Whether so many were answered well that a failure is an exception: nine of ten. `pending` ones have failed
    /// beside those that are counted.
    pub(super) fn is_good(&mut self, pending: u32, now: Instant) -> bool {
        self.forget(now);
        let failed = self.failed + pending;
        let all = self.good + failed;
        all >= TEN && failed <= all / TEN
    }

    /// Why the endpoint is to be taken out, if so, now that an attempt has failed for the reason `last`: half or more
    /// of enough have failed, also without the worst second.
    pub(super) fn verdict(&mut self, last: &str, now: Instant) -> Option<String> {
        self.forget(now);
        if self.failed < self.good {
            return None;
        }
        let worst = self.seconds.iter().max_by_key(|second| second.failed)?;
        let (good, failed) = (self.good - worst.good, self.failed - worst.failed);
        if good + failed < ENOUGH || failed < good {
            return None;
        }
        let (failed, all) = (self.failed, self.good + self.failed);
        let told = format!("{failed} of {all} attempts failed in {WINDOW_S} s");
        let first = self.seconds.iter().find_map(|second| second.reason.as_deref())?;
        Some(if first == last {
            format!("{told}: {last}")
        } else {
            format!("{told}; first: {first}; last: {last}")
        })
    }

    fn now(&mut self, now: Instant) -> &mut Second {
        let number = self.forget(now);
        if self.seconds.back().is_none_or(|newest| newest.number < number) {
            self.seconds.push_back(Second {
                number,
                ..Second::default()
            });
        }
        let newest = self.seconds.len() - 1;
        &mut self.seconds[newest]
    }

    /// Drops what is too old. Returns the number of the present second.
    fn forget(&mut self, now: Instant) -> u64 {
        let start = *self.start.get_or_insert(now);
        let number = now.saturating_duration_since(start).as_secs();
        while let Some(oldest) = self.seconds.front()
            && oldest.number + WINDOW_S <= number
        {
            self.good -= oldest.good;
            self.failed -= oldest.failed;
            self.seconds.pop_front();
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// Outcomes as letters, `F` for a failure, spread evenly over `time`; what they come to at the end.
    fn check(outcomes: &str, time: Duration) -> (FailureRate, Option<String>, bool) {
        let clock = ManualClock::new();
        let mut rate = FailureRate::default();
        let pause = time / outcomes.len() as u32;
        for outcome in outcomes.chars() {
            clock.advance(pause);
            match outcome {
                'F' => rate.failed("500", clock.now()),
                _ => rate.succeeded(clock.now()),
            }
        }
        let verdict = rate.verdict("500", clock.now());
        let good = rate.is_good(0, clock.now());
        (rate, verdict, good)
    }

    #[test]
    fn half_of_enough_take_the_endpoint_out_and_nine_of_ten_make_it_a_good_one() {
        let spread = Duration::from_secs(25);
        for (outcomes, out, good) in [
            ("FS".repeat(20), true, false),
            ("FFS".repeat(10), true, false),
            ("FSS".repeat(20), false, false),
            ("FSSSSSSSSS".repeat(3), false, true),
            ("FSSSSSSSS".repeat(3), false, false),
            ("F".repeat(19), false, false),
            ("F".repeat(22), true, false),
            ("S".repeat(9), false, false),
            ("S".repeat(10), false, true),
        ] {
            let (_, verdict, is_good) = check(&outcomes, spread);
            assert_eq!((verdict.is_some(), is_good), (out, good), "{outcomes}");
        }
    }

    #[test]
    fn what_fails_at_one_instant_takes_nobody_out() {
        for burst in [8, 20, 500] {
            let clock = ManualClock::new();
            let mut rate = FailureRate::default();
            for _ in 0..burst {
                rate.failed("no reply", clock.now());
            }
            assert_eq!(rate.verdict("no reply", clock.now()), None, "{burst} at once");
            for _ in 0..30 {
                clock.advance(Duration::from_millis(500));
                rate.succeeded(clock.now());
            }
            rate.failed("500", clock.now());
            assert_eq!(rate.verdict("500", clock.now()), None, "{burst} at once, and one more");
        }
    }

    #[test]
    fn a_verdict_tells_how_many_and_the_first_and_the_last_reason() {
        let (mut rate, verdict, _) = check(&"FFS".repeat(10), Duration::from_secs(25));
        assert_eq!(verdict.unwrap(), "20 of 30 attempts failed in 30 s: 500");
        let now = rate.start.unwrap() + Duration::from_secs(25);
        rate.failed("502", now);
        assert_eq!(
            rate.verdict("502", now).unwrap(),
            "21 of 31 attempts failed in 30 s; first: 500; last: 502"
        );
    }

    #[test]
    fn what_is_half_a_minute_old_counts_no_more() {
        let (mut rate, verdict, _) = check(&"F".repeat(40), Duration::from_secs(20));
        assert!(verdict.is_some());
        let end = rate.start.unwrap() + Duration::from_secs(20) + Duration::from_secs(WINDOW_S);
        assert_eq!(rate.verdict("500", end), None);
        assert!(rate.seconds.is_empty() && rate.failed == 0);
    }

    #[test]
    fn a_million_outcomes_take_no_more_room_than_a_hundred() {
        let clock = ManualClock::new();
        let mut rate = FailureRate::default();
        for turn in 0..100_000 {
            clock.advance(Duration::from_millis(turn % 50));
            rate.failed("500", clock.now());
            assert!(rate.seconds.len() <= WINDOW_S as usize);
        }
        let (good, failed) = rate
            .seconds
            .iter()
            .fold((0, 0), |sum, second| (sum.0 + second.good, sum.1 + second.failed));
        assert_eq!((rate.good, rate.failed), (good, failed));
    }
}
