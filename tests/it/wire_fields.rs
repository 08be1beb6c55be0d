//! What of a request reaches the wire, and what of a reply reaches the caller: all of it, byte for byte.

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{
    ChatMessage, ChatRequest, ContentPart, EmbeddingRequest, EncodingFormat, FinishReason, Operation, RawRequest,
    ReasoningEffort, ResponseFormat, StreamOptions, Tool, ToolCall, ToolChoice,
};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, SendStreamOptions};
use azure_openai_blaster::error::{Error, ErrorKind};
use azure_openai_blaster::sim::{FaultKind, SimDeployment, SimFault, SimFleet};
use serde_json::{Value, json};

use crate::canned::Canned;
use crate::conversing::Conversing;
use crate::support::{ask, blaster, echo, fleet, fleet_with_bodies, wait};

/// The body of the newest request.
fn last_body(fleet: &SimFleet) -> String {
    fleet.journal().pop().unwrap().body
}

fn weather() -> Tool {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]});
    Tool::function("get_weather", "The weather at a place.", schema).strict(true)
}

#[test]
fn every_field_reaches_the_wire_byte_for_byte() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let request = ChatRequest::new([
        ChatMessage::system("Be \"brief\".\n"),
        ChatMessage::user("Wie heißt 東京 auf Deutsch? 🙂 id:1")
            .name("ada")
            .extra("cache_control", json!({"type": "ephemeral"})),
        ChatMessage::assistant_tool_calls([ToolCall::function("call_1", "get_weather", r#"{"place": "東京"}"#)]),
        ChatMessage::tool("call_1", "warm"),
        ChatMessage::user(vec![
            ContentPart::text("and this?"),
            ContentPart::image_url("data:image/png;base64,AAAA").detail("low"),
        ]),
    ])
    .model("gpt-4o")
    .temperature(0.1)
    .tools([weather()])
    .tool_choice(ToolChoice::None)
    .response_format(ResponseFormat::json_schema("city", json!({"type": "object"})))
    .reasoning_effort(ReasoningEffort::Low)
    .seed(-7)
    .extra("not_yet_invented", json!({"depth": [1, 2.50, null, "<&>"]}));
    blaster(&fleet).chat(request).unwrap();
    let expected = [
        r#"{"messages":["#,
        r#"{"role":"system","content":"Be \"brief\".\n"},"#,
        r#"{"role":"user","content":"Wie heißt 東京 auf Deutsch? 🙂 id:1","name":"ada","cache_control":{"type":"ephemeral"}},"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"place\": \"東京\"}"}}]},"#,
        r#"{"role":"tool","content":"warm","tool_call_id":"call_1"},"#,
        r#"{"role":"user","content":[{"text":"and this?","type":"text"},{"image_url":{"detail":"low","url":"data:image/png;base64,AAAA"},"type":"image_url"}]}"#,
        r#"],"temperature":0.1,"#,
        r#""tools":[{"type":"function","function":{"name":"get_weather","description":"The weather at a place.","parameters":{"properties":{"place":{"type":"string"}},"required":["place"],"type":"object"},"strict":true}}],"#,
        r#""tool_choice":"none","#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"city","strict":true,"schema":{"type":"object"}}},"#,
        r#""reasoning_effort":"low","#,
        r#""seed":-7,"#,
        r#""not_yet_invented":{"depth":[1,2.5,null,"<&>"]},"#,
        r#""model":"gpt"}"#,
    ]
    .concat();
    assert_eq!(last_body(&fleet), expected);
    assert_eq!(fleet.journal()[0].body_bytes, expected.len());
}

#[test]
fn headers_of_a_request_and_of_its_deployment_reach_the_wire() {
    let fleet = fleet([SimDeployment::new("gpt")]);
    let mut config = crate::support::config(&fleet);
    config.deployments[0] = config.deployments[0].clone().header("x-gateway", "blue");
    let blaster = Blaster::builder().config(config).build().unwrap();
    blaster
        .chat(ask(1).header("X-Team", "green").header("x-ms-client-request-id", "r-1"))
        .unwrap();
    let entry = &fleet.journal()[0];
    for (name, value) in [
        ("x-gateway", "blue"),
        ("x-team", "green"),
        ("x-ms-client-request-id", "r-1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(entry.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_stream_asks_for_its_usage_unless_the_caller_decided_otherwise() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let blaster = blaster(&fleet);
    let options = |include| StreamOptions::new().include_usage(include);
    for (request, sent, told) in [
        (ask(1), None, true),
        (ask(1).stream(true), Some(json!({"include_usage": true})), true),
        (
            ask(1).stream(true).stream_options(options(true)),
            Some(json!({"include_usage": true})),
            true,
        ),
        (
            ask(1).stream(true).stream_options(options(false)),
            Some(json!({"include_usage": false})),
            false,
        ),
    ] {
        let completion = blaster.chat(request).unwrap();
        let body: Value = serde_json::from_str(&last_body(&fleet)).unwrap();
        assert_eq!(body.get("stream_options"), sent.as_ref());
        let usage = completion.usage();
        assert_eq!(
            usage.is_some_and(|usage| usage.completion_tokens > 0),
            told,
            "{sent:?}: {usage:?}"
        );
    }
    // Who reads piece by piece gets pieces of the answer only.
    let mut stream = blaster.stream(ask(2)).unwrap();
    for delta in stream.by_ref() {
        let frame: Value = delta.unwrap().raw_json().unwrap();
        assert_ne!(frame["choices"], json!([]), "{frame}");
    }
    assert!(stream.into_completion().unwrap().usage().is_some());
}

#[test]
fn a_stream_is_served_by_a_deployment_that_refuses_stream_options() {
    const SAYS: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hey"},"finish_reason":"stop"}]}"#;
    let server = Conversing::start(|mut talk| {
        let body: Value = serde_json::from_slice(&talk.request.body).unwrap();
        if body.get("stream_options").is_some() {
            let refusal =
                r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","code":null}}"#;
            talk.chunked("400 Bad Request\r\ncontent-type: application/json", &[refusal]);
        } else {
            let frames = format!("{SAYS}\n\ndata: [DONE]\n\n");
            talk.chunked("200 OK\r\ncontent-type: text/event-stream", &[&frames]);
        }
        talk.chunk("")
    });
    let client = |send| {
        let deployment = DeploymentConfig::new("gpt", &server.url, "gpt")
            .api_version("v1")
            .send_stream_options(send);
        let config = BlasterConfig::new([deployment]).num_workers(2);
        Blaster::builder().config(config).build().unwrap()
    };
    let own = |include| StreamOptions::new().include_usage(include);
    let (auto, never) = (client(SendStreamOptions::Auto), client(SendStreamOptions::Never));
    for (request, refused) in [
        (ask(1).stream(true), true),
        (ask(1).stream(true).stream_options(own(true)), true),
        (ask(1).stream(true).extra("stream_options", ()), false),
        (ask(1).stream(true).extra("stream_options", json!(null)), false),
    ] {
        assert_eq!(auto.chat(request.clone()).is_err(), refused, "{request:?}");
        let completion = never.chat(request).unwrap();
        assert_eq!((completion.text(), completion.usage()), (Some("Hey"), None));
    }
    // Bytes that pass through keep what they have, but for a deployment that takes none.
    let body = r#"{"messages":[],"stream":true,"stream_options":null}"#;
    let raw = || RawRequest::post(Operation::ChatCompletions, body);
    assert!(wait(auto.submit_raw(raw()).unwrap()).is_err());
    let reply = wait(never.submit_raw(raw()).unwrap()).unwrap();
    assert!(reply.body.starts_with(SAYS.as_bytes()));
}

/// A blaster with one deployment on a canned server.
fn on(canned: &Canned) -> Blaster {
    let deployment = DeploymentConfig::new("gpt", &canned.url, "gpt")
        .auth(Auth::key("k"))
        .api_version("v1");
    Blaster::builder()
        .config(BlasterConfig::new([deployment]).num_workers(2))
        .build()
        .unwrap()
}

#[test]
fn raw_operations_pass_untouched_in_both_directions() {
    // Not what anybody should send, which is the point.
    let answer: &[u8] = b" {\"b\":1.50,\t\"a\" : \"\\u00e9\xff\", \"b\":2e3}\r\n ";
    let canned = Canned::start("200 OK\r\ncontent-type: application/json\r\nX-Odd:  kept ", answer);
    let blaster = on(&canned);
    let json = r#"{ "b" : 1.50, "input":"\u00e9 x", "b":2e3 ,"model": "gpt", "nested":{"z":[1,  2], "a":"\/"} }"#;
    let reply = wait(
        blaster
            .submit_raw(RawRequest::post(Operation::Responses, json))
            .unwrap(),
    )
    .unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, answer));
    assert_eq!(reply.headers.get("x-odd"), Some("kept"));
    assert_eq!(reply.ledger().len(), 1);

    let opaque: &[u8] = b"--x\r\n\r\n\x00\xff{\"model\":\"gpt\"}\r\n--x--";
    let upload =
        RawRequest::post(Operation::other("files").unwrap(), opaque).content_type("multipart/form-data; boundary=x");
    assert_eq!(wait(blaster.submit_raw(upload).unwrap()).unwrap().body, answer);
    let read = RawRequest::get(Operation::other("responses/resp_1").unwrap());
    assert_eq!(wait(blaster.submit_raw(read).unwrap()).unwrap().body, answer);

    let [first, second, third] = &canned.received()[..] else {
        panic!("three requests")
    };
    let members = r#"{"b":1.50,"input":"\u00e9 x","b":2e3,"nested":{"z":[1,  2], "a":"\/"},"model":"gpt"}"#;
    assert_eq!(
        String::from_utf8_lossy(&first.body),
        members,
        "members are kept as they stand"
    );
    assert!(
        first.head.starts_with("post /openai/v1/responses http/1.1\r\n"),
        "{}",
        first.head
    );
    assert_eq!(second.body, opaque);
    assert!(
        second
            .head
            .contains("\r\ncontent-type: multipart/form-data; boundary=x\r\n"),
        "{}",
        second.head
    );
    assert!(
        third.head.starts_with("get /openai/v1/responses/resp_1 http/1.1\r\n"),
        "{}",
        third.head
    );
    assert!(third.body.is_empty());
}

#[test]
fn a_raw_stream_passes_untouched() {
    let answer: &[u8] = b": hello\r\n\r\nevent: response.created\ndata: {\"type\":\"response.created\"}\n\n\
        event: new.thing\ndata: {\"type\":\"new.thing\",\n data: \xff}\n\nid: 7\ndata: [DONE]";
    let canned = Canned::start(
        "200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-odd: kept",
        answer,
    );
    let blaster = on(&canned);
    let request = RawRequest::post(Operation::Responses, r#"{"stream":true,"input":"x"}"#);
    let mut stream = blaster.stream_raw(request).unwrap();
    assert_eq!((stream.status(), stream.headers().get("x-odd")), (200, Some("kept")));
    let bytes: Vec<u8> = stream.by_ref().flat_map(|piece| piece.unwrap()).collect();
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(answer));
    assert_eq!(
        canned.received()[0].body,
        br#"{"stream":true,"input":"x","model":"gpt"}"#
    );
}

#[test]
fn unknown_fields_of_a_reply_are_kept_for_who_asks() {
    let answer = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes","mood":"calm"},"fresh":[1]}],"id":"c","novel":{"a":1.50}}"#;
    let canned = Canned::start("200 OK\r\ncontent-type: application/json", answer);
    let completion = on(&canned).chat("hello").unwrap();
    assert_eq!(completion.raw(), answer);
    assert_eq!(
        completion.raw_json::<Value>().unwrap()["choices"][0]["message"]["mood"],
        "calm"
    );
}

#[test]
fn embeddings_are_the_same_vectors_however_they_travel() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let blaster = blaster(&fleet);
    let request = || EmbeddingRequest::new(["first", "second", "third"]).dimensions(8);
    let plain = blaster
        .embeddings(request().encoding_format(EncodingFormat::Float))
        .unwrap();
    let packed = blaster.embeddings(request()).unwrap();
    assert_eq!(plain.vectors, packed.vectors);
    assert_eq!(packed.vectors.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 8]);
    assert_ne!(packed.vectors[0], packed.vectors[1]);
    assert!(packed.usage().unwrap().prompt_tokens > 0);
    assert_eq!(packed.ledger().len(), 1);
    let expected = r#"{"input":["first","second","third"],"encoding_format":"base64","dimensions":8,"model":"gpt"}"#;
    assert_eq!(last_body(&fleet), expected);
    let raw = RawRequest::post(Operation::Embeddings, r#"{"input":"first","dimensions":2}"#);
    let raw = wait(blaster.submit_raw(raw).unwrap()).unwrap();
    assert_eq!(
        raw.json::<Value>().unwrap()["data"][0]["embedding"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn an_answer_is_the_next_turn_with_its_tool_calls() {
    let fleet = fleet_with_bodies([SimDeployment::new("gpt")]);
    let blaster = blaster(&fleet);
    for stream in [false, true] {
        let question = ChatMessage::user("What is the weather? sim:tool");
        let asked = ChatRequest::new([question.clone()]).tools([weather()]).stream(stream);
        let completion = blaster.chat(asked).unwrap();
        assert_eq!(completion.finish_reason(), Some(&FinishReason::ToolCalls));
        let [call] = completion.tool_calls() else {
            panic!("one call")
        };
        assert_eq!(call.name(), "get_weather");
        let messages = [
            question,
            completion.message(),
            ChatMessage::tool(&call.id, "warm"),
            ChatMessage::user("So? id:next"),
        ];
        let next = blaster
            .chat(ChatRequest::new(messages).tools([weather()]).stream(stream))
            .unwrap();
        assert!(next.text().unwrap().starts_with(&echo("next")));
        let body: Value = serde_json::from_str(&last_body(&fleet)).unwrap();
        let arguments = &call.function.as_ref().unwrap().arguments;
        let expected = json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{"id": call.id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}],
        });
        assert_eq!(body["messages"][1], expected, "stream: {stream}");
        assert_eq!(
            body["messages"][2],
            json!({"role": "tool", "content": "warm", "tool_call_id": call.id})
        );
        // A turn of text alone.
        blaster
            .chat(vec![ChatMessage::user("a"), next.message(), ChatMessage::user("b")])
            .unwrap();
        let body: Value = serde_json::from_str(&last_body(&fleet)).unwrap();
        assert_eq!(
            body["messages"][1],
            json!({"role": "assistant", "content": next.text()})
        );
    }
}

#[test]
fn an_answer_without_text_is_an_error_that_holds_it() {
    let fleet = fleet([
        SimDeployment::new("gpt"),
        SimDeployment::new("thinker").reasoning(),
        SimDeployment::new("blocked").fault(SimFault::always(FaultKind::FilteredAnswer)),
    ]);
    let blaster = blaster(&fleet);
    let user = |text: &str| ChatRequest::from(text).model("gpt");
    for stream in [false, true] {
        for (request, said) in [
            (user("sim:tool").tools([weather()]), "tool calls"),
            (user("sim:refuse"), "the model refused"),
            (user("sim:filter-answer"), "filter"),
            (user("hello").model("blocked"), "filter"),
            (
                user("hello").model("thinker").max_completion_tokens(20),
                "max_completion_tokens",
            ),
        ] {
            let error = blaster.chat_completion(request.stream(stream)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoText, "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(
                error.ledger().unwrap().len(),
                1,
                "it is an answer, and not asked for again"
            );
            assert!(!error.is_retryable());
            let Error::NoText { completion, .. } = error else {
                unreachable!()
            };
            assert!(completion.finish_reason().is_some() && completion.usage().is_some());
        }
    }
    // Who takes the whole answer takes any.
    let refused = blaster.chat(user("sim:refuse")).unwrap();
    assert!(refused.refusal().unwrap().starts_with("I'm sorry"));
    // Text that was cut is text.
    assert!(
        !blaster
            .chat_completion(user("hello").max_completion_tokens(3))
            .unwrap()
            .is_empty()
    );
    let empty = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":""}}]}"#;
    let canned = Canned::start("200 OK\r\ncontent-type: application/json", empty);
    let error = on(&canned).chat_completion("hello").unwrap_err();
    assert_eq!(error.to_string(), "the answer holds no text: the answer is empty");
    for state in blaster.states() {
        let totals = state.report().totals;
        assert_eq!(
            totals.sent, totals.succeeded,
            "an answer without text is no failure of an endpoint"
        );
    }
}
