//! Each time limit, told apart by its kind.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use parking_lot::Mutex;

use super::server::Server;
use super::*;
use crate::error::fault::{FaultKind, Phase, TimeoutKind};
use crate::transport::Body;

fn check(transport: &UreqTransport, limits: Limits, kind: TimeoutKind, phase: Phase) {
    let call = Ask {
        limits,
        ..Ask::default()
    };
    let fault = call.whole(transport).unwrap_err();
    assert_eq!((fault.kind, fault.phase), (FaultKind::Timeout(kind), phase), "{fault}");
}

/// A server that sends these bytes after each request, and then nothing.
fn falls_silent_after(bytes: &'static str) -> Server {
    Server::start(move |mut peer, _| {
        peer.request();
        peer.send(bytes);
        peer.wait_for_close();
    })
}

/// A listener whose queue is full: a further connection is neither accepted nor refused.
pub(super) fn never_accepts() -> (String, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    (format!("http://{address}"), (listener, queue))
}

#[test]
fn connecting_takes_too_long() {
    let (url, _listener) = never_accepts();
    let limits = Limits {
        connect: SHORT,
        ..long()
    };
    check(&transport(&url), limits, TimeoutKind::Connect, Phase::NotWritten);
}

#[test]
fn a_tls_handshake_is_part_of_connecting() {
    let server = Server::start(|mut peer, _| peer.wait_for_close());
    let limits = Limits {
        connect: SHORT,
        ..long()
    };
    let url = server.url().replace("http", "https");
    check(&transport(&url), limits, TimeoutKind::Connect, Phase::NotWritten);
}

#[test]
fn no_byte_comes() {
    let server = falls_silent_after("");
    let limits = Limits {
        first_byte: SHORT,
        ..long()
    };
    check(
        &transport(&server.url()),
        limits,
        TimeoutKind::FirstByte,
        Phase::Written,
    );
}

#[test]
fn the_request_is_not_taken() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    // Keeps the connection open and reads nothing of it: a closed window, not a refusal.
    let server = Server::start_raw(move |_stream, _| hold.lock().recv().unwrap_or(()));
    let call = Ask {
        body: vec![b'x'; 32_000_000],
        limits: Limits {
            first_byte: SHORT,
            ..long()
        },
        ..Ask::default()
    };
    let fault = call.whole(&transport(&server.url())).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::FirstByte), "{fault}");
    assert_eq!(fault.phase, Phase::Written);
    drop(release);
}

#[test]
fn the_reply_stalls() {
    let idle = |bytes, phase| {
        let server = falls_silent_after(bytes);
        let limits = Limits { idle: SHORT, ..long() };
        check(&transport(&server.url()), limits, TimeoutKind::Idle, phase);
    };
    idle("HTTP/1.1 200 OK\r\nconten", Phase::Written);
    idle("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", Phase::HeadReceived);
    idle(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n",
        Phase::HeadReceived,
    );
}

#[test]
fn a_good_head_and_blank_bytes_are_no_answer_yet() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n \r\n\r\n",
    ] {
        let server = falls_silent_after(bytes);
        let limits = Limits {
            first_content: SHORT,
            ..long()
        };
        check(
            &transport(&server.url()),
            limits,
            TimeoutKind::FirstByte,
            Phase::HeadReceived,
        );
    }
}

#[test]
fn an_answer_that_is_whole_waits_for_no_limit_and_takes_its_connection_back_only_where_the_body_ends() {
    let server = Server::start(|mut peer, number| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n");
            peer.send(if number == 0 {
                "3\r\nand\r\n"
            } else {
                "3\r\nand\r\n0\r\n\r\n"
            });
        }
    });
    let transport = transport(&server.url());
    for connections in [1, 2, 2] {
        let mut body = Ask::default().head(&transport).unwrap().body;
        let mut answer = [0; 3];
        body.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"yes");
        body.drain();
        assert_eq!(server.accepted(), connections);
    }
}

