//! Very many endpoints and workers, very few, too many for the system, and none of them busy.
//!
//! In processes of their own: a test binary may be started with too few file descriptors, and counts of a process are
//! worth nothing beside other tests.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout};
use std::thread;
use std::time::Duration;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Condition;
use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::sim::{FaultKind, FleetSettings, SimConfig, SimFault, SimFleet};

use crate::child;
use crate::support::{ask, await_requests, eventually, fleet, is_answer, pool, terse};

/// As many file descriptors as the system lets a process have.
const MANY_FILES: &str = "ulimit -n $(ulimit -H -n)";

/// Starts a child with the configuration of `fleet`'s client.
fn start(test: &str, role: &str, before: &str, fleet: &SimFleet) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = child::command(test, role, before);
    let mut child = command.env("CONFIG", fleet.blaster_config_json()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The configuration that [`start`] gave.
fn given() -> BlasterConfig {
    BlasterConfig::from_json(&std::env::var("CONFIG").unwrap()).unwrap()
}

/// Runs so many jobs and looks at every answer.
fn run(blaster: &Blaster, jobs: usize) {
    let handles: Vec<_> = (0..jobs).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    for (id, handle) in handles.into_iter().enumerate() {
        assert!(is_answer(handle.wait().unwrap().text(), id));
    }
}

#[test]
fn two_thousand_endpoints_and_one_work_with_one_worker_and_with_a_thousand() {
    if child::role().is_none() {
        let test = "scale::two_thousand_endpoints_and_one_work_with_one_worker_and_with_a_thousand";
        return child::run(test, MANY_FILES);
    }
    for (endpoints, workers, jobs) in [(2000, 16, 2000), (2000, 1, 200), (1, 1, 200)] {
        let deployments = (0..endpoints).map(|n| terse(format!("sim-{n}")).resource(format!("resource-{}", n % 8)));
        let settings = FleetSettings::new().journal_capacity(0);
        let fleet = SimFleet::start_with(SimConfig::new(deployments), &settings).unwrap();
        let blaster = pool(&fleet, workers);
        run(&blaster, jobs);
        assert_eq!((fleet.totals().requests, blaster.workers()), (jobs as u64, workers));
        for endpoint in fleet.endpoints() {
            // Equal weights, all of them ready: they take turns.
            let requests = fleet.counters(&endpoint.name).unwrap().requests as usize;
            assert!(
                requests.abs_diff(jobs / endpoints) <= 1,
                "{}: {requests}",
                endpoint.name
            );
        }
    }
    // A thousand workers are really at work at once, and each of them is there for the next job.
    const WORKERS: usize = 1024;
    let fleet = fleet([terse("east").fault(SimFault::next(WORKERS as u64, FaultKind::Hang))]);
    let blaster = pool(&fleet, WORKERS);
    let held: Vec<_> = (0..WORKERS).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    await_requests(&fleet, WORKERS as u64);
    assert_eq!(blaster.in_flight(), WORKERS);
    held.iter().for_each(|handle| handle.cancel());
    run(&blaster, 2 * WORKERS);
    assert_eq!(blaster.workers(), WORKERS);
    eventually("the end of all", || blaster.in_flight() == 0);
}

/// `key` of this process, in KiB.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// Tells a child's warnings.
struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            child::say("warning", record.args());
        }
    }

    fn flush(&self) {}
}

