//! An error as the service writes it into a body.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::reply::shortened;

/// An error as the service writes it into a body: the `error` of a reply or of a frame in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorObject {
    /// `rate_limit_exceeded`, `DeploymentNotFound`, `429`, …; none where it names none.
    pub code: Option<String>,
    /// `server_error`, `too_many_requests`, …; none where it names none.
    pub kind: Option<String>,
    /// In the service's words; may be empty.
    pub message: String,
}

/// Longest text kept of each member, in characters. Real ones are below 500.
const MAX_TEXT: usize = 2_000;

impl ErrorObject {
    /// Reads the value of an `error` member: an object or a text.
    ///
    /// Returns None for: what SDKs take for "no error", which is `null`, `false`, 0, `""`, `[]` and `{}`.
    pub(crate) fn read(error: &RawValue) -> Option<Self> {
        let error: Value = match serde_json::from_str(error.get()) {
            Ok(value) => value,
            // Nested too deeply to be read: an error nevertheless.
            Err(reason) => Value::String(reason.to_string()),
        };
        match error {
            Value::Null | Value::Bool(false) => None,
            Value::Object(members) if members.is_empty() => None,
            Value::Array(items) if items.is_empty() => None,
            Value::Number(number) if number.as_f64() == Some(0.0) => None,
            Value::String(text) if text.is_empty() => None,
            Value::Object(members) => Some(ErrorObject {
                code: text(members.get("code")),
                kind: text(members.get("type")),
                message: text(members.get("message")).unwrap_or_default(),
            }),
            Value::String(message) => Some(ErrorObject {
                message: shortened(&message, MAX_TEXT),
                ..Self::default()
            }),
            other => Some(ErrorObject {
                message: shortened(&other.to_string(), MAX_TEXT),
                ..Self::default()
            }),
        }
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(shortened(text, MAX_TEXT)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code.as_deref().or(self.kind.as_deref()).unwrap_or("error");
        // Escaped: a service must not be able to forge lines of a log.
        write!(f, "{}: {}", name.escape_debug(), self.message.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<String> {
        ErrorObject::read(&RawValue::from_string(json.to_owned()).unwrap()).map(|error| error.to_string())
    }

    #[test]
    fn every_form_of_an_error_is_read() {
        for (json, shown) in [
            (r#"{"code":"429","message":"slow down"}"#, "429: slow down"),
            (r#"{"code":429,"message":"slow down"}"#, "429: slow down"),
            (
                r#"{"code":null,"type":"server_error","message":"oops","param":null}"#,
                "server_error: oops",
            ),
            (r#""text only""#, "error: text only"),
            (r#"{"message":{"nested":1}}"#, "error: "),
            ("true", "error: true"),
            (r#"{"message":"a\nb"}"#, r"error: a\nb"),
        ] {
            assert_eq!(read(json).as_deref(), Some(shown), "{json}");
        }
    }

    #[test]
    fn what_sdks_take_for_no_error_is_none() {
        for json in ["null", "false", "0", "0.0", r#""""#, "[]", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn an_endless_message_is_shortened() {
        let json = serde_json::json!({ "message": "x".repeat(1_000_000) }).to_string();
        assert!(read(&json).unwrap().len() < 3_000);
    }
}
