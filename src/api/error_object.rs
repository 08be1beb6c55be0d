//! The error object of a reply, however it was written.
//!
//! Azure OpenAI and the gateways before it write errors in at least five ways: an `error` object, a flat object, an
//! `error` text, HTML or plain text, and nothing at all. [`ErrorObject`] reads all of them and never fails; a body that
//! it cannot make sense of is its own message.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::clip;
use super::lenient::{Budget, read_tree};

/// Most bytes of a body that are looked at; what comes after is ignored.
pub(crate) const BODY_MAX: usize = 64 * 1024;

/// Most bytes that its members may take while they are looked at.
const MADE_MAX: usize = 1024 * 1024;

/// Longest message kept, in characters. The service's own stay under 1,000; a gateway's page can be any size.
pub(crate) const MESSAGE_MAX: usize = 4_096;

/// Longest code, type or parameter kept, in characters.
const WORD_MAX: usize = 128;

/// What an error reply says about itself, each text on one line.
///
/// It is what was received: services repeat the prompt that they do not like, and the key that they refuse. Of an error's
/// [`upstream`](crate::Error::upstream), whose body this reads, the call's own secrets have been masked before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorObject {
    /// `code`, e.g. `RateLimitReached`, `429` (a number becomes its digits), `content_filter`.
    pub code: Option<String>,
    /// `type`, e.g. `invalid_request_error`.
    pub kind: Option<String>,
    /// `param`: the field of the request that is at fault.
    pub param: Option<String>,
    /// `message`, or the text or title of a body that is no JSON; empty where there is none. At most
    /// 4,096 characters.
    pub message: String,
    /// Whether the service's content filter refused the prompt.
    pub filtered: bool,
}

