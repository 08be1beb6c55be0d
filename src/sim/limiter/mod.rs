//! How quotas are counted: a pure function of state, request and time.
//!
//! Two kinds of deployments, as in Azure's documents and in captures:
//!
//! - **Standard**: requests are counted in short windows, tokens in a tumbling window with a phase of its own, in a
//!   leaky bucket of one window's quota, or in a sliding log of the last window's length, as Microsoft's own simulator
//!   and gateways in between do. What is charged on admission stands, whatever the answer used.
//! - **Provisioned**: a leaky bucket of half a window that admits while its level is under the brim, whatever the
//!   request's size, and is corrected to what was used when the answer is out.
//!
//! [`Limiter::admit`] says yes, or how long the same request would be refused; nothing waits, and times are given as
//! [`Duration`]s since the start.

use std::time::Duration;

pub use limits::{Dip, LimiterForm, Limits};

use super::config::LONGEST_S;
use bucket::Bucket;
use sliding_log::SlidingLog;
use window::Window;

mod bucket;
mod limits;
mod sliding_log;
mod window;

/// The count of one quota.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Limits,
    requests: Window,
    tokens: Tokens,
}

/// How tokens are counted.
#[derive(Clone, Debug)]
enum Tokens {
    Window(Window),
    Bucket(Bucket),
    Log(SlidingLog),
    Provisioned(Bucket),
}

/// An admitted request's charge, to be given back to [`Limiter::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a charge is settled when the answer is out"]
#[non_exhaustive]
pub struct Admitted {
    /// Tokens that were charged.
    pub tokens: u64,
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// How long the same request would be refused if nothing else were sent. A window promises no more than that it
    /// will be a new one; a request larger than the whole quota is refused then, too.
    pub wait: Duration,
    /// What is exhausted.
    pub axis: LimitAxis,
}

/// What is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitAxis {
    /// Requests per window.
    Requests,
    /// Tokens per window.
    Tokens,
    /// The throughput of a provisioned deployment.
    Throughput,
}

/// How a quota stands, for headers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Standing {
    /// Tokens, where they are limited.
    pub tokens: Option<Axis>,
    /// Requests, where they are limited.
    pub requests: Option<Axis>,
    /// Utilisation of a provisioned deployment; 1 is full, and more occurs.
    pub utilisation: Option<f64>,
}

/// How one axis of a quota stands.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Axis {
    /// What is allowed per minute.
    pub limit: u64,
    /// What is left of the present window.
    pub remaining: u64,
    /// Time until all of it is there again; zero where nothing is used.
    pub reset: Duration,
    /// Length of the window.
    pub period: Duration,
}

impl Limiter {
    /// The count of a standard deployment or of a quota group. `phase` is when the first windows end, where `limits`
    /// does not say.
    #[must_use]
    pub fn standard(limits: &Limits, phase: Duration) -> Self {
        let length = Duration::from_secs_f64(limits.window_s);
        let phase = limits.phase_s.map_or(phase, Duration::from_secs_f64);
        Limiter {
            requests: Window::new(Duration::from_secs_f64(limits.request_window_s), phase),
            tokens: match limits.form {
                LimiterForm::Window => Tokens::Window(Window::new(length, phase)),
                LimiterForm::Bucket => Tokens::Bucket(Bucket::default()),
                LimiterForm::Log => Tokens::Log(SlidingLog::new(length)),
            },
            limits: limits.clone(),
        }
    }

    /// The count of a provisioned deployment; without a token limit it admits everything. Request limits mean nothing
    /// here.
    #[must_use]
    pub fn provisioned(limits: &Limits) -> Self {
        Limiter {
            requests: Window::new(Duration::from_secs_f64(limits.request_window_s), Duration::ZERO),
            tokens: Tokens::Provisioned(Bucket::default()),
            limits: Limits {
                rpm: None,
                ..limits.clone()
            },
        }
    }

    /// Charges a request of so many tokens, or says why not.
    ///
    /// # Errors
    /// [`Refused`], in which case nothing was charged, but for the request itself where refused ones count.
    pub fn admit(&mut self, tokens: u64, now: Duration) -> Result<Admitted, Refused> {
        match self.judge(tokens, now) {
            Ok(()) => Ok(self.charge(tokens, now)),
            Err(refused) => {
                self.refused(now);
                Err(refused)
            }
        }
    }

    /// Corrects the charge of a provisioned deployment to what was used, now that the answer is out; on standard ones
    /// the charge stands.
    pub fn settle(&mut self, admitted: Admitted, actual: u64, now: Duration) {
        let level = self.level(now);
        if let Tokens::Provisioned(bucket) = &mut self.tokens {
            bucket.set(level - admitted.tokens as f64 + actual as f64, now);
        }
    }

