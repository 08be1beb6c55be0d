//! Which of a host's addresses to connect to, and when, as RFC 8305 ("happy eyeballs") says: one after another, the next
//! beginning before the one before has given up, and the first that answers wins.
//!
//! | the first address | the next begins |
//! |---|---|
//! | is of a family that has answered before | 2 s later |
//! | is not | 250 ms later |
//! | has failed | at once |
//! | … and the time left is short | so that all are tried in it |

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::reach::Route;

/// "Connection Attempt Delay": the recommended one.
const DELAY: Duration = Duration::from_millis(250);
/// The largest that is recommended, for an address that there is reason to wait for.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// A race of connections to one host.
#[derive(Debug)]
pub(super) struct Race {
    /// Those that no attempt has been made at, the next one last.
    waiting: Vec<SocketAddr>,
    delay: Duration,
    /// When the next begins, if none fails before.
    next_at: Instant,
    under_way: usize,
    until: Instant,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Begin to connect to it.
    Begin(SocketAddr),
    /// Wait for those under way, no longer than that.
    Wait(Instant),
    /// None is left that could answer in time.
    Lose,
}

impl Race {
    pub(super) fn new(route: Route, now: Instant, until: Instant) -> Self {
        let mut waiting = route.addresses;
        waiting.reverse();
        Race {
            waiting,
            delay: if route.is_known { LONGEST_DELAY } else { DELAY },
            next_at: now,
            under_way: 0,
            until,
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Move {
        if now >= self.until {
            return Move::Lose;
        }
        if now >= self.next_at
            && let Some(address) = self.waiting.pop()
        {
            let others = u32::try_from(self.waiting.len() + 1).unwrap_or(u32::MAX);
            self.next_at = now + self.delay.min((self.until - now) / others);
            self.under_way += 1;
            return Move::Begin(address);
        }
        if self.under_way == 0 {
            return Move::Lose;
        }
        match self.waiting.is_empty() {
            true => Move::Wait(self.until),
            false => Move::Wait(self.next_at.min(self.until)),
        }
    }

    /// One of those under way has failed.
    pub(super) fn failed(&mut self, now: Instant) {
        self.under_way -= 1;
        self.next_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (0..count).map(|last| SocketAddr::from(([10, 0, 0, last], 1))).collect()
    }

    fn race(count: u8, is_known: bool, now: Instant, time: Duration) -> Race {
        let addresses = addresses(count);
        Race::new(Route { addresses, is_known }, now, now + time)
    }

    #[test]
    fn the_next_begins_before_the_one_before_has_given_up() {
        let t0 = clock::now();
        for (is_known, delay) in [(false, DELAY), (true, LONGEST_DELAY)] {
            let mut race = race(3, is_known, t0, 60 * SECOND);
            let all = addresses(3);
            assert_eq!(race.next(t0), Move::Begin(all[0]));
            assert_eq!(race.next(t0), Move::Wait(t0 + delay));
            assert_eq!(race.next(t0 + delay - MS), Move::Wait(t0 + delay));
            assert_eq!(race.next(t0 + delay), Move::Begin(all[1]));
            assert_eq!(race.next(t0 + delay), Move::Wait(t0 + 2 * delay));
            assert_eq!(race.next(t0 + 2 * delay), Move::Begin(all[2]));
            // All are under way, and there is nothing else to wait for.
            assert_eq!(race.next(t0 + 2 * delay), Move::Wait(t0 + 60 * SECOND));
            assert_eq!(race.next(t0 + 60 * SECOND), Move::Lose);
        }
    }

    #[test]
    fn after_one_that_fails_the_next_begins_at_once_and_with_the_last_all_is_lost() {
        let t0 = clock::now();
        let mut race = race(3, true, t0, 60 * SECOND);
        let all = addresses(3);
        assert_eq!(race.next(t0), Move::Begin(all[0]));
        race.failed(t0);
        assert_eq!(race.next(t0 + MS), Move::Begin(all[1]));
        assert_eq!(race.next(t0 + MS), Move::Wait(t0 + MS + LONGEST_DELAY));
        race.failed(t0 + 2 * MS);
        assert_eq!(race.next(t0 + 2 * MS), Move::Begin(all[2]));
        race.failed(t0 + 3 * MS);
        assert_eq!(race.next(t0 + 3 * MS), Move::Lose);
    }

    #[test]
    fn all_are_tried_however_little_time_there_is() {
        let t0 = clock::now();
        for (is_known, time) in [(true, SECOND), (false, 100 * MS), (false, MS)] {
            let mut race = race(4, is_known, t0, time);
            let mut now = t0;
            let mut begun = Vec::new();
            loop {
                match race.next(now) {
                    Move::Begin(address) => begun.push((address, now)),
                    Move::Wait(at) => now = at,
                    Move::Lose => break,
                }
            }
            let (tried, at): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
            assert_eq!(tried, addresses(4), "{time:?}");
            // The last has as much time as the others.
            assert!(at[3] <= t0 + time / 4 * 3 + MS, "{time:?}: {at:?}");
        }
    }

    #[test]
    fn without_time_or_addresses_nothing_is_tried() {
        let t0 = clock::now();
        assert_eq!(race(2, false, t0, Duration::ZERO).next(t0), Move::Lose);
        assert_eq!(race(0, false, t0, SECOND).next(t0), Move::Lose);
    }
}
