//! Keys show nowhere: not in `Debug` or `Display`, in no log down to the trace level of the HTTP and TLS libraries, event,
//! error, report, panic or journal. In a process of its own, for the logger and the panic hook are the process's.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::io::Write as _;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use std::{panic, thread};

use azure_openai_blaster::api::{Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind, ProxyUrl};
use azure_openai_blaster::error::{Error, Result};
use azure_openai_blaster::sim::{
    FaultKind, FleetSettings, RefusalFamily, RetryAfter, SimConfig, SimDeployment, SimFault, SimFleet,
};
use azure_openai_blaster::{Blaster, ChatCompletion, ChatRequest, EmbeddingRequest, EndpointState, Event};

use canned::Canned;
use shown::{listen, show, show_blaster, show_error, show_upstream, shown, take};

#[path = "../it/canned.rs"]
mod canned;
mod earlier;
mod echo;
mod echoes;
mod prompts;
mod shown;

// They look as real ones do: Azure's keys are runs of 84 letters and digits.
const KEY: &str = "7cAnArY0KEY1a2b3c4d5e6f7g8h9i0jAAAAAAAACOGw3LtPqZ1x2v3b4n5m6J7Q8R9S0T1U2V3W4X5Y6Z7A8";
const BEARER: &str = "sk-proj-7cAnArY0BEARER-1a2b3c4d5e6f7g8h9i0j1k2l3m4n5o6p7q8r9";
const HEADER: &str = "7cAnArY0HEADER9i0jAAAAAAAACOGw3LtPqZ1x2v";
const PASSWORD: &str = "7cAnArY0PASSWORD5e6f7g8h9i0jAAAAAAAACOGw";
/// `user:` and the password, as a proxy is told it.
const PASSWORD_BASE64: &str = "dXNlcjo3Y0FuQXJZMFBBU1NXT1JENWU2ZjdnOGg5aTBqQUFBQUFBQUFDT0d3";
const CANARIES: [(&str, &str); 5] = [
    ("the key", "7cAnArY0KEY"),
    ("the bearer token", "7cAnArY0BEARER"),
    ("the header", "7cAnArY0HEADER"),
    ("the proxy's password", "7cAnArY0PASSWORD"),
    ("the proxy's password in base64", PASSWORD_BASE64),
];

fn show_result(by: &str, result: &Result<ChatCompletion>) {
    match result {
        Ok(completion) => show(
            by,
            format!("{completion:?} {} {}", completion.raw(), completion.ledger()),
        ),
        Err(error) => show_error(by, error),
    }
}

/// Builds a blaster whose configuration and events are shown.
fn build(by: &'static str, config: BlasterConfig) -> Blaster {
    show(
        by,
        format!("{config:?} {config:#?} {}", serde_json::to_string(&config).unwrap()),
    );
    let builder = Blaster::builder()
        .config(config)
        .on_event(move |event: &Event| show(by, format!("{event:?}")));
    show(by, format!("{builder:?}"));
    builder.build().unwrap()
}

/// One deployment with all the secrets that one can have.
fn deployment(name: &str, url: &str) -> DeploymentConfig {
    DeploymentConfig::new(name, url, name)
        .auth(Auth::key(KEY))
        .header("x-gateway-key", HEADER)
}

fn settings(deployments: impl IntoIterator<Item = DeploymentConfig>) -> BlasterConfig {
    BlasterConfig::new(deployments)
        .num_workers(4)
        .max_job_retry(1)
        .first_byte_timeout(Duration::from_millis(500))
        .idle_timeout(Duration::from_millis(500))
}

