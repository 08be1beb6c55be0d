//! A response as a stream of named events.

use std::time::Duration;

use super::{Reply, Status, ended, member, part};
use crate::sim::answer::{Answer, Choice, Kind};
use crate::sim::config::Pace;
use crate::sim::reply::{Frames, Part, put, quote};

impl Reply<'_> {
    /// The same reply as a stream.
    pub(crate) fn stream(&self, answer: &Answer, pace: &Pace, frame_tokens: u64) -> Frames {
        let mut writer = Writer::default();
        for name in ["response.created", "response.in_progress"] {
            writer.event(pace.first, Part::Opening, name, |out| {
                out.extend_from_slice(b"\"response\":");
                self.response(out, Status::InProgress, None, |_| {}, None);
            });
        }
        let hidden = answer.usage.reasoning;
        let end = pace.after(hidden + answer.longest());
        if hidden > 0 {
            for (at, name) in [
                (pace.first, "response.output_item.added"),
                (pace.after(hidden), "response.output_item.done"),
            ] {
                writer.event(at, Part::Opening, name, |out| {
                    out.extend_from_slice(b"\"output_index\":0,\"item\":");
                    self.thought(out);
                });
            }
        }
        for (position, choice) in answer.choices.iter().enumerate() {
            self.stream_item(
                &mut writer,
                position + usize::from(hidden > 0),
                choice,
                (hidden, pace, frame_tokens, end),
            );
        }
        let status = Status::of(answer);
        let name = match status {
            Status::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        writer.event(end, Part::Finish, name, |out| {
            out.extend_from_slice(b"\"response\":");
            let all = |out: &mut Vec<u8>| self.output(out, answer);
            self.response(out, status, None, all, Some(&answer.usage));
        });
        writer.frames
    }

    fn stream_item(
        &self,
        writer: &mut Writer,
        index: usize,
        choice: &Choice,
        (hidden, pace, frame_tokens, end): (u64, &Pace, u64, Duration),
    ) {
        let id = &self.scene.id;
        let of_message = format!("\"content_index\":0,\"item_id\":\"msg_{id}\",\"output_index\":{index}");
        // What each delta, and the end of them, says beside the text; the one that tells no probabilities has none.
        let (about, kind, key, more) = match choice.kind {
            Kind::Content => (of_message, "output_text", "text", ",\"logprobs\":[]"),
            Kind::Refusal => (of_message, "refusal", "refusal", ""),
            Kind::Call(_) => (
                format!("\"item_id\":\"fc_{id}\",\"output_index\":{index}"),
                "function_call_arguments",
                "arguments",
                "",
            ),
        };
        let has_parts = !matches!(choice.kind, Kind::Call(_));
        let from_the_start = pace.after(hidden);
        writer.event(from_the_start, Part::Opening, "response.output_item.added", |out| {
            put!(out, "\"output_index\":{index},\"item\":");
            self.item(out, choice, "in_progress", None);
        });
        if has_parts {
            writer.event(from_the_start, Part::Opening, "response.content_part.added", |out| {
                put!(out, "{about},\"part\":");
                part(out, choice, "");
            });
        }
        for from in (0..choice.text.tokens()).step_by(frame_tokens as usize) {
            let to = (from + frame_tokens).min(choice.text.tokens());
            writer.event(
                pace.after(hidden + to),
                Part::Content,
                &format!("response.{kind}.delta"),
                |out| {
                    put!(out, "{about}{more},\"delta\":");
                    quote(out, choice.text.slice(from, to));
                },
            );
        }
        writer.event(end, Part::Closing, &format!("response.{kind}.done"), |out| {
            put!(out, "{about}{more},\"{key}\":");
            quote(out, &choice.text.text);
            if let Kind::Call(name) = &choice.kind {
                member(out, "name", name);
            }
        });
        if has_parts {
            writer.event(end, Part::Closing, "response.content_part.done", |out| {
                put!(out, "{about},\"part\":");
                part(out, choice, &choice.text.text);
            });
        }
        writer.event(end, Part::Closing, "response.output_item.done", |out| {
            put!(out, "\"output_index\":{index},\"item\":");
            self.item(out, choice, ended(choice), Some(&choice.text.text));
        });
    }

    /// The stream of a refusal that hides behind a 200. `message` is without quotes.
    pub(crate) fn refused_stream(&self, at: Duration, message: &str) -> Frames {
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
            out.extend_from_slice(b"{\"type\":\"response.failed\",\"response\":");
            self.response(out, Status::Failed, Some(message), |_| {}, None);
            out.extend_from_slice(b",\"sequence_number\":2}");
        });
        frames
    }
}

/// Numbers the events.
#[derive(Default)]
struct Writer {
    frames: Frames,
}

impl Writer {
    fn event(&mut self, at: Duration, part: Part, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let number = self.frames.len();
        self.frames.event(at, part, name, |out| {
            put!(out, "{{\"type\":\"{name}\",\"sequence_number\":{number},");
            write(out);
            out.push(b'}');
        });
    }
}
