//! In which words and with which headers a deployment refuses for want of quota.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a 429 looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Refusals {
    /// Which of the six families of texts; none, the default: `reached`, and `provisioned` on provisioned deployments.
    pub family: Option<RefusalFamily>,
    /// What the `retry-after` headers say.
    pub retry_after: RetryAfter,
}

/// The six families of 429 bodies that were seen in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalFamily {
    /// a: `RateLimitReached`, "have exceeded the token rate limit for your current OpenAI S0 pricing tier"
    Reached,
    /// b: `429`, "Requests to the ChatCompletions_Create Operation under …"
    Operation,
    /// c: `429`, "Rate limit is exceeded. Try again in 2 seconds."
    Gateway,
    /// d: `rate_limit_exceeded`, type `too_many_requests`, no number of seconds
    Exceeded,
    /// e: `rate_limit_reached`, "throughput limit on your Provisioned-Managed deployment"
    Provisioned,
    /// f: `NoCapacity`, with plenty of quota left
    NoCapacity,
}

impl RefusalFamily {
    /// All six.
    pub const ALL: [RefusalFamily; 6] = [
        RefusalFamily::Reached,
        RefusalFamily::Operation,
        RefusalFamily::Gateway,
        RefusalFamily::Exceeded,
        RefusalFamily::Provisioned,
        RefusalFamily::NoCapacity,
    ];
}

/// What the headers of a 429 say about the time to wait, for a limiter that knows the true one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetryAfter {
    /// The truth: standard deployments `retry-after` in whole seconds, rounded up; provisioned ones that and
    /// `retry-after-ms`.
    #[default]
    Honest,
    /// Both headers, on standard deployments too.
    Both,
    /// The truth as an HTTP date.
    Date,
    /// A second less than the truth, at least one.
    Short,
    /// Always so many seconds, whatever the truth; 86,400 is what free and exhausted subscriptions see.
    Seconds(u32),
    /// The trap `retry-after-ms: 0` beside `retry-after: 1`.
    ZeroMs,
    /// The trap of limits and remainders of −1, a reset of 0 and no `retry-after`.
    Unlimited,
    /// No header about limits at all, and no number in the text where its family can do without.
    Silent,
}

impl RetryAfter {
    /// The time that a client is told, where it is told one. `exact` is how long the limiter would refuse the same
    /// request; `provisioned` deployments say it in milliseconds, others in whole seconds, both rounded up.
    #[must_use]
    pub fn told(self, exact: Duration, provisioned: bool) -> Option<Duration> {
        let seconds = Duration::from_secs(whole_seconds(exact));
        match self {
            RetryAfter::Honest | RetryAfter::Both if provisioned => {
                Some(Duration::from_millis(exact.as_nanos().div_ceil(1_000_000).max(1) as u64))
            }
            RetryAfter::Honest | RetryAfter::Both | RetryAfter::Date => Some(seconds),
            RetryAfter::Short => Some(
                seconds
                    .saturating_sub(Duration::from_secs(1))
                    .max(Duration::from_secs(1)),
            ),
            RetryAfter::Seconds(fixed) => Some(Duration::from_secs(fixed.into())),
            RetryAfter::ZeroMs => Some(Duration::from_secs(1)),
            RetryAfter::Unlimited | RetryAfter::Silent => None,
        }
    }
}

/// Seconds, rounded up, at least one.
pub(crate) fn whole_seconds(exact: Duration) -> u64 {
    (exact.as_secs() + u64::from(exact.subsec_nanos() > 0)).max(1)
}

/// Which `x-ratelimit-*` headers a standard deployment sends; provisioned ones never send any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RateHeaders {
    /// Limits, remainders, resets and renewal periods, as measured in 2026.
    #[default]
    Full,
    /// Without renewal periods, as documented.
    Documented,
    /// Limits and remainders of −1, resets of 0.
    Unlimited,
    /// None.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_as_each_variant_has_it() {
        let ms = Duration::from_millis;
        let rows = [
            (RetryAfter::Honest, 1400, false, Some(2000)),
            (RetryAfter::Honest, 2000, false, Some(2000)),
            (RetryAfter::Honest, 0, false, Some(1000)),
            (RetryAfter::Honest, 1400, true, Some(1400)),
            (RetryAfter::Honest, 0, true, Some(1)),
            (RetryAfter::Both, 1400, false, Some(2000)),
            (RetryAfter::Date, 1400, true, Some(2000)),
            (RetryAfter::Short, 5400, false, Some(5000)),
            (RetryAfter::Short, 400, false, Some(1000)),
            (RetryAfter::Seconds(86_400), 400, false, Some(86_400_000)),
            (RetryAfter::ZeroMs, 30_000, false, Some(1000)),
            (RetryAfter::Unlimited, 30_000, false, None),
            (RetryAfter::Silent, 30_000, true, None),
        ];
        for (form, exact, provisioned, told) in rows {
            assert_eq!(
                form.told(ms(exact), provisioned),
                told.map(ms),
                "{form:?} {exact} ms, provisioned: {provisioned}"
            );
        }
    }
}
