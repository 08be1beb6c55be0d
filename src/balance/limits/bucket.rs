//! One of the two models: a bucket that drains all the time.

use super::moment::Moment;

/// A leaky bucket of what the service has charged, as it would stand if the service counted that way.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Tokens in it, never negative.
    level: f64,
    /// Variance of the estimates in it that are not yet settled.
    variance: f64,
    drained: Moment,
}

/// The size of a bucket and how fast it drains; both follow the quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vessel {
    /// Tokens that it holds.
    pub(super) capacity: f64,
    /// Tokens that drain per second.
    pub(super) rate: f64,
}

/// More than this part of a model no job needs free: a larger one goes when the model is all but empty, and so does any
/// while estimates are open that may be off by more than that.
const LARGEST_PART: f64 = 0.95;

/// What must be free for a charge in a model that holds `capacity`, with `kept_free` for what estimates may be off.
pub(super) fn needed(tokens: f64, kept_free: f64, capacity: f64) -> f64 {
    (tokens + kept_free).min(LARGEST_PART * capacity)
}

impl Bucket {
    pub(super) fn new(now: Moment) -> Self {
        Bucket {
            level: 0.0,
            variance: 0.0,
            drained: now,
        }
    }

    pub(super) fn level(&self) -> f64 {
        self.level
    }

    pub(super) fn set_level(&mut self, level: f64) {
        self.level = level.max(0.0);
    }

    /// The standard deviation of what is in it and a further charge of this variance.
    pub(super) fn deviation(&self, variance: f64) -> f64 {
        (self.variance + variance).sqrt()
    }

    /// Time passes; no rate is known while the quota is not.
    pub(super) fn drain(&mut self, rate: Option<f64>, now: Moment) {
        if let Some(rate) = rate {
            self.level = (self.level - (now - self.drained) * rate).max(0.0);
        }
        self.drained = now;
    }

    pub(super) fn add(&mut self, tokens: f64, variance: f64) {
        self.level += tokens;
        self.variance += variance;
    }

    /// An estimate of this variance turns out to have been `more` tokens.
    pub(super) fn correct(&mut self, more: f64, variance: f64) {
        self.set_level(self.level + more);
        self.variance = (self.variance - variance).max(0.0);
    }

    /// When a charge fits below the capacity, with `margin` deviations kept free.
    pub(super) fn fits_at(&self, tokens: f64, variance: f64, vessel: Vessel, margin: f64, now: Moment) -> Moment {
        self.admits_at(
            needed(tokens, margin * self.deviation(variance), vessel.capacity),
            vessel,
            now,
        )
    }

    /// When the level is under the brim, however large the next charge: how provisioned deployments admit.
    pub(super) fn under_brim_at(&self, vessel: Vessel, margin: f64, now: Moment) -> Moment {
        self.admits_at(needed(0.0, margin * self.deviation(0.0), vessel.capacity), vessel, now)
    }

    fn admits_at(&self, needed: f64, vessel: Vessel, now: Moment) -> Moment {
        let over = self.level + needed - vessel.capacity;
        if over <= 0.0 {
            return now;
        }
        // A microsecond more: then the level is below, not at, whatever the rounding.
        now + (over / vessel.rate + 1e-6)
    }
}