/// Everything that a service answers, to both kinds of credential.
fn over_the_simulator() {
    let throttle = FaultKind::Throttle {
        family: RefusalFamily::Reached,
        retry_after: RetryAfter::Seconds(7200),
        wait_ms: 1000,
    };
    let faults = [
        ("wrong", FaultKind::Status { status: 401 }),
        ("missing", FaultKind::Status { status: 404 }),
        ("bad", FaultKind::Status { status: 400 }),
        ("sick", FaultKind::Status { status: 500 }),
        ("busy", throttle),
        ("page", FaultKind::Html502),
        ("elsewhere", FaultKind::Redirect),
        ("reset", FaultKind::Reset),
        ("garbage", FaultKind::Garbage),
        ("half", FaultKind::HalfBody),
        ("hang", FaultKind::Hang),
        ("stall", FaultKind::StallStream { frames: 6 }),
        ("error", FaultKind::ErrorEvent { frames: 6 }),
        ("senseless", FaultKind::BadJson),
        ("empty", FaultKind::NoContent),
    ];
    let open_to_us = |name| SimDeployment::new(name).key(KEY).bearer_token(BEARER);
    let failing = faults.map(|(name, kind)| open_to_us(name).fault(SimFault::always(kind)));
    let world = SimConfig::new([open_to_us("well")].into_iter().chain(failing));
    show("the simulator's configuration", format!("{world:?}"));
    let fleet = SimFleet::start_with(world, &FleetSettings::new().keep_body(4096)).unwrap();
    for (kind, credential, path) in [(Kind::Azure, KEY, ""), (Kind::OpenAi, BEARER, "/v1")] {
        let clients = fleet.endpoints().iter().map(|endpoint| {
            let client = deployment(&endpoint.name, &format!("{}{path}", endpoint.url));
            client.kind(kind).auth(Auth::key(credential))
        });
        let blaster = build("over the simulator", settings(clients.collect::<Vec<_>>()));
        for (name, _) in faults {
            show_chats(&blaster, name);
        }
        show_chats(&blaster, "well");
        show_other_calls(&blaster);
        show_blaster("over the simulator", &blaster);
        show("a drain", format!("{:?}", blaster.drain(Duration::from_secs(10))));
    }
    let journal = fleet.journal();
    for header in ["api-key", "authorization", "x-gateway-key"] {
        assert!(
            journal.iter().any(|entry| entry.header(header).is_some()),
            "{header} was sent"
        );
    }
    show(
        "the journal",
        format!("{journal:?} {}", serde_json::to_string(&journal).unwrap()),
    );
    show("the fleet", format!("{fleet:?} {:?}", fleet.endpoints()));
}

/// A chat in each of the ways in which it can be asked for.
fn show_chats(blaster: &Blaster, model: &str) {
    let request = || {
        // Nobody waits here until an endpoint that has failed has rested.
        blaster.states().iter().for_each(EndpointState::enable);
        ChatRequest::from("hello").model(model).timeout(Duration::from_secs(20))
    };
    show_result(model, &blaster.chat(request()));
    show_result(model, &blaster.chat(request().stream(true)));
    let stream = blaster.stream(request()).unwrap();
    show(model, format!("{stream:?}"));
    for delta in stream {
        match delta {
            Ok(delta) => show(model, format!("{delta:?}")),
            Err(error) => show_error(model, &error),
        }
    }
}

/// Bytes, vectors and callbacks.
fn show_other_calls(blaster: &Blaster) {
    let raw = RawRequest::post(Operation::Embeddings, r#"{"input":"x","model":"well"}"#).header("x-caller", "known");
    show("a raw request", format!("{raw:?}"));
    show("a raw reply", format!("{:?}", blaster.submit_raw(raw).unwrap().wait()));
    let embeddings = blaster.embeddings(EmbeddingRequest::from("x").model("well"));
    show("embeddings", format!("{embeddings:?}"));
    let chat = || ChatRequest::from("hello").model("well");
    let panicking = blaster
        .submit_streaming(chat(), |_| panic!("a callback's own words"))
        .unwrap();
    show_result("a panic", &panicking.wait());
    let stopping = blaster.submit_streaming(chat(), |_| ControlFlow::Break(())).unwrap();
    show_result("a stop", &stopping.wait());
}

/// No connection, in every way.
fn over_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let proxy = Canned::start("407 Proxy Authentication Required", "");
    let through = format!("http://user:{PASSWORD}@{}", proxy.url.trim_start_matches("http://"));
    for url in ["http://127.0.0.1:9", "https://nobody.invalid", plain.as_str()] {
        let mut config = settings([deployment("gpt", url)]);
        config.proxy = Some(ProxyUrl::new(through.as_str()));
        let blaster = build("over nothing", config);
        show_result("over nothing", &blaster.chat("hello"));
        show_blaster("over nothing", &blaster);
    }
    assert!(
        proxy.received()[0].head.contains("proxy-authorization: basic"),
        "{}",
        proxy.received()[0].head
    );
}

