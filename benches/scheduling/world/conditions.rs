//! What a world is like beside its fleet and its jobs.

use std::time::Duration;

/// Everything that a case may set; the rest is peace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// What of the truth the clients are told.
    pub(crate) told: Told,
    /// Clients that know nothing of each other, each with its part of the jobs.
    pub(crate) clients: usize,
    /// From a client to a deployment and back, in seconds.
    pub(crate) round_trip: f64,
    /// Mean of what the network adds to each way, in seconds.
    pub(crate) jitter: f64,
    /// What standard deployments write into Retry-After.
    pub(crate) retry_after: RetryAfter,
    /// What is left of standard deployments' quotas from 180 to 360 s.
    pub(crate) dip: f64,
    /// Length of the windows in which requests are counted, in seconds.
    pub(crate) request_window: f64,
    /// Whether refused requests count, too.
    pub(crate) counts_refused: bool,
    /// Refusals that have nothing to do with what was sent.
    pub(crate) noise: Option<Noise>,
    /// What happens to the first deployment.
    pub(crate) fault: Option<Fault>,
    /// The clients' `first_byte_timeout_s`.
    pub(crate) first_byte: f64,
}

/// What a client is told of the quotas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    Nothing,
    /// So many times the truth.
    Times(f64),
}

/// What a refusal names as the time to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RetryAfter {
    /// The truth, in whole seconds and rounded up.
    Honest,
    /// One second less, but one at least.
    Short,
    /// Always so many seconds.
    Always(u64),
}

/// Refusals for want of capacity, or by a count that is imprecise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// The part of all requests.
    pub(crate) part: f64,
    /// Seconds that each asks to wait.
    pub(crate) wait: f64,
}

/// A deployment that is out of order for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Seconds since the start.
    pub(crate) from: f64,
    /// Seconds since the start, or infinity.
    pub(crate) to: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FaultKind {
    /// It resets each connection as soon as a request has come, and at its beginning those that wait for an answer.
    Resets,
    /// It takes requests and says nothing any more.
    Hangs,
    /// What comes takes so many times as long.
    #[allow(dead_code)] // a test looks at it, and no case of the bench
    Slows(f64),
}

impl Conditions {
    /// Peace, and all is told.
    pub(crate) const PEACE: Conditions = Conditions {
        told: Told::Times(1.0),
        clients: 1,
        round_trip: 0.05,
        jitter: 0.0,
        retry_after: RetryAfter::Honest,
        dip: 1.0,
        request_window: 10.0,
        counts_refused: false,
        noise: None,
        fault: None,
        first_byte: 600.0,
    };
}

impl RetryAfter {
    /// What is written for that wait.
    pub(crate) fn write(self, wait: Duration) -> Duration {
        let seconds = (wait.as_nanos().div_ceil(1_000_000_000) as u64).max(1);
        Duration::from_secs(match self {
            RetryAfter::Honest => seconds,
            RetryAfter::Short => (seconds - 1).max(1),
            RetryAfter::Always(constant) => constant,
        })
    }
}

impl Fault {
    pub(crate) fn holds(&self, now: Duration) -> bool {
        (self.from..self.to).contains(&now.as_secs_f64())
    }
}
