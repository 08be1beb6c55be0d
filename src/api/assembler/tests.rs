//! Captured and made-up streams, each as the data of its events.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::{ChatMessage, FinishReason, Role, ToolCall};

/// What came of a stream.
struct Run {
    steps: Vec<Step>,
    has_content: bool,
    result: Result<ChatCompletion, Incomplete>,
}

impl Run {
    /// The text that was handed out for a choice.
    fn text(&self, choice: u32) -> String {
        self.deltas().filter(|d| d.choice == choice).map(Delta::text).collect()
    }

    fn deltas(&self) -> impl Iterator<Item = &Delta> {
        self.steps.iter().filter_map(|step| match step {
            Step::Delta(delta) => Some(delta),
            _ => None,
        })
    }

    fn failed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Failed(_)))
    }

    fn completion(&self) -> &ChatCompletion {
        self.result.as_ref().unwrap()
    }

    fn problem(&self) -> &StreamProblem {
        &self.result.as_ref().unwrap_err().problem
    }
}

fn run(mut assembler: Assembler, frames: &[&str]) -> Run {
    let mut steps = Vec::new();
    for frame in frames {
        assembler.push("", frame, |step| steps.push(step));
    }
    Run {
        steps,
        has_content: assembler.has_content(),
        result: assembler.finish(),
    }
}

fn one(frames: &[&str]) -> Run {
    run(Assembler::new(1), frames)
}

const FILTER: &str = r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#;
const ROLE: &str = r#"{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1772304649,"id":"chatcmpl-1","model":"gpt-5.2-chat-2025-12-11","obfuscation":"70NTC3qxf","object":"chat.completion.chunk","system_fingerprint":null,"usage":null}"#;
const HEY: &str = r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hey"},"finish_reason":null,"index":0,"logprobs":null}],"created":1772304649,"id":"chatcmpl-1","model":"gpt-5.2-chat-2025-12-11","obfuscation":"wC83yD3e","object":"chat.completion.chunk","system_fingerprint":null,"usage":null}"#;
const STOP: &str = r#"{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1772304649,"id":"chatcmpl-1","model":"gpt-5.2-chat-2025-12-11","object":"chat.completion.chunk","system_fingerprint":"fp_1","usage":null}"#;
const USAGE: &str = r#"{"choices":[],"created":1772304649,"id":"chatcmpl-1","model":"gpt-5.2-chat-2025-12-11","object":"chat.completion.chunk","usage":{"completion_tokens":68,"completion_tokens_details":{"reasoning_tokens":3},"prompt_tokens":84,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":152}}"#;
/// Of the asynchronous filter, wire §3.3.
const ANNOTATION: &str = r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,"content_filter_results":{"hate":{"filtered":false}},"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":198}}],"usage":null}"#;
const LATE_BLOCK: &str = r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"protected_material_text":{"detected":true,"filtered":true}},"content_filter_offsets":{"check_offset":65,"start_offset":65,"end_offset":1056}}],"usage":null}"#;
const ERROR: &str = r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#;

#[test]
fn a_captured_stream_becomes_the_reply_it_would_have_been() {
    let run = one(&[FILTER, ROLE, HEY, STOP, USAGE, "[DONE]"]);
    let completion = run.completion();
    let expected = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_772_304_649, "model": "gpt-5.2-chat-2025-12-11",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": "Hey", "refusal": null},
            "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}},
        }],
        "usage": {"completion_tokens": 68, "completion_tokens_details": {"reasoning_tokens": 3}, "prompt_tokens": 84,
            "prompt_tokens_details": {"cached_tokens": 0}, "total_tokens": 152},
        "system_fingerprint": "fp_1",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}],
    });
    assert_eq!(completion.raw_json::<Value>().unwrap(), expected);
    assert_eq!(ChatCompletion::parse(completion.raw().as_bytes()).unwrap(), *completion);
    assert_eq!(completion.usage().unwrap().reasoning_tokens(), 3);
    assert_eq!(run.steps.last(), Some(&Step::Done));
}

