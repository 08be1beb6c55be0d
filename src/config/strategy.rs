//! How an endpoint is chosen among those that are ready.

use serde::{Serialize, Serializer};

/// The order in which ready endpoints are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// By `weight`, spread smoothly: of weights 3 and 1 every fourth request goes to the second.
    #[default]
    Weighted,
    /// Each in turn, whatever its weight.
    RoundRobin,
    /// The lowest `priority` that is ready; those of one priority share by `weight`.
    Priority,
    /// The lowest `priority` that is ready, and of one priority the first in the list: the others wait for its failure.
    Failover,
    /// The one with the most room left, by its limits and its requests in flight.
    LeastLoaded,
    /// The one with more room of two that are drawn at random.
    TwoChoices,
}

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
