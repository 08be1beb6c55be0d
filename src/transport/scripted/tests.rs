use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock;
use crate::error::fault::TimeoutKind;
use crate::transport::{Body, Gate, Limits, MAX_BODY};

const MINUTE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        connect: MINUTE,
        first_byte: MINUTE,
        first_content: MINUTE,
        idle: MINUTE,
        deadline: clock::now() + 2 * MINUTE,
    }
}

fn ask(transport: &Scripted, endpoint: usize, body: &Value) -> Result<Reply, Fault> {
    ask_with(transport, endpoint, body, limits(), &Gate::default(), &Headers::new())
}

fn ask_with(
    transport: &Scripted,
    endpoint: usize,
    body: &Value,
    limits: Limits,
    gate: &Gate,
    headers: &Headers,
) -> Result<Reply, Fault> {
    transport.send(&Call {
        endpoint,
        number: 0,
        method: Method::Post,
        operation: &Operation::ChatCompletions,
        headers,
        token: None,
        body: body.to_string().as_bytes(),
        limits,
        gate,
        fresh: false,
    })
}

fn body_of(reply: &mut Reply) -> String {
    String::from_utf8(reply.read_to_vec(MAX_BODY).unwrap()).unwrap()
}

#[test]
fn a_text_is_a_whole_chat_completion() {
    let mut reply = ask(&Scripted::answering("hello you"), 0, &json!({"model": "gpt"})).unwrap();
    assert_eq!(
        (reply.status, reply.headers.get("content-type")),
        (200, Some("application/json"))
    );
    let body: Value = serde_json::from_str(&body_of(&mut reply)).unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "gpt");
    assert_eq!(body["choices"][0]["message"]["content"], "hello you");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 2);
}

#[test]
fn a_text_is_a_stream_where_the_request_asks_for_one() {
    let request = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut reply = ask(&Scripted::answering("hello you"), 0, &request).unwrap();
    assert!(
        reply
            .headers
            .get("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    let body = body_of(&mut reply);
    let events: Vec<&str> = body
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap())
        .collect();
    let (done, frames) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let frames: Vec<Value> = frames
        .iter()
        .map(|frame| serde_json::from_str(frame).unwrap())
        .collect();
    let text: String = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "hello you");
    assert!(
        frames
            .iter()
            .any(|frame| frame["choices"][0]["finish_reason"] == "stop")
    );
    assert_eq!(frames.last().unwrap()["usage"]["completion_tokens"], 2);
}

#[test]
fn a_script_is_played_in_order_and_then_the_handler_answers() {
    let transport = Scripted::answering("later").script(
        "east",
        [
            ScriptedReply::status(429)
                .header("retry-after", "7")
                .json(&json!({"error": {"code": "429"}})),
            ScriptedReply::fault(FaultKind::Refused),
        ],
    );
    transport.bind(&["west".into(), "east".into()]);
    let request = json!({});
    assert_eq!(ask(&transport, 0, &request).unwrap().status, 200);
    let mut throttled = ask(&transport, 1, &request).unwrap();
    assert_eq!(
        (throttled.status, throttled.headers.get("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(body_of(&mut throttled), r#"{"error":{"code":"429"}}"#);
    let refused = ask(&transport, 1, &request).unwrap_err();
    assert_eq!((refused.kind, refused.phase), (FaultKind::Refused, Phase::NotWritten));
    assert_eq!(ask(&transport, 1, &request).unwrap().status, 200);
    let asked: Vec<_> = transport.calls().iter().map(|call| call.endpoint.to_string()).collect();
    assert_eq!(asked, ["west", "east", "east", "east"]);
}

#[test]
fn the_record_shows_what_was_asked_but_no_credential() {
    let transport = Scripted::answering("x");
    let mut headers = Headers::new();
    headers.insert("x-trace", "1").unwrap();
    headers.insert("api-key", "canary").unwrap();
    headers.insert("authorization", "Bearer canary").unwrap();
    ask_with(
        &transport.clone(),
        3,
        &json!({"a": 1}),
        limits(),
        &Gate::default(),
        &headers,
    )
    .unwrap();
    let calls = transport.calls();
    assert_eq!(&*calls[0].endpoint, "3");
    assert_eq!(calls[0].operation, Operation::ChatCompletions);
    assert_eq!(calls[0].body, json!({"a": 1}));
    assert_eq!(calls[0].headers.iter().collect::<Vec<_>>(), [("x-trace", "1")]);
    assert!(!format!("{calls:?}{transport:?}").contains("canary"));
}

#[test]
fn a_cut_body_ends_in_a_closed_connection() {
    let check = |cut: usize, wanted: Result<&[u8], FaultKind>| {
        let transport = Scripted::new(move |_| ScriptedReply::status(200).body("12345").cut_after(cut));
        let read = ask(&transport, 0, &json!({})).unwrap().read_to_vec(MAX_BODY);
        assert_eq!(read.as_deref().map_err(|fault| fault.kind), wanted, "cut after {cut}");
    };
    check(0, Err(FaultKind::Closed));
    check(4, Err(FaultKind::Closed));
    check(5, Ok(b"12345"));
    check(9, Ok(b"12345"));
}

#[test]
fn a_hanging_call_ends_at_its_limit() {
    let transport = Scripted::new(|_| ScriptedReply::hang());
    let check = |first_byte, deadline, kind| {
        let limits = Limits {
            first_byte,
            deadline: clock::now() + deadline,
            ..limits()
        };
        let fault = ask_with(&transport, 0, &json!({}), limits, &Gate::default(), &Headers::new()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(kind));
    };
    check(Duration::from_millis(1), MINUTE, TimeoutKind::FirstByte);
    check(MINUTE, Duration::from_millis(1), TimeoutKind::Attempt);
}

#[test]
fn a_cancel_ends_a_hanging_call_and_the_reading_of_a_body() {
    let hanging = Scripted::new(|_| ScriptedReply::hang());
    let gate = Gate::default();
    let fault = std::thread::scope(|scope| {
        let call = scope.spawn(|| ask_with(&hanging, 0, &json!({}), limits(), &gate, &Headers::new()));
        while hanging.calls().is_empty() {
            std::thread::yield_now();
        }
        gate.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!(fault.kind, FaultKind::Cancelled);
    let again = ask_with(&hanging, 0, &json!({}), limits(), &gate, &Headers::new()).unwrap_err();
    assert_eq!((again.kind, hanging.calls().len()), (FaultKind::Cancelled, 1));

    let gate = Gate::default();
    let answering = Scripted::answering("x");
    let mut reply = ask_with(&answering, 0, &json!({}), limits(), &gate, &Headers::new()).unwrap();
    gate.cancel();
    let error = std::io::Read::read(&mut reply.body, &mut [0; 8]).unwrap_err();
    assert_eq!(Body::fault(&error).kind, FaultKind::Cancelled);
}
