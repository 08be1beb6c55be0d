//! Endpoints that fail in every way that is known: no caller notices while another endpoint is well, no endpoint is
//! blamed for what is a request's fault, and the ledgers tell exactly what left the machine.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatRequest, Condition, Headers, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::fault::{self, Fault, Phase};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{FaultKind, RefusalFamily, RetryAfter, SimDeployment, SimFault};
use azure_openai_blaster::transport::{Body, Call, Reply, Transport};

use crate::support::{ask, blaster, config, echo, fleet};

/// What is left of the bad endpoint afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    /// It rests, or was ejected, or is being tried.
    Out,
    /// It is disabled.
    Disabled,
    /// Nothing happened to it.
    Well,
}

/// Twenty jobs over a bad and a good endpoint: all are answered, and the requests that arrived are those in the ledgers.
fn check(kind: FaultKind, stream: bool, left: Left) {
    let fleet = fleet([
        SimDeployment::new("bad").fault(SimFault::always(kind)),
        SimDeployment::new("good"),
    ]);
    let blaster = blaster(&fleet);
    let handles: Vec<_> = (0..20)
        .map(|id| blaster.submit(ask(id).stream(stream)).unwrap())
        .collect();
    let mut attempts = 0;
    for (id, handle) in handles.into_iter().enumerate() {
        let completion = handle
            .wait()
            .unwrap_or_else(|error| panic!("{kind:?}: {error}\n{:?}", error.ledger()));
        assert!(
            completion.text().unwrap().starts_with(&echo(id)),
            "{kind:?}: {:?}",
            completion.text()
        );
        attempts += completion.ledger().len();
    }
    assert_eq!(
        fleet.journal().len(),
        attempts,
        "{kind:?}: requests that arrived, attempts in the ledgers"
    );
    let report = blaster.states()[0].report();
    let now = match report.condition {
        Condition::Ready if report.totals.succeeded == report.totals.sent => Left::Well,
        Condition::Disabled => Left::Disabled,
        _ => Left::Out,
    };
    assert_eq!(now, left, "{kind:?}: {report}");
}

fn throttle(family: RefusalFamily) -> FaultKind {
    FaultKind::Throttle {
        family,
        retry_after: RetryAfter::Seconds(60),
        wait_ms: 60_000,
    }
}

#[test]
fn a_bad_endpoint_costs_no_caller_anything() {
    for (kind, left) in [
        (FaultKind::Status { status: 401 }, Left::Disabled),
        (FaultKind::Status { status: 403 }, Left::Disabled),
        (FaultKind::Status { status: 404 }, Left::Disabled),
        (FaultKind::Redirect, Left::Disabled),
        (FaultKind::Status { status: 408 }, Left::Out),
        (FaultKind::Status { status: 409 }, Left::Out),
        (FaultKind::Status { status: 424 }, Left::Out),
        (FaultKind::Status { status: 500 }, Left::Out),
        (FaultKind::Status { status: 502 }, Left::Out),
        (FaultKind::Status { status: 503 }, Left::Out),
        (FaultKind::Html502, Left::Out),
        (FaultKind::Reset, Left::Out),
        (FaultKind::Garbage, Left::Out),
        (FaultKind::HalfBody, Left::Out),
        (FaultKind::HalfBodyReset, Left::Out),
        (FaultKind::BadJson, Left::Out),
        (FaultKind::EmptyChoices, Left::Out),
        (FaultKind::NoContent, Left::Out),
    ] {
        check(kind, false, left);
    }
}

#[test]
fn a_throttled_endpoint_is_left_alone_whatever_words_it_uses() {
    for family in RefusalFamily::ALL {
        check(throttle(family), false, Left::Out);
    }
}

