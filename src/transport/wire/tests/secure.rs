//! TLS: whom we trust, and what is said about those we do not.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Peer, Server};
use super::*;
use crate::error::fault::{FaultKind, Phase};

pub(super) struct Secure {
    pub(super) server: Server,
    /// The server's certificate, as a `ca_file`.
    pub(super) ca_file: tempfile::NamedTempFile,
}

impl Secure {
    /// A TLS server that serves each connection by `serve`.
    pub(super) fn start(params: CertificateParams, serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> Secure {
        Self::nested(params, move |peer, number, _| serve(peer, number))
    }

    /// The same, whose `serve` is given the server's configuration, for TLS within the connection.
    pub(super) fn nested(
        params: CertificateParams,
        serve: impl Fn(Peer, usize, &Arc<ServerConfig>) + Send + Sync + 'static,
    ) -> Secure {
        Self::by_hand(params, move |tls, stream, number, config| {
            serve(Peer::new(StreamOwned::new(tls, stream)), number, config);
        })
    }

    /// The same, by hand.
    pub(super) fn start_raw(
        params: CertificateParams,
        serve: impl Fn(ServerConnection, TcpStream, usize) + Send + Sync + 'static,
    ) -> Secure {
        Self::by_hand(params, move |tls, stream, number, _| serve(tls, stream, number))
    }

    fn by_hand(
        params: CertificateParams,
        serve: impl Fn(ServerConnection, TcpStream, usize, &Arc<ServerConfig>) + Send + Sync + 'static,
    ) -> Secure {
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        let CertifiedKey { cert, signing_key } = CertifiedKey { cert, signing_key };
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(cert.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        // What is said before a request comes goes out with the handshake.
        config.send_half_rtt_data = true;
        // For records that no library writes.
        config.enable_secret_extraction = true;
        let config = Arc::new(config);
        let server = Server::start_raw(move |stream, number| {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(tls, stream, number, &config);
        });
        Secure { server, ca_file }
    }

    pub(super) fn echo(params: CertificateParams) -> Secure {
        Secure::start(params, |mut peer, _| {
            while let Some(request) = peer.request() {
                peer.ok(request.body);
            }
        })
    }

    pub(super) fn transport(&self, host: &str, trusted: bool) -> UreqTransport {
        let settings = WireSettings {
            ca_file: trusted.then(|| self.ca_file.path().to_owned()),
            ..direct()
        };
        let spec = endpoint(&format!("https://{host}:{}", self.server.port()));
        UreqTransport::new(vec![spec], &settings).unwrap()
    }
}

pub(super) fn localhost() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn refused(transport: &UreqTransport, hint: &str) {
    let fault = ask(transport).unwrap_err();
    assert_eq!(
        (fault.kind, fault.phase),
        (FaultKind::Tls, Phase::NotWritten),
        "{fault}"
    );
    assert!(fault.message.contains(hint), "{fault}");
}

#[test]
fn a_trusted_server_is_spoken_to_and_its_connection_reused() {
    let secure = Secure::echo(localhost());
    for host in ["127.0.0.1", "localhost"] {
        let before = secure.server.accepted();
        let transport = secure.transport(host, true);
        for size in [0, 10, 20_000, 1_000_000] {
            let call = Ask {
                body: vec![b'x'; size],
                ..Ask::default()
            };
            assert_eq!(call.whole(&transport).unwrap().1.len(), size, "{host}");
        }
        assert_eq!(secure.server.accepted() - before, 1, "{host}");
    }
}

#[test]
fn an_unknown_authority_is_refused_and_the_remedy_named() {
    let secure = Secure::echo(localhost());
    refused(&secure.transport("127.0.0.1", false), "ca_file");
}

#[test]
fn a_certificate_of_another_name_or_another_time_is_refused() {
    let other = Secure::echo(CertificateParams::new(["elsewhere.example".to_owned()]).unwrap());
    refused(&other.transport("127.0.0.1", true), "not valid for name");
    let mut params = localhost();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    refused(&Secure::echo(params).transport("127.0.0.1", true), "expired");
}

#[test]
fn a_server_that_does_not_speak_tls_is_refused() {
    let plain = Server::start(|mut peer, _| peer.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
    refused(
        &transport(&plain.url().replace("http", "https")),
        "does the service speak TLS",
    );
    let closes = Server::start(|_, _| {});
    refused(&transport(&closes.url().replace("http", "https")), "handshake");
}

#[test]
fn a_reused_connection_that_closes_is_stale_with_and_without_a_good_bye() {
    let secure = Secure::start(localhost(), |mut peer, _| {
        peer.request().unwrap();
        peer.ok("first");
        // Dropping a rustls stream says nothing; a good-bye is tested by the pool's own check at check-out.
        let _ = peer.request();
    });
    let transport = secure.transport("127.0.0.1", true);
    ask(&transport).unwrap();
    let fault = ask(&transport).unwrap_err();
    assert_eq!((fault.kind, fault.phase), (FaultKind::Stale, Phase::Written), "{fault}");
}

#[test]
fn a_cancel_ends_a_call_over_tls() {
    let secure = Secure::start(localhost(), |mut peer, _| {
        peer.request().unwrap();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
        peer.wait_for_close();
    });
    let transport = secure.transport("127.0.0.1", true);
    let call = Ask::default();
    let mut reply = call.head(&transport).unwrap();
    call.gate.cancel();
    assert_eq!(reply.read_to_vec(MAX_BODY).unwrap_err().kind, FaultKind::Cancelled);
}

#[test]
fn the_limits_hold_over_tls() {
    use crate::error::fault::TimeoutKind::{FirstByte, Idle};
    let check = |answer: &'static str, limits, kind| {
        let secure = Secure::start(localhost(), move |mut peer, _| {
            peer.request().unwrap();
            peer.send(answer);
            peer.wait_for_close();
        });
        let call = Ask {
            limits,
            ..Ask::default()
        };
        let fault = call.whole(&secure.transport("127.0.0.1", true)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(kind), "{fault}");
    };
    let first_byte = Limits {
        first_byte: SHORT,
        ..long()
    };
    check("", first_byte, FirstByte);
    let idle = Limits { idle: SHORT, ..long() };
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", idle, Idle);
}

#[test]
fn a_head_larger_than_any_is_too_large_over_tls_too() {
    let secure = Secure::start(localhost(), |mut peer, _| {
        peer.request().unwrap();
        peer.send(format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "v".repeat(70_000)));
        peer.wait_for_close();
    });
    let fault = ask(&secure.transport("127.0.0.1", true)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge, "{fault}");
}
