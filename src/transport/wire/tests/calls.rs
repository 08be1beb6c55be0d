//! What goes over the wire, and which connection it takes.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use parking_lot::Mutex;

use super::server::{Request, Server, closed_port};
use super::*;
use crate::transport::wire::headers::AGENT_NAME;

/// A server that answers 200 and hands out what it was asked.
fn journal() -> (Server, mpsc::Receiver<Request>) {
    let (sender, requests) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut peer, _| {
        while let Some(request) = peer.request() {
            let _ = sender.lock().send(request);
            peer.ok("{}");
        }
    });
    (server, requests)
}

#[test]
fn a_request_carries_path_headers_and_body() {
    let (server, requests) = journal();
    let mut spec = endpoint(&server.url());
    spec.url = Target::new(Kind::Azure, &server.url(), "my gpt", "2024-10-21").unwrap();
    spec.headers.insert("x-team", "search").unwrap();
    let transport = UreqTransport::new(vec![spec], &direct()).unwrap();
    let mut call = Ask {
        body: br#"{"messages":[]}"#.to_vec(),
        ..Ask::default()
    };
    call.headers.insert("x-ms-client-request-id", "7").unwrap();
    call.headers.insert("api-key", "another").unwrap();
    call.whole(&transport).unwrap();

    let seen = requests.recv().unwrap();
    let line = "POST /openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21 HTTP/1.1";
    assert_eq!(seen.head.lines().next(), Some(line));
    assert_eq!(seen.body, br#"{"messages":[]}"#);
    for (name, wanted) in [
        ("host", &*format!("127.0.0.1:{}", server.port())),
        ("api-key", "canary-key"),
        ("content-type", "application/json"),
        ("content-length", "15"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("user-agent", AGENT_NAME),
        ("x-team", "search"),
        ("x-ms-client-request-id", "7"),
    ] {
        assert_eq!(seen.header(name), [wanted], "{name}");
    }
    assert_eq!(AGENT_NAME, "azure-openai-blaster/0.1.0");
    assert!(seen.header("authorization").is_empty());
    assert!(seen.header("cookie").is_empty());
}

#[test]
fn get_and_delete_have_no_body() {
    let (server, requests) = journal();
    let transport = transport(&server.url());
    for (method, word) in [(Method::Get, "GET"), (Method::Delete, "DELETE")] {
        let call = Ask {
            method,
            operation: Operation::other("models").unwrap(),
            ..Ask::default()
        };
        call.whole(&transport).unwrap();
        let seen = requests.recv().unwrap();
        assert_eq!(seen.head.lines().next(), Some(&*format!("{word} /models HTTP/1.1")));
        assert!(seen.header("content-type").is_empty());
        assert!(matches!(seen.header("content-length")[..], [] | ["0"]));
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_small_request_is_one_packet() {
    let server = Server::start_raw(|stream, _| {
        let mut packet = [0; 4096];
        while let Ok(amount @ 1..) = (&stream).read(&mut packet) {
            let whole = packet[..amount].ends_with(b"\r\n\r\n{}");
            let reply: &[u8] = match whole {
                true => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole",
                false => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\npiece",
            };
            (&stream).write_all(reply).unwrap();
        }
    });
    let transport = transport(&server.url());
    // Two packets may be read at once by chance, but not again and again.
    for _ in 0..50 {
        assert_eq!(ask(&transport).unwrap().1, "whole");
    }
}

#[test]
fn bodies_of_every_size_arrive() {
    let server = Server::echo();
    let transport = transport(&server.url());
    let buffer = super::super::BUFFER_SIZE;
    for size in [
        0,
        1,
        buffer / 4,
        buffer / 2,
        buffer - 300,
        buffer - 1,
        buffer,
        buffer + 1,
        3 * buffer,
        5_000_000,
    ] {
        let call = Ask {
            body: (0..size).map(|i| b'a' + (i % 23) as u8).collect(),
            ..Ask::default()
        };
        let (status, body) = call.whole(&transport).unwrap();
        assert_eq!((status, body.as_bytes() == call.body), (200, true), "{size} bytes");
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_long_head_arrives() {
    let (server, requests) = journal();
    let transport = transport(&server.url());
    let mut call = Ask::default();
    // Several lines that together need more than the buffer, each less than three quarters of it.
    for index in 0..6 {
        call.headers.insert(&format!("x-{index}"), &"v".repeat(7_000)).unwrap();
    }
    call.headers.insert("x-long", &"v".repeat(12_000)).unwrap();
    call.whole(&transport).unwrap();
    let seen = requests.recv().unwrap();
    assert_eq!(seen.header("x-long")[0].len(), 12_000);
    assert_eq!(seen.header("x-5")[0].len(), 7_000);
    assert_eq!(seen.body, b"{}");
}

#[test]
fn one_connection_serves_one_call_after_another() {
    let server = Server::echo();
    let transport = transport(&server.url());
    for _ in 0..5 {
        ask(&transport).unwrap();
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_body_that_is_not_read_to_its_end_costs_its_connection() {
    let server = Server::echo();
    let transport = transport(&server.url());
    drop(Ask::default().head(&transport).unwrap());
    ask(&transport).unwrap();
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_fresh_connection_is_none_of_the_pools() {
    let server = Server::echo();
    let transport = transport(&server.url());
    ask(&transport).unwrap();
    let fresh = Ask {
        fresh: true,
        ..Ask::default()
    };
    fresh.whole(&transport).unwrap();
    assert_eq!(server.accepted(), 2);
    ask(&transport).unwrap();
    assert_eq!(server.accepted(), 2, "the pooled connection was lost");
}

#[test]
fn as_many_connections_lie_idle_as_are_allowed() {
    let check = |max_connections, at_once: usize, reused| {
        let server = Server::echo();
        let mut spec = endpoint(&server.url());
        spec.max_connections = max_connections;
        let transport = UreqTransport::new(vec![spec], &direct()).unwrap();
        for _ in 0..2 {
            let replies: Vec<Reply> = (0..at_once).map(|_| Ask::default().head(&transport).unwrap()).collect();
            for mut reply in replies {
                reply.read_to_vec(MAX_BODY).unwrap();
            }
        }
        assert_eq!(server.accepted(), 2 * at_once - reused, "{max_connections} allowed");
    };
    check(0, 3, 0);
    check(1, 3, 1);
    check(20, 20, 20);
}

#[test]
fn a_redirect_is_not_followed_and_the_key_stays() {
    let other = Server::echo();
    let location = other.url();
    let server = Server::start(move |mut peer, _| {
        while peer.request().is_some() {
            peer.send(format!(
                "HTTP/1.1 307 Moved\r\nlocation: {location}/x\r\ncontent-length: 4\r\n\r\nmove"
            ));
        }
    });
    let transport = transport(&server.url());
    for _ in 0..2 {
        assert_eq!(ask(&transport).unwrap(), (307, "move".into()));
    }
    assert_eq!((other.accepted(), server.accepted()), (0, 1));
}

#[test]
fn every_status_with_a_head_is_a_reply() {
    for status in [200, 204, 304, 400, 401, 404, 429, 500, 503, 599] {
        let server = Server::start(move |mut peer, _| {
            while peer.request().is_some() {
                let length = if matches!(status, 204 | 304) {
                    ""
                } else {
                    "content-length: 0\r\n"
                };
                peer.send(format!("HTTP/1.1 {status} X\r\n{length}retry-after: 3\r\n\r\n"));
            }
        });
        let transport = transport(&server.url());
        let reply = Ask::default().head(&transport).unwrap();
        assert_eq!((reply.status, reply.headers.get("retry-after")), (status, Some("3")));
        drop(reply);
        assert_eq!(ask(&transport).unwrap(), (status, String::new()));
    }
}

#[test]
fn bodies_are_chunked_compressed_or_end_with_the_connection() {
    let check = |reply: Vec<u8>, keeps: bool| {
        let server = Server::start(move |mut peer, _| {
            while peer.request().is_some() {
                peer.send(&reply);
                if !keeps {
                    break;
                }
            }
        });
        let transport = transport(&server.url());
        assert_eq!(ask(&transport).unwrap(), (200, "hello you".into()));
        assert_eq!(ask(&transport).unwrap(), (200, "hello you".into()));
        assert_eq!(server.accepted(), if keeps { 1 } else { 2 });
    };
    let head = "HTTP/1.1 200 OK\r\n";
    let chunks = "transfer-encoding: chunked\r\n\r\n6\r\nhello \r\n3\r\nyou\r\n0\r\n\r\n";
    check(format!("{head}{chunks}").into(), true);
    check(format!("{head}\r\nhello you").into(), false);
    check(
        format!("{head}connection: close\r\ncontent-length: 9\r\n\r\nhello you").into(),
        false,
    );
    let packed = gzip(b"hello you");
    let mut reply = format!(
        "{head}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    reply.extend_from_slice(&packed);
    check(reply, true);
    let mut reply = format!("{head}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for half in packed.chunks(20) {
        reply.extend_from_slice(format!("{:x}\r\n", half.len()).as_bytes());
        reply.extend_from_slice(half);
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    check(reply, true);
}

#[test]
fn replies_in_forms_that_the_client_does_not_know_are_read_and_cost_no_connection() {
    let body = "content-length: 9\r\n\r\nhello you";
    let packed = gzip(b"hello you");
    let mut replies: Vec<Vec<u8>> = vec![
        format!("HTTP/1.1 100 Continue\r\nvia: a\r\nserver: b\r\n\r\nHTTP/1.1 200 OK\r\n{body}").into(),
        format!("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{body}")
            .into(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
          000000000000000000000000000000006;signature=0123456789abcdef0123456789abcdef\r\nhello \r\n\
          3                                \r\nyou\r\n0;last\r\nx-trailer: 1\r\n\r\n"
            .to_vec(),
        format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n{body}", "v".repeat(20_000)).into(),
        format!("HTTP/1.1 200 OK\r\n{}{body}", "x-many: 1\r\n".repeat(2_000)).into(),
    ];
    for coding in ["GZIP", "x-gzip"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            packed.len()
        );
        replies.push([head.as_bytes(), &packed].concat());
    }
    for reply in replies {
        // In one piece, in small ones, and behind a whole one.
        for piece in [usize::MAX, 7, 1000] {
            let said = String::from_utf8_lossy(&reply[..60.min(reply.len())]).into_owned();
            let reply = reply.clone();
            let server = Server::start(move |mut peer, _| {
                while peer.request().is_some() {
                    for piece in reply.chunks(piece.min(reply.len()).max(reply.len() / 500)) {
                        peer.send(piece);
                    }
                }
            });
            let transport = transport(&server.url());
            for _ in 0..3 {
                assert_eq!(ask(&transport).unwrap(), (200, "hello you".into()), "{said} in {piece}");
            }
            assert_eq!(server.accepted(), 1, "{said} in {piece}");
        }
    }
}

#[test]
fn a_refusal_with_a_large_head_is_a_refusal_and_all_of_its_headers_are_kept() {
    let lines: String = (0..300)
        .map(|number| format!("x-{number}: {}\r\n", "v".repeat(60)))
        .collect();
    let server = Server::start(move |mut peer, _| {
        while peer.request().is_some() {
            peer.send(format!(
                "HTTP/1.1 429 Too Many\r\n{lines}retry-after: 7\r\ncontent-length: 2\r\n\r\nno"
            ));
        }
    });
    let transport = transport(&server.url());
    for _ in 0..2 {
        let mut reply = Ask::default().head(&transport).unwrap();
        assert_eq!(
            (reply.status, reply.headers.get("retry-after"), reply.headers.len()),
            (429, Some("7"), 302)
        );
        assert_eq!(reply.headers.get("x-299").map(str::len), Some(60));
        assert_eq!(reply.read_to_vec(10).unwrap(), b"no");
        drop(reply);
    }
    assert_eq!(server.accepted(), 1);
}

/// `plain` as gzip without compression (RFC 1952, one stored block of RFC 1951).
pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let crc = !plain.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    });
    let length = u16::try_from(plain.len()).unwrap();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(plain);
    packed.extend(crc.to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

#[test]
fn loopback_is_never_reached_through_a_proxy() {
    let server = Server::echo();
    let settings = WireSettings {
        proxy: Some(format!("http://127.0.0.1:{}", closed_port())),
        ..WireSettings::default()
    };
    for host in ["127.0.0.1", "localhost"] {
        let base = format!("http://{host}:{}", server.port());
        let transport = UreqTransport::new(vec![endpoint(&base)], &settings).unwrap();
        assert_eq!(ask(&transport).unwrap().0, 200, "{host}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_at_the_start() {
    let check = |change: fn(&mut EndpointWire), hint: &str| {
        let mut spec = endpoint("http://127.0.0.1:1");
        change(&mut spec);
        let message = UreqTransport::new(vec![spec], &direct()).unwrap_err().to_string();
        assert!(message.contains(hint) && message.contains("east"), "{message}");
        assert!(!message.contains("canary"), "{message}");
    };
    check(|spec| spec.auth = Auth::Key("canary\n".into()), "key");
    check(
        |spec| spec.headers.insert("content-length", "canary").unwrap(),
        "content-length",
    );
    check(|spec| spec.headers.insert("api-key", "canary").unwrap(), "api-key");

    for proxy in [
        "socks5://user:canary@h",
        "ftp://user:canary@h",
        "http://",
        "http://us er:canary@h",
    ] {
        let settings = WireSettings {
            proxy: Some(proxy.to_owned()),
            ..WireSettings::default()
        };
        let message = UreqTransport::new(Vec::new(), &settings).unwrap_err().to_string();
        assert!(message.contains("http://proxy.example:8080"), "{proxy}: {message}");
        assert!(!format!("{message}{settings:?}").contains("canary"), "{message}");
    }
}
