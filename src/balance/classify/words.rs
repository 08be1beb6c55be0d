//! How a reply is told.

use super::{Judged, REASON_MAX};
use crate::api::error_object::{ErrorObject, clip, one_line};
use crate::api::withheld::Withheld;
use crate::balance::outcome::Outcome;
use crate::error::fault::Fault;

/// A reason in words, at most [`REASON_MAX`] characters each.
pub(super) struct Words {
    pub(super) recorded: String,
    pub(super) told: String,
}

impl Words {
    /// What `describe` says of the error, for both.
    pub(super) fn of(error: &ErrorObject, withheld: Withheld<'_>, describe: impl Fn(&ErrorObject) -> String) -> Self {
        let say = |error: &ErrorObject| clip(describe(error), REASON_MAX);
        Words {
            recorded: say(&error.changed(|text| withheld.recorded(text))),
            told: say(&error.changed(|text| withheld.told(text))),
        }
    }

    /// What broke off an attempt, for both.
    pub(super) fn of_fault(fault: &Fault, withheld: Withheld<'_>) -> Self {
        let words = fault.to_string();
        Words {
            recorded: one_line(&withheld.recorded(&words), REASON_MAX),
            told: one_line(&withheld.told(&words), REASON_MAX),
        }
    }

    /// What is no more than what may be recorded.
    pub(super) fn harmless(reason: &str) -> Self {
        let recorded = one_line(reason, REASON_MAX);
        Words {
            told: recorded.clone(),
            recorded,
        }
    }

    /// Both changed.
    pub(super) fn map(self, change: impl Fn(String) -> String) -> Self {
        Words {
            recorded: change(self.recorded),
            told: change(self.told),
        }
    }

    /// The outcome for this reason.
    pub(super) fn judged(self, outcome: impl FnOnce(String) -> Outcome) -> Judged {
        Judged {
            outcome: outcome(self.recorded),
            told: self.told,
        }
    }
}

/// Whether a text holds JSON in which an answer may stand, of this API or of one like it: by the keys before it, also where the
/// JSON is a text of its own, or cut.
pub(super) fn holds_answer(text: &str) -> bool {
    const KEYS: [&str; 7] = [
        "choices",
        "candidates",
        "content",
        "delta",
        "message",
        "output",
        "output_text",
    ];
    let is_key = |quote: usize| {
        let rest = &text[quote + 1..];
        let name = KEYS.iter().find_map(|key| {
            let rest = rest.strip_prefix(key)?;
            let rest = rest.trim_start_matches('\\').strip_prefix('"')?;
            Some((*key, rest.trim_start().strip_prefix(':')?.trim_start()))
        });
        // A message that is a text is an error's.
        name.is_some_and(|(key, value)| key != "message" || value.starts_with('{'))
    };
    text.match_indices('"').any(|(quote, _)| is_key(quote))
}

/// `429 RateLimitReached: Your requests to …`, or `head` where the code says no more than `status`; with the type and the
/// parameter at fault where they are told: `400 unsupported_value (invalid_request_error, temperature): …`.
pub(super) fn describe(head: &str, status: u16, error: &ErrorObject) -> String {
    let code = error.code.as_deref().or(error.kind.as_deref());
    let code = code.filter(|code| code.parse() != Ok(status));
    let mut text = match (code, status) {
        (None, _) => head.to_owned(),
        (Some(code), 0) => format!("{head}: {code}"),
        (Some(code), _) => format!("{status} {code}"),
    };
    let kind = error.kind.as_deref().filter(|kind| Some(*kind) != code);
    let details: Vec<_> = [kind, error.param.as_deref()].into_iter().flatten().collect();
    // Gateways title their pages with the status.
    let says_more = !error.message.is_empty() && error.message != text;
    if !details.is_empty() {
        text += &format!(" ({})", details.join(", "));
    }
    if says_more {
        text += ": ";
        text += &error.message;
    }
    text
}

/// Status and its name: `502 Bad Gateway`.
pub(super) fn head(status: u16) -> String {
    let name = ureq::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    match name {
        Some(name) => format!("{status} {name}"),
        None => status.to_string(),
    }
}

/// `302 Found to login.example.com`: the host alone, for path and query may hold anything. An empty `location` is none.
pub(super) fn redirect(status: u16, location: &str) -> String {
    let head = head(status);
    if location.is_empty() {
        return head;
    }
    let host = location.split_once("//").map(|(_, rest)| {
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let authority = &rest[..end];
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    });
    match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{head} to {}", one_line(host, REASON_MAX / 2)),
        None => format!("{head} to another path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_keys_and_an_error_is_none() {
        for (text, expected) in [
            (r#"{"choices":[{"message":{"content":"Hi"#, true),
            (r#"{"id":"r","output" : [{"type":"message""#, true),
            (r#"data: {"type":"response.output_text.delta","delta":"Hi"}"#, true),
            (r#"upstream said {\"choices\":[{\"text\":\"Hi\"}]}"#, true),
            (r#"{"message": {"role":"assistant"}}"#, true),
            (r#"{"candidates":[]}"#, true),
            (r#"{"title":"Not Found","status":404,"message":"no such route"}"#, false),
            (
                r#"Invalid value: "output". Supported values are: "content", "choices"."#,
                false,
            ),
            (r#"messages[0].content: "delta"#, false),
            ("", false),
        ] {
            assert_eq!(holds_answer(text), expected, "{text}");
        }
    }
}
