//! What answers: a service in a process of its own, so that its CPU time is not counted, and so quick that it is
//! never what is waited for. It gives every request the same reply, at once or after a given latency.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::process::Running;

/// First argument of the process that serves; then the latency in milliseconds and the number of ports; with noise also of
/// how many requests one is refused, and with which header.
pub(crate) const ARGUMENT: &str = "serve";

/// Refusals that have nothing to do with what was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Of so many requests one is refused, at random.
    pub(crate) every: u32,
    /// The header that names the wait.
    pub(crate) header: &'static str,
}

/// What is refused, and how.
type Refusals = Option<(u32, &'static [u8])>;

/// What gpt-4.1 answered on Azure, with its filter results.
const BODY: &str = concat!(
    r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}},"finish_reason":"stop","index":0,"logprobs":null,"message":{"annotations":[],"content":"Backoff matters because a service that refuses work is asking for room: whoever tries again at once only adds to the crowd.","refusal":null,"role":"assistant"}}],"#,
    r#""created":1756749680,"id":"chatcmpl-CAx1Jq4mY8bR2vKcWn7sTzE5hLdP0","model":"gpt-4.1-2025-04-14","object":"chat.completion","#,
    r#""prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}],"#,
    r#""system_fingerprint":"fp_c79ab13e31","#,
    r#""usage":{"completion_tokens":25,"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":0},"prompt_tokens":113,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"total_tokens":138}}"#,
);

/// The headers that Azure sends with it.
const HEADERS: &str = "content-type: application/json\r\n\
    apim-request-id: 5f2b6c1e-8a4d-4f0e-9a37-6d1c2b3a4e5f\r\n\
    x-request-id: 0c9d8e7f-6a5b-4c3d-9e1f-2a3b4c5d6e7f\r\n\
    x-ms-region: Sweden Central\r\n\
    x-ms-deployment-name: bench\r\n\
    x-ms-rai-invoked: true\r\n\
    x-ratelimit-limit-requests: -1\r\n\
    x-ratelimit-limit-tokens: -1\r\n\
    x-ratelimit-remaining-requests: -1\r\n\
    x-ratelimit-remaining-tokens: -1\r\n\
    strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n\
    x-content-type-options: nosniff\r\n";

/// A service that runs as long as this lives.
pub(crate) struct Service {
    _process: Running,
    ports: Vec<u16>,
}

impl Service {
    /// Starts a service that answers on so many ports after `latency`.
    pub(crate) fn start(latency: Duration, ports: usize) -> io::Result<Service> {
        Self::with_noise(latency, ports, None)
    }

    /// The same, with some requests refused at once.
    pub(crate) fn with_noise(latency: Duration, ports: usize, noise: Option<Noise>) -> io::Result<Service> {
        let noise = noise.map(|noise| [noise.every.to_string(), noise.header.to_owned()]);
        let process = Command::new(std::env::current_exe()?)
            .args([ARGUMENT, &latency.as_millis().to_string(), &ports.to_string()])
            .args(noise.iter().flatten())
            // It ends when this pipe does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Running(process);
        let mut line = String::new();
        if let Some(output) = process.0.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let ports = line.split_whitespace().map_while(|port| port.parse().ok()).collect();
        Ok(Service {
            _process: process,
            ports,
        })
    }

    /// The base URL of each port.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.ports
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect()
    }
}

/// The serving process: prints its ports and serves until its input ends.
pub(crate) fn run(latency: &str, ports: &str, noise: &[&str]) {
    let latency = Duration::from_millis(latency.parse().expect("a latency in milliseconds"));
    let ports: usize = ports.parse().expect("a number of ports");
    let refusals: Refusals = match noise {
        [every, header] => Some((every.parse().expect("a number of requests"), refusal(header).leak())),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let reply: &'static [u8] = reply().leak();
    runtime.block_on(async {
        let mut numbers = Vec::new();
        for _ in 0..ports {
            let listener = listen().expect("a port is free");
            numbers.push(listener.local_addr().expect("it is bound").port().to_string());
            tokio::spawn(accept(listener, latency, reply, refusals));
        }
        println!("{}", numbers.join(" "));
        let _ = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await;
    });
}

/// What a request is answered.
pub(crate) fn reply() -> Vec<u8> {
    let length = BODY.len();
    format!("HTTP/1.1 200 OK\r\n{HEADERS}content-length: {length}\r\n\r\n{BODY}").into_bytes()
}

fn refusal(header: &str) -> Vec<u8> {
    const BODY: &str = r#"{"error":{"code":"429","message":"Rate limit is exceeded."}}"#;
    let length = BODY.len();
    format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n{header}\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
    .into_bytes()
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    // Ten thousand come at once.
    socket.listen(16_384)
}

async fn accept(listener: TcpListener, latency: Duration, reply: &'static [u8], refusals: Refusals) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            // A client that goes away ends its connection, and that is all.
            let _ = serve(stream, latency, reply, refusals).await;
        });
    }
}

async fn serve(stream: TcpStream, latency: Duration, reply: &[u8], refusals: Refusals) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        stream.readable().await?;
        let mut chunk = [0; 4096];
        match stream.try_read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => received.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        while let Some(length) = request_length(&received).filter(|length| *length <= received.len()) {
            received.drain(..length);
            let refusal = refusals.filter(|&(every, _)| rand::random_ratio(1, every));
            if !latency.is_zero() && refusal.is_none() {
                tokio::time::sleep(latency).await;
            }
            let mut rest = refusal.map_or(reply, |(_, refusal)| refusal);
            while !rest.is_empty() {
                stream.writable().await?;
                match stream.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Length of the first request, head and body; none while its head is not there.
pub(crate) fn request_length(received: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length:";
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let length = received[..head]
        .split(|&byte| byte == b'\n')
        .find(|line| line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH))
        .and_then(|line| {
            std::str::from_utf8(&line[LENGTH.len()..])
                .ok()?
                .trim()
                .parse::<usize>()
                .ok()
        });
    Some(head + length.unwrap_or(0))
}
