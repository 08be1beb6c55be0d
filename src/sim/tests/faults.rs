use super::*;
use crate::sim::{FaultKind, RefusalFamily, RetryAfter, SimFault, SimOperation};

/// Sends a chat, streamed or not, to a deployment with this fault always.
fn played(kind: FaultKind, stream: bool) -> Plan {
    let mut client = Client::of(|d| d.fault(SimFault::always(kind)));
    let plan = client.chat("hello", if stream { r#","stream":true"# } else { "" });
    assert_eq!(plan.note.fault, Some(kind.name()));
    assert_eq!(client.world.summary().deployments[0].faults, 1);
    plan
}

#[test]
fn connections_fail_before_any_head() {
    for (kind, ending) in [
        (FaultKind::Hang, Ending::Hang),
        (FaultKind::Reset, Ending::Reset),
        (FaultKind::Garbage, Ending::Raw),
    ] {
        let plan = played(kind, false);
        assert_eq!(plan.ending, ending);
        assert_eq!(plan.body.is_empty(), kind != FaultKind::Garbage);
        assert_eq!(plan.note.charged, 0, "nothing is charged");
    }
}

#[test]
fn gateways_answer_instead_of_the_model() {
    let throttle = FaultKind::Throttle {
        family: RefusalFamily::Gateway,
        retry_after: RetryAfter::ZeroMs,
        wait_ms: 1000,
    };
    for (kind, status, part) in [
        (FaultKind::Status { status: 500 }, 500, "The server had an error"),
        (FaultKind::Status { status: 503 }, 503, "no healthy upstream"),
        (FaultKind::Status { status: 404 }, 404, "DeploymentNotFound"),
        (FaultKind::Status { status: 429 }, 429, "RateLimitReached"),
        (FaultKind::Status { status: 409 }, 409, "409"),
        (FaultKind::ResourceNotFound, 404, "Resource not found"),
        (FaultKind::Html502, 502, "<html>"),
        (FaultKind::FilteredPrompt, 400, "ResponsibleAIPolicyViolation"),
        (FaultKind::Redirect, 307, ""),
        (throttle, 429, "Try again in 1 second."),
    ] {
        let plan = played(kind, true);
        assert_eq!((plan.status, plan.ending), (status, Ending::Clean), "{kind:?}");
        assert!(text(&plan).contains(part), "{kind:?}: {}", text(&plan));
    }
    assert_eq!(
        header(&played(FaultKind::Redirect, false), "location"),
        Some("/elsewhere")
    );
    assert_eq!(header(&played(throttle, false), "retry-after-ms"), Some("0"));
}

#[test]
fn whole_bodies_are_spoilt() {
    let good = text(&Client::of(|d| d).chat("hello", ""));
    for (kind, ending) in [
        (FaultKind::HalfBody, Ending::Cut),
        (FaultKind::HalfBodyReset, Ending::Reset),
        (FaultKind::CutStream { frames: 3 }, Ending::Cut),
        (FaultKind::StallStream { frames: 3 }, Ending::Stall),
    ] {
        let plan = played(kind, false);
        assert_eq!((plan.status, plan.ending), (200, ending));
        assert_eq!(text(&plan).len(), good.len() / 2, "{kind:?}");
    }
    let bad = played(FaultKind::BadJson, false);
    assert_eq!(bad.ending, Ending::Clean);
    assert!(serde_json::from_str::<Value>(&text(&bad)).is_err());
    let empty = json(&played(FaultKind::EmptyChoices, false));
    assert_eq!(empty["choices"], serde_json::json!([]));
    let nothing = played(FaultKind::NoContent, false);
    assert_eq!((nothing.status, nothing.body.len()), (204, 0));
    let unfiltered = json(&played(FaultKind::FilterError, false));
    let results = &unfiltered["choices"][0]["content_filter_results"];
    assert_eq!(results["error"]["code"], "content_filter_error");
    assert!(unfiltered.get("error").is_none() && unfiltered["choices"][0]["message"]["content"].is_string());
    let filtered = json(&played(FaultKind::FilteredAnswer, false));
    assert_eq!(filtered["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn streams_are_spoilt() {
    let good = text(&Client::of(|d| d).chat("hello", r#","stream":true"#));
    let good_frames: Vec<&str> = good.split_inclusive("\n\n").collect();
    let first = |frames: usize| good_frames[..frames].concat();
    let content = good_frames.len() - 2;
    let rows = [
        (FaultKind::CutStream { frames: 0 }, Ending::Cut, String::new()),
        (FaultKind::CutStream { frames: 4 }, Ending::Cut, first(4)),
        (FaultKind::StallStream { frames: 3 }, Ending::Stall, first(3)),
        (FaultKind::NoFinish, Ending::Clean, first(content)),
        (FaultKind::NoDone, Ending::Clean, first(content + 1)),
        (
            FaultKind::DoneWithoutBlankLine,
            Ending::Clean,
            good[..good.len() - 1].to_owned(),
        ),
        (FaultKind::Crlf, Ending::Clean, good.replace('\n', "\r\n")),
    ];
    for (kind, ending, expected) in rows {
        let plan = played(kind, true);
        assert_eq!((plan.status, plan.ending), (200, ending), "{kind:?}");
        assert_eq!(text(&plan), expected, "{kind:?}");
    }
    let commented = text(&played(FaultKind::Comments, true));
    assert_eq!(commented.matches(": keep-alive\n\n").count(), good_frames.len());
    for kept in [0, 5] {
        let plan = played(FaultKind::ErrorEvent { frames: kept }, true);
        let rest = text(&plan);
        let rest = rest.strip_prefix(&first(kept as usize)).unwrap();
        let error: Value = serde_json::from_str(rest.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["error"]["type"], "server_error");
        assert_eq!(plan.ending, Ending::Clean);
    }
    let broken = text(&played(FaultKind::BadJson, true));
    let last = broken.trim_end().rsplit("data: ").next().unwrap();
    assert!(serde_json::from_str::<Value>(last).is_err(), "{last}");
    assert_eq!(text(&played(FaultKind::HalfBody, true)), good[..good.len() / 2]);
}

#[test]
fn bytes_come_late_or_in_drops() {
    let good = Client::of(|d| d).chat("hello", "");
    let late = played(FaultKind::SlowFirstByte { ms: 700 }, false);
    assert_eq!(late.head_at, good.head_at + Duration::from_millis(700));
    assert_eq!(late.body[0].at, late.head_at);
    let drops = played(
        FaultKind::Drip {
            bytes: 100,
            every_ms: 10,
        },
        true,
    );
    let times: Vec<_> = drops.body.iter().map(|piece| piece.at.as_millis()).collect();
    assert!(times.iter().enumerate().all(|(i, at)| *at == 10 * i as u128));
    assert!(drops.body.iter().all(|piece| piece.bytes.len() <= 100));
    let stream = Client::of(|d| d).chat("hello", r#","stream":true"#);
    assert_eq!(text(&drops), text(&stream));
}

#[test]
fn a_200_can_be_a_429() {
    let kind = FaultKind::RefusedStream { retry_after_s: 7 };
    let plan = played(kind, true);
    assert_eq!((plan.status, header(&plan, "retry-after")), (200, Some("7")));
    assert!(text(&plan).contains("rate_limit_exceeded"));
    let whole = played(kind, false);
    assert_eq!((whole.status, header(&whole, "retry-after")), (429, Some("7")));

    let mut client = Client::of(|d| d.fault(SimFault::always(kind))).path("/openai/v1/responses");
    client.query.clear();
    let plan = client.send(r#"{"model":"d","input":"hello","stream":true}"#);
    let names: Vec<String> = text(&plan)
        .lines()
        .filter_map(|l| l.strip_prefix("event: ").map(str::to_owned))
        .collect();
    assert_eq!(names, ["error", "response.failed"]);
    assert_eq!(header(&plan, "retry-after"), Some("7"));
}

#[test]
fn a_deployment_dies_and_comes_back_at_its_times() {
    let mut client = Client::of(|d| d.fault(SimFault::between(5.0, 9.0, FaultKind::Reset)));
    for (at_s, ending) in [
        (4.9, Ending::Clean),
        (5.0, Ending::Reset),
        (8.9, Ending::Reset),
        (9.0, Ending::Clean),
    ] {
        assert_eq!(client.at(at_s).chat("hello", "").ending, ending, "{at_s} s");
    }
}

#[test]
fn faults_can_be_added_and_ended_on_the_way() {
    let mut client = Client::of(|d| d);
    assert_eq!(client.chat("hello", "").ending, Ending::Clean);
    client.world.inject(0, SimFault::next(1, FaultKind::Hang)).unwrap();
    assert_eq!(client.chat("hello", "").ending, Ending::Hang);
    assert_eq!(client.chat("hello", "").ending, Ending::Clean);
    client.world.inject(0, SimFault::always(FaultKind::Hang)).unwrap();
    assert_eq!(client.chat("hello", "").ending, Ending::Hang);
    client.world.clear_faults(0);
    assert_eq!(client.chat("hello", "").ending, Ending::Clean);
    let bad = client.world.inject(0, SimFault::random(2.0, FaultKind::Hang));
    assert!(bad.unwrap_err().to_string().contains("the injected fault's when"));
}

#[test]
fn poison_is_answered_everywhere_and_by_its_marker_alone() {
    let config = SimConfig::new([SimDeployment::new("d"), SimDeployment::new("e").resource("d")])
        .poison("BAD-JOB", 400)
        .poison("WORSE-JOB", 500);
    let mut client = Client::new(&config);
    for deployment in ["d", "e"] {
        client.path = format!("/openai/deployments/{deployment}/chat/completions");
        for (prompt, status) in [("a BAD-JOB", 400), ("a WORSE-JOB", 500), ("a job", 200)] {
            let plan = client.chat(prompt, "");
            assert_eq!(plan.status, status, "{prompt} at {deployment}");
            assert!(plan.note.charged > 0, "it was admitted");
        }
    }
}

#[test]
fn faults_of_streams_hold_for_the_other_operations() {
    for operation in [SimOperation::Completions, SimOperation::Embeddings] {
        let path = format!("/openai/deployments/d/{}", operation.path());
        let mut client = Client::of(|d| d.fault(SimFault::always(FaultKind::CutStream { frames: 2 }))).path(&path);
        let plan = client.send(r#"{"prompt":"a","input":"a","stream":true}"#);
        assert_eq!(plan.ending, Ending::Cut, "{operation:?}");
    }
}
