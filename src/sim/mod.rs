//! A simulator of Azure OpenAI on loopback ports.
//!
//! It is in two halves. The *model* ([`World`]) decides what is answered to a request, and when: a pure function of
//! its own state, the request, the time since the start and the seed, without sockets, clocks or threads. The *server*
//! carries that out. Between them stands [`plan`].
//!
//! # Reading order
//! 1. [`config`]: what a world is made of
//! 2. [`plan`]: what goes in and what comes out
//! 3. [`World`]: routes, keys, quotas, faults, answers – in the order in which a request meets them
//! 4. [`limiter`]: how quotas are counted; usable alone, in virtual time
//! 5. `reply`: bodies, streams, errors and headers as Azure writes them

pub mod config;
pub mod limiter;
pub mod plan;

mod answer;
mod cache;
mod deployment;
mod dice;
mod faults;
mod gate;
mod reply;
mod request;
mod schema;
mod spoil;
mod world;

#[cfg(test)]
mod tests;

pub use config::{
    CostModel, DEFAULT_KEY, FaultKind, FilterMode, Latency, OutputLength, Poison, RateHeaders, RefusalFamily, Refusals,
    RetryAfter, SimConfig, SimConfigError, SimDeployment, SimFault, SimKey, SimOperation, Sku, Spread, When,
};
pub use deployment::DeploymentSummary;
pub use limiter::{Dip, LimiterForm, Limits};
pub use world::{World, WorldSummary};
