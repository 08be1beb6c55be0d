//! Keys show nowhere: not in `Debug` or `Display`, in no log down to the trace level of the HTTP and TLS libraries, event,
//! error, report, panic or journal. In a process of its own, for the logger and the panic hook are the process's.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::error::Error as _;
use std::fmt::{Debug, Display, Write as _};
use std::io::Write as _;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::{panic, thread};

use azure_openai_blaster::api::{EndpointReport, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind, ProxyUrl};
use azure_openai_blaster::error::{Error, Result};
use azure_openai_blaster::sim::{
    FaultKind, FleetSettings, RefusalFamily, RetryAfter, SimConfig, SimDeployment, SimFault, SimFleet,
};
use azure_openai_blaster::{Blaster, ChatCompletion, ChatRequest, EmbeddingRequest, EndpointState, Event};

use canned::Canned;

#[path = "it/canned.rs"]
mod canned;

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

/// All that was shown, and by whom.
static SHOWN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn shown() -> MutexGuard<'static, Vec<(String, String)>> {
    SHOWN.lock().unwrap()
}

fn show(by: &str, text: impl Into<String>) {
    shown().push((by.to_owned(), text.into()));
}

/// Collects every record of every library.
struct Collector;

impl log::Log for Collector {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        show(
            &format!("log of {}", record.target()),
            format!("{} {}", record.level(), record.args()),
        );
    }

    fn flush(&self) {}
}

fn show_both<T: Debug + Display>(by: &str, value: &T) {
    show(by, format!("{value:?}\n{value:#?}\n{value}"));
}

/// An error with its causes and all that hangs on it.
fn show_error(by: &str, error: &Error) {
    show_both(by, error);
    let mut cause = error.source();
    while let Some(error) = cause {
        show(by, format!("{error:?} {error}"));
        cause = error.source();
    }
    if let Some(ledger) = error.ledger() {
        show_both(by, ledger);
        show(by, serde_json::to_string(ledger).unwrap());
    }
    if let Some(upstream) = error.upstream() {
        show(by, format!("{upstream:?}"));
    }
}

fn show_result(by: &str, result: &Result<ChatCompletion>) {
    match result {
        Ok(completion) => show(
            by,
            format!("{completion:?} {} {}", completion.raw(), completion.ledger()),
        ),
        Err(error) => show_error(by, error),
    }
}

fn show_blaster(by: &str, blaster: &Blaster) {
    let mut text = format!("{blaster:?} {:?}", blaster.models());
    for state in blaster.states() {
        let report: EndpointReport = state.report();
        write!(
            text,
            "{state:?} {report:?} {report} {}",
            serde_json::to_string(&report).unwrap()
        )
        .unwrap();
    }
    show(by, text);
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

/// A whole exchange over TLS, whose library logs too.
fn over_tls() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(cert.pem().as_bytes()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let answer = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"}}]}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
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
    let mut config = settings([deployment("gpt", &url)]);
    config.ca_file = Some(ca_file.path().to_owned());
    let blaster = build("over TLS", config);
    let result = blaster.chat("hello");
    show_result("over TLS", &result);
    assert_eq!(result.unwrap().text(), Some("yes"));
    show_blaster("over TLS", &blaster);
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

/// Services that throw what they were sent back at us. What an error holds of the reply's bytes is as received, on purpose;
/// everything that is printed is not.
fn over_an_echo() {
    let said = format!(
        "Incorrect API key provided: {KEY}. You sent Authorization: Bearer {BEARER} and x-gateway-key: {HEADER}"
    );
    let json = format!(r#"{{"error":{{"code":"{KEY}","message":"{said}","type":"{BEARER}"}}}}"#);
    let page = format!("<html><head><title>{said}</title></head><body>{said}</body></html>");
    let stream = format!("data: {json}\n\n");
    let location = format!("location: https://elsewhere.example/?api-key={KEY}");
    let text = "content-type: text/plain";
    for (head, body) in [
        (format!("400 Bad Request\r\n{text}"), &json),
        (format!("401 Unauthorized\r\n{text}"), &json),
        (format!("429 Too Many Requests\r\nretry-after: 9999\r\n{text}"), &json),
        (format!("500 Internal Server Error\r\n{text}"), &page),
        (format!("502 Bad Gateway\r\n{text}"), &said),
        (format!("302 Found\r\n{location}"), &said),
        (format!("200 OK\r\n{text}"), &said),
        (format!("200 OK\r\n{text}"), &json),
        ("200 OK\r\ncontent-type: text/event-stream".to_owned(), &stream),
        (format!("200 OK\r\nset-cookie: {KEY}\r\n{text}"), &page),
    ] {
        let canned = Canned::start(&head, body);
        let blaster = build("over an echo", settings([deployment("gpt", &canned.url)]));
        let result = blaster.chat("hello");
        show_error(&format!("over an echo of {head:?}"), &result.unwrap_err());
        let raw = RawRequest::post(Operation::Responses, r#"{"stream":true}"#);
        if let Err(error) = blaster.stream_raw(raw) {
            show_error("over an echo, raw", &error);
        }
        show_blaster("over an echo", &blaster);
    }
}

/// Which of the canaries show, and where; all that was shown so far is forgotten.
fn leaks(skip: impl Fn(&str) -> bool) -> Vec<String> {
    let mut texts = std::mem::take(&mut *shown());
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
    log::set_logger(&Collector).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
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
        over_an_echo();
        // The HTTP client dumps what it receives, at trace level: that is how its user asked for it.
        let echoed = leaks(|by| by.starts_with("log of ureq"));
        (counts, dump, leaks_at_all, echoed)
    });
    drop(panic::take_hook());
    let (logs, dump, leaks, echoed) = ran.unwrap_or_else(|_| panic!("{:#?}", shown().last()));
    assert!(logs[0] > 0 && logs[1] > 0, "the logs were listened to: {logs:?}");
    assert!(dump.contains("user-agent:.azure-openai-blaster"), "the dump was read");
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert!(echoed.is_empty(), "{}", echoed.join("\n"));
}
