//! What answers by what it is asked: a server of a few lines in this process, for requests that are few and replies that are odd.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::service;

/// What a request meets.
#[derive(Clone, Copy)]
pub(crate) enum Meets {
    /// The usual answer, after so long.
    Answer(Duration),
    /// This status, and a page.
    Page(u16),
    /// The first half of the usual answer, and a connection that is closed.
    Half,
    /// A connection that is closed without a word.
    Closed,
    /// A connection that is reset.
    Reset,
}

/// A listener on a port of its own; its threads end with the process.
pub(crate) struct Picky {
    pub(crate) url: String,
}

impl Picky {
    /// `meets` is told the body of each request.
    pub(crate) fn start(meets: impl Fn(&[u8]) -> Meets + Send + Sync + 'static) -> Picky {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let meets = Arc::new(meets);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let meets = Arc::clone(&meets);
                thread::spawn(move || {
                    // A client that goes away ends its connection, and that is all.
                    let _ = serve(connection, &*meets);
                });
            }
        });
        Picky { url }
    }
}

fn serve(mut connection: TcpStream, meets: &dyn Fn(&[u8]) -> Meets) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let answer = service::reply();
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(length) = service::request_length(&received).filter(|length| *length <= received.len()) {
            let request: Vec<_> = received.drain(..length).collect();
            match meets(&request) {
                Meets::Answer(latency) => {
                    thread::sleep(latency);
                    connection.write_all(&answer)?;
                }
                Meets::Page(status) => connection.write_all(page(status).as_bytes())?,
                Meets::Half => return connection.write_all(&answer[..answer.len() - 400]),
                Meets::Closed => return Ok(()),
                Meets::Reset => return SockRef::from(&connection).set_linger(Some(Duration::ZERO)),
            }
        }
        match connection.read(&mut chunk)? {
            0 => return Ok(()),
            read => received.extend_from_slice(&chunk[..read]),
        }
    }
}

fn page(status: u16) -> String {
    let body = format!("<html><head><title>{status}</title></head><body>not today</body></html>");
    format!(
        "HTTP/1.1 {status} No\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
