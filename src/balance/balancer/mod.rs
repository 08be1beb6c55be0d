//! The three calls, each in a file of its own: [`pick`](Balancer::pick) where a job goes, learn from its reply's head
//! ([`admitted`](Balancer::admitted)), [`settle`](Balancer::settle) what it came to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use admitted::ReplyHead;
pub use pick::{Need, Opening, Pick, Target, Unavailable};

use super::advice::{Advisor, Capacity, WorkerAdvice};
use super::affinity::{Affinity, Candidate};
use super::endpoint::Endpoint;
use super::estimator::Estimator;
use super::grade::Grade;
use super::outages::{Absent, Outages};
use super::pace::Pace;
use super::quotas::Quotas;
use super::responses::Responses;
use super::set::Sets;
use super::tick::Ticks;
use super::tiers::Tiers;
use super::watched_endpoints::WatchedEndpoints;
use super::{BalanceSettings, Change, EndpointId, EndpointSpec, Remark, SetId, SignedIn, Snapshot};
use crate::api::AdviceKind;

mod admitted;
mod blame;
mod home;
mod pick;
mod probing;
mod settle;
mod survey;

/// Decides for all deployments of one blaster. See the module's page.
#[derive(Debug)]
pub struct Balancer {
    settings: BalanceSettings,
    specs: Vec<EndpointSpec>,
    endpoints: WatchedEndpoints,
    ticks: Ticks,
    sets: Sets,
    quotas: Quotas,
    /// By endpoint: what requests are charged there.
    estimators: Vec<Estimator>,
    /// By endpoint: the latest lease, where it was alone there, and what its reply said was left of the quota.
    lone: Vec<Option<(u64, i64)>>,
    /// By endpoint: how long answers take.
    paces: Vec<Pace>,
    tiers: Tiers,
    affinity: Affinity,
    responses: Responses,
    rng: SmallRng,
    changes: Vec<Change>,
    remarks: Vec<Remark>,
    advisor: Advisor,
    outages: Outages,
    /// Scratch of `pick`, kept to spare an allocation per decision: for each member of the set in question how good a
    /// place it is.
    grades: Vec<Grade>,
    /// Whether a member of that set counts in windows and has no room for the job in question: what is left of one may
    /// have room for another.
    has_gaps: bool,
    /// Likewise: the endpoints that a conversation may go to.
    candidates: Vec<Candidate>,
}

impl Balancer {
    /// A balancer over `specs`, all of them ready but those that are `unavailable`.
    pub fn new(specs: Vec<EndpointSpec>, settings: BalanceSettings) -> Self {
        let mut rng = SmallRng::seed_from_u64(settings.seed);
        let mut balancer = Balancer {
            endpoints: WatchedEndpoints::new(&specs, settings.start),
            ticks: Ticks::new(settings.start),
            sets: Sets::new(&specs, &settings.groups, settings.strategy, &mut rng),
            quotas: Quotas::new(&specs, &settings.groups, settings.start),
            estimators: specs.iter().map(|spec| Estimator::new(spec.default_limit)).collect(),
            lone: vec![None; specs.len()],
            paces: vec![Pace::default(); specs.len()],
            tiers: Tiers::new(&specs),
            affinity: Affinity::default(),
            responses: Responses::default(),
            rng,
            advisor: Advisor::new(specs.len()),
            outages: Outages::default(),
            settings,
            specs,
            changes: Vec::new(),
            remarks: Vec::new(),
            grades: Vec::new(),
            has_gaps: false,
            candidates: Vec::new(),
        };
        balancer.share_workers();
        balancer
    }

    /// The set that serves `model` (without one: all), or none where nobody serves it.
    pub fn set(&self, model: Option<&str>) -> Option<SetId> {
        self.sets.of(model)
    }

    /// Whether an endpoint belongs to the set.
    pub fn includes(&self, set: SetId, endpoint: EndpointId) -> bool {
        self.sets.members(set).binary_search(&endpoint).is_ok()
    }

    /// Whether what ends at an endpoint may let a request of the set go: the endpoint belongs to it, or draws from the
    /// quota of one that does.
    pub fn may_let_go(&self, set: SetId, endpoint: EndpointId) -> bool {
        let group = self.specs[endpoint.index()].group;
        self.includes(set, endpoint) || group.is_some_and(|group| self.sets.draws_from(set, group))
    }

    /// Every model name that some endpoint serves, sorted.
    pub fn models(&self) -> Vec<Arc<str>> {
        self.sets.models()
    }

