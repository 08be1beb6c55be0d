//! Latencies in a few hundred counters.

use std::time::Duration;

/// Buckets per doubling: neighbours differ by 2^(1/8), so a percentile is at most 9 % above the truth.
const PER_OCTAVE: u32 = 8;
/// From 0.1 ms …
const SMALLEST: f64 = 1e-4;
/// … over 24 doublings to 28 minutes; what is longer counts in the last bucket.
const BUCKETS: usize = 24 * PER_OCTAVE as usize;
/// With so many entries all counts are halved: what is shown is the recent past.
const FULL: u32 = 8_192;

/// A histogram of durations that forgets slowly.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u16; BUCKETS],
    total: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: [0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, time: Duration) {
        if self.total >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|&count| u32::from(count)).sum();
        }
        let octaves = (time.as_secs_f64() / SMALLEST).max(1.0).log2();
        let bucket = ((octaves * f64::from(PER_OCTAVE)) as usize).min(BUCKETS - 1);
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// The duration that the part `q` (0 to 1) of the entries does not exceed, rounded up to its bucket's end;
    /// none where nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let rank = ((f64::from(self.total) * q).ceil() as u32).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|&count| {
            seen += u32::from(count);
            seen >= rank
        })?;
        Some(Duration::from_secs_f64(
            SMALLEST * 2f64.powf((bucket + 1) as f64 / f64::from(PER_OCTAVE)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_tenth_above_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (q, truth) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let shown = histogram.quantile(q).unwrap().as_secs_f64();
            assert!(shown >= truth && shown < truth * 1.1, "q {q}: {shown}");
        }
    }

    #[test]
    fn the_past_fades() {
        let mut histogram = Histogram::default();
        (0..8_000).for_each(|_| histogram.record(Duration::from_secs(10)));
        (0..40_000).for_each(|_| histogram.record(Duration::from_millis(10)));
        assert!(histogram.quantile(0.9).unwrap() < Duration::from_millis(12));
    }

    #[test]
    fn zero_and_for_ever_have_a_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert!(histogram.quantile(1.0).unwrap() > Duration::from_secs(1000));
    }
}
