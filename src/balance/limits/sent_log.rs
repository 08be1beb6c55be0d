//! What was sent in the last minute.

use std::collections::VecDeque;

use super::moment::Moment;

/// The sends of the last minute with what they were charged, oldest first.
///
/// Bounded: beyond [`MOST`] entries the sends of a few milliseconds ([`GRAIN`]) share one, so that there are at most
/// 250 more for each second.
#[derive(Clone, Debug, Default)]
pub(super) struct SentLog {
    entries: VecDeque<Entry>,
    tokens: f64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The number of the send; of the first one, where several share it.
    send: u64,
    at: Moment,
    /// What was charged, by estimate until it is settled; 0 after a refusal.
    tokens: f64,
    /// Variance of the estimate; 0 once it is settled.
    variance: f64,
}

/// A megabyte, and more than five hundred sends in each second of the minute.
const MOST: usize = 32_768;
/// Seconds within which sends share an entry beyond that.
const GRAIN: f64 = 0.004;
/// A shorter time than this, in seconds, tells no rate.
const SHORTEST_DRAIN: f64 = 0.5;

/// What a bucket must have held, and all that was counted for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Admitted {
    /// The smallest quota (tokens a window) of a bucket that admits all of it.
    pub(super) quota: f64,
    pub(super) total: f64,
}

impl SentLog {
    pub(super) fn push(&mut self, send: u64, tokens: f64, variance: f64, at: Moment) {
        self.tokens += tokens;
        let is_full = self.entries.len() >= MOST;
        match self
            .entries
            .back_mut()
            .filter(|newest| is_full && at < newest.at + GRAIN)
        {
            Some(newest) => {
                newest.tokens += tokens;
                newest.variance += variance;
            }
            None => self.entries.push_back(Entry {
                send,
                at,
                tokens,
                variance,
            }),
        }
    }

    /// Forgets what was sent before.
    pub(super) fn forget_before(&mut self, moment: Moment) {
        while let Some(oldest) = self.entries.front().filter(|oldest| oldest.at < moment) {
            self.tokens -= oldest.tokens;
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.tokens = 0.0;
        }
    }

    /// When the oldest was sent.
    pub(super) fn oldest(&self) -> Option<Moment> {
        self.entries.front().map(|entry| entry.at)
    }

    /// A send's estimate turns out to have been `more` tokens; nothing where it has been forgotten.
    pub(super) fn correct(&mut self, send: u64, more: f64, variance: f64) {
        let after = self.entries.partition_point(|entry| entry.send <= send);
        let Some(entry) = after.checked_sub(1).and_then(|index| self.entries.get_mut(index)) else {
            return;
        };
        entry.tokens = (entry.tokens + more).max(0.0);
        entry.variance = (entry.variance - variance).max(0.0);
        self.tokens += more;
    }

    /// All tokens in it.
    pub(super) fn tokens(&self) -> f64 {
        self.tokens.max(0.0)
    }

    /// Whether anything in it has been charged and not been refused.
    pub(super) fn is_charged(&self) -> bool {
        self.entries.iter().any(|entry| entry.tokens > 0.0)
    }

    /// The tokens that were sent after a moment.
    pub(super) fn tokens_after(&self, moment: Moment) -> f64 {
        let newest_first = self.entries.iter().rev();
        newest_first
            .take_while(|entry| entry.at > moment)
            .map(|entry| entry.tokens)
            .sum()
    }

    /// The same, found from the other end: next to no work where little in the log is older.
    pub(super) fn tokens_but_for_those_until(&self, moment: Moment) -> f64 {
        let oldest_first = self.entries.iter();
        let older: f64 = oldest_first
            .take_while(|entry| entry.at <= moment)
            .map(|entry| entry.tokens)
            .sum();
        (self.tokens - older).max(0.0)
    }

    /// The first send at a moment or later, if any, with tokens and variance of all from there on.
    pub(super) fn since(&self, moment: Moment) -> (Option<u64>, f64, f64) {
        let newest_first = self.entries.iter().rev();
        newest_first
            .take_while(|entry| entry.at >= moment)
            .fold((None, 0.0, 0.0), |(_, tokens, variance), entry| {
                (Some(entry.send), tokens + entry.tokens, variance + entry.variance)
            })
    }

