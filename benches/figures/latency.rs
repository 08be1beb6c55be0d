//! How long a job takes from its submission to a worker that holds its lease, and to the first bytes of its request;
//! and how late a job wakes that waited for a cooldown. One job at a time, on a blaster that has nothing else to do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Headers;
use azure_openai_blaster::error::fault::Fault;
use azure_openai_blaster::transport::{Body, Call, Reply, Transport};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::harness::{Effort, quantiles};
use crate::ours::{self, PROMPT};
use crate::service::request_length;

const MICROSECONDS: (&str, f64) = (" µs", 1e6);
const MILLISECONDS: (&str, f64) = (" ms", 1e3);

/// Between two jobs, so that the worker sleeps when the next one comes.
const PAUSE: Duration = Duration::from_micros(200);

/// Jobs before the first that is measured.
const WARM_UP: usize = 100;

/// Shorter cooldowns would pass before the job waits for them.
const COOLDOWN: Duration = Duration::from_millis(3);

const YES: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;

pub(crate) fn run(effort: Effort) {
    let (blaster, arrivals) = in_memory();
    let mut times = measure(&blaster, &arrivals, effort.count(20_000));
    quantiles(
        "submit → a worker holds the lease",
        &mut times,
        MICROSECONDS,
        [(0.5, 8.0), (0.99, 30.0)],
    );

    let mut late: Vec<Duration> = (0..effort.count(2_000))
        .map(|_| lateness(&blaster, &arrivals))
        .collect();
    quantiles(
        "lateness of a job woken after a cooldown",
        &mut late,
        MILLISECONDS,
        [(0.5, 0.5), (0.99, 0.5)],
    );
    blaster.close();

    let (blaster, arrivals) = over_a_socket();
    let mut times = measure(&blaster, &arrivals, effort.count(20_000));
    quantiles(
        "submit → the request's first bytes are written",
        &mut times,
        MICROSECONDS,
        [(0.5, 25.0), (0.99, 100.0)],
    );
}

/// Time from the submission of each job to its arrival.
fn measure(blaster: &Blaster, arrivals: &Receiver<Instant>, count: usize) -> Vec<Duration> {
    let one = |_| {
        thread::sleep(PAUSE);
        let submitted = Instant::now();
        let handle = blaster.submit_chat_completion(PROMPT).expect("there is room");
        handle.wait().expect("it is answered");
        let arrived = arrivals.recv().expect("each job arrives");
        arrived - submitted
    };
    (0..WARM_UP + count).map(one).skip(WARM_UP).collect()
}

/// How much later than the end of a cooldown the job that waited for it goes.
fn lateness(blaster: &Blaster, arrivals: &Receiver<Instant>) -> Duration {
    let before = Instant::now();
    blaster.states()[0].cool_down(COOLDOWN);
    let handle = blaster.submit_chat_completion(PROMPT).expect("there is room");
    let arrived = arrivals.recv().expect("each job arrives");
    handle.wait().expect("it is answered");
    let late = arrived.checked_duration_since(before + COOLDOWN);
    late.expect("no job goes before the cooldown has ended")
}

/// Says when a call came in, and answers it.
struct Stamp(Sender<Instant>);

impl Transport for Stamp {
    fn send(&self, _: &Call<'_>) -> Result<Reply, Fault> {
        let _ = self.0.send(Instant::now());
        Ok(Reply {
            status: 200,
            headers: Headers::new(),
            body: Body::new(YES.as_bytes()),
        })
    }
}

fn in_memory() -> (Blaster, Receiver<Instant>) {
    let (stamps, arrivals) = unbounded();
    let config = ours::config(&["http://127.0.0.1:1".to_owned()], 4);
    let builder = Blaster::builder().config(config).transport(Stamp(stamps));
    (builder.build().expect("the configuration is good"), arrivals)
}

/// Over a socket, to a thread that answers. The moment at which a request's first bytes were written is told by the
/// library's log.
fn over_a_socket() -> (Blaster, Receiver<Instant>) {
    let (stamps, arrivals) = unbounded();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            thread::spawn(move || answer(stream));
        }
    });
    log::set_logger(Box::leak(Box::new(Stamp(stamps)))).expect("nobody else logs");
    log::set_max_level(log::LevelFilter::Trace);
    (ours::blaster(&[url], 4), arrivals)
}

impl log::Log for Stamp {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata
            .target()
            .starts_with("azure_openai_blaster::transport::wire::call")
    }

    fn log(&self, record: &log::Record<'_>) {
        // It is the only line of its module.
        if self.enabled(record.metadata()) {
            let _ = self.0.send(Instant::now());
        }
    }

    fn flush(&self) {}
}

fn answer(mut stream: TcpStream) {
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{YES}",
        YES.len()
    );
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        received.extend_from_slice(&chunk[..read]);
        if request_length(&received).is_some_and(|length| length <= received.len()) {
            received.clear();
            let _ = stream.write_all(reply.as_bytes());
        }
    }
}
