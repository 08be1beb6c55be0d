//! Exchanges of which no byte may be logged.

use rcgen::CertificateParams;

use super::super::WireSettings;
use super::super::private::{PrivateClient, PrivateRequest};
use super::secure::Secure;
use super::server::Server;
use super::{LONG, direct};

#[test]
fn replies_in_the_forms_of_others_are_read_here_too_with_all_of_their_headers() {
    let many: String = (0..200).map(|number| format!("x-{number}: {number}\r\n")).collect();
    let long = format!("x-long: {}\r\n", "v".repeat(20_000));
    for lines in ["", &many, &long] {
        for (before, framing, body) in [
            ("", "content-length: 2", "no"),
            ("HTTP/1.1 100 Continue\r\nvia: x\r\n\r\n", "content-length: 2", "no"),
            (
                "",
                "transfer-encoding: chunked",
                "0002 ; a=\"a long extension of a chunk\"\r\nno\r\n0;x\r\nx-a: b\r\n\r\n",
            ),
            ("", "connection: close", "no"),
        ] {
            let reply = format!("{before}HTTP/1.1 429 Busy\r\n{lines}retry-after: 7\r\n{framing}\r\n\r\n{body}");
            let server = Server::start(move |mut peer, _| {
                peer.request().unwrap();
                peer.send(&reply);
            });
            let request = PrivateRequest {
                method: "GET",
                url: &format!("{}/token", server.url()),
                headers: &[],
                body: b"",
                proxied: false,
                connect: LONG,
                total: LONG,
            };
            let reply = PrivateClient::new(&direct()).unwrap().exchange(&request).unwrap();
            let found = (reply.status, reply.headers.get("retry-after"), &*reply.body);
            assert_eq!(
                found,
                (429, Some("7"), &b"no"[..]),
                "{before} {framing} {}",
                lines.len()
            );
        }
    }
}

#[test]
fn what_a_private_exchange_carries_shows_in_none_of_its_faults() {
    let key = "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456";
    for (headers, body) in [
        (vec![], format!("grant_type=x&client_secret={key}&scope=y")),
        (vec![("x-identity-header".to_owned(), key.to_owned())], String::new()),
    ] {
        let secure = Secure::echo(CertificateParams::new([format!("{key}.example")]).unwrap());
        let settings = WireSettings {
            ca_file: Some(secure.ca_file.path().to_owned()),
            ..direct()
        };
        let request = PrivateRequest {
            method: "POST",
            url: &format!("https://127.0.0.1:{}/token", secure.server.port()),
            headers: &headers,
            body: body.as_bytes(),
            proxied: false,
            connect: LONG,
            total: LONG,
        };
        let fault = PrivateClient::new(&settings).unwrap().exchange(&request).err().unwrap();
        assert!(fault.message.contains("(hidden)"), "{fault}");
        assert!(!fault.message.contains(key), "{fault}");
    }
}