#[test]
fn pieces_are_handed_out_once_they_bring_something() {
    let run = one(&[FILTER, ROLE, HEY, ANNOTATION, STOP, USAGE]);
    let deltas: Vec<_> = run.deltas().collect();
    let [hey, stop] = deltas[..] else { panic!("{deltas:?}") };
    assert_eq!((hey.text(), &hey.role, hey.raw()), ("Hey", &Some(Role::Assistant), HEY));
    assert_eq!(hey.raw_json::<Value>().unwrap()["obfuscation"], "wC83yD3e");
    assert_eq!((stop.text(), &stop.role), ("", &None));
    assert_eq!(stop.finish_reason, Some(FinishReason::Stop));
}

#[test]
fn a_silent_assembler_makes_no_pieces_and_the_same_answer() {
    let frames = [FILTER, ROLE, HEY, STOP, USAGE, "[DONE]"];
    let silent = run(Assembler::silent(1), &frames);
    assert_eq!(silent.deltas().count(), 0);
    assert!(silent.has_content);
    assert_eq!(silent.completion(), one(&frames).completion());
}

#[test]
fn done_is_neither_needed_nor_enough() {
    assert_eq!(one(&[ROLE, HEY, STOP]).completion().text(), Some("Hey"));
    for frames in [&[ROLE, HEY, "[DONE]"][..], &["[DONE]"], &[ROLE, HEY], &[]] {
        let run = one(frames);
        assert_eq!(run.problem(), &StreamProblem::Cut { choice: 0 }, "{frames:?}");
        assert!(!run.failed());
    }
}

#[test]
fn what_was_received_of_a_cut_stream_is_kept() {
    let run = one(&[FILTER, ROLE, HEY]);
    let received = &run.result.as_ref().unwrap_err().received;
    assert_eq!((received.text(), &*received.id), (Some("Hey"), "chatcmpl-1"));
    assert!(one(&[]).result.unwrap_err().received.choices.is_empty());
}

