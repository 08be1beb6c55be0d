//! Which job goes next, job timeouts, and the ways to take results.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use azure_openai_blaster::api::{Condition, Priority};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{FaultKind, Latency, RefusalFamily, RetryAfter, SimFault, SimFleet};
use azure_openai_blaster::{ChatCompletion, JobHandle, JobSet};

use crate::support::{PATIENCE, ask, await_requests, config, eventually, fleet, is_answer, pool, terse};

/// The ids in the order in which they came to the simulator.
fn order(fleet: &SimFleet) -> Vec<String> {
    fleet
        .journal()
        .iter()
        .map(|entry| entry.id().unwrap().to_owned())
        .collect()
}

#[test]
fn one_worker_takes_the_most_urgent_class_first_and_in_it_the_oldest_job() {
    use Priority::{Batch, Interactive, Normal};

    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let holder = blaster.submit(ask("holder")).unwrap();
    await_requests(&fleet, 1);
    let classes = [
        Batch,
        Normal,
        Interactive,
        Normal,
        Batch,
        Interactive,
        Normal,
        Interactive,
        Batch,
    ];
    let handles: Vec<_> = (0..)
        .zip(classes)
        .map(|(id, class)| blaster.submit(ask(id).priority(class)).unwrap())
        .collect();
    holder.cancel();
    handles.into_iter().for_each(|handle| drop(handle.wait().unwrap()));
    assert_eq!(order(&fleet), ["holder", "2", "5", "7", "1", "3", "6", "0", "4", "8"]);
}

#[test]
fn a_job_that_is_tried_again_regains_its_place() {
    let throttle = FaultKind::Throttle {
        family: RefusalFamily::Exceeded,
        retry_after: RetryAfter::Seconds(1),
        wait_ms: 1000,
    };
    // The only endpoint refuses, and all wait; one of two fails, and the other is free.
    for (faults, deployments) in [(throttle, 1), (FaultKind::Status { status: 503 }, 2)] {
        let fleet = fleet((0..deployments).map(|n| {
            let sim = terse(format!("sim-{n}"));
            if n == 0 {
                sim.fault(SimFault::at([1], faults))
            } else {
                sim
            }
        }));
        let blaster = pool(&fleet, 1);
        // Each endpoint answers once, so that which of them is first does not matter.
        for id in 0..deployments {
            blaster.chat(ask(format!("first-{id}"))).unwrap();
        }
        let handles: Vec<_> = (0..6).map(|id| blaster.submit(ask(id)).unwrap()).collect();
        handles.into_iter().for_each(|handle| drop(handle.wait().unwrap()));
        let order = order(&fleet);
        // The same job again, at once or after the rest, and then the next one: never one in between.
        let mut distinct: Vec<_> = order.clone();
        distinct.dedup();
        assert_eq!(distinct[deployments..], ["0", "1", "2", "3", "4", "5"], "{order:?}");
        assert!(order.len() > distinct.len(), "{order:?}");
    }
}

