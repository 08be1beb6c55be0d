//! The engine's decisions, and what they are told of the world: all that has to change when they are told more.

use std::time::{Duration, Instant};

use azure_openai_blaster::Priority;
use azure_openai_blaster::internals::limits::{LimitSpec, Sku};
use azure_openai_blaster::internals::{
    BalanceSettings, Blame, Decisions, EndpointId, EndpointSpec, Entrant, Fate, HealthSettings, JobSize, Outcome,
    Output, ReplyHead, Rest, Sent, SetId, Strategy, Throttle, Used,
};

use super::conditions::{Conditions, Told};
use super::fleet::Plan;
use super::job::{Job, MAX_OUTPUT};
use super::record::End;

/// The model that everybody serves and every job asks for.
const MODEL: &str = "m";

/// Most requests of a client under way: the default of a large fleet.
const WORKERS: u32 = 1024;

/// Failures in a row that take an endpoint out: the default.
pub(crate) const THRESHOLD: u32 = 5;

/// One client: the decisions of one engine.
#[derive(Debug)]
pub(crate) struct Client {
    decisions: Decisions,
    set: SetId,
    /// The world's numbers of its jobs, in the order of submission.
    jobs: Vec<usize>,
    /// When the world began.
    epoch: Instant,
    /// When the timer goes off.
    pub(crate) alarm: Option<Duration>,
}

/// What has become of a job, as the client says.
pub(crate) type Ended = (usize, Fate);

impl Client {
    pub(crate) fn new(plans: &[Plan], conditions: &Conditions, seed: u64) -> Self {
        let epoch = Instant::now();
        let specs = plans.iter().map(|plan| spec(plan, conditions.told)).collect();
        let settings = BalanceSettings {
            strategy: Strategy::Weighted,
            workers: WORKERS,
            max_attempts: 5,
            health: HealthSettings {
                threshold: THRESHOLD,
                cooldown_max: Duration::from_secs(3600),
            },
            groups: Vec::new(),
            start: epoch,
            seed,
        };
        let mut decisions = Decisions::new(specs, settings, usize::MAX, epoch);
        let round_trip = Duration::from_secs_f64(conditions.round_trip);
        for index in 0..plans.len() {
            decisions.connected(EndpointId::at(index), round_trip, epoch);
        }
        Client {
            set: decisions.set(MODEL).expect("everybody serves it"),
            decisions,
            jobs: Vec::new(),
            epoch,
            alarm: None,
        }
    }

    /// A job of the backlog that is there before anything is sent.
    pub(crate) fn enqueue(&mut self, number: usize, job: &Job, now: Duration) {
        self.jobs.push(number);
        self.decisions.enqueue(self.set, entrant(job), None, self.epoch + now);
    }

    /// A job comes.
    pub(crate) fn submit(&mut self, number: usize, job: &Job, now: Duration) -> Vec<Ended> {
        self.jobs.push(number);
        let rest = self.decisions.submit(self.set, entrant(job), None, self.epoch + now);
        self.go_on(rest, now)
    }

    /// A request has come to its end. What is not streamed has its head and its end at one time.
    pub(crate) fn end(&mut self, sent: Sent, job: &Job, end: End, now: Duration) -> Vec<Ended> {
        let at = self.epoch + now;
        let number = self.number(sent.job());
        let mut ended = Vec::new();
        if let End::Answered | End::Refused(_) = end {
            let head = ReplyHead {
                admitted: end == End::Answered,
                told: Default::default(),
            };
            let rest = self.decisions.admitted(&sent, &head, at);
            ended = self.go_on(rest, now);
        }
        let rest = self.decisions.settle_one(sent, &outcome(end, job), at);
        let fate = rest.fate().filter(|fate| *fate != Fate::Waiting);
        ended.extend(fate.map(|fate| (number, fate)));
        ended.extend(self.go_on(rest, now));
        ended
    }

    /// Time has passed.
    pub(crate) fn wake(&mut self, now: Duration) -> Vec<Ended> {
        let rest = self.decisions.wake(self.epoch + now);
        self.go_on(rest, now)
    }

    /// What is to be sent, with the world's number of its job.
    pub(crate) fn take(&mut self) -> Option<(usize, Sent)> {
        let sent = self.decisions.take()?;
        Some((self.number(sent.job()), sent))
    }

    /// When to call [`Client::wake`], if nothing else happens.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        Some(self.decisions.next_wake()?.saturating_duration_since(self.epoch))
    }

    /// Does what one hold of the lock has left to do.
    fn go_on(&mut self, mut rest: Rest, now: Duration) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            ended.extend(rest.ended().map(|id| (self.number(id), Fate::Failed)));
            if !self.decisions.has_more() {
                return ended;
            }
            rest = self.decisions.go_on(self.epoch + now);
        }
    }

    fn number(&self, id: u64) -> usize {
        self.jobs[id as usize]
    }
}

/// A deployment as it is configured.
fn spec(plan: &Plan, told: Told) -> EndpointSpec {
    let told = |truth: u64| match told {
        Told::Nothing => None,
        Told::Times(times) => Some((truth as f64 * times) as u64),
    };
    EndpointSpec {
        limit: Some(LimitSpec {
            sku: if plan.provisioned {
                Sku::Provisioned
            } else {
                Sku::Standard
            },
            tpm: told(plan.tpm),
            rpm: plan.rpm.and_then(told),
            quota_window: Duration::from_secs(60),
            request_window: Duration::from_secs(10),
        }),
        ..EndpointSpec::new(plan.name.as_str(), vec![MODEL.into()])
    }
}

/// A job as it is submitted.
fn entrant(job: &Job) -> Entrant {
    let size = JobSize::new(job.estimate as u32, Output::AtMost(MAX_OUTPUT as u32));
    Decisions::job_of(Priority::Normal, size, Vec::new())
}

/// What the engine makes of a request's end.
fn outcome(end: End, job: &Job) -> Outcome {
    let failed = |blame, reason: &str| Outcome::Failed {
        blame,
        reason: reason.to_owned(),
    };
    match end {
        End::Answered => Outcome::Success(Used {
            prompt: Some(job.prompt as u32),
            output: Some(job.output as u32),
        }),
        End::Refused(refusal) => Outcome::Throttled(Throttle {
            wait: Some(refusal.wait),
            axis: refusal.axis,
            reason: "429".to_owned(),
        }),
        End::Reset => failed(Blame::Cut, "connection reset"),
        End::TimedOut => failed(Blame::Endpoint, "no byte of a reply"),
    }
}