#[test]
fn content_is_noticed_when_it_comes() {
    for (frames, expected) in [
        (&[][..], false),
        (&[FILTER, ROLE, ANNOTATION], false),
        (&[ROLE, HEY], true),
        (&[ROLE, ERROR], false),
        (&[STOP], true),
        (
            &[r#"{"choices":[{"delta":{"role":"assistant","cached":false,"token":7,"reasoning_content":""}}]}"#],
            false,
        ),
        (&[r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#], true),
    ] {
        let run = one(frames);
        assert_eq!(run.has_content, expected, "{frames:?}");
        assert_eq!(run.has_content, run.deltas().next().is_some(), "{frames:?}");
    }
}

#[test]
fn an_error_in_the_stream_ends_it() {
    // (event, data, what is told); the last two as the Responses API and Node's fixtures have them.
    for (event, data, shown) in [
        ("", ERROR, "server_error: The server had an error"),
        ("", r#"{"error":"text","choices":[]}"#, "error: text"),
        ("error", ERROR, "server_error: The server had an error"),
        (
            "error",
            r#"{"message":"flat","code":"rate_limit_exceeded"}"#,
            "rate_limit_exceeded: flat",
        ),
        ("error", "{}", "error"),
        ("error", "no JSON", "error in the stream: error: no JSON"),
        ("", "{\"choices\":[", "frame of the stream"),
        ("", "{\"choices\":5}", "frame of the stream"),
        ("", "{\"choices\":[{\"delta\":5}]}", "frame of the stream"),
        ("", "{\"choices\":[null]}", "frame of the stream"),
        ("", "{\"choices\":[{\"index\":\"x\"}]}", "frame of the stream"),
    ] {
        let mut assembler = Assembler::new(1);
        let mut steps = Vec::new();
        for (event, data) in [("", ROLE), (event, data), ("", HEY), ("", STOP)] {
            assembler.push(event, data, |step| steps.push(step));
        }
        let [Step::Failed(problem)] = &steps[..] else {
            panic!("{data}: {steps:?}")
        };
        assert!(problem.to_string().contains(shown), "{problem}");
        assert_eq!(&assembler.finish().unwrap_err().problem, problem);
    }
}

#[test]
fn what_comes_behind_a_whole_answer_cannot_spoil_it() {
    for late in [ERROR, "{\"cut", ANNOTATION, "", "{}"] {
        let run = one(&[ROLE, HEY, STOP, late, USAGE]);
        assert_eq!(run.completion().text(), Some("Hey"), "{late}");
        assert!(run.completion().usage().is_some() && !run.failed(), "{late}");
    }
}

#[test]
fn what_comes_after_done_is_no_part_of_the_answer() {
    let more = frame(json!({"content": " and more"}), None);
    for late in [&*more, ERROR, LATE_BLOCK, USAGE, "{\"cut", "[DONE]"] {
        let run = one(&[ROLE, HEY, STOP, "[DONE]", late]);
        assert_eq!(run.completion().text(), Some("Hey"), "{late}");
        assert_eq!(run.completion().finish_reason(), Some(&FinishReason::Stop), "{late}");
        assert!(run.completion().usage().is_none() && !run.failed(), "{late}");
        assert_eq!(run.steps.last(), Some(&Step::Done), "{late}");
        assert_eq!(run.deltas().count(), 2, "{late}");
    }
    // Nor does it finish what was not finished.
    let run = one(&[ROLE, HEY, "[DONE]", STOP]);
    assert_eq!(run.problem(), &StreamProblem::Cut { choice: 0 });
}

#[test]
fn fewer_choices_than_were_asked_for_are_an_answer_after_a_clean_end_alone() {
    let role = |index: u32| format!(r#"{{"choices":[{{"index":{index},"delta":{{"role":"assistant"}}}}]}}"#);
    let filter = |index: u32| format!(r#"{{"choices":[{{"index":{index},"content_filter_results":{{}}}}]}}"#);
    let whole = |index: u32| {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"{index}"}},"finish_reason":"stop"}}]}}"#)
    };
    let (a, b) = (whole(0), whole(1));
    // (choices asked for, frames, which choice is missed: after a cut, after the end of the body)
    for (expected, frames, cut, ended) in [
        (2, &[&*a][..], Some(1), None),
        (2, &[&a, "[DONE]"], None, None),
        (2, &[&b, "[DONE]"], None, None),
        (3, &[&b, &a, "[DONE]"], None, None),
        (2, &[&role(1), &a, "[DONE]"], Some(1), Some(1)),
        (2, &[&filter(1), &a], Some(1), Some(1)),
        (2, &[&role(0), "[DONE]"], Some(0), Some(0)),
        (2, &[FILTER, "[DONE]"], Some(0), Some(0)),
        (1, &["[DONE]"], Some(0), Some(0)),
        (1, &[], Some(0), Some(0)),
    ] {
        let missed = |ends: bool| {
            let mut assembler = Assembler::new(expected);
            frames.iter().for_each(|frame| assembler.push("", frame, drop));
            if ends {
                assembler.ends();
            }
            assembler.finish().err().map(|incomplete| incomplete.problem)
        };
        let problem = |choice: Option<u32>| choice.map(|choice| StreamProblem::Cut { choice });
        assert_eq!(missed(false), problem(cut), "{expected} {frames:?}");
        assert_eq!(missed(true), problem(ended), "{expected} {frames:?}");
    }
}

