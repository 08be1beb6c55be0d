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

/// `key` of this process, in KiB.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a child tells of a pool that it has built as large as it could, and used.
struct Told {
    warnings: Vec<String>,
    /// How many workers there are, or why there are none.
    workers: Result<usize, String>,
    /// KiB of addresses before there were any.
    addresses: Option<u64>,
}

/// Has a child build a pool of so many workers after what `sh` does `before`, and use it.
fn pool_in_a_child(test: &str, workers: usize, before: &str, fleet: &SimFleet) -> Told {
    let (mut child, lines) = start(test, &workers.to_string(), before, fleet);
    let mut told = Told {
        warnings: Vec::new(),
        workers: Err("the child says nothing".to_owned()),
        addresses: None,
    };
    for line in lines {
        let line = line.unwrap();
        match line.split_once("says:").and_then(|(_, said)| said.split_once('=')) {
            Some(("warning", warning)) => told.warnings.push(warning.to_owned()),
            Some(("workers", workers)) => told.workers = Ok(workers.parse().unwrap()),
            Some(("addresses", kib)) => told.addresses = Some(kib.parse().unwrap()),
            Some(("error", error)) => told.workers = Err(error.to_owned()),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success(), "{workers} workers after {before:?}");
    told
}

impl Told {
    /// The workers that live: all that were wanted, or as many as there is room for by the limit of that name, which is
    /// then warned of.
    fn in_room_of(&self, wanted: usize, limit: &str) -> usize {
        let workers = *self.workers.as_ref().unwrap();
        let said = format!("this machine has room for {workers} of {wanted} worker threads: ");
        let warned = self
            .warnings
            .iter()
            .any(|warning| warning.starts_with(&said) && warning.contains(limit));
        assert!(
            workers == wanted || warned,
            "{workers} of {wanted}: {:?}",
            self.warnings
        );
        workers
    }
}

/// What the child does.
fn pool_as_large_as_possible(workers: usize) {
    log::set_logger(&Warnings).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    match Blaster::builder().config(given().num_workers(workers)).build() {
        Ok(blaster) => {
            run(&blaster, 2000);
            child::say("workers", blaster.workers());
        }
        Err(error) => child::say("error", error),
    }
}

/// Each thread takes four of the mappings of which Linux grants 65,530 unless it is told otherwise: too few for all.
#[test]
fn as_many_workers_as_can_be_configured_are_started_as_far_as_there_is_room_for_them() {
    if let Some(workers) = child::role() {
        return pool_as_large_as_possible(workers.parse().unwrap());
    }
    let test = "scale::as_many_workers_as_can_be_configured_are_started_as_far_as_there_is_room_for_them";
    let fleet = fleet([terse("east")]);
    let told = pool_in_a_child(test, 16_384, MANY_FILES, &fleet);
    let workers = told.in_room_of(16_384, "");
    assert!(workers > 1000, "{workers}: {:?}", told.warnings);
}

#[test]
fn under_limits_of_memory_the_pool_is_smaller_and_works() {
    if let Some(workers) = child::role() {
        return pool_as_large_as_possible(workers.parse().unwrap());
    }
    let test = "scale::under_limits_of_memory_the_pool_is_smaller_and_works";
    let fleet = fleet([terse("east")]);
    for (before, limit, least) in [
        ("ulimit -v 1000000", "ulimit -v", 8),
        ("ulimit -v 2000000; export MALLOC_ARENA_MAX=2", "ulimit -v", 1000),
        ("ulimit -d 1000000", "ulimit -d", 500),
    ] {
        let workers = pool_in_a_child(test, 4096, before, &fleet).in_room_of(4096, limit);
        assert!((least..4096).contains(&workers), "{before}: {workers}");
    }
}

/// How much the process takes without a limit is found out first, and 4 MiB more leave no room for a worker.
#[test]
fn without_room_for_a_single_worker_there_is_an_error_that_says_so() {
    if let Some(workers) = child::role() {
        child::say("addresses", memory("VmSize"));
        return pool_as_large_as_possible(workers.parse().unwrap());
    }
    let test = "scale::without_room_for_a_single_worker_there_is_an_error_that_says_so";
    let fleet = fleet([terse("east")]);
    // Without arenas, each of which takes 64 MiB of addresses, at moments that nobody knows.
    let free = pool_in_a_child(test, 1, "export MALLOC_ARENA_MAX=1", &fleet);
    let limit = format!(
        "export MALLOC_ARENA_MAX=1\nulimit -v {}",
        free.addresses.unwrap() + 4096
    );
    let error = pool_in_a_child(test, 1, &limit, &fleet).workers.unwrap_err();
    let expected = "starting worker threads: this machine has room for 0 of 1 worker threads: ";
    assert!(error.starts_with(expected) && error.contains("ulimit -v"), "{error}");
}

/// Each sees what the others have taken.
#[test]
fn pools_that_are_built_at_once_share_the_room() {
    const POOLS: usize = 4;
    const EACH: usize = 8000;
    if child::role().is_none() {
        let test = "scale::pools_that_are_built_at_once_share_the_room";
        let fleet = fleet([terse("east")]);
        let mut command = child::command(test, "itself", MANY_FILES);
        let output = command.env("CONFIG", fleet.blaster_config_json()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let pools: Vec<Blaster> = thread::scope(|scope| {
        let build = || Blaster::builder().config(given().num_workers(EACH)).build();
        let building: Vec<_> = (0..POOLS).map(|_| scope.spawn(build)).collect();
        building
            .into_iter()
            .map(|built| built.join().unwrap().unwrap())
            .collect()
    });
    for pool in &pools {
        assert!(pool.workers() > 0);
        run(pool, 100);
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