#[test]
fn a_stall_is_told_from_silence_also_after_a_reply_without_a_body() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nconten");
        peer.wait_for_close();
    });
    let transport = transport(&server.url());
    ask(&transport).unwrap();
    let limits = Limits { idle: SHORT, ..long() };
    check(&transport, limits, TimeoutKind::Idle, Phase::Written);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn the_attempt_ends_in_every_phase() {
    let soon = || Limits {
        deadline: clock::now() + SHORT,
        ..long()
    };
    let (url, _listener) = never_accepts();
    check(&transport(&url), soon(), TimeoutKind::Attempt, Phase::NotWritten);
    for (bytes, phase) in [
        ("", Phase::Written),
        ("HTTP/1.1 200 OK\r\n", Phase::Written),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", Phase::HeadReceived),
    ] {
        let server = falls_silent_after(bytes);
        check(&transport(&server.url()), soon(), TimeoutKind::Attempt, phase);
    }
}

#[test]
fn an_attempt_whose_time_is_over_sends_nothing() {
    let server = Server::echo();
    let transport = transport(&server.url());
    ask(&transport).unwrap();
    let over = Limits {
        deadline: clock::now(),
        ..long()
    };
    check(&transport, over, TimeoutKind::Attempt, Phase::NotWritten);
}

#[test]
fn a_drip_of_bytes_does_not_stretch_the_attempt() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        for _ in 0..10_000 {
            peer.send("x");
            thread::park_timeout(Duration::from_millis(2));
        }
    });
    let limits = Limits {
        deadline: clock::now() + SHORT,
        ..long()
    };
    check(
        &transport(&server.url()),
        limits,
        TimeoutKind::Attempt,
        Phase::HeadReceived,
    );
}

/// A server whose whole reply, more than the client's buffer holds, is there once its head is.
fn answers_at_once(status: &'static str) -> (Server, String) {
    let body = "x".repeat(40_000);
    let reply = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = Server::start(move |mut peer, _| {
        while peer.request().is_some() {
            peer.send(&reply);
        }
    });
    (server, body)
}

#[test]
fn what_has_come_is_read_however_late_it_is() {
    for status in ["200 OK", "400 Bad Request"] {
        let (server, body) = answers_at_once(status);
        let transport = transport(&server.url());
        let silence = || Limits {
            idle: Duration::ZERO,
            ..long()
        };
        let attempt = || Limits {
            deadline: clock::now() + SHORT,
            ..long()
        };
        for (limits, looks_again) in [(attempt(), clock::now() + SHORT), (silence(), clock::now())] {
            let call = Ask {
                limits,
                ..Ask::default()
            };
            let mut reply = call.head(&transport).unwrap();
            // As where the process was stopped: the time is over when it looks again.
            while clock::now() < looks_again {
                thread::yield_now();
            }
            assert_eq!(reply.read_to_vec(MAX_BODY).unwrap(), body.as_bytes(), "{status}");
        }
        assert_eq!(server.accepted(), 1);
    }
}

#[test]
fn a_flood_of_bytes_does_not_stretch_the_attempt() {
    let server = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        while peer.try_send([b'x'; 65_536]).is_some() {}
    });
    let limits = Limits {
        deadline: clock::now() + SHORT,
        ..long()
    };
    let mut reply = Ask {
        limits,
        ..Ask::default()
    }
    .head(&transport(&server.url()))
    .unwrap();
    let error = std::io::copy(&mut reply.body, &mut std::io::sink()).unwrap_err();
    assert_eq!(Body::fault(&error).kind, FaultKind::Timeout(TimeoutKind::Attempt));
}

#[test]
fn limits_are_the_calls_own_also_on_a_shared_connection() {
    let server = Server::start(|mut peer, _| {
        while let Some(request) = peer.request() {
            if request.body == b"answer" {
                peer.ok("ok");
            }
        }
    });
    let transport = transport(&server.url());
    let answered = |limits| Ask {
        body: b"answer".to_vec(),
        limits,
        ..Ask::default()
    };
    let short = Limits {
        first_byte: SHORT,
        ..long()
    };
    answered(short).whole(&transport).unwrap();
    answered(long()).whole(&transport).unwrap();
    check(&transport, short, TimeoutKind::FirstByte, Phase::Written);
    assert_eq!(server.accepted(), 1);
}
