//! A listener on loopback whose conversations a test writes by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Serves each connection by a thread of its own, until dropped.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    stop: AtomicBool,
}

impl Server {
    /// `serve` gets each connection and its number, from 0; the connection closes when it returns.
    pub(super) fn start(serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> Server {
        Self::start_raw(move |stream, number| serve(Peer::new(stream), number))
    }

    pub(super) fn start_raw(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serve = Arc::new(serve);
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                    let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
                    thread::spawn(move || serve(stream, number));
                }
            }
        });
        Server {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Answers every request with 200 and its own body, keeping connections alive.
    pub(super) fn echo() -> Server {
        Server::start(|mut peer, _| {
            while let Some(request) = peer.request() {
                peer.ok(&request.body);
            }
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were made.
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.acceptor.take().unwrap().join().unwrap();
    }
}

/// A port of loopback where nobody listens.
pub(super) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Any stream with two directions.
pub(super) trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// The server's end of a connection.
pub(super) struct Peer(BufReader<Box<dyn Duplex>>);

/// A request as it was received.
#[derive(Debug)]
pub(super) struct Request {
    /// Request line and headers, without the empty line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

/// For another protocol within the connection.
impl Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Peer {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.get_mut().write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.get_mut().flush()
    }
}

impl Peer {
    pub(super) fn new(stream: impl Duplex + 'static) -> Peer {
        Peer(BufReader::new(Box::new(stream)))
    }

    /// Reads the head of a request; `None` once the client has closed.
    pub(super) fn head(&mut self) -> Option<Request> {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            match self.0.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => head.push_str(&line),
            }
        }
        let body = Vec::new();
        Some(Request { head, body })
    }

    /// Reads a whole request; `None` once the client has closed.
    pub(super) fn request(&mut self) -> Option<Request> {
        let mut request = self.head()?;
        let length = request
            .header("content-length")
            .first()
            .map_or(0, |length| length.parse().unwrap());
        request.body = vec![0; length];
        self.0.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// Reads so many bytes of a body; `None` where the client has closed before.
    pub(super) fn skip(&mut self, length: usize) -> Option<()> {
        let body = &mut (&mut self.0).take(length as u64);
        let read = std::io::copy(body, &mut std::io::sink()).ok()?;
        (read == length as u64).then_some(())
    }

    /// Sends these bytes; a client that has gone does not matter.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes);
    }

    /// Sends these bytes; `None` where the client has gone.
    pub(super) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        let stream = self.0.get_mut();
        stream.write_all(bytes.as_ref()).ok()?;
        stream.flush().ok()
    }

    /// Sends 200 with this body.
    pub(super) fn ok(&mut self, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        reply.extend_from_slice(body);
        self.send(reply);
    }

    /// Blocks until the client has closed the connection.
    pub(super) fn wait_for_close(&mut self) {
        while matches!(self.0.read(&mut [0; 4096]), Ok(1..)) {}
    }
}