#[test]
fn a_stream_that_breaks_is_made_again_elsewhere() {
    for (kind, left) in [
        (FaultKind::CutStream { frames: 3 }, Left::Out),
        (FaultKind::CutStream { frames: 0 }, Left::Out),
        (FaultKind::ErrorEvent { frames: 0 }, Left::Out),
        (FaultKind::ErrorEvent { frames: 3 }, Left::Out),
        (FaultKind::RefusedStream { retry_after_s: 60 }, Left::Out),
        (FaultKind::NoFinish, Left::Out),
        (FaultKind::HalfBodyReset, Left::Out),
    ] {
        check(kind, true, left);
    }
}

#[test]
fn what_is_odd_but_whole_is_an_answer() {
    for kind in [
        FaultKind::NoDone,
        FaultKind::DoneWithoutBlankLine,
        FaultKind::Crlf,
        FaultKind::Comments,
        FaultKind::FilterError,
    ] {
        check(kind, true, Left::Well);
    }
}

/// A request that is at fault itself ends at once with the service's words, and harms nobody.
fn check_refused(kind: FaultKind) {
    let fleet = fleet([
        SimDeployment::new("east").fault(SimFault::always(kind)),
        SimDeployment::new("west").fault(SimFault::always(kind)),
    ]);
    let blaster = blaster(&fleet);
    for id in 0..12 {
        let error = blaster.chat(ask(id)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{kind:?}: {error}");
        assert!(!error.is_retryable());
        assert_eq!(error.ledger().unwrap().len(), 1);
        assert!(error.upstream().is_some_and(|reply| (400..500).contains(&reply.status)));
    }
    for state in blaster.states() {
        assert_eq!(state.report().condition, Condition::Ready, "{kind:?}");
    }
}

#[test]
fn a_request_that_is_refused_harms_no_endpoint() {
    for kind in [
        FaultKind::Status { status: 400 },
        FaultKind::Status { status: 413 },
        FaultKind::Status { status: 422 },
        FaultKind::FilteredPrompt,
    ] {
        check_refused(kind);
    }
}

#[test]
fn what_is_too_large_to_be_sent_is_a_mistake_of_its_request_alone() {
    let fleet = fleet([SimDeployment::new("east"), SimDeployment::new("west")]);
    let blaster = blaster(&fleet);
    let long = "canary".repeat(12_000);
    let many = |request: ChatRequest| {
        (0..40).fold(request, |request, line| {
            request.header(format!("x-{line}"), &long[..1000])
        })
    };
    for id in 0..12 {
        let raw = |request: RawRequest| blaster.submit_raw(request).map(drop).map_err(Error::from);
        let chat = |request| blaster.submit(request).map(drop).map_err(Error::from);
        for refused in [
            chat(ask(id).header("x-trace", &long)),
            chat(ask(id).header(&long, "x")),
            chat(many(ask(id))),
            raw(RawRequest::post(Operation::Responses, "x").content_type(&long)),
            raw(RawRequest::get(Operation::Responses).header("x-trace", &long)),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Request, "{error}");
            assert!(error.to_string().len() < 300, "{error}");
        }
        let completion = blaster.chat(ask(id).header("x-trace", &long[..8_000])).unwrap();
        assert_eq!(completion.ledger().len(), 1);
    }
    assert_eq!(fleet.totals().requests, 12);
    for state in blaster.states() {
        assert_eq!(state.report().condition, Condition::Ready);
    }
}

