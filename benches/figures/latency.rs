//! How long a job takes from its submission to a worker that holds its lease, and to the first bytes of its request;
//! and how late a job wakes that waited for a cooldown. One job at a time, on a blaster that has nothing else to do.

use std::io::{Read, Write};
use std::net::TcpListener;
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

/// Shorter cooldowns would pass before the job waits for them.
const COOLDOWN: Duration = Duration::from_millis(3);

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
        "submit → first bytes of the request arrive",
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
        let arrived = arrivals.recv().expect("each job arrives");
        handle.wait().expect("it is answered");
        arrived - submitted
    };
    (0..100).for_each(|warm_up| drop(one(warm_up)));
    (0..count).map(one).collect()
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
        let body =
            br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;
        Ok(Reply {
            status: 200,
            headers: Headers::new(),
            body: Body::new(&body[..]),
        })
    }
}

fn in_memory() -> (Blaster, Receiver<Instant>) {
    let (stamps, arrivals) = unbounded();
    let config = ours::config(&["http://127.0.0.1:1".to_owned()], 4);
    let builder = Blaster::builder().config(config).transport(Stamp(stamps));
    (builder.build().expect("the configuration is good"), arrivals)
}

/// A thread that says when bytes came in, and answers them; so what is measured includes its own waking up.
fn over_a_socket() -> (Blaster, Receiver<Instant>) {
    let (stamps, arrivals) = unbounded();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, stamps) = (stream.expect("a connection"), stamps.clone());
            thread::spawn(move || {
                let mut received = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut chunk) {
                    let now = Instant::now();
                    if received.is_empty() {
                        let _ = stamps.send(now);
                    }
                    received.extend_from_slice(&chunk[..read]);
                    if request_length(&received).is_some_and(|length| length <= received.len()) {
                        received.clear();
                        let reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 95\r\n\r\n\
                            {\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}";
                        let _ = stream.write_all(reply);
                    }
                }
            });
        }
    });
    (ours::blaster(&[url], 4), arrivals)
}
