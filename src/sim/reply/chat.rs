//! Chat completions, whole and streamed.

use std::time::Duration;

use super::headers::letters;
use super::{Frames, Part, Scene, filters, put, quote, usage};
use crate::sim::answer::{Answer, Choice, Finish, Kind};
use crate::sim::config::{FilterMode, Pace};
use crate::sim::dice::Dice;
use crate::sim::request::{Prompt, Stream};

/// The body of a whole reply.
pub(crate) fn json(scene: &Scene<'_>, answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(1200 + answer.choices.iter().map(|c| c.text.text.len() + 400).sum::<usize>());
    out.extend_from_slice(b"{\"choices\":[");
    for (index, choice) in answer.choices.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'{');
        if scene.filtered() {
            put!(
                &mut out,
                "\"content_filter_results\":{},",
                scene.answer_filter(choice.finish)
            );
        }
        put!(
            &mut out,
            "\"finish_reason\":\"{}\",\"index\":{index},\"logprobs\":null,\"message\":",
            choice.finish.name()
        );
        message(&mut out, choice, &call_id(scene, index));
        out.push(b'}');
    }
    put!(
        &mut out,
        "],\"created\":{},\"id\":\"chatcmpl-{}\",\"model\":{},\"object\":\"chat.completion\",",
        scene.created,
        scene.id,
        scene.model
    );
    prompt_filter(&mut out, scene);
    put!(&mut out, "\"system_fingerprint\":\"{}\",\"usage\":", scene.fingerprint);
    usage(&mut out, &answer.usage);
    out.push(b'}');
    out
}

fn message(out: &mut Vec<u8>, choice: &Choice, call_id: &str) {
    let text = &choice.text.text;
    out.extend_from_slice(b"{\"annotations\":[],\"content\":");
    match choice.kind {
        Kind::Content => quote(out, text),
        Kind::Refusal | Kind::Call(_) => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"refusal\":");
    match choice.kind {
        Kind::Refusal => quote(out, text),
        Kind::Content | Kind::Call(_) => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"role\":\"assistant\"");
    if let Kind::Call(name) = &choice.kind {
        out.extend_from_slice(b",\"tool_calls\":[{\"function\":{\"arguments\":");
        quote(out, text);
        out.extend_from_slice(b",\"name\":");
        quote(out, name);
        put!(out, "}},\"id\":\"{call_id}\",\"type\":\"function\"}}]");
    }
    out.push(b'}');
}

fn prompt_filter(out: &mut Vec<u8>, scene: &Scene<'_>) {
    if scene.filtered() {
        put!(
            out,
            "\"prompt_filter_results\":[{{\"prompt_index\":0,\"content_filter_results\":{}}}],",
            scene.prompt_filter()
        );
    }
}

fn call_id(scene: &Scene<'_>, index: usize) -> String {
    format!("call_{}{index}", &scene.id[..scene.id.len().min(22)])
}

/// The same reply as a stream: filter results of the prompt, roles, tokens, finish reasons, usage if asked for, and
/// `[DONE]`. `frame_tokens` is how many tokens a frame carries, at least 1.
pub(crate) fn stream(
    scene: &Scene<'_>,
    answer: &Answer,
    wanted: Stream,
    prompt: &Prompt,
    pace: &Pace,
    frame_tokens: u64,
) -> Frames {
    let tokens: u64 = answer.choices.iter().map(|choice| choice.text.tokens()).sum();
    let mut writer = Writer {
        frames: Frames::with_capacity(1500 + 450 * (tokens / frame_tokens + 4) as usize),
        scene,
        tail: tail(scene),
        padding: wanted.obfuscation.then(|| Dice::new(&[prompt.hash, 2])),
        usage_null: if wanted.include_usage { ",\"usage\":null" } else { "" },
    };
    writer.prompt(pace.first);
    for (index, choice) in answer.choices.iter().enumerate() {
        let id = call_id(scene, index);
        writer.frame(pace.first, Part::Opening, index, None, "{}", |out| {
            role(out, choice, &id)
        });
    }
    let safe = if scene.filter_down {
        scene.prompt_filter()
    } else {
        filters::SAFE
    };
    let (hidden, longest) = (answer.usage.reasoning, answer.longest());
    for from in (0..longest).step_by(frame_tokens as usize) {
        let to = from + frame_tokens;
        let at = pace.after(hidden + to.min(longest));
        for (index, choice) in answer.choices.iter().enumerate() {
            let said = choice.text.slice(from, to);
            if said.is_empty() {
                continue;
            }
            writer.frame(at, Part::Content, index, None, safe, |out| delta(out, choice, said));
        }
        if scene.filter == FilterMode::Asynchronous && from <= longest / 2 && longest / 2 < to {
            writer.annotation(at, prompt, answer, to);
        }
    }
    let end = pace.after(hidden + longest);
    for (index, choice) in answer.choices.iter().enumerate() {
        let results = match choice.finish {
            Finish::ContentFilter => scene.answer_filter(choice.finish),
            Finish::Stop | Finish::Length | Finish::ToolCalls => "{}",
        };
        writer.frame(end, Part::Finish, index, Some(choice.finish), results, |out| {
            out.extend_from_slice(b"{}");
        });
    }
    if scene.filter == FilterMode::Asynchronous {
        writer.annotation(end, prompt, answer, longest);
    }
    if wanted.include_usage {
        writer.usage(end, answer);
    }
    writer
        .frames
        .data(end, Part::Done, |out| out.extend_from_slice(b"[DONE]"));
    writer.frames
}