    /// When those were sent with which the charges after `moment`, the oldest first, come to so many tokens; none where
    /// all of them are fewer.
    pub(super) fn reaches(&self, tokens: f64, moment: Moment) -> Option<Moment> {
        let mut left = tokens;
        let oldest_first = self.entries.iter().filter(|entry| entry.at > moment);
        let mut reached = oldest_first.skip_while(|entry| {
            left -= entry.tokens;
            left > 0.0
        });
        reached.next().map(|entry| entry.at)
    }

    /// What a bucket that holds `brim` windows' worth must have had to admit what was sent, but for the sends that
    /// `is_left_out` names.
    pub(super) fn admitted(&self, brim: f64, length: f64, now: Moment, is_left_out: impl Fn(u64) -> bool) -> Admitted {
        let nothing = Admitted { quota: 0.0, total: 0.0 };
        let counted = self.entries.iter().rev().filter(|entry| !is_left_out(entry.send));
        counted.fold(nothing, |sum, entry| {
            let total = sum.total + entry.tokens;
            Admitted {
                quota: sum.quota.max(total / (brim + (now - entry.at) / length)),
                total,
            }
        })
    }

    /// The least rate, in tokens a second, of a bucket that admits what was sent after `full`, but for the sends that
    /// `is_left_out` names: at that moment it was full but for `room` tokens, and began to drain `spare` seconds before.
    pub(super) fn least_rate(&self, full: Moment, room: f64, spare: f64, is_left_out: impl Fn(u64) -> bool) -> f64 {
        let newest_first = self.entries.iter().rev().take_while(|entry| entry.at > full);
        let counted = newest_first.filter(|entry| !is_left_out(entry.send));
        let all: f64 = counted.clone().map(|entry| entry.tokens).sum();
        let mut over = all - room;
        counted.fold(0.0, |least: f64, entry| {
            let rate = over / (entry.at - full + spare).max(SHORTEST_DRAIN);
            over -= entry.tokens;
            least.max(rate)
        })
    }

    /// The level that a bucket of this rate would have now.
    pub(super) fn level(&self, rate: f64, now: Moment) -> f64 {
        let Some(oldest) = self.entries.front() else {
            return 0.0;
        };
        let (level, last) = self.entries.iter().fold((0.0_f64, oldest.at), |(level, last), entry| {
            ((level - (entry.at - last) * rate).max(0.0) + entry.tokens, entry.at)
        });
        (level - (now - last) * rate).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn at(seconds: f64) -> Moment {
        let start = Instant::now();
        Moment::of(start + Duration::from_secs_f64(seconds), start)
    }

    #[test]
    fn sends_beyond_a_bound_share_entries_and_lose_nothing() {
        let mut log = SentLog::default();
        let sends = 100_000;
        for send in 0..sends {
            log.push(send, 10.0, 1.0, at(send as f64 * 1e-3));
        }
        assert!(log.entries.len() <= MOST + 250 * 100, "{}", log.entries.len());
        assert_eq!(log.tokens(), 1_000_000.0);
        for second in (10..100).step_by(10) {
            let (_, tokens, _) = log.since(at(f64::from(second)));
            let exact = f64::from(100 - second) * 10_000.0;
            assert!(
                (tokens - exact).abs() <= 4.0 * 10.0,
                "{second}: {tokens} instead of {exact}"
            );
        }
        for send in 0..sends {
            log.correct(send, -10.0, 1.0);
        }
        assert!(!log.is_charged());
        assert_eq!((log.tokens(), log.since(Moment::LONG_AGO)), (0.0, (Some(0), 0.0, 0.0)));
    }

    #[test]
    fn what_a_bucket_must_have_had_is_the_steepest_of_all_sums() {
        let mut log = SentLog::default();
        for (send, (tokens, sent)) in [(6_000.0, 0.0), (30_000.0, 30.0), (1_000.0, 59.0)]
            .into_iter()
            .enumerate()
        {
            log.push(send as u64, tokens, 0.0, at(sent));
        }
        let admitted = |leaves_out| log.admitted(1.0, 60.0, at(60.0), |send| Some(send) == leaves_out);
        // 31,000 in half a minute; 37,000 in a whole one are less.
        assert_eq!(
            admitted(None),
            Admitted {
                quota: 31_000.0 / 1.5,
                total: 37_000.0
            }
        );
        assert_eq!(
            admitted(Some(1)),
            Admitted {
                quota: 3_500.0,
                total: 7_000.0
            }
        );
    }
}
