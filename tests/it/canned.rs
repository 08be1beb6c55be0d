//! A server of a few lines that answers every request with the same bytes and keeps what it received: for replies that
//! no simulator would send, and for requests down to the last byte.

use std::io::{Read, Write};
use std::net::TcpListener;
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