    /// Whether a request of so many tokens would be admitted.
    ///
    /// # Errors
    /// [`Refused`] where it would not.
    pub fn judge(&self, tokens: u64, now: Duration) -> Result<(), Refused> {
        let refusals = [self.requests_refused(now), self.tokens_refused(tokens, now)];
        // Where both are exhausted the longer wait is told, as Microsoft's own simulator does.
        match refusals.into_iter().flatten().max_by_key(|refused| refused.wait) {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// Why one more request would be refused, if it would.
    fn requests_refused(&self, now: Duration) -> Option<Refused> {
        let full = self.requests.used(now) + 1.0 > self.requests_per_window()?;
        full.then(|| Refused {
            wait: self.requests.rest(now),
            axis: LimitAxis::Requests,
        })
    }

    /// Why so many tokens more would be refused, if they would.
    fn tokens_refused(&self, tokens: u64, now: Duration) -> Option<Refused> {
        let capacity = self.capacity(now)?;
        let rate = drain_per_second(&self.limits, now);
        let refused = |wait, axis| Some(Refused { wait, axis });
        match &self.tokens {
            Tokens::Window(window) if window.used(now) + tokens as f64 > capacity => {
                refused(window.rest(now), LimitAxis::Tokens)
            }
            Tokens::Bucket(_) if self.level(now) + tokens as f64 > capacity => refused(
                time((self.level(now) + tokens as f64 - capacity) / rate),
                LimitAxis::Tokens,
            ),
            Tokens::Log(log) if log.used(now) + tokens as f64 > capacity => {
                let over = log.used(now) + tokens as f64 - capacity;
                refused(log.rest(over, now), LimitAxis::Tokens)
            }
            // A millisecond more than the brim needs: it must be under, not at it.
            Tokens::Provisioned(_) if self.level(now) >= capacity => {
                refused(time((self.level(now) - capacity) / rate + 0.001), LimitAxis::Throughput)
            }
            _ => None,
        }
    }

    /// Charges a request that was judged to be admitted.
    pub(crate) fn charge(&mut self, tokens: u64, now: Duration) -> Admitted {
        self.requests.add(1.0, now);
        let level = self.level(now);
        match &mut self.tokens {
            Tokens::Window(window) => window.add(tokens as f64, now),
            Tokens::Bucket(bucket) | Tokens::Provisioned(bucket) => bucket.set(level + tokens as f64, now),
            Tokens::Log(log) => log.add(tokens as f64, now),
        }
        Admitted { tokens }
    }

    /// Notes a refused request.
    pub(crate) fn refused(&mut self, now: Duration) {
        if self.limits.count_refused {
            self.requests.add(1.0, now);
        }
    }

    /// How the quota stands.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        let capacity = self.capacity(now);
        let requests = self.limits.rpm.zip(self.requests_per_window()).map(|(rpm, allowed)| {
            let used = self.requests.used(now);
            Axis {
                limit: rpm,
                remaining: (allowed - used).max(0.0) as u64,
                reset: if used > 0.0 {
                    self.requests.rest(now)
                } else {
                    Duration::ZERO
                },
                period: self.requests.length(),
            }
        });
        let tokens = self.limits.tpm.zip(capacity).map(|(tpm, capacity)| {
            let (used, reset) = match &self.tokens {
                Tokens::Window(window) => (window.used(now), window.rest(now)),
                Tokens::Log(log) => (log.used(now), log.rest(f64::INFINITY, now)),
                Tokens::Bucket(_) | Tokens::Provisioned(_) => {
                    let level = self.level(now);
                    (level, time(level / drain_per_second(&self.limits, now)))
                }
            };
            Axis {
                limit: (tpm as f64 * self.limits.factor(now)) as u64,
                remaining: (capacity - used).max(0.0) as u64,
                reset: if used > 0.0 { reset } else { Duration::ZERO },
                period: Duration::from_secs_f64(self.limits.window_s),
            }
        });
        match self.tokens {
            Tokens::Provisioned(_) => Standing {
                tokens: None,
                requests: None,
                utilisation: capacity.map(|capacity| self.level(now) / capacity),
            },
            Tokens::Window(_) | Tokens::Bucket(_) | Tokens::Log(_) => Standing {
                tokens,
                requests,
                utilisation: None,
            },
        }
    }

    /// Requests allowed in a window: in proportion, but always one.
    fn requests_per_window(&self) -> Option<f64> {
        let rpm = self.limits.rpm? as f64;
        Some((rpm * self.limits.request_window_s / 60.0).max(1.0))
    }

    /// Tokens that fit now. The brim of a provisioned deployment is half a window's, and a dip lowers its drain only.
    fn capacity(&self, now: Duration) -> Option<f64> {
        let per_window = self.limits.tpm? as f64 * self.limits.window_s / 60.0;
        Some(match self.tokens {
            Tokens::Window(_) | Tokens::Bucket(_) | Tokens::Log(_) => per_window * self.limits.factor(now),
            Tokens::Provisioned(_) => per_window / 2.0,
        })
    }

    /// The level of a bucket; 0 for the other forms.
    fn level(&self, now: Duration) -> f64 {
        match (&self.tokens, self.limits.tpm) {
            (Tokens::Bucket(bucket) | Tokens::Provisioned(bucket), Some(tpm)) => {
                bucket.level(self.limits.weighted_seconds(bucket.since(), now) * tpm as f64 / 60.0)
            }
            _ => 0.0,
        }
    }
}

/// Tokens that drain in a second.
fn drain_per_second(limits: &Limits, now: Duration) -> f64 {
    limits.tpm.map_or(f64::INFINITY, |tpm| tpm as f64 / 60.0) * limits.factor(now)
}

/// Seconds as a time, at most a year: what takes longer is as good as never, and sums of times must not overflow.
fn time(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_S))
}

#[cfg(test)]
mod tests;
