//! A cancel in each phase, and races of many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::server::Server;
use super::*;
use crate::error::fault::{FaultKind, Phase};

/// A server that says through the channel when a request has come and when its connection has closed.
fn reports(answer: &'static str) -> (Server, mpsc::Receiver<&'static str>) {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut peer, _| {
        let tell = |event| sender.lock().send(event).unwrap_or(());
        peer.request();
        peer.send(answer);
        tell("asked");
        peer.wait_for_close();
        tell("closed");
    });
    (server, events)
}

/// Cancels `call` once `ready` returns.
fn cancelled(call: &Ask, transport: &UreqTransport, ready: impl FnOnce()) -> Fault {
    thread::scope(|scope| {
        let sent = scope.spawn(|| call.whole(transport));
        ready();
        call.gate.cancel();
        sent.join().unwrap().unwrap_err()
    })
}

#[test]
fn before_sending_nothing_is_sent() {
    let server = Server::echo();
    let call = Ask::default();
    call.gate.cancel();
    let fault = call.whole(&transport(&server.url())).unwrap_err();
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::NotWritten));
    assert_eq!(server.accepted(), 0);
}

#[test]
fn while_connecting() {
    let (url, _listener) = super::limits::never_accepts();
    // Whether the cancel comes before the connector waits or while it does is all the same to the caller.
    let fault = cancelled(&Ask::default(), &transport(&url), || thread::sleep(SHORT / 8));
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::NotWritten));
}

#[test]
fn while_shaking_hands() {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start_raw(move |mut stream, _| {
        std::io::Read::read_exact(&mut stream, &mut [0; 16]).unwrap();
        sender.lock().send(()).unwrap();
        super::server::Peer::new(stream).wait_for_close();
        sender.lock().send(()).unwrap();
    });
    let transport = transport(&server.url().replace("http", "https"));
    let fault = cancelled(&Ask::default(), &transport, || events.recv().unwrap());
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::NotWritten));
    events.recv().unwrap();
}

#[test]
fn before_the_first_byte_and_within_head_and_body() {
    for (answer, phase) in [
        ("", Phase::Written),
        ("HTTP/1.1 200 OK\r\nconte", Phase::Written),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", Phase::HeadReceived),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n",
            Phase::HeadReceived,
        ),
        // A body that the connection's end ends: a cancel must not pass for it.
        ("HTTP/1.1 200 OK\r\n\r\nhel", Phase::HeadReceived),
    ] {
        let (server, events) = reports(answer);
        let transport = transport(&server.url());
        let call = Ask::default();
        let fault = thread::scope(|scope| {
            let sent = scope.spawn(|| call.whole(&transport));
            assert_eq!(events.recv(), Ok("asked"));
            call.gate.cancel();
            sent.join().unwrap().unwrap_err()
        });
        assert_eq!(fault.kind, FaultKind::Cancelled, "{answer:?}: {fault}");
        // The cancel may come before the client has read what was sent.
        assert!(
            fault.phase <= phase && fault.phase >= Phase::Written,
            "{answer:?}: {fault:?}"
        );
        assert_eq!(events.recv(), Ok("closed"));
    }
}

#[test]
fn while_the_request_is_not_taken() {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let server = Server::start_raw(move |mut stream, _| {
        std::io::Read::read_exact(&mut stream, &mut [0; 16]).unwrap();
        sender.lock().send(()).unwrap();
        let _ = hold.lock().recv();
    });
    let call = Ask {
        body: vec![b'x'; 32_000_000],
        ..Ask::default()
    };
    let fault = cancelled(&call, &transport(&server.url()), || events.recv().unwrap());
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::Written));
    drop(release);
}

#[test]
fn the_body_alone_after_the_head_is_in_hand() {
    let (server, events) = reports("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let call = Ask::default();
    let mut reply = call.head(&transport(&server.url())).unwrap();
    assert_eq!(events.recv(), Ok("asked"));
    call.gate.cancel();
    assert_eq!(events.recv(), Ok("closed"), "although nobody reads");
    let fault = reply.read_to_vec(MAX_BODY).unwrap_err();
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::HeadReceived));
}

