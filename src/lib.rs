//! Sends a mountain of prompts through many Azure OpenAI deployments from plain threads.

pub mod api;
// `pub` inside is for `internals`.
#[allow(unreachable_pub)]
mod balance;
pub mod clock;
pub mod config;
mod engine;
pub mod error;
#[cfg(feature = "sim")]
pub mod sim;
pub mod testing;
pub mod transport;

pub use engine::{
    Blaster, Builder, Canceller, ChatStream, DrainReport, EndpointState, Event, JobHandle, JobSet, RawStream, RunAll,
};
