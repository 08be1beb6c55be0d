//! Whose reply it is, where a service sends more than it was asked for: never the next call's.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConnection};

use super::secure::{Secure, localhost};
use super::server::{Peer, Server};
use super::*;
use crate::error::fault::FaultKind;

/// What a service writes at once, by the bytes on the wire.
enum Way {
    Plain(TcpStream),
    Tls(Box<ServerConnection>, TcpStream),
}

impl Way {
    /// `plain` as it goes over the wire: over TLS one record for each 16,384 bytes of a piece.
    fn sealed(&mut self, plain: &[&[u8]]) -> Vec<u8> {
        match self {
            Way::Plain(_) => plain.concat(),
            Way::Tls(tls, _) => {
                let mut sealed = Vec::new();
                for piece in plain {
                    tls.writer().write_all(piece).unwrap();
                    while tls.wants_write() {
                        tls.write_tls(&mut sealed).unwrap();
                    }
                }
                sealed
            }
        }
    }

    /// Records that bring a TLS session tickets, and no data, for ever.
    fn flood(&mut self) -> (TcpStream, impl Iterator<Item = Vec<u8>> + use<>) {
        let (Way::Plain(stream) | Way::Tls(_, stream)) = self;
        let stream = stream.try_clone().unwrap();
        let plain = Way::Plain(stream.try_clone().unwrap());
        let Way::Tls(tls, _) = std::mem::replace(self, plain) else {
            panic!("there are no records")
        };
        let suite = tls.negotiated_cipher_suite().unwrap().tls13().unwrap();
        let (mut sequence, keys) = tls.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = keys
        else {
            panic!("another cipher")
        };
        let mut encrypter = suite.aead_alg.encrypter(key, iv);
        let ticket = [4, 0, 0, 15, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 1, 7, 0, 0];
        let tickets = ticket.repeat(400);
        let flood = std::iter::repeat_with(move || {
            let mut records = Vec::new();
            for (typ, payload) in [(ContentType::Handshake, &*tickets), (ContentType::ApplicationData, &[])] {
                let message = OutboundPlainMessage {
                    typ,
                    version: ProtocolVersion::TLSv1_2,
                    payload: OutboundChunks::Single(payload),
                };
                records.extend(encrypter.encrypt(message, sequence).unwrap().encode());
                sequence += 1;
            }
            records
        });
        (stream, flood)
    }

    fn send(&mut self, wire: &[u8]) {
        let (Way::Plain(stream) | Way::Tls(_, stream)) = self;
        let _ = stream.write_all(wire);
    }
}

impl Read for Way {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Way::Plain(stream) => stream.read(buf),
            Way::Tls(tls, stream) => rustls::Stream::new(&mut **tls, stream).read(buf),
        }
    }
}

/// A service over TCP or TLS that is at `serve`'s hands.
pub(super) enum Service {
    Plain(Server),
    Tls(Secure),
}

impl Service {
    pub(super) fn start(over_tls: bool, serve: impl Fn(Hand) + Send + Sync + 'static) -> Service {
        match over_tls {
            false => Service::Plain(Server::start_raw(move |stream, _| serve(Hand::new(Way::Plain(stream))))),
            true => Service::Tls(Secure::start_raw(localhost(), move |tls, stream, _| {
                serve(Hand::new(Way::Tls(Box::new(tls), stream)));
            })),
        }
    }

    pub(super) fn transport(&self) -> UreqTransport {
        match self {
            Service::Plain(server) => transport(&server.url()),
            Service::Tls(secure) => secure.transport("127.0.0.1", true),
        }
    }

    pub(super) fn accepted(&self) -> usize {
        match self {
            Service::Plain(server) => server.accepted(),
            Service::Tls(secure) => secure.server.accepted(),
        }
    }
}

/// One connection of a service, of which the test writes every byte.
pub(super) struct Hand {
    way: Arc<Mutex<Way>>,
    pub(super) requests: Peer,
}