impl ErrorObject {
    /// Reads the body of an error reply. Looks at its first 64 KiB and never fails.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX)]);
        let text = text.trim_start_matches('\u{feff}').trim();
        // What is nested too deeply, or holds too much, is taken as text.
        match read_tree(text, &Budget::new(MADE_MAX)) {
            Ok(Some(value)) => Self::from_value(&value).unwrap_or_else(|| Self::from_text(text)),
            Ok(None) | Err(_) => Self::from_text(text),
        }
    }

    /// Reads the data of an event named `error`: the error itself or wrapped, as JSON or as text.
    pub(crate) fn of_event(data: &str) -> Self {
        match read_tree(clip::clip(data, BODY_MAX), &Budget::new(MADE_MAX)) {
            Ok(Some(value)) => Self::from_value(&value).unwrap_or_default(),
            Ok(None) | Err(_) => Self::from_text(data),
        }
    }

    /// Reads the value of an `error` member.
    ///
    /// Returns None for: what SDKs take for "no error", which is `null`, `false`, 0, `""`, `[]` and `{}`.
    pub(crate) fn read(error: &RawValue) -> Option<Self> {
        let text = clip::clip(error.get(), BODY_MAX);
        match read_tree(text, &Budget::new(MADE_MAX)) {
            Ok(Some(value)) => truthy(&value).then(|| Self::from_error(&value)),
            // Too large or nested too deeply to be read: an error nevertheless.
            Ok(None) | Err(_) => Some(Self::from_text(text)),
        }
    }

    /// The error that one frame of a stream (or the body of a 200) carries; none where it carries content.
    ///
    /// An error is any truthy top-level `error`, a flat `{"type":"error",…}`, or a `response.failed` event of the
    /// Responses API. An `error` further down, as the content filter writes it into good replies, is none.
    #[must_use]
    pub fn in_frame(frame: &Value) -> Option<Self> {
        if let Some(error) = frame.get("error").filter(|error| truthy(error)) {
            return Some(Self::from_error(error));
        }
        match frame.get("type").and_then(Value::as_str) {
            Some("error") => {
                let mut flat = Self::from_object(frame);
                flat.kind = None; // it was the event's type, not the error's
                Some(flat)
            }
            // The details may be null here and stand in an `error` event beside it.
            Some("response.failed") => Some(
                frame
                    .pointer("/response/error")
                    .map(Self::from_error)
                    .unwrap_or_default(),
            ),
            _ => None,
        }
    }

    /// The same with each of its texts changed.
    pub(crate) fn changed<'t>(&'t self, change: impl Fn(&'t str) -> Cow<'t, str>) -> Self {
        let word = |text: &'t Option<String>| text.as_deref().map(|text| change(text).into_owned());
        ErrorObject {
            code: word(&self.code),
            kind: word(&self.kind),
            param: word(&self.param),
            message: change(&self.message).into_owned(),
            filtered: self.filtered,
        }
    }

    /// Whether `code` or `type` is one of `words`.
    #[must_use]
    pub fn is_any(&self, words: &[&str]) -> bool {
        [&self.code, &self.kind]
            .into_iter()
            .flatten()
            .any(|own| words.contains(&own.as_str()))
    }

    /// Whether the message contains `text`, without regard to ASCII case.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        find_ignoring_case(&self.message, text).is_some()
    }

    /// The whole body of an error reply, as JSON; none where it holds nothing that could be an error.
    fn from_value(value: &Value) -> Option<Self> {
        if let Some(error) = value.get("error").filter(|error| truthy(error)) {
            return Some(Self::from_error(error));
        }
        match value {
            Value::String(text) => Some(Self::from_text(text)),
            Value::Object(_) => Some(Self::from_object(value)).filter(|error| *error != Self::default()),
            // Some servers of the same API wrap the object in an array.
            Value::Array(items) => items.first().filter(|item| item.is_object()).and_then(Self::from_value),
            _ => None,
        }
    }

    /// The value of an `error` key.
    fn from_error(error: &Value) -> Self {
        match error {
            Value::String(text) => Self::from_text(text),
            Value::Object(_) => Self::from_object(error),
            other => Self::from_text(&other.to_string()),
        }
    }

    /// An object with `code` (or the gateway's `statusCode`), `message` (or `detail`, as Python servers write it), ….
    fn from_object(object: &Value) -> Self {
        let code = word(object, "code").or_else(|| word(object, "statusCode"));
        let message = match object.get("message").or_else(|| object.get("detail")) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let inner = object.get("innererror").or_else(|| object.get("inner_error"));
        let inner_code = inner.and_then(|inner| word(inner, "code"));
        ErrorObject {
            filtered: code.as_deref() == Some("content_filter")
                || inner_code.as_deref() == Some("ResponsibleAIPolicyViolation"),
            code,
            kind: word(object, "type"),
            param: word(object, "param"),
            message: one_line(&message, MESSAGE_MAX),
        }
    }

    /// A body that is no JSON: the title of a page, or the text itself.
    fn from_text(text: &str) -> Self {
        let message = if text.starts_with('<') {
            title(text).unwrap_or("a page without a title")
        } else {
            text
        };
        ErrorObject {
            message: one_line(message, MESSAGE_MAX),
            ..Self::default()
        }
    }
}

/// Whether a body has one of the forms in which services of this API tell errors, and so is from none that knows nothing
/// of it: an `error` object, Azure's gateway's `statusCode`, `detail` of Python servers, `"object": "error"` of vLLM. Neither pages
/// and texts nor what web servers and gateways write in JSON (`{"message":"Bad Request"}`, `{"error":"Not Found","status":404}`).
pub(crate) fn is_in_own_form(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Form<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        detail: Option<IgnoredAny>,
        #[serde(rename = "statusCode")]
        status_code: Option<IgnoredAny>,
        object: Option<Cow<'a, str>>,
    }
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    serde_json::from_slice::<Form<'_>>(body).is_ok_and(|form| {
        form.error.is_some_and(|error| error.get().starts_with('{'))
            || form.detail.is_some()
            || form.status_code.is_some()
            || form.object.as_deref() == Some("error")
    })
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code.as_deref().or(self.kind.as_deref()).unwrap_or("error");
        if self.message.is_empty() {
            f.write_str(name)
        } else {
            write!(f, "{name}: {}", self.message)
        }
    }
}

