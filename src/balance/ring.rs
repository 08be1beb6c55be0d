//! The weighted order in which endpoints take their turns.
//!
//! The promise: counted from the start, every endpoint is within one request of its share at every moment, and
//! under two in any window, for as long as all are ready. Plain weighted round robin sends runs (`AAAB`), and
//! the "smooth" form of nginx strays by more than one among many endpoints; so this is the *quota method* of
//! M. Balinski and H. P. Young ("The Quota Method of Apportionment", Amer. Math. Monthly 82, 1975), which keeps
//! both bounds: at each turn, of those whose next request is not ahead of their share, the one goes whose next
//! request is due soonest.
//!
//! ```text
//! weights 3 and 1          A's lag  B's lag       (a lag is: share so far − requests so far)
//! turn 1   + 3/4, + 1/4      3/4      1/4    A's next is due in 1/3 of a turn, B's in 3: A
//! turn 2                     1/2      1/2    due in 2/3 and 2: A
//! turn 3                     1/4      3/4    due in 1 and 1: the shuffled order decides
//! ```
//!
//! The ring is never laid out: it keeps one number per endpoint, so weights of a thousand cost nothing.

use rand::Rng;
use rand::seq::SliceRandom;

/// Turns among the members of one eligible set.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Members in shuffled order: who comes first decides among equals.
    seats: Vec<Seat>,
    /// One request, in the units of `lag`: a multiple of the sum of all weights, so that the shares are exact
    /// while all are ready.
    unit: i64,
}

#[derive(Debug, Clone)]
struct Seat {
    member: usize,
    weight: i64,
    /// Share so far minus requests so far, in units of 1/`unit`.
    lag: i64,
}

/// Extra precision for the moments when not all are ready and a share is rounded.
const PRECISION: u32 = 16;

impl Ring {
    /// A ring over members `0..weights.len()`, started at a random place.
    ///
    /// # Panics
    /// In debug builds, where a weight is zero.
    pub fn new(weights: &[u32], rng: &mut impl Rng) -> Self {
        debug_assert!(
            weights.iter().all(|&weight| weight > 0),
            "weights are validated to be at least 1"
        );
        let mut seats: Vec<Seat> = weights
            .iter()
            .enumerate()
            .map(|(member, &weight)| Seat {
                member,
                weight: weight.into(),
                lag: 0,
            })
            .collect();
        seats.shuffle(rng);
        let sum: i64 = seats.iter().map(|seat| seat.weight).sum();
        Ring {
            seats,
            unit: sum.max(1) << PRECISION,
        }
    }