/// What follows the choices of every frame, before and after the padding (keys are in alphabetical order).
fn tail(scene: &Scene<'_>) -> (String, String) {
    let head = format!(
        ",\"created\":{},\"id\":\"chatcmpl-{}\",\"model\":{}",
        scene.created, scene.id, scene.model
    );
    let rest = format!(
        ",\"object\":\"chat.completion.chunk\",\"system_fingerprint\":\"{}\"",
        scene.fingerprint
    );
    (head, rest)
}

struct Writer<'a> {
    frames: Frames,
    scene: &'a Scene<'a>,
    /// What follows the choices of every frame, before and after the padding.
    tail: (String, String),
    /// Where the obfuscation comes from, if there is any.
    padding: Option<Dice>,
    usage_null: &'static str,
}

impl Writer<'_> {
    /// The first frame: what the filter found in the prompt.
    fn prompt(&mut self, at: Duration) {
        if self.scene.filtered() {
            let (results, usage_null) = (self.scene.prompt_filter(), self.usage_null);
            self.frames.data(at, Part::Opening, |out| {
                put!(
                    out,
                    "{{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":\
                     [{{\"prompt_index\":0,\"content_filter_results\":{results}}}]{usage_null}}}"
                );
            });
        }
    }

    /// A frame of one choice.
    fn frame(
        &mut self,
        at: Duration,
        part: Part,
        index: usize,
        finish: Option<Finish>,
        filter_results: &str,
        delta: impl FnOnce(&mut Vec<u8>),
    ) {
        let Writer {
            frames,
            scene,
            tail,
            padding,
            usage_null,
        } = self;
        frames.data(at, part, |out| {
            out.extend_from_slice(b"{\"choices\":[{");
            if scene.filter == FilterMode::Buffered {
                out.extend_from_slice(b"\"content_filter_results\":");
                out.extend_from_slice(filter_results.as_bytes());
                out.push(b',');
            }
            out.extend_from_slice(b"\"delta\":");
            delta(out);
            match finish {
                None => out.extend_from_slice(b",\"finish_reason\":null"),
                Some(finish) => put!(out, ",\"finish_reason\":\"{}\"", finish.name()),
            }
            put!(out, ",\"index\":{index},\"logprobs\":null}}]");
            out.extend_from_slice(tail.0.as_bytes());
            if let Some(dice) = padding {
                obfuscation(out, dice);
            }
            out.extend_from_slice(tail.1.as_bytes());
            out.extend_from_slice(usage_null.as_bytes());
            out.push(b'}');
        });
    }

    /// A frame of the asynchronous filter: results and offsets, no delta.
    fn annotation(&mut self, at: Duration, prompt: &Prompt, answer: &Answer, to: u64) {
        // Offsets count characters from the start of the prompt; a token of it is about four.
        let start = prompt.tokens * 4;
        for (index, choice) in answer.choices.iter().enumerate() {
            let end = start + choice.text.slice(0, to).chars().count() as u64;
            let results = self.scene.answer_filter(choice.finish);
            let blocked = choice.finish == Finish::ContentFilter;
            let finish = if blocked { "\"content_filter\"" } else { "null" };
            self.frames.data(at, Part::Closing, |out| {
                put!(
                    out,
                    "{{\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[{{\"index\":{index},\
                     \"finish_reason\":{finish},\"content_filter_results\":{results},\"content_filter_offsets\":\
                     {{\"check_offset\":{end},\"start_offset\":{start},\"end_offset\":{end}}}}}],\"usage\":null}}"
                );
            });
        }
    }

    fn usage(&mut self, at: Duration, answer: &Answer) {
        let Writer {
            frames, tail, padding, ..
        } = self;
        frames.data(at, Part::Closing, |out| {
            out.extend_from_slice(b"{\"choices\":[]");
            out.extend_from_slice(tail.0.as_bytes());
            if let Some(dice) = padding {
                obfuscation(out, dice);
            }
            out.extend_from_slice(tail.1.as_bytes());
            out.extend_from_slice(b",\"usage\":");
            usage(out, &answer.usage);
            out.push(b'}');
        });
    }
}

/// The role frame's delta.
fn role(out: &mut Vec<u8>, choice: &Choice, call_id: &str) {
    match &choice.kind {
        Kind::Content | Kind::Refusal => {
            out.extend_from_slice(b"{\"content\":\"\",\"refusal\":null,\"role\":\"assistant\"}");
        }
        Kind::Call(name) => {
            out.extend_from_slice(
                b"{\"content\":null,\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"\",\"name\":",
            );
            quote(out, name);
            put!(out, "}},\"id\":\"{call_id}\",\"index\":0,\"type\":\"function\"}}]}}");
        }
    }
}

/// A content frame's delta.
fn delta(out: &mut Vec<u8>, choice: &Choice, said: &str) {
    let (before, after): (&[u8], &[u8]) = match choice.kind {
        Kind::Content => (b"{\"content\":", b"}"),
        Kind::Refusal => (b"{\"refusal\":", b"}"),
        Kind::Call(_) => (b"{\"tool_calls\":[{\"function\":{\"arguments\":", b"},\"index\":0}]}"),
    };
    out.extend_from_slice(before);
    quote(out, said);
    out.extend_from_slice(after);
}

/// Padding of random length, against those who measure encrypted frames.
fn obfuscation(out: &mut Vec<u8>, dice: &mut Dice) {
    let length = 1 + dice.bits() % 10;
    put!(out, ",\"obfuscation\":\"{}\"", letters(dice, length as usize));
}
