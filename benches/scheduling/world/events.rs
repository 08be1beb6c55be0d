//! What happens, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use azure_openai_blaster::internals::{Fate, Role, Sent};
use azure_openai_blaster::sim::limiter::Admitted;

use super::chance::Chance;
use super::client::{Client, Ended};
use super::conditions::{Conditions, FaultKind};
use super::fleet::Plan;
use super::job::Job;
use super::record::{End, JobEnd, Record, Sending};
use super::service::{Arrival, Service};

/// A timer that goes off again at once, so often in a row, is a spin.
const SPIN: u32 = 1000;

/// Clients and deployments, and what is to happen between them.
#[derive(Debug)]
pub(crate) struct World {
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    numbers: u64,
    clients: Vec<Client>,
    services: Vec<Service>,
    /// The requests that have not come to their end for their clients, by their positions in the record.
    under_way: Vec<Option<Sent>>,
    /// The requests that a service works on, by the same.
    at_work: Vec<Option<Admitted>>,
    conditions: Conditions,
    chance: Chance,
    jobs_left: usize,
    /// Alarms in a row with nothing between them.
    alarms: u32,
    record: Record,
}

/// What is to happen; numbers of jobs, requests and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Submit(usize),
    /// A request comes to its service.
    Arrive(usize),
    /// A service has an answer ready.
    Finish(usize),
    /// A request's end comes to its client; which is in the record by then.
    Hear(usize),
    /// A client has waited long enough for a request's first byte.
    LosePatience(usize),
    /// A client's timer goes off.
    Alarm(usize),
    /// The fault begins.
    Break,
}

impl World {
    /// A world in which `jobs` come when they say; those of the start are a backlog, there before anything is sent.
    pub(crate) fn new(plans: Vec<Plan>, jobs: Vec<Job>, conditions: &Conditions, seed: u64) -> Self {
        let fault = |index: usize| conditions.fault.filter(|_| index == 0);
        let services = plans.iter().enumerate();
        let services = services
            .map(|(index, plan)| Service::new(plan.clone(), conditions, fault(index), seed))
            .collect();
        let client = |index: usize| Client::new(&plans, conditions, seed * 1000 + index as u64);
        let mut world = World {
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            numbers: 0,
            clients: (0..conditions.clients).map(client).collect(),
            services,
            under_way: Vec::new(),
            at_work: Vec::new(),
            conditions: *conditions,
            chance: Chance::new(seed, "network"),
            jobs_left: jobs.len(),
            alarms: 0,
            record: Record {
                plans,
                ends: vec![None; jobs.len()],
                jobs,
                sendings: Vec::new(),
                flaws: Vec::new(),
                over: Duration::ZERO,
            },
        };
        for number in 0..world.record.jobs.len() {
            let job = &world.record.jobs[number];
            if job.submitted.is_zero() {
                let client = number % world.clients.len();
                world.clients[client].enqueue(number, job, Duration::ZERO);
            } else {
                world.at(job.submitted, Event::Submit(number));
            }
        }
        if let Some(fault) = conditions.fault {
            world.at(Duration::from_secs_f64(fault.from), Event::Break);
        }
        for client in 0..world.clients.len() {
            world.at(Duration::ZERO, Event::Alarm(client));
            world.clients[client].alarm = Some(Duration::ZERO);
        }
        world
    }

