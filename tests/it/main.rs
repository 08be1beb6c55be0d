//! Behaviour through the public API. Each module says what belongs in it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

/// The calls and what they return, against a scripted service.
mod calls;

/// A server that answers with given bytes.
#[cfg(feature = "sim")]
mod canned;
/// Refusals for want of quota.
#[cfg(feature = "sim")]
mod cooldowns;
/// Endpoints that fail in every known way.
#[cfg(feature = "sim")]
mod failures;
/// Endpoints that fail, hang and die, and come back.
#[cfg(feature = "sim")]
mod health;
/// Requests that every endpoint answers with an error.
#[cfg(feature = "sim")]
mod poison;
/// Which deployment a request goes to, and what a deployment is held to.
#[cfg(feature = "sim")]
mod routing;
/// Where a key may go.
#[cfg(feature = "sim")]
mod security;
/// Answers that come as streams.
#[cfg(feature = "sim")]
mod streaming;
#[cfg(feature = "sim")]
mod support;
/// What reaches the wire, and what comes back of it.
#[cfg(feature = "sim")]
mod wire_fields;
