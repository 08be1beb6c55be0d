//! A request's body in the form in which a job waits.
//!
//! A job does not know its deployment until the moment it is sent, and each deployment wants its own name in
//! the body and may bring defaults. So the body waits as the members of a JSON object, joined and without the
//! outer braces; rendering is one copy between a `{` and what is added:
//!
//! ```text
//! waits:     "messages":[…],"seed":7
//! rendered: {"messages":[…],"seed":7,"model":"gpt-4o-east","temperature":0.1}
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::{self, Deserializer as _, MapAccess};
use serde_json::value::RawValue;

use super::Operation;
use super::send_stream_options::SendStreamOptions;
use crate::error::RequestError;

/// A body that waits: 24 bytes and the text itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RequestBody {
    bytes: Box<[u8]>,
    shape: Shape,
    marks: Marks,
}

/// What a deployment adds to a chat request that does not say it itself, and what it is not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Defaults {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Most tokens of the answer, hidden reasoning included.
    pub max_completion_tokens: Option<u32>,
    /// Whether `stream_options` are sent, of whatever request.
    pub send_stream_options: SendStreamOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Sent as it is.
    Opaque,
    /// The members of an object.
    Object,
    /// The members of a chat request, the only kind that takes [`Defaults`].
    Chat,
}

/// What the members say, as far as anybody here cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    choices: u16,
    stream: bool,
    usage: UsageMark,
    temperature: bool,
    token_limit: bool,
}

/// Who decides whether a stream tells its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsageMark {
    /// Nobody has: it is asked for.
    Open,
    /// The caller has, by nothing: it wants no `stream_options`, or its reply is passed on as bytes, in which a frame that
    /// nobody asked for would show.
    Declined,
    /// The caller has, by `stream_options`.
    Given,
}

impl RequestBody {
    /// A body that is sent untouched: no JSON, or none of ours to read.
    #[must_use]
    pub(crate) fn opaque(bytes: Vec<u8>) -> Self {
        RequestBody {
            bytes: bytes.into(),
            shape: Shape::Opaque,
            marks: Marks::NONE,
        }
    }

    /// Takes a caller's body apart: its members, and the value of `model`, which decides the deployment.
    ///
    /// All other members are kept byte for byte and in order, even those of a name that occurs twice. Of more than
    /// one `model` the last counts, as it does for the service. What does not begin as an object (multipart, nothing
    /// at all) becomes [`opaque`](Self::opaque).
    ///
    /// # Errors
    /// Where the body begins with `{` and is not one JSON object in UTF-8, or its `model` is neither text nor `null`:
    /// the service answers 400 or, worse, 500, which would be held against its deployments.
    pub(crate) fn from_json(operation: &Operation, bytes: &[u8]) -> Result<(Self, Option<String>), RequestError> {
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Ok((Self::opaque(bytes.to_vec()), None));
        }
        let bad = |reason: String| RequestError::BadBody { reason };
        let text = std::str::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
        let reader = ObjectReader {
            writer: BodyWriter::new(operation, bytes.len()),
            taken_out: "model",
            value: None,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let (mut writer, model) = json.deserialize_map(reader).map_err(|error| bad(error.to_string()))?;
        json.end().map_err(|error| bad(error.to_string()))?;
        let model = match model.map(|model| serde_json::from_str(model.get())) {
            None => None,
            Some(Ok(model)) => model,
            Some(Err(_)) => return Err(bad("`model` must be text or null".to_owned())),
        };
        if writer.marks.usage == UsageMark::Open {
            writer.marks.usage = UsageMark::Declined;
        }
        Ok((writer.finish(), model))
    }

