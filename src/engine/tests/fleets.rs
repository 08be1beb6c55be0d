//! Random fleets, jobs and events, and the engine's core at work on them as its threads would have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::api::{Priority, Told};
use crate::balance::affinity::AffinityKey;
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Axis, Blame, Outcome, Scope, Throttle, Used};
use crate::balance::{EndpointId, Strategy as Order};
use crate::engine::actions::{Actions, Assignment};
use crate::engine::job::JobCell;
use crate::engine::scenario::*;

/// A random fleet.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) groups: Vec<LimitSpec>,
    pub(super) order: Order,
    pub(super) workers: usize,
    pub(super) seed: u64,
    /// Every endpoint has answered often enough that its silence would be noticed.
    pub(super) practised: bool,
}

/// One endpoint of it. It serves the model `m` and one of its own.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    weight: u32,
    tier: u32,
    most: Option<u32>,
    limit: Option<LimitSpec>,
    group: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Submit(Entry),
    Settle(usize, Outcome),
    /// No worker takes it any more: the engine is about to be closed, or a worker has panicked.
    GiveUp(usize),
    Head(usize, Told),
    /// The request needs a new connection, which takes so long.
    Dial(usize),
    Connected(usize, Duration),
    Cancel(usize),
    Pass(Duration),
    /// The clock goes on to the next moment at which something is due.
    Sleep,
    Disable(usize),
    Enable(usize),
    CoolDown(usize, Duration),
}

/// A job to be submitted.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// An endpoint's own, or, past the last, everybody's.
    model: usize,
    class: usize,
    tokens: u32,
    conversation: Option<u8>,
    timeout: Option<Duration>,
}

fn millis(most: u64) -> impl Strategy<Value = Duration> {
    (0..most).prop_map(Duration::from_millis)
}

pub(super) fn limit_spec() -> impl Strategy<Value = LimitSpec> {
    let windows = prop::sample::select(vec![(60, 10), (60, 1), (60, 60), (10, 10)]);
    (
        prop::bool::weighted(0.2),
        prop::option::weighted(0.8, 2_000u64..40_000),
        prop::option::weighted(0.4, 6u64..240),
        windows,
    )
        .prop_map(|(provisioned, tpm, rpm, (quota, request))| LimitSpec {
            sku: if provisioned { Sku::Provisioned } else { Sku::Standard },
            tpm,
            rpm,
            quota_window: quota * SECOND,
            request_window: request * SECOND,
        })
}

fn endpoint(groups: usize) -> impl Strategy<Value = Endpoint> {
    (
        1u32..4,
        1u32..3,
        prop::option::weighted(0.3, 1u32..4),
        prop::option::weighted(0.7, limit_spec()),
        prop::option::weighted(0.4, 0..groups.max(1)).prop_map(move |group| group.filter(|&group| group < groups)),
    )
        .prop_map(|(weight, tier, most, limit, group)| Endpoint {
            weight,
            tier,
            most,
            limit,
            group,
        })
}

pub(super) fn fleet() -> impl Strategy<Value = Fleet> {
    let order = prop::sample::select(vec![
        Order::Weighted,
        Order::RoundRobin,
        Order::Priority,
        Order::Failover,
        Order::LeastLoaded,
        Order::TwoChoices,
    ]);
    prop::collection::vec(limit_spec(), 0..2).prop_flat_map(move |groups| {
        (
            prop::collection::vec(endpoint(groups.len()), 1..4),
            Just(groups),
            order.clone(),
            1usize..12,
            any::<u64>(),
            prop::bool::weighted(0.3),
        )
            .prop_map(|(endpoints, groups, order, workers, seed, practised)| Fleet {
                endpoints,
                groups,
                order,
                workers,
                seed,
                practised,
            })
    })
}

pub(super) fn entry() -> impl Strategy<Value = Entry> {
    let tokens = prop_oneof![4 => 10u32..2_000, 3 => 2_000u32..20_000, 1 => 20_000u32..50_000];
    (
        0usize..8,
        prop::sample::select(vec![0usize, 1, 1, 1, 2, 2]),
        tokens,
        prop::option::weighted(0.2, 0u8..4),
        prop::option::weighted(0.2, millis(90_000)),
    )
        .prop_map(|(model, class, tokens, conversation, timeout)| Entry {
            model,
            class,
            tokens,
            conversation,
            timeout,
        })
}

