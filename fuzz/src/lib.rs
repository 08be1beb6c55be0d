//! What each fuzz target does with its input. `tests/fuzz.rs` does it too, with the seeds alone, so that a target that
//! does not compile or hold any more is noticed without a fuzzer.

pub mod classify;
pub mod config;
pub mod sse;
