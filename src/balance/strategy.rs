//! How an endpoint is chosen among those that are ready.

/// The order in which ready endpoints are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// By `weight`, spread smoothly: of weights 3 and 1 every fourth request goes to the second.
    #[default]
    Weighted,
    /// Each in turn, whatever its weight.
    RoundRobin,
    /// By tiers, lowest `priority` first; inside a tier by weight. (Tiers hold for every strategy: this one says so.)
    Priority,
    /// The first that is ready, by tiers and then in the order of the configuration.
    Failover,
    /// The one that has used the least of its quota.
    LeastLoaded,
    /// Of two drawn at random the one that has used less of its quota.
    TwoChoices,
}
