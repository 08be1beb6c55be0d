//! What can be wrong with a world's configuration.

use std::fmt;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimConfigError {
    /// It is no JSON, or a key is unknown, missing or of another type. The cause names line and column.
    #[error("reading the simulator's configuration: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A value is out of its range or does not fit the others.
    #[error("the simulator's configuration: {key}: {allowed} is needed, not {value}")]
    Value {
        /// The path of the key, e.g. `deployments[0].limits.tpm`.
        key: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: String,
    },
}

impl SimConfigError {
    /// The error for a value; `value` is shown in its `Debug` form.
    pub(crate) fn value(key: impl Into<String>, value: impl fmt::Debug, allowed: impl Into<String>) -> Self {
        SimConfigError::Value {
            key: key.into(),
            value: format!("{value:?}"),
            allowed: allowed.into(),
        }
    }

    /// Checks that a number is finite and from `low` to `high`, both allowed.
    pub(crate) fn range(key: String, value: f64, low: f64, high: f64) -> Result<(), Self> {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Self::value(
            key,
            format_args!("{value}"),
            format!("a number from {low} to {high}"),
        ))
    }
}

/// Longest time that a configuration may name, in seconds: a year.
pub(crate) const LONGEST_S: f64 = 31_536_000.0;
