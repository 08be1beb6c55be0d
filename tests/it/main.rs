//! Behaviour through the public API. Each module says what belongs in it.

/// The calls and what they return, against a scripted service.
mod calls;
