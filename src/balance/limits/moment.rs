//! Time as the limiter counts it.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

/// Beyond this nothing is planned: a century, which every platform's clock can hold.
const FARTHEST: i64 = 100 * 366 * 86_400 * MICROS as i64;
const MICROS: f64 = 1e6;

/// A point in time, in whole microseconds since the limiter's start, before or after it.
///
/// Whole ones, so that "not before this moment" and "that moment has come" can never disagree about a last bit; seconds
/// are added as `f64` and rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    /// Before everything that the limiter has seen.
    pub(super) const LONG_AGO: Moment = Moment(-FARTHEST);

    pub(super) fn of(now: Instant, start: Instant) -> Self {
        let since = now.saturating_duration_since(start);
        let whole = i64::try_from(since.as_secs())
            .unwrap_or(FARTHEST)
            .saturating_mul(1_000_000);
        Moment(whole.saturating_add(since.subsec_micros().into()).min(FARTHEST))
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
        let micros = ceil(seconds * MICROS - 1e-3);
        Moment(self.0.saturating_add(micros).clamp(-FARTHEST, FARTHEST))
    }
}

/// `number` rounded up; the nearest that there is where it is out of range, and zero where it is none. The library's own
/// is a call where the processor is not known to have an instruction for it.
fn ceil(number: f64) -> i64 {
    let whole = number as i64;
    whole.saturating_add(i64::from((whole as f64) < number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back_as_the_instant_it_was() {
        let start = Instant::now();
        for micros in [0, 1, 36_100_000, 86_400_000_000, 3_000_000_000_000_001] {
            let instant = start + Duration::from_micros(micros);
            assert_eq!(Moment::of(instant, start).instant(start), instant);
        }
    }

    #[test]
    fn sums_are_rounded_up_but_for_the_noise_of_fractions() {
        let start = Instant::now();
        let zero = Moment::of(start, start);
        assert_eq!(zero + 0.1 + 0.2, zero + 0.3);
        assert_eq!(zero + 5.1 + 31.0 - 1.0, zero + 35.1);
        assert_eq!(zero + 1e-7, zero + 1e-6);
        assert_eq!((zero + 2.5) - (zero + 1.0), 1.5);
    }

    #[test]
    fn what_is_rounded_up_is_what_the_library_makes_of_it() {
        let some = [
            0.0,
            0.5,
            1.0,
            1e-300,
            1.5e9,
            4e15 + 0.5,
            1e16,
            9.3e18,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ];
        for number in some.into_iter().flat_map(|number| [number, -number]) {
            assert_eq!(ceil(number), number.ceil() as i64, "{number}");
        }
    }

    #[test]
    fn what_is_not_finite_is_far_away_and_no_more() {
        let start = Instant::now();
        let zero = Moment::of(start, start);
        assert!(zero + f64::INFINITY > zero + 1e9);
        assert_eq!(zero + f64::NAN, zero);
        assert_eq!(Moment::LONG_AGO + f64::NEG_INFINITY, Moment::LONG_AGO);
        assert!((zero + f64::INFINITY).instant(start) > start);
        assert_eq!(Moment::LONG_AGO.instant(start), start);
    }
}
