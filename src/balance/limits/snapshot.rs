//! What a report shows of a limit.

use std::time::{Duration, Instant};

use super::belief::Form;
use super::limit::Limit;
use super::sku::Sku;
use crate::api::{LimitReport, QuotaForm};

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
    /// Requests under way, and the tokens that are reserved for them.
    pub reserved: (u64, f64),
    /// Requests that are admitted in [`Self::request_window`]; none while unknown.
    pub requests: Option<f64>,
    /// The window in which the service counts requests.
    pub request_window: Duration,
    /// Nothing is sent before, by the service's word.
    pub blocked_until: Option<Instant>,
    /// Nothing fits before, or nothing of the size that was asked for last and did not.
    pub full_until: Option<Instant>,
    /// Refusals so far, of any kind.
    pub refusals: u64,
    /// How many of a hundred recent requests were refused by nothing that was sent, where that is worth a word.
    pub noise_percent: Option<u32>,
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
    /// A copy of what is believed, for reports.
    pub fn snapshot(&self, now: Instant) -> LimitSnapshot {
        let closed_until = self.closed(now).map(|closed| closed.until());
        let now = self.moment(now);
        let gate = self.gate(now);
        let gated_until = (gate > now).then(|| self.instant(gate));
        let per_minute = |tokens: f64| tokens * 60.0 / self.length;
        let quota = Some(self.quota.tokens())
            .filter(|tokens| tokens.is_finite())
            .map(per_minute);
        let boundary = self.window.boundary();
        let used = match boundary {
            Some(boundary) if self.belief.form == Form::Window => {
                if now < boundary.reset {
                    self.window.used()
                } else {
                    0.0
                }
            }
            _ => self.sent.tokens_but_for_those_until(now - self.length),
        };
        LimitSnapshot {
            quota,
            configured: self.quota.configured().map(per_minute),
            is_trusted: self.quota.is_trusted(),
            form: self.form(),
            used,
            reserved: self.reserved,
            requests: self.requests.limit(),
            request_window: Duration::from_secs_f64(self.requests.span()),
            full_until: gated_until.max(closed_until),
            blocked_until: (self.block > now).then(|| self.instant(self.block)),
            refusals: self.refusals,
            noise_percent: self.doubts.noise_percent(),
            contradicted: self.contradiction(),
        }
    }

    /// How many of a hundred recent requests were refused by nothing that was sent, where that has not been said before.
    pub fn noise_news(&self) -> Option<u32> {
        self.doubts.noise_news()
    }

    /// It has been said.
    pub fn noise_told(&mut self, percent: u32) {
        self.doubts.noise_told(percent);
    }

    /// What was told and is not kept, if so.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let (told, believed) = (self.quota.ceiling(), self.quota.tokens());
        let per_minute = |tokens: f64| tokens * 60.0 / self.length;
        (!self.quota.is_trusted() && told.is_finite() && believed < told).then(|| Contradiction {
            told: per_minute(told),
            believed: per_minute(believed),
        })
    }

    /// Requests a second that are admitted for as long as work lasts, where each is charged so many tokens; infinite while
    /// nothing is known.
    pub fn pace(&self, charge: f64) -> f64 {
        let by_tokens = self.quota.tokens() / self.length / charge.max(1.0);
        let requests = self.requests.limit().unwrap_or(f64::INFINITY);
        by_tokens.min(requests / self.requests.span())
    }

    /// The form, once something has shown it.
    fn form(&self) -> Option<Form> {
        let is_shown = self.sku == Sku::Provisioned
            || self.belief.form != Form::Bucket
            || self.belief.bucket_is_proven
            || self.belief.evidence >= self.tuning.proof;
        is_shown.then_some(self.belief.form)
    }
}

impl LimitSnapshot {
    /// The same for a report that is made now.
    pub fn report(&self, now: Instant) -> LimitReport {
        // What the cast cannot hold, no limit is.
        let whole = |number: f64| number.round() as u64;
        LimitReport {
            quota_tpm: self.quota.map(whole),
            configured_tpm: self.configured.map(whole),
            contradicted_tpm: self.contradicted.map(|contradiction| whole(contradiction.told)),
            form: self.form.map(|form| match form {
                Form::Bucket => QuotaForm::Bucket,
                Form::Window => QuotaForm::Window,
                Form::Log => QuotaForm::Log,
            }),
            used_tokens: whole(self.used),
            window_requests: self.requests.map(whole),
            request_window: self.request_window,
            blocked: self.blocked_until.map(|until| until.saturating_duration_since(now)),
            full: self.full_until.map(|until| until.saturating_duration_since(now)),
            refusals: self.refusals,
            noise_percent: self.noise_percent,
        }
    }
}
