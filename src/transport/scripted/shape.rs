//! A text, as the service would dress it up.

use serde_json::{Value, json};

use super::ScriptedCall;
use crate::api::Operation;

/// The body that answers `call` with `text`, and its content type.
pub(super) fn dressed(text: &str, call: &ScriptedCall) -> (&'static str, Vec<u8>) {
    if call.wants_stream() {
        ("text/event-stream; charset=utf-8", stream(text, call).into_bytes())
    } else {
        ("application/json", whole(text, call).to_string().into_bytes())
    }
}

fn whole(text: &str, call: &ScriptedCall) -> Value {
    let mut body = envelope(call, "");
    body["choices"] = match call.operation {
        Operation::Completions => json!([{"index": 0, "text": text, "finish_reason": "stop", "logprobs": null}]),
        _ => json!([{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null},
            "finish_reason": "stop",
            "logprobs": null,
        }]),
    };
    body["usage"] = usage(text);
    body
}

/// The service's sequence: role, text word by word, finish, usage where asked for, `[DONE]`.
fn stream(text: &str, call: &ScriptedCall) -> String {
    let legacy = call.operation == Operation::Completions;
    let piece = |text: &str, finish: Value| match legacy {
        true => json!([{"index": 0, "text": text, "finish_reason": finish}]),
        false if finish.is_null() => json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]),
        false => json!([{"index": 0, "delta": {}, "finish_reason": finish}]),
    };
    let mut choices = Vec::new();
    if !legacy {
        let first = json!({"role": "assistant", "content": "", "refusal": null});
        choices.push(json!([{"index": 0, "delta": first, "finish_reason": null}]));
    }
    choices.extend(text.split_inclusive(' ').map(|word| piece(word, Value::Null)));
    choices.push(piece("", "stop".into()));

    let asks_usage = call.body["stream_options"]["include_usage"] == Value::Bool(true);
    let mut frames: Vec<Value> = choices
        .into_iter()
        .map(|choices| {
            let mut frame = envelope(call, ".chunk");
            frame["choices"] = choices;
            if asks_usage {
                frame["usage"] = Value::Null;
            }
            frame
        })
        .collect();
    if asks_usage {
        let mut last = envelope(call, ".chunk");
        last["choices"] = json!([]);
        last["usage"] = usage(text);
        frames.push(last);
    }
    let mut events: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    events.push_str("data: [DONE]\n\n");
    events
}

fn envelope(call: &ScriptedCall, suffix: &str) -> Value {
    let object = match call.operation {
        Operation::Completions => "text_completion".to_owned(),
        _ => format!("chat.completion{suffix}"),
    };
    let model = call.body["model"].as_str().unwrap_or("scripted");
    json!({"id": "chatcmpl-scripted", "object": object, "created": 1_756_749_680, "model": model})
}

/// Words count as tokens here: real enough to see that usage arrives.
fn usage(text: &str) -> Value {
    let completion = text.split_whitespace().count();
    let prompt = 8;
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}
