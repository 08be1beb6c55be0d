//! What the content filter reports.

use super::Scene;
use crate::sim::answer::Finish;
use crate::sim::config::FilterMode;

/// Nothing was found in an answer.
pub(super) const SAFE: &str = concat!(
    r#"{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"#,
    r#""sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}"#
);

/// Nothing was found in a prompt.
const PROMPT_SAFE: &str = concat!(
    r#"{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"#,
    r#""self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"#,
    r#""violence":{"filtered":false,"severity":"safe"}}"#
);

/// An answer was blocked.
const BLOCKED: &str = concat!(
    r#"{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},"#,
    r#""sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":true,"severity":"high"}}"#
);

/// The filter was not there. The nested `error` is none of the request.
const DOWN: &str = r#"{"error":{"code":"content_filter_error","message":"The contents are not filtered"}}"#;

impl Scene<'_> {
    /// `content_filter_results` of an answer.
    pub(super) fn answer_filter(&self, finish: Finish) -> &'static str {
        match finish {
            _ if self.filter_down => DOWN,
            Finish::ContentFilter => BLOCKED,
            Finish::Stop | Finish::Length | Finish::ToolCalls => SAFE,
        }
    }

    /// `content_filter_results` of a prompt.
    pub(super) fn prompt_filter(&self) -> &'static str {
        if self.filter_down { DOWN } else { PROMPT_SAFE }
    }

    /// Whether the filter reports at all.
    pub(super) fn filtered(&self) -> bool {
        self.filter != FilterMode::Off
    }
}
