//! What an earlier attempt of the same job carried shows as little as what the last one did: a gateway in front of several
//! deployments knows both.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use azure_openai_blaster::auth::AccessToken;
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind};
use azure_openai_blaster::{Blaster, Event};

use super::canned;
use super::shown::{listen, show, show_blaster, show_error, show_upstream, take};

/// What the calls of one job carry: a key, a header, and a token.
const SECRETS: [&str; 3] = [
    "key-of-the-first-5e6f7g8h9i0j",
    "header-of-the-second-c2VjcmV0",
    "token.of.the.third.1a2b3c4d",
];

/// Answers each connection's first request: two of three by a failure, the third by all that was told before.
fn serve(listener: TcpListener, number: Arc<AtomicUsize>) {
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        canned::read(&mut connection).unwrap();
        let said = format!(r#"{{"error":{{"code":"bad","message":"{}"}}}}"#, SECRETS.join(" and "));
        let reply = match number.fetch_add(1, Ordering::SeqCst) % 3 {
            0 | 1 => "HTTP/1.1 500 Sick\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            _ => format!(
                "HTTP/1.1 400 Bad\r\nx-ms-region: {}\r\napim-request-id: {}\r\nx-told: {}\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{said}",
                SECRETS[0],
                SECRETS[2],
                SECRETS[1],
                said.len()
            ),
        };
        connection.write_all(reply.as_bytes()).unwrap();
    }
}

#[test]
fn what_an_earlier_attempt_of_the_job_carried_shows_nowhere() {
    let _turn = listen(false);
    let number = Arc::new(AtomicUsize::new(0));
    let deployment = |name: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let number = Arc::clone(&number);
        thread::spawn(move || serve(listener, number));
        DeploymentConfig::new(name, url, "m").kind(Kind::OpenAi)
    };
    let token = |_: &str| {
        let ends = SystemTime::now() + Duration::from_secs(3600);
        Ok(AccessToken::new(SECRETS[2], ends))
    };
    let deployments = [
        deployment("first").auth(Auth::key(SECRETS[0])),
        deployment("second").header("x-gateway-key", SECRETS[1]),
        deployment("third").auth(Auth::custom(token)),
    ];
    let mut config = BlasterConfig::new(deployments).num_workers(1).max_job_retry(3);
    config.allow_http = true;
    let blaster = Blaster::builder()
        .config(config)
        .on_event(|event: &Event| show("an event", format!("{event:?}")))
        .build()
        .unwrap();
    let signed_in = blaster.await_credentials(Duration::from_secs(30));
    assert_eq!(signed_in.len(), 1, "{signed_in:?}");
    // Each of them comes last at some time.
    for _ in 0..6 {
        blaster.states().iter().for_each(|state| state.enable());
        let error = blaster.chat("hello").unwrap_err();
        let ledger = error.ledger().unwrap();
        assert_eq!(ledger.len(), 3, "{ledger}");
        let hidden = "the request was refused: 400 bad: (hidden) and (hidden) and (hidden)";
        assert_eq!(error.to_string(), hidden);
        show_error("the error", &error);
        show_upstream("the error", &error);
    }
    show_blaster("the blaster", &blaster);
    for (by, text) in take() {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{by}: {text}");
        }
    }
}
