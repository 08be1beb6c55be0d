//! A simulator of Azure OpenAI on loopback ports.
//!
//! ```
//! use azure_openai_blaster::sim::{FaultKind, SimConfig, SimDeployment, SimFault, SimFleet};
//! use azure_openai_blaster::{Blaster, BlasterConfig};
//!
//! // Two deployments: one with a quota, one whose first three requests fail with 500.
//! let fleet = SimFleet::start(SimConfig::new([
//!     SimDeployment::new("east").tpm(60_000).rpm(360),
//!     SimDeployment::new("west").fault(SimFault::next(3, FaultKind::Status { status: 500 })),
//! ]))?;
//! let config = BlasterConfig::from_json(&fleet.blaster_config_json())?;
//! let blaster = Blaster::builder().config(config).build()?;
//! for (_, result) in blaster.run_all(["one", "two", "three", "four"]) {
//!     result?; // answered, whatever fails at first
//! }
//! let answered = fleet.counters("east")?.succeeded + fleet.counters("west")?.succeeded;
//! assert_eq!(answered, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The simulator has two halves. The *model* ([`World`]) decides what is answered to a request, and when: a pure function of
//! its own state, the request, the time since the start and the seed, without sockets, clocks or threads. The *server* carries
//! that out. [`plan`] has the types between them. Most programs need [`SimFleet`] and [`config`] alone.
//!
//! # Reading order
//! 1. [`SimFleet`]: a world behind sockets, and what can be asked about it while it runs
//! 2. [`config`]: what a world is made of
//! 3. [`JournalEntry`] and [`Counters`]: who was asked what, and how it went
//! 4. [`World`]: routes, keys, quotas, faults, answers – in the order in which a request meets them; [`plan`]: what goes into
//!    it and what comes out
//! 5. [`limiter`]: how quotas are counted; usable alone, in virtual time

// Inside also: `reply`: bodies, streams, errors and headers as Azure writes them; `server`: sockets.

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
