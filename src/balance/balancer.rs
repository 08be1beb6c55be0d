//! The three calls: `pick` where a job goes, learn from its reply's head (`admitted`), `settle` what it came to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::backoff;
use super::endpoint::{Change, Endpoint, HealthSettings, Readiness};
use super::job::{JobState, Suspect};
use super::lease::{Lease, Role};
use super::outcome::{Blame, Outcome, Scope};
use super::ring::Ring;
use super::{EndpointId, JobSize, Strategy};
use crate::api::{Operation, Told, Totals};

/// Attempts answered by 500 (or senselessly) after which a job is given up, whatever `max_job_retry` says: by
/// then it is the job that is at fault, or everything is.
const MOST_UNCLEAR: usize = 3;

/// One deployment, as far as the balancer cares.
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// For reasons and reports.
    pub name: Arc<str>,
    /// Share, 1 or more.
    pub weight: u32,
    /// Public model names it answers for.
    pub serves: Vec<Arc<str>>,
    /// Most requests under way; none for what `weight` and the number of workers give.
    pub max_in_flight: Option<u32>,
    /// Why it cannot be used at all, if so; [`Balancer::enable`] does not change that.
    pub unavailable: Option<String>,
}

impl Need<'_> {
    /// Whether its time is over before `limit` is.
    fn ends_within(&self, limit: Duration, now: Instant) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.saturating_duration_since(now) < limit)
    }
}

impl EndpointSpec {
    /// Its part of the turns.
    fn turns(&self, strategy: Strategy) -> u32 {
        match strategy {
            Strategy::Weighted => self.weight,
            Strategy::RoundRobin => 1,
        }
    }
}

/// What the balancer is told once.
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
    /// Seed of shuffle and jitter.
    pub seed: u64,
}

/// An eligible set: the endpoints that serve one model. Made by [`Balancer::set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetId(u32);

impl SetId {
    /// All endpoints: the first set that is made.
    const EVERYBODY: SetId = SetId(0);
}

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

/// What becomes of the job after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Answered.
    Done,
    /// It is tried again, not before this instant.
    RetryAt(Instant),
    /// It ends with the error of this attempt.
    GiveUp(GiveUp),
}

/// Why a job is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The service refused the request for what it holds.
    Refused,
    /// As many attempts failed as `max_job_retry` allows.
    Attempts,
    /// Every endpoint that could be asked, or three, answered 500 or senselessly.
    ServerErrors,
    /// Ended from our side, or with the job's time.
    Abandoned,
}

/// A reply's head, as far as the balancer cares.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHead {
    /// Whether the request was admitted: a status of success, without a Retry-After.
    pub admitted: bool,
    /// The service's own figures.
    pub told: Told,
}

/// Decides for all deployments of one blaster. See the module's page.
#[derive(Debug)]
pub struct Balancer {
    settings: BalanceSettings,
    specs: Vec<EndpointSpec>,
    endpoints: Vec<Endpoint>,
    /// Most requests under way per endpoint, as the present set of usable endpoints gives it.
    caps: Vec<u32>,
    sets: Vec<Set>,
    by_model: HashMap<Arc<str>, SetId>,
    rng: SmallRng,
    changes: Vec<Change>,
    /// Scratch of `pick`, kept to spare an allocation per decision.
    ready: Vec<bool>,
}

#[derive(Debug)]
struct Set {
    members: Vec<EndpointId>,
    ring: Ring,
}

impl Balancer {
    /// A balancer over `specs`, all of them ready but those that are `unavailable`.
    pub fn new(specs: Vec<EndpointSpec>, settings: BalanceSettings) -> Self {
        let endpoints: Vec<Endpoint> = specs
            .iter()
            .map(|spec| Endpoint::new(spec.unavailable.clone()))
            .collect();
        let mut balancer = Balancer {
            rng: SmallRng::seed_from_u64(settings.seed),
            caps: vec![1; specs.len()],
            settings,
            specs,
            endpoints,
            sets: Vec::new(),
            by_model: HashMap::new(),
            changes: Vec::new(),
            ready: Vec::new(),
        };
        balancer.share_workers();
        // The sets are known from the start, so that a request can never make another one.
        let everybody = balancer.add_set(|_| true);
        debug_assert_eq!(everybody, SetId::EVERYBODY);
        let models: Vec<Arc<str>> = balancer
            .specs
            .iter()
            .flat_map(|spec| spec.serves.iter().cloned())
            .collect();
        for model in models {
            if !balancer.by_model.contains_key(&model) {
                let set = balancer.add_set(|spec| spec.serves.contains(&model));
                balancer.by_model.insert(model, set);
            }
        }
        balancer
    }

