//! Which endpoint, when, and whether again: functions of state, event, time and chance.
//!
//! **Nothing here waits, locks, sends or reads a clock**, so that the same code runs under worker threads in the
//! engine and under virtual time in the simulation. Reading order:
//!
//! 1. [`balancer`]: the three calls `pick`, `admitted`, `settle`
//! 2. `endpoint`: the states of one endpoint, as a table
//! 3. [`ring`]: whose turn it is
//! 4. [`outcome`]: what a reply came to
//! 5. [`size`] and [`estimator`]: how large a request is, and what it will be charged

pub use balancer::{
    BalanceSettings, Balancer, EndpointSpec, GiveUp, Need, Pick, ReplyHead, SetId, Snapshot, Unavailable, Verdict,
};
pub use charge::Charge;
pub use endpoint::{Change, HealthSettings};
#[allow(unused_imports)] // what asks it is on its way
pub use estimator::{Estimator, LimitAdvice, PromptError};
pub use job::JobState;
pub use lease::{Lease, Role};
#[cfg(feature = "tiktoken")]
pub use size::Vocabulary;
pub use size::{JobSize, Output};

pub mod backoff;
pub mod balancer;
pub mod charge;
pub mod classify;
pub mod endpoint;
pub mod estimator;
pub mod histogram;
pub mod job;
pub mod lease;
pub mod outcome;
pub mod retry_after;
pub mod ring;
#[cfg(test)]
mod scenario;
pub mod size;
#[cfg(test)]
mod tests;

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

/// In which order endpoints are tried; who is not ready is passed over by all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By their weights, spread smoothly.
    #[default]
    Weighted,
    /// One after the other, whatever their weights.
    RoundRobin,
}
