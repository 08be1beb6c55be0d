//! How long a job takes from its submission to a worker that holds its lease, and to the first bytes of its request;
//! and how late a job wakes that waited for a cooldown. One job at a time, on a blaster that has nothing else to do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Headers;
use azure_openai_blaster::error::fault::Fault;
use azure_openai_blaster::transport::{Body, Call, Reply, Transport};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::harness::{Effort, MICROSECONDS, MILLISECONDS, quantiles};
use crate::ours::{self, PROMPT};
use crate::service::request_length;

/// Between two jobs, so that the worker sleeps when the next one comes.
const PAUSE: Duration = Duration::from_micros(200);

/// Jobs before the first that is measured.
const WARM_UP: usize = 100;

/// Shorter cooldowns would pass before the job waits for them.
const COOLDOWN: Duration = Duration::from_millis(3);

const YES: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;

pub(crate) fn run(effort: Effort) {
    let count = effort.count(20_000);
    let (blaster, arrivals) = in_memory();
    let (mut times, mut floor) = measure(&blaster, &arrivals, &Floor::start(|| {}), count);
    let name = "submit → a worker holds the lease";
    quantiles(
        name,
        &mut times,
        Some(&mut floor),
        MICROSECONDS,
        &[(0.5, 8.0), (0.99, 30.0)],
    );

    let mut late: Vec<Duration> = (0..effort.count(2_000))
        .map(|_| lateness(&blaster, &arrivals))
        .collect();
    let name = "lateness of a job woken after a cooldown";
    quantiles(name, &mut late, None, MILLISECONDS, &[(0.5, 0.5), (0.99, 0.5)]);
    blaster.close();

    let peer = answering();
    let (blaster, arrivals) = over_a_socket(peer);
    let (mut times, mut floor) = measure(&blaster, &arrivals, &Floor::of_writing(peer), count);
    let name = "submit → the request's first bytes are written";
    quantiles(
        name,
        &mut times,
        Some(&mut floor),
        MICROSECONDS,
        &[(0.5, 25.0), (0.99, 100.0)],
    );
}

/// Time from the submission of each job to its arrival, and between them the times of the floor.
fn measure(
    blaster: &Blaster,
    arrivals: &Receiver<Instant>,
    floor: &Floor,
    count: usize,
) -> (Vec<Duration>, Vec<Duration>) {
    let one = |_| {
        thread::sleep(PAUSE);
        let submitted = Instant::now();
        let handle = blaster.submit_chat_completion(PROMPT).expect("there is room");
        handle.wait().expect("it is answered");
        let arrived = arrivals.recv().expect("each job arrives");
        (arrived - submitted, floor.time())
    };
    (0..WARM_UP + count).map(one).skip(WARM_UP).unzip()
}

/// The least that could be had: a channel, and a thread that sleeps there until it has something to do.
struct Floor {
    queue: Sender<()>,
    stamps: Receiver<Instant>,
}

impl Floor {
    /// The thread does `work` for each that comes.
    fn start(mut work: impl FnMut() + Send + 'static) -> Floor {
        let ((queue, jobs), (stamp, stamps)) = (unbounded(), unbounded());
        thread::spawn(move || {
            for () in jobs {
                work();
                let _ = stamp.send(Instant::now());
            }
        });
        Floor { queue, stamps }
    }

    /// The work is to write a request of the same size, and no more of HTTP than that.
    fn of_writing(peer: SocketAddr) -> Floor {
        let mut stream = TcpStream::connect(peer).expect("the service listens");
        stream.set_nodelay(true).expect("it is connected");
        let request = format!("POST / HTTP/1.1\r\ncontent-length: 800\r\n\r\n{}", "x".repeat(800));
        let mut reply = [0; 4096];
        let mut written = false;
        Floor::start(move || {
            if written {
                // The reply to the one before has long been there.
                let _ = stream.read(&mut reply);
            }
            written = stream.write_all(request.as_bytes()).is_ok();
        })
    }

    fn time(&self) -> Duration {
        thread::sleep(PAUSE);
        let sent = Instant::now();
        self.queue.send(()).expect("the thread lives");
        self.stamps.recv().expect("the thread lives") - sent
    }
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
fn over_a_socket(peer: SocketAddr) -> (Blaster, Receiver<Instant>) {
    let (stamps, arrivals) = unbounded();
    log::set_logger(Box::leak(Box::new(Stamp(stamps)))).expect("nobody else logs");
    log::set_max_level(log::LevelFilter::Trace);
    (ours::blaster(&[format!("http://{peer}")], 4), arrivals)
}

/// Where a thread answers.
fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            thread::spawn(move || answer(stream));
        }
    });
    address
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
