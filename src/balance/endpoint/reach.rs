//! Whether an endpoint has ever been reached.

use std::time::{Duration, Instant};

/// As many failures on the way as take an endpoint out have to span so long before it counts as never reached: a network
/// that is just coming up takes less.
const LONG: Duration = Duration::from_secs(30);

/// What is known of the way to an endpoint.
#[derive(Debug, Default)]
pub(in crate::balance) struct Reach {
    /// Something has gone there.
    was_reached: bool,
    /// Failures on the way there (its name, the connection, TLS), and when the first of them was, while nothing has.
    failures: u32,
    first: Option<Instant>,
}

impl Reach {
    /// Something has gone there.
    pub(super) fn reached(&mut self) {
        if !self.was_reached {
            *self = Reach {
                was_reached: true,
                ..Reach::default()
            };
        }
    }

    /// A request has failed on the way.
    pub(in crate::balance) fn failed(&mut self, now: Instant) {
        if !self.was_reached {
            self.failures = self.failures.saturating_add(1);
            self.first.get_or_insert(now);
        }
    }

    /// Whether all that was sent there has failed on the way.
    pub(in crate::balance) fn is_vain(&self) -> bool {
        self.failures > 0
    }

    /// Whether so many have, for so long, that it counts as never reached.
    pub(in crate::balance) fn is_hopeless(&self, threshold: u32, now: Instant) -> bool {
        let is_long = self
            .first
            .is_some_and(|first| now.saturating_duration_since(first) >= LONG);
        self.failures >= threshold && is_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn an_endpoint_is_given_up_after_enough_failures_over_half_a_minute_unless_it_was_ever_reached() {
        let begun = ManualClock::new().now();
        let second = |seconds| begun + Duration::from_secs(seconds);
        // Failures at these seconds; reached after so many of them; whether it is given up.
        for (failures, reached, hopeless) in [
            (&[0, 1, 3, 7, 29][..], None, false),
            (&[0, 1, 3, 7, 30], None, true),
            (&[0, 1, 3, 30], None, false),
            (&[0, 1, 3, 7, 30], Some(0), false),
            (&[0, 1, 3, 7, 30], Some(2), false),
        ] {
            let mut reach = Reach::default();
            for (index, &at) in failures.iter().enumerate() {
                if reached == Some(index) {
                    reach.reached();
                }
                reach.failed(second(at));
            }
            let last = second(*failures.last().unwrap());
            assert_eq!(reach.is_hopeless(5, last), hopeless, "{failures:?}, {reached:?}");
            assert_eq!(reach.is_vain(), reached.is_none());
        }
    }
}