    fn add_set(&mut self, serves: impl Fn(&EndpointSpec) -> bool) -> SetId {
        let members: Vec<EndpointId> = (0..self.specs.len())
            .filter(|&index| serves(&self.specs[index]))
            .map(EndpointId::at)
            .collect();
        let weights: Vec<u32> = members
            .iter()
            .map(|member| self.specs[member.index()].turns(self.settings.strategy))
            .collect();
        let ring = Ring::new(&weights, &mut self.rng);
        self.sets.push(Set { members, ring });
        SetId(self.sets.len() as u32 - 1)
    }

    /// The set that serves `model` (without one: all), or none where nobody serves it.
    pub fn set(&self, model: Option<&str>) -> Option<SetId> {
        match model {
            Some(model) => self.by_model.get(model).copied(),
            None => Some(SetId::EVERYBODY),
        }
    }

    /// Whether an endpoint belongs to the set.
    pub fn includes(&self, set: SetId, endpoint: EndpointId) -> bool {
        // In the order of the configuration, as `add_set` has put them.
        self.sets[set.0 as usize].members.binary_search(&endpoint).is_ok()
    }

    /// Every model name that some endpoint serves, sorted.
    pub fn models(&self) -> Vec<Arc<str>> {
        let mut models: Vec<Arc<str>> = self.by_model.keys().cloned().collect();
        models.sort();
        models
    }

    /// Where a job with this need goes now.
    ///
    /// A due probe goes before everything else (an endpoint that is back is worth one delayed job, though not one that
    /// the delay would end); then, of the ready endpoints, those where the job has not failed take turns by their
    /// weights.
    pub fn pick(&mut self, need: &Need<'_>, now: Instant) -> Pick {
        let set = &mut self.sets[need.set.0 as usize];
        let (mut probe, mut hurried, mut reluctant) = (None, None, None);
        let mut earliest: Option<Instant> = None;
        let mut hope = false;
        let (mut fresh, mut stale, mut suspect) = (0usize, 0usize, 0usize);
        // Where the job has not failed and may go later: none for "no such", some for "when a place is free or …".
        let mut elsewhere: Option<Option<Instant>> = None;
        self.ready.clear();
        for &member in &set.members {
            let index = member.index();
            let endpoint = &mut self.endpoints[index];
            // The usual case, found out without the rest: this loop is most of what the engine's lock is held for.
            if endpoint.is_at_ease(self.caps[index]) && !need.job.has_failed_at(member) {
                self.ready.push(true);
                fresh += 1;
                continue;
            }
            if endpoint.refresh(now) {
                self.changes.push(change(&self.specs[index], endpoint));
            }
            let readiness = endpoint.readiness(need.operation, self.caps[index], now);
            self.ready
                .push(matches!(readiness, Readiness::Now(Role::Regular | Role::Trial)));
            match readiness {
                // Another job finds out better: this one may be at fault itself.
                Readiness::Now(Role::Probe) if need.job.suspects_endpoint(member) => {
                    reluctant = reluctant.or(Some(member));
                }
                Readiness::Now(Role::Probe) if need.ends_within(endpoint.probe_first_byte(), now) => {
                    hurried = hurried.or(Some(member));
                }
                Readiness::Now(Role::Probe) => probe = probe.or(Some(member)),
                Readiness::Now(_) if need.job.suspects_endpoint(member) => suspect += 1,
                Readiness::Now(_) if need.job.has_failed_at(member) => stale += 1,
                Readiness::Now(_) => fresh += 1,
                Readiness::At(at) => {
                    hope = true;
                    earliest = sooner(earliest, Some(at));
                    if !need.job.has_failed_at(member) {
                        elsewhere = Some(sooner(elsewhere.flatten(), Some(at)));
                    }
                }
                Readiness::OnSettle => {
                    hope = true;
                    if !need.job.has_failed_at(member) {
                        elsewhere = Some(elsewhere.flatten());
                    }
                }
                Readiness::Refuses(at) => earliest = sooner(earliest, at),
            }
        }
        let better = fresh + stale > 0;
        if let Some(member) = probe.or(hurried.filter(|_| !better)) {
            return Pick::Send(self.lease(member, Role::Probe, need.operation, now));
        }
        if !better
            && (suspect > 0 || reluctant.is_some())
            && let Some(at) = elsewhere
        {
            // Only those are ready that answered it with a 500. Whose fault that was shows elsewhere, and there it
            // waits for a place: asked again here, a job that another endpoint can serve would be given up.
            return Pick::WaitElsewhere(at);
        }
        if fresh + stale + suspect > 0 {
            let Set { members, ring } = set;
            let ready = &self.ready;
            // A retry goes where it has not failed, if anybody there is ready.
            let may = |seat: usize| {
                let member = members[seat];
                let better = match (fresh, stale) {
                    (1.., _) => !need.job.has_failed_at(member),
                    (0, 1..) => !need.job.suspects_endpoint(member),
                    (0, 0) => true,
                };
                ready[seat] && better
            };
            if let Some(seat) = ring.next(may) {
                let member = members[seat];
                let role = self.endpoints[member.index()].role();
                return Pick::Send(self.lease(member, role, need.operation, now));
            }
        }
        if let Some(member) = reluctant {
            return Pick::Send(self.lease(member, Role::Probe, need.operation, now));
        }
        match earliest {
            _ if !hope => Pick::Never(self.unavailable(need.set, need.operation)),
            Some(at) => Pick::WaitUntil(at),
            None => Pick::WaitForSettle,
        }
    }

