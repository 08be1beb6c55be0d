//! What a request costs the simulator: CPU time of `blaster sim` in a process of its own, without limits or latency,
//! driven by bare keep-alive sockets; then what ten thousand open connections take of its memory.
//!
//! ```text
//! cargo bench --features cli --bench sim_cost
//! ```
//! CPU time is read from `/proc`, so it runs on Linux only.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use process::Running;

#[path = "shared/process.rs"]
mod process;
#[path = "shared/simulator.rs"]
mod simulator;

/// One deployment that answers at once, whatever it is asked.
const FLEET: &str = r#"{ "deployments": [{ "name": "east" }] }"#;

/// A prompt of a few hundred bytes, as most are.
const PROMPT: &str = "Why does exponential backoff need jitter? Explain it to somebody who has run a web server before, \
    but has never seen a thundering herd; give one example with numbers and one sentence on what happens without it.";

/// Rounds for each number of clients; their median is shown.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Connections of the memory figure; fewer where file descriptors are short.
const CONNECTIONS: usize = 10_000;

/// Linux counts CPU time in hundredths of a second for its users, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("sim_cost reads /proc and runs on Linux only");
        return Ok(());
    }
    let simulator = Simulator::start()?;
    println!(
        "CPU of the simulator for each request (medians of {ROUNDS} rounds of {} s)",
        ROUND.as_secs()
    );
    println!("clients  requests/s   user µs   system µs   total µs");
    for clients in CLIENTS {
        let mut rounds = (0..ROUNDS)
            .map(|_| simulator.round(clients))
            .collect::<Result<Vec<_>>>()?;
        rounds.sort_by(|a, b| a.total().total_cmp(&b.total()));
        let median = &rounds[ROUNDS / 2];
        let (user, system, total) = (median.user, median.system, median.total());
        println!(
            "{clients:>7}  {:>10.0}  {user:>8.1}  {system:>10.1}  {total:>9.1}",
            median.rate
        );
    }
    let before = simulator.resident_bytes()?;
    let connections = simulator.open(CONNECTIONS)?;
    let each = (simulator.resident_bytes()?.saturating_sub(before)) / connections.len().max(1);
    println!(
        "{} open connections, each answered once: {each} B of memory each",
        connections.len()
    );
    Ok(())
}

/// A `blaster sim` process with one deployment.
struct Simulator {
    process: Running,
    address: String,
    request: Vec<u8>,
}

/// What one round told, for each request.
struct Round {
    rate: f64,
    /// Microseconds.
    user: f64,
    /// Microseconds.
    system: f64,
}

impl Round {
    fn total(&self) -> f64 {
        self.user + self.system
    }
}

/// The part of the simulator's output that is needed here.
#[derive(Deserialize)]
struct BlasterConfig {
    deployments: Vec<Deployment>,
}

#[derive(Deserialize)]
struct Deployment {
    endpoint: String,
    api_key: String,
    model: String,
}

impl Simulator {
    fn start() -> Result<Self> {
        let (process, config) = simulator::start::<BlasterConfig>(FLEET)?;
        let Deployment {
            endpoint,
            api_key,
            model,
        } = config.deployments.into_iter().next().ok_or("no deployment")?;
        let address = endpoint.trim_start_matches("http://").to_owned();
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{PROMPT}"}}],"max_completion_tokens":64}}"#);
        let request = format!(
            "POST /openai/deployments/{model}/chat/completions?api-version=2025-01-01-preview HTTP/1.1\r\n\
             host: {address}\r\napi-key: {api_key}\r\ncontent-type: application/json\r\naccept: */*\r\n\
             user-agent: sim_cost\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        );
        Ok(Simulator {
            process,
            address,
            request: request.into_bytes(),
        })
    }

    /// Keeps `clients` sockets busy for one round.
    fn round(&self, clients: usize) -> Result<Round> {
        let answered = AtomicU64::new(0);
        let (user, system) = self.cpu_seconds()?;
        let began = Instant::now();
        thread::scope(|scope| {
            let client = || -> Result<()> {
                let mut client = Client::connect(&self.address)?;
                while began.elapsed() < ROUND {
                    client.ask(&self.request)?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            };
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a client panicked")?)
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let (user_after, system_after) = self.cpu_seconds()?;
        let requests = answered.into_inner() as f64;
        Ok(Round {
            rate: requests / seconds,
            user: (user_after - user) / requests * 1e6,
            system: (system_after - system) / requests * 1e6,
        })
    }

    /// Opens up to `count` connections, each answered once and kept.
    fn open(&self, count: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        while clients.len() < count {
            let Ok(mut client) = Client::connect(&self.address) else {
                break;
            };
            client.ask(&self.request)?;
            clients.push(client);
        }
        Ok(clients)
    }

    /// User and system time so far.
    fn cpu_seconds(&self) -> Result<(f64, f64)> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        // The command's name, in parentheses, may hold anything; the fields after it are numbers.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .ok_or("odd /proc stat")?
            .1
            .split_whitespace()
            .collect();
        let [user, system] = fields.get(11..13).ok_or("short /proc stat")? else {
            return Err("short /proc stat".into());
        };
        Ok((
            user.parse::<f64>()? / TICKS_PER_SECOND,
            system.parse::<f64>()? / TICKS_PER_SECOND,
        ))
    }

    fn resident_bytes(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .ok_or("no VmRSS")?;
        let kib = line.split_whitespace().nth(1).ok_or("no VmRSS")?;
        Ok(kib.parse::<usize>()? * 1024)
    }
}

/// The simplest client that keeps its connection: expects 200 with a `content-length`.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Client { socket, buffer: vec![] })
    }

    fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.socket.write_all(request)?;
        self.buffer.clear();
        let mut piece = [0; 4096];
        let whole = loop {
            let count = self.socket.read(&mut piece)?;
            if count == 0 {
                return Err("the simulator closed the connection".into());
            }
            self.buffer.extend_from_slice(&piece[..count]);
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4 + content_length(&self.buffer[..end])?;
            }
        };
        let missing = whole.saturating_sub(self.buffer.len()) as u64;
        let received = (&mut self.socket).take(missing).read_to_end(&mut self.buffer)?;
        match received as u64 == missing {
            true => Ok(()),
            false => Err("the reply was cut".into()),
        }
    }
}

/// The length of the body of a reply that must be a 200.
fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("not a 200: {head}").into());
    }
    let value = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(value.ok_or("no content-length")?.parse()?)
}
