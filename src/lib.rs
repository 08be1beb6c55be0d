//! Sends a mountain of prompts through many Azure OpenAI deployments from plain threads.

pub mod api;
// More than the engine uses is `pub` inside: `internals` shows it.
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
mod balance;
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
mod clock;
pub mod config;
mod engine;
pub mod error;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "sim")]
pub mod sim;
pub mod testing;
pub mod transport;

pub use engine::{
    Blaster, Builder, Canceller, ChatStream, DrainReport, EndpointState, Event, JobHandle, JobSet, RawStream, RunAll,
};
