//! A reply that makes no sense.

use std::fmt;

/// Why a reply that claims success could not be read.
///
/// Both texts are short, whatever was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReply {
    reason: String,
    snippet: String,
}

/// Longest reason, in characters; a parser's message may quote what it found.
const MAX_REASON: usize = 200;

/// Longest snippet, in characters: enough to recognise a gateway's error page.
const MAX_SNIPPET: usize = 160;

impl BadReply {
    pub(crate) fn new(reason: impl AsRef<str>, body: &[u8]) -> Self {
        // Four bytes hold any character, so the rest of a large body need not be decoded.
        let head = &body[..body.len().min(MAX_SNIPPET * 4)];
        BadReply {
            reason: shortened(reason.as_ref(), MAX_REASON),
            snippet: shortened(String::from_utf8_lossy(head).trim(), MAX_SNIPPET),
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How the reply begins; empty where it is empty.
    #[must_use]
    pub fn snippet(&self) -> &str {
        &self.snippet
    }
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if !self.snippet.is_empty() {
            // Quoted and escaped: a reply must not be able to forge lines of a log.
            write!(f, ", in {:?}", self.snippet)?;
        }
        Ok(())
    }
}

impl std::error::Error for BadReply {}

/// The first `limit` characters of `text`, with a mark where something was left out.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_reply_stays_short_whatever_was_received() {
        let body = "ä".repeat(1_000_000);
        let bad = BadReply::new("x".repeat(10_000), body.as_bytes());
        assert_eq!(bad.reason().chars().count(), MAX_REASON + 1);
        assert_eq!(bad.snippet().chars().count(), MAX_SNIPPET + 1);
        assert!(bad.snippet().ends_with("ä…"));
    }

    #[test]
    fn a_bad_reply_cannot_forge_a_line_of_the_log() {
        let bad = BadReply::new("not JSON", b"a\n[ERROR] forged");
        assert_eq!(bad.to_string(), r#"not JSON, in "a\n[ERROR] forged""#);
    }
}
