//! A simulator of Azure OpenAI on loopback ports.
//!
//! It is in two halves. The *model* ([`World`]) decides what is answered to a request, and when: a pure function of
//! its own state, the request, the time since the start and the seed, without sockets, clocks or threads. The *server*
//! carries that out. Between them stands [`plan`].
//!
//! # Reading order
//! 1. [`SimFleet`]: a world behind sockets, and what can be asked about it while it runs
//! 2. [`config`]: what a world is made of
//! 3. [`plan`]: what goes in and what comes out
//! 4. [`World`]: routes, keys, quotas, faults, answers – in the order in which a request meets them
//! 5. [`limiter`]: how quotas are counted; usable alone, in virtual time
//! 6. `reply`: bodies, streams, errors and headers as Azure writes them
//! 7. `server`: sockets; `journal`: who was asked what, and how it went

pub mod config;
pub mod limiter;
pub mod plan;

mod answer;
mod cache;
mod deployment;
mod dice;
mod faults;
mod fleet;
mod fleet_error;
mod gate;
mod journal;
mod reply;
mod request;
mod schema;
mod server;
mod settings;
mod spoil;
mod usage;
mod world;

#[cfg(test)]
mod tests;

pub use config::{
    CostModel, DEFAULT_KEY, FaultKind, FilterMode, Latency, OutputLength, Poison, RateHeaders, RefusalFamily, Refusals,
    RetryAfter, SimConfig, SimConfigError, SimDeployment, SimFault, SimKey, SimOperation, Sku, Spread, When,
};
pub use deployment::DeploymentSummary;
pub use fleet::{SimEndpoint, SimFleet};
pub use fleet_error::FleetError;
pub use journal::{Counters, End, JournalEntry, JournalView, Mark, Totals};
pub use limiter::{Dip, LimiterForm, Limits};
pub use server::Death;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use server::request::{RequestsRead, read_requests};
pub use settings::{DEFAULT_JOURNAL_CAPACITY, DEFAULT_MAX_BODY, FleetSettings};
pub use world::{World, WorldSummary};