#[test]
fn no_error_at_the_top_is_no_error() {
    let frame = HEY.replacen('{', r#"{"error":null,"#, 1);
    assert!(!one(&[&frame]).failed());
    let nested = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop","content_filter_results":{"error":{"code":"content_filter_error","message":"The contents are not filtered"}}}]}"#;
    assert_eq!(one(&[nested]).completion().text(), Some("x"));
}

#[test]
fn a_late_verdict_of_the_filter_stands() {
    for frames in [
        &[ROLE, HEY, STOP, LATE_BLOCK, ANNOTATION][..],
        &[ROLE, HEY, LATE_BLOCK, ANNOTATION, STOP],
    ] {
        let run = one(frames);
        assert_eq!(run.completion().finish_reason(), Some(&FinishReason::ContentFilter));
        let raw: Value = run.completion().raw_json().unwrap();
        assert_eq!(
            raw["choices"][0]["content_filter_results"]["protected_material_text"]["filtered"],
            true
        );
        assert!(
            run.deltas()
                .any(|delta| delta.finish_reason == Some(FinishReason::ContentFilter))
        );
    }
}

#[test]
fn every_choice_asked_for_or_seen_must_be_finished() {
    let choice = |index: u32, finish: &str| {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"{index}"}},"finish_reason":{finish}}}]}}"#)
    };
    let (a, b, c) = (choice(0, "\"stop\""), choice(1, "\"length\""), choice(2, "null"));
    for (expected, frames, missing) in [
        (0, &[&*a][..], None),
        (1, &[&a], None),
        (2, &[&a], Some(1)),
        (2, &[&b], Some(0)),
        (2, &[&b, &a], None),
        (2, &[&b, &c, &a], Some(2)),
        (1, &[&a, &c], Some(2)),
        (u32::MAX, &[&a], Some(1)),
    ] {
        let run = run(Assembler::new(expected), frames);
        let found = run.result.as_ref().err().map(|incomplete| incomplete.problem.clone());
        assert_eq!(
            found,
            missing.map(|choice| StreamProblem::Cut { choice }),
            "{expected} {frames:?}"
        );
    }
    let run = run(Assembler::new(2), &[&b, &a]);
    let texts: Vec<_> = run.completion().choices.iter().map(|c| c.message.text()).collect();
    assert_eq!(texts, [Some("0"), Some("1")]);
    // Some services write an empty reason for none.
    assert_eq!(one(&[&choice(0, "\"\"")]).problem(), &StreamProblem::Cut { choice: 0 });
}

/// A frame of choice 0.
fn frame(delta: Value, finish: Option<&str>) -> String {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
}

/// The answer that these deltas make, the last one with its finish reason.
fn joined(deltas: &[Value], finish: &str) -> Run {
    let mut frames: Vec<String> = deltas.iter().map(|delta| frame(delta.clone(), None)).collect();
    frames.push(frame(json!({}), Some(finish)));
    one(&frames.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn tool_calls_are_joined_by_index() {
    let run = joined(
        &[
            json!({"content": null, "role": "assistant", "tool_calls": [{"function": {"arguments": "", "name": "f"}, "id": "call_1", "index": 0, "type": "function"}]}),
            json!({"tool_calls": [{"function": {"arguments": "{\"a"}, "index": 0}]}),
            json!({"tool_calls": [{"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "c", "input": "in"}}]}),
            json!({"tool_calls": [{"function": {"arguments": "\":1}"}, "index": 0}, {"custom": {"input": "put"}, "index": 1}]}),
        ],
        "tool_calls",
    );
    let calls = run.completion().tool_calls();
    assert_eq!(calls[0], ToolCall::function("call_1", "f", r#"{"a":1}"#));
    assert_eq!(
        (&*calls[1].kind, calls[1].name(), calls[1].arguments()),
        ("custom", "c", "input")
    );
    assert_eq!(run.completion().text(), None);
    let message = serde_json::to_value(run.completion().message()).unwrap();
    assert_eq!(message["tool_calls"][1]["custom"]["input"], "input");
    // A reader learns id and name once.
    let ids: Vec<_> = run
        .deltas()
        .flat_map(|d| &d.tool_calls)
        .map(|call| call.id.as_deref())
        .collect();
    assert_eq!(ids, [Some("call_1"), None, Some("call_2"), None, None]);
}

#[test]
fn tool_calls_without_an_index_are_told_apart_by_id() {
    let run = joined(
        &[
            json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "1"}}]}),
            json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "2"}}]}),
            json!({"tool_calls": [{"function": {"arguments": "3"}}]}),
            json!({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "4"}}]}),
            json!({"tool_calls": [{"function": {"arguments": "5"}}]}),
        ],
        "tool_calls",
    );
    let expected = [ToolCall::function("a", "f", "123"), ToolCall::function("b", "g", "45")];
    assert_eq!(run.completion().tool_calls(), expected);
}

