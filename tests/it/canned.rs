//! Servers of a few lines, for replies that no simulator would send and for requests down to the last byte: one that
//! answers every request with the same bytes and keeps what it received, and one whose conversations a test writes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The server. Its thread ends with the process.
pub(crate) struct Canned {
    /// `http://127.0.0.1:<port>`
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request as it was received.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Canned {
    /// Answers with this head (status and headers, without `HTTP/1.1` and without framing) and this body.
    pub(crate) fn start(head: &str, body: impl AsRef<[u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = body.as_ref();
        let framing = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let reply = [b"HTTP/1.1 ", head.as_bytes(), b"\r\n", framing.as_bytes(), body].concat();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { continue };
                let Some(request) = read(&mut connection) else { continue };
                kept.lock().unwrap().push(request);
                // Whoever has left does not want it.
                let _ = connection.write_all(&reply);
            }
        });
        Canned { url, received }
    }

    /// The requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// A server whose conversations a test writes. Its threads end with the process.
pub(crate) struct Conversing {
    /// `http://127.0.0.1:<port>`
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
}

/// A request that waits for its reply.
pub(crate) struct Conversation<'a> {
    /// How many requests came to the server before it.
    pub(crate) number: usize,
    pub(crate) request: Received,
    connection: &'a mut TcpStream,
}

impl Conversing {
    /// `converse` answers each request; its connection is closed where it says `false`, and by the client else.
    pub(crate) fn start(converse: impl Fn(Conversation<'_>) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let shared = Arc::new((converse, AtomicUsize::new(0)));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { continue };
                counted.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (converse, requests) = &*shared;
                    while let Some(request) = read(&mut connection) {
                        let number = requests.fetch_add(1, Ordering::SeqCst);
                        let connection = &mut connection;
                        let conversation = Conversation {
                            number,
                            request,
                            connection,
                        };
                        if !converse(conversation) {
                            break;
                        }
                    }
                });
            }
        });
        Conversing { url, connections }
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Conversation<'_> {
    /// Sends a head (status and headers, without `HTTP/1.1`) with `transfer-encoding: chunked`, and these chunks.
    pub(crate) fn chunked(&mut self, head: &str, chunks: &[&str]) {
        let mut bytes = format!("HTTP/1.1 {head}\r\ntransfer-encoding: chunked\r\n\r\n");
        for chunk in chunks {
            bytes.push_str(&as_chunk(chunk));
        }
        self.send(&bytes);
    }

    /// Sends a further chunk; an empty one ends the body. `false` where the client has left.
    pub(crate) fn chunk(&mut self, chunk: &str) -> bool {
        self.send(&as_chunk(chunk))
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &str) -> bool {
        self.connection.write_all(bytes.as_bytes()).is_ok()
    }

    /// Waits until the client has left.
    pub(crate) fn until_left(&mut self) {
        while matches!(self.connection.read(&mut [0; 4096]), Ok(1..)) {}
    }
}

fn as_chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// One request; none where the client left first.
pub(crate) fn read(connection: &mut impl Read) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + length {
                let body = bytes.split_off(end);
                return Some(Received { head, body });
            }
        }
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
