//! Brings a balancer to the state under test.
//!
//! ```text
//! let mut world = Scenario::of(2).threshold(3).begin();
//! let sent = world.send();                         // at t0, wherever the balancer says
//! world.settle(sent, &throttled(7 * SECOND));
//! world.at(7 * SECOND);                            // it is t0 + 7 s now
//! ```

use std::time::{Duration, Instant};

use super::affinity::AffinityKey;
use super::limits::{LimitSpec, Sku};
use super::outcome::{Axis, Blame, Outcome, Scope, Throttle};
use super::{
    BalanceSettings, Balancer, EndpointId, EndpointSpec, HealthSettings, JobSize, JobState, Lease, Need, Output, Pick,
    ReplyHead, Role, SetId, Snapshot, Strategy, Unavailable, Verdict,
};
use crate::api::{Condition, Operation, Told};
use crate::clock::{Clock, ManualClock};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const NANO: Duration = Duration::from_nanos(1);
pub(super) const CHAT: Operation = Operation::ChatCompletions;

/// The endpoints in the order of their positions.
pub(super) const NAMES: [&str; 5] = ["east", "west", "north", "south", "up"];
pub(super) const EAST: EndpointId = EndpointId(0);
pub(super) const WEST: EndpointId = EndpointId(1);
pub(super) const NORTH: EndpointId = EndpointId(2);

/// What the world is made of; every endpoint weighs 1 and serves the model `m` until something else is said.
pub(super) struct Scenario {
    specs: Vec<EndpointSpec>,
    settings: BalanceSettings,
    clock: ManualClock,
}

impl Scenario {
    pub(super) fn of(endpoints: usize) -> Self {
        let spec = |name: &&str| EndpointSpec::new(*name, vec!["m".into()]);
        let clock = ManualClock::new();
        Scenario {
            specs: NAMES[..endpoints].iter().map(spec).collect(),
            settings: BalanceSettings {
                strategy: Strategy::Weighted,
                workers: 64,
                max_attempts: 5,
                health: HealthSettings {
                    threshold: 5,
                    cooldown_max: 3600 * SECOND,
                },
                groups: Vec::new(),
                start: clock.now(),
                seed: 1,
            },
            clock,
        }
    }

    pub(super) fn threshold(mut self, failures: u32) -> Self {
        self.settings.health.threshold = failures;
        self
    }

    pub(super) fn cooldown_max(mut self, wait: Duration) -> Self {
        self.settings.health.cooldown_max = wait;
        self
    }

    pub(super) fn workers(mut self, workers: u32) -> Self {
        self.settings.workers = workers;
        self
    }

    pub(super) fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    pub(super) fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    pub(super) fn at_one_host(mut self) -> Self {
        self.specs.iter_mut().for_each(|spec| spec.host = "host".into());
        self
    }

    pub(super) fn round_robin(self) -> Self {
        self.strategy(Strategy::RoundRobin)
    }

    pub(super) fn strategy(mut self, strategy: Strategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    pub(super) fn tiers(mut self, tiers: &[u32]) -> Self {
        for (spec, &tier) in self.specs.iter_mut().zip(tiers) {
            spec.tier = tier;
        }
        self
    }

    pub(super) fn limit(mut self, endpoint: EndpointId, limit: LimitSpec) -> Self {
        self.specs[endpoint.index()].limit = Some(limit);
        self
    }

    /// The first so many endpoints draw from one quota.
    pub(super) fn group(mut self, members: usize, limit: LimitSpec) -> Self {
        self.settings.groups.push(limit);
        let group = self.settings.groups.len() - 1;
        self.specs[..members]
            .iter_mut()
            .for_each(|spec| spec.group = Some(group));
        self
    }

    pub(super) fn failover(mut self) -> Self {
        self.settings.strategy = Strategy::Failover;
        self
    }

    /// Makes an endpoint serve this model too.
    pub(super) fn serves(mut self, endpoint: EndpointId, model: &str) -> Self {
        self.specs[endpoint.index()].serves.push(model.into());
        self
    }

    pub(super) fn weights(mut self, weights: &[u32]) -> Self {
        for (spec, &weight) in self.specs.iter_mut().zip(weights) {
            spec.weight = weight;
        }
        self
    }

    pub(super) fn max_in_flight(mut self, endpoint: EndpointId, most: u32) -> Self {
        self.specs[endpoint.index()].max_in_flight = Some(most);
        self
    }

    /// Every endpoint has a limit, of which nothing is known.
    pub(super) fn limited(mut self) -> Self {
        for spec in &mut self.specs {
            spec.limit = Some(LimitSpec {
                sku: Sku::Standard,
                tpm: None,
                rpm: None,
                quota_window: 60 * SECOND,
                request_window: 10 * SECOND,
            });
        }
        self
    }

    pub(super) fn unavailable(mut self, endpoint: EndpointId, reason: &str) -> Self {
        self.specs[endpoint.index()].unavailable = Some(reason.to_owned());
        self
    }

    pub(super) fn begin(self) -> World {
        let clock = self.clock;
        let balancer = Balancer::new(self.specs, self.settings);
        World {
            set: balancer.set(Some("m")).unwrap(),
            balancer,
            t0: clock.now(),
            clock,
            jobs: 0,
        }
    }
}

/// A balancer at work.
pub(super) struct World {
    pub(super) balancer: Balancer,
    pub(super) set: SetId,
    pub(super) t0: Instant,
    clock: ManualClock,
    jobs: u64,
}

/// A request under way.
#[must_use]
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) lease: Lease,
    pub(super) job: JobState,
}

