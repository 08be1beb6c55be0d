//! Where a job goes: the answer, and how it is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::Balancer;
use super::survey::Survey;
use crate::api::Operation;
use crate::balance::affinity::AffinityKey;
use crate::balance::endpoint::Readiness;
use crate::balance::grade::{Grade, Record};
use crate::balance::quotas::Allowed;
use crate::balance::set::{Set, SetId};
use crate::balance::{EndpointId, JobSize, JobState, Lease, Role, Strategy};

/// What a job needs of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// Who may serve it.
    pub set: SetId,
    /// What is asked.
    pub operation: &'a Operation,
    /// Where it has failed before: such endpoints are avoided while another is ready.
    pub job: &'a JobState,
    /// When its time is over, if ever: one with too little left for a probe is spared it while another endpoint is ready.
    pub deadline: Option<Instant>,
    /// How large it is.
    pub size: JobSize,
    /// What it has in common with others that are best served at the same place, if anything.
    pub affinity: Option<AffinityKey>,
}

/// The answer to "where does this job go now?"
#[derive(Debug)]
pub enum Pick<T = Lease> {
    /// There, now.
    Send(T),
    /// Nowhere before this instant (unless something changes first).
    WaitUntil(Instant),
    /// Nowhere before something that is under way ends.
    WaitForSettle,
    /// This job nowhere before something that is under way ends, or before the instant: it has failed at all that are
    /// ready, and is better off with one that is merely busy. Other jobs of the same need may go.
    WaitElsewhere(Option<Instant>),
    /// This job nowhere within its time: the first that could take it can do so at this instant.
    TooLate(Instant),
    /// This job nowhere ever: it is larger than what any endpoint that serves it grants in a whole window, so many
    /// tokens at most.
    TooLarge(u64),
    /// Nowhere: every endpoint that serves it is disabled.
    Never(Unavailable),
}

/// Where a job could go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// There.
    pub endpoint: EndpointId,
    /// As this.
    pub role: Role,
}

/// Whether somebody could go to an endpoint where something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Now.
    Now,
    /// Not before this instant.
    At(Instant),
    /// Not before something else changes.
    Never,
}

/// Why no endpoint can serve a job, and none is expected to soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Name of each eligible endpoint, and its reason; shared, since a whole backlog may end for them.
    pub reasons: Arc<[(Arc<str>, String)]>,
    /// Whether all of them last until somebody changes something.
    pub lasts: bool,
}

impl Balancer {
    /// Where a job with this need goes now: [`Balancer::choose`], and [`Balancer::take`] at once.
    pub fn pick(&mut self, need: &Need<'_>, now: Instant) -> Pick {
        match self.choose(need, now) {
            Pick::Send(target) => Pick::Send(self.take(target, need, now)),
            Pick::WaitUntil(at) => Pick::WaitUntil(at),
            Pick::WaitForSettle => Pick::WaitForSettle,
            Pick::WaitElsewhere(at) => Pick::WaitElsewhere(at),
            Pick::TooLate(at) => Pick::TooLate(at),
            Pick::TooLarge(most) => Pick::TooLarge(most),
            Pick::Never(why) => Pick::Never(why),
        }
    }

