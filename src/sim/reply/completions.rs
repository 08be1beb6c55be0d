//! Legacy completions, whole and streamed.

use super::{Frames, Part, Scene, put, quote, usage};
use crate::sim::answer::{Answer, Finish};
use crate::sim::config::Pace;
use crate::sim::request::Stream;

/// The body of a whole reply.
pub(crate) fn json(scene: &Scene<'_>, answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(1000 + answer.choices.iter().map(|c| c.text.text.len() + 350).sum::<usize>());
    out.extend_from_slice(b"{\"choices\":[");
    for (index, choice) in answer.choices.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        choice_json(&mut out, scene, index, Some(choice.finish), &choice.text.text);
    }
    put!(
        &mut out,
        "],\"created\":{},\"id\":\"cmpl-{}\",\"model\":{},\"object\":\"text_completion\",",
        scene.created,
        scene.id,
        scene.model
    );
    if scene.filtered() {
        put!(
            &mut out,
            "\"prompt_filter_results\":[{{\"prompt_index\":0,\"content_filter_results\":{}}}],",
            scene.prompt_filter()
        );
    }
    put!(&mut out, "\"system_fingerprint\":\"{}\",\"usage\":", scene.fingerprint);
    usage(&mut out, &answer.usage);
    out.push(b'}');
    out
}

fn choice_json(out: &mut Vec<u8>, scene: &Scene<'_>, index: usize, finish: Option<Finish>, text: &str) {
    out.push(b'{');
    if scene.filtered() {
        let results = scene.answer_filter(finish.unwrap_or(Finish::Stop));
        put!(out, "\"content_filter_results\":{results},");
    }
    match finish {
        Some(finish) => put!(out, "\"finish_reason\":\"{}\"", finish.name()),
        None => out.extend_from_slice(b"\"finish_reason\":null"),
    }
    put!(out, ",\"index\":{index},\"logprobs\":null,\"text\":");
    quote(out, text);
    out.push(b'}');
}

/// The same reply as a stream.
pub(crate) fn stream(scene: &Scene<'_>, answer: &Answer, wanted: Stream, pace: &Pace, frame_tokens: u64) -> Frames {
    let mut frames = Frames::default();
    let usage_null = if wanted.include_usage { ",\"usage\":null" } else { "" };
    let tail = format!(
        "],\"created\":{},\"id\":\"cmpl-{}\",\"model\":{},\"object\":\"text_completion\"",
        scene.created, scene.id, scene.model
    );
    let longest = answer.longest();
    for from in (0..longest).step_by(frame_tokens as usize) {
        let to = from + frame_tokens;
        for (index, choice) in answer.choices.iter().enumerate() {
            let said = choice.text.slice(from, to);
            if said.is_empty() {
                continue;
            }
            frames.data(pace.after(to.min(longest)), Part::Content, |out| {
                out.extend_from_slice(b"{\"choices\":[");
                choice_json(out, scene, index, None, said);
                put!(out, "{tail}{usage_null}}}");
            });
        }
    }
    let end = pace.after(longest);
    for (index, choice) in answer.choices.iter().enumerate() {
        frames.data(end, Part::Finish, |out| {
            out.extend_from_slice(b"{\"choices\":[");
            choice_json(out, scene, index, Some(choice.finish), "");
            put!(out, "{tail}{usage_null}}}");
        });
    }
    if wanted.include_usage {
        frames.data(end, Part::Closing, |out| {
            put!(out, "{{\"choices\":[{tail},\"usage\":");
            usage(out, &answer.usage);
            out.push(b'}');
        });
    }
    frames.data(end, Part::Done, |out| out.extend_from_slice(b"[DONE]"));
    frames
}
