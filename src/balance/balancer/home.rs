//! Jobs that are better off at one place, or can go to one place only.

use std::time::Instant;

use super::Balancer;
use super::pick::{Need, Target};
use crate::balance::affinity::{AffinityKey, Candidate};
use crate::balance::endpoint::Readiness;
use crate::balance::grade::Grade;
use crate::balance::responses::ResponseKey;
use crate::balance::set::SetId;
use crate::balance::{EndpointId, Role, Strategy};

impl Balancer {
    /// The endpoint has stored this response.
    pub fn stored(&mut self, response: ResponseKey, endpoint: EndpointId) {
        self.responses.stored(response, endpoint);
    }

    /// Who of the set may serve a request about this response: whoever has stored it, alone, and where nobody is known
    /// to, or that one does not belong to the set, everybody.
    pub fn set_for(&mut self, response: ResponseKey, set: SetId) -> SetId {
        let Some(endpoint) = self.responses.holder(response) else {
            return set;
        };
        if !self.includes(set, endpoint) {
            return set;
        }
        let strategy = self.settings.strategy;
        self.sets
            .alone(endpoint, &self.specs, &self.settings.groups, strategy, &mut self.rng)
    }

    /// By what a job is kept at one place, if by anything.
    pub(super) fn key(&self, need: &Need<'_>) -> Option<AffinityKey> {
        // Whoever wants the first that is ready wants no other one.
        need.affinity.filter(|_| self.settings.strategy != Strategy::Failover)
    }

    /// Where a conversation goes, of the members with this grade.
    pub(super) fn place(&mut self, key: AffinityKey, set: SetId, grade: Grade) -> Option<EndpointId> {
        let members = self.sets.members(set).iter().zip(&self.grades);
        let with_grade = members.filter(|(_, other)| **other == grade);
        self.candidates.clear();
        self.candidates.extend(with_grade.map(|(&endpoint, _)| Candidate {
            endpoint,
            weight: self.specs[endpoint.index()].weight,
            in_flight: self.endpoints[endpoint.index()].in_flight(),
        }));
        self.affinity.place(key, set, &self.candidates)
    }

    /// A job goes there, and its conversation with it: what comes next finds its beginning cached.
    pub(super) fn note_place(&mut self, target: Target, need: &Need<'_>) {
        // A probe is made on behalf of all, and says nothing about where its job is better off.
        if target.role == Role::Probe {
            return;
        }
        if let Some(key) = self.key(need) {
            let members = self.sets.members(need.set).iter();
            let everybody = members.map(|&member| (member, self.specs[member.index()].weight));
            self.affinity.settle_at(target.endpoint, key, need.set, everybody);
        }
    }

    /// Whether a job is at home at another endpoint, which could take it now.
    pub(super) fn has_home_elsewhere(&mut self, endpoint: EndpointId, need: &Need<'_>, now: Instant) -> bool {
        let Some(key) = self.key(need) else {
            return false;
        };
        let members = self.sets.members(need.set).iter();
        let everybody = members.map(|&member| (member, self.specs[member.index()].weight));
        let Some(home) = self.affinity.home(key, need.set, everybody) else {
            return false;
        };
        let index = home.index();
        let readiness = self.endpoints.readiness(index, need.operation, now);
        home != endpoint
            && matches!(readiness, Readiness::Now(Role::Regular | Role::Trial))
            && !need.job.has_failed_at(home)
            && self.has_room(home, need, now)
    }
}
