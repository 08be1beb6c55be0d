//! What each thing that breaks is called.

use std::cell::RefCell;
use std::io::Read;
use std::net::Shutdown;
use std::sync::mpsc;

use parking_lot::Mutex;

use super::server::{Peer, Server, closed_port};
use super::*;
use crate::error::fault::{FaultKind, Phase};

fn check(result: Result<(u16, String), Fault>, kind: FaultKind, phase: Phase) -> Fault {
    let fault = result.unwrap_err();
    assert_eq!((fault.kind, fault.phase), (kind, phase), "{fault}");
    assert!(!format!("{fault}{fault:?}").contains("canary"), "{fault:?}");
    fault
}

/// What a call meets at a server that answers with these bytes and closes.
fn answered(reply: impl Into<Vec<u8>>) -> Result<(u16, String), Fault> {
    let reply = reply.into();
    let server = Server::start(move |mut peer, _| {
        peer.request().unwrap();
        peer.send(&reply);
    });
    ask(&transport(&server.url()))
}

#[test]
fn nobody_listens() {
    let port = closed_port();
    let fault = check(
        ask(&transport(&format!("http://127.0.0.1:{port}"))),
        FaultKind::Refused,
        Phase::NotWritten,
    );
    assert!(fault.message.contains(&format!("127.0.0.1:{port}")), "{fault}");
}

#[test]
fn a_name_that_does_not_exist() {
    let fault = check(
        ask(&transport("http://blaster.invalid")),
        FaultKind::Dns,
        Phase::NotWritten,
    );
    assert!(fault.message.contains("blaster.invalid"), "{fault}");
}

#[test]
fn an_endpoint_that_does_not_exist() {
    let transport = UreqTransport::new(Vec::new(), &direct()).unwrap();
    check(ask(&transport), FaultKind::Connect, Phase::NotWritten);
}

#[test]
fn the_connection_closes_before_the_reply() {
    check(answered(""), FaultKind::Closed, Phase::Written);
    check(
        answered("HTTP/1.1 200 OK\r\ncontent-le"),
        FaultKind::Closed,
        Phase::Written,
    );
}

#[test]
fn the_connection_closes_within_the_body() {
    for reply in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        check(answered(reply), FaultKind::Closed, Phase::HeadReceived);
    }
    let packed = super::calls::gzip(b"hello");
    for cut in [5, packed.len() - 12, packed.len() - 1] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {cut}\r\n\r\n");
        let reply = [head.as_bytes(), &packed[..cut]].concat();
        check(answered(reply), FaultKind::Closed, Phase::HeadReceived);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            packed.len()
        );
        let reply = [head.as_bytes(), &packed[..cut]].concat();
        check(answered(reply), FaultKind::Closed, Phase::HeadReceived);
    }
}

#[test]
fn a_reset_is_not_the_end_of_a_body_without_a_length() {
    let server = Server::start_raw(|stream, _| {
        // The unread rest of the request turns the close into a reset.
        let mut first = [0; 1];
        (&stream).read_exact(&mut first).unwrap();
        Peer::new(stream).send("HTTP/1.1 200 OK\r\n\r\nhel");
    });
    check(ask(&transport(&server.url())), FaultKind::Closed, Phase::HeadReceived);
}

#[test]
fn what_comes_back_is_not_http() {
    for reply in [
        &b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..],
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        check(answered(reply), FaultKind::Protocol, Phase::Written);
    }
    for reply in [
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n0123456789",
    ] {
        check(answered(reply), FaultKind::Protocol, Phase::HeadReceived);
    }
}

#[test]
fn a_head_larger_than_any_that_is_taken() {
    let most = super::super::incoming::MOST_HEAD;
    let reply = |size| {
        format!(
            "HTTP/1.1 200 OK\r\nx-a: {}\r\ncontent-length: 0\r\n\r\n",
            "v".repeat(size)
        )
    };
    check(answered(reply(most)), FaultKind::TooLarge, Phase::Written);
    check(answered(reply(10 * most)), FaultKind::TooLarge, Phase::Written);
    assert_eq!(answered(reply(most - 200)).unwrap().0, 200);
}