/// The reading side of a [`Way`].
struct Shared(Arc<Mutex<Way>>);

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read(buf)
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Hand {
    fn new(way: Way) -> Hand {
        let way = Arc::new(Mutex::new(way));
        let requests = Peer::new(Shared(Arc::clone(&way)));
        Hand { way, requests }
    }

    /// The body of the next request.
    pub(super) fn asked(&mut self) -> Option<String> {
        let request = self.requests.request()?;
        Some(String::from_utf8(request.body).unwrap())
    }

    /// Sends these in one write, over TLS a record for each.
    pub(super) fn send(&self, plain: &[&[u8]]) {
        let mut way = self.way.lock();
        let wire = way.sealed(plain);
        way.send(&wire);
    }
}

impl Hand {
    /// Sends the first bytes of the record that `plain` is sealed in; gives the rest of it.
    pub(super) fn send_part(&self, plain: &[u8], first: usize) -> Vec<u8> {
        let mut way = self.way.lock();
        let mut wire = way.sealed(&[plain]);
        let rest = wire.split_off(first);
        way.send(&wire);
        rest
    }

    /// Sends what is sealed already.
    pub(super) fn send_sealed(&self, wire: &[u8]) {
        self.way.lock().send(wire);
    }
}

/// A whole reply of `size` bytes, head and all, that begins with `who`.
pub(super) fn reply(who: &str, size: usize) -> Vec<u8> {
    let length = size - format!("HTTP/1.1 200 OK\r\ncontent-length: {size:05}\r\n\r\n").len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length:05}\r\n\r\n{who:-<length$}").into_bytes()
}

pub(super) fn asks(transport: &UreqTransport, who: &str) -> Result<String, Fault> {
    let call = Ask {
        body: who.as_bytes().to_vec(),
        ..Ask::default()
    };
    call.whole(transport).map(|(_, body)| body)
}

/// Calls one after the other, each answered by `answer`, in one write: so it is all there once some of it is.
fn each_gets_its_own(over_tls: bool, reused: bool, answer: impl Fn(&Hand, &str) + Send + Sync + 'static) {
    let service = Service::start(over_tls, move |mut hand| {
        while let Some(who) = hand.asked() {
            answer(&hand, &who);
        }
    });
    for round in 0..5 {
        // It has not learnt yet what kind of service this is.
        let transport = service.transport();
        for turn in 0..3 {
            let who = format!("call {round}.{turn}");
            let got = asks(&transport, &who).unwrap();
            assert_eq!(got.trim_end_matches('-'), who, "over TLS: {over_tls}");
        }
    }
    let connections = if reused { 5 } else { 15 };
    assert_eq!(service.accepted(), connections, "over TLS: {over_tls}");
}

#[test]
fn an_answer_that_is_given_twice_in_two_records_at_once_is_never_the_next_calls() {
    // The first record fills the client's buffer to the byte: the second lies decrypted, or not, where no socket shows it.
    for size in [16_384, 16_383, 16_385, 600, 30_000] {
        for again in [size, 100, 300, 4_000] {
            for over_tls in [false, true] {
                each_gets_its_own(over_tls, false, move |hand, who| {
                    hand.send(&[&reply(who, size), &reply(who, again)]);
                });
            }
        }
    }
}

#[test]
fn whatever_follows_a_reply_costs_its_connection_and_nobodys_answer() {
    let stray = reply("stray", 200);
    let rests: [&[u8]; 6] = [
        &stray,
        &stray[..1],
        b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n",
        &[0; 40_000],
    ];
    for over_tls in [false, true] {
        for rest in rests {
            let rest = rest.to_vec();
            each_gets_its_own(over_tls, false, move |hand, who| hand.send(&[&reply(who, 300), &rest]));
        }
    }
}

