//! A deployment's prompt cache.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::request::{CACHE_FROM, CACHE_STEP};

/// What was not used for so long is forgotten. Source: Microsoft, "Prompt caching" (5 to 10 minutes).
const IDLE: Duration = Duration::from_secs(300);

/// Most prefixes that are kept; the oldest make room.
const CAPACITY: usize = 16_384;

/// The beginnings of prompts that a deployment has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct PromptCache {
    /// When each prefix was used last.
    used: HashMap<u64, Duration>,
    /// Its keys, oldest first.
    order: VecDeque<u64>,
}

impl PromptCache {
    /// Tokens of a prompt that are cached, by the hashes of its prefixes: 0, or 1,024 and whole steps of 128.
    pub(crate) fn cached_tokens(&self, prefixes: &[u64], now: Duration) -> u64 {
        let fresh = |prefix: &u64| {
            self.used
                .get(prefix)
                .is_some_and(|used| now.saturating_sub(*used) <= IDLE)
        };
        let longest = prefixes.iter().rposition(fresh);
        longest.map_or(0, |position| CACHE_FROM + CACHE_STEP * position as u64)
    }

    /// Notes that a prompt was processed.
    pub(crate) fn note(&mut self, prefixes: &[u64], now: Duration) {
        for prefix in prefixes {
            if self.used.insert(*prefix, now).is_some() {
                continue;
            }
            self.order.push_back(*prefix);
            if self.order.len() > CAPACITY
                && let Some(oldest) = self.order.pop_front()
            {
                self.used.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_come_in_steps_and_end_when_idle() {
        let mut cache = PromptCache::default();
        let second = Duration::from_secs(1);
        assert_eq!(cache.cached_tokens(&[1, 2, 3], second), 0);
        cache.note(&[1, 2, 3], second);
        for (prefixes, at, tokens) in [
            (vec![1, 2, 3], 2, 1280),
            (vec![1, 2, 9], 2, 1152),
            (vec![1], 301, 1024),
            (vec![1], 302, 0),
            (vec![9], 2, 0),
            (vec![], 2, 0),
        ] {
            assert_eq!(
                cache.cached_tokens(&prefixes, at * second),
                tokens,
                "{prefixes:?} at {at} s"
            );
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let mut cache = PromptCache::default();
        let all: Vec<u64> = (0..CAPACITY as u64 + 10).collect();
        cache.note(&all, Duration::ZERO);
        assert_eq!((cache.used.len(), cache.order.len()), (CAPACITY, CAPACITY));
        assert_eq!(cache.cached_tokens(&[9], Duration::ZERO), 0);
        assert_eq!(cache.cached_tokens(&[10], Duration::ZERO), 1024);
    }
}
