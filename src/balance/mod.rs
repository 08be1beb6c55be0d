//! Which endpoint, when, and whether again: functions of state, event, time and chance.
//!
//! **Nothing here waits, locks, sends or reads a clock**, so that the same code runs under worker threads in the
//! engine and under virtual time in the simulation. Reading order:
//!
//! 1. [`balancer`]: the three calls `pick`, `admitted`, `settle`
//! 2. `endpoint`: the states of one endpoint, as a table
//! 3. `verdict`: what becomes of a job
//! 4. `set` and [`ring`]: who may serve a job, and whose turn it is; `shares`: how many at once
//! 5. [`outcome`]: what a reply came to
//! 6. [`affinity`] and [`responses`]: what is better off, or can only be served, where something went before
//! 7. [`size`] and [`estimator`]: how large a request is, and what it will be charged
//! 8. [`limits`]: how much of its quota an endpoint has left

pub use advice::WorkerAdvice;
pub use balancer::{Balancer, Need, Opening, Pick, ReplyHead, Target, Unavailable};
pub use change::Change;
pub use endpoint::SignedIn;
pub use estimator::{Estimator, LimitAdvice};
pub use job::JobState;
pub use lease::{Lease, Role};
pub use outages::Absent;
pub use remark::Remark;
pub use set::SetId;
#[cfg(feature = "tiktoken")]
pub use size::Vocabulary;
pub use size::{JobSize, Measured, Names, Output};
pub use snapshot::Snapshot;
pub use spec::{BalanceSettings, EndpointSpec, HealthSettings};
pub use strategy::Strategy;
pub use verdict::{GiveUp, Verdict};

pub mod advice;
pub mod affinity;
pub mod backoff;
pub mod balancer;
mod change;
pub mod classify;
mod contradictions;
mod endpoint;
pub mod estimator;
mod grade;
pub mod histogram;
pub mod job;
pub mod lease;
// Not called yet: the balancer is to ask it before it sends.
#[allow(dead_code)]
pub mod limits;
mod outages;
pub mod outcome;
mod pace;
mod quotas;
mod recent;
mod remark;
mod remedy;
pub mod responses;
pub mod retry_after;
pub mod ring;
pub mod rules;
#[cfg(test)]
mod scenario;
mod set;
mod shares;
pub mod size;
mod snapshot;
mod spec;
mod strategy;
#[cfg(test)]
mod tests;
mod tick;
mod tiers;
mod verdict;
mod watched_endpoints;
mod watched_limits;

/// The position of an endpoint in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(u32);

impl EndpointId {
    /// The endpoint at `index` of the configuration.
    pub fn at(index: usize) -> Self {
        EndpointId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Its position in the configuration.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
