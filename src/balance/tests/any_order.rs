//! What holds in whatever order things happen.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::api::Condition;
use crate::balance::endpoint::EJECTED_PROBE;
use crate::balance::outcome::{Blame, Outcome};
use crate::balance::scenario::*;
use crate::balance::{EndpointId, JobState, Lease, Pick, Role, Verdict};

const ENDPOINTS: usize = 3;
const MOST_ATTEMPTS: u32 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A new job is to be sent; where it has to wait until an instant, that instant may be waited for.
    Submit {
        waits: bool,
    },
    /// The oldest job that is to be tried again is sent.
    Retry,
    /// The head of one of the requests under way comes.
    Head(usize),
    /// One of the requests under way ends.
    Settle(usize, Outcome),
    Pass(Duration),
    Enable(EndpointId),
    Disable(EndpointId),
    CoolDown(EndpointId, Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint = || (0..ENDPOINTS).prop_map(EndpointId::at);
    let time = || (0u64..200_000).prop_map(Duration::from_millis);
    prop_oneof![
        8 => any::<bool>().prop_map(|waits| Step::Submit { waits }),
        4 => Just(Step::Retry),
        3 => any::<usize>().prop_map(Step::Head),
        10 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        3 => (0u64..6_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => time().prop_map(Step::Pass),
        1 => endpoint().prop_map(Step::Enable),
        1 => endpoint().prop_map(Step::Disable),
        1 => (endpoint(), time()).prop_map(|(endpoint, time)| Step::CoolDown(endpoint, time)),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::SUCCESS),
        4 => Just(timeout()),
        2 => Just(Outcome::Failed { blame: Blame::ServerError, reason: "503".to_owned() }),
        3 => Just(server_error()),
        3 => (0u64..100_000).prop_map(|ms| throttled(Duration::from_millis(ms + 1))),
        1 => Just(throttled(86_400 * SECOND)),
        1 => Just(refusal(None)),
        1 => Just(refused()),
        1 => Just(denied()),
        1 => Just(unauthorized()),
        1 => Just(Outcome::Abandoned),
        2 => any::<bool>().prop_map(|silent| Outcome::OutOfTime { silent }),
        1 => Just(Outcome::Failed { blame: Blame::Nobody, reason: "stale".to_owned() }),
        1 => Just(Outcome::Failed { blame: Blame::Here, reason: "no file".to_owned() }),
    ]
}

fn scenario() -> impl Strategy<Value = (Vec<u32>, Option<u32>, u32, u32, u64)> {
    (
        prop::collection::vec(1u32..5, ENDPOINTS),
        prop::option::of(1u32..3),
        1u32..4,
        1u32..12,
        any::<u64>(),
    )
}

/// The world, and what is known of it without asking the balancer.
struct Watched {
    world: World,
    under_way: Vec<Flying>,
    retries: Vec<(JobState, Instant)>,
    /// The latest instant before which an endpoint must be given nothing.
    resting: [Option<Instant>; ENDPOINTS],
    /// When a probe was sent that has come to nothing, or is out.
    probed: [Option<Instant>; ENDPOINTS],
    sent: u64,
    ended: u64,
}

struct Flying {
    sent: Sent,
    headed: bool,
}

impl Watched {
    fn count(&self, endpoint: EndpointId) -> usize {
        self.under_way
            .iter()
            .filter(|flying| flying.sent.lease.endpoint() == endpoint)
            .count()
    }

    fn has_scout(&self, endpoint: EndpointId) -> bool {
        self.under_way.iter().any(|flying| {
            flying.sent.lease.endpoint() == endpoint && flying.sent.lease.role() != Role::Regular && !flying.headed
        })
    }

    /// Whether nobody but `endpoint` is given work.
    fn is_alone(&mut self, endpoint: EndpointId) -> bool {
        (0..ENDPOINTS)
            .map(EndpointId::at)
            .all(|other| other == endpoint || self.world.condition(other) != Condition::Ready || self.is_silent(other))
    }

