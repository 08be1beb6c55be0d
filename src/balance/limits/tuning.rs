//! The limiter's constants, in one place for experiments.

/// How daring the limiter is. The defaults were found by draining backlogs of thousands of jobs in a simulated world:
/// through fleets of three to eight deployments, with limits told rightly, wrongly and not at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Window: standard deviations of the estimates not yet settled that are kept free.
    pub window_margin: f64,
    /// Bucket: the same. A refusal there teaches less than one that names a window's end, so it is avoided more.
    pub bucket_margin: f64,
    /// Share of each quota that is never used, for what the service rounds.
    pub slack: f64,
    /// Seconds by which a request's arrival may move against a boundary of the service.
    pub jitter: f64,
    /// Least number of seconds without a refusal after which a send counts as admitted.
    pub silence: f64,
    /// Confirmed trials after which the believed model needs no further ones.
    pub proof: u32,
    /// Share of the quota that may be under way unconfirmed at first. After a surprise it is one request; it doubles with
    /// each round of confirmations.
    pub share: f64,
    /// Quota unknown: sends that may be unconfirmed at first; later a quarter of those confirmed.
    pub slow_start: u32,
    /// Trials under way at once while the end of a window is sought.
    pub seekers: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            window_margin: 2.0,
            bucket_margin: 3.0,
            slack: 0.001,
            jitter: 0.05,
            silence: 0.3,
            proof: 16,
            share: 0.25,
            slow_start: 16,
            seekers: 4,
        }
    }
}