    /// An endpoint has got a token, or has none; of two such messages the one with the larger number holds.
    pub fn signed_in(&mut self, id: EndpointId, number: u64, signed_in: SignedIn) {
        let changed = self.endpoints[id.index()].signed_in(number, signed_in);
        self.note(id.index(), changed);
    }

    /// Why the members of a set that have no token have none, by name; empty where one of them has, or needs none.
    pub fn awaited_tokens(&self, set: SetId) -> Vec<(Arc<str>, &str)> {
        let members = self.sets.members(set).iter().map(|member| {
            let reason = self.endpoints[member.index()].awaits_token()?;
            Some((Arc::clone(&self.specs[member.index()].name), reason))
        });
        members.collect::<Option<_>>().unwrap_or_default()
    }

    /// Takes an endpoint out by hand; only [`Balancer::enable`] brings it back.
    pub fn disable(&mut self, id: EndpointId, reason: String) {
        let changed = self.endpoints[id.index()].disable(reason, None);
        self.note(id.index(), changed);
    }

    /// Lets the next request find out whether an endpoint is back.
    pub fn enable(&mut self, id: EndpointId, now: Instant) {
        let changed = self.endpoints[id.index()].enable(now);
        self.quotas.begin_anew(id, now);
        self.note(id.index(), changed);
    }

    /// Rests an endpoint until `until` at least.
    pub fn cool_down(&mut self, id: EndpointId, until: Instant) {
        let changed = self.endpoints[id.index()].cool_down(until);
        self.note(id.index(), changed);
    }

    /// When a request may be sent to an endpoint only to find out whether it is there, should nothing be heard from it until
    /// then.
    pub fn knock_at(&self, endpoint: EndpointId) -> Option<Instant> {
        self.endpoints.knock_at(endpoint.index())
    }

    /// The pool has become smaller than was asked for.
    pub fn set_workers(&mut self, workers: u32) {
        self.settings.workers = workers;
        self.share_workers();
    }

    /// Whether this machine seems to be offline: there are two hosts at least, and all that was sent to any has failed on the
    /// way.
    pub(super) fn is_offline(&self) -> bool {
        let used = (0..self.specs.len()).filter(|&index| self.specs[index].unavailable.is_none());
        let hosts = used.clone().map(|index| &self.specs[index].host);
        hosts.collect::<BTreeSet<_>>().len() >= 2 && used.into_iter().all(|index| self.endpoints[index].reach.is_vain())
    }

    /// A job of the set has waited for so long, and still does: worth a remark where that is because all are out.
    pub fn waits(&mut self, set: SetId, waited: Duration, now: Instant) {
        if !self.outages.is_worth_a_warning(set, waited, now) {
            return;
        }
        let absent = |member: &EndpointId| {
            let endpoint = &self.endpoints[member.index()];
            Absent {
                name: Arc::clone(&self.specs[member.index()].name),
                condition: endpoint.condition(),
                reason: endpoint.reason().unwrap_or_default().to_owned(),
                left: endpoint.until().map(|until| until.saturating_duration_since(now)),
            }
        };
        let absent = self.sets.members(set).iter().map(absent).collect();
        self.remarks.push(Remark::AllOut(waited, absent, self.is_offline()));
    }

    /// What has changed since the last call, for the log and the listeners.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether [`Balancer::take_changes`] would return anything.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What is worth saying once, since the last call.
    pub fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    /// Every worker is busy while jobs wait. Whether to look, by [`Balancer::look`], if a quota has room for the next one.
    pub fn all_busy(&mut self) -> bool {
        self.advisor.all_busy()
    }

    /// Looks whether the quotas have room for a job that waits for a worker.
    pub fn look(&mut self, need: &Need<'_>, now: Instant) {
        let has_room = self.anybody_has_room(need, now);
        self.advisor.looked(has_room);
        if self.advisor.is_time()
            && let Some(advice) = self.worker_advice()
            && self.advisor.is_news(advice)
        {
            self.remarks.push(Remark::Workers(advice));
        }
    }

    /// Whether the workers are too few for the quotas.
    pub fn worker_advice(&self) -> Option<WorkerAdvice> {
        self.advisor.workers(self.settings.workers, || self.capacities())
    }

    /// What the endpoints that are in use could take; nothing is said of those that have not answered yet.
    fn capacities(&self) -> Vec<Capacity> {
        let used = (0..self.specs.len()).filter(|&index| !self.endpoints[index].is_out());
        let capacity = |index: usize| {
            let load = self.advisor.load(index)?;
            let (own, group) = self.quotas.pace(EndpointId::at(index), load.charge);
            Some(Capacity {
                own,
                group,
                seconds: load.seconds,
                most: self.specs[index].max_in_flight,
            })
        };
        used.filter_map(capacity).collect()
    }

