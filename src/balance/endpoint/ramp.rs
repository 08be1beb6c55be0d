//! How an endpoint that is back is given work: not all of it at once.

use std::time::{Duration, Instant};

/// Time in which what it may have under way doubles where no answer comes: from one request to a thousand in ten
/// seconds, which is sooner than the answers of a slow model come.
const DOUBLES_EVERY: Duration = Duration::from_secs(1);

/// Most requests under way at an endpoint that has just answered a probe.
///
/// One at first. Each head of a good reply makes room for one more, which doubles the number with each round of answers,
/// and each second without a failure doubles it too. What was sent before the endpoint went out may hang there still, and
/// does not count.
#[derive(Debug)]
pub(super) struct Ramp {
    /// The number of the latest lease when it began.
    after: u64,
    most: u32,
    under_way: u32,
    doubles_at: Instant,
}

impl Ramp {
    /// Begins where `after` is the number of the endpoint's latest lease.
    pub(super) fn new(after: u64, now: Instant) -> Self {
        Ramp {
            after,
            most: 1,
            under_way: 0,
            doubles_at: now + DOUBLES_EVERY,
        }
    }

    /// Lets time pass. True where it is over: the endpoint may have as many as its `cap` allows.
    pub(super) fn is_over(&mut self, cap: u32, now: Instant) -> bool {
        while self.most < cap && self.doubles_at <= now {
            self.most = self.most.saturating_mul(2);
            self.doubles_at += DOUBLES_EVERY;
        }
        self.most >= cap
    }

    /// When there is room for a further request, if there is none now.
    pub(super) fn full_until(&self) -> Option<Instant> {
        (self.under_way >= self.most).then_some(self.doubles_at)
    }

    /// A request is about to be sent.
    pub(super) fn sent(&mut self) {
        self.under_way += 1;
    }

    /// The request with this number is over.
    pub(super) fn back(&mut self, number: u64) {
        self.under_way -= u32::from(number > self.after);
    }

    /// The head of a good reply to the request with this number has come.
    pub(super) fn heard(&mut self, number: u64) {
        self.most = self.most.saturating_add(u32::from(number > self.after));
    }

    /// A request has failed.
    pub(super) fn failed(&mut self, now: Instant) {
        self.doubles_at = self.doubles_at.max(now + DOUBLES_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    const SECOND: Duration = Duration::from_secs(1);

    /// Sends what there is room for, and says how many.
    fn fill(ramp: &mut Ramp) -> u32 {
        let mut sent = 0;
        while ramp.full_until().is_none() {
            ramp.sent();
            sent += 1;
        }
        sent
    }

    #[test]
    fn it_doubles_each_second_until_the_cap_is_reached() {
        let begun = ManualClock::new().now();
        let mut ramp = Ramp::new(7, begun);
        let sent: Vec<u32> = (0..5)
            .map(|second| {
                assert!(!ramp.is_over(30, begun + second * SECOND));
                fill(&mut ramp)
            })
            .collect();
        assert_eq!(sent, [1, 1, 2, 4, 8]);
        assert!(ramp.is_over(30, begun + 5 * SECOND));
    }

    #[test]
    fn good_heads_double_it_with_each_round_of_answers() {
        let begun = ManualClock::new().now();
        let mut ramp = Ramp::new(0, begun);
        let mut number = 0;
        for round in [1, 2, 4, 8] {
            assert_eq!(fill(&mut ramp), round);
            for _ in 0..round {
                number += 1;
                ramp.heard(number);
                ramp.back(number);
            }
        }
    }

    #[test]
    fn what_was_sent_before_it_counts_neither_as_under_way_nor_as_an_answer() {
        let begun = ManualClock::new().now();
        let mut ramp = Ramp::new(7, begun);
        ramp.heard(7);
        ramp.back(7);
        assert_eq!(fill(&mut ramp), 1);
    }

    #[test]
    fn a_failure_puts_the_next_doubling_off() {
        let begun = ManualClock::new().now();
        let mut ramp = Ramp::new(0, begun);
        ramp.failed(begun + SECOND / 2);
        ramp.is_over(30, begun + SECOND);
        fill(&mut ramp);
        assert_eq!(ramp.full_until(), Some(begun + SECOND * 3 / 2));
    }

    #[test]
    fn a_cap_of_a_thousand_is_reached_within_ten_seconds_without_any_answer() {
        let begun = ManualClock::new().now();
        assert!(Ramp::new(0, begun).is_over(1000, begun + 10 * SECOND));
    }
}