#[test]
fn a_body_may_not_be_longer_than_its_head_says() {
    let stray = reply("stray", 200);
    let heads: [(&[u8], &[u8]); 4] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: ", b""),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"\r\n0\r\n\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"\r\n0\r\nx-trailer: 1\r\n\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
            b"\r\n0\r\n\r\n",
        ),
    ];
    for over_tls in [false, true] {
        for (head, end) in heads {
            let stray = stray.clone();
            each_gets_its_own(over_tls, false, move |hand, who| {
                let length = match end {
                    b"" => format!("{}\r\n\r\n", who.len()),
                    _ => format!("{:x}\r\n", who.len()),
                };
                hand.send(&[&[head, length.as_bytes(), who.as_bytes(), end, &stray].concat()]);
            });
        }
    }
}

#[test]
fn a_reply_without_a_body_may_not_bring_one() {
    for over_tls in [false, true] {
        for status in ["204 No Content", "304 Not Modified"] {
            let service = Service::start(over_tls, move |mut hand| {
                while let Some(who) = hand.asked() {
                    match &*who {
                        "empty" => {
                            let stray = reply("stray", 200);
                            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", stray.len());
                            hand.send(&[head.as_bytes(), &stray]);
                        }
                        who => hand.send(&[&reply(who, 100)]),
                    }
                }
            });
            for who in ["first", "second"] {
                let transport = service.transport();
                assert_eq!(asks(&transport, "empty").unwrap(), "");
                let got = asks(&transport, who).unwrap();
                assert_eq!(got.trim_end_matches('-'), who, "{status}, over TLS: {over_tls}");
            }
            assert_eq!(service.accepted(), 4);
        }
    }
}

#[test]
fn a_part_of_a_record_is_seen_before_the_next_request_goes_out() {
    let service = Service::start(true, move |mut hand| {
        let mut rest = Vec::new();
        while let Some(who) = hand.asked() {
            // What was kept back of the stray record completes it now, as the reply to this request.
            let mut way = hand.way.lock();
            way.send(&rest);
            let mut wire = way.sealed(&[&reply(&who, 300)]);
            let stray = way.sealed(&[&reply("stray", 300)]);
            let cut = [1, 4, 5, 6, 100][who.len() % 5];
            wire.extend_from_slice(&stray[..cut]);
            way.send(&wire);
            rest = stray[cut..].to_vec();
        }
    });
    for call in 0..10 {
        let transport = service.transport();
        let who = "x".repeat(call + 1);
        assert_eq!(asks(&transport, &who).unwrap().trim_end_matches('-'), who);
        assert_eq!(asks(&transport, "next").unwrap().trim_end_matches('-'), "next");
    }
    assert_eq!(service.accepted(), 20);
}

#[test]
fn half_a_record_that_comes_while_a_connection_lies_idle_costs_the_connection() {
    for cut in [1, 4, 5, 6, 150] {
        let (has_answer, waits_for_answer) = std::sync::mpsc::channel::<()>();
        let (is_sent, waits_for_record) = std::sync::mpsc::channel::<()>();
        let waits_for_answer = Mutex::new(waits_for_answer);
        let service = Service::start(true, move |mut hand| {
            let who = hand.asked().unwrap();
            hand.send(&[&reply(&who, 300)]);
            if who == "first" {
                waits_for_answer.lock().recv().unwrap();
                let mut way = hand.way.lock();
                let stray = way.sealed(&[&reply("stray", 300)]);
                // At once, and not when the reply before is confirmed, which the next request does.
                let (Way::Plain(stream) | Way::Tls(_, stream)) = &*way;
                stream.set_nodelay(true).unwrap();
                way.send(&stray[..cut]);
                is_sent.send(()).unwrap();
                drop(way);
                // On this one nobody asks any more; who does gets the rest of the stray.
                if hand.asked().is_some() {
                    hand.way.lock().send(&stray[cut..]);
                }
            }
        });
        let transport = service.transport();
        assert_eq!(asks(&transport, "first").unwrap().trim_end_matches('-'), "first");
        has_answer.send(()).unwrap();
        waits_for_record.recv().unwrap();
        assert_eq!(
            asks(&transport, "second").unwrap().trim_end_matches('-'),
            "second",
            "{cut}"
        );
        assert_eq!(service.accepted(), 2, "{cut} bytes of a record");
    }
}