/// Serves TLS with a certificate for `name`, and answers with these bytes; gives the certificate in PEM, and the port.
fn serve_tls(name: &str, reply: String) -> (String, u16) {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let tls = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, connection.unwrap());
            if canned::read(&mut stream).is_some_and(|request| !request.body.is_empty()) {
                stream.write_all(reply.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        }
    });
    (cert.pem(), port)
}

/// A chat with what [`serve_tls`] serves.
fn ask_over_tls(by: &'static str, name: &str, key: &str) -> Result<ChatCompletion> {
    let answer = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"}}]}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let (pem, port) = serve_tls(name, reply);
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(pem.as_bytes()).unwrap();
    let deployment = deployment("gpt", &format!("https://localhost:{port}")).auth(Auth::key(key));
    let mut config = settings([deployment]);
    config.ca_file = Some(ca_file.path().to_owned());
    let blaster = build(by, config);
    let result = blaster.chat("hello");
    show_result(by, &result);
    show_blaster(by, &blaster);
    result
}

/// A whole exchange over TLS, whose library logs too.
fn over_tls() {
    let result = ask_over_tls("over TLS", "localhost", KEY);
    assert_eq!(result.unwrap().text(), Some("yes"));
}

/// A certificate for a name that is what the last call carried, which an error of TLS quotes.
fn over_tls_in_the_name_of_the_key() {
    let name = "7canary0key-5a7e1c3b90d2";
    let error = ask_over_tls("over TLS in the name of the key", name, name).unwrap_err();
    assert!(
        error.to_string().contains("only valid for (hidden)") || error.to_string().contains("(hidden)"),
        "{error}"
    );
    assert!(!format!("{error:?} {error}").contains(name), "{error:?}");
}

/// A service behind a proxy that sees the password, and says so.
fn through_a_proxy_that_repeats_its_password() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let connect = canned::read(&mut connection).unwrap();
            assert!(
                connect
                    .head
                    .contains(&format!("basic {}", PASSWORD_BASE64.to_lowercase())),
                "{}",
                connect.head
            );
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            canned::read(&mut connection).unwrap();
            let said = format!("user:{PASSWORD}, as proxy-authorization: Basic {PASSWORD_BASE64}");
            let reply = format!(
                "HTTP/1.1 400 Bad Request\r\nx-ms-region: {PASSWORD}\r\ncontent-length: {}\r\n\r\n{said}",
                said.len()
            );
            connection.write_all(reply.as_bytes()).unwrap();
        }
    });
    let mut config = settings([deployment("gpt", "http://nobody.invalid")]);
    config.allow_http = true;
    config.proxy = Some(ProxyUrl::new(format!("http://user:{PASSWORD}@{proxy}")));
    let blaster = build("through a proxy", config);
    let error = blaster.chat("hello").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request was refused: 400 Bad Request: user:(hidden), as proxy-authorization: Basic (hidden)"
    );
    show_error("through a proxy", &error);
    show_upstream("through a proxy", &error);
    show_blaster("through a proxy", &blaster);
}

