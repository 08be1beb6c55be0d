//! Which of a host's addresses connections can be made to, remembered.
//!
//! A host may have addresses of two families of which only one leads anywhere from here, and a single one of several may
//! be dead. Neither shows in the name service's answer, and finding out anew for each connection costs time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an address that did not answer is asked last.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What has been found out about a host's addresses.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The family of the address that answered last.
    family: Option<Family>,
    /// Those that did not answer, or later than one that was asked after them.
    failed: Vec<(SocketAddr, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Addresses in the order in which they are worth a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) addresses: Vec<SocketAddr>,
    /// Whether the first is expected to answer.
    pub(super) is_known: bool,
}

impl Reach {
    /// `addresses` as the name service gives them, those of the family that answers first, those that have failed last.
    /// Where nothing is known of them families take turns (RFC 8305, section 4).
    pub(super) fn route(&self, addresses: &[SocketAddr], now: Instant) -> Route {
        let (tried, untried): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| self.has_failed(address, now));
        let first = self.family.or_else(|| untried.first().map(Family::of));
        let (like_first, others): (Vec<_>, Vec<_>) = untried
            .into_iter()
            .partition(|address| Some(Family::of(address)) == first);
        let is_known = self.family.is_some() && !like_first.is_empty();
        let untried = match is_known {
            true => [like_first, others].concat(),
            false => alternately(like_first, others),
        };
        Route {
            addresses: [untried, tried].concat(),
            is_known,
        }
    }

    /// A connection to it stands.
    pub(super) fn answered(&mut self, address: &SocketAddr) {
        self.family = Some(Family::of(address));
        self.failed.retain(|(failed, _)| failed != address);
    }

    /// No connection to it could be made, or only more slowly than to another.
    pub(super) fn failed(&mut self, address: &SocketAddr, now: Instant) {
        self.failed
            .retain(|(failed, at)| failed != address && now < *at + FORGOTTEN);
        self.failed.push((*address, now));
    }

    fn has_failed(&self, address: &SocketAddr, now: Instant) -> bool {
        let mut failed = self.failed.iter();
        failed.any(|(failed, at)| failed == address && now < *at + FORGOTTEN)
    }
}

impl Family {
    fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }
}

/// One of the first, one of the second, and so on.
fn alternately<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    let mut second = second.into_iter();
    let mut all = Vec::new();
    for one in first {
        all.push(one);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    /// Addresses of one digit each: 1 to 4 of IPv4, 5 to 9 of IPv6.
    fn addresses(digits: &str) -> Vec<SocketAddr> {
        let address = |digit: char| match digit {
            '1'..='4' => format!("10.0.0.{digit}:443"),
            _ => format!("[2001:db8::{digit}]:443"),
        };
        digits.chars().map(|digit| address(digit).parse().unwrap()).collect()
    }

    fn check(reach: &Reach, given: &str, expected: &str, is_known: bool, now: Instant) {
        let route = reach.route(&addresses(given), now);
        let addresses = addresses(expected);
        assert_eq!(route, Route { addresses, is_known }, "{given}: {reach:?}");
    }

    #[test]
    fn families_take_turns_where_nothing_is_known() {
        let now = clock::now();
        let reach = Reach::default();
        for (given, expected) in [
            ("1", "1"),
            ("12", "12"),
            ("51", "51"),
            ("5612", "5162"),
            ("5671", "5167"),
            ("1567", "1567"),
            ("", ""),
        ] {
            check(&reach, given, expected, false, now);
        }
    }

    #[test]
    fn the_family_that_answered_comes_first_in_the_order_given() {
        let now = clock::now();
        let mut reach = Reach::default();
        reach.failed(&addresses("5")[0], now);
        reach.answered(&addresses("1")[0]);
        check(&reach, "561", "165", true, now);
        // Whoever looks after the hosts spreads the load by turning them round.
        check(&reach, "21", "21", true, now);
        check(&reach, "1256", "1265", true, now);
        check(&reach, "67", "67", false, now);
        reach.answered(&addresses("5")[0]);
        check(&reach, "1526", "5612", true, now);
    }

    #[test]
    fn what_did_not_answer_comes_last_for_ten_minutes_or_until_it_answers() {
        let t0 = clock::now();
        let mut reach = Reach::default();
        let [one, two] = addresses("12")[..] else {
            unreachable!()
        };
        reach.answered(&one);
        reach.failed(&one, t0);
        check(&reach, "12", "21", true, t0);
        check(&reach, "1", "1", false, t0);
        check(&reach, "15", "51", false, t0);
        check(&reach, "12", "21", true, t0 + FORGOTTEN - SECOND);
        check(&reach, "12", "12", true, t0 + FORGOTTEN);
        reach.failed(&two, t0 + SECOND);
        check(&reach, "12", "12", false, t0 + SECOND);
        reach.answered(&one);
        check(&reach, "21", "12", true, t0 + SECOND);
        // It holds no more than fail in ten minutes.
        for minute in 0..60 {
            reach.failed(&one, t0 + minute * 60 * SECOND);
            reach.failed(&two, t0 + minute * 60 * SECOND);
        }
        assert_eq!(reach.failed.len(), 2);
    }
}