    /// Where a job with this need could go now. Nothing is promised by that: what is sent there is to be
    /// [taken](Balancer::take) under the same `now`.
    ///
    /// A due probe goes before everything else (an endpoint that is back is worth one delayed job, though not one that
    /// the delay would end). Of the ready endpoints, those of the best [`Grade`] take turns by the strategy.
    pub fn choose(&mut self, need: &Need<'_>, now: Instant) -> Pick<Target> {
        if let Some(most) = self.sets.grants(need.set)
            && need.size.at_least() > most
        {
            return Pick::TooLarge(most);
        }
        let found = self.survey(need, now);
        let probe = |endpoint| {
            let role = Role::Probe;
            Pick::Send(Target { endpoint, role })
        };
        // Its last attempt is not made where it has failed before, if another endpoint may serve it after a while: an
        // endpoint's fault is to fail no job that another one can serve.
        let last = need.job.failures() + 1 >= self.settings.max_attempts;
        let better = match found.best.record() {
            Some(Record::Clean) => true,
            // Nobody does better with one that is known to be at fault itself.
            Some(Record::Failed) => !last || !found.elsewhere || self.counts_nowhere(need.job),
            Some(Record::Suspect) | None => false,
        };
        let due = found.probe.or(found.hurried.filter(|_| !better));
        if let Some(endpoint) = found.last_resort(self.ticks.tick(now))
            && due.is_none_or(|due| !self.endpoints[due.index()].is_out())
        {
            // Nobody else is there: it may merely have become slow, and then a short wait would be in vain.
            let role = Role::Regular;
            return Pick::Send(Target { endpoint, role });
        }
        if let Some(member) = due {
            return probe(member);
        }
        if !better && (found.best != Grade::AWAY || found.reluctant.is_some()) && found.elsewhere {
            // Only those are ready that answered it with a 500, or would have its last attempt. Whose fault that was
            // shows elsewhere, and there it waits for a place: asked again here, a job that another endpoint can serve
            // would be given up.
            return Pick::WaitElsewhere(found.earliest);
        }
        if let Some(endpoint) = self.next_in_turn(need, &found, now) {
            let role = self.endpoints[endpoint.index()].role(need.operation, now);
            return Pick::Send(Target { endpoint, role });
        }
        if let Some(member) = found.reluctant {
            return probe(member);
        }
        match found.earliest {
            _ if !found.hope => Pick::Never(self.unavailable(need.set, need.operation)),
            Some(at) if !found.settles && need.deadline.is_some_and(|deadline| deadline < at) => Pick::TooLate(at),
            Some(at) => Pick::WaitUntil(at),
            None => Pick::WaitForSettle,
        }
    }

    /// Gives the right to send a request to `target`, which [`Balancer::choose`] has named, or which
    /// [fits](Balancer::fits).
    pub fn take(&mut self, target: Target, need: &Need<'_>, now: Instant) -> Lease {
        let index = target.endpoint.index();
        let charge = self.estimators[index].charge(&need.size);
        let reserved = self.quotas.reserve(target.endpoint, &charge, now);
        self.note_place(target, need);
        let patience = (target.role == Role::Probe).then(|| self.patience(target.endpoint, need, now));
        let pause = patience.map_or(Duration::ZERO, |patience| patience.pause);
        let subject = &mut self.endpoints[index];
        let before = subject.condition();
        let number = subject.leave(target.role, need.operation, pause, now);
        if subject.condition() != before {
            self.changes.push(subject.change(&self.specs[index].name));
        }
        Lease {
            endpoint: target.endpoint,
            role: target.role,
            number,
            epoch: subject.epoch(),
            operation: need.operation.clone(),
            at: now,
            first_byte: patience.map(|patience| patience.first_byte),
            size: need.size,
            reserved,
            written: true,
            sent: 0,
            not_sent: 0,
        }
    }

    /// Whether another job could go where one could, and when: the quota has room for it, it has not failed there, and it
    /// is not at home elsewhere and could go there.
    pub fn fits(&mut self, target: Target, need: &Need<'_>, now: Instant) -> Opening {
        if need.job.has_failed_at(target.endpoint) || self.has_home_elsewhere(target.endpoint, need, now) {
            return Opening::Never;
        }
        match self.allowed(target.endpoint, need, now) {
            Allowed::Now => Opening::Now,
            Allowed::At(at) => Opening::At(at),
            Allowed::AsTest => Opening::Never,
        }
    }

    /// Whether an endpoint's quota has room for a job now.
    pub(super) fn has_room(&mut self, endpoint: EndpointId, need: &Need<'_>, now: Instant) -> bool {
        self.allowed(endpoint, need, now) == Allowed::Now
    }