    /// Whether some limit of an endpoint shows to be another than was told, or refuses whatever is sent.
    fn note_limits(&mut self, endpoint: EndpointId) {
        if let Some((is_groups, limit)) = self.quotas.contradicted(endpoint) {
            self.remarks.push(Remark::Contradicted {
                endpoint,
                is_groups,
                limit,
            });
        }
        if let Some(percent) = self.quotas.noise_news(endpoint) {
            self.remarks.push(Remark::Noise(endpoint, percent));
        }
    }

    /// By limit: how many requests are under way there, and the tokens that are reserved for them; by the books of the
    /// limits, and by these leases.
    #[cfg(test)]
    pub fn reserved<'a>(&self, leases: impl Iterator<Item = &'a super::Lease>, now: Instant) -> [Vec<(u64, f64)>; 2] {
        [self.quotas.reserved(now), self.quotas.held(leases)]
    }

    /// The next answer is found out afresh, whatever was found out before.
    #[cfg(test)]
    pub fn forget_answers(&mut self) {
        self.quotas.forget_answers();
    }

    /// The name of an endpoint.
    pub fn name(&self, id: EndpointId) -> &Arc<str> {
        &self.specs[id.index()].name
    }

    /// Requests under way, over all endpoints.
    pub fn in_flight(&self) -> u32 {
        self.endpoints.iter().map(Endpoint::in_flight).sum()
    }

    /// Copies what a report shows; percentiles and texts are made of it outside the lock.
    pub fn snapshot(&mut self, id: EndpointId, now: Instant) -> Snapshot {
        let index = id.index();
        let most = self.endpoints.cap(index);
        if self.endpoints[index].refresh(most, now) {
            self.note(index, true);
        }
        let strategy = self.settings.strategy;
        let total: u64 = self.specs.iter().map(|spec| u64::from(spec.turns(strategy))).sum();
        let (spec, endpoint) = (&self.specs[index], &self.endpoints[index]);
        let tallies = &endpoint.tallies;
        let limits = self.quotas.snapshots(id, now);
        let [limit, group_limit] = limits.map(|limit| limit.map(|limit| limit.report(now)));
        Snapshot {
            name: Arc::clone(&spec.name),
            condition: endpoint.condition(),
            reason: endpoint
                .reason()
                .map(str::to_owned)
                .or_else(|| endpoint.silence(now))
                .or_else(|| Some(endpoint.lacks.reasons().next()?.1.to_owned())),
            left: endpoint.until().map(|until| until.saturating_duration_since(now)),
            in_flight: endpoint.in_flight(),
            max_in_flight: self.endpoints.cap(index),
            weight: spec.weight,
            tier: spec.tier,
            share: f64::from(spec.turns(strategy)) / total as f64,
            totals: tallies.totals,
            streak: endpoint.streak(),
            latency: tallies.latency.clone(),
            told: tallies.told,
            limit,
            group_limit,
            estimator: self.estimators[index].clone(),
            is_provisioned: spec.is_provisioned(),
            errors: tallies.errors().cloned().collect(),
            lacks: endpoint
                .lacks
                .reasons()
                .map(|(operation, reason)| AdviceKind::LacksOperation {
                    operation: operation.clone(),
                    reason: reason.to_owned(),
                })
                .collect(),
        }
    }

    /// Forgets what endpoints and limits said, so that each is asked.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.endpoints.forget();
        self.quotas.forget();
    }

    /// All that it knows of endpoints and limits.
    #[cfg(test)]
    pub(super) fn books(&self) -> impl std::fmt::Debug {
        (
            &self.endpoints,
            &self.quotas,
            &self.estimators,
            &self.tiers,
            &self.grades,
            self.has_gaps,
        )
    }

    /// Passes on that an endpoint's condition has changed, if it has.
    fn note(&mut self, index: usize, changed: bool) {
        if changed {
            let change = self.endpoints[index].change(&self.specs[index].name);
            self.changes.push(change);
            if self.endpoints.is_to_share_anew(index) {
                self.share_workers();
            }
        }
    }

    fn share_workers(&mut self) {
        let BalanceSettings { strategy, workers, .. } = self.settings;
        self.endpoints.share_workers(&self.specs, strategy, workers);
    }
}