/// Truthy as the official SDKs mean it: `null`, `false`, `0`, `""` and `{}` are no error.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A short text, or a number as its digits; none where it is empty or of another type.
fn word(object: &Value, key: &str) -> Option<String> {
    let text = match object.get(key)? {
        Value::String(text) => one_line(text, WORD_MAX),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// What stands in `<title>`.
fn title(page: &str) -> Option<&str> {
    let open = find_ignoring_case(page, "<title")?;
    let start = open + page[open..].find('>')? + 1;
    let end = start + page[start..].find('<')?;
    Some(page[start..end].trim()).filter(|title| !title.is_empty())
}

/// Where `needle` (ASCII) first stands in `text`, without regard to ASCII case.
pub(crate) fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes()
        .windows(needle.len().max(1))
        .position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// `text` on one line, without control characters, at most `max` characters.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max * 4 {
            break; // no character is longer than 4 bytes
        }
    }
    clip(line, max)
}

/// `text`, cut after `max` characters with an ellipsis in place of the rest.
pub(crate) fn clip(mut text: String, max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a row expects: code, type, param, message.
    type Expected = (
        Option<&'static str>,
        Option<&'static str>,
        Option<&'static str>,
        &'static str,
    );

    fn check(origin: &str, body: &str, (code, kind, param, message): Expected) {
        let read = ErrorObject::parse(body.as_bytes());
        let got = (
            read.code.as_deref(),
            read.kind.as_deref(),
            read.param.as_deref(),
            read.message.as_str(),
        );
        assert_eq!(got, (code, kind, param, message), "{origin}: {body}");
    }

    #[test]
    #[rustfmt::skip] // a table
    fn every_variety_of_error_body_is_read() {
        let rows: &[(&str, &str, Expected)] = &[
            ("wire 4.1 variety 1", r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, (Some("DeploymentNotFound"), None, None, "The API deployment for this resource does not exist.")),
            ("wire 4.4, gateway's space", r#"{"error":{"code":"404","message": "Resource not found"}}"#, (Some("404"), None, None, "Resource not found")),
            ("wire 4.2", r#"{"error":{"message":"Unsupported parameter","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#, (Some("unsupported_parameter"), Some("invalid_request_error"), Some("max_tokens"), "Unsupported parameter")),
            ("wire 4.4, nulls", r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#, (None, Some("server_error"), None, "The server had an error")),
            ("wire 4.1 variety 2", r#"{"statusCode":401,"message":"Unauthorized."}"#, (Some("401"), None, None, "Unauthorized.")),
            ("wire 4.1 variety 3", r#"{"error":"text"}"#, (None, None, None, "text")),
            ("wire 4.1 variety 4, page", "<html><head>\n<TITLE>Request Header Fields\n Too Large</TITLE></head></html>", (None, None, None, "Request Header Fields Too Large")),
            ("wire 4.1 variety 4, page without title", "<html><body>x</body></html>", (None, None, None, "a page without a title")),
            ("wire 4.1 variety 4, text", "no healthy upstream\n", (None, None, None, "no healthy upstream")),
            ("wire 4.1 variety 5", "", (None, None, None, "")),
            ("vLLM, flat with a number", r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#, (Some("404"), Some("NotFoundError"), None, "The model `x` does not exist.")),
            ("FastAPI", r#"{"detail":"Not Found"}"#, (None, None, None, "Not Found")),
            ("array around the object", r#"[{"error":{"code":429,"message":"m"}}]"#, (Some("429"), None, None, "m")),
            ("a JSON string", r#""upstream connect error""#, (None, None, None, "upstream connect error")),
            ("a byte order mark", "\u{feff}{\"error\":\"text\"}", (None, None, None, "text")),
            ("null error, nothing else", r#"{"error":null}"#, (None, None, None, r#"{"error":null}"#)),
            ("cut JSON", r#"{"error":{"code":"429","mess"#, (None, None, None, r#"{"error":{"code":"429","mess"#)),
        ];
        for (origin, body, expected) in rows {
            check(origin, body, *expected);
        }
    }

    #[test]
    fn a_prompt_refused_by_the_content_filter_is_recognised() {
        for body in [
            r#"{"error":{"code":"content_filter","message":"m","status":400}}"#,
            r#"{"error":{"code":null,"message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            r#"{"error":{"message":"m","inner_error":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ] {
            assert!(ErrorObject::parse(body.as_bytes()).filtered, "{body}");
        }
        assert!(!ErrorObject::parse(br#"{"error":{"code":"content_filter_error","message":"m"}}"#).filtered);
    }

    #[test]
    fn a_frame_is_an_error_only_by_its_top_level() {
        let frame = |text: &str| ErrorObject::in_frame(&serde_json::from_str(text).unwrap());
        // wire 2.3: the content filter's own failure stands in a good reply.
        let good = r#"{"choices":[{"content_filter_results":{"error":{"code":"content_filter_error"}}}],"error":null}"#;
        assert_eq!(frame(good), None);
        assert_eq!(frame(r#"{"error":{},"choices":[]}"#), None);
        // wire 3.4
        let nested = frame(
            r#"{"type":"error","error":{"type":"too_many_requests","code":"rate_limit_exceeded","message":"m"}}"#,
        );
        assert_eq!(nested.unwrap().code.as_deref(), Some("rate_limit_exceeded"));
        let flat = frame(r#"{"type":"error","code":"server_error","message":"m","param":null}"#).unwrap();
        assert_eq!((flat.code.as_deref(), flat.kind), (Some("server_error"), None));
        let failed = frame(
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded"}}}"#,
        );
        assert_eq!(failed.unwrap().code.as_deref(), Some("rate_limit_exceeded"));
        let bare = frame(r#"{"type":"response.failed","response":{"status":"failed","error":null}}"#);
        assert!(bare.is_some());
    }

    #[test]
    fn nesting_without_end_is_taken_as_text() {
        let deep = "[".repeat(60_000);
        assert!(ErrorObject::parse(deep.as_bytes()).message.starts_with("[[["));
        let object = r#"{"error":"#.repeat(10_000);
        assert!(ErrorObject::parse(object.as_bytes()).message.starts_with("{\"error\":"));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character_and_control_characters_go() {
        let body = "ü".repeat(MESSAGE_MAX + 10);
        let message = ErrorObject::parse(body.as_bytes()).message;
        assert_eq!(message.chars().count(), MESSAGE_MAX + 1);
        assert!(message.ends_with("ü…"));
        assert_eq!(one_line("a\r\nb\u{1b}[2J\t c", 99), "a b [2J c");
        assert_eq!(one_line("abc def", 7), "abc def");
        assert_eq!(one_line("abc def", 6), "abc de…");
        assert_eq!(one_line("abc def", 3), "abc…");
    }

    #[test]
    fn what_knows_nothing_of_the_service_does_not_speak_in_its_form() {
        for (body, own) in [
            (r#"{"error":{"code":"404","message":"Resource not found"}}"#, true),
            ("\u{feff}\n{\"error\":{\"message\":\"m\"},\"error_id\":1}", true),
            (r#"{ "statusCode": 404, "message": "Resource not found" }"#, true),
            (r#"{"detail":[{"msg":"field required"}]}"#, true),
            (
                r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
                true,
            ),
            (r#"{"message":"Bad Request"}"#, false),
            (
                r#"{"timestamp":"2026-01-01","status":400,"error":"Bad Request","path":"/x"}"#,
                false,
            ),
            (r#"{"error":null,"object":"list"}"#, false),
            (r#"{"error":{"message":"cut"#, false),
            (r#"[{"error":{}}]"#, false),
            ("<html>no</html>", false),
            ("no", false),
            ("", false),
        ] {
            assert_eq!(is_in_own_form(body.as_bytes()), own, "{body}");
        }
    }
}
