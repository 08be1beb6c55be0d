//! How long a deployment's answers are.

use serde::{Deserialize, Serialize};

use super::SimConfigError;
use crate::sim::dice::Dice;

/// How long answers are, in tokens, before a request's own limit cuts them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OutputLength {
    /// Mean, in tokens; 1 to 100,000. Default 24.
    pub mean_tokens: f64,
    /// Deviation of the logarithm (lognormal); 0, the default: every answer has the mean's length.
    pub spread: f64,
}

/// Longest answer that is ever made up, in tokens.
const LONGEST: f64 = 200_000.0;

impl OutputLength {
    /// Answers of exactly so many tokens.
    #[must_use]
    pub fn exactly(tokens: u32) -> Self {
        OutputLength {
            mean_tokens: f64::from(tokens),
            spread: 0.0,
        }
    }

    /// The length of one answer, at least one token.
    pub(crate) fn sample(&self, dice: &mut Dice) -> u64 {
        let length = if self.spread == 0.0 {
            self.mean_tokens
        } else {
            // The mean of a lognormal distribution is its median times exp(σ²/2).
            self.mean_tokens * (self.spread * dice.normal() - self.spread * self.spread / 2.0).exp()
        };
        length.round().clamp(1.0, LONGEST) as u64
    }

    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        SimConfigError::range(at("mean_tokens"), self.mean_tokens, 1.0, 100_000.0)?;
        SimConfigError::range(at("spread"), self.spread, 0.0, 5.0)
    }
}

impl Default for OutputLength {
    fn default() -> Self {
        OutputLength {
            mean_tokens: 24.0,
            spread: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_keeps_the_mean() {
        let length = OutputLength {
            mean_tokens: 300.0,
            spread: 0.8,
        };
        let mut dice = Dice::new(&[3]);
        let n = 20_000;
        let mean = (0..n).map(|_| length.sample(&mut dice)).sum::<u64>() as f64 / f64::from(n);
        assert!((mean - 300.0).abs() < 10.0, "{mean}");
    }
}
