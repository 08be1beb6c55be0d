//! Every job ends exactly once, or still waits, or is under way; in whatever order things happen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::api::{Operation, Priority};
use crate::balance::EndpointId;
use crate::balance::outcome::{Blame, Outcome, Scope};
use crate::engine::actions::{Assignment, Settled};
use crate::engine::job::JobCell;
use crate::engine::scenario::*;

const ENDPOINTS: usize = 3;
const WORKERS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Submit {
        model: usize,
        operation: usize,
        class: usize,
        timeout: Option<Duration>,
    },
    Settle(usize, Outcome),
    Cancel(usize),
    Pass(Duration),
    /// The clock goes on to the next moment at which something is due, as the timer thread has it.
    Sleep,
    Disable(usize),
    Enable(usize),
    Drain,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let submit = (0..=ENDPOINTS, 0..3usize, 0..3usize, prop::option::of(0u64..20_000));
    prop_oneof![
        10 => submit.prop_map(|(model, operation, class, timeout)| Step::Submit {
            model, operation, class, timeout: timeout.map(Duration::from_millis),
        }),
        10 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => (0u64..5_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        3 => Just(Step::Sleep),
        1 => (0..ENDPOINTS).prop_map(Step::Disable),
        2 => (0..ENDPOINTS).prop_map(Step::Enable),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::SUCCESS),
        2 => Just(failed(Blame::Endpoint)),
        2 => Just(failed(Blame::Unclear)),
        1 => Just(failed(Blame::Nobody)),
        1 => Just(failed(Blame::Here)),
        2 => (1u64..20_000).prop_map(|ms| throttled(Duration::from_millis(ms))),
        1 => Just(unusable(Scope::Operation)),
        1 => Just(unusable(Scope::Path { own: false })),
        1 => Just(failed(Blame::Denied { lasts: false })),
        2 => Just(failed(Blame::ServerError)),
        1 => Just(unusable(Scope::Deployment)),
        1 => any::<bool>().prop_map(|own| Outcome::Refused { own, reason: "400".to_owned() }),
        1 => Just(Outcome::Unsigned { reason: "401".to_owned() }),
        1 => Just(Outcome::Abandoned),
        1 => any::<bool>().prop_map(|silent| Outcome::OutOfTime { silent }),
    ]
}

/// The core, and what became of each job so far.
struct Watched {
    bench: Bench,
    cells: Vec<Arc<JobCell>>,
    under_way: Vec<Assignment>,
    ends: BTreeMap<u64, &'static str>,
    closed: bool,
}

impl Watched {
    fn end(&mut self, id: u64, how: &'static str) {
        assert_eq!(self.ends.insert(id, how), None, "job {id} ends again");
    }

    fn take(&mut self, step: Step) {
        let looks_at_all = !matches!(step, Step::Submit { .. } | Step::Settle(..));
        match step {
            Step::Submit {
                model,
                operation,
                class,
                timeout,
            } if self.bench.core.admission().is_ok() => {
                let model = ["m0", "m1", "m2", "m"][model];
                let operation = [CHAT, Operation::Embeddings, Operation::Responses][operation].clone();
                let priority = Priority::ALL[class];
                let cell = self.bench.submit_as(model, &operation, priority, timeout);
                assert_eq!(cell.id, self.cells.len() as u64);
                self.cells.push(cell);
            }
            Step::Settle(which, outcome) if !self.under_way.is_empty() => {
                let sent = self.under_way.swap_remove(which % self.under_way.len());
                let id = sent.job.id();
                match self.bench.settle(sent, &outcome) {
                    Settled::Answered(_) => self.end(id, "answered"),
                    Settled::Failed(..) => self.end(id, "failed"),
                    Settled::Ended(ending) => self.end(id, told(&ending).1),
                    Settled::Waiting => {}
                }
            }
            Step::Cancel(which) if !self.cells.is_empty() => {
                let cell = Arc::clone(&self.cells[which % self.cells.len()]);
                self.bench.cancel(&cell);
            }
            Step::Submit { .. } | Step::Settle(..) | Step::Cancel(_) => {}
            Step::Pass(time) => drop(self.bench.pass(time)),
            Step::Sleep => {
                if let Some(time) = self.bench.wakes_in() {
                    self.bench.pass(time);
                }
            }
            Step::Disable(endpoint) => self.bench.disable(endpoint),
            Step::Enable(endpoint) => {
                let now = self.bench.now;
                self.bench.core.balancer.enable(EndpointId::at(endpoint), now);
            }
            Step::Drain => self.bench.core.drain(),
            Step::Close => {
                let (endings, in_flight) = self.bench.core.close().unwrap();
                assert_eq!(in_flight.len(), self.under_way.len());
                self.closed = true;
                for ending in &endings {
                    self.end(ending.job.id(), told(ending).1);
                }
            }
        }
        if !looks_at_all {
            // As the engine does, who leaves lanes blocked for which nothing has changed: a look at all of them must
            // find nobody who could go.
            let sent = self.bench.go_on();
            self.under_way.extend(sent);
        }
        let sent = self.bench.pump();
        assert!(looks_at_all || sent.is_empty(), "left blocked: {sent:?}");
        self.under_way.extend(sent);
        for (id, how) in std::mem::take(&mut self.bench.ended) {
            self.end(id, how);
        }
        self.check();
    }

    fn check(&self) {
        let core = &self.bench.core;
        assert_eq!(core.in_flight(), self.under_way.len());
        assert!(self.under_way.len() <= WORKERS);
        assert_eq!(
            self.cells.len(),
            self.ends.len() + core.waiting() + core.in_flight(),
            "a job is lost, or there twice"
        );
        assert_eq!((core.ended.answered + core.ended.failed) as usize, self.ends.len());
        // Nothing is due that has not been seen to.
        if let Some(at) = core.next_wake() {
            assert!(at > self.bench.now, "the timer would not sleep");
        }
        // Whoever waits is waited for: by something under way, or by the timer.
        if core.waiting() > 0 && self.under_way.is_empty() && !self.closed {
            assert!(core.next_wake().is_some(), "{} jobs wait for nothing", core.waiting());
        }
    }
}

proptest! {
    #[test]
    fn every_job_ends_once_or_is_still_there(
        steps in prop::collection::vec(step(), 1..300),
        drains: bool,
        answers in prop::collection::vec(outcome(), 1..20),
    ) {
        let mut watched = Watched {
            bench: Bench::new(ENDPOINTS, WORKERS),
            cells: Vec::new(),
            under_way: Vec::new(),
            ends: BTreeMap::new(),
            closed: false,
        };
        for step in steps {
            watched.take(step);
        }
        if drains {
            // Left alone, with whatever the service says now and then, every job comes to its end.
            watched.take(Step::Drain);
            for endpoint in 0..ENDPOINTS {
                watched.take(Step::Enable(endpoint));
            }
            for round in 0.. {
                if watched.bench.core.is_idle() {
                    break;
                }
                prop_assert!(round < 10_000, "{} jobs never end", watched.bench.core.waiting());
                watched.take(Step::Sleep);
                let answer = answers[round % answers.len()].clone();
                watched.take(Step::Settle(round, if round % 2 == 0 { Outcome::SUCCESS } else { answer }));
            }
        } else {
            watched.take(Step::Close);
            while !watched.under_way.is_empty() {
                watched.take(Step::Settle(0, answers[0].clone()));
            }
        }
        prop_assert_eq!(watched.ends.len(), watched.cells.len());
    }
}
