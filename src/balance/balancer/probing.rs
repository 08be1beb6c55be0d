//! How long a job may find out whether an endpoint is back, and who is spared it.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use super::Balancer;
use super::pick::{Need, Target};
use crate::balance::endpoint::{Patience, Prospect, Readiness};
use crate::balance::{EndpointId, Role};

/// How long the slowest of a set takes for a job. Each that is due asks for it, and it takes a look at all of them: so it is
/// found out once for a decision, and only where somebody asks.
#[derive(Default)]
pub(super) struct Slowest {
    usual: OnceCell<Option<Duration>>,
    /// In seconds.
    expected: OnceCell<Option<f64>>,
}

impl Balancer {
    /// Whether a job's time would be over before it has been the probe of an endpoint in vain and is answered elsewhere.
    pub(super) fn is_hasty(&self, endpoint: EndpointId, need: &Need<'_>, slowest: &Slowest, now: Instant) -> bool {
        need.deadline.is_some_and(|deadline| {
            let prospect = self.prospect(endpoint, need, slowest, true);
            let first_byte = self.endpoints[endpoint.index()].patience_with(prospect).first_byte;
            deadline.saturating_duration_since(now) < first_byte + prospect.expected.unwrap_or_default()
        })
    }

    /// Whether a job can be the first at an endpoint where another could.
    pub fn may_go_first(&mut self, target: Target, need: &Need<'_>, now: Instant) -> bool {
        let Target { endpoint, role } = target;
        self.endpoints.readiness(endpoint.index(), need.operation, now) == Readiness::Now(role)
            && !(role == Role::Probe && self.is_hasty(endpoint, need, &Slowest::default(), now))
            && !self.has_home_elsewhere(endpoint, need, now)
            && (role == Role::Probe || self.has_room(endpoint, need, now))
    }

    /// How long a job may find out whether an endpoint is back.
    pub(super) fn patience(&mut self, endpoint: EndpointId, need: &Need<'_>, now: Instant) -> Patience {
        let others = self.sets.members(need.set).len();
        let others_serve = (0..others).any(|seat| {
            let member = self.sets.members(need.set)[seat];
            let index = member.index();
            let readiness = self.endpoints.readiness(index, need.operation, now);
            member != endpoint
                && matches!(readiness, Readiness::Now(Role::Regular | Role::Trial))
                && self.has_room(member, need, now)
        });
        let prospect = self.prospect(endpoint, need, &Slowest::default(), others_serve);
        self.endpoints[endpoint.index()].patience_with(prospect)
    }

    /// What is known of how long an endpoint needs for a job; while nothing is, of the slowest of the others.
    fn prospect(&self, endpoint: EndpointId, need: &Need<'_>, slowest: &Slowest, others_serve: bool) -> Prospect {
        let usual = |member: EndpointId| self.endpoints[member.index()].tallies.first_byte.quantile(0.99);
        let expected = |member: EndpointId| {
            let index = member.index();
            let answer = self.estimators[index].likely_answer(&need.size);
            self.paces[index].seconds_for(answer)
        };
        let members = || self.sets.members(need.set).iter().copied();
        let longest_usual = || *slowest.usual.get_or_init(|| members().filter_map(usual).max());
        let find_longest = || members().filter_map(expected).max_by(f64::total_cmp);
        let longest_expected = || *slowest.expected.get_or_init(find_longest);
        Prospect {
            others_serve,
            usual: usual(endpoint).or_else(longest_usual),
            expected: expected(endpoint)
                .or_else(longest_expected)
                .map(Duration::from_secs_f64),
            in_vain: 0,
            overlaps: false,
        }
    }
}
