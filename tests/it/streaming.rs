//! Answers that come as streams: who reads them, who stops reading, and what happens where they break.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use azure_openai_blaster::api::{
    ChatRequest, Condition, Delta, FinishReason, NoText, Operation, RawRequest, Role, Tool,
};
use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{FaultKind, FilterMode, Latency, SimDeployment, SimFault, SimFleet};
use azure_openai_blaster::{Blaster, Event};
use serde_json::{Value, json};

use crate::support::{PATIENCE, arrived, ask, blaster, config, echo, eventually, fleet, listened, state, wait};

fn build(config: BlasterConfig) -> Blaster {
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// The configuration of a client that calls the surface on which deployments stream every operation.
fn on_v1(fleet: &SimFleet) -> BlasterConfig {
    let mut config = config(fleet);
    config
        .deployments
        .iter_mut()
        .for_each(|one| one.api_version = "v1".to_owned());
    config
}

/// A deployment whose answers would take minutes: a piece every few milliseconds.
fn endless(name: &str) -> SimDeployment {
    SimDeployment::new(name).latency(Latency::default().tokens_per_s(300.0))
}

/// A request for such an answer.
fn lengthy() -> ChatRequest {
    ChatRequest::from("id:long sim:tokens=100000")
}

/// Waits until the client has hung up on a deployment's only request.
fn client_left(fleet: &SimFleet, deployment: &str) -> bool {
    fleet.wait_for(PATIENCE, |view| view.counters(deployment).unwrap().client_left == 1)
}

#[test]
fn a_cancel_reaches_a_worker_that_waits_for_its_reader() {
    let fleet = fleet([SimDeployment::new("east")]);
    let mut config = config(&fleet).num_workers(1);
    config.idle_timeout = PATIENCE * 10;
    let blaster = build(config);
    let stream = blaster.stream(ChatRequest::from("id:full sim:tokens=2000")).unwrap();
    let canceller = stream.canceller().unwrap();
    eventually("a buffer without room", || stream.is_full());
    canceller.cancel();
    let mut next = blaster.submit(ask("next")).unwrap();
    assert!(next.wait_timeout(PATIENCE).expect("the worker is free").is_ok());
    assert_eq!(stream.into_completion().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_callback_that_stops_after_a_cancel_was_cancelled() {
    let fleet = fleet([SimDeployment::new("east")]);
    let blaster = blaster(&fleet);
    let (tell, told) = mpsc::channel::<azure_openai_blaster::Canceller>();
    let handle = blaster
        .submit_streaming(ask(1), move |_| {
            if let Ok(canceller) = told.recv() {
                canceller.cancel();
            }
            ControlFlow::Break(())
        })
        .unwrap();
    tell.send(handle.canceller()).unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_stream_over_sockets_is_the_answer_in_pieces() {
    let fleet = fleet([
        SimDeployment::new("buffered"),
        SimDeployment::new("async").filter(FilterMode::Asynchronous),
        SimDeployment::new("plain").filter(FilterMode::Off).frame_tokens(7),
        SimDeployment::new("odd").fault(SimFault::always(FaultKind::Crlf)),
    ]);
    let blaster = blaster(&fleet);
    for model in ["buffered", "async", "plain", "odd"] {
        let whole = blaster.chat(ask(1).model(model)).unwrap();
        let mut stream = blaster.stream(ask(1).model(model)).unwrap();
        let deltas: Vec<Delta> = stream.by_ref().map(Result::unwrap).collect();
        let text: String = deltas.iter().map(Delta::text).collect();
        assert_eq!(Some(text.as_str()), whole.text(), "{model}");
        assert!(deltas.len() > 3, "{model}");
        assert_eq!(
            deltas
                .iter()
                .filter(|delta| delta.role == Some(Role::Assistant))
                .count(),
            1,
            "{model}"
        );
        assert_eq!(
            deltas.iter().filter(|delta| delta.finish_reason.is_some()).count(),
            1,
            "{model}"
        );
        let completion = stream.into_completion().unwrap();
        assert_eq!(completion.text(), whole.text(), "{model}");
        assert_eq!(completion.finish_reason(), Some(&FinishReason::Stop));
        assert_eq!(
            completion.usage().unwrap().completion_tokens,
            whole.usage().unwrap().completion_tokens
        );
    }
}

#[test]
fn several_choices_come_side_by_side() {
    let fleet = fleet([SimDeployment::new("gpt")]);
    let blaster = blaster(&fleet);
    let mut stream = blaster.stream(ask(1).n(3)).unwrap();
    let mut texts = vec![String::new(); 3];
    for delta in stream.by_ref() {
        let delta = delta.unwrap();
        texts[delta.choice as usize].push_str(delta.text());
    }
    let completion = stream.into_completion().unwrap();
    let whole = blaster.chat(ask(1).n(3)).unwrap();
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(completion.choices[index].index, index as u32);
        assert_eq!(completion.choices[index].message.text(), Some(text.as_str()));
        assert_eq!(whole.choices[index].message.text(), Some(text.as_str()));
        assert_eq!(completion.choices[index].finish_reason, Some(FinishReason::Stop));
    }
    assert_ne!(texts[0], texts[1]);
}

#[test]
fn tool_calls_and_refusals_come_in_pieces() {
    let fleet = fleet([SimDeployment::new("gpt")]);
    let blaster = blaster(&fleet);
    let tool = Tool::function(
        "look_up",
        "",
        json!({"type": "object", "properties": {"word": {"type": "string"}}}),
    );
    let mut stream = blaster.stream(ChatRequest::from("sim:tool").tools([tool])).unwrap();
    let deltas: Vec<Delta> = stream.by_ref().map(Result::unwrap).collect();
    let pieces: Vec<_> = deltas.iter().flat_map(|delta| &delta.tool_calls).collect();
    let arguments: String = pieces.iter().map(|piece| piece.arguments.as_str()).collect();
    assert_eq!(
        pieces
            .iter()
            .filter_map(|piece| piece.name.as_deref())
            .collect::<Vec<_>>(),
        ["look_up"]
    );
    assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.index == 0));
    serde_json::from_str::<Value>(&arguments).unwrap();
    let completion = stream.into_completion().unwrap();
    let [call] = completion.tool_calls() else {
        panic!("one call")
    };
    assert_eq!(
        (call.name(), &call.function.as_ref().unwrap().arguments),
        ("look_up", &arguments)
    );
    assert_eq!(completion.finish_reason(), Some(&FinishReason::ToolCalls));

    let mut stream = blaster.stream("sim:refuse").unwrap();
    let refusal: String = stream.by_ref().filter_map(|delta| delta.unwrap().refusal).collect();
    let completion = stream.into_completion().unwrap();
    assert_eq!(
        (completion.refusal(), completion.no_text()),
        (Some(refusal.as_str()), Some(NoText::Refused))
    );
}

#[test]
fn a_failure_before_content_is_made_good_elsewhere() {
    for fault in [
        FaultKind::CutStream { frames: 0 },
        FaultKind::CutStream { frames: 2 },
        FaultKind::StallStream { frames: 2 },
        FaultKind::ErrorEvent { frames: 0 },
        FaultKind::ErrorEvent { frames: 2 },
        FaultKind::RefusedStream { retry_after_s: 60 },
        FaultKind::Reset,
        FaultKind::Html502,
        FaultKind::Status { status: 503 },
    ] {
        let fleet = fleet([
            SimDeployment::new("bad").fault(SimFault::always(fault)),
            SimDeployment::new("good"),
        ]);
        let blaster = build(config(&fleet).first_byte_timeout(Duration::from_secs(1)));
        let mut failed_over = 0;
        for id in 0..2 {
            let mut stream = blaster.stream(ask(id)).unwrap();
            let text: String = stream.by_ref().map(|delta| delta.unwrap().text().to_owned()).collect();
            assert!(text.starts_with(&echo(id)), "{fault:?}: {text}");
            let completion = stream.into_completion().unwrap();
            assert_eq!(completion.text(), Some(text.as_str()), "{fault:?}");
            failed_over += completion.ledger().len() - 1;
        }
        assert_eq!((failed_over, fleet.journal().len()), (1, 3), "{fault:?}");
    }
}

#[test]
fn a_failure_after_content_ends_the_stream_with_what_was_received() {
    for fault in [
        FaultKind::CutStream { frames: 6 },
        FaultKind::StallStream { frames: 6 },
        FaultKind::ErrorEvent { frames: 6 },
        FaultKind::HalfBody,
        FaultKind::HalfBodyReset,
        FaultKind::NoFinish,
        FaultKind::BadJson,
    ] {
        let fleet = fleet([
            SimDeployment::new("bad").fault(SimFault::next(1, fault)),
            SimDeployment::new("good"),
        ]);
        let blaster = build(config(&fleet).idle_timeout(Duration::from_secs(1)));
        let mut stream = blaster.stream(ask(1).model("bad")).unwrap();
        let mut text = String::new();
        let error = loop {
            match stream.next().expect("the error is the last item") {
                Ok(delta) => text.push_str(delta.text()),
                Err(error) => break error,
            }
        };
        assert!(stream.next().is_none(), "{fault:?}");
        assert!(text.starts_with(&echo(1)), "{fault:?}");
        let Error::StreamBroken { partial, trail } = &error else {
            panic!("{fault:?}: {error}")
        };
        let partial = partial.as_ref().unwrap();
        assert_eq!(partial.text(), Some(text.as_str()), "{fault:?}");
        assert_eq!(partial.finish_reason(), None, "{fault:?}");
        assert_eq!(
            trail.ledger.len(),
            1,
            "{fault:?}: what was handed out cannot be taken back"
        );
        assert!(error.is_retryable());
        assert_eq!(fleet.journal().len(), 1, "{fault:?}");
    }
}

#[test]
fn a_stall_is_noticed_and_the_answer_made_again_where_nothing_was_handed_out() {
    let fleet = fleet([SimDeployment::new("gpt").fault(SimFault::next(1, FaultKind::StallStream { frames: 6 }))]);
    let blaster = build(config(&fleet).idle_timeout(Duration::from_secs(1)));
    let completion = blaster.chat(ask(1).stream(true)).unwrap();
    assert!(completion.text().unwrap().starts_with(&echo(1)));
    let [stalled, _] = completion.ledger().attempts() else {
        panic!("{}", completion.ledger())
    };
    assert_eq!(stalled.status, Some(200));
    assert!(client_left(&fleet, "gpt"));
}

#[test]
fn a_reader_that_stops_costs_a_worker_for_the_idle_timeout_only() {
    let fleet = fleet([endless("gpt"), SimDeployment::new("quick")]);
    let (blaster, told) = listened(config(&fleet).num_workers(1).idle_timeout(Duration::from_secs(1)));
    let mut stream = blaster.stream(lengthy().model("gpt")).unwrap();
    stream.next().unwrap().unwrap();
    let ended = told.until(|event| match event {
        Event::JobEnded { error, .. } => Some(*error),
        _ => None,
    });
    assert_eq!(ended, Some(ErrorKind::StreamBroken));
    assert!(client_left(&fleet, "gpt"));
    assert!(blaster.chat(ask(1).model("quick")).is_ok(), "the worker works again");
    // What was on its way is still there, and then the reason.
    let rest: Vec<_> = stream.collect();
    let (last, pieces) = rest.split_last().unwrap();
    assert!(pieces.iter().all(Result::is_ok));
    let Err(Error::StreamBroken { partial, .. }) = last else {
        panic!("{last:?}")
    };
    assert!(partial.as_ref().unwrap().text().unwrap().starts_with(&echo("long")));
    let report = state(&blaster, "gpt").report();
    assert_eq!(
        (report.condition, report.totals.failed),
        (Condition::Ready, 0),
        "it is not to blame: {report}"
    );
}

#[test]
fn dropping_a_stream_cancels_its_job_and_closes_its_connection() {
    let fleet = fleet([endless("gpt"), SimDeployment::new("quick")]);
    let blaster = build(on_v1(&fleet).num_workers(1));
    let mut stream = blaster.stream(lengthy().model("gpt")).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    assert!(client_left(&fleet, "gpt"));
    assert!(blaster.chat(ask(1).model("quick")).is_ok(), "the worker works again");

    // The same for raw bytes.
    let body = r#"{"stream":true,"input":"sim:tokens=100000","model":"gpt"}"#;
    let mut raw = blaster
        .stream_raw(RawRequest::post(Operation::Responses, body))
        .unwrap();
    assert!(!raw.next().unwrap().unwrap().is_empty());
    drop(raw);
    assert!(fleet.wait_for(PATIENCE, |view| view.counters("gpt").unwrap().client_left == 2));
    assert!(blaster.chat(ask(2).model("quick")).is_ok());
    let report = state(&blaster, "gpt").report();
    assert_eq!(
        (report.condition, report.totals.failed, report.totals.abandoned),
        (Condition::Ready, 0, 2),
        "{report}"
    );
}

#[test]
fn a_callback_that_has_enough_gets_what_came_and_closes_the_connection() {
    let fleet = fleet([endless("gpt")]);
    let blaster = blaster(&fleet);
    let (tell, told) = mpsc::channel();
    let mut pieces = 0;
    let each = move |delta: &Delta| {
        tell.send(delta.text().to_owned()).unwrap();
        pieces += 1;
        if pieces == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let completion = wait(blaster.submit_streaming(lengthy(), each).unwrap()).unwrap();
    let seen: Vec<String> = told.iter().collect();
    assert_eq!(seen.len(), 5);
    assert!(completion.text().unwrap().starts_with(&seen.concat()));
    assert_eq!(completion.finish_reason(), None);
    assert!(client_left(&fleet, "gpt"));
}

#[test]
fn a_callback_that_panics_fails_its_job_alone() {
    let fleet = fleet([endless("gpt"), SimDeployment::new("quick")]);
    let blaster = blaster(&fleet);
    let handle = blaster
        .submit_streaming(lengthy().model("gpt"), |_| panic!("no more of this"))
        .unwrap();
    let error = wait(handle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("no more of this"), "{error}");
    assert_eq!(error.ledger().unwrap().len(), 1);
    assert!(client_left(&fleet, "gpt"));
    assert!((0..40).all(|id| blaster.chat(ask(id).model("quick")).is_ok()));
    assert_eq!(blaster.workers(), 16);
    assert_eq!(state(&blaster, "gpt").report().condition, Condition::Ready);
}

#[test]
fn a_raw_stream_is_made_good_elsewhere_until_its_content_comes() {
    for fault in [
        FaultKind::ErrorEvent { frames: 1 },
        FaultKind::CutStream { frames: 1 },
        FaultKind::Reset,
    ] {
        let fleet = fleet([
            SimDeployment::new("bad").fault(SimFault::always(fault)),
            SimDeployment::new("good"),
        ]);
        let blaster = build(on_v1(&fleet));
        for id in 0..2 {
            for operation in [Operation::Responses, Operation::ChatCompletions] {
                let text = format!("id:{id}");
                let body = json!({"stream": true, "input": text, "messages": [{"role": "user", "content": text}]});
                let stream = blaster
                    .stream_raw(RawRequest::post(operation, body.to_string()))
                    .unwrap();
                let bytes: Vec<u8> = stream.flat_map(Result::unwrap).collect();
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.contains(&echo(id)), "{fault:?}: {text}");
                assert!(!text.contains("server_error"), "{fault:?}: {text}");
            }
        }
        assert!(!arrived(&fleet, "bad").is_empty());
    }
    // After that it is its reader's, and ends as broken.
    let fleet = fleet([SimDeployment::new("bad").fault(SimFault::always(FaultKind::CutStream { frames: 12 }))]);
    let body = r#"{"stream":true,"input":"id:1"}"#;
    let blaster = build(on_v1(&fleet));
    let stream = blaster
        .stream_raw(RawRequest::post(Operation::Responses, body))
        .unwrap();
    let pieces: Vec<_> = stream.collect();
    let error = pieces.last().unwrap().as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.ledger().unwrap().len()),
        (ErrorKind::StreamBroken, 1)
    );
}