#[test]
fn a_service_that_says_more_than_it_is_asked_is_given_a_connection_for_each_request() {
    for over_tls in [false, true] {
        for (rest, connections) in [
            (reply("stray", 200), 5),
            (b"x".to_vec(), 5),
            (b"HTTP/1.1 408 Request Timeout\r\n\r\n".to_vec(), 2),
        ] {
            let service = Service::start(over_tls, move |mut hand| {
                while let Some(who) = hand.asked() {
                    match &*who {
                        // Over TLS the rest comes by itself, or in the record of the reply.
                        "first" if rest.len() > 1 => hand.send(&[&reply(&who, 16_384), &rest]),
                        "first" => hand.send(&[&[&reply(&who, 300), &rest[..]].concat()]),
                        _ => hand.send(&[&reply(&who, 300)]),
                    }
                }
            });
            let transport = service.transport();
            for who in ["first", "second", "third", "fourth", "fifth"] {
                assert_eq!(asks(&transport, who).unwrap().trim_end_matches('-'), who);
            }
            assert_eq!(service.accepted(), connections, "over TLS: {over_tls}");
        }
    }
}

#[test]
fn a_reply_that_does_not_say_for_certain_where_it_ends_costs_its_connection() {
    // What may still come of it would be the next reply.
    for over_tls in [false, true] {
        for head in [
            "204 No Content\r\ncontent-length: 190",
            "304 Not Modified\r\ntransfer-encoding: chunked",
            "200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 0",
            "200 OK\r\ntransfer-encoding: xchunked\r\ncontent-length: 0",
        ] {
            let service = Service::start(over_tls, move |mut hand| {
                while let Some(who) = hand.asked() {
                    match &*who {
                        "odd" => hand.send(&[format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()]),
                        who => hand.send(&[&reply(who, 100)]),
                    }
                }
            });
            let transport = service.transport();
            for who in ["first", "odd", "second", "third"] {
                let got = asks(&transport, who).unwrap();
                assert_eq!(got.trim_end_matches('-'), if who == "odd" { "" } else { who }, "{head}");
            }
            assert_eq!(service.accepted(), 2, "{head}, over TLS: {over_tls}");
        }
    }
}

/// Records that a TLS session takes for itself, and that never end.
#[test]
fn a_flood_of_records_without_data_ends_with_the_attempt() {
    let left = Arc::new(AtomicBool::new(false));
    let has_left = Arc::clone(&left);
    let service = Service::start(true, move |mut hand| {
        hand.requests.head().unwrap();
        let (mut stream, flood) = hand.way.lock().flood();
        // More than an attempt's time of it, unless the client leaves before.
        for records in flood.take(20_000) {
            if stream.write_all(&records).is_err() {
                has_left.store(true, Ordering::SeqCst);
                return;
            }
        }
    });
    let mut limits = long();
    limits.deadline = clock::now() + SHORT;
    let call = Ask {
        limits,
        ..Ask::default()
    };
    let fault = call.whole(&service.transport()).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Timeout(_)), "{fault}");
    while Arc::strong_count(&left) > 1 && !left.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    assert!(left.load(Ordering::SeqCst), "it was listened to until it had said all");
}

#[test]
fn what_a_tls_session_says_for_itself_costs_no_connection() {
    each_gets_its_own(true, true, |hand, who| {
        let mut way = hand.way.lock();
        let mut wire = way.sealed(&[&reply(who, 300)]);
        let Way::Tls(tls, _) = &mut *way else { unreachable!() };
        // A key update has no answer in it.
        tls.refresh_traffic_keys().unwrap();
        wire.extend(way.sealed(&[b""]));
        way.send(&wire);
    });
}
