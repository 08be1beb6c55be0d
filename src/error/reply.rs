//! A reply that makes no sense.

use std::fmt;

use serde_json::error::Category;

/// Why a reply that claims success could not be read: what is wrong, where, and what the reply looks like.
///
/// Nothing of the reply's text is in it, for that is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReply {
    reason: String,
    shape: String,
}

impl BadReply {
    /// `reason` must not quote the reply.
    pub(crate) fn new(reason: impl Into<String>, body: &[u8]) -> Self {
        BadReply {
            reason: reason.into(),
            shape: shape(body),
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What the reply looks like, such as `a JSON object of 57 bytes`; empty where it is empty.
    #[must_use]
    pub fn shape(&self) -> &str {
        &self.shape
    }
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if !self.shape.is_empty() {
            write!(f, ", in {}", self.shape)?;
        }
        Ok(())
    }
}

impl std::error::Error for BadReply {}

/// What a body looks like, by its first byte and its length.
fn shape(body: &[u8]) -> String {
    let looks = match body.trim_ascii_start().first() {
        None => return String::new(),
        Some(b'{') => "a JSON object",
        Some(b'[') => "a JSON list",
        Some(b'<') => "a page",
        Some(byte) if byte.is_ascii() => "a text",
        Some(_) => "a text or binary data",
    };
    let bytes = if body.len() == 1 { "byte" } else { "bytes" };
    format!("{looks} of {} {bytes}", body.len())
}

/// What is wrong with a JSON text and where, without what stands there: serde's own words quote it.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    let place = format!("at line {} column {}", error.line(), error.column());
    let words = error.to_string();
    let words = words.strip_suffix(&format!(" {place}")).unwrap_or(&words);
    let harmless = match error.classify() {
        // One of a few dozen fixed texts.
        Category::Syntax | Category::Eof | Category::Io => words.to_owned(),
        Category::Data => {
            let what = words.split(['"', '`']).next().unwrap_or_default().trim_end();
            let what = match what.split_once(", expected ") {
                Some((what, _)) => what,
                None => what,
            };
            // What is expected comes last and is ours; what was found comes first and may hold anything.
            let expected = words.rsplit_once(", expected ").map(|(_, expected)| expected);
            match (what, expected) {
                ("missing field" | "duplicate field", None) => words.to_owned(),
                (what, Some(expected)) => format!("{what}, expected {expected}"),
                (_, None) => "not of the right form".to_owned(),
            }
        }
    };
    if error.line() == 0 {
        harmless
    } else {
        format!("{harmless} {place}")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_bad_reply_tells_its_shape_and_nothing_of_its_text() {
        let body = |text: &str| BadReply::new("not JSON", text.as_bytes()).to_string();
        for (text, said) in [
            ("", "not JSON"),
            (" \n", "not JSON"),
            ("{\"canary\":1}", "not JSON, in a JSON object of 12 bytes"),
            (" [\"canary\"]", "not JSON, in a JSON list of 11 bytes"),
            ("<html>canary", "not JSON, in a page of 12 bytes"),
            ("canary\n[ERROR] forged", "not JSON, in a text of 21 bytes"),
            ("7", "not JSON, in a text of 1 byte"),
            ("ä", "not JSON, in a text or binary data of 2 bytes"),
        ] {
            assert_eq!(body(text), said);
        }
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // only read into
    struct Answer {
        text: String,
        count: Option<u8>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Good,
        Bad,
    }

    #[test]
    fn what_is_wrong_with_json_is_told_without_what_stands_there() {
        for (json, said) in [
            (
                r#"{"text":7}"#,
                "invalid type: integer, expected a string at line 1 column 9",
            ),
            (
                r#"{"text":"a","count":"canary \" at line 9, expected u8"}"#,
                "invalid type: string, expected u8 at line 1 column 54",
            ),
            (
                r#"{"text":"a","count":-5}"#,
                "invalid value: integer, expected u8 at line 1 column 22",
            ),
            (
                r#"{"text":"a","kind":"canary"}"#,
                "unknown variant, expected `good` or `bad` at line 1 column 27",
            ),
            (
                r#"{"text":"a","kind":"canary`, expected canary"}"#,
                "unknown variant, expected `good` or `bad` at line 1 column 45",
            ),
            (r#"{"count":1}"#, "missing field `text` at line 1 column 11"),
            (
                r#"{"text":"a","text":"canary"}"#,
                "duplicate field `text` at line 1 column 18",
            ),
            (
                r#"["canary"]"#,
                "invalid length 1, expected struct Answer with 3 elements at line 1 column 10",
            ),
            (
                r#""canary""#,
                "invalid type: string, expected struct Answer at line 1 column 8",
            ),
            ("{canary}", "key must be a string at line 1 column 2"),
            ("canary", "expected value at line 1 column 1"),
            (r#"{"text":"canary"#, "EOF while parsing a string at line 1 column 15"),
        ] {
            let error = serde_json::from_str::<Answer>(json).unwrap_err();
            assert_eq!(json_fault(&error), said, "{error}");
        }
        let custom: serde_json::Error = serde::de::Error::custom("canary");
        assert_eq!(json_fault(&custom), "not of the right form");
    }
}
