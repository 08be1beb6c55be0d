//! A machine that lacks what connections take. Each test is a process of its own, with a limit of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Condition;
use azure_openai_blaster::config::BlasterConfig;

use crate::child;
use crate::support::{PATIENCE, ask, eventually, fleet, is_answer, terse, wait_all};

/// What was warned of in this process.
static WARNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNED.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// The simulator is the parent's, so that the child's files are its connections alone. The child takes all that are
/// left, sees every job turned back by its own machine, and then lets go of them.
#[test]
fn where_files_run_out_jobs_wait_and_no_endpoint_is_blamed() {
    const JOBS: usize = 400;
    const WORKERS: usize = 200;
    let test = "local_limits::where_files_run_out_jobs_wait_and_no_endpoint_is_blamed";
    if child::role().is_none() {
        let fleet = fleet([terse("east"), terse("west")]);
        let mut command = child::command(test, "client", "ulimit -n 64");
        let output = command.env("FLEET", fleet.blaster_config_json()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fleet.totals().requests, JOBS as u64);
        return;
    }
    log::set_logger(&Keep).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let config = BlasterConfig::from_json(&std::env::var("FLEET").unwrap()).unwrap();
    let config = config.num_workers(WORKERS).auto_disable_threshold(1).max_job_retry(1);
    let blaster = Blaster::builder().config(config).seed(1).build().unwrap();
    let warned = WARNED.lock().unwrap().join("\n");
    assert!(
        warned.contains("64 files") && warned.contains("200 workers"),
        "{warned}"
    );

    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let handles: Vec<_> = (0..JOBS).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    let turned_back = || {
        blaster
            .states()
            .iter()
            .map(|state| state.report().totals.not_sent)
            .sum::<u64>()
    };
    // Each of them, and some of them again.
    eventually("a lack for every job", || turned_back() > 2 * JOBS as u64);
    assert_eq!(blaster.in_flight() + blaster.waiting(), JOBS);
    drop(taken);

    for (id, result) in wait_all(handles).into_iter().enumerate() {
        let completion = result.unwrap();
        assert!(is_answer(completion.text(), id));
        let ledger = completion.ledger();
        assert_eq!(ledger.len(), 1, "{ledger}");
        let problems: Vec<_> = ledger
            .not_sent()
            .iter()
            .filter_map(|tried| tried.problem.as_deref())
            .collect();
        assert!(
            problems.iter().all(|problem| problem.contains("Too many open files")),
            "{ledger}"
        );
    }
    for state in blaster.states() {
        let report = state.report();
        assert_eq!(
            (report.condition, report.failure_streak),
            (Condition::Ready, 0),
            "{report}"
        );
    }
    let warned = WARNED.lock().unwrap();
    let of_lack: Vec<_> = warned
        .iter()
        .filter(|text| text.contains("Too many open files"))
        .collect();
    assert!(of_lack[0].contains("64 files open"), "{warned:?}");
    // One in five seconds.
    assert!(of_lack.len() < 20, "{warned:?}");
}

/// Here client and simulator share the files, and the client takes all that it can get: connections that nobody can
/// accept any more. Each is served all the same, one after another.
#[test]
fn a_fleet_serves_more_connections_than_it_has_files_for() {
    if child::role().is_none() {
        let test = "local_limits::a_fleet_serves_more_connections_than_it_has_files_for";
        return child::run(test, "ulimit -n 64");
    }
    let fleet = fleet([terse("east")]);
    let (address, key) = (fleet.url("east").unwrap(), &fleet.endpoints()[0].key);
    let body = r#"{"messages": [{"role": "user", "content": "hello"}]}"#;
    let request = format!(
        "POST /openai/deployments/east/chat/completions?api-version=2024-10-21 HTTP/1.1\r\nhost: localhost\r\n\
         api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connections = Vec::new();
    while let Ok(connection) = TcpStream::connect(address.trim_start_matches("http://")) {
        connections.push(connection);
    }
    assert!(connections.len() >= 24, "{}", connections.len());
    for connection in &mut connections {
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut reply = [0; 12];
        connection.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200");
    }
}
