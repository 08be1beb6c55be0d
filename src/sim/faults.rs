//! Which fault is played on which request.

use std::time::Duration;

use super::config::{FaultKind, SimFault, When};
use super::dice::Dice;

/// A deployment's faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    fault: SimFault,
    /// Ordinal of the first request after it was added.
    since: u64,
}

impl Faults {
    /// Adds one before those that are there, so that it takes precedence; `since` is the ordinal of the next request.
    pub(crate) fn inject(&mut self, fault: SimFault, since: u64) {
        self.0.insert(0, Entry { fault, since });
    }

    /// Ends them all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of a request, if there is one.
    pub(crate) fn draw(&self, ordinal: u64, now: Duration, mut dice: Dice) -> Option<FaultKind> {
        let now_s = now.as_secs_f64();
        let mut applies = |entry: &Entry| {
            let Some(position) = ordinal.checked_sub(entry.since) else {
                return false;
            };
            match &entry.fault.when {
                When::Always => true,
                When::Next(requests) => position < *requests,
                When::At(positions) => positions.contains(&position),
                When::Between(from, to) => *from <= now_s && now_s < *to,
                When::Random(probability) => dice.unit() < *probability,
            }
        };
        self.0.iter().find(|entry| applies(entry)).map(|entry| entry.fault.kind)
    }
}

impl From<&[SimFault]> for Faults {
    fn from(faults: &[SimFault]) -> Self {
        Faults(
            faults
                .iter()
                .map(|fault| Entry {
                    fault: fault.clone(),
                    since: 0,
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(faults: &Faults, ordinal: u64, at_s: f64) -> Option<&'static str> {
        let kind = faults.draw(ordinal, Duration::from_secs_f64(at_s), Dice::new(&[1, ordinal]));
        kind.map(|kind| kind.name())
    }

    #[test]
    fn each_kind_of_when_picks_its_requests() {
        type Requests<'a> = &'a [(u64, f64)];
        let rows: [(When, Requests<'_>, Requests<'_>); 4] = [
            (When::Always, &[(0, 0.0), (99, 9.0)], &[]),
            (When::Next(2), &[(0, 0.0), (1, 50.0)], &[(2, 0.0)]),
            (
                When::At(vec![1, 3]),
                &[(1, 0.0), (3, 0.0)],
                &[(0, 0.0), (2, 0.0), (4, 0.0)],
            ),
            (When::Between(2.0, 3.0), &[(0, 2.0), (9, 2.9)], &[(0, 1.9), (0, 3.0)]),
        ];
        for (when, hit, missed) in rows {
            let faults = Faults::from([SimFault::new(FaultKind::Hang, when.clone())].as_slice());
            for &(ordinal, at_s) in hit {
                assert_eq!(drawn(&faults, ordinal, at_s), Some("hang"), "{when:?} {ordinal} {at_s}");
            }
            for &(ordinal, at_s) in missed {
                assert_eq!(drawn(&faults, ordinal, at_s), None, "{when:?} {ordinal} {at_s}");
            }
        }
    }

    #[test]
    fn chance_hits_about_as_often_as_it_says() {
        let faults = Faults::from([SimFault::random(0.1, FaultKind::Reset)].as_slice());
        let hits = (0..10_000).filter(|i| drawn(&faults, *i, 0.0).is_some()).count();
        assert!((900..1100).contains(&hits), "{hits}");
    }

    #[test]
    fn the_first_that_applies_is_played_and_an_injected_one_comes_first() {
        let both = [SimFault::next(1, FaultKind::Hang), SimFault::always(FaultKind::Reset)];
        let mut faults = Faults::from(both.as_slice());
        assert_eq!(
            [drawn(&faults, 0, 0.0), drawn(&faults, 1, 0.0)],
            [Some("hang"), Some("reset")]
        );
        faults.inject(SimFault::next(2, FaultKind::Html502), 5);
        let drawn_then = [4, 5, 6, 7].map(|ordinal| drawn(&faults, ordinal, 0.0));
        assert_eq!(
            drawn_then,
            [Some("reset"), Some("html502"), Some("html502"), Some("reset")]
        );
        faults.clear();
        assert_eq!(drawn(&faults, 5, 0.0), None);
    }
}
