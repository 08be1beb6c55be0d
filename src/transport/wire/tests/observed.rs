//! What is told of new connections, and that calls on pooled ones tell nothing.

use std::sync::mpsc;
use std::thread::{self, ThreadId};

use parking_lot::Mutex;

use super::server::{Server, closed_port};
use super::*;
use crate::error::fault::FaultKind;
use crate::transport::Observer;

/// What was told, with the endpoint and the number of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Connecting(usize, u64),
    Connected(usize, u64),
}

use Told::{Connected, Connecting};

#[derive(Default)]
struct Notes {
    told: Mutex<Vec<(Told, ThreadId)>>,
    took: Mutex<Vec<Duration>>,
}

impl Observer for Notes {
    fn connecting(&self, endpoint: usize, call: u64) {
        let told = Connecting(endpoint, call);
        self.told.lock().push((told, thread::current().id()));
    }

    fn connected(&self, endpoint: usize, call: u64, took: Duration) {
        let told = Connected(endpoint, call);
        self.told.lock().push((told, thread::current().id()));
        self.took.lock().push(took);
    }
}

impl Notes {
    fn of(transport: &UreqTransport) -> Arc<Notes> {
        let notes = Arc::new(Notes::default());
        transport.observe(Arc::clone(&notes) as Arc<dyn Observer>);
        notes
    }

    /// What was told since the last time.
    fn take(&self) -> Vec<Told> {
        let told = std::mem::take(&mut *self.told.lock());
        told.into_iter().map(|(told, _)| told).collect()
    }
}

fn call(endpoint: usize, number: u64) -> Ask {
    Ask {
        endpoint,
        number,
        ..Ask::default()
    }
}

#[test]
fn a_call_tells_of_the_connection_that_it_has_to_make_and_of_no_pooled_one() {
    let (west, east) = (Server::echo(), Server::echo());
    let specs = vec![endpoint(&west.url()), endpoint(&east.url())];
    let transport = UreqTransport::new(specs, &direct()).unwrap();
    let notes = Notes::of(&transport);
    let check = |ask: Ask, expected: &[Told]| {
        ask.whole(&transport).unwrap();
        assert!(
            notes.told.lock().iter().all(|(_, by)| *by == thread::current().id()),
            "by the thread that sends"
        );
        assert_eq!(notes.take(), expected);
    };
    check(call(1, 7), &[Connecting(1, 7), Connected(1, 7)]);
    check(call(1, 8), &[]);
    check(call(0, 8), &[Connecting(0, 8), Connected(0, 8)]);
    let fresh = Ask {
        fresh: true,
        ..call(1, 9)
    };
    check(fresh, &[Connecting(1, 9), Connected(1, 9)]);
    check(call(1, 10), &[]);
    assert_eq!((west.accepted(), east.accepted()), (1, 2));
}

#[test]
fn a_stale_connection_is_told_of_by_its_replacement_alone() {
    let server = Server::start(|mut peer, number| {
        peer.request().unwrap();
        peer.ok("first");
        if number == 0 {
            let _ = peer.request();
        } else {
            peer.wait_for_close();
        }
    });
    let transport = transport(&server.url());
    call(0, 1).whole(&transport).unwrap();
    let notes = Notes::of(&transport);
    let fault = call(0, 2).whole(&transport).unwrap_err();
    assert_eq!((fault.kind, notes.take()), (FaultKind::Stale, vec![]), "{fault}");
    let fresh = Ask {
        fresh: true,
        ..call(0, 2)
    };
    fresh.whole(&transport).unwrap();
    assert_eq!(notes.take(), [Connecting(0, 2), Connected(0, 2)]);
}

#[test]
fn a_connection_that_fails_is_begun_and_never_stands() {
    let hangs_up = Server::start(|_, _| ());
    for (url, kind) in [
        (format!("http://127.0.0.1:{}", closed_port()), FaultKind::Refused),
        (hangs_up.url().replace("http", "https"), FaultKind::Tls),
    ] {
        let transport = transport(&url);
        let notes = Notes::of(&transport);
        let fault = call(0, 3).whole(&transport).unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert_eq!(notes.take(), [Connecting(0, 3)], "{url}");
    }
}

#[test]
fn a_call_that_is_cancelled_while_connecting_never_stands() {
    let (sender, shaking) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start_raw(move |mut stream, _| {
        std::io::Read::read_exact(&mut stream, &mut [0; 16]).unwrap();
        sender.lock().send(()).unwrap();
        super::server::Peer::new(stream).wait_for_close();
    });
    let transport = transport(&server.url().replace("http", "https"));
    let notes = Notes::of(&transport);
    let call = call(0, 4);
    let fault = thread::scope(|scope| {
        let sent = scope.spawn(|| call.whole(&transport));
        shaking.recv().unwrap();
        assert_eq!(notes.take(), [Connecting(0, 4)], "before it stands");
        call.gate.cancel();
        sent.join().unwrap().unwrap_err()
    });
    assert_eq!(fault.kind, FaultKind::Cancelled);
    assert_eq!(notes.take(), []);
}

#[test]
fn through_a_proxy_it_is_one_connection_and_all_of_its_time() {
    let slow = Duration::from_millis(50);
    let proxy = Server::start(move |mut peer, _| {
        while let Some(request) = peer.request() {
            if request.head.starts_with("CONNECT ") {
                thread::sleep(slow);
                peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
            } else {
                peer.ok("through");
            }
        }
    });
    let transport = super::proxied::through(&proxy, "");
    let notes = Notes::of(&transport);
    let begun = clock::now();
    call(0, 5).whole(&transport).unwrap();
    let whole = begun.elapsed();
    assert_eq!(notes.take(), [Connecting(0, 5), Connected(0, 5)]);
    let took = notes.took.lock()[0];
    assert!(slow <= took && took <= whole, "{took:?} of {whole:?}");
    call(0, 6).whole(&transport).unwrap();
    assert_eq!(notes.take(), []);
}
