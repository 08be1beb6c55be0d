//! Behaviour through the public API. Each module says what belongs in it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

/// The calls and what they return, against a scripted service.
mod calls;

/// Endpoints that fail in every known way.
#[cfg(feature = "sim")]
mod failures;
#[cfg(feature = "sim")]
mod support;