#[test]
fn one_of_two_calls_leaves_the_other_alone() {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let server = Server::start(move |mut peer, _| {
        let tell = |event: String| drop(sender.lock().send(event));
        let body = String::from_utf8(peer.request().unwrap().body).unwrap();
        tell(format!("{body} asked"));
        if body == "kept" {
            hold.lock().recv().unwrap();
            peer.ok("kept");
        }
        peer.wait_for_close();
        tell(format!("{body} closed"));
    });
    let transport = transport(&server.url());
    let named = |name: &str| Ask {
        body: name.into(),
        ..Ask::default()
    };
    let (kept, dropped) = (named("kept"), named("dropped"));
    thread::scope(|scope| {
        let keeping = scope.spawn(|| kept.whole(&transport));
        assert_eq!(events.recv().unwrap(), "kept asked");
        let fault = cancelled(&dropped, &transport, || {
            assert_eq!(events.recv().unwrap(), "dropped asked")
        });
        assert_eq!(fault.kind, FaultKind::Cancelled);
        assert_eq!(events.recv().unwrap(), "dropped closed");
        release.send(()).unwrap();
        assert_eq!(keeping.join().unwrap().unwrap().1, "kept");
    });
    // A cancel that comes late must not close the connection that lies in the pool, or serves another by now.
    kept.gate.cancel();
    drop(transport);
    assert_eq!(events.recv().unwrap(), "kept closed");
}

#[test]
fn a_late_cancel_does_not_touch_the_next_call_on_the_connection() {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let server = Server::start(move |mut peer, _| {
        while let Some(request) = peer.request() {
            if request.body == b"second" {
                sender.lock().send(()).unwrap();
                hold.lock().recv().unwrap();
            }
            peer.ok(request.body);
        }
    });
    let transport = transport(&server.url());
    let first = Ask::default();
    let mut reply = first.head(&transport).unwrap();
    reply.read_to_vec(MAX_BODY).unwrap();
    // `reply` still lives, so the first call is still there to be cancelled.
    let second = Ask {
        body: b"second".to_vec(),
        ..Ask::default()
    };
    thread::scope(|scope| {
        let sent = scope.spawn(|| second.whole(&transport));
        events.recv().unwrap();
        first.gate.cancel();
        release.send(()).unwrap();
        assert_eq!(sent.join().unwrap().unwrap().1, "second");
    });
    assert_eq!(server.accepted(), 1);
    drop(reply);
}

/// Calls made by all threads of the race together.
const RACES: usize = if cfg!(debug_assertions) { 4_000 } else { 20_000 };
/// Cancels that have to meet a call under way.
const HITS: usize = RACES / 50;

#[test]
fn many_cancels_race_with_completions_and_every_call_gets_its_own_answer() {
    let server = Server::start(|mut peer, number| {
        let mut random = StdRng::seed_from_u64(number as u64);
        while let Some(request) = peer.request() {
            spin(random.random_range(0..100));
            if random.random_ratio(1, 4) {
                let body = &request.body;
                peer.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
                spin(random.random_range(0..100));
                peer.send(body);
            } else {
                peer.ok(request.body);
            }
        }
    });
    let transport = transport(&server.url());
    let (doomed, cancels) = mpsc::channel::<Arc<Gate>>();
    let (answered, broken, condemned) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut random = StdRng::seed_from_u64(1);
            let mut waiting = Vec::new();
            while let Ok(gate) = cancels.recv() {
                waiting.push(gate);
                // Some at once, some when their connection serves others already.
                while waiting.len() > 8 || (!waiting.is_empty() && random.random_ratio(1, 2)) {
                    spin(random.random_range(0..150));
                    waiting.swap_remove(random.random_range(0..waiting.len())).cancel();
                }
            }
        });
        for worker in 0..8 {
            let (transport, answered, broken, doomed) = (&transport, &answered, &broken, doomed.clone());
            let condemned = &condemned;
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(100 + worker);
                // On a busy machine most cancels come too late: then it goes on until enough have hit.
                let mut number = 0;
                while number < RACES / 8 || broken.load(Ordering::Relaxed) <= HITS {
                    assert!(number < 100 * RACES, "hardly a cancel hits: this is no race");
                    number += 1;
                    let call = Ask {
                        body: format!("{worker}/{number}").into(),
                        ..Ask::default()
                    };
                    let is_doomed = random.random_ratio(1, 3);
                    if is_doomed {
                        condemned.fetch_add(1, Ordering::Relaxed);
                        doomed.send(Arc::clone(&call.gate)).unwrap();
                    }
                    match call.whole(transport) {
                        Ok((status, body)) => {
                            assert_eq!((status, body.as_bytes()), (200, &*call.body));
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(fault) => {
                            assert!(is_doomed, "a call that nobody cancelled failed: {fault}");
                            assert_eq!(fault.kind, FaultKind::Cancelled, "{fault}");
                            broken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        drop(doomed);
    });
    let (answered, broken) = (answered.into_inner(), broken.into_inner());
    assert!(answered + broken >= RACES && broken > HITS);
    // One connection per worker at first, then one for each that a cancel closed: of calls that it broke, and of
    // calls whose reply was in hand already.
    let most = 8 + condemned.into_inner();
    assert!(server.accepted() <= most, "{} instead of {most}", server.accepted());
}

/// Passes about so many microseconds.
fn spin(microseconds: u64) {
    let until = clock::now() + Duration::from_micros(microseconds);
    while clock::now() < until {
        thread::yield_now();
    }
}