    /// Appends the whole body to `out`: our members, then `model`, then what the request leaves open.
    ///
    /// To a chat request `defaults` are added, each only where the request does not set it (`null` is set), and a
    /// streaming one asks for its usage unless it has `stream_options` of its own or was taken from a caller's body. Where
    /// the deployment is sent no `stream_options`, none are added and those of the request are taken out.
    pub(crate) fn render(&self, model: Option<&str>, defaults: Defaults, out: &mut Vec<u8>) {
        if self.shape == Shape::Opaque {
            out.extend_from_slice(&self.bytes);
            return;
        }
        // Room for everything that may be added, so that the buffer grows once at most.
        out.reserve(self.bytes.len() + model.map_or(0, str::len) + 128);
        out.push(b'{');
        let start = out.len();
        let never = defaults.send_stream_options == SendStreamOptions::Never;
        if never && self.marks.usage == UsageMark::Given {
            out.extend_from_slice(&self.without("stream_options"));
        } else {
            out.extend_from_slice(&self.bytes);
        }
        if let Some(model) = model {
            put(out, start, "model", model);
        }
        if self.shape == Shape::Chat {
            if let Some(temperature) = defaults.temperature.filter(|_| !self.marks.temperature) {
                put(out, start, "temperature", &temperature);
            }
            if let Some(limit) = defaults.max_completion_tokens.filter(|_| !self.marks.token_limit) {
                put(out, start, "max_completion_tokens", &limit);
            }
            if self.adds_usage() && !never {
                separate(out, start);
                out.extend_from_slice(br#""stream_options":{"include_usage":true}"#);
            }
        }
        out.push(b'}');
    }

    /// The members without that one.
    fn without(&self, key: &'static str) -> Vec<u8> {
        let reader = ObjectReader {
            writer: BodyWriter {
                bytes: Vec::with_capacity(self.bytes.len()),
                shape: self.shape,
                marks: self.marks,
            },
            taken_out: key,
            value: None,
        };
        let object = [b"{", &*self.bytes, b"}"].concat();
        let (writer, _) = serde_json::Deserializer::from_slice(&object)
            .deserialize_map(reader)
            .expect("members were read or written as JSON");
        writer.bytes
    }

    /// What waits: the members of an object without its braces, or a body that is sent as it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the reply is asked for as a stream.
    #[cfg(test)]
    pub(crate) fn is_stream(&self) -> bool {
        self.marks.stream
    }

    /// Whether rendering asks for a usage frame that the caller did not ask for, and should not see.
    #[must_use]
    pub(crate) fn adds_usage(&self) -> bool {
        self.shape == Shape::Chat && self.marks.stream && self.marks.usage == UsageMark::Open
    }

    /// How many choices are asked for (`n`), at least 1.
    #[must_use]
    pub(crate) fn choices(&self) -> u32 {
        self.marks.choices.into()
    }
}

impl fmt::Debug for RequestBody {
    /// The members as text: an array of byte values would help nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("shape", &self.shape)
            .field("bytes", &String::from_utf8_lossy(&self.bytes))
            .finish()
    }
}

/// Joins members into a body.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    bytes: Vec<u8>,
    shape: Shape,
    marks: Marks,
}

impl BodyWriter {
    /// A writer for a request of that operation, of about `capacity` bytes.
    pub(crate) fn new(operation: &Operation, capacity: usize) -> Self {
        BodyWriter {
            bytes: Vec::with_capacity(capacity),
            shape: match operation {
                Operation::ChatCompletions => Shape::Chat,
                _ => Shape::Object,
            },
            marks: Marks::NONE,
        }
    }

    /// Adds a member whose value is JSON text already. `stream_options` of `null` are none: some deployments refuse the
    /// very name.
    pub(crate) fn member(&mut self, key: &str, json: &str) {
        if key == "stream_options" && json == "null" {
            self.marks.usage = UsageMark::Declined;
            return;
        }
        separate(&mut self.bytes, 0);
        put_json(&mut self.bytes, key);
        self.bytes.push(b':');
        self.bytes.extend_from_slice(json.as_bytes());
        self.marks.note(key, json);
    }

    /// Adds a member from a value, under a key that needs no escape and that nobody here cares about.
    pub(crate) fn value(&mut self, key: &'static str, value: &impl Serialize) -> Result<(), RequestError> {
        separate(&mut self.bytes, 0);
        put_json(&mut self.bytes, key);
        self.bytes.push(b':');
        serde_json::to_writer(&mut self.bytes, value).map_err(|error| RequestError::NotJson {
            key: key.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Adds a member as it stands in a caller's JSON, both texts as received.
    fn verbatim(&mut self, key: &RawValue, json: &RawValue) -> Result<(), serde_json::Error> {
        separate(&mut self.bytes, 0);
        self.bytes.extend_from_slice(key.get().as_bytes());
        self.bytes.push(b':');
        self.bytes.extend_from_slice(json.get().as_bytes());
        self.marks.note(&plain(key)?, json.get());
        Ok(())
    }

    pub(crate) fn finish(self) -> RequestBody {
        RequestBody {
            // Copied, not shrunk: what is cut off the end of an allocation is a hole that little fits into, and a
            // million bodies wait. The writer's own room is used again for the next body.
            bytes: self.bytes.as_slice().into(),
            shape: self.shape,
            marks: self.marks,
        }
    }
}

impl Marks {
    const NONE: Marks = Marks {
        choices: 1,
        stream: false,
        usage: UsageMark::Open,
        temperature: false,
        token_limit: false,
    };

    fn note(&mut self, key: &str, json: &str) {
        match key {
            // `null` and what is no number count as the default; the service will say so if it disagrees. It may be written
            // as `2.0`.
            "n" => self.choices = json.parse().map_or(1, |number: f64| number as u16).max(1), // saturates
            "stream" => self.stream = json == "true",
            "stream_options" => self.usage = UsageMark::Given,
            "temperature" => self.temperature = true,
            "max_tokens" | "max_completion_tokens" => self.token_limit = true,
            _ => {}
        }
    }
}

/// Reads the members of an object into a [`BodyWriter`], except one, whose last value it gives.
struct ObjectReader<'de> {
    writer: BodyWriter,
    taken_out: &'static str,
    value: Option<&'de RawValue>,
}

impl<'de> de::Visitor<'de> for ObjectReader<'de> {
    type Value = (BodyWriter, Option<&'de RawValue>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value: &RawValue = map.next_value()?;
            if plain(key).map_err(de::Error::custom)? == self.taken_out {
                self.value = Some(value);
            } else {
                self.writer.verbatim(key, value).map_err(de::Error::custom)?;
            }
        }
        Ok((self.writer, self.value))
    }
}

