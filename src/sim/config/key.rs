//! A key of the simulator.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key or token that the simulator accepts. `Debug` hides it; unlike a [`Secret`](crate::api::Secret) it is written
/// out when a configuration is serialised, because a made-up key has to reach the simulator's own process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SimKey(String);

impl SimKey {
    /// The key itself, for the client that is to use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SimKey {
    fn from(text: &str) -> Self {
        SimKey(text.to_owned())
    }
}

impl From<String> for SimKey {
    fn from(text: String) -> Self {
        SimKey(text)
    }
}

impl fmt::Debug for SimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimKey(hidden)")
    }
}
