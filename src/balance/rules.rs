//! Rules of scheduling that the bench can do without, to show what each is worth.
//!
//! A rule earns its place where its absence moves a figure: `cargo bench --features internals,sim --bench scheduling --
//! --without NAME` prints the table as it is without it, and docs/BENCHMARKS.md has the differences of all. Nothing else
//! switches a rule off: without the feature `internals` there is no switch.

#[cfg(feature = "internals")]
use std::sync::atomic::{AtomicU32, Ordering};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A sliding log is believed where a refusal names its time.
    SlidingLog,
    /// A refusal for a short time is doubted until those that were sent after it are heard of.
    Doubts,
    /// Only a request of about the same size says whether a refusal was noise.
    WitnessSize,
    /// A refusal for a few milliseconds says little of a limit.
    BriefWaits,
    /// Two lone refusals tell a rate only where what was admitted between them fits a bucket of that rate.
    Contradiction,
    /// From the third refusal in a row on, our own back-off is added to the wait that is named.
    Escalation,
    /// One request that a bucket would refuse and a window admit tells which it is.
    Test,
    /// One request above a learnt quota finds out whether there is more.
    Raise,
    /// A lowered quota of a bucket grows again little by little.
    Growth,
    /// So does a lowered limit on requests.
    RequestGrowth,
    /// A refusal just after a window's boundary says that it opened late.
    ClockShift,
    /// The rest of a burst that found its window full says how large the quota is.
    RestOfBurst,
    /// Only a part of the quota may be under way unconfirmed.
    Allowance,
    /// What is left of a window takes another job where the oldest does not fit.
    Backfill,
    /// Provisioned deployments take the jobs that reserve much and use little.
    Matching,
}

#[cfg(feature = "internals")]
static OFF: AtomicU32 = AtomicU32::new(0);

impl Rule {
    /// Every rule, with the name that the bench knows it by.
    pub const ALL: [(&'static str, Rule); 15] = [
        ("sliding-log", Rule::SlidingLog),
        ("doubts", Rule::Doubts),
        ("witness-size", Rule::WitnessSize),
        ("brief-waits", Rule::BriefWaits),
        ("contradiction", Rule::Contradiction),
        ("escalation", Rule::Escalation),
        ("test", Rule::Test),
        ("raise", Rule::Raise),
        ("growth", Rule::Growth),
        ("request-growth", Rule::RequestGrowth),
        ("clock-shift", Rule::ClockShift),
        ("rest-of-burst", Rule::RestOfBurst),
        ("allowance", Rule::Allowance),
        ("backfill", Rule::Backfill),
        ("matching", Rule::Matching),
    ];

    /// Whether it is kept to.
    #[cfg(feature = "internals")]
    #[inline]
    pub fn is_on(self) -> bool {
        OFF.load(Ordering::Relaxed) & self.bit() == 0
    }

    /// Whether it is kept to: always.
    #[cfg(not(feature = "internals"))]
    #[inline]
    pub const fn is_on(self) -> bool {
        true
    }

    /// From now on, in the whole process, it is as if it were not there.
    #[cfg(feature = "internals")]
    pub fn switch_off(self) {
        OFF.fetch_or(self.bit(), Ordering::Relaxed);
    }

    #[cfg(feature = "internals")]
    fn bit(self) -> u32 {
        1 << self as u32
    }
}
