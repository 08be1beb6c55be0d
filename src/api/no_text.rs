//! Why an answer is no text.

use std::fmt;

/// Why a completion gives no text to a caller who wants nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoText {
    /// The content filter blocked it. Text that came before the filter fired stays in the completion, but is not
    /// what was asked for.
    Filtered,
    /// The model asks for tool calls.
    ToolCalls,
    /// The model refused; its words are in [`ChatCompletion::refusal`](super::ChatCompletion::refusal).
    Refused,
    /// The limit of tokens was used up before the first word, as by hidden reasoning: raise `max_completion_tokens`.
    Length,
    /// The answer is empty.
    Empty,
}

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoText::Filtered => "the content filter blocked the answer",
            NoText::ToolCalls => "the model asks for tool calls",
            NoText::Refused => "the model refused",
            NoText::Length => "the limit of tokens was used up before the first word (raise max_completion_tokens)",
            NoText::Empty => "the answer is empty",
        })
    }
}