#[test]
fn a_reused_connection_that_closes_before_any_byte_is_stale_and_a_fresh_one_is_not() {
    let server = Server::start(|mut peer, number| {
        peer.request().unwrap();
        if number < 2 {
            peer.ok("first");
            let _ = peer.request();
        }
    });
    let transport = transport(&server.url());
    assert_eq!(ask(&transport).unwrap().1, "first");
    check(ask(&transport), FaultKind::Stale, Phase::Written);

    assert_eq!(ask(&transport).unwrap().1, "first");
    let fresh = Ask {
        fresh: true,
        ..Ask::default()
    };
    check(fresh.whole(&transport), FaultKind::Closed, Phase::Written);
}

#[test]
fn a_reused_connection_that_closes_after_the_first_byte_is_not_stale() {
    let server = Server::start(|mut peer, _| {
        peer.request().unwrap();
        peer.ok("first");
        peer.request().unwrap();
        peer.send("H");
    });
    let transport = transport(&server.url());
    ask(&transport).unwrap();
    check(ask(&transport), FaultKind::Closed, Phase::Written);
}

#[test]
fn a_connection_that_closed_or_spoke_between_calls_is_not_used_again() {
    for parting in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (closed, wait) = mpsc::channel();
        let closed = Mutex::new(closed);
        let server = Server::start_raw(move |stream, _| {
            let mut peer = Peer::new(stream.try_clone().unwrap());
            peer.request().unwrap();
            peer.ok("ok");
            peer.send(parting);
            stream.shutdown(Shutdown::Write).unwrap();
            closed.lock().send(()).unwrap();
        });
        let transport = transport(&server.url());
        for calls in 1..=3 {
            assert_eq!(ask(&transport).unwrap(), (200, "ok".into()));
            wait.recv().unwrap();
            assert_eq!(server.accepted(), calls);
        }
    }
}

#[test]
fn a_refusal_that_comes_before_the_request_is_read_is_heard() {
    let server = Server::start(|mut peer, _| {
        peer.head().unwrap();
        peer.send("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch");
        // And closes, with most of the request unread.
    });
    let transport = transport(&server.url());
    let large = Ask {
        body: vec![b'x'; 8_000_000],
        ..Ask::default()
    };
    for _ in 0..5 {
        assert_eq!(large.whole(&transport).unwrap(), (413, "much".into()));
    }
}

#[test]
fn no_secret_shows() {
    let mut spec = endpoint("http://127.0.0.1:1");
    spec.headers
        .insert("ocp-apim-subscription-key", "canary-header")
        .unwrap();
    let settings = WireSettings {
        proxy: Some("http://user:canary-password@proxy.invalid".into()),
        ..WireSettings::default()
    };
    let shown = format!("{spec:?}{settings:?}");
    let transport = UreqTransport::new(vec![spec], &settings).unwrap();
    let shown = format!("{shown}{transport:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("east"), "{shown}");
}

thread_local! {
    /// What this thread logged, once it listens.
    static LOGGED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        LOGGED.with_borrow(Option::is_some)
    }
    fn log(&self, record: &log::Record<'_>) {
        // Formatting may ask `enabled` again, so it comes first.
        let line = format!("{} {}", record.target(), record.args());
        LOGGED.with_borrow_mut(|logged| logged.as_mut().map(|lines| lines.push(line)));
    }
    fn flush(&self) {}
}

/// The client's dumps of what it reads and writes: up to 16 bytes a line, in groups of four digits.
fn dumped(lines: &[String]) -> String {
    let rows = lines.iter().filter_map(|line| line.strip_prefix("ureq_proto::util "));
    let digits: Vec<u8> = rows
        .flat_map(|row| row.bytes().take(8 * 5 - 1).filter(u8::is_ascii_hexdigit))
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    String::from_utf8_lossy(&digits.chunks(2).map(byte).collect::<Vec<_>>()).into_owned()
}

#[test]
fn no_secret_is_logged_at_any_level() {
    log::set_logger(&Keep).expect("no other unit test sets a logger");
    log::set_max_level(log::LevelFilter::Trace);
    let server = Server::echo();
    let transport = transport(&server.url());
    let mut call = Ask::default();
    call.headers.insert("ocp-apim-subscription-key", "canary-key").unwrap();
    LOGGED.set(Some(Vec::new()));
    call.whole(&transport).unwrap();
    let lines = LOGGED.take().unwrap();
    log::set_max_level(log::LevelFilter::Off);
    assert!(
        dumped(&lines).contains("user-agent: azure-openai-blaster"),
        "the client no longer dumps: {lines:#?}"
    );
    assert!(!dumped(&lines).contains("canary"), "{}", dumped(&lines));
    assert!(!lines.concat().contains("canary"), "{lines:#?}");
}