    fn is_full(&mut self, endpoint: EndpointId) -> bool {
        self.count(endpoint) >= self.world.snapshot(endpoint).max_in_flight as usize
    }

    /// Ready, and given nothing because nothing has come of it.
    fn is_silent(&mut self, endpoint: EndpointId) -> bool {
        self.world.condition(endpoint) == Condition::Ready && self.world.reason(endpoint).starts_with("silent")
    }

    fn conditions(&mut self) -> [Condition; ENDPOINTS] {
        std::array::from_fn(|index| self.world.condition(EndpointId::at(index)))
    }

    fn try_send(&mut self, job: JobState, waits: bool) -> Option<JobState> {
        let before = self.conditions();
        // Every other job is part of one of eight conversations.
        let conversation = job.id().is_multiple_of(2).then(|| job.id() % 16);
        let silent: [bool; ENDPOINTS] = std::array::from_fn(|index| self.is_silent(EndpointId::at(index)));
        match self.world.pick_of(conversation, &job) {
            Pick::Send(lease) => {
                let index = lease.endpoint().index();
                self.check_lease(&lease, before[index], silent[index]);
                self.sent += 1;
                self.under_way.push(Flying {
                    sent: Sent { lease, job },
                    headed: false,
                });
                None
            }
            Pick::WaitUntil(at) => {
                assert!(at > self.world.now(), "a wait for what is over");
                if waits {
                    self.check_wait(&job, at);
                }
                Some(job)
            }
            Pick::WaitElsewhere(at) => {
                assert!(at.is_none_or(|at| at > self.world.now()), "a wait for what is over");
                assert!(
                    !job.suspects().is_empty() || job.failures() + 1 >= MOST_ATTEMPTS,
                    "a job that no 500 has driven away, and that has another try, is at home everywhere"
                );
                Some(job)
            }
            Pick::WaitForSettle => {
                assert!(!self.under_way.is_empty(), "nothing is under way that could end");
                Some(job)
            }
            Pick::TooLate(_) | Pick::TooLarge(_) => panic!("it has no deadline, and there is no limit"),
            Pick::Never(why) => {
                assert_eq!(why.reasons.len(), ENDPOINTS);
                assert!(
                    before
                        .iter()
                        .all(|condition| matches!(condition, Condition::Disabled | Condition::Probing)),
                    "never, although {before:?}"
                );
                Some(job)
            }
        }
    }

    fn check_lease(&mut self, lease: &Lease, before: Condition, silent: bool) {
        let (endpoint, now) = (lease.endpoint(), self.world.now());
        if let Some(until) = self.resting[endpoint.index()] {
            assert!(now >= until, "{endpoint:?} is to rest for {:?} more", until - now);
        }
        let places = self.world.snapshot(endpoint).max_in_flight as usize;
        // Those who ask a silent one may exceed its share.
        let beyond = if silent && lease.role() == Role::Probe {
            (places / 8).min(3)
        } else {
            0
        };
        assert!(self.count(endpoint) < places + beyond, "{endpoint:?} has no place left");
        match lease.role() {
            Role::Probe => {
                let last = self.probed[endpoint.index()].replace(now);
                assert!(
                    last.is_none_or(|last| now - last >= EJECTED_PROBE),
                    "two probes at once at {endpoint:?}"
                );
            }
            Role::Trial | Role::Regular => {}
        }
        match before {
            Condition::Ready => assert!(
                (lease.role() == Role::Probe) == silent || self.is_alone(endpoint),
                "{:?}, silent: {silent}",
                lease.role()
            ),
            Condition::Ejected | Condition::Disabled | Condition::Probing => assert_eq!(lease.role(), Role::Probe),
            other => panic!("{endpoint:?} is given a request while {other}"),
        }
    }

