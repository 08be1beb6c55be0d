//! Time as the limiter counts it.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

/// Beyond this nothing is planned: a century, which every platform's clock can hold.
const FARTHEST: i64 = 100 * 366 * 86_400 * MICROS as i64;
const MICROS: f64 = 1e6;

/// A point in time, in whole microseconds since the limiter's start, before or after it.
///
/// Whole ones, so that "not before this moment" and "that moment has come" can never disagree about a last bit; seconds
/// are added as `f64` and rounded up. What is not finite counts as the farthest moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    /// Before everything that the limiter has seen.
    pub(super) const LONG_AGO: Moment = Moment(-FARTHEST);

    pub(super) fn of(now: Instant, start: Instant) -> Self {
        let since = now.saturating_duration_since(start);
        Moment(i64::try_from(since.as_micros()).map_or(FARTHEST, |micros| micros.min(FARTHEST)))
    }

    /// The same moment by the caller's clock; what lies before the start is the start.
    pub(super) fn instant(self, start: Instant) -> Instant {
        start + Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

impl Add<f64> for Moment {
    type Output = Moment;

    fn add(self, seconds: f64) -> Moment {
        // A billionth of a second is the noise of the sum, no reason to round it up.
        let micros = (seconds * MICROS - 1e-3).ceil() as i64;
        Moment(self.0.saturating_add(micros).clamp(-FARTHEST, FARTHEST))
    }
}

impl Sub<f64> for Moment {
    type Output = Moment;

    fn sub(self, seconds: f64) -> Moment {
        self + -seconds
    }
}

/// The seconds from the second to the first.
impl Sub for Moment {
    type Output = f64;

    fn sub(self, earlier: Moment) -> f64 {
        (self.0 - earlier.0) as f64 / MICROS
    }
}
