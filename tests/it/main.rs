//! Behaviour through the public API. Each module says what belongs in it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

/// The calls and what they return, against a scripted service.
mod calls;

/// Endpoints that fail in every known way.
#[cfg(feature = "sim")]
mod failures;

/// A callback or an event hook that panics, or that waits for its own worker.
#[cfg(feature = "sim")]
mod callbacks;
/// Jobs that are cancelled in the queue, under way, between two attempts and too late.
#[cfg(feature = "sim")]
mod cancel;
/// How a blaster ends: closed, drained or dropped, whatever is under way.
#[cfg(feature = "sim")]
mod closing;
/// Tens of thousands of jobs among endpoints that fail at random, audited against the journal.
#[cfg(feature = "sim")]
mod load;
/// What must not grow, however long it goes on.
#[cfg(feature = "sim")]
mod memory;
/// Which job goes next, job timeouts, and the ways to take results.
#[cfg(feature = "sim")]
mod order;
/// Very many endpoints and workers, very few, too many for the system, and none of them busy.
#[cfg(feature = "sim")]
mod scale;

/// What the tests against the simulator share.
#[cfg(feature = "sim")]
mod support;