    /// Until the promised instant nobody takes the job; at the instant somebody does, or has no place left.
    fn check_wait(&mut self, job: &JobState, at: Instant) {
        let left = at - self.world.now();
        self.world.pass(left - NANO);
        match self.world.pick(job, &CHAT) {
            Pick::WaitUntil(same) if same == at => {}
            // Since then everybody has fallen silent, and work goes on all the same.
            Pick::Send(lease) if self.is_silent(lease.endpoint()) && self.is_alone(lease.endpoint()) => {
                return self.give_up(lease);
            }
            // An endpoint that has fallen silent since then is given work later than it would have been.
            other => assert!(
                !matches!(other, Pick::Send(_)) && self.anybody(Self::is_silent),
                "something came before the promised instant: {other:?}"
            ),
        }
        self.world.pass(NANO);
        match self.world.pick(job, &CHAT) {
            Pick::Send(lease) => self.give_up(lease),
            other => assert!(
                self.anybody(|watched, endpoint| {
                    watched.has_scout(endpoint) || watched.is_full(endpoint) || watched.is_silent(endpoint)
                }),
                "the promised instant brings nothing: {other:?}"
            ),
        }
    }

    fn give_up(&mut self, lease: Lease) {
        let job = JobState::new(0);
        self.world.settle(Sent { lease, job }, &Outcome::Abandoned);
        self.sent += 1;
        self.ended += 1;
    }

    fn anybody(&mut self, mut is: impl FnMut(&mut Self, EndpointId) -> bool) -> bool {
        (0..ENDPOINTS).any(|index| is(self, EndpointId::at(index)))
    }

    fn settle(&mut self, which: usize, outcome: &Outcome) {
        let Flying { sent, .. } = self.under_way.swap_remove(which % self.under_way.len());
        let (endpoint, now) = (sent.lease.endpoint(), self.world.now());
        if let Outcome::Throttled(throttle) = outcome
            && let Some(wait) = throttle.wait
            && wait <= 3600 * SECOND
        {
            self.rest(endpoint, now + wait);
        }
        if !matches!(
            outcome,
            Outcome::Failed {
                blame: Blame::Endpoint | Blame::Cut | Blame::ServerError | Blame::Unclear,
                ..
            } | Outcome::OutOfTime { .. }
        ) {
            self.probed[endpoint.index()] = None;
        }
        let (verdict, job) = self.world.settle(sent, outcome);
        assert!(job.failures() <= MOST_ATTEMPTS);
        self.ended += 1;
        match verdict {
            Verdict::Done => assert_eq!(*outcome, Outcome::SUCCESS),
            Verdict::RetryAt(at) => self.retries.push((job, at)),
            Verdict::GiveUp(_) => assert!(matches!(
                outcome,
                Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::OutOfTime { .. } | Outcome::Abandoned
            )),
        }
    }

    fn rest(&mut self, endpoint: EndpointId, until: Instant) {
        let resting = &mut self.resting[endpoint.index()];
        *resting = Some(resting.map_or(until, |longer| longer.max(until)));
    }

    fn take(&mut self, step: Step) {
        let now = self.world.now();
        match step {
            Step::Submit { waits } => {
                let job = self.world.job();
                self.try_send(job, waits);
            }
            Step::Retry => {
                if let Some(next) = self.retries.iter().position(|(_, at)| *at <= now) {
                    let (job, at) = self.retries.remove(next);
                    if let Some(job) = self.try_send(job, false) {
                        self.retries.push((job, at));
                    }
                }
            }
            Step::Head(which) if !self.under_way.is_empty() => {
                let which = which % self.under_way.len();
                self.world.head(&self.under_way[which].sent);
                self.probed[self.under_way[which].sent.lease.endpoint().index()] = None;
                self.under_way[which].headed = true;
            }
            Step::Settle(which, outcome) if !self.under_way.is_empty() => self.settle(which, &outcome),
            Step::Head(_) | Step::Settle(..) => {}
            Step::Pass(time) => drop(self.world.pass(time)),
            Step::Enable(endpoint) => {
                self.world.balancer.enable(endpoint, now);
                self.resting[endpoint.index()] = None;
                self.probed[endpoint.index()] = None;
            }
            Step::Disable(endpoint) => self.world.balancer.disable(endpoint, "by hand".to_owned()),
            Step::CoolDown(endpoint, time) => {
                self.world.balancer.cool_down(endpoint, now + time);
                self.rest(endpoint, now + time);
            }
        }
        for endpoint in (0..ENDPOINTS).map(EndpointId::at) {
            assert_eq!(self.world.snapshot(endpoint).in_flight as usize, self.count(endpoint));
        }
    }

