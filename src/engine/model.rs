//! The engine under the model checker: the real workers, timer, pump and latches, over a transport that answers by
//! itself, with their threads run in many orders.
//!
//! `RUSTFLAGS="--cfg model_check" cargo test --lib model_`; `SOAK_ROUNDS` multiplies the number of orders. Time does not
//! pass: what is asked here is whether somebody is woken when something *happens*, so nothing rests or times out. A
//! thread that nobody wakes is a deadlock, which the checker reports with the order that led to it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};

use crate::api::{Headers, Operation, Priority};
use crate::clock;
use crate::error::Error;
use crate::error::fault::{Fault, FaultKind, Phase as Progress};
use crate::transport::{Body, Call, Interrupt, Reply, Transport};

use super::core::{Core, NotTaken};
use super::job::JobCell;
use super::scenario::{self, balancer, request};
use super::shared::{Patience, Shared};
use super::sync::{Condvar, Mutex};
use super::worker;

/// Runs `test` in many orders: some drawn at random, some with few switches, which find what needs a certain one.
fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    let rounds = std::env::var("SOAK_ROUNDS").map_or(1, |rounds| rounds.parse().expect("SOAK_ROUNDS is a number"));
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(1_000 * rounds), config.clone()).run(test.clone());
    Runner::new(PctScheduler::new(3, 1_000 * rounds), config).run(test);
}

/// Answers calls with the statuses it was given, in the order in which they come, and then with 200.
struct Answers {
    script: Mutex<VecDeque<Answer>>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Status(u16),
    /// None, until the call is interrupted.
    Hang,
}

/// A call that hangs.
#[derive(Default)]
struct Hanging {
    interrupted: Mutex<bool>,
    changed: Condvar,
}

impl Interrupt for Hanging {
    fn interrupt(&self) {
        *self.interrupted.lock() = true;
        self.changed.notify_all();
    }
}

impl Transport for Answers {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let cancelled = || Fault::new(FaultKind::Cancelled, Progress::Written, "cancelled");
        let hanging = Arc::new(Hanging::default());
        let weak: Weak<Hanging> = Arc::downgrade(&hanging);
        let answer = self.script.lock().pop_front().unwrap_or(Answer::Status(200));
        if !call.gate.watch(weak) {
            return Err(cancelled());
        }
        let Answer::Status(status) = answer else {
            let mut interrupted = hanging.interrupted.lock();
            while !*interrupted {
                hanging.changed.wait(&mut interrupted);
            }
            return Err(cancelled());
        };
        thread::yield_now();
        if *hanging.interrupted.lock() {
            return Err(cancelled());
        }
        Ok(Reply {
            status,
            headers: Headers::new(),
            body: Body::new(&b"{}"[..]),
        })
    }
}

/// A blaster's inside with its threads.
struct Model {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Model {
    fn new(endpoints: usize, workers: usize, capacity: usize, script: &[Answer]) -> Self {
        let mut core = Core::new(balancer(endpoints, workers), capacity, clock::now());
        core.workers = workers;
        let transport = Answers {
            script: Mutex::new(script.iter().copied().collect()),
        };
        let shared = Arc::new(scenario::shared(core, transport, endpoints));
        let timer = Arc::clone(&shared);
        let mut threads = vec![thread::spawn(move || timer.run_timer())];
        for _ in 0..workers {
            let worker = Arc::clone(&shared);
            threads.push(thread::spawn(move || worker::run(&worker)));
        }
        Model { shared, threads }
    }