    pub(super) fn allowed(&mut self, endpoint: EndpointId, need: &Need<'_>, now: Instant) -> Allowed {
        let estimator = &self.estimators[endpoint.index()];
        self.quotas
            .allow(endpoint, need.size, || estimator.charge(&need.size), now)
    }

    /// Whether the quota of some endpoint that is ready has room for a job, wherever the workers are.
    pub(super) fn anybody_has_room(&mut self, need: &Need<'_>, now: Instant) -> bool {
        let members = self.sets.members(need.set).iter();
        members.copied().any(|member| {
            let index = member.index();
            let most = self.specs[index].max_in_flight.unwrap_or(u32::MAX);
            let readiness = self.endpoints[index].readiness(need.operation, most, now);
            let charge = || self.estimators[index].charge(&need.size);
            matches!(readiness, Readiness::Now(Role::Regular))
                && self.quotas.allow(member, need.size, charge, now) == Allowed::Now
        })
    }

    /// The next member of the set after `after`, in the order of the configuration, that is ready and has something
    /// left of a window, with the tokens that fit, or, where nothing whatever may go before, the instant at which that is
    /// over. To be called after [`Balancer::choose`] has said that the job waits.
    pub fn gap(
        &mut self,
        need: &Need<'_>,
        after: Option<EndpointId>,
        now: Instant,
    ) -> Option<(Target, Result<f64, Instant>)> {
        if !self.has_gaps {
            return None;
        }
        let members = self.sets.members(need.set);
        let from = after.map_or(0, |after| members.partition_point(|&member| member <= after));
        members[from..].iter().find_map(|&endpoint| {
            let index = endpoint.index();
            let readiness = self.endpoints.readiness(index, need.operation, now);
            let Readiness::Now(role @ (Role::Regular | Role::Trial)) = readiness else {
                return None;
            };
            let room = self.quotas.room(endpoint, now)?;
            Some((Target { endpoint, role }, room))
        })
    }

    /// When a [gap](Balancer::gap) at an endpoint becomes larger, if nothing happens before.
    pub fn gap_grows_at(&self, endpoint: EndpointId) -> Option<Instant> {
        self.quotas.turns_at(endpoint)
    }

    /// Whether one of these jobs could go to a certain endpoint, and when, after something has changed there.
    pub fn opening(
        &mut self,
        endpoint: EndpointId,
        operation: &Operation,
        sizes: impl Iterator<Item = JobSize>,
        now: Instant,
    ) -> Opening {
        let index = endpoint.index();
        // What ends a rest, or asks whether it is over, is looked at with all the rest.
        if !self.endpoints.is_at_ease(index, now) {
            if self.endpoints[index].is_worth_a_try(self.endpoints.cap(index), now) {
                // Whether it is given a job depends on the others.
                return Opening::Now;
            }
            let readiness = self.endpoints.readiness(index, operation, now);
            let worth_a_try_at = self.endpoints[index].worth_a_try_at(self.endpoints.cap(index));
            return match readiness {
                Readiness::Now(_) => Opening::Now,
                Readiness::At(at) => Opening::At(worth_a_try_at.map_or(at, |sooner| at.min(sooner))),
                Readiness::Refuses(Some(at)) => Opening::At(at),
                Readiness::OnSettle | Readiness::Refuses(None) => Opening::Never,
            };
        }
        let mut opening = Opening::Never;
        for size in sizes {
            let estimator = &self.estimators[index];
            opening = match (
                self.quotas.allow(endpoint, size, || estimator.charge(&size), now),
                opening,
            ) {
                (Allowed::Now | Allowed::AsTest, _) => return Opening::Now,
                (Allowed::At(at), Opening::At(sooner)) => Opening::At(at.min(sooner)),
                (Allowed::At(at), _) => Opening::At(at),
            };
        }
        opening
    }

    /// Whether one request is to find out how an endpoint's quota is counted, as soon as one would tell.
    pub fn is_test_due(&self, endpoint: EndpointId) -> bool {
        self.quotas.is_test_due(endpoint)
    }

