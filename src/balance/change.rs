//! News about an endpoint.

use std::sync::Arc;
use std::time::Instant;

use crate::api::Condition;

/// What changed, for the log and the listeners; the caller tells them.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// What it is now.
    pub condition: Condition,
    /// Why.
    pub reason: Option<String>,
    /// Until when, where that is known.
    pub until: Option<Instant>,
}