fn assert_timed_out(error: &Error, requests: usize, said: &str) {
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(error.ledger().unwrap().len(), requests);
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn a_job_times_out_in_the_queue_and_is_never_sent() {
    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let holder = blaster.submit(ask("holder")).unwrap();
    await_requests(&fleet, 1);
    let timeout = Duration::from_millis(30);
    // Behind a worker that is busy, …
    let hurried = blaster.submit(ask("hurried").timeout(timeout)).unwrap();
    let patient = blaster.submit(ask("patient").timeout(PATIENCE)).unwrap();
    assert_timed_out(
        &hurried.wait().unwrap_err(),
        0,
        "no answer within 0.030 s: it was waiting",
    );
    assert_eq!(blaster.waiting(), 1);
    // … and behind an endpoint that rests.
    blaster.states()[0].cool_down(Duration::from_secs(3600));
    holder.cancel();
    let hurried = blaster.submit(ask("hurried").timeout(timeout)).unwrap();
    assert_timed_out(
        &hurried.wait().unwrap_err(),
        0,
        "no answer within 0.030 s: it was waiting",
    );
    blaster.states()[0].enable();
    assert!(is_answer(patient.wait().unwrap().text(), "patient"));
    assert_eq!(order(&fleet), ["holder", "patient"]);
}

#[test]
fn a_job_times_out_under_way_and_its_endpoint_is_not_blamed() {
    let fleet = fleet([terse("east").fault(SimFault::at([0, 2], FaultKind::Hang))]);
    let blaster = pool(&fleet, 3);
    let kept = blaster.submit(ask("kept")).unwrap();
    await_requests(&fleet, 1);
    assert!(is_answer(
        blaster.chat(ask("quick").timeout(PATIENCE)).unwrap().text(),
        "quick"
    ));
    let error = blaster
        .chat(ask("hurried").timeout(Duration::from_millis(300)))
        .unwrap_err();
    assert_timed_out(&error, 1, "no answer within 0.300 s");
    assert!(fleet.wait_for(PATIENCE, |view| view.entries().any(|entry| entry.client_left())));
    assert!(
        fleet
            .journal()
            .iter()
            .all(|entry| entry.client_left() == (entry.id() == Some("hurried")))
    );
    let report = blaster.states()[0].report();
    assert_eq!(
        (report.condition, report.totals.failed, report.failure_streak),
        (Condition::Ready, 0, 0),
        "{report}"
    );
    assert!(!kept.is_finished());
    assert!(blaster.chat(ask("next")).is_ok());
}

/// The configured limit holds where a request sets none, and a request's own limit in its place.
#[test]
fn a_job_timeout_can_be_configured() {
    let fleet = fleet([terse("east").latency(Latency::fixed(400.0))]);
    let config = config(&fleet).job_timeout(Duration::from_millis(50));
    let blaster = azure_openai_blaster::Blaster::builder().config(config).build().unwrap();
    assert_eq!(blaster.chat(ask(0)).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(is_answer(blaster.chat(ask(1).timeout(PATIENCE)).unwrap().text(), 1));
}

#[test]
fn run_all_takes_no_more_requests_than_it_has_room_for() {
    const WORKERS: usize = 4;
    let fleet = fleet([terse("east").latency(Latency::fixed(1.0))]);
    // With a queue that is smaller than what may be under way, too.
    for capacity in [1000, 1] {
        let config = config(&fleet).num_workers(WORKERS).queue_capacity(capacity);
        let blaster = azure_openai_blaster::Blaster::builder().config(config).build().unwrap();
        let taken = AtomicUsize::new(0);
        let endless = (0..).inspect(|_| {
            taken.fetch_add(1, Ordering::Relaxed);
        });
        let mut seen = vec![false; 300 + 2 * WORKERS];
        for (yielded, (index, answer)) in blaster.run_all(endless.map(ask)).take(300).enumerate() {
            assert!(is_answer(answer.unwrap().text(), index));
            assert!(!std::mem::replace(&mut seen[index], true), "{index} twice");
            let under_way = taken.load(Ordering::Relaxed) - yielded;
            assert!(under_way <= 2 * WORKERS, "{under_way} taken and not yielded");
        }
    }
}

#[test]
fn a_set_yields_every_job_under_its_key_as_it_ends() {
    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = pool(&fleet, 2);
    let mut set = JobSet::new();
    let slow = blaster.submit(ask("slow")).unwrap();
    await_requests(&fleet, 1);
    let canceller = slow.canceller();
    set.insert("slow".to_owned(), slow);
    for id in 0..50 {
        set.insert(id.to_string(), blaster.submit(ask(id)).unwrap());
    }
    // One that has ended before it is added, and a key that is there already.
    let ended = blaster.submit(ask(7)).unwrap();
    eventually("the last one's end", || ended.is_finished());
    set.insert("7".to_owned(), ended);
    let mut keys: Vec<u32> = Vec::new();
    while keys.len() < 51 {
        let (key, answer) = set.next_timeout(PATIENCE).unwrap();
        assert!(is_answer(answer.unwrap().text(), &key));
        keys.push(key.parse().unwrap());
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 50);
    assert_eq!((set.len(), set.try_next().is_none()), (1, true));
    assert!(set.next_timeout(Duration::from_millis(1)).is_none());
    canceller.cancel();
    let (key, answer) = set.next().unwrap();
    assert_eq!(
        (key.as_str(), answer.unwrap_err().kind()),
        ("slow", ErrorKind::Cancelled)
    );
    assert!(set.next().is_none() && set.next_timeout(PATIENCE).is_none());
}

/// The smallest executor of many tasks: a queue of those that were woken.
#[derive(Default)]
struct Executor {
    woken: Mutex<VecDeque<usize>>,
    sleeper: Mutex<Option<thread::Thread>>,
}

struct Task {
    number: usize,
    executor: Arc<Executor>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.executor.woken.lock().unwrap().push_back(self.number);
        if let Some(sleeper) = &*self.executor.sleeper.lock().unwrap() {
            sleeper.unpark();
        }
    }
}

impl Executor {
    /// Runs them to their ends, polling each only when it was woken; returns how often they were polled.
    fn run(self: Arc<Self>, tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>) -> usize {
        *self.sleeper.lock().unwrap() = Some(thread::current());
        *self.woken.lock().unwrap() = (0..tasks.len()).collect();
        let mut left = tasks.len();
        let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
        let mut polls = 0;
        while left > 0 {
            let Some(number) = self.woken.lock().unwrap().pop_front() else {
                thread::park_timeout(PATIENCE);
                continue;
            };
            let Some(task) = &mut tasks[number] else { continue };
            polls += 1;
            let waker = Waker::from(Arc::new(Task {
                number,
                executor: Arc::clone(&self),
            }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                tasks[number] = None;
                left -= 1;
            }
        }
        polls
    }
}

#[test]
fn handles_are_awaited_on_an_executor_and_polled_only_when_they_have_ended() {
    const JOBS: usize = 500;
    let fleet = fleet([terse("east"), terse("west")]);
    let blaster = pool(&fleet, 8);
    let answered = Arc::new(AtomicUsize::new(0));
    let tasks = (0..JOBS).map(|id| {
        let (blaster, answered) = (blaster.clone(), Arc::clone(&answered));
        let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            let handle = blaster.submit(ask(id)).unwrap();
            assert!(is_answer(handle.await.unwrap().text(), id));
            answered.fetch_add(1, Ordering::Relaxed);
        });
        task
    });
    let polls = Arc::<Executor>::default().run(tasks.collect());
    assert_eq!(answered.load(Ordering::Relaxed), JOBS);
    assert!(polls <= 2 * JOBS, "{polls} polls");
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(handle: &mut JobHandle<ChatCompletion>, waker: &Arc<Count>) -> Poll<Result<ChatCompletion, Error>> {
    pin!(handle).poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

#[test]
fn a_handle_that_moves_between_tasks_wakes_the_one_that_polled_last() {
    let fleet = fleet([terse("east").fault(SimFault::at([0], FaultKind::Hang))]);
    let blaster = pool(&fleet, 1);
    let holder = blaster.submit(ask("holder")).unwrap();
    await_requests(&fleet, 1);
    let mut handle = blaster.submit(ask(1)).unwrap();
    let (first, last) = (Arc::new(Count::default()), Arc::new(Count::default()));
    assert!(poll(&mut handle, &first).is_pending());
    assert!(poll(&mut handle, &last).is_pending());
    assert!(poll(&mut handle, &last).is_pending());
    holder.cancel();
    eventually("the waking", || last.0.load(Ordering::SeqCst) > 0);
    assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
    match poll(&mut handle, &first) {
        Poll::Ready(answer) => assert!(is_answer(answer.unwrap().text(), 1)),
        Poll::Pending => panic!("it was woken for this"),
    }
    // It is given once, however it is asked for.
    assert!(matches!(poll(&mut handle, &first), Poll::Ready(Err(Error::Taken))));
    assert!(matches!(handle.try_wait(), Some(Err(Error::Taken))));
}

/// A task that has polled and goes on to wait as a thread gets its answer all the same.
#[test]
fn a_handle_that_was_polled_can_be_waited_for() {
    let fleet = fleet([terse("east").latency(Latency::fixed(20.0))]);
    let blaster = pool(&fleet, 1);
    let mut handle = blaster.submit(ask(1)).unwrap();
    let waker = Arc::new(Count::default());
    if poll(&mut handle, &waker).is_pending() {
        assert!(is_answer(handle.wait().unwrap().text(), 1));
    }
}
