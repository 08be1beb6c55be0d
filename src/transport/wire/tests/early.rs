//! Replies that come before the request is written.

use std::sync::mpsc;

use parking_lot::Mutex;

use super::leftovers::{Hand, Service, asks, reply};
use super::*;
use crate::error::fault::{FaultKind, Phase};

/// More than the buffers of two sockets hold.
fn large() -> Ask {
    Ask {
        body: vec![b'x'; 30_000_000],
        ..Ask::default()
    }
}

/// Serves nothing more, until the test is over.
fn hold(hold: &Mutex<mpsc::Receiver<()>>) {
    let _ = hold.lock().recv();
}

#[test]
fn a_refusal_of_a_large_request_is_heard_at_once_though_the_peer_reads_no_more() {
    for over_tls in [false, true] {
        for (status, before, piece) in [
            ("413 Payload Too Large", "", usize::MAX),
            ("429 Too Many Requests", "", usize::MAX),
            ("413 Payload Too Large", "", 1),
            ("413 Payload Too Large", "HTTP/1.1 100 Continue\r\n\r\n", 9),
            ("429 Too Many Requests", "HTTP/1.1 100 Continue\r\n\r\n", usize::MAX),
        ] {
            let (release, held) = mpsc::channel();
            let held = Mutex::new(held);
            let service = Service::start(over_tls, move |mut hand: Hand| {
                hand.requests.head().unwrap();
                let refusal = format!("{before}HTTP/1.1 {status}\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nmuch");
                for piece in refusal.as_bytes().chunks(piece.min(refusal.len())) {
                    hand.send(&[piece]);
                }
                hold(&held);
            });
            let transport = service.transport();
            let mut reply = large().head(&transport).unwrap();
            assert_eq!(reply.status.to_string(), status[..3], "over TLS: {over_tls}");
            assert_eq!(reply.headers.get("retry-after"), Some("7"));
            assert_eq!(reply.read_to_vec(MAX_BODY).unwrap(), b"much");
            drop(release);
        }
    }
}

#[test]
fn the_connection_of_an_early_reply_is_not_used_again() {
    for over_tls in [false, true] {
        let service = Service::start(over_tls, |mut hand| {
            while let Some(request) = hand.requests.head() {
                let early = request.header("content-length") == ["30000000"];
                if early {
                    hand.send(&[&reply("early", 300)]);
                }
                // It reads the body all the same.
                let length: usize = request.header("content-length")[0].parse().unwrap();
                if hand.requests.skip(length).is_none() {
                    return;
                }
                if !early {
                    hand.send(&[&reply("later", 300)]);
                }
            }
        });
        let transport = service.transport();
        let (status, body) = large().whole(&transport).unwrap();
        assert_eq!(
            (status, body.trim_end_matches('-')),
            (200, "early"),
            "over TLS: {over_tls}"
        );
        assert_eq!(asks(&transport, "x").unwrap().trim_end_matches('-'), "later");
        assert_eq!(service.accepted(), 2);
    }
}

#[test]
fn what_comes_before_the_request_is_written_is_no_reply_to_it_where_others_went_before() {
    for over_tls in [false, true] {
        let service = Service::start(over_tls, |mut hand| {
            hand.asked().unwrap();
            hand.send(&[&reply("first", 300)]);
            let request = hand.requests.head().unwrap();
            // The second answer to the first request, while the next one is under way.
            hand.send(&[&reply("stray", 300)]);
            let length: usize = request.header("content-length")[0].parse().unwrap();
            if hand.requests.skip(length).is_some() {
                hand.send(&[&reply("second", 300)]);
            }
        });
        let transport = service.transport();
        assert_eq!(asks(&transport, "x").unwrap().trim_end_matches('-'), "first");
        let fault = large().whole(&transport).unwrap_err();
        assert_eq!((fault.kind, fault.phase), (FaultKind::Stale, Phase::Written), "{fault}");
    }
}

/// The bytes that begin a record look like nothing: nobody can read them yet.
#[test]
fn a_part_of_a_record_that_comes_while_a_request_is_written_counts_as_bytes() {
    for reused in [true, false] {
        let service = Service::start(true, move |mut hand| {
            if reused {
                hand.asked().unwrap();
                hand.send(&[&reply("first", 300)]);
            }
            while let Some(request) = hand.requests.head() {
                let length: usize = request.header("content-length")[0].parse().unwrap();
                let rest = (length > 100).then(|| hand.send_part(&reply("stray", 300), 3));
                if hand.requests.skip(length).is_none() {
                    return;
                }
                match rest {
                    Some(rest) => hand.send_sealed(&rest),
                    None => hand.send(&[&reply("later", 300)]),
                }
            }
        });
        let transport = service.transport();
        if reused {
            assert_eq!(asks(&transport, "x").unwrap().trim_end_matches('-'), "first");
            let fault = large().whole(&transport).unwrap_err();
            assert_eq!((fault.kind, fault.phase), (FaultKind::Stale, Phase::Written), "{fault}");
        } else {
            // Nobody else has asked on this connection.
            assert_eq!(large().whole(&transport).unwrap().1.trim_end_matches('-'), "stray");
            assert_eq!(asks(&transport, "x").unwrap().trim_end_matches('-'), "later");
            assert_eq!(service.accepted(), 2, "it is not used again");
        }
    }
}

/// Over TLS it comes together with the end of the handshake, so that it is there for certain.
#[test]
fn an_answer_to_nothing_is_nobodys() {
    for greeting in [
        reply("stray", 300),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\nother job".to_vec(),
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
    ] {
        let service = Service::start(true, move |mut hand| {
            hand.send(&[&greeting]);
            hand.asked();
        });
        let fault = Ask::default().whole(&service.transport()).unwrap_err();
        assert_eq!(
            (fault.kind, fault.phase),
            (FaultKind::Protocol, Phase::NotWritten),
            "{fault}"
        );
        assert!(fault.message.contains("before anything was asked"), "{fault}");
    }
}

#[test]
fn a_service_that_refuses_before_it_is_asked_is_heard() {
    for over_tls in [false, true] {
        let service = Service::start(over_tls, |mut hand| {
            hand.send(&[b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 4\r\n\r\nbusy"]);
            hand.asked();
        });
        let transport = service.transport();
        let call = Ask::default();
        assert_eq!(
            call.whole(&transport).unwrap(),
            (503, "busy".into()),
            "over TLS: {over_tls}"
        );
    }
}