    /// Every thread ends, and with it everything is in its place.
    fn end(self) {
        self.shared.close();
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.shared.with_core(|core| {
            assert!(core.is_idle());
            assert_eq!(core.workers, 0);
            assert_eq!(core.balancer.in_flight(), 0);
        });
    }
}

fn submit(shared: &Shared) -> Result<Arc<JobCell>, NotTaken> {
    let set = shared.with_core(|core| core.balancer.set(None)).unwrap();
    shared.submit(
        set,
        &Operation::ChatCompletions,
        Patience::Endless,
        request(),
        None,
        Priority::Normal,
    )
}

fn result(cell: &JobCell) -> Result<(), Error> {
    cell.slot.wait().expect("taken once").map(drop)
}

fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    body: impl FnOnce(&Arc<Shared>) -> T + Send + 'static,
) -> JoinHandle<T> {
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

#[test]
fn model_every_job_is_done_by_workers_that_sleep_when_there_is_none() {
    check(|| {
        let model = Model::new(
            2,
            2,
            100,
            &[Answer::Status(500), Answer::Status(200), Answer::Status(400)],
        );
        let submitters: Vec<_> = (0..2)
            .map(|_| {
                spawn(&model.shared, |shared| {
                    let cells: Vec<_> = (0..2).map(|_| submit(shared).unwrap()).collect();
                    cells.iter().filter(|cell| result(cell).is_ok()).count()
                })
            })
            .collect();
        let answered: usize = submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum();
        assert_eq!(
            answered, 3,
            "one job is refused; the one that met a 500 is answered elsewhere"
        );
        model.end();
    });
}

#[test]
fn model_no_submitter_sleeps_beside_a_place_in_the_queue() {
    check(|| {
        let model = Model::new(1, 1, 1, &[]);
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                spawn(&model.shared, |shared| {
                    for _ in 0..2 {
                        result(&submit(shared).unwrap()).unwrap();
                    }
                })
            })
            .collect();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        model.end();
    });
}

#[test]
fn model_a_cancelled_job_makes_room_for_a_submitter_and_ends_once() {
    check(|| {
        let model = Model::new(1, 1, 1, &[Answer::Hang]);
        let hanging = submit(&model.shared).unwrap();
        let waiting = submit(&model.shared).unwrap();
        let blocked = spawn(&model.shared, |shared| result(&submit(shared).unwrap()));
        let canceller = spawn(&model.shared, {
            let (hanging, waiting) = (Arc::clone(&hanging), Arc::clone(&waiting));
            move |shared| {
                shared.cancel(&waiting);
                shared.cancel(&hanging);
            }
        });
        assert!(matches!(result(&hanging), Err(Error::Cancelled(_))));
        assert!(matches!(result(&waiting), Err(Error::Cancelled(_))));
        canceller.join().unwrap();
        blocked.join().unwrap().unwrap();
        model.end();
    });
}

#[test]
fn model_a_cancel_that_races_with_an_answer_leaves_one_result() {
    check(|| {
        let model = Model::new(2, 1, 10, &[Answer::Status(500)]);
        let cell = submit(&model.shared).unwrap();
        let canceller = spawn(&model.shared, {
            let cell = Arc::clone(&cell);
            move |shared| shared.cancel(&cell)
        });
        assert!(matches!(result(&cell), Ok(()) | Err(Error::Cancelled(_))));
        canceller.join().unwrap();
        assert!(cell.slot.try_take().expect("filled").is_err(), "a second result");
        model.end();
    });
}

#[test]
fn model_drain_returns_when_the_last_job_has_ended() {
    check(|| {
        let model = Model::new(2, 2, 100, &[Answer::Status(500)]);
        let cells: Vec<_> = (0..3).map(|_| submit(&model.shared).unwrap()).collect();
        let drained = spawn(&model.shared, |shared| {
            // The deadline never comes: time stands still.
            shared.drain(Some(clock::now() + Duration::from_secs(86_400)))
        });
        let late = submit(&model.shared);
        assert!(drained.join().unwrap());
        for cell in cells.iter().chain(late.as_ref().ok()) {
            result(cell).unwrap();
        }
        assert_eq!(submit(&model.shared).err(), Some(NotTaken::Closed));
        model.end();
    });
}

#[test]
fn model_close_ends_every_job_and_wakes_every_submitter() {
    ends_every_job(Shared::close);
}

#[test]
fn model_dropping_ends_every_job_and_wakes_every_submitter() {
    ends_every_job(Shared::close_dropped);
}

fn ends_every_job(close: fn(&Shared)) {
    check(move || {
        let model = Model::new(1, 1, 1, &[Answer::Status(200), Answer::Hang]);
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                spawn(&model.shared, |shared| match submit(shared) {
                    Ok(cell) => match result(&cell) {
                        Ok(()) | Err(Error::ShutDown { .. }) => {}
                        Err(other) => panic!("{other}"),
                    },
                    Err(why) => assert_eq!(why, NotTaken::Closed),
                })
            })
            .collect();
        let closer = spawn(&model.shared, move |shared| close(shared));
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        closer.join().unwrap();
        model.end();
    });
}
