//! What was sent in the last minute.

use std::collections::VecDeque;

use super::moment::Moment;

/// The sends of the last minute with what they were charged, oldest first.
///
/// Bounded: beyond [`MOST`] entries the older half is merged in pairs, each pair counted at the time of its later send. So
/// at most half of the entries are coarser than single sends, and those by milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct SentLog {
    entries: VecDeque<Entry>,
    tokens: f64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The number of the send; of the first one, where several were merged.
    send: u64,
    at: Moment,
    /// What was charged, by estimate until it is settled; 0 after a refusal.
    tokens: f64,
    /// Variance of the estimate; 0 once it is settled.
    variance: f64,
}

/// A megabyte, and more than five hundred sends in each second of the minute.
const MOST: usize = 32_768;

/// What a bucket must have held, and all that was counted for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Admitted {
    /// The smallest quota (tokens a window) of a bucket that admits all of it.
    pub(super) quota: f64,
    pub(super) total: f64,
}

impl SentLog {
    pub(super) fn push(&mut self, send: u64, tokens: f64, variance: f64, at: Moment) {
        if self.entries.len() >= MOST {
            self.merge();
        }
        self.tokens += tokens;
        self.entries.push_back(Entry {
            send,
            at,
            tokens,
            variance,
        });
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

    /// The first send at a moment or later, if any, with tokens and variance of all from there on.
    pub(super) fn since(&self, moment: Moment) -> (Option<u64>, f64, f64) {
        let newest_first = self.entries.iter().rev();
        newest_first
            .take_while(|entry| entry.at >= moment)
            .fold((None, 0.0, 0.0), |(_, tokens, variance), entry| {
                (Some(entry.send), tokens + entry.tokens, variance + entry.variance)
            })
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

    /// Makes a quarter of the room free.
    fn merge(&mut self) {
        let older = self.entries.len() / 2;
        let mut kept = VecDeque::with_capacity(self.entries.len());
        let mut entries = self.entries.drain(..).enumerate();
        while let Some((index, entry)) = entries.next() {
            let later = if index < older { entries.next() } else { None };
            kept.push_back(later.map_or(entry, |(_, later)| Entry {
                send: entry.send,
                at: later.at,
                tokens: entry.tokens + later.tokens,
                variance: entry.variance + later.variance,
            }));
        }
        drop(entries);
        self.entries = kept;
    }
}
