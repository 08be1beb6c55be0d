//! Jobs that no endpoint bears, or one does not, among good ones; and endpoints that bear no job.
//!
//! A whole service in virtual time: each answer is a function of the endpoint, the job and the time, and comes after a
//! certain time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::{Condition, Priority, Told};
use crate::balance::EndpointId;
use crate::balance::outcome::{Blame, Outcome, Scope};
use crate::engine::actions::{Assignment, Settled};
use crate::engine::scenario::*;

const MS: Duration = Duration::from_millis(1);

/// What an endpoint says to a job, and when.
type Answer = (Outcome, Duration);

fn good() -> Answer {
    (Outcome::SUCCESS, 24 * MS)
}

fn bad(outcome: Outcome) -> Answer {
    (outcome, MS)
}

/// What came of it all.
#[derive(Debug, Default)]
struct Record {
    /// When each job that was answered well was, by its number.
    answered: BTreeMap<u64, Duration>,
    failed: Vec<u64>,
    /// Requests by job.
    requests: BTreeMap<u64, usize>,
}

/// A service and its callers.
struct World<A> {
    bench: Bench,
    answer: A,
    /// Requests under way, by the time at which they end.
    flying: BTreeMap<(Duration, u64), (Assignment, Outcome)>,
    since: Duration,
    record: Record,
    sent: u64,
    /// Whatever fails does so on the way.
    never_written: bool,
}

impl<A: FnMut(usize, u64, Duration) -> Answer> World<A> {
    fn new(stage: &Stage, answer: A) -> Self {
        World {
            bench: stage.begin(),
            answer,
            flying: BTreeMap::new(),
            since: Duration::ZERO,
            record: Record::default(),
            sent: 0,
            never_written: false,
        }
    }

    fn submit(&mut self, jobs: usize) {
        (0..jobs).for_each(|_| drop(self.bench.submit(Priority::Normal)));
    }

    /// Lets time pass until `until`, or until nothing more happens. A caller whose job has ended submits the next one, if
    /// `again`.
    fn run(&mut self, until: Duration, again: bool) {
        self.pump();
        loop {
            let ends = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let wakes = self.bench.wakes_in().map(|time| self.since + time);
            let Some(next) = ends.into_iter().chain(wakes).min().filter(|&at| at <= until) else {
                self.pass(until);
                return;
            };
            self.pass(next);
            while let Some(entry) = self.flying.first_entry()
                && entry.key().0 <= next
            {
                let (assignment, outcome) = entry.remove();
                self.end(assignment, &outcome, again);
            }
            self.pump();
        }
    }

    fn pass(&mut self, to: Duration) {
        self.bench.pass(to.saturating_sub(self.since));
        self.since = self.since.max(to);
    }

    fn pump(&mut self) {
        for assignment in self.bench.pump() {
            let job = assignment.job.id();
            *self.record.requests.entry(job).or_default() += 1;
            let (outcome, takes) = (self.answer)(assignment.lease.endpoint().index(), job, self.since);
            self.sent += 1;
            self.flying
                .insert((self.since + takes, self.sent), (assignment, outcome));
        }
        self.bench
            .ended
            .drain(..)
            .for_each(|(job, _)| self.record.failed.push(job));
    }

    fn end(&mut self, mut assignment: Assignment, outcome: &Outcome, again: bool) {
        if self.never_written {
            assignment.lease.never_written();
        }
        let job = assignment.job.id();
        if matches!(outcome, Outcome::Success(_)) {
            self.bench.head(&assignment, Told::default());
        }
        match self.bench.settle(assignment, outcome) {
            Settled::Answered(_) => drop(self.record.answered.insert(job, self.since)),
            Settled::Waiting => return,
            _ => self.record.failed.push(job),
        }
        if again {
            self.submit(1);
        }
    }

    fn condition(&mut self, endpoint: usize) -> Condition {
        let now = self.bench.now;
        self.bench
            .core
            .balancer
            .snapshot(EndpointId::at(endpoint), now)
            .condition
    }
}

fn cut() -> Outcome {
    failed(Blame::Cut)
}