/// A key without its quotes, and without escapes where it has any.
fn plain(key: &RawValue) -> Result<std::borrow::Cow<'_, str>, serde_json::Error> {
    Ok(serde_json::from_str::<super::json::Text<'_>>(key.get())?.0)
}

/// Appends a member to an object whose first member begins at `start`.
fn put(out: &mut Vec<u8>, start: usize, key: &str, value: &(impl Serialize + ?Sized)) {
    separate(out, start);
    put_json(out, key);
    out.push(b':');
    put_json(out, value);
}

/// Appends text or a number.
fn put_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("text and numbers can be written as JSON, and a Vec takes every byte");
}

/// Appends a comma, unless there is no member yet.
fn separate(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Operation = Operation::ChatCompletions;
    const BOTH: Defaults = Defaults {
        temperature: Some(0.5),
        max_completion_tokens: Some(9),
        send_stream_options: SendStreamOptions::Auto,
    };

    fn read(operation: &Operation, body: &str) -> (RequestBody, Option<String>) {
        RequestBody::from_json(operation, body.as_bytes()).unwrap()
    }

    fn rendered(body: &RequestBody, model: Option<&str>, defaults: Defaults) -> String {
        let mut out = b"kept".to_vec();
        body.render(model, defaults, &mut out);
        String::from_utf8(out).unwrap().split_off(4)
    }

    #[test]
    fn members_survive_byte_for_byte_and_in_order() {
        // Numbers that no float holds, escapes, a key that occurs twice, and spaces inside values.
        for (body, model, expected) in [
            (
                r#"{ "z" : 1e400 , "model" : "m", "a":[ 1 , 2 ], "a":"\u00e4\/", "k\"\n": {"model":"inner"} }"#,
                Some("m"),
                r#"{"z":1e400,"a":[ 1 , 2 ],"a":"\u00e4\/","k\"\n":{"model":"inner"},"model":"east"}"#,
            ),
            (
                r#"{"a":123456789012345678901234567890}"#,
                None,
                r#"{"a":123456789012345678901234567890,"model":"east"}"#,
            ),
            (r#"{"mod\u0065l":"m"}"#, Some("m"), r#"{"model":"east"}"#),
            (r#"{"model":"m","model":"n"}"#, Some("n"), r#"{"model":"east"}"#),
            (r#"{"model":null,"a":1}"#, None, r#"{"a":1,"model":"east"}"#),
            (" \r\n{}\n", None, r#"{"model":"east"}"#),
        ] {
            let (read, found) = read(&Operation::Responses, body);
            assert_eq!(found.as_deref(), model, "{body}");
            assert_eq!(rendered(&read, Some("east"), BOTH), expected);
        }
    }

    #[test]
    fn without_a_model_none_is_written() {
        let (body, _) = read(&CHAT, r#"{"model":"m","a":1}"#);
        assert_eq!(rendered(&body, None, Defaults::default()), r#"{"a":1}"#);
        assert_eq!(rendered(&read(&CHAT, "{}").0, None, Defaults::default()), "{}");
    }

    #[test]
    fn the_number_of_choices_is_read_however_it_is_written() {
        for (json, choices) in [
            ("3", 3),
            ("3.0", 3),
            ("3e0", 3),
            ("0.3e1", 3),
            ("null", 1),
            ("0", 1),
            ("-2", 1),
            ("\"2\"", 1),
            ("1e99", u32::from(u16::MAX)),
        ] {
            let body = format!(r#"{{"messages":[],"n":{json}}}"#);
            let (body, _) = RequestBody::from_json(&Operation::ChatCompletions, body.as_bytes()).unwrap();
            assert_eq!(body.choices(), choices, "{json}");
        }
    }

    #[test]
    fn a_model_is_escaped() {
        let (body, _) = read(&CHAT, "{}");
        assert_eq!(
            rendered(&body, Some("a\"\\\n"), Defaults::default()),
            r#"{"model":"a\"\\\n"}"#
        );
    }

    #[test]
    fn what_is_no_object_is_sent_untouched() {
        for body in ["", "--boundary\r\n", "[1]", "\"text\"", "\u{feff}{}"] {
            let (read, model) = read(&CHAT, body);
            assert_eq!(model, None);
            assert_eq!(rendered(&read, Some("east"), BOTH), body);
            assert!(!read.is_stream() && !read.adds_usage());
        }
        let (binary, _) = RequestBody::from_json(&CHAT, b"\xff\x00").unwrap();
        let mut out = Vec::new();
        binary.render(Some("east"), BOTH, &mut out);
        assert_eq!(out, b"\xff\x00");
    }

    #[test]
    fn what_begins_as_an_object_and_is_none_is_refused() {
        for (body, reason) in [
            (&b"{"[..], "EOF"),
            (b"{\"a\":1,}", "trailing comma"),
            (b"{\"a\":1} x", "trailing characters"),
            (b"{\"a\":\"\xff\"}", "utf-8"),
            (b"{\"model\":5}", "`model` must be text or null"),
            (b"{a:1}", "key must be a string"),
        ] {
            let error = RequestBody::from_json(&CHAT, body).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        let (body, _) = read(&CHAT, &deep);
        assert_eq!(rendered(&body, None, Defaults::default()), deep);
    }

    #[test]
    fn defaults_are_added_only_where_a_chat_request_says_nothing() {
        let temperature = r#""temperature":0.5"#;
        let limit = r#""max_completion_tokens":9"#;
        for (operation, members, added) in [
            (CHAT, "", vec![temperature, limit]),
            (CHAT, r#""temperature":1"#, vec![limit]),
            (CHAT, r#""temperature":null"#, vec![limit]),
            (CHAT, r#""max_tokens":1"#, vec![temperature]),
            (CHAT, r#""max_completion_tokens":1"#, vec![temperature]),
            (CHAT, r#""stream":true"#, vec![temperature, limit]),
            (CHAT, r#""stream":false"#, vec![temperature, limit]),
            (CHAT, r#""stream":true,"stream_options":{}"#, vec![temperature, limit]),
            (Operation::Completions, r#""stream":true"#, vec![]),
            (Operation::Embeddings, "", vec![]),
        ] {
            let (body, _) = read(&operation, &format!("{{{members}}}"));
            let parts: Vec<&str> = [members]
                .into_iter()
                .filter(|m| !m.is_empty())
                .chain(added.clone())
                .collect();
            assert_eq!(rendered(&body, None, BOTH), format!("{{{}}}", parts.join(",")));
            assert!(!body.adds_usage(), "{members}");
        }
    }

    #[test]
    fn a_deployment_that_takes_no_stream_options_is_sent_none() {
        let never = Defaults {
            send_stream_options: SendStreamOptions::Never,
            ..Defaults::default()
        };
        for (operation, body, sent) in [
            (
                CHAT,
                r#"{"a":1e400,"stream_options" : {"include_usage":true},"stream":true,"k\"":[ 1 ]}"#,
                r#"{"a":1e400,"stream":true,"k\"":[ 1 ],"model":"m"}"#,
            ),
            (
                Operation::Responses,
                r#"{"stream":true,"stream\u005foptions":{"include_obfuscation":false}}"#,
                r#"{"stream":true,"model":"m"}"#,
            ),
            (
                CHAT,
                r#"{"stream_options":null,"stream_options":{}}"#,
                r#"{"model":"m"}"#,
            ),
            (
                CHAT,
                r#"{"x":"stream_options"}"#,
                r#"{"x":"stream_options","model":"m"}"#,
            ),
        ] {
            assert_eq!(rendered(&read(&operation, body).0, Some("m"), never), sent);
        }
        let mut writer = BodyWriter::new(&CHAT, 0);
        writer.member("stream", "true");
        let body = writer.finish();
        assert!(body.adds_usage());
        assert_eq!(rendered(&body, None, never), r#"{"stream":true}"#);
    }

    #[test]
    fn what_matters_to_a_stream_is_noticed() {
        for (body, stream, choices) in [
            ("{}", false, 1),
            (r#"{"stream":true,"n":3}"#, true, 3),
            (r#"{"stream": null,"n":null}"#, false, 1),
            (r#"{"n":0}"#, false, 1),
            (r#"{"n":"2"}"#, false, 1),
            (r#"{"\u006e":2}"#, false, 2),
        ] {
            let (body, _) = read(&CHAT, body);
            assert_eq!((body.is_stream(), body.choices()), (stream, choices));
        }
    }

    #[test]
    fn a_waiting_body_stays_small() {
        assert_eq!(size_of::<RequestBody>(), 24);
    }
}