#[test]
fn a_refusal_is_joined() {
    let run = joined(&[json!({"refusal": "I'm "}), json!({"refusal": "sorry"})], "stop");
    assert_eq!(
        (run.completion().refusal(), run.completion().text()),
        (Some("I'm sorry"), None)
    );
    assert_eq!(run.deltas().count(), 3);
}

#[test]
fn unknown_fields_are_joined_as_the_official_sdks_do() {
    let run = joined(
        &[
            json!({"reasoning_content": "first ", "context": {"intent": "i"}, "annotations": []}),
            json!({"reasoning_content": "second", "context": {"citations": [1]}, "annotations": [1]}),
            json!({"reasoning_content": null, "context": {"citations": [2]}, "annotations": [2], "content": "x"}),
            json!({"function_call": {"name": "f", "arguments": "{"}}),
            json!({"function_call": {"arguments": "}"}}),
        ],
        "function_call",
    );
    let raw: Value = run.completion().raw_json().unwrap();
    let expected = json!({"role": "assistant", "content": "x", "refusal": null,
        "reasoning_content": "first second", "annotations": [1, 2],
        "context": {"intent": "i", "citations": [1, 2]}, "function_call": {"name": "f", "arguments": "{}"}});
    assert_eq!(raw["choices"][0]["message"], expected);
    let next = ChatMessage::assistant("x").extra("function_call", json!({"name": "f", "arguments": "{}"}));
    assert_eq!(run.completion().message(), next);
    assert_eq!(run.deltas().count(), 6, "the reader sees them as they come");
}

#[test]
fn log_probabilities_are_joined() {
    let with = |token: &str| {
        json!({"choices": [{"index": 0, "delta": {"content": token}, "logprobs": {"content": [{"token": token, "logprob": -0.5}], "refusal": null}, "finish_reason": "stop"}]})
            .to_string()
    };
    let run = one(&[&with("a"), &with("b")]);
    let raw: Value = run.completion().raw_json().unwrap();
    let expected =
        json!({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -0.5}], "refusal": null});
    assert_eq!(raw["choices"][0]["logprobs"], expected);
}

#[test]
fn the_last_usage_that_is_told_counts() {
    let usage = |tokens: u64| json!({"choices": [], "usage": {"prompt_tokens": tokens}}).to_string();
    let run = one(&[&usage(1), HEY, &usage(2), STOP]);
    assert_eq!(run.completion().usage().unwrap().prompt_tokens, 2);
    assert_eq!(
        run.steps.iter().filter(|step| matches!(step, Step::Usage(_))).count(),
        2
    );
}

