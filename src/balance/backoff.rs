//! How long an endpoint, or a job, rests when nobody has named a time.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Rest after a first failure, and after a first refusal that names no delay. Doubles with each further one.
///
/// Source: the base of the Python package that this one replaces.
pub const BASE: Duration = Duration::from_secs(1);

/// Longest rest that the back-off itself gives.
pub const CAP: Duration = Duration::from_secs(30);

/// 1, 2, 4 … 30 s after the first, second, third … of a row (`row` counts from 1).
pub fn doubled(row: u32) -> Duration {
    doubled_from(BASE, row)
}

/// The same from another base.
pub fn doubled_from(base: Duration, row: u32) -> Duration {
    base.saturating_mul(1u32.checked_shl(row.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(CAP)
}

/// [`doubled`], shortened by up to a quarter at random, so that many clients do not come back at one moment.
pub fn jittered(row: u32, rng: &mut impl Rng) -> Duration {
    doubled(row).mul_f64(1.0 - 0.25 * rng.random::<f64>())
}

/// Shortest rest of a job that this machine had no connection for.
pub const SHORT_BASE: Duration = Duration::from_millis(50);

/// Longest one: another worker may have a connection for it.
pub const SHORT_CAP: Duration = Duration::from_millis(400);

/// 50, 100, 200 ms … up to `cap` after the first, second, third … lack (`count` starts at 1), shortened by up to a half
/// at random: hundreds meet it in the same moment.
pub fn short(count: u32, cap: Duration, rng: &mut impl Rng) -> Duration {
    let doubled = SHORT_BASE.saturating_mul(1u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(cap).mul_f64(1.0 - 0.5 * rng.random::<f64>())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn the_rest_doubles_from_one_second_to_thirty() {
        let seconds: Vec<u64> = (1..=7).map(|row| doubled(row).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(doubled(u32::MAX), CAP);
    }

    #[test]
    fn jitter_takes_off_a_quarter_at_most() {
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..1000 {
            let rest = jittered(3, &mut rng);
            assert!(
                rest > Duration::from_secs(3) && rest <= Duration::from_secs(4),
                "{rest:?}"
            );
        }
    }
}
