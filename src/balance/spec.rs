//! What the balancer is told once: its endpoints and its settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Strategy;
use super::limits::LimitSpec;

/// One deployment, as far as the balancer cares.
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// For reasons and reports.
    pub name: Arc<str>,
    /// The host that it is at: where no host is ever reached, this machine is offline.
    pub host: Arc<str>,
    /// Share, 1 or more.
    pub weight: u32,
    /// Public model names it answers for.
    pub serves: Vec<Arc<str>>,
    /// Most requests under way; none for what `weight` and the number of workers give.
    pub max_in_flight: Option<u32>,
    /// Tier, lower ones first.
    pub tier: u32,
    /// Its own limit; none for none at all, which nothing is learnt of either.
    pub limit: Option<LimitSpec>,
    /// The group that it draws from beside, by position in [`BalanceSettings::groups`].
    pub group: Option<usize>,
    /// Most tokens of an answer, which is added to requests that set no limit.
    pub default_limit: Option<u32>,
    /// Why it cannot be used at all, if so; [`Balancer::enable`](super::Balancer::enable) does not change that.
    pub unavailable: Option<String>,
}

impl EndpointSpec {
    /// An endpoint of weight 1 in tier 1, without any limit.
    pub fn new(name: impl Into<Arc<str>>, serves: Vec<Arc<str>>) -> Self {
        let name = name.into();
        EndpointSpec {
            host: Arc::clone(&name),
            name,
            weight: 1,
            serves,
            max_in_flight: None,
            tier: 1,
            limit: None,
            group: None,
            default_limit: None,
            unavailable: None,
        }
    }

    /// The most tokens that it grants in a window, by its configuration; none where that has no bound.
    pub(super) fn grants(&self, groups: &[LimitSpec]) -> Option<u64> {
        let group = self.group.and_then(|group| groups.get(group));
        let limits = self.limit.iter().chain(group);
        limits.filter_map(LimitSpec::grants).min()
    }

    /// Its part of the turns.
    pub(super) fn turns(&self, strategy: Strategy) -> u32 {
        match strategy {
            Strategy::Weighted | Strategy::Priority => self.weight,
            Strategy::RoundRobin | Strategy::Failover | Strategy::LeastLoaded | Strategy::TwoChoices => 1,
        }
    }
}

/// The balancer's settings.
#[derive(Clone, Debug)]
pub struct BalanceSettings {
    /// The order in which endpoints are tried.
    pub strategy: Strategy,
    /// Threads in the pool: most requests under way.
    pub workers: u32,
    /// Failed attempts after which a job is given up.
    pub max_attempts: u32,
    /// When an endpoint is taken out.
    pub health: HealthSettings,
    /// Limits that endpoints share.
    pub groups: Vec<LimitSpec>,
    /// The first instant that there is.
    pub start: Instant,
    /// Seed of shuffle and jitter.
    pub seed: u64,
}

/// What limits an endpoint's patience.
#[derive(Clone, Copy, Debug)]
pub struct HealthSettings {
    /// Failures in a row that take an endpoint out.
    pub threshold: u32,
    /// A longer wait named by the service disables the endpoint.
    pub cooldown_max: Duration,
}
