//! What is remembered of endpoints and limits is what they would say.
//!
//! Two balancers live through the same events. One of them forgets before each of them all that it need not ask for, and
//! so asks everybody every time: it is the plain form of the other, which must say the same and end up with the same books.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::api::{Operation, Told};
use crate::balance::affinity::AffinityKey;
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Blame, Outcome, Used};
use crate::balance::scenario::*;
use crate::balance::{
    BalanceSettings, Balancer, EndpointId, EndpointSpec, HealthSettings, JobSize, JobState, Lease, Need, Output, Pick,
    ReplyHead, SetId, SignedIn, Strategy as Order,
};
use crate::clock::{Clock, ManualClock};

const ENDPOINTS: usize = 5;

/// A job as it is submitted.
#[derive(Clone, Copy, Debug)]
struct Entrant {
    size: JobSize,
    /// Milliseconds that it has.
    time: Option<u64>,
    conversation: Option<u64>,
    /// It is of an operation that is often lacking.
    is_rare: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Jobs of one kind come, a few or until one has to wait, and so many more.
    Submit(Entrant, usize),
    /// The oldest job that is to be tried again.
    Retry(Entrant),
    /// What the engine asks where a job waits: whether a smaller one would fit into a window, and where.
    Gaps(Entrant, JobSize),
    /// What it asks when something has changed at an endpoint.
    Opening(EndpointId, Vec<JobSize>),
    /// Whether somebody has room, for advice.
    Look(Entrant),
    Head(usize, ReplyHead),
    Settle(usize, Outcome),
    Connecting(usize),
    Connected(usize, Duration),
    Pass(Duration),
    Enable(EndpointId),
    Disable(EndpointId),
    /// An endpoint has a token, waits for one, or gets none; messages may overtake each other.
    SignedIn(EndpointId, u64, SignedIn),
    CoolDown(EndpointId, Duration),
    Workers(u32),
    Report(EndpointId),
}

fn size() -> impl Strategy<Value = JobSize> {
    let output = prop_oneof![
        6 => (0u32..4).prop_map(|part| Output::AtMost(part * 200)),
        2 => (1u8..3, any::<bool>()).prop_map(|(choices, takes_default)| Output::Open { choices, takes_default }),
        1 => Just(Output::None),
    ];
    (1u32..8, output).prop_map(|(part, output)| JobSize::new(part * 300, output))
}

fn entrant() -> impl Strategy<Value = Entrant> {
    let time = prop::option::weighted(0.3, prop_oneof![0u64..2_000, 0u64..100_000]);
    let conversation = prop::option::weighted(0.2, 0u64..4);
    (size(), time, conversation, prop::bool::weighted(0.1)).prop_map(|(size, time, conversation, is_rare)| Entrant {
        size,
        time,
        conversation,
        is_rare,
    })
}

