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
}
