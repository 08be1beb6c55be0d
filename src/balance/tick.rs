//! Instants in eight bytes, for what is looked at hundreds of times under the engine's lock.

use std::time::{Duration, Instant};

/// Nanoseconds since the balancer's start. What lies before counts as the start, and what lies 584 years after it as
/// [`Tick::NEVER`], so that of two ticks the smaller is always the earlier instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

/// Translates between the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Tick {
    /// Nothing is earlier.
    pub(super) const START: Tick = Tick(0);
    /// Nothing is later.
    pub(super) const NEVER: Tick = Tick(u64::MAX);
}

impl Ticks {
    pub(super) fn new(start: Instant) -> Self {
        Ticks(start)
    }

    #[inline]
    pub(super) fn tick(self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(self.0);
        let whole = since.as_secs().checked_mul(1_000_000_000);
        let all = whole.and_then(|whole| whole.checked_add(since.subsec_nanos().into()));
        all.map_or(Tick::NEVER, Tick)
    }

    /// The tick that comes back as this very instant; none where there is no such.
    pub(super) fn exact(self, at: Instant) -> Option<Tick> {
        let tick = self.tick(at);
        (at >= self.0 && tick != Tick::NEVER).then_some(tick)
    }

    #[inline]
    pub(super) fn instant(self, tick: Tick) -> Instant {
        self.0 + Duration::from_nanos(tick.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn an_instant_comes_back_as_it_was_or_is_said_to_have_no_tick() {
        let start = ManualClock::new().now() + Duration::from_secs(10);
        let ticks = Ticks::new(start);
        for nanos in [0, 1, 999_999_999, 86_400_000_000_001] {
            let at = start + Duration::from_nanos(nanos);
            assert_eq!(ticks.exact(at).map(|tick| ticks.instant(tick)), Some(at));
        }
        let (before, late) = (
            start - Duration::from_secs(1),
            start + Duration::from_secs(20_000_000_000),
        );
        assert_eq!((ticks.tick(before), ticks.tick(late)), (Tick::START, Tick::NEVER));
        assert_eq!((ticks.exact(before), ticks.exact(late)), (None, None));
    }
}
