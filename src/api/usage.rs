//! What an answer cost.

use serde::Deserialize;

use super::json::{count, null_as_default};

/// Tokens that the service counted. A number that it did not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    #[serde(default, deserialize_with = "count")]
    pub prompt_tokens: u64,
    /// Tokens of the answer, hidden reasoning included.
    #[serde(default, deserialize_with = "count")]
    pub completion_tokens: u64,
    /// Sum of both.
    #[serde(default, deserialize_with = "count")]
    pub total_tokens: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    prompt_tokens_details: PromptDetails,
    #[serde(default, deserialize_with = "null_as_default")]
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: u64,
}

impl Usage {
    /// Tokens of the prompt that were found in the service's cache.
    #[must_use]
    pub fn cached_tokens(&self) -> u64 {
        self.prompt_tokens_details.cached_tokens
    }

    /// Tokens of hidden reasoning, which are part of the answer's.
    #[must_use]
    pub fn reasoning_tokens(&self) -> u64 {
        self.completion_tokens_details.reasoning_tokens
    }

    /// The last usage in the end of a reply of any operation, be it cut off at its beginning or an event stream.
    ///
    /// Quotes within texts are escaped, so that `"usage"` is a key wherever it stands; one without a value (`null`,
    /// as in all frames of a stream but the last) is passed over.
    pub(crate) fn last_of(mut json: &[u8]) -> Option<Self> {
        const KEY: &[u8] = br#""usage""#;
        while let Some(at) = json.windows(KEY.len()).rposition(|bytes| bytes == KEY) {
            let value = json[at + KEY.len()..].trim_ascii_start().strip_prefix(b":");
            if let Some(usage) = value.and_then(AnyUsage::read) {
                return Some(usage);
            }
            json = &json[..at];
        }
        None
    }
}

/// A usage in the words of chats, completions and embeddings, or of responses.
#[derive(Deserialize)]
struct AnyUsage {
    #[serde(default, deserialize_with = "count")]
    input_tokens: u64,
    #[serde(default, deserialize_with = "count")]
    output_tokens: u64,
    #[serde(flatten)]
    usage: Usage,
}

impl AnyUsage {
    /// Reads the object that `json` begins with, whatever stands behind it.
    fn read(json: &[u8]) -> Option<Usage> {
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<AnyUsage>();
        let AnyUsage {
            input_tokens,
            output_tokens,
            mut usage,
        } = values.next()?.ok()?;
        if usage.prompt_tokens == 0 {
            usage.prompt_tokens = input_tokens;
        }
        if usage.completion_tokens == 0 {
            usage.completion_tokens = output_tokens;
        }
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_usage_of_a_reply_is_found() {
        for (reply, expected) in [
            (
                r#"{"data":[],"usage":{"prompt_tokens":4,"total_tokens":4}}"#,
                Some([4, 0]),
            ),
            (
                r#"{"usage" : {"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4},"user":null}"#,
                Some([3, 4]),
            ),
            // A gateway that says it twice.
            (
                r#"{"usage":{"input_tokens":3,"prompt_tokens":3,"output_tokens":4,"completion_tokens":4}}"#,
                Some([3, 4]),
            ),
            (
                "data: {\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"usage\":null}\n\n",
                Some([1, 0]),
            ),
            (r#"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#, None),
            (r#"{"usage":{"prompt_tokens":"#, None),
            (r#"{"usage":[1],"#, None),
            (r#""usage""#, None),
            ("", None),
        ] {
            let found = Usage::last_of(reply.as_bytes()).map(|usage| [usage.prompt_tokens, usage.completion_tokens]);
            assert_eq!(found, expected, "{reply}");
        }
    }

    #[test]
    fn what_is_null_or_absent_counts_nothing() {
        for (json, expected) in [
            ("{}", [0, 0, 0, 0, 0]),
            (
                r#"{"prompt_tokens":null,"completion_tokens":2.0,"total_tokens":-1}"#,
                [0, 2, 0, 0, 0],
            ),
            (
                r#"{"prompt_tokens":8,"completion_tokens":5,"total_tokens":13,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}"#,
                [8, 5, 13, 0, 0],
            ),
            (
                r#"{"prompt_tokens":2048,"completion_tokens":5,"total_tokens":2053,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":1024},"completion_tokens_details":{"reasoning_tokens":4,"text_tokens":1}}"#,
                [2048, 5, 2053, 1024, 4],
            ),
        ] {
            let usage: Usage = serde_json::from_str(json).unwrap();
            let found = [
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.total_tokens,
                usage.cached_tokens(),
                usage.reasoning_tokens(),
            ];
            assert_eq!(found, expected, "{json}");
        }
    }
}