fn head() -> impl Strategy<Value = ReplyHead> {
    let figure = |most: i64| prop::option::weighted(0.2, 0..most);
    (
        prop::bool::weighted(0.9),
        (figure(30_000), figure(30_000), figure(60)),
        prop::option::weighted(0.1, prop_oneof![Just(1i64), Just(10), Just(60)]),
        prop::option::weighted(0.1, 0.0..120.0),
    )
        .prop_map(
            |(admitted, (limit_tokens, remaining_tokens, limit_requests), renewal_requests, utilization)| ReplyHead {
                admitted,
                told: Told {
                    limit_tokens,
                    remaining_tokens,
                    limit_requests,
                    renewal_requests,
                    utilization,
                    ..Told::default()
                },
            },
        )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let used = (prop::option::of(100u32..4_000), prop::option::of(1u32..900));
    prop_oneof![
        12 => used.prop_map(|(prompt, output)| Outcome::Success(Used { prompt, output })),
        3 => (0u64..60_000).prop_map(|ms| throttled(Duration::from_millis(ms + 1))),
        1 => Just(throttled(86_400 * SECOND)),
        1 => Just(refusal(None)),
        2 => Just(timeout()),
        1 => Just(Outcome::Failed { blame: Blame::ServerError, reason: "503".to_owned() }),
        1 => Just(server_error()),
        1 => Just(unsupported()),
        1 => Just(unauthorized()),
        1 => Just(Outcome::Unsigned { reason: "401".to_owned() }),
        1 => Just(Outcome::Abandoned),
        1 => Just(OUT_OF_TIME),
        1 => Just(Outcome::Failed { blame: Blame::Nobody, reason: "stale".to_owned() }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint = || (0..ENDPOINTS).prop_map(EndpointId::at);
    prop_oneof![
        20 => (entrant(), 0usize..3).prop_map(|(job, more)| Step::Submit(job, more)),
        4 => entrant().prop_map(Step::Retry),
        4 => (entrant(), size()).prop_map(|(job, other)| Step::Gaps(job, other)),
        4 => (endpoint(), prop::collection::vec(size(), 0..3)).prop_map(|(endpoint, sizes)| Step::Opening(endpoint, sizes)),
        1 => entrant().prop_map(Step::Look),
        8 => (any::<usize>(), head()).prop_map(|(which, head)| Step::Head(which, head)),
        16 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        1 => any::<usize>().prop_map(Step::Connecting),
        1 => (any::<usize>(), 1u64..500).prop_map(|(which, ms)| Step::Connected(which, Duration::from_millis(ms))),
        6 => (0u64..3_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        2 => (0u64..90_000_000).prop_map(|us| Step::Pass(Duration::from_micros(us))),
        1 => endpoint().prop_map(Step::Enable),
        1 => endpoint().prop_map(Step::Disable),
        2 => (endpoint(), 0u64..200, signed_in()).prop_map(|(endpoint, number, to)| Step::SignedIn(endpoint, number, to)),
        1 => (endpoint(), 0u64..20_000).prop_map(|(endpoint, ms)| Step::CoolDown(endpoint, Duration::from_millis(ms))),
        1 => (1u32..30).prop_map(Step::Workers),
        2 => endpoint().prop_map(Step::Report),
    ]
}

fn signed_in() -> impl Strategy<Value = SignedIn> {
    prop_oneof![
        3 => Just(SignedIn::Yes),
        1 => Just(SignedIn::Awaited("no token yet".to_owned())),
        1 => Just(SignedIn::Lacking("az is not installed".to_owned())),
    ]
}

fn limit() -> impl Strategy<Value = LimitSpec> {
    (
        prop::bool::weighted(0.2),
        prop::option::weighted(0.8, 3_000u64..30_000),
        prop::option::weighted(0.5, 1u64..40),
    )
        .prop_map(|(is_provisioned, tpm, rpm)| LimitSpec {
            sku: if is_provisioned {
                Sku::Provisioned
            } else {
                Sku::Standard
            },
            tpm,
            rpm,
            quota_window: 60 * SECOND,
            request_window: 10 * SECOND,
        })
}

fn spec() -> impl Strategy<Value = EndpointSpec> {
    (
        1u32..5,
        1u32..3,
        prop::option::weighted(0.3, 1u32..4),
        prop::option::weighted(0.7, limit()),
        prop::option::weighted(0.5, 0usize..2),
        prop::option::weighted(0.3, 100u32..1_000),
    )
        .prop_map(
            |(weight, tier, max_in_flight, limit, group, default_limit)| EndpointSpec {
                weight,
                tier,
                max_in_flight,
                limit,
                group,
                default_limit,
                ..EndpointSpec::new("", vec!["m".into()])
            },
        )
}

fn settings() -> impl Strategy<Value = BalanceSettings> {
    let strategy = prop::sample::select(vec![
        Order::Weighted,
        Order::RoundRobin,
        Order::Priority,
        Order::Failover,
        Order::LeastLoaded,
        Order::TwoChoices,
    ]);
    let start = ManualClock::new().now();
    (strategy, 1u32..30, prop::collection::vec(limit(), 0..3), any::<u64>()).prop_map(
        move |(strategy, workers, groups, seed)| BalanceSettings {
            strategy,
            workers,
            max_attempts: 4,
            health: HealthSettings {
                threshold: 3,
                cooldown_max: 600 * SECOND,
            },
            groups,
            start,
            seed,
        },
    )
}

/// A request under way, and what the other balancer calls the same.
struct Flying {
    leases: [Lease; 2],
    jobs: [JobState; 2],
}

/// The two balancers: one that remembers, and one that is made to forget.
struct Twins {
    balancers: [Balancer; 2],
    set: SetId,
    rare: Operation,
    now: Instant,
    under_way: Vec<Flying>,
    retries: Vec<[JobState; 2]>,
    jobs: u64,
}

impl Twins {
    fn new(mut specs: Vec<EndpointSpec>, settings: &BalanceSettings) -> Self {
        specs
            .iter_mut()
            .zip(NAMES)
            .for_each(|(spec, name)| spec.name = name.into());
        let balancers = [(), ()].map(|()| Balancer::new(specs.clone(), settings.clone()));
        Twins {
            set: balancers[0].set(Some("m")).unwrap(),
            balancers,
            rare: Operation::other("rare").unwrap(),
            now: settings.start,
            under_way: Vec::new(),
            retries: Vec::new(),
            jobs: 0,
        }
    }

    /// Both do it; what they say must be the same.
    fn both<T: Debug>(&mut self, mut what: impl FnMut(&mut Balancer, usize) -> T) -> [T; 2] {
        self.balancers[1].forget();
        let [remembers, forgets] = &mut self.balancers;
        let said = [what(remembers, 0), what(forgets, 1)];
        assert_eq!(format!("{:?}", said[0]), format!("{:?}", said[1]));
        assert_eq!(remembers.take_changes(), forgets.take_changes());
        assert_eq!(remembers.take_remarks(), forgets.take_remarks());
        said
    }

    /// Tries to send a job; gives it back where it has to wait.
    fn send(&mut self, entrant: Entrant, jobs: [JobState; 2]) -> Option<[JobState; 2]> {
        let (set, now, rare) = (self.set, self.now, self.rare.clone());
        let picks = self.both(|balancer, which| balancer.pick(&entrant.need(set, &rare, &jobs[which], now), now));
        match picks {
            [Pick::Send(one), Pick::Send(other)] => {
                let leases = [one, other];
                self.under_way.push(Flying { leases, jobs });
                None
            }
            _ => Some(jobs),
        }
    }

    fn new_job(&mut self) -> [JobState; 2] {
        self.jobs += 1;
        [(), ()].map(|()| JobState::new(self.jobs))
    }

    fn take(&mut self, step: Step) {
        let (set, now, rare) = (self.set, self.now, self.rare.clone());
        match step {
            Step::Submit(entrant, more) => {
                for _ in 0..4 {
                    let jobs = self.new_job();
                    if self.send(entrant, jobs).is_some() {
                        break;
                    }
                }
                for _ in 0..more {
                    let jobs = self.new_job();
                    let _ = self.send(entrant, jobs);
                }
            }
            Step::Retry(entrant) if !self.retries.is_empty() => {
                let jobs = self.retries.remove(0);
                if let Some(jobs) = self.send(entrant, jobs) {
                    self.retries.push(jobs);
                }
            }
            Step::Gaps(entrant, other) => {
                let job = self.new_job();
                self.both(|balancer, which| {
                    let need = entrant.need(set, &rare, &job[which], now);
                    let chosen = format!("{:?}", balancer.choose(&need, now));
                    let mut gaps = Vec::new();
                    let mut after = None;
                    while let Some((target, room)) = balancer.gap(&need, after, now) {
                        after = Some(target.endpoint);
                        let fits = balancer.fits(target, &Need { size: other, ..need }, now);
                        gaps.push((target, room, fits));
                    }
                    (chosen, gaps)
                });
            }
            Step::Opening(endpoint, sizes) => {
                self.both(|balancer, _| balancer.opening(endpoint, &CHAT, sizes.iter().copied(), now));
            }
            Step::Look(entrant) => {
                let job = self.new_job();
                self.both(|balancer, which| balancer.look(&entrant.need(set, &rare, &job[which], now), now));
            }
            Step::Head(which, head) if !self.under_way.is_empty() => {
                let at = which % self.under_way.len();
                let flying = self.under_way.swap_remove(at);
                self.both(|balancer, which| balancer.admitted(&flying.leases[which], &head, now));
                self.under_way.push(flying);
            }
            Step::Settle(which, outcome) if !self.under_way.is_empty() => {
                let at = which % self.under_way.len();
                let Flying { leases, mut jobs } = self.under_way.swap_remove(at);
                let mut leases = leases.map(Some);
                self.both(|balancer, which| {
                    let lease = leases[which].take().unwrap();
                    balancer.settle(lease, &mut jobs[which], set, &outcome, now)
                });
                self.retries.push(jobs);
            }
            Step::Connecting(which) if !self.under_way.is_empty() => {
                let lease = &self.under_way[which % self.under_way.len()].leases[0];
                let (endpoint, ticket) = (lease.endpoint(), lease.ticket());
                self.both(|balancer, _| balancer.connecting(endpoint, ticket));
            }
            Step::Connected(which, took) if !self.under_way.is_empty() => {
                let lease = &self.under_way[which % self.under_way.len()].leases[0];
                let (endpoint, ticket) = (lease.endpoint(), lease.ticket());
                self.both(|balancer, _| balancer.connected(endpoint, ticket, took, now));
            }
            Step::Pass(time) => self.now += time,
            Step::Enable(endpoint) => drop(self.both(|balancer, _| balancer.enable(endpoint, now))),
            Step::Disable(endpoint) => {
                self.both(|balancer, _| balancer.disable(endpoint, "by hand".to_owned()));
            }
            Step::SignedIn(endpoint, number, to) => {
                self.both(|balancer, _| balancer.signed_in(endpoint, number, to.clone()));
            }
            Step::CoolDown(endpoint, time) => {
                self.both(|balancer, _| balancer.cool_down(endpoint, now + time));
            }
            Step::Workers(workers) => drop(self.both(|balancer, _| balancer.set_workers(workers))),
            Step::Report(endpoint) => drop(self.both(|balancer, _| balancer.snapshot(endpoint, now))),
            Step::Retry(_) | Step::Head(..) | Step::Settle(..) | Step::Connecting(_) | Step::Connected(..) => {}
        }
    }
}

impl Entrant {
    fn need<'a>(&self, set: SetId, rare: &'a Operation, job: &'a JobState, now: Instant) -> Need<'a> {
        Need {
            set,
            operation: if self.is_rare { rare } else { &CHAT },
            job,
            deadline: self.time.map(|ms| now + Duration::from_millis(ms)),
            size: self.size,
            affinity: self
                .conversation
                .map(|name| AffinityKey::new("session", &name.to_be_bytes())),
        }
    }
}

proptest! {
    #[test]
    fn what_is_remembered_is_what_would_be_said(
        specs in prop::collection::vec(spec(), ENDPOINTS),
        settings in settings(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let mut twins = Twins::new(specs, &settings);
        for step in steps {
            twins.take(step);
        }
        let [remembers, forgets] = &mut twins.balancers;
        remembers.forget();
        forgets.forget();
        prop_assert_eq!(format!("{:?}", remembers.books()), format!("{:?}", forgets.books()));
    }
}