    /// Every endpoint answers often enough that its silence would be noticed.
    fn practise(&mut self) {
        for _ in 0..300 {
            let sent = self.world.send();
            self.world.pass(SECOND / 10).head(&sent);
            self.world.settle(sent, &Outcome::SUCCESS);
            self.sent += 1;
            self.ended += 1;
        }
    }

    /// Whatever has happened: once nothing is under way and somebody has seen to it, all endpoints work again.
    fn mend(&mut self) {
        while !self.under_way.is_empty() {
            self.settle(0, &Outcome::Abandoned);
        }
        let totals: Vec<_> = (0..ENDPOINTS)
            .map(|index| self.world.snapshot(EndpointId::at(index)).totals)
            .collect();
        assert_eq!(totals.iter().map(|totals| totals.sent).sum::<u64>(), self.sent);
        assert_eq!(self.sent, self.ended);
        let now = self.world.now();
        for endpoint in (0..ENDPOINTS).map(EndpointId::at) {
            self.world.balancer.enable(endpoint, now);
        }
        for _ in 0..ENDPOINTS * 2 {
            let sent = self.world.send();
            self.world.settle(sent, &Outcome::SUCCESS);
        }
        assert_eq!(self.conditions(), [Condition::Ready; ENDPOINTS]);
    }
}

proptest! {
    #[test]
    fn the_endpoint_table_holds_in_whatever_order_things_happen(
        (weights, most, threshold, workers, seed) in scenario(),
        practised: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut scenario = Scenario::of(ENDPOINTS)
            .weights(&weights)
            .threshold(threshold)
            .workers(workers)
            .max_attempts(MOST_ATTEMPTS)
            .seed(seed);
        if let Some(most) = most {
            scenario = scenario.max_in_flight(NORTH, most);
        }
        let mut watched = Watched {
            world: scenario.begin(),
            under_way: Vec::new(),
            retries: Vec::new(),
            resting: [None; ENDPOINTS],
            probed: [None; ENDPOINTS],
            sent: 0,
            ended: 0,
        };
        if practised {
            watched.practise();
        }
        for step in steps {
            watched.take(step);
        }
        watched.mend();
    }

    #[test]
    fn while_all_are_ready_every_endpoint_is_within_one_of_its_share(
        weights in prop::collection::vec(1u32..100, 1..5),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 1..300),
        seed: u64,
    ) {
        let mut world = Scenario::of(weights.len()).weights(&weights).workers(100_000).seed(seed).begin();
        let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut counts = vec![0i64; weights.len()];
        let mut under_way = Vec::new();
        for (turn, end) in (1..).zip(ends) {
            let sent = world.send();
            counts[sent.lease.endpoint().index()] += 1;
            under_way.push(sent);
            if turn % 3 == 0 {
                let sent = under_way.swap_remove(end.index(under_way.len()));
                world.settle(sent, &Outcome::SUCCESS);
            }
            for (count, &weight) in counts.iter().zip(&weights) {
                prop_assert!((count * sum - turn * i64::from(weight)).abs() < sum, "{counts:?} of {weights:?}");
            }
        }
    }
}
