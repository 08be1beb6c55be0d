//! Measurements: `cargo test --release --lib wire::tests::cost -- --ignored --nocapture --test-threads=1`

use std::fs;
use std::sync::Barrier;
use std::thread;

use super::server::Server;
use super::*;

/// A plain agent with the settings that any user of ureq would choose for this load.
fn bare() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(2_000)
        .max_idle_connections_per_host(2_000)
        .input_buffer_size(super::super::BUFFER_SIZE)
        .output_buffer_size(super::super::BUFFER_SIZE);
    config.build().new_agent()
}

fn ask_bare(agent: &ureq::Agent, url: &str) {
    let request = agent
        .post(url)
        .header("api-key", "k")
        .header("content-type", "application/json");
    let mut reply = request.header("accept", "application/json").send(&b"{}"[..]).unwrap();
    assert_eq!(reply.body_mut().read_to_vec().unwrap(), b"{}");
}

/// Processor time of this thread so far, in nanoseconds.
fn thread_time() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

/// Microseconds of processor time and of the clock for each of `calls` calls.
fn measured(calls: u32, mut call: impl FnMut()) -> (f64, f64) {
    let (cpu, start) = (thread_time(), clock::now());
    (0..calls).for_each(|_| call());
    let cpu = (thread_time() - cpu) as f64 / 1e3;
    let wall = (clock::now() - start).as_secs_f64() * 1e6;
    (cpu / f64::from(calls), wall / f64::from(calls))
}

#[test]
#[ignore = "a measurement"]
fn one_call_beside_bare_ureq() {
    let server = Server::echo();
    let (transport, agent) = (transport(&server.url()), bare());
    let url = format!("{}/chat/completions", server.url());
    let mut call = Ask::default();
    println!("µs per call      bare: cpu  wall    ours: cpu  wall");
    for _ in 0..7 {
        let bare = measured(10_000, || ask_bare(&agent, &url));
        let ours = measured(10_000, || {
            call.gate = Arc::default();
            call.limits = long();
            let mut reply = call.head(&transport).unwrap();
            assert_eq!(reply.read_to_vec(MAX_BODY).unwrap(), b"{}");
        });
        println!("{:>25.1} {:>5.1} {:>12.1} {:>5.1}", bare.0, bare.1, ours.0, ours.1);
    }
}

#[test]
#[ignore = "a measurement"]
fn a_thousand_threads_on_one_endpoint() {
    const THREADS: usize = 1_024;
    const CALLS: usize = 20;
    let status = |key: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|line| line.starts_with(key)).unwrap().to_owned()
    };
    let server = Server::start(|mut peer, _| {
        while let Some(request) = peer.request() {
            thread::sleep(Duration::from_millis(100));
            peer.ok(request.body);
        }
    });
    let mut spec = endpoint(&server.url());
    spec.max_connections = THREADS;
    let (transport, agent) = (UreqTransport::new(vec![spec], &direct()).unwrap(), bare());
    let url = format!("{}/chat/completions", server.url());
    let round = |name: &str, ask: &(dyn Fn() + Sync)| {
        let start = Barrier::new(THREADS + 1);
        let (start_time, files) = thread::scope(|scope| {
            let start = &start;
            for index in 0..THREADS {
                scope.spawn(move || {
                    // Connecting all at once would measure the listener's queue of 128.
                    thread::sleep(Duration::from_millis(2) * index as u32);
                    ask();
                    start.wait();
                    (0..CALLS).for_each(|_| ask());
                });
            }
            start.wait();
            let time = clock::now();
            thread::sleep(Duration::from_secs(1));
            (time, fs::read_dir("/proc/self/fd").unwrap().count())
        });
        let rate = (THREADS * CALLS) as f64 / (clock::now() - start_time).as_secs_f64();
        // Both ends of each connection are in this process.
        println!(
            "{name}: {rate:.0} calls/s, {files} descriptors, {}, {}",
            status("VmRSS"),
            status("VmHWM")
        );
    };
    for _ in 0..2 {
        round("bare", &|| ask_bare(&agent, &url));
        round("ours", &|| drop(ask(&transport).unwrap()));
    }
}
