//! Tens of thousands of jobs among endpoints that fail at random, audited against the journal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use azure_openai_blaster::api::{Condition, Ledger};
use azure_openai_blaster::error::{ErrorKind, Result};
use azure_openai_blaster::sim::{
    End, FaultKind, JournalEntry, RefusalFamily, RetryAfter, SimConfig, SimDeployment, SimFault, SimFleet,
};
use azure_openai_blaster::{Blaster, ChatCompletion, Event, JobSet};

use crate::support::{PATIENCE, ask, config, is_answer, terse};

const SUBMITTERS: usize = 8;
const JOBS: usize = 20_000;
const ENDPOINTS: usize = 8;

/// How many times as much as usual is to be done: `SOAK_ROUNDS`, 1 unless set.
fn rounds() -> u64 {
    std::env::var("SOAK_ROUNDS").map_or(1, |rounds| rounds.parse().expect("SOAK_ROUNDS is a number"))
}

/// A deployment that fails in many ways, one request in twenty.
fn moody(name: String) -> SimDeployment {
    let throttle = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Seconds(60),
        wait_ms: 60_000,
    };
    [
        (0.010, FaultKind::SlowFirstByte { ms: 20 }),
        (0.008, throttle),
        (0.004, FaultKind::RefusedStream { retry_after_s: 60 }),
        (0.004, FaultKind::Status { status: 503 }),
        (0.004, FaultKind::Status { status: 408 }),
        (0.003, FaultKind::Html502),
        (0.003, FaultKind::Reset),
        (0.003, FaultKind::Garbage),
        (0.003, FaultKind::HalfBody),
        (0.003, FaultKind::HalfBodyReset),
        (0.003, FaultKind::CutStream { frames: 2 }),
        (0.003, FaultKind::ErrorEvent { frames: 1 }),
        (0.002, FaultKind::NoFinish),
        (0.002, FaultKind::Status { status: 500 }),
        (0.002, FaultKind::BadJson),
        (0.002, FaultKind::EmptyChoices),
        (0.001, FaultKind::Status { status: 401 }),
        (0.0003, FaultKind::Hang),
    ]
    .into_iter()
    .fold(terse(name), |deployment, (probability, kind)| {
        deployment.fault(SimFault::random(probability, kind))
    })
}

/// Brings every endpoint back that is taken out, so that the test need not wait for rests; and finds out how
/// rests that end at any moment get along with everything else.
struct Medic {
    calls: mpsc::Sender<Option<String>>,
    at_work: thread::JoinHandle<()>,
}

impl Medic {
    fn new(calls: (mpsc::Sender<Option<String>>, mpsc::Receiver<Option<String>>), blaster: &Blaster) -> Self {
        let states = blaster.states();
        let (calls, called) = calls;
        let at_work = thread::spawn(move || {
            for name in called.iter().map_while(|call| call) {
                states
                    .iter()
                    .filter(|state| state.name() == name)
                    .for_each(|state| state.enable());
            }
        });
        Medic { calls, at_work }
    }

    fn leave(self) {
        self.calls.send(None).unwrap();
        self.at_work.join().unwrap();
    }
}

/// What a job came to.
struct Ended {
    ledger: Ledger,
    answered: bool,
}

impl Ended {
    fn new(id: usize, result: Result<ChatCompletion>) -> Self {
        match result {
            Ok(completion) => {
                assert!(is_answer(completion.text(), id), "{id} got {:?}", completion.text());
                Ended {
                    ledger: completion.ledger().clone(),
                    answered: true,
                }
            }
            // Three answers in a row that make no sense: as rare as it may be.
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    ErrorKind::ServerErrors,
                    "{id}: {error}\n{}",
                    error.ledger().unwrap()
                );
                Ended {
                    ledger: error.ledger().unwrap().clone(),
                    answered: false,
                }
            }
        }
    }
}

/// One submitter: its jobs, half of them streamed, taken as they come or waited for one by one.
fn submit_and_take(blaster: &Blaster, ids: impl Iterator<Item = usize>, as_they_come: bool) -> Vec<(usize, Ended)> {
    let handles = ids.map(|id| (id, blaster.submit(ask(id).stream(id % 2 == 0)).unwrap()));
    if as_they_come {
        let mut set = JobSet::new();
        handles.for_each(|(id, handle)| set.insert(id, handle));
        set.map(|(id, result)| (id, Ended::new(id, result))).collect()
    } else {
        let handles: Vec<_> = handles.collect();
        handles
            .into_iter()
            .map(|(id, handle)| (id, Ended::new(id, handle.wait())))
            .collect()
    }
}

