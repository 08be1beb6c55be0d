//! Through an HTTP proxy, which is loopback here, to a service that is not.

use std::sync::mpsc;

use parking_lot::Mutex;

use super::server::{Request, Server};
use super::*;
use crate::error::fault::{FaultKind, Phase, TimeoutKind};

pub(super) fn through(proxy: &Server, credentials: &str) -> UreqTransport {
    let settings = WireSettings {
        proxy: Some(format!("http://{credentials}127.0.0.1:{}", proxy.port())),
        ..WireSettings::default()
    };
    // A name that nothing resolves: that is the proxy's business.
    UreqTransport::new(vec![endpoint("http://service.invalid")], &settings).unwrap()
}

/// A proxy that is the service as well, and hands out what it was asked.
fn tunnel() -> (Server, mpsc::Receiver<Request>) {
    let (sender, requests) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut peer, _| {
        while let Some(request) = peer.request() {
            let connects = request.head.starts_with("CONNECT ");
            let _ = sender.lock().send(request);
            match connects {
                true => peer.send("HTTP/1.1 200 Connection established\r\n\r\n"),
                false => peer.ok("through"),
            }
        }
    });
    (server, requests)
}

#[test]
fn calls_go_through_one_tunnel_and_the_key_only_into_it() {
    let (proxy, requests) = tunnel();
    let transport = through(&proxy, "user:pass@");
    for _ in 0..3 {
        assert_eq!(ask(&transport).unwrap(), (200, "through".into()));
    }
    assert_eq!(proxy.accepted(), 1);
    let connect = requests.recv().unwrap();
    assert!(
        connect.head.starts_with("CONNECT service.invalid:80 "),
        "{}",
        connect.head
    );
    assert_eq!(connect.header("proxy-authorization"), ["Basic dXNlcjpwYXNz"]);
    assert!(!connect.head.contains("canary"), "{}", connect.head);
    let request = requests.recv().unwrap();
    assert_eq!(request.header("api-key"), ["canary-key"]);
    assert_eq!(request.header("host"), ["service.invalid"]);
    assert!(request.header("proxy-authorization").is_empty());
}

#[test]
fn a_proxy_that_refuses_is_a_failure_to_connect_that_shows_no_password() {
    let proxy = Server::start(|mut peer, _| {
        peer.request();
        peer.send("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    });
    let fault = ask(&through(&proxy, "user:canary@")).unwrap_err();
    assert_eq!(
        (fault.kind, fault.phase),
        (FaultKind::Connect, Phase::NotWritten),
        "{fault}"
    );
    assert!(
        fault.message.contains("407") && !format!("{fault:?}").contains("canary"),
        "{fault}"
    );
}

#[test]
fn a_proxy_that_is_silent_or_cancelled_ends_within_connecting() {
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let proxy = Server::start(move |mut peer, _| {
        peer.request();
        let _ = sender.lock().send(());
        peer.wait_for_close();
    });
    let transport = through(&proxy, "");
    let slow = Ask {
        limits: Limits {
            connect: SHORT,
            ..long()
        },
        ..Ask::default()
    };
    let fault = slow.whole(&transport).unwrap_err();
    assert_eq!(
        (fault.kind, fault.phase),
        (FaultKind::Timeout(TimeoutKind::Connect), Phase::NotWritten)
    );
    asked.recv().unwrap();

    let call = Ask::default();
    let fault = std::thread::scope(|scope| {
        let sent = scope.spawn(|| call.whole(&transport));
        asked.recv().unwrap();
        call.gate.cancel();
        sent.join().unwrap().unwrap_err()
    });
    assert_eq!((fault.kind, fault.phase), (FaultKind::Cancelled, Phase::NotWritten));
}

#[test]
fn a_proxy_that_is_not_there_is_refused() {
    let gone = Server::echo();
    let transport = through(&gone, "");
    drop(gone);
    let fault = ask(&transport).unwrap_err();
    assert_eq!(
        (fault.kind, fault.phase),
        (FaultKind::Refused, Phase::NotWritten),
        "{fault}"
    );
}
