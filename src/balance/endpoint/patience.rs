//! How long a request that asks whether an endpoint is back may wait for its first byte.
//!
//! ```text
//! | who could take its job now          | first byte within                                                        |
//! |-------------------------------------|--------------------------------------------------------------------------|
//! | another endpoint                    | 5 s more than its answer is expected to take, or than 99 of 100 need     |
//! |   … of no answer anything is known  | 5 s; after one in vain 10 s                                              |
//! |   … each 120th in vain              | 30 s, or twice what 99 of 100 need                                       |
//! | nobody                              | 5, 10, 20, 40 … s, and at least 5 s more than what 99 of 100 need        |
//! |   … and one is unanswered already   | the same, but 30 s at most, or what 99 of 100 need and 5 s               |
//! ```
//!
//! Beside another endpoint its job loses that time, and nothing else is gained by a longer one: an endpoint that is back
//! answers most of them sooner. Where it has become slower than what is known, one in ten minutes finds out. Where
//! nobody else is, there is nothing to lose, and what takes minutes by its nature has to get them; whoever sends bounds
//! all of them by the configured timeout.

use std::time::Duration;

use super::out::{EJECTED_PROBE, PROBE_FIRST_BYTE};

/// Those that overlap, or ask an endpoint that may have become slow, wait so long, if answers are not known to take longer.
const LONG: Duration = Duration::from_secs(30);
/// Where others serve, one of so many is patient: at one each 5 s, one in ten minutes.
const RARELY: u32 = 120;
/// More than any timeout that can be configured.
const MOST: Duration = Duration::from_secs(86_400);
/// Requests that overlap are sent so many to the time that one may wait.
const OVERLAP: u32 = 3;

/// What is known when such a request is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Prospect {
    /// Whether another endpoint could take its job now.
    pub(in crate::balance) others_serve: bool,
    /// What 99 of 100 answers have needed to their first byte.
    pub(in crate::balance) usual: Option<Duration>,
    /// What the whole answer is expected to take.
    pub(in crate::balance) expected: Option<Duration>,
    /// How many have asked in vain since something came.
    pub(in crate::balance) in_vain: u32,
    /// Whether one is unanswered already.
    pub(in crate::balance) overlaps: bool,
}

/// How long such a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) struct Patience {
    /// For its first byte.
    pub(in crate::balance) first_byte: Duration,
    /// Before the next one, where it is unanswered by then.
    pub(in crate::balance) pause: Duration,
}

impl Prospect {
    /// By the table above.
    pub(in crate::balance) fn patience(&self) -> Patience {
        let known = self.usual.map_or(Duration::ZERO, |usual| usual + PROBE_FIRST_BYTE);
        let doubled = PROBE_FIRST_BYTE
            .saturating_mul(2u32.saturating_pow(self.in_vain))
            .min(MOST);
        let brief = if self.others_serve {
            let likely = self.expected.map(|expected| expected + PROBE_FIRST_BYTE);
            let learnt = self.usual.map(|_| known).into_iter().chain(likely).min();
            learnt.unwrap_or(doubled.min(2 * PROBE_FIRST_BYTE))
        } else {
            doubled.min(LONG).max(known)
        };
        let first_byte = if self.others_serve && self.in_vain % RARELY == RARELY - 1 {
            LONG.max(2 * self.usual.unwrap_or_default()).max(brief)
        } else if self.others_serve || self.overlaps {
            brief
        } else {
            doubled.max(known)
        };
        Patience {
            first_byte,
            pause: EJECTED_PROBE.max(brief / OVERLAP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_waits_as_long_as_the_table_says() {
        let seconds = Duration::from_secs;
        // Others serve, 99 of 100 need, expected, in vain, overlaps: first byte, pause.
        let table = [
            (true, Some(20), Some(6), 0, false, 11, 5),
            (true, Some(20), Some(6), 7, true, 11, 5),
            (true, Some(20), None, 0, false, 25, 8),
            (true, Some(1), Some(40), 0, false, 6, 5),
            (true, Some(300), Some(85), 0, false, 90, 30),
            (true, None, None, 0, false, 5, 5),
            (true, None, None, 1, false, 10, 5),
            (true, None, None, 9, false, 10, 5),
            (true, Some(20), Some(6), 119, true, 40, 5),
            (true, None, None, 119, true, 30, 5),
            (false, None, None, 0, false, 5, 5),
            (false, None, None, 2, false, 20, 7),
            (false, None, None, 4, false, 80, 10),
            (false, None, None, 4, true, 30, 10),
            (false, None, None, 99, false, 86_400, 10),
            (false, Some(120), Some(40), 0, false, 125, 42),
            (false, Some(120), Some(40), 9, true, 125, 42),
            (false, Some(120), Some(40), 9, false, 2560, 42),
        ];
        for (others_serve, usual, expected, in_vain, overlaps, first_byte, pause) in table {
            let prospect = Prospect {
                others_serve,
                usual: usual.map(seconds),
                expected: expected.map(seconds),
                in_vain,
                overlaps,
            };
            let patience = prospect.patience();
            assert_eq!(patience.first_byte, seconds(first_byte), "{prospect:?}");
            // To the nearest second.
            let rounded = (patience.pause + seconds(1) / 2).as_secs();
            assert_eq!(rounded, pause, "{prospect:?}");
        }
    }
}
