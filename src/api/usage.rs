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
}

#[cfg(test)]
mod tests {
    use super::*;

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