fn refused() -> impl Strategy<Value = Outcome> {
    let axis = prop::sample::select(vec![
        Axis::Tokens,
        Axis::Tokens,
        Axis::Requests,
        Axis::Capacity,
        Axis::Unknown,
    ]);
    let wait = prop_oneof![
        1 => Just(None),
        6 => (1u64..60).prop_map(|seconds| Some(Duration::from_secs(seconds))),
        3 => (1u64..10_000).prop_map(|millis| Some(Duration::from_millis(millis))),
    ];
    (axis, wait).prop_map(|(axis, wait)| {
        Outcome::Throttled(Throttle {
            wait,
            axis,
            reason: "429".to_owned(),
        })
    })
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    let used = prop_oneof![Just(None), (0u32..8_000).prop_map(Some)];
    prop_oneof![
        8 => (used.clone(), used).prop_map(|(prompt, output)| Outcome::Success(Used { prompt, output })),
        6 => refused(),
        1 => prop::sample::select(vec![Blame::Endpoint, Blame::ServerError, Blame::Nobody, Blame::Denied { lasts: true }]).prop_map(failed),
        2 => Just(failed(Blame::Unclear)),
        1 => prop::sample::select(vec![Scope::Operation, Scope::Deployment]).prop_map(unusable),
        1 => any::<bool>().prop_map(|own| Outcome::Refused { own, reason: "400".to_owned() }),
        1 => Just(Outcome::Abandoned),
        1 => any::<bool>().prop_map(|silent| Outcome::OutOfTime { silent }),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    prop::option::weighted(0.1, 1_000i64..80_000).prop_map(|limit_tokens| Told {
        limit_tokens,
        ..Told::default()
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    prop_oneof![
        16 => entry().prop_map(Step::Submit),
        8 => (which(), outcome()).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        1 => which().prop_map(Step::GiveUp),
        4 => (which(), told()).prop_map(|(which, told)| Step::Head(which, told)),
        1 => which().prop_map(Step::Dial),
        1 => (which(), millis(3_000)).prop_map(|(which, took)| Step::Connected(which, took)),
        1 => which().prop_map(Step::Cancel),
        5 => millis(3_000).prop_map(Step::Pass),
        2 => millis(70_000).prop_map(Step::Pass),
        2 => Just(Step::Sleep),
        1 => which().prop_map(Step::Disable),
        2 => which().prop_map(Step::Enable),
        1 => (which(), millis(20_000)).prop_map(|(which, time)| Step::CoolDown(which, time)),
    ]
}

/// The core of a fleet, driven as the engine's threads drive it: what follows a change is what the engine does after it,
/// and no more.
pub(super) struct Play {
    pub(super) bench: Bench,
    pub(super) under_way: Vec<Assignment>,
    pub(super) endpoints: usize,
    workers: usize,
    began: Instant,
    cells: Vec<Arc<JobCell>>,
}

impl Play {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let mut stage = Stage::of(fleet.endpoints.len())
            .workers(fleet.workers)
            .order(fleet.order)
            .seed(fleet.seed);
        for (index, endpoint) in fleet.endpoints.iter().enumerate() {
            stage = stage.endpoint(index, |spec| {
                spec.weight = endpoint.weight;
                spec.tier = endpoint.tier;
                spec.max_in_flight = endpoint.most;
                spec.limit = endpoint.limit;
            });
        }
        for (index, group) in fleet.groups.iter().enumerate() {
            let is_in = |member: &usize| fleet.endpoints[*member].group == Some(index);
            stage = stage.group(*group, (0..fleet.endpoints.len()).filter(is_in));
        }
        let bench = stage.begin();
        let mut play = Play {
            began: bench.now,
            bench,
            under_way: Vec::new(),
            endpoints: fleet.endpoints.len(),
            workers: fleet.workers,
            cells: Vec::new(),
        };
        if fleet.practised {
            play.practise();
        }
        play
    }

    fn practise(&mut self) {
        for round in 0..20 * self.endpoints {
            self.submit(&Entry {
                model: round % self.endpoints,
                class: 0,
                tokens: 2,
                conversation: None,
                timeout: Some(SECOND),
            });
            while let Some(sent) = self.under_way.pop() {
                self.bench.pass(SECOND / 100);
                self.bench.head(&sent, Told::default());
                self.bench.settle(sent, &Outcome::SUCCESS);
                self.go_on();
            }
            self.pass(SECOND / 2, |_| ());
        }
    }

    /// Time since the beginning.
    pub(super) fn age(&self) -> Duration {
        self.bench.now - self.began
    }

    /// Whether a worker is idle.
    pub(super) fn has_idle(&self) -> bool {
        self.under_way.len() < self.workers
    }

    pub(super) fn submit(&mut self, entry: &Entry) {
        let model = if entry.model < self.endpoints {
            format!("m{}", entry.model)
        } else {
            "m".to_owned()
        };
        let key = entry.conversation.map(|name| AffinityKey::new("session", &[name]));
        let request = sized(entry.tokens).near(key);
        let priority = Priority::ALL[entry.class];
        let cell = self.bench.enter(&model, &CHAT, request, priority, entry.timeout);
        self.cells.push(cell);
        self.go_on();
    }

    /// One step, and what the engine does after it.
    pub(super) fn take(&mut self, step: &Step, mut look: impl FnMut(&mut Self)) {
        self.change(step, &mut look);
        self.see_to_what_is_due();
        look(self);
    }

    fn change(&mut self, step: &Step, look: impl FnMut(&mut Self)) {
        let now = self.bench.now;
        let of = |which: usize, all: usize| which.checked_rem(all);
        let sent = |which: usize| of(which, self.under_way.len());
        match step {
            Step::Submit(entry) => self.submit(entry),
            Step::Settle(which, outcome) => {
                if let Some(index) = sent(*which) {
                    let sent = self.under_way.swap_remove(index);
                    self.bench.settle(sent, outcome);
                    self.go_on();
                }
            }
            Step::GiveUp(which) => {
                if let Some(index) = sent(*which) {
                    let mut sent = self.under_way.swap_remove(index);
                    sent.lease.never_written();
                    self.bench.settle(sent, &Outcome::Abandoned);
                    self.go_on();
                }
            }
            Step::Head(which, told) => {
                if let Some(index) = sent(*which)
                    && self.bench.head(&self.under_way[index], *told)
                {
                    self.go_on();
                }
            }
            Step::Dial(which) => {
                if let Some(index) = sent(*which) {
                    let lease = &self.under_way[index].lease;
                    self.bench.core.balancer.connecting(lease.endpoint(), lease.ticket());
                }
            }
            Step::Connected(which, took) => {
                if let Some(index) = sent(*which) {
                    let lease = &self.under_way[index].lease;
                    self.bench
                        .core
                        .balancer
                        .connected(lease.endpoint(), lease.ticket(), *took, now);
                }
            }
            Step::Cancel(which) => {
                if let Some(index) = of(*which, self.cells.len()) {
                    let cell = Arc::clone(&self.cells[index]);
                    if self.bench.cancel(&cell) {
                        self.go_on();
                    }
                }
            }
            Step::Pass(time) => self.pass(*time, look),
            Step::Sleep => {
                if let Some(time) = self.bench.wakes_in() {
                    self.pass(time, look);
                }
            }
            Step::Disable(which) => {
                self.bench.disable(which % self.endpoints);
                self.act();
            }
            Step::Enable(which) => {
                let endpoint = EndpointId::at(which % self.endpoints);
                self.bench.core.balancer.enable(endpoint, now);
                self.act();
            }
            Step::CoolDown(which, time) => {
                let endpoint = EndpointId::at(which % self.endpoints);
                self.bench.core.balancer.cool_down(endpoint, now + *time);
                self.act();
            }
        }
    }

    /// Time passes, and the timer does what is due. `look` sees the world at some instants at which nothing is.
    pub(super) fn pass(&mut self, time: Duration, mut look: impl FnMut(&mut Self)) {
        let end = self.bench.now + time;
        loop {
            let due = self.bench.core.next_wake();
            let until = due.map_or(end, |due| due.min(end));
            for between in instants(self.bench.now, until) {
                self.bench.now = between;
                look(self);
            }
            self.bench.now = until;
            if due.is_none_or(|due| due > end) {
                return;
            }
            self.see_to_what_is_due();
            look(self);
        }
    }

    /// As the timer's thread does, until it sleeps.
    fn see_to_what_is_due(&mut self) {
        let is_due = |play: &Self| play.bench.core.next_wake().is_some_and(|at| at <= play.bench.now);
        for rounds in 0.. {
            if !is_due(self) {
                return;
            }
            assert!(rounds < 3, "what is due is not done");
            self.wake();
        }
    }

    fn wake(&mut self) {
        let mut actions = Actions::default();
        self.bench.core.expire(self.bench.now, &mut actions);
        self.bench.core.pump(self.bench.now, &mut actions);
        self.perform(actions);
    }

    /// As the engine does after a change that is made by hand.
    fn act(&mut self) {
        let mut actions = Actions::default();
        self.bench.core.pump(self.bench.now, &mut actions);
        self.perform(actions);
    }

    fn go_on(&mut self) {
        let mut actions = Actions::default();
        self.bench.core.go_on(self.bench.now, &mut actions);
        self.perform(actions);
    }

    fn perform(&mut self, mut actions: Actions) {
        loop {
            self.under_way.append(&mut actions.assignments);
            self.bench.note(&mut actions);
            if !actions.more {
                return;
            }
            actions.more = false;
            self.bench.core.expire(self.bench.now, &mut actions);
            self.bench.core.go_on(self.bench.now, &mut actions);
        }
    }
}

/// Whoever has to wait does so for a tenth of a millisecond at least, and what is named is rounded up to a microsecond.
pub(super) const JUST_BEFORE: Duration = Duration::from_micros(200);

/// Some instants between two, the last of them just before the second.
fn instants(from: Instant, to: Instant) -> Vec<Instant> {
    const PARTS: u32 = 6;
    let length = to - from;
    let mut all: Vec<Instant> = (1..PARTS).map(|part| from + length * part / PARTS).collect();
    all.extend(length.checked_sub(JUST_BEFORE).map(|before| from + before));
    all.retain(|between| *between > from && to - *between >= JUST_BEFORE);
    all
}
