//! Replies of the Responses API, whole and streamed. It is the one API whose events have names, and whose streams end
//! without `[DONE]`.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Scene, put, quote};
use crate::sim::answer::{Answer, Choice, Finish, Kind};
use crate::sim::request::{Str, Told};
use crate::sim::usage::Usage;

mod stream;

/// What the replies to one request are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) scene: &'a Scene<'a>,
    /// What is told again of the request.
    pub(crate) told: &'a Told<'a>,
    /// Whether the model reasons.
    pub(crate) reasons: bool,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug)]
enum Status {
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
    Failed,
}

impl Status {
    /// How a response ends.
    fn of(answer: &Answer) -> Self {
        match answer.choices.first().map(|choice| choice.finish) {
            Some(Finish::Length) => Status::Incomplete("max_output_tokens"),
            Some(Finish::ContentFilter) => Status::Incomplete("content_filter"),
            Some(Finish::Stop | Finish::ToolCalls) | None => Status::Completed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) => "incomplete",
            Status::Failed => "failed",
        }
    }
}

impl Reply<'_> {
    /// The body of a whole reply.
    pub(crate) fn json(&self, answer: &Answer) -> Vec<u8> {
        let mut out = Vec::with_capacity(1800);
        self.response(
            &mut out,
            Status::of(answer),
            None,
            |out| self.output(out, answer),
            Some(&answer.usage),
        );
        out
    }

    /// The whole object. The service sends every member that it knows, those that nothing was asked for included.
    fn response(
        &self,
        out: &mut Vec<u8>,
        status: Status,
        failure: Option<&str>,
        output: impl FnOnce(&mut Vec<u8>),
        usage: Option<&Usage>,
    ) {
        let Reply { scene, told, .. } = self;
        put!(
            out,
            "{{\"id\":\"resp_{}\",\"object\":\"response\",\"created_at\":{},\"status\":\"{}\"",
            scene.id,
            scene.created,
            status.name()
        );
        member(out, "background", &told.background.unwrap_or(false));
        member(
            out,
            "completed_at",
            &matches!(status, Status::Completed).then_some(scene.completed),
        );
        out.extend_from_slice(b",\"error\":");
        match failure {
            Some(message) => {
                out.extend_from_slice(b"{\"code\":\"rate_limit_exceeded\",\"message\":");
                quote(out, message);
                out.push(b'}');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"incomplete_details\":");
        match status {
            Status::Incomplete(reason) => put!(out, "{{\"reason\":\"{reason}\"}}"),
            _ => out.extend_from_slice(b"null"),
        }
        texts(out, "instructions", told.instructions.as_ref());
        member(out, "max_output_tokens", &told.max_output_tokens);
        member(out, "max_tool_calls", &told.max_tool_calls);
        member(out, "metadata", &told.metadata.clone().unwrap_or_default());
        put!(out, ",\"model\":{},\"output\":[", scene.model);
        output(out);
        out.push(b']');
        member(out, "parallel_tool_calls", &told.parallel_tool_calls.unwrap_or(true));
        texts(out, "previous_response_id", told.previous_response_id.as_ref());
        texts(out, "prompt_cache_key", told.prompt_cache_key.as_ref());
        texts(out, "prompt_cache_retention", told.prompt_cache_retention.as_ref());
        self.reasoning(out);
        texts(out, "safety_identifier", told.safety_identifier.as_ref());
        let tier = told
            .service_tier
            .as_ref()
            .map(Str::as_str)
            .filter(|tier| *tier != "auto");
        member(out, "service_tier", tier.unwrap_or("default"));
        member(out, "store", &told.store.unwrap_or(true));
        member(out, "temperature", &told.temperature.unwrap_or(1.0));
        self.text(out);
        put!(
            out,
            ",\"tool_choice\":{}",
            told.tool_choice.map_or("\"auto\"", RawValue::get)
        );
        self.tools(out);
        member(out, "top_logprobs", &told.top_logprobs.unwrap_or(0));
        member(out, "top_p", &told.top_p.unwrap_or(1.0));
        member(
            out,
            "truncation",
            told.truncation.as_ref().map_or("disabled", Str::as_str),
        );
        if let Some(usage) = usage {
            out.extend_from_slice(b",\"usage\":");
            used(out, usage);
        }
        if let Some(user) = &told.user {
            member(out, "user", user.as_str());
        }
        out.push(b'}');
    }

    fn reasoning(&self, out: &mut Vec<u8>) {
        let told = self.told.reasoning.clone().unwrap_or_default();
        let effort = told.effort.as_ref().map(Str::as_str);
        let effort = effort.or(self.reasons.then_some("medium"));
        out.extend_from_slice(b",\"reasoning\":{\"effort\":");
        json(out, &effort);
        out.extend_from_slice(b",\"summary\":");
        json(out, &told.summary.as_ref().map(Str::as_str));
        out.push(b'}');
    }

    fn text(&self, out: &mut Vec<u8>) {
        let told = self.told.text.as_ref();
        out.extend_from_slice(b",\"text\":{\"format\":");
        match told.and_then(|told| told.format) {
            Some(format) if format.get().contains("json_schema") => {
                with_defaults(out, format, &[("strict", "true")]);
            }
            Some(format) => out.extend_from_slice(format.get().as_bytes()),
            None => out.extend_from_slice(b"{\"type\":\"text\"}"),
        }
        let verbosity = told.and_then(|told| told.verbosity.as_ref());
        member(out, "verbosity", verbosity.map_or("medium", Str::as_str));
        out.push(b'}');
    }

    fn tools(&self, out: &mut Vec<u8>) {
        #[derive(Deserialize)]
        struct Typed<'t> {
            #[serde(borrow)]
            r#type: Str<'t>,
        }
        out.extend_from_slice(b",\"tools\":[");
        for (index, tool) in self.told.tools.iter().flatten().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let is_function =
                serde_json::from_str::<Typed<'_>>(tool.get()).is_ok_and(|tool| tool.r#type.as_str() == "function");
            if is_function {
                let defaults = [("description", "null"), ("parameters", "null"), ("strict", "true")];
                with_defaults(out, tool, &defaults);
            } else {
                out.extend_from_slice(tool.get().as_bytes());
            }
        }
        out.push(b']');
    }

    fn output(&self, out: &mut Vec<u8>, answer: &Answer) {
        if answer.usage.reasoning > 0 {
            self.thought(out);
        }
        for (index, choice) in answer.choices.iter().enumerate() {
            if index > 0 || answer.usage.reasoning > 0 {
                out.push(b',');
            }
            self.item(out, choice, ended(choice), Some(&choice.text.text));
        }
    }

    /// What was thought, of which nothing is told.
    fn thought(&self, out: &mut Vec<u8>) {
        put!(
            out,
            "{{\"id\":\"rs_{}\",\"type\":\"reasoning\",\"summary\":[]}}",
            self.scene.id
        );
    }

    /// A message or a function call. Without a text: as it is when it has only been begun.
    fn item(&self, out: &mut Vec<u8>, choice: &Choice, status: &str, text: Option<&str>) {
        let id = &self.scene.id;
        if let Kind::Call(name) = &choice.kind {
            put!(
                out,
                "{{\"id\":\"fc_{id}\",\"type\":\"function_call\",\"status\":\"{status}\",\"arguments\":"
            );
            quote(out, text.unwrap_or(""));
            put!(out, ",\"call_id\":\"call_{id}\",\"name\":");
            quote(out, name);
            out.push(b'}');
            return;
        }
        put!(
            out,
            "{{\"id\":\"msg_{id}\",\"type\":\"message\",\"status\":\"{status}\",\"content\":["
        );
        if let Some(text) = text {
            part(out, choice, text);
        }
        out.extend_from_slice(b"],\"role\":\"assistant\"}");
    }
}