/// The limit is on address space, of which each thread takes half a MiB for its stack: how much the process takes with
/// a given number of workers is measured, and half a stack more allows for everything but one more thread.
#[test]
fn a_thread_that_cannot_be_started_ends_in_a_smaller_pool_or_a_clear_error() {
    const HALF_A_STACK: u64 = 256;
    if let Some(workers) = child::role() {
        return pool_as_large_as_possible(workers.parse().unwrap());
    }
    let fleet = fleet([terse("east")]);
    let in_child = |workers: usize, limit: Option<u64>| {
        let limit = limit.map(|limit| format!("ulimit -v {limit}")).unwrap_or_default();
        let test = "scale::a_thread_that_cannot_be_started_ends_in_a_smaller_pool_or_a_clear_error";
        // Without arenas, each of which takes 64 MiB of addresses, at moments that nobody knows.
        start(
            test,
            &workers.to_string(),
            &format!("export MALLOC_ARENA_MAX=1\n{limit}"),
            &fleet,
        )
    };
    let needs = |workers| {
        let (mut child, mut lines) = in_child(workers, None);
        let needs: u64 = child::said(&mut lines, "needs").parse().unwrap();
        assert_eq!(child::said(&mut lines, "workers"), workers.to_string());
        assert!(child.wait().unwrap().success());
        needs
    };

    let (mut child, mut lines) = in_child(64, Some(needs(8) + HALF_A_STACK));
    let warning = child::said(&mut lines, "warning");
    assert!(warning.contains(" of 64 worker threads could be started"), "{warning}");
    let workers: usize = child::said(&mut lines, "workers").parse().unwrap();
    assert!((1..64).contains(&workers), "{workers}");
    assert!(
        warning.contains(&format!("only {workers} of")),
        "{warning}, but {workers} live"
    );
    assert!(child.wait().unwrap().success());

    let (mut child, mut lines) = in_child(1, Some(needs(1) - HALF_A_STACK));
    let error = child::said(&mut lines, "error");
    assert!(error.starts_with("starting worker threads: "), "{error}");
    assert!(child.wait().unwrap().success());
}

/// What the child does: the pool is built as large as it can be, and used.
fn pool_as_large_as_possible(workers: usize) {
    log::set_logger(&Warnings).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    // Room that nothing can take while the threads are started, and that is there for the work afterwards.
    let ballast = std::hint::black_box(Vec::<u8>::with_capacity(64 << 20));
    let built = Blaster::builder().config(given().num_workers(workers)).build();
    child::say("needs", memory("VmPeak"));
    drop(ballast);
    match built {
        Ok(blaster) => {
            run(&blaster, 100);
            child::say("workers", blaster.workers());
        }
        Err(error) => child::say("error", error),
    }
}

/// All context switches of all threads of a process so far, in an order that tells threads apart.
fn switches(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut counts: Vec<_> = tasks
        .map(|task| {
            let path = task.unwrap().path();
            let status = std::fs::read_to_string(path.join("status")).unwrap();
            let counts: Vec<_> = status.lines().filter(|line| line.contains("ctxt_switches")).collect();
            format!("{}: {}", path.display(), counts.join(" "))
        })
        .collect();
    counts.sort();
    counts
}

#[test]
fn an_idle_blaster_makes_no_wake_ups() {
    if child::role().is_some() {
        return idle();
    }
    let fleet = fleet([
        terse("good"),
        terse("bad").fault(SimFault::always(FaultKind::Status { status: 503 })),
    ]);
    let (mut child, mut lines) = start("scale::an_idle_blaster_makes_no_wake_ups", "idle", "", &fleet);
    child::said(&mut lines, "idle");
    // The last worker is still on its way to sleep.
    let mut before = switches(child.id());
    eventually("the child's rest", || {
        thread::sleep(Duration::from_millis(50));
        let now = switches(child.id());
        now == std::mem::replace(&mut before, now.clone())
    });
    // The wait is what is measured here.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(switches(child.id()), before);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// What the child does: one blaster has nothing more to do and an endpoint that is out, to be probed with the next job; in
/// another a job with a timeout waits for an endpoint that rests. Both last for hours.
fn idle() {
    let config = given().num_workers(4).auto_disable_threshold(1);
    let done = Blaster::builder().config(config.clone()).build().unwrap();
    run(&done, 200);
    eventually("the bad one's end", || {
        run(&done, 2);
        done.states()[1].report().condition == Condition::Ejected
    });
    let waits = Blaster::builder().config(config).build().unwrap();
    for state in waits.states() {
        state.cool_down(Duration::from_secs(3600));
    }
    let handle = waits.submit(ask("later").timeout(Duration::from_secs(1800))).unwrap();
    child::say("idle", "");
    // Until the parent has seen enough.
    let _ = std::io::stdin().lines().count();
    assert!(!handle.is_finished());
}