#[test]
fn an_endless_answer_is_stopped() {
    let more = |delta: Value| frame(delta, None);
    for endless in [
        more(json!({"content": "x".repeat(100)})),
        more(json!({"content": ""})),
        more(json!({"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]})),
        more(json!({"novel": [[[]]]})),
    ] {
        let mut assembler = Assembler::new(1);
        assembler.budget = Budget::new(10_000);
        let mut pushed = 0;
        while assembler.problem.is_none() {
            assembler.push("", &endless, drop);
            pushed += 1;
            assert!(pushed < 1_000, "{endless}");
        }
        let problem = assembler.finish().unwrap_err().problem;
        assert_eq!(problem, StreamProblem::TooLarge { limit: 10_000 });
    }
}

/// Cuts `text` after each of these numbers of characters.
fn pieces(text: &str, lengths: &[usize]) -> Vec<String> {
    let mut rest = text.chars();
    let mut pieces: Vec<String> = lengths
        .iter()
        .map(|length| rest.by_ref().take(*length).collect())
        .collect();
    pieces.push(rest.collect());
    pieces
}

proptest! {
    #[test]
    fn an_answer_is_the_same_however_it_comes_in_pieces(
        texts in proptest::collection::vec(".{0,20}", 1..4),
        arguments in ".{0,20}",
        lengths in proptest::collection::vec(0_usize..6, 0..6),
        order in any::<u64>(),
    ) {
        let n = texts.len() as u32;
        let delta = |index: usize, delta: Value| json!({"choices": [{"index": index, "delta": delta}]}).to_string();
        // One queue of frames for each choice, taken from in an order that the seed decides.
        let mut queues: Vec<Vec<String>> = texts.iter().enumerate().map(|(index, text)| {
            let mut frames: Vec<_> = pieces(text, &lengths).into_iter().map(|p| delta(index, json!({"content": p}))).collect();
            frames.extend(pieces(&arguments, &lengths).into_iter().map(|p| {
                delta(index, json!({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": p}}]}))
            }));
            frames.push(json!({"choices": [{"index": index, "finish_reason": "tool_calls"}]}).to_string());
            frames.reverse();
            frames
        }).collect();
        let mut frames = Vec::new();
        let mut seed = order;
        while queues.iter().any(|queue| !queue.is_empty()) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (seed >> 33) as usize % queues.len();
            frames.extend(queues[place].pop());
        }
        let run = run(Assembler::new(n), &frames.iter().map(String::as_str).collect::<Vec<_>>());
        for (choice, text) in run.completion().choices.iter().zip(&texts) {
            prop_assert_eq!(choice.message.text(), Some(&**text));
            prop_assert_eq!(&choice.message.tool_calls, &[ToolCall::function("1", "f", &*arguments)]);
            prop_assert_eq!(&run.text(choice.index), text);
        }
    }

    #[test]
    fn no_data_makes_it_panic(event in "|error", frames in proptest::collection::vec(".*", 0..4)) {
        let mut assembler = Assembler::new(1);
        for frame in &frames {
            assembler.push(&event, frame, drop);
        }
        let _ = assembler.finish();
    }
}

/// A frame of choice 0 with this delta.
fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

#[test]
fn a_character_that_was_cut_in_two_is_joined_for_the_answer_and_for_its_reader() {
    let frames = [
        delta(r#"{"content":"a\ud83d"}"#),
        delta(r#"{"content":"\ude00b\ud83d"}"#),
        delta(r#"{"refusal":"\udc00"}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":\"\ud83d"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"\ude00\"}"}}],"reasoning_content":"x\ud83d"}"#),
    ];
    let frames: Vec<&str> = frames.iter().map(String::as_str).chain([STOP]).collect();
    let run = one(&frames);
    let completion = run.completion();
    assert_eq!(completion.text(), Some("a😀b\u{fffd}"));
    assert_eq!(run.text(0), "a😀b", "what is never completed is not waited for");
    let message = &completion.choices[0].message;
    assert_eq!(message.refusal.as_deref(), Some("\u{fffd}"));
    assert_eq!(message.tool_calls[0].arguments(), r#"{"a":"😀"}"#);
    let raw: Value = serde_json::from_str(completion.raw()).unwrap();
    assert_eq!(raw["choices"][0]["message"]["content"], "a😀b\u{fffd}");
    assert_eq!(raw["choices"][0]["message"]["reasoning_content"], "x\u{fffd}");
    for delta in run.deltas() {
        assert!(serde_json::from_str::<Value>(&delta.raw).is_ok(), "{}", delta.raw);
    }
}

#[test]
fn a_stream_of_messages_in_place_of_deltas_is_read_and_one_that_repeats_them_is_not() {
    let message =
        |text: &str| format!(r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}}}}]}}"#);
    let both = r#"{"choices":[{"index":0,"delta":{},"message":{"content":"Hey you"},"finish_reason":"stop"}]}"#;
    let (hey, you) = (message("Hey "), message("you"));
    for frames in [
        &[&*hey, &you, STOP][..],
        &[both],
        &[&delta(r#"{"content":"Hey "}"#), &delta(r#"{"content":"you"}"#), both],
        &[&delta(r#"{"role":"assistant","content":""}"#), &hey, &you, STOP],
    ] {
        let run = one(frames);
        assert_eq!(run.completion().text(), Some("Hey you"), "{frames:?}");
        assert_eq!(run.text(0), "Hey you", "{frames:?}");
    }
}

#[test]
fn calls_that_all_say_index_0_are_told_apart_by_their_ids() {
    let call = |id: &str, name: &str, arguments: &str| {
        let call = json!({"index": 0, "id": id, "function": {"name": name, "arguments": arguments}});
        delta(&json!({"tool_calls": [call]}).to_string())
    };
    let more = |arguments: &str| {
        let call = json!({"index": 0, "id": null, "function": {"arguments": arguments}});
        delta(&json!({"tool_calls": [call]}).to_string())
    };
    let calls = |frames: &[String]| {
        let frames: Vec<&str> = frames.iter().map(String::as_str).chain([STOP]).collect();
        let run = one(&frames);
        let calls = &run.completion().choices[0].message.tool_calls;
        let calls = calls
            .iter()
            .map(|call| format!("{} {} {}", call.id, call.name(), call.arguments()));
        (
            calls.collect::<Vec<_>>(),
            run.deltas()
                .flat_map(|delta| &delta.tool_calls)
                .map(|call| call.index)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        calls(&[
            call("a", "f", "{\"x\":"),
            more("1}"),
            call("b", "g", "{\"y\":"),
            more("2}"),
            call("c", "f", "{}")
        ]),
        (
            vec![
                "a f {\"x\":1}".to_owned(),
                "b g {\"y\":2}".to_owned(),
                "c f {}".to_owned()
            ],
            vec![0, 0, 1, 1, 2]
        )
    );
    // One that repeats its id and name in each piece is one call, and so is one whose id changes without a name.
    assert_eq!(
        calls(&[
            call("a", "f", "{"),
            call("a", "f", "}"),
            delta(r#"{"tool_calls":[{"index":0,"id":"z","function":{"arguments":" "}}]}"#)
        ])
        .0,
        ["a f {} "]
    );
}

#[test]
fn a_piece_that_names_its_call_belongs_to_that_one_whichever_came_last() {
    for index in ["", r#""index":0,"#] {
        let piece = |id: &str, name: &str, arguments: &str| {
            let name = if name.is_empty() {
                String::new()
            } else {
                format!(r#""name":"{name}","#)
            };
            delta(&format!(
                r#"{{"tool_calls":[{{{index}"id":"{id}","function":{{{name}"arguments":"{arguments}"}}}}]}}"#
            ))
        };
        let frames = [
            piece("a", "f", "["),
            piece("b", "g", "{"),
            piece("a", "", "1"),
            piece("b", "g", "}"),
            piece("a", "f", "]"),
            piece("c", "h", "3"),
        ];
        let frames: Vec<&str> = frames.iter().map(String::as_str).chain([STOP]).collect();
        let run = one(&frames);
        let calls = run.completion().tool_calls();
        let expected = [
            ToolCall::function("a", "f", "[1]"),
            ToolCall::function("b", "g", "{}"),
            ToolCall::function("c", "h", "3"),
        ];
        assert_eq!(calls, expected, "{index}");
    }
    // A new one without an index takes no place that another one has.
    let frames = [
        delta(r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"2"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}"#),
        delta(r#"{"tool_calls":[{"id":"c","function":{"name":"h","arguments":"3"}}]}"#),
    ];
    let frames: Vec<&str> = frames.iter().map(String::as_str).chain([STOP]).collect();
    let run = one(&frames);
    let calls = run.completion().tool_calls().iter().map(ToolCall::arguments);
    assert_eq!(calls.collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn choices_of_one_frame_without_an_index_are_two() {
    let frame = r#"{"choices":[{"delta":{"content":"one"},"finish_reason":"stop"},{"delta":{"content":"two"},"finish_reason":"stop"}]}"#;
    let run = run(Assembler::new(2), &[frame]);
    assert_eq!((run.text(0), run.text(1)), ("one".to_owned(), "two".to_owned()));
    let texts = run.completion().choices.iter().map(|choice| choice.message.text());
    assert_eq!(texts.collect::<Vec<_>>(), [Some("one"), Some("two")]);
}
