//! Which endpoint, when, and whether again: functions of state, event, time and chance.
//!
//! **Nothing here waits, locks, sends or reads a clock**, so that the same code runs under worker threads in the
//! engine and under virtual time in the simulation.

pub mod classify;
pub mod envelope;
pub mod outcome;
pub mod retry_after;