    /// Lets time pass until every job has ended, or until `limit`.
    pub(crate) fn run(mut self, limit: Duration) -> Record {
        while self.jobs_left > 0 {
            let Some(Reverse((at, _, event))) = self.events.pop() else {
                let left = self.jobs_left;
                self.flaw(format!("{left} jobs are left, and nothing will happen any more"));
                break;
            };
            self.now = at;
            if at > limit {
                let left = self.jobs_left;
                self.flaw(format!("{left} jobs are left after {} s", limit.as_secs()));
                break;
            }
            self.happen(event);
        }
        self.record.over = self.now;
        self.record
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse((at, self.numbers, event)));
    }

    fn flaw(&mut self, flaw: String) {
        self.record.flaws.push(flaw);
    }

    /// Time from a client to a service, or back.
    fn one_way(&mut self) -> Duration {
        let Conditions { round_trip, jitter, .. } = self.conditions;
        let added = if jitter > 0.0 {
            self.chance.exponential(jitter)
        } else {
            0.0
        };
        Duration::from_secs_f64(round_trip / 2.0 + added)
    }

    fn happen(&mut self, event: Event) {
        if !matches!(event, Event::Alarm(_)) {
            self.alarms = 0;
        }
        match event {
            Event::Submit(number) => {
                let client = number % self.clients.len();
                let ended = self.clients[client].submit(number, &self.record.jobs[number], self.now);
                self.follow(client, ended);
            }
            Event::Arrive(index) => self.arrive(index),
            Event::Finish(index) => {
                let Sending { job, service, .. } = self.record.sendings[index];
                if let Some(admitted) = self.at_work[index].take() {
                    self.services[service].finish(admitted, &self.record.jobs[job], self.now);
                    self.reply(index, End::Answered);
                }
            }
            Event::Hear(index) => self.hear(index),
            Event::LosePatience(index) => {
                if self.under_way[index].is_some() {
                    self.record.sendings[index].end = Some((self.now, End::TimedOut));
                    self.hear(index);
                }
            }
            Event::Alarm(client) => {
                // An older alarm has been replaced.
                if self.clients[client].alarm == Some(self.now) {
                    self.clients[client].alarm = None;
                    let ended = self.clients[client].wake(self.now);
                    self.follow(client, ended);
                }
            }
            Event::Break => self.break_down(),
        }
    }

    fn arrive(&mut self, index: usize) {
        let Sending { job, service, .. } = self.record.sendings[index];
        match self.services[service].arrive(&self.record.jobs[job], self.now) {
            Arrival::Admitted(admitted, time) => {
                self.record.sendings[index].admitted = Some(self.now);
                self.at_work[index] = Some(admitted);
                self.at(self.now + time, Event::Finish(index));
            }
            Arrival::Refused(refusal) => self.reply(index, End::Refused(refusal)),
            Arrival::Reset => self.reply(index, End::Reset),
            Arrival::Silence => self.lose_patience_some_time(index),
        }
    }

    /// The end of a request goes to its client.
    fn reply(&mut self, index: usize, end: End) {
        if self.under_way[index].is_none() {
            return; // given up meanwhile
        }
        let at = self.now + self.one_way();
        self.record.sendings[index].end = Some((at, end));
        self.at(at, Event::Hear(index));
    }

    fn lose_patience_some_time(&mut self, index: usize) {
        let limit = Duration::from_secs_f64(self.conditions.first_byte);
        self.at(self.record.sendings[index].sent + limit, Event::LosePatience(index));
    }

    /// A request's end has come to its client.
    fn hear(&mut self, index: usize) {
        let Sending { job, client, end, .. } = self.record.sendings[index];
        // It may have been given up while the reply was on its way.
        let Some((sent, (_, end))) = self.under_way[index].take().zip(end) else {
            return;
        };
        let ended = self.clients[client].end(sent, &self.record.jobs[job], end, self.now);
        self.follow(client, ended);
    }

    /// The fault begins: what waits for an answer gets none.
    fn break_down(&mut self) {
        let Some(fault) = self.conditions.fault else { return };
        if let FaultKind::Slows(_) = fault.kind {
            return;
        }
        for index in 0..self.at_work.len() {
            if self.record.sendings[index].service == 0 && self.at_work[index].take().is_some() {
                if fault.kind == FaultKind::Resets {
                    self.reply(index, End::Reset);
                } else {
                    self.lose_patience_some_time(index);
                }
            }
        }
    }

    /// Does what a client has decided.
    fn follow(&mut self, client: usize, ended: Vec<Ended>) {
        for (job, fate) in ended {
            let end = JobEnd {
                at: self.now,
                answered: fate == Fate::Answered,
            };
            if self.record.ends[job].replace(end).is_some() {
                self.flaw(format!("job {job} has ended twice"));
            } else {
                self.jobs_left -= 1;
            }
        }
        while let Some((job, sent)) = self.clients[client].take() {
            self.send(client, job, sent);
        }
        self.set_alarm(client);
    }

    fn send(&mut self, client: usize, job: usize, sent: Sent) {
        let index = self.record.sendings.len();
        self.record.sendings.push(Sending {
            job,
            client,
            service: sent.endpoint().index(),
            is_probe: sent.role() == Role::Probe,
            sent: self.now,
            admitted: None,
            end: None,
        });
        if let Some(patience) = sent.first_byte() {
            self.at(self.now + patience, Event::LosePatience(index));
        }
        self.under_way.push(Some(sent));
        self.at_work.push(None);
        let arrives = self.now + self.one_way();
        self.at(arrives, Event::Arrive(index));
    }

    fn set_alarm(&mut self, client: usize) {
        let next = self.clients[client].next_wake().map(|at| at.max(self.now));
        let set = self.clients[client].alarm;
        if let Some(at) = next
            && set.is_none_or(|set| at < set)
        {
            self.alarms += 1;
            if self.alarms == SPIN {
                self.flaw(format!("client {client}'s timer spins at {:?}", self.now));
            }
            // A thread that spins sees time pass; here it must not stop the world.
            let at = if at == self.now {
                at + Duration::from_micros(100)
            } else {
                at
            };
            self.clients[client].alarm = Some(at);
            self.at(at, Event::Alarm(client));
        }
    }
}
