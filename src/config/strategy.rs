//! What the strategies are called in a configuration file.

use serde::{Serialize, Serializer};

pub use crate::balance::Strategy;

impl Strategy {
    /// All strategies, the default first.
    pub const ALL: [Strategy; 6] = [
        Strategy::Weighted,
        Strategy::RoundRobin,
        Strategy::Priority,
        Strategy::Failover,
        Strategy::LeastLoaded,
        Strategy::TwoChoices,
    ];

    /// The strategy of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Weighted => "weighted",
            Strategy::RoundRobin => "round_robin",
            Strategy::Priority => "priority",
            Strategy::Failover => "failover",
            Strategy::LeastLoaded => "least_loaded",
            Strategy::TwoChoices => "two_choices",
        }
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
