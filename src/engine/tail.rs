//! What a reply that is passed on as bytes has used, by a look at its end.

use crate::api::{Operation, Usage};
use crate::balance::outcome::Used;

/// Bytes of the end that are kept: room for what stands behind the usage, of which a response's metadata is the
/// longest (16 pairs of 64 and 512 characters).
const KEPT: usize = 12 * 1024;

/// The end of a reply.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Whether the operation is one whose requests are measured, so that there is something to compare.
    wanted: bool,
    bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn of(operation: &Operation) -> Self {
        Tail {
            wanted: !matches!(operation, Operation::Other(_)),
            bytes: Vec::new(),
        }
    }

    /// Takes the reply's next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.wanted {
            return;
        }
        let last = &bytes[bytes.len().saturating_sub(KEPT)..];
        // Cut in large steps: each byte is moved once, not with every piece that comes.
        if self.bytes.len() + last.len() > 2 * KEPT {
            let keep = KEPT - last.len();
            self.bytes.drain(..self.bytes.len().saturating_sub(keep));
        }
        self.bytes.extend_from_slice(last);
    }

    /// Whether nothing in it tells that an answer has come to its end, although the operation is one whose answers do: some
    /// services end a stream of chats without `[DONE]`.
    pub(crate) fn lacks_end(&self) -> bool {
        const KEY: &[u8] = br#""finish_reason""#;
        // Quotes within texts are escaped.
        let tells = memchr::memmem::find_iter(&self.bytes, KEY).any(|at| {
            let value = self.bytes[at + KEY.len()..].trim_ascii_start().strip_prefix(b":");
            value.is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
        });
        self.wanted && !tells
    }

    /// What was used, as the last usage tells it.
    pub(crate) fn used(&self) -> Used {
        Usage::last_of(&self.bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(operation: &Operation, pieces: &[&[u8]]) -> (Option<u32>, Option<u32>) {
        let mut tail = Tail::of(operation);
        pieces.iter().for_each(|piece| tail.push(piece));
        assert!(tail.bytes.len() <= 2 * KEPT);
        let Used { prompt, output } = tail.used();
        (prompt, output)
    }

    #[test]
    fn the_usage_is_found_however_the_reply_is_cut() {
        let long = "x".repeat(5 * KEPT);
        let reply = format!(
            r#"data: {{"text":"{long}","usage":null}}

data: {{"choices":[],"usage":{{"completion_tokens":12,"prompt_tokens":34}},"metadata":"{}"}}

data: [DONE]

"#,
            "y".repeat(9_000)
        );
        for size in [1, 7, 4096, KEPT - 1, KEPT, KEPT + 1, reply.len()] {
            let pieces: Vec<_> = reply.as_bytes().chunks(size).collect();
            assert_eq!(
                used(&Operation::ChatCompletions, &pieces),
                (Some(34), Some(12)),
                "{size}"
            );
        }
    }

    #[test]
    fn what_is_not_measured_is_not_looked_at() {
        let reply = br#"{"usage":{"input_tokens":3,"output_tokens":4}}"#;
        assert_eq!(used(&Operation::Responses, &[reply]), (Some(3), Some(4)));
        let images = Operation::other("images/generations").unwrap();
        assert_eq!(used(&images, &[reply]), (None, None));
        assert_eq!(used(&Operation::Responses, &[]), (None, None));
    }
}
