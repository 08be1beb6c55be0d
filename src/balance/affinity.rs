//! Keeping a conversation where its prompt is cached.
//!
//! A deployment keeps the beginning of a prompt for some minutes, so the requests of one conversation are quicker and
//! cheaper where the last one was. Each key (a session, a cache key, a user) has a *home* among the endpoints of a set:
//!
//! ```text
//! home      the place to which the key was moved last, else the first in its own order of the endpoints
//! order     weighted rendezvous hashing: each endpoint scores −weight ÷ ln(hash of key and endpoint), the highest
//!           first; an endpoint that comes or goes moves only its own keys
//! bound     an endpoint with more than 1.25 × its fair share of what is under way, and more than 4, is passed over
//! yields    to cooldowns, limits and the bound: the key moves to the next in its order, and stays there
//! ```
//!
//! Sources: D. Thaler and C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998); V. Mirrokni,
//! M. Thorup and M. Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).

use std::hash::{DefaultHasher, Hash, Hasher};

use super::recent::Recent;
use super::{EndpointId, SetId};

/// An endpoint takes keys up to so many times its fair share of the requests under way.
const BOUND: f64 = 1.25;
/// What an endpoint takes in any case: so few at once are no burden, and where little is under way chance alone is more
/// than a quarter off the fair share.
const FREE: f64 = 4.0;
/// Moved keys that are remembered: 2 MiB at most. A forgotten one goes to the first of its order again.
const KEPT: usize = 32_768;

/// What the requests of one conversation have in common, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AffinityKey(u64);

impl AffinityKey {
    /// The key of a name: a session, a `prompt_cache_key`, a user. Names of different kinds are kept apart by `kind`.
    pub fn new(kind: &str, name: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, name).hash(&mut hasher);
        AffinityKey(hasher.finish())
    }

    /// How this key rates an endpoint of this weight; the highest is its home.
    fn score(self, endpoint: EndpointId, weight: u32) -> f64 {
        // 53 bits, in (0, 1).
        let uniform = ((mix(self.0 ^ mix(u64::from(endpoint.0) + 1)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -f64::from(weight) / uniform.ln()
    }

    /// Of endpoints with their weights, the first in the order of this key.
    fn first_of(self, endpoints: impl Iterator<Item = (EndpointId, u32)>) -> Option<EndpointId> {
        endpoints
            .map(|(endpoint, weight)| (self.score(endpoint, weight), endpoint))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, endpoint)| endpoint)
    }
}

/// Spreads the bits of a number: each endpoint of a set is rated under the engine's lock, where a hasher for texts would
/// be slow. Source: the finaliser of SplitMix64.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// An endpoint that could take a request now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) endpoint: EndpointId,
    pub(super) weight: u32,
    pub(super) in_flight: u32,
}

/// Where conversations are, as far as they are not at the first of their order.
#[derive(Debug)]
pub(super) struct Affinity {
    moved: Recent<(AffinityKey, SetId), EndpointId>,
}

impl Default for Affinity {
    fn default() -> Self {
        Affinity {
            moved: Recent::new(KEPT),
        }
    }
}

impl Affinity {
    /// The place for a request with this key, of those of the set that could take it now; none where there are none.
    pub(super) fn place(&mut self, key: AffinityKey, set: SetId, candidates: &[Candidate]) -> Option<EndpointId> {
        let weights: f64 = candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
        let under_way: f64 = candidates.iter().map(|candidate| f64::from(candidate.in_flight)).sum();
        // Somebody is always bearable: not all can have more than their share.
        let is_bearable = |candidate: &&Candidate| {
            let fair = (under_way + 1.0) * f64::from(candidate.weight) / weights;
            f64::from(candidate.in_flight) + 1.0 <= (BOUND * fair).ceil().max(FREE)
        };
        let bearable = candidates.iter().filter(is_bearable);
        if let Some(home) = self.moved.get(&(key, set))
            && bearable.clone().any(|candidate| candidate.endpoint == home)
        {
            return Some(home);
        }
        key.first_of(bearable.map(|candidate| (candidate.endpoint, candidate.weight)))
    }

    /// A request with this key goes to `endpoint`: there it is at home from now on. `everybody` are the endpoints of
    /// the set with their weights, ready or not.
    pub(super) fn settle_at(
        &mut self,
        endpoint: EndpointId,
        key: AffinityKey,
        set: SetId,
        everybody: impl Iterator<Item = (EndpointId, u32)>,
    ) {
        if self.moved.get(&(key, set)) == Some(endpoint) {
            return;
        }
        if key.first_of(everybody) == Some(endpoint) {
            self.moved.remove(&(key, set));
        } else {
            self.moved.insert((key, set), endpoint);
        }
    }

