//! Brings the engine's core to the state under test: no threads, no transport, plain instants.
//!
//! ```text
//! let mut bench = Bench::new(2, 1);             // two endpoints, one worker
//! // … or, with whatever else they have: Stage::of(2).workers(1).limit(0, limit(None)).begin()
//! let job = bench.submit(Priority::Normal);
//! let sent = bench.pump();                      // what the workers are given at this moment
//! bench.settle(sent, &Outcome::SUCCESS);        // the worker is idle again
//! bench.pass(SECOND);
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::withheld::Mask;
use crate::api::{Operation, Priority, RequestDefaults, Told};
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Axis, Blame, Outcome, Scope, Throttle, Used};
use crate::balance::{
    BalanceSettings, Balancer, EndpointId, EndpointSpec, HealthSettings, JobSize, Output, ReplyHead, Strategy,
};
use crate::clock;
use crate::transport::{Method, Transport};

use super::actions::{Actions, Assignment, Ending, Settled, Why};
use super::core::Core;
use super::job::{Job, JobCell, ReplyKind, Request};
use super::shared::{EndpointInfo, Shared, Timeouts};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const NANO: Duration = Duration::from_nanos(1);
pub(crate) const CHAT: Operation = Operation::ChatCompletions;

/// A core at work. Endpoint `n` serves the models `m` and `m<n>`.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Instant,
    /// The jobs that have ended without an attempt, by their numbers.
    pub(crate) ended: Vec<(u64, &'static str)>,
}

/// A request without content.
pub(crate) fn request() -> Request {
    request_of(JobSize::of(&CHAT, &[]))
}

/// A request of this size.
pub(crate) fn request_of(size: JobSize) -> Request {
    let body = crate::api::RequestBody::opaque(Vec::new());
    Request::new(body, Method::Post, ReplyKind::Raw, size, None, None)
}

/// A balancer over `endpoints` of equal weight.
pub(crate) fn balancer(endpoints: usize, workers: usize) -> Balancer {
    Stage::of(endpoints).workers(workers).balancer()
}

/// A standard quota of so many tokens a minute.
pub(crate) fn limit(tpm: Option<u64>) -> LimitSpec {
    LimitSpec {
        sku: Sku::Standard,
        tpm,
        rpm: None,
        quota_window: 60 * SECOND,
        request_window: 10 * SECOND,
    }
}

/// What a bench begins with.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    specs: Vec<EndpointSpec>,
    settings: BalanceSettings,
    capacity: usize,
}

impl Stage {
    /// So many endpoints of equal weight, without limits, and 64 workers.
    pub(crate) fn of(endpoints: usize) -> Self {
        let spec = |number| EndpointSpec::new(format!("e{number}"), vec!["m".into(), format!("m{number}").into()]);
        Stage {
            specs: (0..endpoints).map(spec).collect(),
            settings: BalanceSettings {
                strategy: Strategy::Weighted,
                workers: 64,
                max_attempts: 5,
                health: HealthSettings {
                    threshold: 5,
                    cooldown_max: 3600 * SECOND,
                },
                groups: Vec::new(),
                start: clock::now(),
                seed: 1,
            },
            capacity: usize::MAX,
        }
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers as u32;
        self
    }

