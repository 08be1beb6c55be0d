//! Instants in eight bytes.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// A moment since the engine was started, in nanoseconds, one added so that `Option<Moment>` needs no more room:
/// an [`Instant`] takes sixteen bytes and its `Option` as many, three of which stand in every waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

/// Translates between the two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    pub(crate) fn new(start: Instant) -> Self {
        Epoch(start)
    }

    /// `at` as a moment; before the start counts as the start, after 584 years as then.
    pub(crate) fn moment(self, at: Instant) -> Moment {
        let nanos = u64::try_from(at.saturating_duration_since(self.0).as_nanos()).unwrap_or(u64::MAX - 1);
        Moment(NonZeroU64::MIN.saturating_add(nanos))
    }

    pub(crate) fn instant(self, moment: Moment) -> Instant {
        self.0 + Duration::from_nanos(moment.0.get() - 1)
    }
}

impl Moment {
    /// When the engine was started.
    pub(crate) const START: Moment = Moment(NonZeroU64::MIN);

    /// Time from `earlier` to this moment; zero where it is later.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn an_instant_survives_the_round_trip() {
        let start = clock::now();
        let epoch = Epoch::new(start);
        for nanos in [0, 1, 999_999_999, 86_400_000_000_000] {
            let at = start + Duration::from_nanos(nanos);
            assert_eq!(epoch.instant(epoch.moment(at)), at);
        }
        assert_eq!(
            epoch.moment(start).since(epoch.moment(start + Duration::from_secs(1))),
            Duration::ZERO
        );
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