/// The body that answers a conversation which is to be compacted: the user's messages, and the rest in a form that nobody
/// but the service reads.
pub(crate) fn compaction(scene: &Scene<'_>, messages: &[String], usage: &Usage, encrypted: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(800);
    let Scene { id, created, .. } = scene;
    put!(
        &mut out,
        "{{\"id\":\"resp_{id}\",\"object\":\"response.compaction\",\"created_at\":{created},\"output\":["
    );
    for (index, message) in messages.iter().enumerate() {
        put!(
            &mut out,
            "{{\"id\":\"msg_{id}{index}\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":\
             [{{\"type\":\"input_text\",\"text\":"
        );
        quote(&mut out, message);
        out.extend_from_slice(b"}]},");
    }
    put!(
        &mut out,
        "{{\"id\":\"cmp_{id}\",\"type\":\"compaction\",\"encrypted_content\":\"{encrypted}\"}}],\"usage\":"
    );
    used(&mut out, usage);
    out.push(b'}');
    out
}

/// How an item ended.
fn ended(choice: &Choice) -> &'static str {
    match choice.finish {
        Finish::Length | Finish::ContentFilter => "incomplete",
        Finish::Stop | Finish::ToolCalls => "completed",
    }
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

fn used(out: &mut Vec<u8>, usage: &Usage) {
    put!(
        out,
        "{{\"input_tokens\":{},\"input_tokens_details\":{{\"cache_write_tokens\":0,\"cached_tokens\":{}}},\
         \"output_tokens\":{},\"output_tokens_details\":{{\"reasoning_tokens\":{}}},\"total_tokens\":{}}}",
        usage.prompt,
        usage.cached,
        usage.completion,
        usage.reasoning,
        usage.total()
    );
}

/// Appends a further member.
fn member(out: &mut Vec<u8>, key: &str, value: &(impl Serialize + ?Sized)) {
    put!(out, ",\"{key}\":");
    json(out, value);
}

/// Appends a further member that is a text or null.
fn texts(out: &mut Vec<u8>, key: &str, text: Option<&Str<'_>>) {
    member(out, key, &text.map(Str::as_str));
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a vector takes every byte, and what is told again came as JSON");
}

/// Appends an object with the members that it lacks of these; what is none as it is.
fn with_defaults(out: &mut Vec<u8>, object: &RawValue, defaults: &[(&str, &str)]) {
    let text = object.get();
    let members = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text);
    let (Ok(members), Some(open)) = (members, text.strip_suffix('}')) else {
        out.extend_from_slice(text.as_bytes());
        return;
    };
    out.extend_from_slice(open.trim_end().as_bytes());
    for (key, value) in defaults.iter().filter(|(key, _)| !members.contains_key(*key)) {
        let comma = if out.ends_with(b"{") { "" } else { "," };
        put!(out, "{comma}\"{key}\":{value}");
    }
    out.push(b'}');
}
