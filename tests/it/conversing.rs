//! A server whose conversations a test writes, chunk by chunk.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::canned::{Received, read};

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
