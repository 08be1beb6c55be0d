//! Through an HTTP proxy, which is loopback here, to a service that is not.

use std::sync::mpsc;

use parking_lot::Mutex;

use super::secure::Secure;
use super::server::{Peer, Request, Server};
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

/// The fault of a call by way of a proxy that answers `CONNECT` so, and closes.
fn answered(reply: &'static str) -> Fault {
    let proxy = Server::start(move |mut peer, _| {
        peer.request();
        peer.send(reply);
    });
    let fault = ask(&through(&proxy, "user:canary@")).unwrap_err();
    assert_eq!(fault.phase, Phase::NotWritten, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    fault
}

#[test]
fn a_proxy_that_will_not_is_told_from_one_that_could_not_and_no_password_shows() {
    use FaultKind::{Connect, ProxyRefused};
    for (reply, kind, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"canary\"\r\ncontent-length: 0\r\n\r\n",
            ProxyRefused,
            "407 Proxy Authentication Required",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\ncanary",
            ProxyRefused,
            "403 Forbidden",
        ),
        ("HTTP/1.0 405 canary\r\n\r\n", ProxyRefused, "405 Method Not Allowed"),
        (
            "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n<html>canary",
            Connect,
            "502 Bad Gateway",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\r\n",
            Connect,
            "503",
        ),
        ("HTTP/1.1 504 Gateway Timeout\r\n\r\n", Connect, "504"),
    ] {
        let fault = answered(reply);
        assert_eq!(fault.kind, kind, "{reply}: {fault}");
        assert!(
            fault.message.starts_with("the proxy: ") && fault.message.contains(words),
            "{fault}"
        );
    }
}

#[test]
fn a_proxy_that_closes_or_talks_nonsense_is_a_failure_on_the_way() {
    for reply in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nx-a: b\r\n",
        "nonsense\r\n\r\n",
        "SSH-2.0-x\r\n",
    ] {
        let fault = answered(reply);
        assert!(
            matches!(fault.kind, FaultKind::Connect | FaultKind::Closed | FaultKind::Protocol),
            "{reply:?}: {fault}"
        );
        assert!(fault.message.starts_with("the proxy: "), "{fault}");
    }
}

/// TLS to the proxy, and in it TLS to the service: the two see each what is for them.
#[test]
fn a_proxy_may_be_spoken_to_by_tls() {
    let (sender, connects) = mpsc::channel();
    let sender = Mutex::new(sender);
    let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned(), "service.invalid".to_owned()]).unwrap();
    let proxy = Secure::nested(params, move |mut peer, _, config| {
        let connect = peer.request().unwrap();
        let is_plain = connect.head.contains(":80 ");
        sender.lock().send(connect).unwrap();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        let mut service = match is_plain {
            true => peer,
            false => {
                let tls = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                Peer::new(rustls::StreamOwned::new(tls, peer))
            }
        };
        while let Some(request) = service.request() {
            assert_eq!(
                request.header("api-key").len() + request.header("authorization").len(),
                1
            );
            service.ok("through");
        }
    });
    let settings = WireSettings {
        proxy: Some(format!("https://user:pass@127.0.0.1:{}", proxy.server.port())),
        ca_file: Some(proxy.ca_file.path().to_owned()),
        ..WireSettings::default()
    };
    for base in ["https://service.invalid", "http://service.invalid"] {
        let transport = UreqTransport::new(vec![endpoint(base)], &settings).unwrap();
        for _ in 0..2 {
            assert_eq!(ask(&transport).unwrap(), (200, "through".into()), "{base}");
        }
        let connect = connects.recv().unwrap();
        assert_eq!(connect.header("proxy-authorization"), ["Basic dXNlcjpwYXNz"]);
        assert!(!connect.head.contains("canary"), "{}", connect.head);
    }
    assert_eq!(proxy.server.accepted(), 2);
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
    assert!(fault.message.starts_with("the proxy: 127.0.0.1:"), "{fault}");
}