    /// Where the key is at home, ready or not.
    pub(super) fn home(
        &mut self,
        key: AffinityKey,
        set: SetId,
        everybody: impl Iterator<Item = (EndpointId, u32)>,
    ) -> Option<EndpointId> {
        self.moved.get(&(key, set)).or_else(|| key.first_of(everybody))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(loads: &[u32]) -> Vec<Candidate> {
        let candidate = |(index, &in_flight)| Candidate {
            endpoint: EndpointId::at(index),
            weight: 1,
            in_flight,
        };
        loads.iter().enumerate().map(candidate).collect()
    }

    fn key(number: usize) -> AffinityKey {
        AffinityKey::new("session", number.to_string().as_bytes())
    }

    /// Sends a request with this key where it is best placed.
    fn place(affinity: &mut Affinity, key: AffinityKey, candidates: &[Candidate], all: usize) -> usize {
        let endpoint = affinity.place(key, SetId::EVERYBODY, candidates).unwrap();
        let everybody = (0..all).map(|index| (EndpointId::at(index), 1));
        affinity.settle_at(endpoint, key, SetId::EVERYBODY, everybody.clone());
        assert_eq!(affinity.home(key, SetId::EVERYBODY, everybody), Some(endpoint));
        endpoint.index()
    }

    #[test]
    fn a_key_goes_to_the_same_place_each_time() {
        let mut affinity = Affinity::default();
        let quiet = candidates(&[0; 5]);
        for number in 0..100 {
            let home = place(&mut affinity, key(number), &quiet, 5);
            assert!((0..5).all(|_| place(&mut affinity, key(number), &quiet, 5) == home));
        }
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let mut affinity = Affinity::default();
        let mut weighted = candidates(&[0, 0]);
        weighted[1].weight = 3;
        let second = (0..4000)
            .filter(|&number| affinity.place(key(number), SetId::EVERYBODY, &weighted) == Some(EndpointId::at(1)))
            .count();
        assert!((2850..3150).contains(&second), "{second} of 4000, 3000 expected");
    }

    #[test]
    fn an_endpoint_that_is_away_moves_its_own_keys_alone_and_they_stay() {
        let mut affinity = Affinity::default();
        let all = candidates(&[0; 4]);
        let homes: Vec<usize> = (0..200)
            .map(|number| place(&mut affinity, key(number), &all, 4))
            .collect();
        let without: Vec<Candidate> = all
            .iter()
            .copied()
            .filter(|candidate| candidate.endpoint.index() != 2)
            .collect();
        for (number, &home) in homes.iter().enumerate() {
            let now = place(&mut affinity, key(number), &without, 4);
            assert!(home == 2 || now == home, "key {number} moved from {home} to {now}");
            assert_eq!(
                place(&mut affinity, key(number), &all, 4),
                now,
                "its cache is warm there"
            );
        }
        assert!(homes.contains(&2));
    }

    #[test]
    fn who_has_more_than_its_fair_share_and_a_quarter_is_passed_over() {
        let mut affinity = Affinity::default();
        let home = place(&mut affinity, key(1), &candidates(&[0; 4]), 4);
        let mut loads = [7; 4];
        // (28 + 1) / 4 × 1.25 is 9.06: ten is the most, this one included.
        loads[home] = 9;
        assert_eq!(place(&mut affinity, key(1), &candidates(&loads), 4), home);
        loads[home] = 10;
        assert_ne!(place(&mut affinity, key(1), &candidates(&loads), 4), home);
    }

    #[test]
    fn one_hot_key_over_idle_endpoints_is_spread_no_wider_than_the_bound_asks() {
        let mut affinity = Affinity::default();
        let mut loads = [0u32; 4];
        for _ in 0..100 {
            loads[place(&mut affinity, key(1), &candidates(&loads), 4)] += 1;
        }
        assert!(loads.iter().all(|&load| load <= 32), "{loads:?}: 1.25 × 25, rounded up");
    }

    #[test]
    fn nobody_ready_is_no_place() {
        assert_eq!(Affinity::default().place(key(1), SetId::EVERYBODY, &[]), None);
    }
}
