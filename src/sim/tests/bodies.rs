use super::*;
use crate::sim::{FilterMode, Latency, OutputLength};

/// The keys of an object, as they stand in the text.
fn keys_in_order(body: &str, keys: &[&str]) -> bool {
    let positions = keys.iter().map(|key| body.rfind(&format!("\"{key}\":")));
    positions.collect::<Option<Vec<_>>>().is_some_and(|all| all.is_sorted())
}

#[test]
fn a_chat_completion_has_azures_shape() {
    let plan = Client::of(|d| d.output(OutputLength::exactly(5))).chat("id:abc123 please", "");
    assert_eq!((plan.status, plan.ending, plan.body.len()), (200, Ending::Clean, 1));
    assert_eq!(header(&plan, "content-type"), Some("application/json"));
    let body = json(&plan);
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["content_filter_results"]["self_harm"]["severity"], "safe");
    assert!(choice["logprobs"].is_null() && choice["message"]["refusal"].is_null());
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("id:abc123 "));
    assert_eq!(body["model"], "gpt-4o-2024-11-20");
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        body["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"],
        false
    );
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body["system_fingerprint"].as_str().unwrap().starts_with("fp_"));
    let usage = &body["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&10.into(), &5.into())
    );
    assert_eq!(usage["total_tokens"], 15);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 0);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    let order = [
        "choices",
        "created",
        "id",
        "model",
        "object",
        "prompt_filter_results",
        "system_fingerprint",
        "usage",
    ];
    assert!(keys_in_order(&text(&plan), &order), "{}", text(&plan));
}