/// Configurations that are refused; what was wrong with them is told without the secrets in them.
fn refused_configurations() {
    let with = |change: &str| {
        let own = format!(r#""name":"a","endpoint":"https://x.openai.azure.com","model":"m","api_key":"{KEY}""#);
        format!(
            r#"{{"proxy":"http://user:{PASSWORD}@h:1","deployments":[{{{own},"headers":{{"x-k":"{HEADER}"}}{change}}}]}}"#
        )
    };
    for text in [
        with(r#","weight":0"#),
        with(r#","nam":"x""#),
        with(r#","timeout_s":"soon""#),
        with(&format!(r#","api_key":"{KEY}""#)),
        with(&format!(r#","api_key":"{KEY} with a space""#)),
        with(&format!(r#","api_key":["{KEY}"]"#)),
        with(&format!(r#","headers":{{"bad name":"{HEADER}"}}"#)),
        with(&format!(r#","headers":{{"api-key":"{HEADER}"}}"#)),
        with(&format!(r#","headers":["{HEADER}"]"#)),
        with(&format!(r#","endpoint":"https://user:{PASSWORD}@x.openai.azure.com""#)),
        with(&format!(r#","endpoint":"https://x.openai.azure.com?code={KEY}""#)),
        with("").replace("http://user:", "gopher://user:"),
        with("").replace("http://user:", "user:"),
        with("} trailing"),
    ] {
        let error = Error::from(BlasterConfig::from_json(&text).expect_err(&text));
        show_error("a refused configuration", &error);
    }
    let bad = [
        deployment("a", &format!("https://user:{PASSWORD}@x.openai.azure.com")),
        deployment("a", "https://x.openai.azure.com").auth(Auth::key(format!("{KEY}\n"))),
        deployment("a", "https://x.openai.azure.com").header("x-split", format!("{HEADER}\r\na: b")),
        deployment("a", "http://x.openai.azure.com"),
    ];
    for deployment in bad {
        let error = Blaster::builder().deployment(deployment).build().unwrap_err();
        show_error("a bad deployment", &error);
    }
}

/// Which of the canaries show, and where; all that was shown so far is forgotten.
fn leaks(skip: impl Fn(&str) -> bool) -> Vec<String> {
    let mut texts = take();
    texts.retain(|(by, _)| !skip(by));
    texts.push(("the dump of the HTTP client".to_owned(), dump(&texts)));
    let mut leaks = Vec::new();
    for (by, text) in &texts {
        for (what, canary) in CANARIES {
            if let Some(at) = text.find(canary) {
                let start = text[..at].char_indices().rev().nth(60).map_or(0, |(start, _)| start);
                leaks.push(format!("{what} shows in {by}: …{}", &text[start..at + canary.len()]));
            }
        }
    }
    leaks
}

/// What the HTTP client dumps of its messages, sixteen characters at the end of each record, put together again.
fn dump(texts: &[(String, String)]) -> String {
    let rows = texts.iter().filter(|(by, _)| by == "log of ureq_proto::util");
    rows.map(|(_, row)| &row[row.len() - 16..]).collect()
}

#[test]
fn no_secret_shows_anywhere() {
    let _turn = listen(true);
    panic::set_hook(Box::new(|panic| show("a panic", format!("{panic} {panic:?}"))));
    let ran = panic::catch_unwind(|| {
        over_the_simulator();
        over_nothing();
        over_tls();
        refused_configurations();
        // The rest is looked at apart.
        let logs = |of: &str| {
            shown()
                .iter()
                .filter(|(by, _)| by.starts_with(&format!("log of {of}")))
                .count()
        };
        let counts = ["azure_openai_blaster", "ureq", "rustls"].map(logs);
        let dump = dump(&shown());
        let leaks_at_all = leaks(|_| false);
        through_a_proxy_that_repeats_its_password();
        over_tls_in_the_name_of_the_key();
        // The HTTP client logs and dumps what it receives, in its own name: that is how its user asked for it.
        let echoed = leaks(|by| by.starts_with("log of ureq") || by.starts_with("log of rustls"));
        (counts, dump, leaks_at_all, echoed)
    });
    drop(panic::take_hook());
    let (logs, dump, leaks, echoed) = ran.unwrap_or_else(|_| panic!("{:#?}", shown().last()));
    assert!(logs[0] > 0 && logs[1] > 0, "the logs were listened to: {logs:?}");
    assert!(dump.contains("user-agent:.azure-openai-blaster"), "the dump was read");
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert!(echoed.is_empty(), "{}", echoed.join("\n"));
}