/// Nothing listens, no such host, no TLS where TLS is asked for: the other endpoint answers, nothing left the machine.
#[test]
fn an_endpoint_that_cannot_be_reached_costs_no_caller_anything() {
    let fleet = fleet([SimDeployment::new("good")]);
    let port_without_tls = fleet.endpoints()[0].url.replace("http://", "https://");
    for url in [
        "http://127.0.0.1:9",
        "https://nobody.invalid",
        port_without_tls.as_str(),
    ] {
        let mut config = config(&fleet);
        let mut bad = config.deployments[0].clone();
        bad.name = "bad".to_owned();
        bad.endpoint = url.to_owned();
        config.deployments.push(bad);
        let blaster = Blaster::builder().config(config).build().unwrap();
        fleet.clear_journal();
        let mut attempts = 0;
        for id in 0..20 {
            let completion = blaster.chat(ask(id)).unwrap();
            assert!(
                completion
                    .ledger()
                    .attempts()
                    .iter()
                    .all(|attempt| attempt.endpoint.as_ref() == "sim-good" || attempt.endpoint.as_ref() == "good")
            );
            attempts += completion.ledger().len();
        }
        assert_eq!(fleet.journal().len(), attempts, "{url}");
        let report = blaster.states()[1].report();
        assert!(
            report.totals.failed > 0 && report.condition != Condition::Ready,
            "{url}: {report}"
        );
    }
}

/// Answers by itself: `east` as the test wants, `west` well.
struct Odd(fn(&Call<'_>) -> Result<Reply, Fault>, Arc<AtomicUsize>);

impl Transport for Odd {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        if call.endpoint == 0 {
            self.1.fetch_add(1, Ordering::Relaxed);
            return (self.0)(call);
        }
        let text = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;
        Ok(Reply {
            status: 200,
            headers: Headers::new(),
            body: Body::new(text.as_bytes()),
        })
    }
}

fn odd(east: fn(&Call<'_>) -> Result<Reply, Fault>, names: &[&str]) -> (Blaster, Arc<AtomicUsize>) {
    let deployments = names
        .iter()
        .map(|&name| DeploymentConfig::new(name, "http://localhost", "m").auth(Auth::None));
    let asked = Arc::new(AtomicUsize::new(0));
    let builder = Blaster::builder().config(BlasterConfig::new(deployments).num_workers(2));
    let transport = Odd(east, Arc::clone(&asked));
    (builder.transport(transport).seed(1).build().unwrap(), asked)
}

#[test]
fn a_transport_that_always_says_stale_is_not_asked_for_ever() {
    let stale = |_: &Call<'_>| Err(Fault::new(fault::FaultKind::Stale, Phase::Written, "closed"));
    let (blaster, asked) = odd(stale, &["east", "west"]);
    for _ in 0..20 {
        blaster.chat("x").unwrap();
    }
    // Twice for each attempt, until it is taken out.
    let asked = asked.load(Ordering::Relaxed);
    assert!((2..=20).contains(&asked), "{asked} requests");
    assert_ne!(blaster.states()[0].report().condition, Condition::Ready);
}

/// A body that comes byte by byte, for twenty seconds.
struct Drip(u32);

impl Read for Drip {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Ok(0);
        }
        self.0 -= 1;
        std::thread::sleep(Duration::from_millis(100));
        buf[0] = b' ';
        Ok(1)
    }
}

#[test]
fn a_refusal_whose_body_drips_is_known_by_its_head() {
    let refusal = |_: &Call<'_>| {
        let mut headers = Headers::new();
        headers.insert("retry-after", "60").unwrap();
        let (status, body) = (429, Body::new(Drip(200)));
        Ok(Reply { status, headers, body })
    };
    let (blaster, _) = odd(refusal, &["east", "west"]);
    let begun = Instant::now();
    for _ in 0..2 {
        blaster.chat("x").unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// A body whose reading is broken off by a cancel.
struct Cancelled;

impl Read for Cancelled {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let fault = Fault::new(fault::FaultKind::Cancelled, Phase::HeadReceived, "cancelled");
        Err(std::io::Error::other(fault))
    }
}

#[test]
fn a_cancel_amid_the_words_of_a_refusal_is_a_cancel() {
    let refusal = |_: &Call<'_>| {
        let (status, headers, body) = (400, Headers::new(), Body::new(Cancelled));
        Ok(Reply { status, headers, body })
    };
    let (blaster, _) = odd(refusal, &["east"]);
    assert_eq!(blaster.chat("x").unwrap_err().kind(), ErrorKind::Cancelled);
}
