//! How long a deployment takes to answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SimConfigError;
use super::error::LONGEST_S;
use crate::sim::dice::Dice;

/// How long a deployment takes: a time to the first token, then so many tokens a second.
///
/// The default answers at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Latency {
    /// Time to the first token, in milliseconds. Default 0.
    pub ttft_ms: f64,
    /// Spread of the time to the first token; see [`Spread`]. Default 0.
    pub ttft_jitter: f64,
    /// Speed after that, in tokens a second; none, the default: all at once.
    pub tokens_per_s: Option<f64>,
    /// Spread of the speed from request to request; see [`Spread`]. Default 0.
    pub jitter: f64,
    /// The distribution of both. Default lognormal.
    pub spread: Spread,
}

/// What a jitter of `j` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spread {
    /// Nothing: every request takes the same time.
    Constant,
    /// A factor between 1 − j and 1 + j.
    Uniform,
    /// A factor of median 1 whose logarithm has the deviation j: some take much longer, as in life.
    #[default]
    Lognormal,
}

impl Spread {
    /// A factor for one request, never negative.
    #[must_use]
    pub(crate) fn factor(self, jitter: f64, dice: &mut Dice) -> f64 {
        if jitter == 0.0 {
            return 1.0;
        }
        match self {
            Spread::Constant => 1.0,
            Spread::Uniform => (1.0 + jitter * (2.0 * dice.unit() - 1.0)).max(0.0),
            Spread::Lognormal => (jitter * dice.normal()).exp(),
        }
    }
}

/// How long one request takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Time to the first token.
    pub(crate) first: Duration,
    /// Seconds per token after that.
    per_token_s: f64,
}

impl Pace {
    /// When that many tokens have been made.
    pub(crate) fn after(&self, tokens: u64) -> Duration {
        self.first + Duration::from_secs_f64((self.per_token_s * tokens as f64).min(LONGEST_S))
    }
}

impl Latency {
    /// Always `ttft_ms` milliseconds, and the rest at once.
    #[must_use]
    pub fn fixed(ttft_ms: f64) -> Self {
        Latency {
            ttft_ms,
            ..Self::default()
        }
    }

    /// As a busy chat model feels: half a second to the first token, then 60 tokens a second, both lognormal with
    /// deviation 0.25.
    #[must_use]
    pub fn typical() -> Self {
        Latency {
            ttft_ms: 500.0,
            ttft_jitter: 0.25,
            tokens_per_s: Some(60.0),
            jitter: 0.25,
            spread: Spread::Lognormal,
        }
    }

    /// Sets the speed, in tokens a second.
    #[must_use]
    pub fn tokens_per_s(mut self, speed: f64) -> Self {
        self.tokens_per_s = Some(speed);
        self
    }

    /// Sets the spread of both the time to the first token and the speed.
    #[must_use]
    pub fn jitter(mut self, spread: Spread, jitter: f64) -> Self {
        self.spread = spread;
        self.ttft_jitter = jitter;
        self.jitter = jitter;
        self
    }

    /// The pace of one request.
    pub(crate) fn sample(&self, dice: &mut Dice) -> Pace {
        let first_s = self.ttft_ms / 1000.0 * self.spread.factor(self.ttft_jitter, dice);
        let per_token_s = match self.tokens_per_s {
            Some(speed) => self.spread.factor(self.jitter, dice) / speed,
            None => 0.0,
        };
        Pace {
            first: Duration::from_secs_f64(first_s.min(LONGEST_S)),
            per_token_s,
        }
    }

    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        SimConfigError::range(at("ttft_ms"), self.ttft_ms, 0.0, LONGEST_S * 1000.0)?;
        SimConfigError::range(at("ttft_jitter"), self.ttft_jitter, 0.0, 10.0)?;
        SimConfigError::range(at("jitter"), self.jitter, 0.0, 10.0)?;
        if let Some(speed) = self.tokens_per_s {
            SimConfigError::range(at("tokens_per_s"), speed, 0.001, 1e9)?;
        }
        Ok(())
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            ttft_ms: 0.0,
            ttft_jitter: 0.0,
            tokens_per_s: None,
            jitter: 0.0,
            spread: Spread::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_median_that_it_says() {
        for (spread, low, high) in [
            (Spread::Constant, 1.0, 1.0),
            (Spread::Uniform, 0.95, 1.05),
            (Spread::Lognormal, 0.95, 1.05),
        ] {
            let mut dice = Dice::new(&[1]);
            let mut factors: Vec<f64> = (0..2001).map(|_| spread.factor(0.5, &mut dice)).collect();
            factors.sort_by(f64::total_cmp);
            assert!((low..=high).contains(&factors[1000]), "{spread:?}: {}", factors[1000]);
            assert!(factors[0] >= 0.0, "{spread:?}");
        }
    }

    #[test]
    fn tokens_follow_the_first_one_at_the_given_speed() {
        let pace = Latency::fixed(100.0).tokens_per_s(50.0).sample(&mut Dice::new(&[]));
        assert_eq!(pace.first, Duration::from_millis(100));
        assert_eq!(pace.after(100), Duration::from_millis(2100));
        let at_once = Latency::default().sample(&mut Dice::new(&[]));
        assert_eq!(at_once.after(1000), Duration::ZERO);
    }
}