    pub(crate) fn order(mut self, strategy: Strategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Changes an endpoint.
    pub(crate) fn endpoint(mut self, endpoint: usize, change: impl FnOnce(&mut EndpointSpec)) -> Self {
        change(&mut self.specs[endpoint]);
        self
    }

    /// Most jobs waiting.
    pub(crate) fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// An endpoint has this quota of its own.
    pub(crate) fn limit(mut self, endpoint: usize, limit: LimitSpec) -> Self {
        self.specs[endpoint].limit = Some(limit);
        self
    }

    /// These endpoints draw from one quota.
    pub(crate) fn group(mut self, limit: LimitSpec, members: impl IntoIterator<Item = usize>) -> Self {
        for member in members {
            self.specs[member].group = Some(self.settings.groups.len());
        }
        self.settings.groups.push(limit);
        self
    }

    fn balancer(&self) -> Balancer {
        Balancer::new(self.specs.clone(), self.settings.clone())
    }

    /// The workers are idle.
    pub(crate) fn begin(&self) -> Bench {
        let (start, workers) = (self.settings.start, self.settings.workers as usize);
        let mut core = Core::new(self.balancer(), self.capacity, start);
        core.workers = workers;
        (0..workers).for_each(|_| core.worker_idles());
        Bench {
            core,
            now: start,
            ended: Vec::new(),
        }
    }
}

/// What the threads of a blaster share, around `core` and so many endpoints; attempts have an hour.
pub(crate) fn shared(core: Core, transport: impl Transport + 'static, endpoints: usize) -> Shared {
    let info = |number| EndpointInfo {
        name: format!("e{number}").into(),
        model: "m".into(),
        group: None,
        defaults: RequestDefaults::default(),
        timeout: None,
        mask: Mask::default(),
    };
    let timeouts = Timeouts {
        connect: SECOND,
        first_byte: SECOND,
        idle: SECOND,
        attempt: 3600 * SECOND,
        job: None,
    };
    Shared::new(
        core,
        Box::new(transport),
        (0..endpoints).map(info).collect(),
        timeouts,
        None,
    )
}

impl Bench {
    /// `workers` are idle.
    pub(crate) fn new(endpoints: usize, workers: usize) -> Self {
        Stage::of(endpoints).workers(workers).begin()
    }

    pub(crate) fn with_capacity(endpoints: usize, workers: usize, capacity: usize) -> Self {
        Stage::of(endpoints).workers(workers).capacity(capacity).begin()
    }

    pub(crate) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    pub(crate) fn submit(&mut self, priority: Priority) -> Arc<JobCell> {
        self.submit_as("m", &CHAT, priority, None)
    }

    pub(crate) fn submit_as(
        &mut self,
        model: &str,
        operation: &Operation,
        priority: Priority,
        timeout: Option<Duration>,
    ) -> Arc<JobCell> {
        self.enter(model, operation, request(), priority, timeout)
    }

    /// Submits a job that is charged so many tokens, half of them for its prompt.
    pub(crate) fn submit_sized(&mut self, model: &str, tokens: u32, priority: Priority) -> u64 {
        self.enter(model, &CHAT, sized(tokens), priority, None).id
    }

    /// The same, with this much time.
    pub(crate) fn submit_urgent(&mut self, model: &str, tokens: u32, timeout: Duration) -> u64 {
        self.enter(model, &CHAT, sized(tokens), Priority::Normal, Some(timeout))
            .id
    }

    pub(crate) fn enter(
        &mut self,
        model: &str,
        operation: &Operation,
        request: Request,
        priority: Priority,
        timeout: Option<Duration>,
    ) -> Arc<JobCell> {
        let set = self.core.balancer.set(Some(model)).unwrap();
        let deadline = timeout.map(|timeout| self.now + timeout);
        let job = Job::new(request, priority);
        self.core.submit(set, operation, job, deadline, self.now)
    }

    /// Uses so much of the quota of `model`: so many jobs of this size are sent, each when silence has confirmed the one
    /// before, so that it may be used up.
    pub(crate) fn use_up(&mut self, model: &str, jobs: usize, tokens: u32) -> Vec<Assignment> {
        let mut sent = Vec::new();
        for _ in 0..jobs {
            self.submit_sized(model, tokens, Priority::Normal);
            sent.push(self.next());
            self.pass(SECOND / 2);
        }
        sent
    }

    /// The head of a reply has come that admits. True where the engine looks for others that may go now.
    pub(crate) fn head(&mut self, sent: &Assignment, told: Told) -> bool {
        let head = ReplyHead { admitted: true, told };
        self.core.admitted(&sent.lease, &head, self.now)
    }

    /// One round of the pump whose endings are not noted.
    pub(crate) fn core_round(&mut self) -> Actions {
        let mut actions = Actions::default();
        self.core.expire(self.now, &mut actions);
        self.core.pump(self.now, &mut actions);
        actions
    }

    /// One round of the pump, as one hold of the lock.
    pub(crate) fn round(&mut self) -> Actions {
        let mut actions = self.core_round();
        self.note(&mut actions);
        actions
    }

