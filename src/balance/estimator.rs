//! What requests are charged at one endpoint, learnt from what they turn out to use.

use super::JobSize;
use super::limits::Charge;
use super::outcome::Used;

/// Estimates for one endpoint.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// Actual ÷ estimated tokens of a prompt: mean and variance.
    bias: f64,
    spread: f64,
    answers: u64,
}

impl Default for Estimator {
    fn default() -> Self {
        Estimator {
            bias: 1.0,
            spread: 0.0033,
            answers: 0,
        }
    }
}

impl Estimator {
    /// What a request of this size will be charged.
    #[inline]
    pub fn charge(&self, size: JobSize) -> Charge {
        let prompt = f64::from(size.prompt());
        Charge {
            tokens: self.bias * prompt + self.charged_output(size),
            variance: self.spread * prompt * prompt,
            prompt,
        }
    }

    /// Tokens that are charged for the answer on admission.
    pub fn charged_output(&self, size: JobSize) -> f64 {
        size.max_output().map_or(500.0, f64::from)
    }

    /// Learns from an answer.
    pub fn learn(&mut self, size: JobSize, used: Used) {
        let (Some(prompt), estimated @ 1..) = (used.prompt, size.prompt()) else {
            return;
        };
        self.answers += 1;
        let ratio = f64::from(prompt) / f64::from(estimated);
        let weight = (1.0 / (self.answers as f64 + 20.0)).max(0.01);
        self.bias += (ratio - self.bias) * weight;
        self.spread += ((ratio - self.bias).powi(2) - self.spread) * weight;
    }
}