#[test]
fn a_stream_has_azures_sequence() {
    let mut client = Client::of(|d| d.output(OutputLength::exactly(3)));
    for usage in [false, true] {
        let options = format!(r#","stream":true,"stream_options":{{"include_usage":{usage}}}"#);
        let plan = client.chat("id:x please", &options);
        assert_eq!(header(&plan, "content-type"), Some("text/event-stream; charset=utf-8"));
        assert!(plan.body.len() > 1, "one piece would go out with a content-length");
        let frames = frames(&plan);
        assert_eq!(frames.len(), 6 + usize::from(usage));
        let first = &frames[0];
        assert!(first["choices"].as_array().unwrap().is_empty());
        assert_eq!((&first["id"], &first["created"]), (&"".into(), &0.into()));
        assert!(first["prompt_filter_results"][0]["content_filter_results"]["jailbreak"].is_object());
        assert_eq!(
            frames[1]["choices"][0]["delta"],
            serde_json::json!({"content":"","refusal":null,"role":"assistant"})
        );
        assert_eq!(frames[2]["choices"][0]["delta"]["content"], "id:x");
        assert!(frames[2]["choices"][0]["content_filter_results"]["hate"].is_object());
        assert!(frames[2]["obfuscation"].is_string());
        assert_eq!(frames[2]["object"], "chat.completion.chunk");
        assert_eq!(frames[5]["choices"][0]["finish_reason"], "stop");
        assert_eq!(frames[5]["choices"][0]["delta"], serde_json::json!({}));
        for frame in &frames[..6] {
            assert_eq!(frame.get("usage"), usage.then_some(&Value::Null), "{frame}");
        }
        if usage {
            assert_eq!(frames[6]["usage"]["completion_tokens"], 3);
            assert!(frames[6]["choices"].as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn streamed_and_whole_answers_are_the_same_for_every_frame_size() {
    for tokens in [1, 4, 1000] {
        let mut client = Client::of(|d| d.frame_tokens(tokens).output(OutputLength::exactly(150)));
        let whole = json(&client.chat("hello", r#","n":2"#));
        let frames = frames(&client.chat("hello", r#","n":2,"stream":true"#));
        for index in 0..2 {
            let deltas = frames.iter().flat_map(|frame| frame["choices"].as_array().unwrap());
            let said: String = deltas
                .filter(|choice| choice["index"] == index)
                .filter_map(|choice| choice["delta"]["content"].as_str())
                .collect();
            assert_eq!(
                whole["choices"][index]["message"]["content"], said,
                "{tokens} tokens a frame"
            );
        }
        assert_ne!(whole["choices"][0]["message"], whole["choices"][1]["message"]);
        assert_eq!(whole["usage"]["completion_tokens"], 300);
    }
}

#[test]
fn obfuscation_and_filtering_can_be_off() {
    let mut client = Client::of(|d| d.filter(FilterMode::Off));
    let plan = client.chat(
        "hello",
        r#","stream":true,"stream_options":{"include_obfuscation":false}"#,
    );
    assert!(!text(&plan).contains("obfuscation") && !text(&plan).contains("filter"));
    assert_eq!(frames(&plan)[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(!text(&client.chat("hello", "")).contains("filter"));
}

#[test]
fn the_asynchronous_filter_reports_without_deltas_and_after_the_finish() {
    let mut client = Client::of(|d| d.filter(FilterMode::Asynchronous));
    let frames = frames(&client.chat("hello", r#","stream":true"#));
    let finish = frames
        .iter()
        .position(|f| f["choices"][0]["finish_reason"] == "stop")
        .unwrap();
    let late = &frames[finish + 1]["choices"][0];
    assert!(late.get("delta").is_none());
    assert!(late["content_filter_results"]["hate"].is_object());
    assert!(
        late["content_filter_offsets"]["end_offset"].as_u64() > late["content_filter_offsets"]["start_offset"].as_u64()
    );
    let before = frames[..finish]
        .iter()
        .any(|f| f["choices"][0].get("content_filter_offsets").is_some());
    assert!(before, "one report comes on the way");

    let mut client = Client::of(|d| d.filter(FilterMode::Asynchronous));
    let blocked = super::frames(&client.chat("sim:filter-answer", r#","stream":true"#));
    assert_eq!(blocked.last().unwrap()["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn tool_calls_come_whole_and_in_fragments() {
    let tools = r#","tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}],"tool_choice":"required""#;
    let mut client = Client::of(|d| d);
    let whole = json(&client.chat("weather", tools));
    let message = &whole["choices"][0]["message"];
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert!(message["content"].is_null());
    let call = &message["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&"function".into(), &"get_weather".into())
    );
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    let arguments = call["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).unwrap()["city"].is_string());

    let frames = frames(&client.chat("weather", &format!(r#"{tools},"stream":true"#)));
    let opening = &frames[1]["choices"][0]["delta"];
    assert!(opening["content"].is_null());
    assert_eq!(opening["tool_calls"][0]["function"]["name"], "get_weather");
    assert_eq!(opening["tool_calls"][0]["function"]["arguments"], "");
    let fragments = frames
        .iter()
        .filter_map(|f| f["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str());
    assert_eq!(fragments.collect::<String>(), arguments);
    assert_eq!(frames.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn refusals_and_blocked_answers_say_so() {
    let mut client = Client::of(|d| d);
    let refused = json(&client.chat("sim:refuse", ""));
    let message = &refused["choices"][0]["message"];
    assert!(message["content"].is_null() && message["refusal"].is_string());
    assert_eq!(refused["choices"][0]["finish_reason"], "stop");
    let streamed = frames(&client.chat("sim:refuse", r#","stream":true"#));
    let said: String = streamed
        .iter()
        .filter_map(|f| f["choices"][0]["delta"]["refusal"].as_str())
        .collect();
    assert_eq!(message["refusal"], said);

    let blocked = json(&client.chat("sim:filter-answer", ""));
    assert_eq!(blocked["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(
        blocked["choices"][0]["content_filter_results"]["violence"]["filtered"],
        true
    );

    let prompt = client.chat("sim:filter-prompt", r#","stream":true"#);
    assert_eq!((prompt.status, code(&prompt)), (400, "content_filter".to_owned()));
    let inner = &json(&prompt)["error"]["innererror"];
    assert_eq!(inner["content_filter_result"]["jailbreak"]["filtered"], true);
}

#[test]
fn structured_output_is_json() {
    let mut client = Client::of(|d| d);
    for format in [
        r#"{"type":"json_object"}"#,
        r#"{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"number"}}}}}"#,
    ] {
        let body = json(&client.chat("hello", &format!(r#","response_format":{format}"#)));
        let content = body["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(content).unwrap().is_object(), "{content}");
    }
}

#[test]
fn tokens_come_at_their_pace() {
    let mut client = Client::of(|d| {
        d.latency(Latency::fixed(100.0).tokens_per_s(10.0))
            .output(OutputLength::exactly(5))
    });
    let whole = client.chat("hello", "");
    assert_eq!(whole.head_at, Duration::from_millis(600));
    let stream = client.chat("hello", r#","stream":true"#);
    assert_eq!(stream.head_at, Duration::from_millis(100));
    let times: Vec<_> = stream.body.iter().map(|piece| piece.at.as_millis()).collect();
    // The filter's results, the role, and the tokens; the end comes with the last of them.
    assert_eq!(times, [100, 100, 200, 300, 400, 500, 600]);
}

#[test]
fn completions_have_texts() {
    let mut client = Client::of(|d| d).path("/openai/deployments/d/completions");
    let whole = json(&client.send(r#"{"prompt":["one id:7","two"],"n":2}"#));
    assert_eq!(whole["object"], "text_completion");
    assert_eq!(whole["choices"].as_array().unwrap().len(), 4);
    let frames = frames(&client.send(r#"{"prompt":"id:7","stream":true,"stream_options":{"include_usage":true}}"#));
    let said: String = frames.iter().filter_map(|f| f["choices"][0]["text"].as_str()).collect();
    assert!(said.starts_with("id:7 "));
    assert_eq!(frames.last().unwrap()["usage"]["completion_tokens"], 24);
}

#[test]
fn embeddings_are_unit_vectors_in_both_forms() {
    let mut client = Client::of(|d| d).path("/openai/deployments/d/embeddings");
    let floats = json(&client.send(r#"{"input":["hello","world","hello"],"dimensions":16}"#));
    let vector = |i: usize| {
        let numbers = floats["data"][i]["embedding"].as_array().unwrap();
        numbers.iter().map(|x| x.as_f64().unwrap() as f32).collect::<Vec<f32>>()
    };
    assert_eq!(vector(0).len(), 16);
    assert_eq!(vector(0), vector(2));
    assert_ne!(vector(0), vector(1));
    assert!((vector(0).iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    assert_eq!(
        (&floats["data"][1]["index"], &floats["object"]),
        (&1.into(), &"list".into())
    );
    assert!(floats["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    let base64 = json(&client.send(r#"{"input":"hello","dimensions":16,"encoding_format":"base64"}"#));
    // 64 bytes are 88 characters.
    assert_eq!(base64["data"][0]["embedding"].as_str().unwrap().len(), 88);
    for input in ["[1,2,3]", "[[1,2],[3]]"] {
        let plan = client.send(&format!(r#"{{"input":{input}}}"#));
        assert_eq!(json(&plan)["usage"]["prompt_tokens"], 3);
    }
}

#[test]
fn a_response_tells_again_what_was_asked_for() {
    let mut client = Client::of(|d| d).path("/openai/v1/responses");
    client.query.clear();
    let bare = json(&client.send(r#"{"model":"d","input":"x"}"#));
    let asked = json(&client.send(
        r#"{"model":"d","input":"x","instructions":"Be \"brief\".","tools":[ {"type":"function","name":"f" }, {"type":"web_search"} ],"tool_choice":"none","metadata":{"a":"b"},"temperature":0.5,"user":"u","text":{"verbosity":"low"},"reasoning":{"effort":"low"},"truncation":"auto","max_output_tokens":9}"#,
    ));
    let rows = [
        ("instructions", Value::Null, "Be \"brief\".".into()),
        (
            "tools",
            serde_json::json!([]),
            serde_json::json!([
                {"type": "function", "name": "f", "description": null, "parameters": null, "strict": true},
                {"type": "web_search"},
            ]),
        ),
        ("tool_choice", "auto".into(), "none".into()),
        ("metadata", serde_json::json!({}), serde_json::json!({"a": "b"})),
        ("temperature", 1.0.into(), 0.5.into()),
        (
            "text",
            serde_json::json!({"format": {"type": "text"}, "verbosity": "medium"}),
            serde_json::json!({"format": {"type": "text"}, "verbosity": "low"}),
        ),
        (
            "reasoning",
            serde_json::json!({"effort": null, "summary": null}),
            serde_json::json!({"effort": "low", "summary": null}),
        ),
        ("truncation", "disabled".into(), "auto".into()),
        ("max_output_tokens", Value::Null, 9.into()),
    ];
    for (key, unasked, told) in rows {
        assert_eq!((&bare[key], &asked[key]), (&unasked, &told), "{key}");
    }
    assert_eq!((bare.get("user"), &asked["user"]), (None, &"u".into()));
    // One that is complete says when, one that is not says why.
    assert!(bare["completed_at"].is_number() && bare["incomplete_details"].is_null());
    assert!(asked["completed_at"].is_null());
    assert_eq!(asked["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(asked["output"][0]["status"], "incomplete");
}

#[test]
fn a_conversation_is_compacted_to_what_its_user_said_and_one_item_more() {
    let mut client = Client::of(|d| d).path("/openai/v1/responses/compact");
    client.query.clear();
    let input = r#"[{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":[{"type":"input_text","text":"three"}]}]"#;
    let body = json(&client.send(&format!(r#"{{"model":"d","input":{input},"stream":true}}"#)));
    assert_eq!(body["object"], "response.compaction");
    let output = body["output"].as_array().unwrap();
    let said: Vec<_> = output.iter().map(|item| &item["content"][0]["text"]).collect();
    assert_eq!(said, [&Value::from("one"), &"three".into(), &Value::Null]);
    assert_eq!(output[2]["type"], "compaction");
    assert!(
        output[2]["encrypted_content"]
            .as_str()
            .is_some_and(|text| text.len() == 64)
    );
    assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let stored = client.send(r#"{"model":"d","previous_response_id":"resp_1"}"#);
    assert_eq!(json(&stored)["output"].as_array().unwrap().len(), 1);
    assert_eq!(client.send(r#"{"input":"x"}"#).status, 400);
}

#[test]
fn responses_come_whole_and_as_named_events() {
    let mut client = Client::of(|d| d).path("/openai/v1/responses");
    client.query.clear();
    let whole = json(&client.send(r#"{"model":"d","input":"id:9 hello"}"#));
    assert_eq!(
        (&whole["object"], &whole["status"]),
        (&"response".into(), &"completed".into())
    );
    let said = whole["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(said.starts_with("id:9 "));
    assert_eq!(whole["usage"]["output_tokens"], 24);
    let listed = client.send(r#"{"model":"d","instructions":"x","input":[{"role":"user","content":[{"type":"input_text","text":"id:9 hello"}]}]}"#);
    assert!(text(&listed).contains("id:9 "));

    let plan = client.send(r#"{"model":"d","input":"id:9 hello","stream":true,"max_output_tokens":4}"#);
    let all = text(&plan);
    let mut names = Vec::new();
    let mut joined = String::new();
    for (sequence, event) in all.split_terminator("\n\n").enumerate() {
        let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (&data["type"], &data["sequence_number"]),
            (&name.into(), &sequence.into())
        );
        joined.push_str(data["delta"].as_str().unwrap_or(""));
        names.push(name.to_owned());
    }
    assert_eq!(names[..2], ["response.created", "response.in_progress"]);
    assert_eq!(names.last().unwrap(), "response.incomplete");
    assert!(said.starts_with(&joined) && !joined.is_empty(), "{joined}");
    assert!(!all.contains("[DONE]"));
}