    /// What the workers are given at this moment, in as many holds of the lock as it takes.
    pub(crate) fn pump(&mut self) -> Vec<Assignment> {
        let first = self.round();
        self.rest_of(first)
    }

    /// What the workers are given after a submission, or when an attempt was settled.
    pub(crate) fn go_on(&mut self) -> Vec<Assignment> {
        let mut first = Actions::default();
        self.core.go_on(self.now, &mut first);
        self.note(&mut first);
        self.rest_of(first)
    }

    /// What one hold of the lock has decided, and what it has left for further ones.
    fn rest_of(&mut self, mut actions: Actions) -> Vec<Assignment> {
        let mut all = std::mem::take(&mut actions.assignments);
        while actions.more {
            actions = Actions::default();
            self.core.expire(self.now, &mut actions);
            self.core.go_on(self.now, &mut actions);
            self.note(&mut actions);
            all.append(&mut actions.assignments);
        }
        all
    }

    /// What the sole idle worker is given.
    pub(crate) fn next(&mut self) -> Assignment {
        let mut all = self.pump();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// The number of the job that goes next, which is answered at once.
    pub(crate) fn answer_next(&mut self) -> u64 {
        let assignment = self.next();
        let id = assignment.job.id();
        assert!(matches!(
            self.settle(assignment, &Outcome::SUCCESS),
            Settled::Answered(_)
        ));
        id
    }

    /// The worker has carried out its assignment, and is idle.
    pub(crate) fn settle(&mut self, assignment: Assignment, outcome: &Outcome) -> Settled {
        let Assignment { job, lease, .. } = assignment;
        let settled = self.core.settle(job, lease, outcome, self.now);
        self.core.worker_idles();
        settled
    }

    pub(crate) fn cancel(&mut self, cell: &JobCell) -> bool {
        cell.gate.cancel();
        let ending = self.core.cancel(cell);
        let found = ending.is_some();
        let mut actions = Actions {
            endings: ending.into_iter().collect(),
            ..Actions::default()
        };
        self.note(&mut actions);
        found
    }

    pub(crate) fn note(&mut self, actions: &mut Actions) {
        self.ended.extend(actions.endings.drain(..).map(|ending| told(&ending)));
    }

    /// Time until the next thing is due.
    pub(crate) fn wakes_in(&self) -> Option<Duration> {
        self.core.next_wake().map(|at| at.saturating_duration_since(self.now))
    }

    pub(crate) fn disable(&mut self, endpoint: usize) {
        self.core
            .balancer
            .disable(EndpointId::at(endpoint), "by hand".to_owned());
    }
}

/// A request that is charged so many tokens, half of them for its prompt.
pub(crate) fn sized(tokens: u32) -> Request {
    request_of(JobSize::new(tokens / 2, Output::AtMost(tokens / 2)))
}

/// An answer that has used next to nothing of what was reserved for it.
pub(crate) fn hardly_used() -> Outcome {
    Outcome::Success(Used {
        prompt: Some(10),
        output: Some(10),
    })
}

/// How a job ended without an attempt.
pub(crate) fn told(ending: &Ending) -> (u64, &'static str) {
    let why = match ending.why {
        Why::NoEndpoint(_) => "no endpoint",
        Why::TimedOut(_) => "timed out",
        Why::TooLate(_) => "too late",
        Why::TooLarge(_) => "too large",
        Why::ShutDown => "shut down",
        Why::Cancelled => "cancelled",
        Why::Panicked(_) => "panicked",
    };
    (ending.job.id(), why)
}

pub(crate) fn throttled(wait: Duration) -> Outcome {
    Outcome::Throttled(Throttle {
        wait: Some(wait),
        axis: Axis::Requests,
        reason: "429".to_owned(),
    })
}

pub(crate) fn failed(blame: Blame) -> Outcome {
    Outcome::Failed {
        blame,
        reason: "5xx".to_owned(),
    }
}

pub(crate) fn unusable(scope: Scope) -> Outcome {
    Outcome::Unusable {
        scope,
        reason: "404".to_owned(),
    }
}