    /// Whether what happens at an endpoint may matter to others, with which it shares a quota.
    pub fn shares_quota(&self, endpoint: EndpointId) -> bool {
        self.specs[endpoint.index()].group.is_some()
    }

    /// Whether an endpoint's quota is believed to be counted in windows, of which something may be left.
    pub fn is_in_windows(&self, endpoint: EndpointId) -> bool {
        self.quotas.is_in_windows(endpoint)
    }

    /// Whether the set has provisioned endpoints and others, so that it matters which job goes where.
    pub fn is_mixed(&self, set: SetId) -> bool {
        self.sets.is_mixed(set)
    }

    /// Whether an endpoint's capacity is paid for, used or not.
    pub fn is_provisioned(&self, endpoint: EndpointId) -> bool {
        self.specs[endpoint.index()].is_provisioned()
    }

    /// How much a job reserves at an endpoint, by what it is likely to use: 1 and up, as far as is known.
    pub fn surplus(&self, endpoint: EndpointId, size: &JobSize) -> f64 {
        let estimator = &self.estimators[endpoint.index()];
        estimator.charge(size).tokens / estimator.likely_use(size).max(1.0)
    }

    /// Whether [`Balancer::hopeless`] may find anything: some endpoint is out, or lacks an operation.
    pub fn any_choosy(&mut self) -> bool {
        self.endpoints.any_choosy()
    }

    /// Why nobody can serve this operation of the set, nor is expected to soon; none where somebody can or may.
    pub fn hopeless(&self, set: SetId, operation: &Operation, now: Instant) -> Option<Unavailable> {
        let never = |member: &EndpointId| {
            let index = member.index();
            let readiness = self.endpoints.readiness(index, operation, now);
            matches!(readiness, Readiness::Refuses(_))
        };
        let all = self.sets.members(set).iter().all(never);
        all.then(|| self.unavailable(set, operation))
    }

    /// The member whose turn it is, of those with the best grade.
    fn next_in_turn(&mut self, need: &Need<'_>, found: &Survey, now: Instant) -> Option<EndpointId> {
        if found.best == Grade::AWAY {
            return None;
        }
        let strategy = self.settings.strategy;
        if let Some(key) = self.key(need)
            && let Some(place) = self.place(key, need.set, found.best)
        {
            return Some(place);
        }
        let load = |member: EndpointId| {
            let index = member.index();
            let places = f64::from(self.endpoints[index].in_flight()) / f64::from(self.endpoints.cap(index));
            (self.quotas.used_share(member, now).unwrap_or(places), places)
        };
        let Set { members, ring, .. } = self.sets.get_mut(need.set);
        let grades = &self.grades;
        let may = |seat: usize| grades[seat] == found.best;
        let candidates = || (0..members.len()).filter(|&seat| may(seat));
        let less = |a: &usize, b: &usize| {
            let (a, b) = (load(members[*a]), load(members[*b]));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        let seat = match strategy {
            Strategy::Weighted | Strategy::RoundRobin | Strategy::Priority => ring.next(may),
            Strategy::Failover => candidates().next(),
            Strategy::LeastLoaded => candidates().min_by(less),
            Strategy::TwoChoices => {
                let mut two = candidates().sample(&mut self.rng, 2);
                two.sort_unstable();
                two.into_iter().min_by(less)
            }
        };
        seat.map(|seat| members[seat])
    }

    fn unavailable(&self, set: SetId, operation: &Operation) -> Unavailable {
        let members = self.sets.members(set);
        let reasons = members.iter().map(|member| {
            let index = member.index();
            let refusal = self.endpoints[index].refusal(operation);
            (Arc::clone(&self.specs[index].name), refusal)
        });
        let lasts = |member: &EndpointId| self.endpoints[member.index()].refuses_lastingly(operation);
        Unavailable {
            reasons: reasons.collect(),
            lasts: members.iter().all(lasts),
        }
    }
}