/// Every request at the simulator stands in the ledger of its job, in the order in which it came, and none but the last
/// of an answered job brought an answer that was taken for one.
fn audit(fleet: &SimFleet, jobs: &[(usize, Ended)]) {
    let attempts: usize = jobs.iter().map(|(_, job)| job.ledger.len()).sum();
    // A request that was given up before the simulator came to read it arrives all the same.
    assert!(
        fleet.wait_for(PATIENCE, |view| {
            view.totals().requests == attempts as u64 && view.entries().all(|entry| entry.end != End::Open)
        }),
        "{} requests arrived, {attempts} stand in the ledgers",
        fleet.totals().requests
    );
    assert_eq!(fleet.totals().forgotten, 0);
    let mut arrived: HashMap<String, Vec<JournalEntry>> = HashMap::new();
    for entry in fleet.journal() {
        let id = entry.id().expect("every prompt has one").to_owned();
        arrived.entry(id).or_default().push(entry);
    }
    for (id, job) in jobs {
        let requests = arrived.remove(&id.to_string()).unwrap_or_default();
        let ledger = &job.ledger;
        assert_eq!(requests.len(), ledger.len(), "job {id}: {requests:?}\n{ledger}");
        for (index, (request, attempt)) in requests.iter().zip(ledger.attempts()).enumerate() {
            assert_eq!(
                request.deployment.as_deref(),
                Some(&*attempt.endpoint),
                "job {id}:\n{ledger}"
            );
            if attempt.status.is_some() {
                assert_eq!(attempt.status, request.status, "job {id}:\n{ledger}");
            }
            let answer = attempt.problem.is_none();
            assert_eq!(
                answer,
                job.answered && index + 1 == requests.len(),
                "job {id}: answered once\n{ledger}"
            );
            if answer {
                assert_eq!(
                    (request.status, request.end),
                    (Some(200), End::Complete),
                    "job {id}: {request:?}"
                );
            }
        }
    }
    assert!(arrived.is_empty(), "requests of nobody: {arrived:?}");
}

fn round(seed: u64) {
    let fleet = SimFleet::start(SimConfig::new((0..ENDPOINTS).map(|n| moody(format!("sim-{n}")))).seed(seed)).unwrap();
    let config = config(&fleet)
        .num_workers(32)
        .max_job_retry(20)
        .queue_capacity(1000)
        .first_byte_timeout(Duration::from_secs(2))
        .attempt_timeout(Duration::from_secs(20));
    let ended: Arc<Vec<AtomicUsize>> = Arc::new((0..JOBS).map(|_| AtomicUsize::new(0)).collect());
    let (calls, called) = mpsc::channel();
    let hook = {
        let (ended, calls) = (Arc::clone(&ended), Mutex::new(calls.clone()));
        move |event: &Event| match event {
            Event::JobEnded { job, .. } => {
                ended[*job as usize].fetch_add(1, Ordering::Relaxed);
            }
            Event::EndpointChanged {
                endpoint, condition, ..
            } if !matches!(condition, Condition::Ready | Condition::Probing) => {
                let _ = calls.lock().unwrap().send(Some(endpoint.to_string()));
            }
            _ => {}
        }
    };
    let blaster = Blaster::builder()
        .config(config)
        .seed(seed)
        .on_event(hook)
        .build()
        .unwrap();
    let medic = Medic::new((calls, called), &blaster);
    let jobs: Vec<(usize, Ended)> = thread::scope(|scope| {
        let submitters: Vec<_> = (0..SUBMITTERS)
            .map(|number| {
                let blaster = &blaster;
                let ids = (number..JOBS).step_by(SUBMITTERS);
                scope.spawn(move || submit_and_take(blaster, ids, number % 2 == 0))
            })
            .collect();
        submitters
            .into_iter()
            .flat_map(|submitter| submitter.join().unwrap())
            .collect()
    });
    medic.leave();
    assert_eq!(jobs.len(), JOBS);
    assert!(
        ended.iter().all(|count| count.load(Ordering::Relaxed) == 1),
        "each job ends once"
    );
    let lost = jobs.iter().filter(|(_, job)| !job.answered).count();
    assert!(lost <= 3, "{lost} jobs got no answer");
    assert_eq!((blaster.waiting(), blaster.in_flight(), blaster.workers()), (0, 0, 32));
    audit(&fleet, &jobs);
}

#[test]
fn every_job_is_answered_once_while_endpoints_fail_at_random() {
    (0..rounds()).for_each(round);
}
