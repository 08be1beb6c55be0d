//! A simulator of Azure OpenAI on loopback ports.

pub mod plan;

mod journal;
mod server;

pub use journal::{Counters, End, JournalEntry, JournalView, Mark, Totals};
pub use server::Death;
