//! Replies as Azure OpenAI writes them: keys in alphabetical order, filter objects and all.

use super::config::FilterMode;
use super::usage::Usage;

pub(crate) use error::ErrorReply;
pub(crate) use frames::{Frames, Part};
pub(crate) use headers::Headers;

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod error;
mod filters;
mod frames;
pub(crate) mod headers;
pub(crate) mod models;
pub(crate) mod responses;
pub(crate) mod throttle;

/// What all bodies of one reply have in common.
#[derive(Clone, Debug)]
pub(crate) struct Scene<'a> {
    /// The reply's id, without its kind's prefix.
    pub(crate) id: String,
    /// Unix time, in seconds.
    pub(crate) created: u64,
    /// The same, when the answer is whole.
    pub(crate) completed: u64,
    /// The served model, as a JSON string with its quotes.
    pub(crate) model: &'a str,
    /// `system_fingerprint`
    pub(crate) fingerprint: &'a str,
    pub(crate) filter: FilterMode,
    /// Whether the content filter is down, so that results say so.
    pub(crate) filter_down: bool,
}

/// Appends a text as a JSON string.
pub(crate) fn quote(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a vector takes every byte, and every text is a JSON string");
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("every text is a JSON string")
}

/// Appends pieces of text and numbers.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {
        std::io::Write::write_fmt($out, format_args!($($format)*)).expect("a vector takes every byte")
    };
}
pub(crate) use put;

/// Appends a `usage` object as chats and completions have it.
fn usage(out: &mut Vec<u8>, usage: &Usage) {
    put!(
        out,
        "{{\"completion_tokens\":{},\"completion_tokens_details\":{{\"accepted_prediction_tokens\":0,\"audio_tokens\":0,\
         \"reasoning_tokens\":{},\"rejected_prediction_tokens\":0}},\"prompt_tokens\":{},\
         \"prompt_tokens_details\":{{\"audio_tokens\":0,\"cached_tokens\":{}}},\"total_tokens\":{}}}",
        usage.completion,
        usage.reasoning,
        usage.prompt,
        usage.cached,
        usage.total()
    );
}
