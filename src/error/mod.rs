//! What can go wrong.

pub use config::{ConfigError, Problem};

pub mod config;
pub mod fault;