    /// Gives the next turn to one of the members for which `ready` holds; none where it holds for none.
    ///
    /// The turn's share is divided among the ready ones alone: who is not ready neither gains nor loses, and
    /// does not come back to a burst.
    pub fn next(&mut self, ready: impl Fn(usize) -> bool) -> Option<usize> {
        let sum: i64 = self
            .seats
            .iter()
            .filter(|seat| ready(seat.member))
            .map(|seat| seat.weight)
            .sum();
        if sum == 0 {
            return None;
        }
        let unit = self.unit;
        // Whether `a`'s next request is due before `b`'s: (unit − lag) / weight, without dividing.
        let sooner = |a: &Seat, b: &Seat| {
            i128::from(unit - a.lag) * i128::from(b.weight) < i128::from(unit - b.lag) * i128::from(a.weight)
        };
        let mut entitled: Option<usize> = None;
        let mut any: Option<usize> = None;
        for index in 0..self.seats.len() {
            if !ready(self.seats[index].member) {
                continue;
            }
            // Whole while all are ready, as `unit` is a multiple of `sum`.
            let weight = self.seats[index].weight;
            self.seats[index].lag += match weight.checked_mul(unit) {
                Some(part) => part / sum,
                None => (i128::from(weight) * i128::from(unit) / i128::from(sum)) as i64,
            };
            let seat = &self.seats[index];
            if seat.lag > 0 && entitled.is_none_or(|best| sooner(seat, &self.seats[best])) {
                entitled = Some(index);
            }
            if any.is_none_or(|best| sooner(seat, &self.seats[best])) {
                any = Some(index);
            }
        }
        // Nobody is entitled only where those who are behind are not ready.
        let winner = &mut self.seats[entitled.or(any)?];
        // Nobody falls behind by more than one while the others rest.
        winner.lag = (winner.lag - unit).max(-unit);
        Some(winner.member)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn ring(weights: &[u32], seed: u64) -> Ring {
        Ring::new(weights, &mut SmallRng::seed_from_u64(seed))
    }

    /// Counts after every turn must stay within one of the share; returns the whole order.
    fn check_shares(weights: &[u32], turns: usize, seed: u64) -> Vec<usize> {
        let mut ring = ring(weights, seed);
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut counts = vec![0u64; weights.len()];
        let mut order = Vec::new();
        for turn in 1..=turns as u64 {
            let member = ring.next(|_| true).unwrap();
            counts[member] += 1;
            order.push(member);
            for (count, &weight) in counts.iter().zip(weights) {
                let off = (i128::from(*count) * i128::from(sum)) - i128::from(u64::from(weight) * turn);
                assert!(
                    off.abs() < i128::from(sum),
                    "weights {weights:?}, seed {seed}: off by {off}/{sum} after {turn}"
                );
            }
        }
        order
    }

    #[test]
    fn every_endpoint_is_within_one_of_its_share_after_every_turn() {
        for weights in [
            &[1][..],
            &[1, 1],
            &[3, 1],
            &[1000, 1],
            &[5, 3, 2],
            &[7, 7, 1, 1, 1],
            &[997, 991, 983, 1],
        ] {
            for seed in 0..20 {
                check_shares(weights, 3_000, seed);
            }
        }
    }

    #[test]
    fn weights_three_to_one_give_nine_to_three_of_twelve() {
        let order = check_shares(&[3, 1], 12, 1);
        assert_eq!(order.iter().filter(|&&member| member == 0).count(), 9);
    }

    #[test]
    fn the_start_is_shuffled() {
        let firsts: std::collections::HashSet<_> = (0..64).map(|seed| check_shares(&[1; 8], 1, seed)[0]).collect();
        assert_eq!(firsts.len(), 8, "some endpoint never came first");
    }

    #[test]
    fn two_thousand_endpoints_of_weight_a_thousand_take_turns_exactly() {
        let mut ring = ring(&[1000; 2000], 7);
        let mut counts = vec![0; 2000];
        for _ in 0..4000 {
            counts[ring.next(|_| true).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| count == 2));
    }

    #[test]
    fn who_was_away_comes_back_to_its_share_and_to_no_burst() {
        let mut ring = ring(&[1, 1], 3);
        for _ in 0..1000 {
            assert_eq!(ring.next(|member| member == 0), Some(0));
        }
        let back: Vec<_> = (0..20).map(|_| ring.next(|_| true).unwrap()).collect();
        assert!(back.windows(3).all(|three| three.contains(&0)), "a burst: {back:?}");
        assert!(
            (9..=11).contains(&back.iter().filter(|&&member| member == 1).count()),
            "{back:?}"
        );
    }

    #[test]
    fn none_ready_is_no_turn() {
        assert_eq!(ring(&[1, 2], 0).next(|_| false), None);
    }

    proptest! {
        #[test]
        fn shares_hold_from_the_start_and_in_every_window(
            weights in proptest::collection::vec(1u32..=1000, 1..12), seed: u64,
        ) {
            let order = check_shares(&weights, 400, seed);
            let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            for (member, &weight) in weights.iter().enumerate() {
                for from in (0..order.len()).step_by(7) {
                    let mut count = 0i128;
                    for (length, &who) in (1i128..).zip(&order[from..]) {
                        count += i128::from(who == member);
                        let off = (count * i128::from(sum) - i128::from(weight) * length).abs();
                        prop_assert!(off < 2 * i128::from(sum));
                    }
                }
            }
        }

        #[test]
        fn a_turn_goes_to_a_ready_member_whatever_came_before(
            weights in proptest::collection::vec(1u32..=50, 1..8), masks in proptest::collection::vec(any::<u8>(), 1..300), seed: u64,
        ) {
            let mut ring = ring(&weights, seed);
            for mask in masks {
                let ready = |member: usize| mask & (1 << member) != 0;
                match ring.next(ready) {
                    Some(member) => prop_assert!(ready(member)),
                    None => prop_assert!((0..weights.len()).all(|member| !ready(member))),
                }
            }
        }
    }
}
