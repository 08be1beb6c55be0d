//! Replies of the Responses API, whole and streamed. It is the one API whose events have names, and whose streams end
//! without `[DONE]`.

use super::{Frames, Part, Scene, put, quote};
use crate::sim::answer::{Answer, Choice, Finish, Kind};
use crate::sim::config::Pace;
use crate::sim::usage::Usage;

/// The body of a whole reply.
pub(crate) fn json(scene: &Scene<'_>, answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(1500);
    let status = status(answer);
    response(
        &mut out,
        scene,
        status,
        |out| output(out, scene, answer),
        Some(&answer.usage),
    );
    out
}

/// How a response ended: its status, and why it is not complete.
fn status(answer: &Answer) -> (&'static str, Option<&'static str>) {
    match answer.choices.first().map(|choice| choice.finish) {
        Some(Finish::Length) => ("incomplete", Some("max_output_tokens")),
        Some(Finish::ContentFilter) => ("incomplete", Some("content_filter")),
        Some(Finish::Stop | Finish::ToolCalls) | None => ("completed", None),
    }
}

fn response(
    out: &mut Vec<u8>,
    scene: &Scene<'_>,
    (status, reason): (&str, Option<&str>),
    output: impl FnOnce(&mut Vec<u8>),
    usage: Option<&Usage>,
) {
    put!(
        out,
        "{{\"id\":\"resp_{}\",\"object\":\"response\",\"created_at\":{},\"status\":\"{status}\",\"background\":false,\
         \"error\":null,\"incomplete_details\":",
        scene.id,
        scene.created
    );
    match reason {
        Some(reason) => put!(out, "{{\"reason\":\"{reason}\"}}"),
        None => out.extend_from_slice(b"null"),
    }
    put!(
        out,
        ",\"instructions\":null,\"max_output_tokens\":null,\"metadata\":{{}},\"model\":{},\"output\":[",
        scene.model
    );
    output(out);
    out.extend_from_slice(b"],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"usage\":");
    match usage {
        Some(usage) => put!(
            out,
            "{{\"input_tokens\":{},\"input_tokens_details\":{{\"cached_tokens\":{}}},\"output_tokens\":{},\
             \"output_tokens_details\":{{\"reasoning_tokens\":{}}},\"total_tokens\":{}}}",
            usage.prompt,
            usage.cached,
            usage.completion,
            usage.reasoning,
            usage.total()
        ),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn output(out: &mut Vec<u8>, scene: &Scene<'_>, answer: &Answer) {
    if answer.usage.reasoning > 0 {
        put!(
            out,
            "{{\"id\":\"rs_{}\",\"type\":\"reasoning\",\"summary\":[]}}",
            scene.id
        );
    }
    for (index, choice) in answer.choices.iter().enumerate() {
        if index > 0 || answer.usage.reasoning > 0 {
            out.push(b',');
        }
        item(out, scene, choice, "completed", Some(&choice.text.text));
    }
}

/// A message or a function call. Without a text: as it is when it has only been begun.
fn item(out: &mut Vec<u8>, scene: &Scene<'_>, choice: &Choice, status: &str, text: Option<&str>) {
    if let Kind::Call(name) = &choice.kind {
        put!(
            out,
            "{{\"id\":\"fc_{}\",\"type\":\"function_call\",\"status\":\"{status}\",\"arguments\":",
            scene.id
        );
        quote(out, text.unwrap_or(""));
        put!(out, ",\"call_id\":\"call_{}\",\"name\":", scene.id);
        quote(out, name);
        out.push(b'}');
        return;
    }
    put!(
        out,
        "{{\"id\":\"msg_{}\",\"type\":\"message\",\"status\":\"{status}\",\"content\":[",
        scene.id
    );
    if let Some(text) = text {
        part(out, choice, text);
    }
    out.extend_from_slice(b"],\"role\":\"assistant\"}");
}

fn part(out: &mut Vec<u8>, choice: &Choice, text: &str) {
    if choice.kind == Kind::Refusal {
        out.extend_from_slice(b"{\"type\":\"refusal\",\"refusal\":");
    } else {
        out.extend_from_slice(b"{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    }
    quote(out, text);
    out.push(b'}');
}

/// The same reply as a stream.
pub(crate) fn stream(scene: &Scene<'_>, answer: &Answer, pace: &Pace, frame_tokens: u64) -> Frames {
    let mut writer = Writer {
        frames: Frames::default(),
        sequence: 0,
    };
    let begun = ("in_progress", None);
    for name in ["response.created", "response.in_progress"] {
        writer.event(pace.first, Part::Opening, name, |out| {
            out.extend_from_slice(b"\"response\":");
            response(out, scene, begun, |_| {}, None);
        });
    }
    let hidden = answer.usage.reasoning;
    let end = pace.after(hidden + answer.longest());
    for (position, choice) in answer.choices.iter().enumerate() {
        let index = position + usize::from(hidden > 0);
        let (about, delta_name, done_name, done_key) = match choice.kind {
            Kind::Content => (
                format!(
                    "\"content_index\":0,\"item_id\":\"msg_{}\",\"output_index\":{index}",
                    scene.id
                ),
                "response.output_text.delta",
                "response.output_text.done",
                "text",
            ),
            Kind::Refusal => (
                format!(
                    "\"content_index\":0,\"item_id\":\"msg_{}\",\"output_index\":{index}",
                    scene.id
                ),
                "response.refusal.delta",
                "response.refusal.done",
                "refusal",
            ),
            Kind::Call(_) => (
                format!("\"item_id\":\"fc_{}\",\"output_index\":{index}", scene.id),
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
            ),
        };
        let has_parts = !matches!(choice.kind, Kind::Call(_));
        writer.event(pace.first, Part::Opening, "response.output_item.added", |out| {
            put!(out, "\"output_index\":{index},\"item\":");
            item(out, scene, choice, "in_progress", None);
        });
        if has_parts {
            writer.event(pace.first, Part::Opening, "response.content_part.added", |out| {
                put!(out, "{about},\"part\":");
                part(out, choice, "");
            });
        }
        for from in (0..choice.text.tokens()).step_by(frame_tokens as usize) {
            let to = (from + frame_tokens).min(choice.text.tokens());
            writer.event(pace.after(hidden + to), Part::Content, delta_name, |out| {
                put!(out, "{about},\"delta\":");
                quote(out, choice.text.slice(from, to));
            });
        }
        writer.event(end, Part::Closing, done_name, |out| {
            put!(out, "{about},\"{done_key}\":");
            quote(out, &choice.text.text);
        });
        if has_parts {
            writer.event(end, Part::Closing, "response.content_part.done", |out| {
                put!(out, "{about},\"part\":");
                part(out, choice, &choice.text.text);
            });
        }
        writer.event(end, Part::Closing, "response.output_item.done", |out| {
            put!(out, "\"output_index\":{index},\"item\":");
            item(out, scene, choice, "completed", Some(&choice.text.text));
        });
    }
    let (status, reason) = status(answer);
    let name = if reason.is_some() {
        "response.incomplete"
    } else {
        "response.completed"
    };
    writer.event(end, Part::Finish, name, |out| {
        out.extend_from_slice(b"\"response\":");
        let all = |out: &mut Vec<u8>| output(out, scene, answer);
        response(out, scene, (status, reason), all, Some(&answer.usage));
    });
    writer.frames
}

struct Writer {
    frames: Frames,
    sequence: u32,
}

impl Writer {
    fn event(&mut self, at: std::time::Duration, part: Part, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.frames.event(at, part, name, |out| {
            put!(out, "{{\"type\":\"{name}\",\"sequence_number\":{sequence},");
            write(out);
            out.push(b'}');
        });
    }
}

/// The stream of a refusal that hides behind a 200. `message` is without quotes.
pub(crate) fn refused_stream(at: std::time::Duration, message: &str) -> Frames {
    let mut frames = Frames::default();
    frames.event(at, Part::Opening, "error", |out| {
        out.extend_from_slice(
            b"{\"type\":\"error\",\"error\":{\"type\":\"too_many_requests\",\"code\":\"rate_limit_exceeded\",\
              \"headers\":{\"x-ms-fe-error\":\"true\"},\"message\":",
        );
        quote(out, message);
        out.extend_from_slice(b",\"param\":null},\"sequence_number\":1}");
    });
    frames.event(at, Part::Finish, "response.failed", |out| {
        out.extend_from_slice(
            b"{\"type\":\"response.failed\",\"response\":{\"object\":\"response\",\"status\":\"failed\",\"error\":\
              {\"code\":\"rate_limit_exceeded\",\"message\":",
        );
        quote(out, message);
        out.extend_from_slice(b"},\"output\":[]},\"sequence_number\":2}");
    });
    frames
}
