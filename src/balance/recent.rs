//! A map that forgets what has not been used for long.

use std::collections::HashMap;
use std::hash::Hash;

/// A map of at most so many entries: when it is full, those that were not used since it was half full go.
///
/// Two generations instead of a list in the order of use: an entry is in the young one when it was used since the last
/// change of generations, which happens when the young one has grown to half of the bound.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Copy, V: Copy> Recent<K, V> {
    /// Room for `most` entries, 2 at least.
    pub(super) fn new(most: usize) -> Self {
        Recent {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (most / 2).max(1),
        }
    }

    /// The value of `key`, which is used by that.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(*value);
        }
        let value = self.old.remove(key)?;
        self.insert(*key, value);
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            // Their room is used again: to grow takes time under the engine's lock.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_bound_and_the_newest_half_is_always_there() {
        let mut recent = Recent::new(100);
        for key in 0..10_000u32 {
            recent.insert(key, key);
            assert!(recent.young.len() + recent.old.len() <= 100);
            for newer in key.saturating_sub(49)..=key {
                assert!(recent.young.contains_key(&newer) || recent.old.contains_key(&newer));
            }
        }
    }

    #[test]
    fn what_is_used_again_and_again_stays() {
        let mut recent = Recent::new(10);
        recent.insert(0u32, 'x');
        for key in 1..1000 {
            recent.insert(key, 'y');
            assert_eq!(recent.get(&0), Some('x'));
        }
        assert_eq!(recent.get(&5), None);
    }

    #[test]
    fn what_is_removed_is_gone_from_both_halves() {
        let mut recent = Recent::new(4);
        (0..4u32).for_each(|key| recent.insert(key, key));
        (0..4).for_each(|key| recent.remove(&key));
        assert!((0..4).all(|key| recent.get(&key).is_none()));
    }
}