    fn lease(&mut self, endpoint: EndpointId, role: Role, operation: &Operation, now: Instant) -> Lease {
        let index = endpoint.index();
        let subject = &mut self.endpoints[index];
        let before = subject.condition();
        let number = subject.leave(role, operation, now);
        if subject.condition() != before {
            self.changes.push(change(&self.specs[index], subject));
        }
        Lease {
            endpoint,
            role,
            number,
            epoch: subject.epoch(),
            operation: operation.clone(),
            at: now,
            written: true,
        }
    }

    fn unavailable(&self, set: SetId, operation: &Operation) -> Unavailable {
        let members = &self.sets[set.0 as usize].members;
        let reasons = members.iter().map(|member| {
            let index = member.index();
            (
                Arc::clone(&self.specs[index].name),
                self.endpoints[index].refusal(operation),
            )
        });
        Unavailable {
            reasons: reasons.collect(),
        }
    }

    /// Whether [`Balancer::hopeless`] may find anything: some endpoint is out, or lacks an operation.
    pub fn any_choosy(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_choosy)
    }

    /// Why nobody can serve this operation of the set, nor is expected to soon; none where somebody can or may.
    pub fn hopeless(&self, set: SetId, operation: &Operation, now: Instant) -> Option<Unavailable> {
        let members = &self.sets[set.0 as usize].members;
        let never = |member: &EndpointId| {
            let index = member.index();
            let readiness = self.endpoints[index].readiness(operation, self.caps[index], now);
            matches!(readiness, Readiness::Refuses(_))
        };
        members.iter().all(never).then(|| self.unavailable(set, operation))
    }

    /// Learns from a reply's head, before its body. True where others may go now that had to wait.
    pub fn admitted(&mut self, lease: &Lease, head: &ReplyHead, now: Instant) -> bool {
        let index = lease.endpoint.index();
        let endpoint = &mut self.endpoints[index];
        endpoint.told = head.told;
        endpoint.heard();
        if !head.admitted {
            return false;
        }
        endpoint.first_byte.record(now.saturating_duration_since(lease.at));
        let changed = endpoint.opened(lease);
        self.note(index, changed);
        lease.role != Role::Regular
    }

    /// The request of the lease `number` found no open connection and waits for a new one: until that stands, the
    /// service's silence means nothing. Heard again where the connection that it went out on proved stale.
    pub fn connecting(&mut self, endpoint: EndpointId, number: u64, now: Instant) {
        let _ = (&mut self.endpoints[endpoint.index()], number, now);
    }

    /// The connection that [`Balancer::connecting`] told of stands after `took`, and the request goes out now.
    pub fn connected(&mut self, endpoint: EndpointId, number: u64, took: Duration, now: Instant) {
        let _ = (&mut self.endpoints[endpoint.index()], number, took, now);
    }

    /// Takes a lease back with what came of it, and says what becomes of the job.
    pub fn settle(
        &mut self,
        lease: Lease,
        job: &mut JobState,
        need: SetId,
        outcome: &Outcome,
        now: Instant,
    ) -> Verdict {
        let id = lease.endpoint;
        let index = id.index();
        let health = self.settings.health;
        let endpoint = &mut self.endpoints[index];
        let scout = endpoint.back(&lease);
        let denied = matches!(
            outcome,
            Outcome::Failed {
                blame: Blame::Denied,
                ..
            }
        );
        // A deployment that has served may have met a prompt that something on the way does not like.
        let shut = denied && endpoint.denies(&lease, job.id());
        let (changed, verdict) = match outcome {
            Outcome::Success => {
                endpoint.totals.succeeded += 1;
                endpoint.latency.record(now.saturating_duration_since(lease.at));
                (endpoint.succeeded(&lease, scout), Verdict::Done)
            }
            Outcome::Throttled(throttle) => {
                endpoint.totals.throttled += 1;
                endpoint.operation_unknown(&lease, now);
                // The wait is the endpoint's; the job goes as soon as anybody can take it.
                let changed = endpoint.throttled(lease.at, throttle.wait, &throttle.reason, &health, now);
                (changed, Verdict::RetryAt(now))
            }
            Outcome::Refused { .. } => {
                endpoint.totals.refused += 1;
                (endpoint.answered(&lease, scout), Verdict::GiveUp(GiveUp::Refused))
            }
            Outcome::Abandoned => {
                endpoint.totals.abandoned += 1;
                (
                    endpoint.abandoned(&lease, scout, now),
                    Verdict::GiveUp(GiveUp::Abandoned),
                )
            }
            Outcome::OutOfTime { silent } => {
                let waited = now.saturating_duration_since(lease.at);
                let changed = if endpoint.let_down(scout, *silent, waited, &health) {
                    let reason = format!("no reply in the {} ms that its job had", waited.as_millis());
                    endpoint.totals.failed += 1;
                    endpoint.note_error(&reason);
                    endpoint.operation_unknown(&lease, now);
                    endpoint.failed(lease.epoch, scout, &reason, &health, &mut self.rng, now)
                } else {
                    endpoint.totals.abandoned += 1;
                    endpoint.abandoned(&lease, scout, now)
                };
                (changed, Verdict::GiveUp(GiveUp::Abandoned))
            }
            Outcome::Unusable { scope, reason } => {
                endpoint.totals.unusable += 1;
                endpoint.note_error(reason);
                job.note_failure(id, false);
                let changed = match scope {
                    Scope::Deployment => endpoint.unusable(lease.epoch, scout, reason, now),
                    Scope::Operation => endpoint.lacks(&lease, scout, reason, now),
                };
                (changed, Verdict::RetryAt(now))
            }
            Outcome::Failed { reason, .. } if shut => {
                endpoint.totals.unusable += 1;
                endpoint.note_error(reason);
                job.note_failure(id, false);
                (
                    endpoint.unusable(lease.epoch, scout, reason, now),
                    Verdict::RetryAt(now),
                )
            }
            Outcome::Failed {
                blame: Blame::Nobody, ..
            } => {
                endpoint.totals.failed += 1;
                (endpoint.abandoned(&lease, scout, now), Verdict::RetryAt(now))
            }
            Outcome::Failed {
                blame: Blame::Endpoint,
                reason,
            } => {
                endpoint.totals.failed += 1;
                endpoint.note_error(reason);
                endpoint.operation_unknown(&lease, now);
                job.note_failure(id, lease.role != Role::Probe);
                let changed = endpoint.failed(lease.epoch, scout, reason, &health, &mut self.rng, now);
                (changed, self.after_failure(job, now))
            }
            Outcome::Failed {
                blame: Blame::Unclear | Blame::Denied,
                reason,
            } => {
                endpoint.totals.failed += 1;
                endpoint.note_error(reason);
                endpoint.operation_unknown(&lease, now);
                job.note_failure(id, lease.role != Role::Probe);
                job.suspect(Suspect {
                    endpoint: id,
                    epoch: lease.epoch,
                    reason: reason.clone(),
                });
                let elsewhere = self.others_serve(&lease, need, now);
                (
                    self.doubt(&lease, scout, elsewhere, job, reason, now),
                    self.after_unclear(&lease, job, need, now),
                )
            }
        };
        self.note(index, changed);
        if matches!(verdict, Verdict::Done) {
            self.blame_suspects(id, job, now);
        }
        verdict
    }

    fn after_failure(&self, job: &JobState, now: Instant) -> Verdict {
        if job.failures() >= self.settings.max_attempts {
            Verdict::GiveUp(GiveUp::Attempts)
        } else {
            Verdict::RetryAt(now)
        }
    }

    /// Whether an endpoint other than the one of `lease` may serve the same, now or after a rest.
    fn others_serve(&self, lease: &Lease, need: SetId, now: Instant) -> bool {
        let members = &self.sets[need.0 as usize].members;
        members
            .iter()
            .any(|&other| other != lease.endpoint && self.endpoints[other.index()].serves(&lease.operation, now))
    }

    /// A 500, or a reply that makes no sense: the endpoint's fault, or the job's? True where its condition changed.
    fn doubt(
        &mut self,
        lease: &Lease,
        scout: bool,
        elsewhere: bool,
        job: &JobState,
        reason: &str,
        now: Instant,
    ) -> bool {
        let health = self.settings.health;
        let endpoint = &mut self.endpoints[lease.endpoint.index()];
        // Where there is an elsewhere it shows when the job has been there; the next request may find out meanwhile.
        // A probe has found no more than that the endpoint is not back.
        let its_own = lease.role == Role::Probe || (!elsewhere && endpoint.unclear_again(job.id()));
        if its_own {
            endpoint.failed(lease.epoch, scout, reason, &health, &mut self.rng, now)
        } else {
            endpoint.abandoned(lease, scout, now)
        }
    }

    /// What becomes of a job that was answered by a 500, or senselessly.
    fn after_unclear(&mut self, lease: &Lease, job: &JobState, need: SetId, now: Instant) -> Verdict {
        let met = job.suspects().len();
        if job.suspected_endpoints() >= MOST_UNCLEAR {
            return Verdict::GiveUp(GiveUp::ServerErrors);
        }
        let members = &self.sets[need.0 as usize].members;
        let asked_all = members
            .iter()
            .filter(|member| self.endpoints[member.index()].serves(&lease.operation, now))
            .all(|&member| job.has_failed_at(member));
        if lease.role == Role::Probe {
            // It costs nothing; but a job that is all there is to probe with must not be tried for ever.
            let hopeless = asked_all && met >= MOST_UNCLEAR;
            return if hopeless {
                Verdict::GiveUp(GiveUp::ServerErrors)
            } else {
                Verdict::RetryAt(now)
            };
        }
        // One endpoint alone may have had a bad moment: it is asked twice.
        if asked_all && met >= 2 {
            return Verdict::GiveUp(GiveUp::ServerErrors);
        }
        match self.after_failure(job, now) {
            Verdict::RetryAt(now) if asked_all => Verdict::RetryAt(now + backoff::jittered(met as u32, &mut self.rng)),
            verdict => verdict,
        }
    }

    /// The job has succeeded at `winner`: the endpoints that answered it with a 500 were at fault.
    fn blame_suspects(&mut self, winner: EndpointId, job: &mut JobState, now: Instant) {
        let health = self.settings.health;
        for suspect in job.take_suspects() {
            if suspect.endpoint != winner {
                let index = suspect.endpoint.index();
                let changed =
                    self.endpoints[index].failed(suspect.epoch, false, &suspect.reason, &health, &mut self.rng, now);
                self.note(index, changed);
            }
        }
    }

    /// Takes an endpoint out by hand; only [`Balancer::enable`] brings it back.
    pub fn disable(&mut self, id: EndpointId, reason: String) {
        let changed = self.endpoints[id.index()].disable(reason, None);
        self.note(id.index(), changed);
    }

    /// Lets the next request find out whether an endpoint is back.
    pub fn enable(&mut self, id: EndpointId, now: Instant) {
        let changed = self.endpoints[id.index()].enable(now);
        self.note(id.index(), changed);
    }

    /// Rests an endpoint until `until` at least.
    pub fn cool_down(&mut self, id: EndpointId, until: Instant) {
        let changed = self.endpoints[id.index()].cool_down(until);
        self.note(id.index(), changed);
    }

    /// The pool has become smaller than was asked for.
    pub fn set_workers(&mut self, workers: u32) {
        self.settings.workers = workers;
        self.share_workers();
    }

    /// Longest wait for the first byte of what this lease allows; none where the configured one holds.
    pub fn first_byte_limit(&self, lease: &Lease) -> Option<Duration> {
        (lease.role == Role::Probe).then(|| self.endpoints[lease.endpoint.index()].probe_first_byte())
    }

    /// What has changed since the last call, for the log and the listeners.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether [`Balancer::take_changes`] would return anything.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The name of an endpoint.
    pub fn name(&self, id: EndpointId) -> &Arc<str> {
        &self.specs[id.index()].name
    }

    /// Requests under way, over all endpoints.
    pub fn in_flight(&self) -> u32 {
        self.endpoints.iter().map(|endpoint| endpoint.in_flight).sum()
    }

    /// Copies what a report shows; percentiles and texts are made of it outside the lock.
    pub fn snapshot(&mut self, id: EndpointId, now: Instant) -> Snapshot {
        let index = id.index();
        if self.endpoints[index].refresh(now) {
            self.note(index, true);
        }
        let strategy = self.settings.strategy;
        let total: u64 = self.specs.iter().map(|spec| u64::from(spec.turns(strategy))).sum();
        let (spec, endpoint) = (&self.specs[index], &self.endpoints[index]);
        Snapshot {
            name: Arc::clone(&spec.name),
            condition: endpoint.condition(),
            reason: endpoint.reason().map(str::to_owned),
            left: endpoint.until().map(|until| until.saturating_duration_since(now)),
            in_flight: endpoint.in_flight,
            max_in_flight: self.caps[index],
            weight: spec.weight,
            share: f64::from(spec.turns(strategy)) / total as f64,
            totals: endpoint.totals,
            streak: endpoint.streak(),
            latency: endpoint.latency.clone(),
            told: endpoint.told,
            errors: endpoint.errors().cloned().collect(),
        }
    }

    fn note(&mut self, index: usize, changed: bool) {
        if changed {
            self.changes.push(change(&self.specs[index], &self.endpoints[index]));
            self.share_workers();
        }
    }

    /// Divides the workers among the endpoints that are in use, so that one that hangs leaves the others at least
    /// half of their shares: at most min(2 × its share, workers − half the others' shares).
    fn share_workers(&mut self) {
        let strategy = self.settings.strategy;
        let weight = |spec: &EndpointSpec| f64::from(spec.turns(strategy));
        let used = |index: usize| !self.endpoints[index].is_out();
        let workers = f64::from(self.settings.workers);
        let sum: f64 = (0..self.specs.len())
            .filter(|&index| used(index))
            .map(|index| weight(&self.specs[index]))
            .sum();
        for (index, spec) in self.specs.iter().enumerate() {
            let share = if used(index) && sum > 0.0 {
                workers * weight(spec) / sum
            } else {
                workers
            };
            let cap = (2.0 * share).min((workers + share) / 2.0);
            self.caps[index] = spec.max_in_flight.unwrap_or((cap as u32).max(1));
        }
    }
}

/// The earlier of two instants, of which none is never.
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn change(spec: &EndpointSpec, endpoint: &Endpoint) -> Change {
    Change {
        endpoint: Arc::clone(&spec.name),
        condition: endpoint.condition(),
        reason: endpoint.reason().map(str::to_owned),
        until: endpoint.until(),
    }
}

/// Raw material of an [`EndpointReport`](crate::api::EndpointReport).
#[derive(Clone, Debug)]
#[allow(missing_docs)] // field by field what the report says
pub struct Snapshot {
    pub name: Arc<str>,
    pub condition: crate::api::Condition,
    pub reason: Option<String>,
    pub left: Option<Duration>,
    pub in_flight: u32,
    pub max_in_flight: u32,
    pub weight: u32,
    pub share: f64,
    pub totals: Totals,
    pub streak: u32,
    pub latency: super::histogram::Histogram,
    pub told: Told,
    pub errors: Vec<String>,
}
