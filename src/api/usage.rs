//! What an answer cost.

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde_json::value::RawValue;

use super::lenient::{Member, Object, deserialize_object};

/// Tokens that the service counted. A number that it did not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens of the answer, hidden reasoning included.
    pub completion_tokens: u64,
    /// Sum of both.
    pub total_tokens: u64,
    details: Details,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Details {
    cached_tokens: u64,
    reasoning_tokens: u64,
}

impl<'de> Deserialize<'de> for Usage {
    /// Reads a usage in the words of chats, completions and embeddings, or of responses.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut usage = Usage::default();
        deserialize_object(deserializer, &mut usage)?;
        Ok(usage)
    }
}

impl<'de> Object<'de> for Usage {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "prompt_tokens" | "input_tokens" => count(&mut self.prompt_tokens, value),
            "completion_tokens" | "output_tokens" => count(&mut self.completion_tokens, value),
            "total_tokens" => count(&mut self.total_tokens, value),
            "prompt_tokens_details"
            | "input_tokens_details"
            | "completion_tokens_details"
            | "output_tokens_details" => value.any_object(&mut self.details).map(drop),
            _ => value.skip(),
        }
    }
}

impl<'de> Object<'de> for Details {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, value: Member<'_, A>) -> Result<(), A::Error> {
        match key {
            "cached_tokens" => count(&mut self.cached_tokens, value),
            "reasoning_tokens" => count(&mut self.reasoning_tokens, value),
            _ => value.skip(),
        }
    }
}

/// Reads a count. One that is 0, or none at all, does not take back what was told before: some gateways say it twice.
fn count<'de, A: MapAccess<'de>>(slot: &mut u64, value: Member<'_, A>) -> Result<(), A::Error> {
    if let Some(count) = value.number()?.known().filter(|&count| count > 0) {
        *slot = count;
    }
    Ok(())
}

impl Usage {
    /// Tokens of the prompt that were found in the service's cache.
    #[must_use]
    pub fn cached_tokens(&self) -> u64 {
        self.details.cached_tokens
    }

    /// Tokens of hidden reasoning, which are part of the answer's.
    #[must_use]
    pub fn reasoning_tokens(&self) -> u64 {
        self.details.reasoning_tokens
    }

    /// Reads a reply's `usage`; none where it cannot be read, which is no reason to lose the answer.
    pub(crate) fn read(usage: &RawValue) -> Option<Self> {
        serde_json::from_str(usage.get()).ok()
    }

    /// The last usage in the end of a reply of any operation, be it cut off at its beginning or an event stream.
    ///
    /// Quotes within texts are escaped, so that `"usage"` is a key wherever it stands; one without a value (`null`,
    /// as in all frames of a stream but the last) is passed over.
    pub(crate) fn last_of(mut json: &[u8]) -> Option<Self> {
        const KEY: &[u8] = br#""usage""#;
        while let Some(at) = json.windows(KEY.len()).rposition(|bytes| bytes == KEY) {
            let value = json[at + KEY.len()..].trim_ascii_start().strip_prefix(b":");
            // Whatever stands behind it.
            let read = value.and_then(|json| serde_json::Deserializer::from_slice(json).into_iter().next());
            if let Some(Ok(usage)) = read {
                return Some(usage);
            }
            json = &json[..at];
        }
        None
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
