//! A simulator of Azure OpenAI on loopback ports.

pub mod plan;

mod fleet_error;
mod journal;
mod server;
mod settings;

pub use fleet_error::FleetError;
pub use journal::{Counters, End, JournalEntry, JournalView, Mark, Totals};
pub use server::Death;
pub use settings::{DEFAULT_JOURNAL_CAPACITY, DEFAULT_MAX_BODY, FleetSettings};
