//! Where a job goes: the answer, and how it is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::Balancer;
use crate::api::Operation;
use crate::balance::affinity::AffinityKey;
use crate::balance::endpoint::{Endpoint, Readiness};
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
            Some(Record::Failed) => !last || !found.elsewhere,
            Some(Record::Suspect) | None => false,
        };
        if let Some(member) = found.probe.or(found.hurried.filter(|_| !better)) {
            return probe(member);
        }
        if !better && (found.best != Grade::AWAY || found.reluctant.is_some()) && found.elsewhere {
            // Only those are ready that answered it with a 500, or would have its last attempt. Whose fault that was
            // shows elsewhere, and there it waits for a place: asked again here, a job that another endpoint can serve
            // would be given up.
            return Pick::WaitElsewhere(found.earliest);
        }
        if let Some(endpoint) = self.next_in_turn(need, &found, now) {
            let role = self.endpoints[endpoint.index()].role();
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
        let subject = &mut self.endpoints[index];
        let before = subject.condition();
        let number = subject.leave(target.role, need.operation, now);
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

    fn allowed(&mut self, endpoint: EndpointId, need: &Need<'_>, now: Instant) -> Allowed {
        let estimator = &self.estimators[endpoint.index()];
        self.quotas.allow(endpoint, || estimator.charge(&need.size), now)
    }

    /// Whether the quota of some endpoint that is ready has room for a job, wherever the workers are.
    pub(super) fn anybody_has_room(&mut self, need: &Need<'_>, now: Instant) -> bool {
        let members = self.sets.members(need.set).iter();
        members.copied().any(|member| {
            let index = member.index();
            let most = self.specs[index].max_in_flight.unwrap_or(u32::MAX);
            let readiness = self.endpoints[index].readiness(need.operation, most, now);
            let charge = || self.estimators[index].charge(&need.size);
            matches!(readiness, Readiness::Now(Role::Regular)) && self.quotas.allow(member, charge, now) == Allowed::Now
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
            let readiness = self.endpoints[index].readiness(need.operation, self.caps[index], now);
            let Readiness::Now(role @ (Role::Regular | Role::Trial)) = readiness else {
                return None;
            };
            let room = self.quotas.room(endpoint, now)?;
            Some((Target { endpoint, role }, room))
        })
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
        if !self.endpoints[index].is_at_ease(self.caps[index], now) {
            let readiness = self.endpoints[index].readiness(operation, self.caps[index], now);
            return match readiness {
                Readiness::Now(_) => Opening::Now,
                Readiness::At(at) | Readiness::Refuses(Some(at)) => Opening::At(at),
                Readiness::OnSettle | Readiness::Refuses(None) => Opening::Never,
            };
        }
        let mut opening = Opening::Never;
        for size in sizes {
            let estimator = &self.estimators[index];
            opening = match (self.quotas.allow(endpoint, || estimator.charge(&size), now), opening) {
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

    /// Whether [`Balancer::hopeless`] may find anything: some endpoint is out, or lacks an operation.
    pub fn any_choosy(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_choosy)
    }

    /// Why nobody can serve this operation of the set, nor is expected to soon; none where somebody can or may.
    pub fn hopeless(&self, set: SetId, operation: &Operation, now: Instant) -> Option<Unavailable> {
        let never = |member: &EndpointId| {
            let index = member.index();
            let readiness = self.endpoints[index].readiness(operation, self.caps[index], now);
            matches!(readiness, Readiness::Refuses(_))
        };
        let all = self.sets.members(set).iter().all(never);
        all.then(|| self.unavailable(set, operation))
    }

    /// Asks each endpoint of the set whether it is ready and its quota has room, lets cooldowns end that are over, and
    /// notes in `grades` how good a place each is.
    fn survey(&mut self, need: &Need<'_>, now: Instant) -> Survey {
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
                if let Allowed::At(mut at) = allowed {
                    // Whoever falls silent meanwhile is asked whether it is there, quota or no quota.
                    at = endpoint.knock_at().map_or(at, |knock| knock.min(at));
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
            let places = f64::from(self.endpoints[index].in_flight()) / f64::from(self.caps[index]);
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
        let reasons = self.sets.members(set).iter().map(|member| {
            let index = member.index();
            let refusal = self.endpoints[index].refusal(operation);
            (Arc::clone(&self.specs[index].name), refusal)
        });
        Unavailable {
            reasons: reasons.collect(),
        }
    }
}

/// What the endpoints of a set say to a job.
struct Survey {
    /// A probe of it is due.
    probe: Option<EndpointId>,
    /// A probe of it is due, and the job's time would end with the probe's.
    hurried: Option<EndpointId>,
    /// A probe of it is due, and the job has had a 500 there: another one finds out better, for this one may be at
    /// fault itself.
    reluctant: Option<EndpointId>,
    /// The best place of those that are ready.
    best: Grade,
    /// Whether something under way may let it go sooner than `earliest`.
    settles: bool,
    /// Whether somebody who is not ready is expected to be.
    hope: bool,
    /// When the first of them is, as far as that is known.
    earliest: Option<Instant>,
    /// Whether it may go later where it has not failed.
    elsewhere: bool,
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
            elsewhere: false,
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
                self.elsewhere |= !job.has_failed_at(member);
            }
            Readiness::OnSettle => {
                self.hope = true;
                self.settles = true;
                self.elsewhere |= !job.has_failed_at(member);
            }
            Readiness::Refuses(at) => self.earliest = sooner(self.earliest, at),
        }
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