impl World {
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// It is `t0 + since` from now on.
    pub(super) fn at(&mut self, since: Duration) -> &mut Self {
        let passed = self.now() - self.t0;
        self.clock
            .advance(since.checked_sub(passed).expect("time goes forward"));
        self
    }

    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.clock.advance(time);
        self
    }

    /// A job that has not been tried.
    pub(super) fn job(&mut self) -> JobState {
        self.jobs += 1;
        JobState::new(self.jobs)
    }

    pub(super) fn pick(&mut self, job: &JobState, operation: &Operation) -> Pick {
        self.pick_for(job, operation, None, None)
    }

    /// Where a job goes that has so much time left.
    pub(super) fn pick_within(&mut self, job: &JobState, time: Duration) -> Pick {
        self.pick_for(job, &CHAT, Some(self.now() + time), None)
    }

    fn pick_for(
        &mut self,
        job: &JobState,
        operation: &Operation,
        deadline: Option<Instant>,
        affinity: Option<AffinityKey>,
    ) -> Pick {
        let need = Need {
            set: self.set,
            operation,
            job,
            deadline,
            size: JobSize::new(1000, Output::AtMost(1000)),
            affinity,
        };
        self.balancer.pick(&need, self.clock.now())
    }

    /// Sends a new job, wherever the balancer says.
    pub(super) fn send(&mut self) -> Sent {
        let job = self.job();
        self.send_again(job)
    }

    /// Sends a job that has been tried before.
    pub(super) fn send_again(&mut self, job: JobState) -> Sent {
        match self.pick(&job, &CHAT) {
            Pick::Send(lease) => Sent { lease, job },
            other => panic!("nobody takes job {}: {other:?}", job.id()),
        }
    }

    /// Where a job goes that is part of a conversation.
    pub(super) fn pick_of(&mut self, conversation: Option<u64>, job: &JobState) -> Pick {
        self.pick_for(job, &CHAT, None, conversation.map(key))
    }

    /// Sends a new job of this conversation, wherever the balancer says.
    pub(super) fn send_of(&mut self, conversation: u64) -> Sent {
        let job = self.job();
        self.send_again_of(conversation, job)
    }

    /// Sends a job of this conversation that has been tried before.
    pub(super) fn send_again_of(&mut self, conversation: u64, job: JobState) -> Sent {
        match self.pick_of(Some(conversation), &job) {
            Pick::Send(lease) => Sent { lease, job },
            other => panic!("nobody takes job {}: {other:?}", job.id()),
        }
    }

    /// Sends a new job to a certain endpoint; those that the balancer would send elsewhere are given up.
    pub(super) fn send_to(&mut self, endpoint: EndpointId) -> Sent {
        for _ in 0..1000 {
            let sent = self.send();
            if sent.lease.endpoint() == endpoint {
                return sent;
            }
            self.settle(sent, &Outcome::Abandoned);
        }
        panic!("{} is given nothing", NAMES[endpoint.index()]);
    }

    /// Sends as many jobs as somebody takes at this moment.
    pub(super) fn send_all(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        loop {
            let job = self.job();
            match self.pick(&job, &CHAT) {
                Pick::Send(lease) => all.push(Sent { lease, job }),
                _ => return all,
            }
        }
    }

    /// What a new job would have to wait for; panics where it need not.
    pub(super) fn wait(&mut self) -> Wait {
        let job = self.job();
        match self.pick(&job, &CHAT) {
            Pick::Send(lease) => panic!("{} takes it", NAMES[lease.endpoint().index()]),
            Pick::WaitUntil(at) => Wait::Until(at - self.t0),
            Pick::WaitForSettle => Wait::Settle,
            Pick::WaitElsewhere(_) => panic!("a new job has failed nowhere"),
            Pick::TooLate(_) | Pick::TooLarge(_) => panic!("it has no deadline, and there is no limit"),
            Pick::Never(Unavailable { reasons, .. }) => {
                Wait::Never(reasons.iter().map(|(_, reason)| reason.clone()).collect())
            }
        }
    }

    /// The reply's head has come, a good one.
    pub(super) fn head(&mut self, sent: &Sent) -> bool {
        let head = ReplyHead {
            admitted: true,
            told: Told::default(),
        };
        self.balancer.admitted(&sent.lease, &head, self.clock.now())
    }

    pub(super) fn settle(&mut self, sent: Sent, outcome: &Outcome) -> (Verdict, JobState) {
        let Sent { mut lease, mut job } = sent;
        lease.tried(true);
        let verdict = self
            .balancer
            .settle(lease, &mut job, self.set, outcome, self.clock.now());
        (verdict, job)
    }

    /// Sends a new job to `endpoint` and settles it at once.
    pub(super) fn run(&mut self, endpoint: EndpointId, outcome: &Outcome) -> (Verdict, JobState) {
        let sent = self.send_to(endpoint);
        self.settle(sent, outcome)
    }

    /// Lets requests to `endpoint` fail, each at the moment at which it is given work again, until it is ejected.
    pub(super) fn eject(&mut self, endpoint: EndpointId) {
        while self.condition(endpoint) != Condition::Ejected {
            self.run(endpoint, &timeout());
            if let Some(left) = self.snapshot(endpoint).left
                && self.condition(endpoint) == Condition::CoolingDown
            {
                self.pass(left);
            }
        }
    }

    pub(super) fn snapshot(&mut self, endpoint: EndpointId) -> Snapshot {
        self.balancer.snapshot(endpoint, self.clock.now())
    }

    pub(super) fn condition(&mut self, endpoint: EndpointId) -> Condition {
        self.snapshot(endpoint).condition
    }

    pub(super) fn reason(&mut self, endpoint: EndpointId) -> String {
        self.snapshot(endpoint).reason.unwrap_or_default()
    }

    /// Time until `endpoint` is given work, or tried, again.
    pub(super) fn left(&mut self, endpoint: EndpointId) -> Duration {
        self.snapshot(endpoint).left.expect("it is given no work")
    }

    /// What a new job would be to `endpoint`, the sole one; none where it is given nothing.
    pub(super) fn role(&mut self) -> Option<Role> {
        let job = self.job();
        match self.pick(&job, &CHAT) {
            Pick::Send(lease) => {
                let role = lease.role();
                self.settle(Sent { lease, job }, &Outcome::Abandoned);
                Some(role)
            }
            _ => None,
        }
    }
}

