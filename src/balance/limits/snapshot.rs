//! What a report shows of a limit.

use std::time::{Duration, Instant};

use super::belief::Form;
use super::limit::Limit;
use super::sku::Sku;

/// A limit at one moment, in tokens and requests as people know them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitSnapshot {
    /// Tokens a minute that are believed to be granted; none while unknown.
    pub quota: Option<f64>,
    /// Tokens a minute by the configuration.
    pub configured: Option<f64>,
    /// The quota was told, and nothing has contradicted it.
    pub is_trusted: bool,
    /// How the service is believed to count; none while nothing has shown it.
    pub form: Option<Form>,
    /// Tokens charged in the present window, or in the last one's length.
    pub used: f64,
    /// Requests that are admitted in [`Self::request_window`]; none while unknown.
    pub requests: Option<f64>,
    /// The window in which the service counts requests.
    pub request_window: Duration,
    /// Nothing is sent before, by the service's word.
    pub blocked_until: Option<Instant>,
    /// Refusals so far, of any kind.
    pub refusals: u64,
    /// What was told and what the service has shown instead.
    pub contradicted: Option<Contradiction>,
}

/// A limit that was told and that the service does not keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contradiction {
    /// Tokens a minute that were told.
    pub told: f64,
    /// Tokens a minute that are believed now.
    pub believed: f64,
}

impl Limit {
    /// Tokens a minute that are believed to be granted; none while unknown.
    pub fn quota(&self) -> Option<f64> {
        let quota = self.quota.tokens();
        quota.is_finite().then(|| quota * 60.0 / self.length)
    }

    /// A copy of what is believed, for reports.
    pub fn snapshot(&self, now: Instant) -> LimitSnapshot {
        let now = self.moment(now);
        let per_minute = |tokens: f64| tokens * 60.0 / self.length;
        let quota = Some(self.quota.tokens())
            .filter(|tokens| tokens.is_finite())
            .map(per_minute);
        let told = Some(self.quota.ceiling())
            .filter(|tokens| tokens.is_finite())
            .map(per_minute);
        let contradicted = match (told, quota) {
            (Some(told), Some(believed)) if !self.quota.is_trusted() && believed < told => {
                Some(Contradiction { told, believed })
            }
            _ => None,
        };
        let boundary = self.window.boundary();
        let used = match boundary {
            Some(boundary) if now >= boundary.reset => 0.0,
            Some(_) if self.belief.form == Form::Window => self.window.used(),
            _ => self.sent.tokens(),
        };
        LimitSnapshot {
            quota,
            configured: self.quota.configured().map(per_minute),
            is_trusted: self.quota.is_trusted(),
            form: self.form(),
            used,
            requests: self.requests.limit(),
            request_window: Duration::from_secs_f64(self.requests.span()),
            blocked_until: (self.block > now).then(|| self.instant(self.block)),
            refusals: self.refusals,
            contradicted,
        }
    }

    /// The form, once something has shown it.
    fn form(&self) -> Option<Form> {
        let is_shown = self.sku == Sku::Provisioned
            || self.belief.form == Form::Window
            || self.belief.bucket_is_proven
            || self.belief.evidence >= self.tuning.proof;
        is_shown.then_some(self.belief.form)
    }
}
