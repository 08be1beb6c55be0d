//! Times in which nobody is there who could serve a set's jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SetId;
use crate::api::Condition;

/// A job that has waited for so long in such a time is worth a warning.
const LONG: Duration = Duration::from_secs(60);
/// Least time between two warnings about one set.
const EVERY: Duration = Duration::from_secs(300);

/// By set: since when all of its members are out, as the latest look at them has found.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<Outage>);

#[derive(Debug)]
struct Outage {
    set: SetId,
    since: Option<Instant>,
    is_told: bool,
    told: Option<Instant>,
}

/// Why a member of such a set is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is ejected, disabled or being asked.
    pub condition: Condition,
    /// Why.
    pub reason: String,
    /// Time until it is asked next, where that is known.
    pub left: Option<Duration>,
}

impl Outages {
    /// Somebody has looked whether all of the set are out.
    #[inline]
    pub(super) fn looked(&mut self, set: SetId, all_out: bool, now: Instant) {
        if !all_out && self.0.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|outage| outage.set == set) {
            Some(outage) if all_out => outage.since = outage.since.or(Some(now)),
            Some(outage) => {
                outage.since = None;
                outage.is_told = false;
            }
            None if all_out => self.0.push(Outage {
                set,
                since: Some(now),
                is_told: false,
                told: None,
            }),
            None => {}
        }
    }

    /// A job of the set has waited for so long. True where that is to be said: once in each such time, and now and then
    /// where they come one after the other.
    pub(super) fn is_worth_a_warning(&mut self, set: SetId, waited: Duration, now: Instant) -> bool {
        let Some(outage) = self.0.iter_mut().find(|outage| outage.set == set) else {
            return false;
        };
        let is_long = outage
            .since
            .is_some_and(|since| now.saturating_duration_since(since) >= LONG);
        let says = is_long && waited >= LONG && !outage.is_told && outage.told.is_none_or(|told| now >= told + EVERY);
        if says {
            outage.is_told = true;
            outage.told = Some(now);
        }
        says
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::scenario::Scenario;

    #[test]
    fn it_is_said_once_in_each_time_and_not_more_often_than_each_five_minutes() {
        let world = Scenario::of(1).begin();
        let (set, start) = (world.set, world.t0);
        let mut outages = Outages::default();
        // Seconds; whether all are out; seconds that a job has waited; whether it is said.
        for (at, all_out, waited, says) in [
            (0, true, 600, false),
            (59, true, 600, false),
            (60, true, 59, false),
            (61, true, 60, true),
            (200, true, 200, false),
            (1000, true, 1000, false),
            (1001, false, 1001, false),
            (1002, true, 1002, false),
            (1061, true, 1061, false),
            (1062, true, 1062, true),
            (1063, false, 1063, false),
            (1064, true, 1064, false),
            (1200, true, 1200, false),
            (1361, true, 1361, false),
            (1362, true, 1362, true),
        ] {
            let now = start + Duration::from_secs(at);
            outages.looked(set, all_out, now);
            let said = outages.is_worth_a_warning(set, Duration::from_secs(waited), now);
            assert_eq!(said, says, "at {at} s");
        }
    }
}
