//! Behaviour through the public API. Each module says what belongs in it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

/// The calls and what they return, against a scripted service.
mod calls;

/// Endpoints that fail in every known way.
#[cfg(feature = "sim")]
mod failures;
/// Which deployment a request goes to, and what a deployment is held to.
#[cfg(feature = "sim")]
mod routing;
#[cfg(feature = "sim")]
mod support;
