//! An answer, written as the service would have written it whole.

use std::io::{self, Write};

use serde::Serialize;

use super::answer::Answer;
use super::draft::{CallDraft, Draft};
use super::items::Items;
use crate::api::Role;

/// What a choice takes beside its texts and lists: the names of its members.
pub(super) const CHOICE: usize = 256;
/// The same, of a tool call.
pub(super) const CALL: usize = 128;

/// From here on an answer is measured before it is written, so that no room is set aside for what does not come.
const LARGE: usize = 1024 * 1024;

/// Writes an answer.
pub(super) fn answer(answer: &Answer) -> String {
    let mut length = answer.choices.values().map(Draft::length).sum::<usize>();
    if length > LARGE {
        let mut measure = Writer::new(Measure(0));
        write(answer, &mut measure);
        length = measure.out.0;
    }
    let mut out = Writer::new(Vec::with_capacity(length));
    write(answer, &mut out);
    String::from_utf8(out.out).expect("JSON of texts is text")
}

fn write(Answer { head, choices, .. }: &Answer, out: &mut Writer<impl Write>) {
    out.object(|answer| {
        answer.value("id", &head.id);
        answer.value("object", "chat.completion");
        answer.value("created", &head.created);
        answer.value("model", &head.model);
        answer.list("choices", |list| {
            for (index, draft) in choices {
                list.item(|choice| draft.write(*index, choice));
            }
        });
        answer.value("usage", &head.usage);
        answer.value_if("system_fingerprint", head.system_fingerprint.as_ref());
        answer.value_if("service_tier", head.service_tier.as_ref());
        answer.value_if("prompt_filter_results", head.prompt_filter_results.as_ref());
    });
}

impl Draft {
    /// About how many bytes it is written with, and no less where there are no escapes to speak of.
    fn length(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let list = |list: &Option<Items>| list.as_ref().map_or(0, Items::length);
        let calls = self.tool_calls.values().map(|call| CALL + call.arguments.len());
        let logprobs = self.logprobs.as_ref();
        CHOICE
            + text(&self.content)
            + self.parts.length()
            + text(&self.refusal)
            + calls.sum::<usize>()
            + logprobs.map_or(0, |lists| list(&lists.content) + list(&lists.refusal))
    }

    fn write(&self, index: u32, choice: &mut Writer<impl Write>) {
        choice.value("index", &index);
        choice.member("message", |message| {
            message.object(|message| self.write_message(message))
        });
        choice.value("finish_reason", &self.finish);
        match &self.logprobs {
            None => choice.value("logprobs", &()),
            Some(logprobs) => choice.member("logprobs", |value| {
                value.object(|lists| {
                    lists.items_or_null("content", logprobs.content.as_ref());
                    lists.items_or_null("refusal", logprobs.refusal.as_ref());
                });
            }),
        }
        choice.value_if("content_filter_results", self.filter.as_ref());
    }

    fn write_message(&self, message: &mut Writer<impl Write>) {
        message.value("role", self.role.as_ref().unwrap_or(&Role::Assistant));
        match &self.content {
            content if self.parts.is_empty() => message.value("content", content),
            content => message.list("content", |parts| {
                parts.items(&self.parts);
                if let Some(text) = content {
                    parts.item(|part| {
                        part.value("type", "text");
                        part.value("text", text);
                    });
                }
            }),
        }
        message.value("refusal", &self.refusal);
        if !self.tool_calls.is_empty() {
            message.list("tool_calls", |calls| {
                for call in self.tool_calls.values() {
                    calls.item(|item| call.write(item));
                }
            });
        }
        for (key, value) in &self.extra {
            message.value(key, value);
        }
    }
}

impl CallDraft {
    fn write(&self, call: &mut Writer<impl Write>) {
        call.value("id", &self.id);
        call.value("type", self.kind());
        let mut part = |key, text| {
            call.member(key, |value| {
                value.object(|part| {
                    part.value("name", &self.name);
                    part.value(text, &self.arguments);
                });
            });
        };
        if self.is_custom {
            part("custom", "input");
        } else if self.is_function {
            part("function", "arguments");
        }
        for (key, value) in &self.extra {
            call.value(key, value);
        }
    }
}

/// Writes JSON, with commas where they belong.
struct Writer<W> {
    out: W,
    /// Something stands before what comes next.
    follows: bool,
}

impl<W: Write> Writer<W> {
    fn new(out: W) -> Self {
        Writer { out, follows: false }
    }

    fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.enclosed("{", "}", members);
    }

    fn member(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.separate();
        self.json(key);
        self.raw(":");
        value(self);
    }

    fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.member(key, |out| out.json(value));
    }

    fn value_if(&mut self, key: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    fn list(&mut self, key: &str, items: impl FnOnce(&mut Self)) {
        self.member(key, |out| out.enclosed("[", "]", items));
    }

    fn item(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.object(members);
    }

    fn items(&mut self, items: &Items) {
        items.chunks().for_each(|json| self.raw(json));
    }

    fn items_or_null(&mut self, key: &str, items: Option<&Items>) {
        match items {
            Some(items) => self.list(key, |list| list.items(items)),
            None => self.value(key, &()),
        }
    }

    fn enclosed(&mut self, open: &str, close: &str, inside: impl FnOnce(&mut Self)) {
        self.raw(open);
        self.follows = false;
        inside(self);
        self.raw(close);
        self.follows = true;
    }

    fn separate(&mut self) {
        if std::mem::replace(&mut self.follows, true) {
            self.raw(",");
        }
    }

    fn raw(&mut self, json: &str) {
        self.out.write_all(json.as_bytes()).expect("memory takes every byte");
        self.follows = true;
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(&mut self.out, value).expect("what was read as JSON can be written");
    }
}

/// Counts what is written.
struct Measure(usize);

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
