//! Where a job goes: the answer, and how it is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Balancer;
use crate::api::Operation;
use crate::balance::endpoint::{Endpoint, Readiness};
use crate::balance::set::{Set, SetId};
use crate::balance::{EndpointId, JobSize, JobState, Lease, Role};

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
}

/// The answer to "where does this job go now?"
#[derive(Debug)]
pub enum Pick {
    /// There, now.
    Send(Lease),
    /// Nowhere before this instant (unless something changes first).
    WaitUntil(Instant),
    /// Nowhere before something that is under way ends.
    WaitForSettle,
    /// This job nowhere before something that is under way ends, or before the instant: it has failed at all that are
    /// ready, and is better off with one that is merely busy. Other jobs of the same need may go.
    WaitElsewhere(Option<Instant>),
    /// Nowhere: every endpoint that serves it is disabled.
    Never(Unavailable),
}

/// Why no endpoint can serve a job, and none is expected to soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Name of each eligible endpoint, and its reason; shared, since a whole backlog may end for them.
    pub reasons: Arc<[(Arc<str>, String)]>,
}

impl Balancer {
    /// Where a job with this need goes now.
    ///
    /// A due probe goes before everything else (an endpoint that is back is worth one delayed job, though not one that
    /// the delay would end); then, of the ready endpoints, those where the job has not failed take turns by their
    /// weights.
    pub fn pick(&mut self, need: &Need<'_>, now: Instant) -> Pick {
        let found = self.survey(need, now);
        let better = found.fresh + found.stale > 0;
        if let Some(member) = found.probe.or(found.hurried.filter(|_| !better)) {
            return Pick::Send(self.lease(member, Role::Probe, need.operation, now));
        }
        if !better
            && (found.suspect > 0 || found.reluctant.is_some())
            && let Some(at) = found.elsewhere
        {
            // Only those are ready that answered it with a 500. Whose fault that was shows elsewhere, and there it
            // waits for a place: asked again here, a job that another endpoint can serve would be given up.
            return Pick::WaitElsewhere(at);
        }
        if let Some(member) = self.next_in_turn(need, &found) {
            let role = self.endpoints[member.index()].role();
            return Pick::Send(self.lease(member, role, need.operation, now));
        }
        if let Some(member) = found.reluctant {
            return Pick::Send(self.lease(member, Role::Probe, need.operation, now));
        }
        match found.earliest {
            _ if !found.hope => Pick::Never(self.unavailable(need.set, need.operation)),
            Some(at) => Pick::WaitUntil(at),
            None => Pick::WaitForSettle,
        }
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

    /// Asks each endpoint of the set whether it is ready, lets cooldowns end that are over, and notes in `ready` who
    /// may take a turn.
    fn survey(&mut self, need: &Need<'_>, now: Instant) -> Survey {
        let mut found = Survey::default();
        self.ready.clear();
        for &member in self.sets.members(need.set) {
            let index = member.index();
            let endpoint = &mut self.endpoints[index];
            // The usual case, found out without the rest: this loop is most of what the engine's lock is held for.
            if endpoint.is_at_ease(self.caps[index]) && !need.job.has_failed_at(member) {
                self.ready.push(true);
                found.fresh += 1;
                continue;
            }
            if endpoint.refresh(now) {
                self.changes.push(endpoint.change(&self.specs[index].name));
            }
            let readiness = endpoint.readiness(need.operation, self.caps[index], now);
            self.ready
                .push(matches!(readiness, Readiness::Now(Role::Regular | Role::Trial)));
            let haste = || need.ends_within(endpoint.probe_first_byte(), now);
            found.add(member, readiness, need.job, haste);
        }
        found
    }

    /// The member whose turn it is, of those that are ready.
    fn next_in_turn(&mut self, need: &Need<'_>, found: &Survey) -> Option<EndpointId> {
        if found.fresh + found.stale + found.suspect == 0 {
            return None;
        }
        let Set { members, ring } = self.sets.get_mut(need.set);
        let ready = &self.ready;
        // A retry goes where it has not failed, if anybody there is ready.
        let may = |seat: usize| {
            let member = members[seat];
            let better = match (found.fresh, found.stale) {
                (1.., _) => !need.job.has_failed_at(member),
                (0, 1..) => !need.job.suspects_endpoint(member),
                (0, 0) => true,
            };
            ready[seat] && better
        };
        ring.next(may).map(|seat| members[seat])
    }

    fn lease(&mut self, endpoint: EndpointId, role: Role, operation: &Operation, now: Instant) -> Lease {
        let index = endpoint.index();
        let subject = &mut self.endpoints[index];
        let before = subject.condition();
        let number = subject.leave(role, operation, now);
        if subject.condition() != before {
            self.changes.push(subject.change(&self.specs[index].name));
        }
        Lease {
            endpoint,
            role,
            number,
            epoch: subject.epoch(),
            operation: operation.clone(),
            at: now,
        }
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
#[derive(Default)]
struct Survey {
    /// A probe of it is due.
    probe: Option<EndpointId>,
    /// A probe of it is due, and the job's time would end with the probe's.
    hurried: Option<EndpointId>,
    /// A probe of it is due, and the job has had a 500 there: another one finds out better, for this one may be at
    /// fault itself.
    reluctant: Option<EndpointId>,
    /// How many are ready where the job has not failed.
    fresh: usize,
    /// How many are ready where it has failed by the endpoint's fault.
    stale: usize,
    /// How many are ready that answered it with a 500.
    suspect: usize,
    /// Whether somebody who is not ready is expected to be.
    hope: bool,
    /// When the first of them is, as far as that is known.
    earliest: Option<Instant>,
    /// Where the job has not failed and may go later: none for "no such", some for "when a place is free or …".
    elsewhere: Option<Option<Instant>>,
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
            Readiness::Now(_) if job.suspects_endpoint(member) => self.suspect += 1,
            Readiness::Now(_) if job.has_failed_at(member) => self.stale += 1,
            Readiness::Now(_) => self.fresh += 1,
            Readiness::At(at) => {
                self.hope = true;
                self.earliest = sooner(self.earliest, Some(at));
                if !job.has_failed_at(member) {
                    self.elsewhere = Some(sooner(self.elsewhere.flatten(), Some(at)));
                }
            }
            Readiness::OnSettle => {
                self.hope = true;
                if !job.has_failed_at(member) {
                    self.elsewhere = Some(self.elsewhere.flatten());
                }
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