/// Each way in which all endpoints refuse to bear a prompt, and its name.
fn poisons() -> [(&'static str, Outcome); 6] {
    [
        ("500", failed(Blame::Unclear)),
        ("502", failed(Blame::ServerError)),
        ("closed", cut()),
        ("a 403 page", failed(Blame::Denied { lasts: false })),
        ("a redirect", failed(Blame::Denied { lasts: true })),
        ("405", unusable(Scope::Path { own: false })),
    ]
}

/// Good jobs that four endpoints answer for sixteen callers in ten seconds, where one in `every` is not borne.
fn goodput(every: u64, poison: &Outcome) -> usize {
    let answer = |_, job: u64, _| {
        if job.is_multiple_of(every) {
            bad(poison.clone())
        } else {
            good()
        }
    };
    let mut world = World::new(&Stage::of(4).workers(16), answer);
    world.submit(16);
    world.run(10 * SECOND, true);
    for endpoint in 0..4 {
        let condition = world.condition(endpoint);
        assert!(
            matches!(condition, Condition::Ready | Condition::CoolingDown),
            "{poison:?}: {condition:?}"
        );
    }
    let lost = world
        .record
        .failed
        .iter()
        .filter(|job| !job.is_multiple_of(every))
        .count();
    assert_eq!(lost, 0, "{poison:?}");
    world.record.answered.len()
}

#[test]
fn a_poisoned_prompt_in_twenty_costs_a_third_at_most_whatever_it_is_answered() {
    for every in [20, 400] {
        let [(_, unclear), others @ ..] = poisons();
        let most = goodput(every, &unclear);
        for (name, poison) in others {
            let good = goodput(every, &poison);
            assert!(good * 3 >= most * 2, "1 in {every}, {name}: {good} of {most}");
        }
    }
}

#[test]
fn a_job_that_one_deployment_alone_does_not_bear_makes_no_more_than_its_attempts_and_others_do_not_wait() {
    for poison in [cut(), failed(Blame::ServerError)] {
        for workers in [1, 16] {
            let answer = |_, job, _| if job == 0 { bad(poison.clone()) } else { good() };
            let mut world = World::new(&Stage::of(1).workers(workers), answer);
            world.submit(11);
            world.run(600 * SECOND, false);
            assert_eq!(world.record.failed, [0]);
            assert_eq!(world.record.requests[&0], 5, "with {workers} workers");
            let last = *world.record.answered.values().max().unwrap();
            assert!(
                world.record.answered.len() == 10 && last < 4 * SECOND,
                "with {workers} workers: {last:?}"
            );
        }
    }
}

/// An endpoint is out, and comes back; the oldest job is one that it never bears.
#[test]
fn a_job_that_an_endpoint_does_not_bear_keeps_it_from_nobody() {
    let dies = 60 * SECOND;
    let answer = |_, job: u64, now: Duration| {
        if job == 0 || now < dies { bad(cut()) } else { good() }
    };
    let mut world = World::new(&Stage::of(1).workers(4), answer);
    world.submit(1000);
    world.run(dies, false);
    assert!(matches!(world.condition(0), Condition::Ejected | Condition::Probing));
    world.run(dies + 30 * SECOND, false);
    assert_eq!(world.record.failed, [0]);
    assert_eq!(world.record.answered.len(), 999);
    assert!(world.record.requests[&0] <= 5, "{}", world.record.requests[&0]);
}

#[test]
fn everything_that_fails_for_a_minute_is_out_and_no_job_is_lost() {
    for outcome in [failed(Blame::ServerError), cut()] {
        for (endpoints, workers) in [(4, 16), (4, 64), (1, 1), (4, 1), (2, 4)] {
            let from = 2 * SECOND;
            let until = from + 60 * SECOND;
            let answer = |_, _, now: Duration| {
                if now >= from && now < until {
                    bad(outcome.clone())
                } else {
                    good()
                }
            };
            let mut world = World::new(&Stage::of(endpoints).workers(workers), answer);
            world.submit(10_000);
            world.run(from + 30 * SECOND, false);
            let ready: BTreeSet<_> = (0..endpoints)
                .filter(|&endpoint| !matches!(world.condition(endpoint), Condition::Ejected | Condition::Probing))
                .collect();
            assert!(ready.is_empty(), "{endpoints} endpoints, {workers} workers: {ready:?}");
            world.run(600 * SECOND, false);
            let failed = &world.record.failed;
            assert!(
                failed.is_empty(),
                "{endpoints} endpoints, {workers} workers: {failed:?}"
            );
            assert_eq!(world.record.answered.len(), 10_000);
        }
    }
}

/// The first of them meets it before any endpoint has served.
#[test]
fn a_denial_on_the_word_of_one_job_ends_no_others() {
    for (name, outcome) in poisons() {
        for (endpoints, workers) in [(4, 1), (4, 16), (2, 4), (1, 1), (1, 4)] {
            let answer = |_, job: u64, _| {
                if job == 0 || job > 500 && job.is_multiple_of(7) {
                    bad(outcome.clone())
                } else {
                    good()
                }
            };
            let mut world = World::new(&Stage::of(endpoints).workers(workers), answer);
            world.submit(1000);
            world.run(600 * SECOND, false);
            let lost = world
                .record
                .failed
                .iter()
                .filter(|&&job| job != 0 && !job.is_multiple_of(7))
                .count();
            assert_eq!(lost, 0, "{name}, {endpoints} endpoints, {workers} workers");
        }
    }
}

#[test]
fn three_prompts_in_a_row_that_a_firewall_dislikes_take_nothing_from_the_ten_behind_them() {
    for outcome in [
        unusable(Scope::Path { own: false }),
        failed(Blame::Denied { lasts: false }),
    ] {
        let answer = |_, job, _| {
            if (1..4).contains(&job) {
                bad(outcome.clone())
            } else {
                good()
            }
        };
        let mut world = World::new(&Stage::of(1).workers(1), answer);
        world.submit(14);
        world.run(60 * SECOND, false);
        assert_eq!((world.record.answered.len(), world.record.failed.len()), (11, 3));
        assert!(world.since < 120 * SECOND);
    }
}

#[test]
fn a_backlog_of_an_endpoint_that_is_never_reached_fails_with_the_reason() {
    let refused = || (failed(Blame::Endpoint), Duration::ZERO);
    let mut world = World::new(&Stage::of(1).workers(4), |_, _, _| refused());
    world.never_written = true;
    world.submit(200);
    world.run(40 * SECOND, false);
    assert_eq!(world.record.failed.len(), 200);
    assert_eq!(world.condition(0), Condition::Disabled);
}
