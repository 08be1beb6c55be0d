//! What the endpoints of a set say to a job.

use std::time::{Duration, Instant};

use super::Balancer;
use super::pick::Need;
use crate::balance::endpoint::Readiness;
use crate::balance::grade::Grade;
use crate::balance::quotas::Allowed;
use crate::balance::{EndpointId, JobState, Role};

/// What the endpoints of a set say to a job.
pub(super) struct Survey {
    /// A probe of it is due.
    pub(super) probe: Option<EndpointId>,
    /// A probe of it is due, and the job's time would end with the probe's.
    pub(super) hurried: Option<EndpointId>,
    /// A probe of it is due, and the job has had a 500 there: another one finds out better, for this one may be at
    /// fault itself.
    pub(super) reluctant: Option<EndpointId>,
    /// The best place of those that are ready.
    pub(super) best: Grade,
    /// Whether something under way may let it go sooner than `earliest`.
    pub(super) settles: bool,
    /// Whether somebody who is not ready is expected to be.
    pub(super) hope: bool,
    /// When the first of them is, as far as that is known.
    pub(super) earliest: Option<Instant>,
    /// Where the job has not failed and may go later: none for "no such", some for "when a place is free or …".
    pub(super) elsewhere: Option<Option<Instant>>,
}

impl Default for Survey {
    fn default() -> Self {
        Survey {
            probe: None,
            hurried: None,
            reluctant: None,
            best: Grade::AWAY,
            settles: false,
            hope: false,
            earliest: None,
            elsewhere: None,
        }
    }
}

impl Survey {
    #[inline]
    fn add(&mut self, member: EndpointId, readiness: Readiness, job: &JobState, haste: impl FnOnce() -> bool) {
        match readiness {
            Readiness::Now(Role::Probe) if job.suspects_endpoint(member) => {
                self.reluctant = self.reluctant.or(Some(member));
            }
            Readiness::Now(Role::Probe) if haste() => self.hurried = self.hurried.or(Some(member)),
            Readiness::Now(Role::Probe) => self.probe = self.probe.or(Some(member)),
            Readiness::Now(Role::Regular | Role::Trial) => {}
            Readiness::At(at) => {
                self.hope = true;
                self.earliest = sooner(self.earliest, Some(at));
                if !job.has_failed_at(member) {
                    self.elsewhere = Some(sooner(self.elsewhere.flatten(), Some(at)));
                }
            }
            Readiness::OnSettle => {
                self.hope = true;
                self.settles = true;
                if !job.has_failed_at(member) {
                    self.elsewhere = Some(self.elsewhere.flatten());
                }
            }
            Readiness::Refuses(at) => self.earliest = sooner(self.earliest, at),
        }
    }
}

impl Balancer {
    /// Asks each endpoint of the set whether it is ready and its quota has room, lets cooldowns end that are over, and
    /// notes in `grades` how good a place each is.
    pub(super) fn survey(&mut self, need: &Need<'_>, now: Instant) -> Survey {
        let mut found = Survey::default();
        self.grades.clear();
        self.has_gaps = false;
        for &member in self.sets.members(need.set) {
            let index = member.index();
            let endpoint = &mut self.endpoints[index];
            // The usual case, found out without the rest: this loop is most of what the engine's lock is held for.
            let mut readiness = if endpoint.is_at_ease(self.caps[index], now) {
                Readiness::Now(Role::Regular)
            } else {
                if endpoint.refresh(self.caps[index], now) {
                    self.changes.push(endpoint.change(&self.specs[index].name));
                }
                found.settles |= endpoint.may_go_on(now);
                endpoint.readiness(need.operation, self.caps[index], now)
            };
            let mut grade = Grade::AWAY;
            if let Readiness::Now(Role::Regular | Role::Trial) = readiness {
                let charge = || self.estimators[index].charge(&need.size);
                // Whose time may end meanwhile is better served slowly than not at all.
                let held = self.end.holds(member, now).filter(|_| need.deadline.is_none());
                let allowed = match held {
                    Some(until) => Allowed::At(until),
                    None => self.quotas.allow(member, charge, now),
                };
                if let Allowed::At(at) = allowed {
                    self.tiers.found_full(member, now);
                    // The service's word is certain, and so is the pace of requests. What is under way may give room
                    // back, or be confirmed.
                    found.settles |= self.specs[index].is_provisioned()
                        || need.deadline.is_some()
                            && (self.quotas.awaits_confirmation(member)
                                || endpoint.in_flight() > 0 && !self.quotas.is_gated(member, now));
                    self.has_gaps |= self.quotas.is_in_windows(member);
                    readiness = Readiness::At(at);
                } else {
                    grade = self.tiers.standing(member, now).with(need.job.record_at(member));
                    if allowed == Allowed::AsTest {
                        grade = grade.as_test();
                    }
                }
            }
            found.settles |= matches!(readiness, Readiness::At(_)) && endpoint.rests_by_hand(now);
            self.grades.push(grade);
            found.best = found.best.min(grade);
            let haste = || need.ends_within(endpoint.probe_first_byte(), now);
            found.add(member, readiness, need.job, haste);
        }
        found
    }
}

impl Need<'_> {
    /// Whether its time is over before `limit` is.
    fn ends_within(&self, limit: Duration, now: Instant) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.saturating_duration_since(now) < limit)
    }
}

/// The earlier of two instants, of which none is never.
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