/// What the jobs of a conversation have in common.
pub(super) fn key(conversation: u64) -> AffinityKey {
    AffinityKey::new("session", &conversation.to_be_bytes())
}

/// What a job waits for; times count from `t0`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Until(Duration),
    Settle,
    /// It does not: each endpoint's reason.
    Never(Vec<String>),
}

pub(super) fn throttled(wait: Duration) -> Outcome {
    refusal(Some(wait))
}

pub(super) fn refusal(wait: Option<Duration>) -> Outcome {
    Outcome::Throttled(Throttle {
        wait,
        axis: Axis::Tokens,
        reason: "429".to_owned(),
    })
}

/// The job's time is over, and nothing has come.
pub(super) const OUT_OF_TIME: Outcome = Outcome::OutOfTime { silent: true };

pub(super) fn timeout() -> Outcome {
    failure("no reply")
}

pub(super) fn failure(reason: &str) -> Outcome {
    Outcome::Failed {
        blame: Blame::Endpoint,
        reason: reason.to_owned(),
    }
}

pub(super) fn server_error() -> Outcome {
    Outcome::Failed {
        blame: Blame::Unclear,
        reason: "500".to_owned(),
    }
}

pub(super) fn denied() -> Outcome {
    Outcome::Failed {
        blame: Blame::Denied { lasts: false },
        reason: "403".to_owned(),
    }
}

pub(super) fn unauthorized() -> Outcome {
    Outcome::Unusable {
        scope: Scope::Deployment,
        reason: "401".to_owned(),
    }
}

pub(super) fn unsupported() -> Outcome {
    Outcome::Unusable {
        scope: Scope::Operation,
        reason: "no such operation".to_owned(),
    }
}

pub(super) fn refused() -> Outcome {
    Outcome::Refused {
        own: true,
        reason: "400".to_owned(),
    }
}
