//! What goes wrong, and when.

use serde::{Deserialize, Serialize};

use super::error::LONGEST_S;
use super::{RefusalFamily, RetryAfter, SimConfigError};

/// Something that goes wrong with some of a deployment's requests.
///
/// A dead deployment is one whose connections are [`Reset`](FaultKind::Reset) (or [`Hang`](FaultKind::Hang))
/// [`Between`](When::Between) two times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SimFault {
    /// What happens.
    pub kind: FaultKind,
    /// To which requests.
    pub when: When,
}

/// Which of a deployment's requests go wrong. They are counted from 0 in the order in which they arrive, those that
/// are refused included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum When {
    /// All.
    Always,
    /// The first so many; for a fault that is added to a running world: the next so many.
    Next(u64),
    /// Those at these positions; for a fault that is added to a running world they count from its adding.
    At(Vec<u64>),
    /// Those that arrive from the first of these times up to, but not at, the second, in seconds since the start.
    Between(f64, f64),
    /// Each with this probability, from 0 to 1.
    Random(f64),
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultKind {
    // Instead of an answer: nothing is charged.
    /// No answer ever comes, and the connection stays open.
    Hang,
    /// The connection is reset before the head of an answer.
    Reset,
    /// What comes back is not HTTP.
    Garbage,
    /// This status, with the body that Azure sends with it: 400 to 599.
    Status {
        /// HTTP status.
        status: u16,
    },
    /// 404 `Resource not found`, as for a wrong path, where `Status` 404 says `DeploymentNotFound`.
    ResourceNotFound,
    /// 502 with a page of HTML, as a gateway writes it.
    Html502,
    /// 307 to another path of the same host.
    Redirect,
    /// 429 without a quota being exhausted.
    Throttle {
        /// Which of the six families of texts.
        family: RefusalFamily,
        /// What the headers say about the time to wait, which is `wait_ms` in truth.
        #[serde(default)]
        retry_after: RetryAfter,
        /// The time to wait, in milliseconds.
        #[serde(default = "two_seconds")]
        wait_ms: u32,
    },
    /// 400 `content_filter`: the prompt was blocked.
    FilteredPrompt,
    /// 200 whose stream says at once that the quota is exhausted, with `Retry-After` in its head.
    RefusedStream {
        /// Seconds to wait.
        retry_after_s: u32,
    },

    // A good answer, spoilt.
    /// The first byte comes so much later.
    SlowFirstByte {
        /// Milliseconds.
        ms: u32,
    },
    /// The answer's body comes in small pieces with pauses between.
    Drip {
        /// Bytes in a piece, at least 1.
        bytes: u32,
        /// Pause after each piece, in milliseconds.
        every_ms: u32,
    },
    /// Half of the body comes, then the connection is closed.
    HalfBody,
    /// Half of the body comes, then the connection is reset.
    HalfBodyReset,
    /// The stream is cut, by closing the connection, after so many frames. Answers that are no streams lose half
    /// their body.
    CutStream {
        /// Frames that still come.
        frames: u32,
    },
    /// The stream falls silent after so many frames, and the connection stays open.
    StallStream {
        /// Frames that still come.
        frames: u32,
    },
    /// The stream breaks off with an error frame after so many frames, properly ended. 0: before anything else.
    ErrorEvent {
        /// Frames that come before it.
        frames: u32,
    },
    /// The stream ends properly after the last content, without a finish frame and without `[DONE]`.
    NoFinish,
    /// The stream ends without `[DONE]`.
    NoDone,
    /// The blank line after `[DONE]` is missing.
    DoneWithoutBlankLine,
    /// Lines of the stream end in CRLF.
    Crlf,
    /// Comment lines stand between the frames, as gateways add them.
    Comments,
    /// The JSON breaks off or is broken.
    BadJson,
    /// `choices` is empty.
    EmptyChoices,
    /// 204 without a body.
    NoContent,
    /// The filter was down: its results are `{"error": {"code": "content_filter_error", …}}` inside a good answer.
    FilterError,
    /// The answer was blocked: finish reason `content_filter`.
    FilteredAnswer,
}

impl FaultKind {
    /// The name, as the configuration writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Hang => "hang",
            FaultKind::Reset => "reset",
            FaultKind::Garbage => "garbage",
            FaultKind::Status { .. } => "status",
            FaultKind::ResourceNotFound => "resource_not_found",
            FaultKind::Html502 => "html502",
            FaultKind::Redirect => "redirect",
            FaultKind::Throttle { .. } => "throttle",
            FaultKind::FilteredPrompt => "filtered_prompt",
            FaultKind::RefusedStream { .. } => "refused_stream",
            FaultKind::SlowFirstByte { .. } => "slow_first_byte",
            FaultKind::Drip { .. } => "drip",
            FaultKind::HalfBody => "half_body",
            FaultKind::HalfBodyReset => "half_body_reset",
            FaultKind::CutStream { .. } => "cut_stream",
            FaultKind::StallStream { .. } => "stall_stream",
            FaultKind::ErrorEvent { .. } => "error_event",
            FaultKind::NoFinish => "no_finish",
            FaultKind::NoDone => "no_done",
            FaultKind::DoneWithoutBlankLine => "done_without_blank_line",
            FaultKind::Crlf => "crlf",
            FaultKind::Comments => "comments",
            FaultKind::BadJson => "bad_json",
            FaultKind::EmptyChoices => "empty_choices",
            FaultKind::NoContent => "no_content",
            FaultKind::FilterError => "filter_error",
            FaultKind::FilteredAnswer => "filtered_answer",
        }
    }
}

impl SimFault {
    /// A fault of these requests.
    #[must_use]
    pub fn new(kind: FaultKind, when: When) -> Self {
        SimFault { kind, when }
    }

    /// The next so many requests.
    #[must_use]
    pub fn next(requests: u64, kind: FaultKind) -> Self {
        Self::new(kind, When::Next(requests))
    }

    /// The requests at these positions, counted from 0.
    #[must_use]
    pub fn at(positions: impl IntoIterator<Item = u64>, kind: FaultKind) -> Self {
        Self::new(kind, When::At(positions.into_iter().collect()))
    }

    /// What arrives between two times, in seconds since the start.
    #[must_use]
    pub fn between(from_s: f64, to_s: f64, kind: FaultKind) -> Self {
        Self::new(kind, When::Between(from_s, to_s))
    }

    /// Each request with this probability.
    #[must_use]
    pub fn random(probability: f64, kind: FaultKind) -> Self {
        Self::new(kind, When::Random(probability))
    }

    /// All requests.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self::new(kind, When::Always)
    }

    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        match self.when {
            When::Random(probability) => SimConfigError::range(at("when"), probability, 0.0, 1.0)?,
            When::Between(from, to) => {
                SimConfigError::range(at("when"), from, 0.0, LONGEST_S)?;
                SimConfigError::range(at("when"), to, from, LONGEST_S)?;
            }
            When::Always | When::Next(_) | When::At(_) => {}
        }
        match self.kind {
            FaultKind::Status { status } => SimConfigError::range(at("kind"), f64::from(status), 400.0, 599.0),
            FaultKind::Drip { bytes, .. } => SimConfigError::range(at("kind"), f64::from(bytes), 1.0, 1e9),
            _ => Ok(()),
        }
    }
}

/// A request that every deployment answers with an error, because of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Poison {
    /// A text somewhere in the body, as its bytes stand there.
    pub marker: String,
    /// The status that it is answered with, 400 to 599.
    pub status: u16,
}

impl Poison {
    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        if self.marker.is_empty() {
            return Err(SimConfigError::value(at("marker"), &self.marker, "a text, not empty"));
        }
        SimConfigError::range(at("status"), f64::from(self.status), 400.0, 599.0)
    }
}

fn two_seconds() -> u32 {
    2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_the_one_that_the_configuration_reads() {
        let kinds = [
            FaultKind::Hang,
            FaultKind::Html502,
            FaultKind::Status { status: 503 },
            FaultKind::Throttle {
                family: RefusalFamily::Gateway,
                retry_after: RetryAfter::Seconds(4),
                wait_ms: 5,
            },
            FaultKind::RefusedStream { retry_after_s: 3 },
            FaultKind::SlowFirstByte { ms: 1 },
            FaultKind::DoneWithoutBlankLine,
            FaultKind::HalfBodyReset,
            FaultKind::NoContent,
        ];
        for kind in kinds {
            let written = serde_json::to_value(kind).unwrap();
            let name = match &written {
                serde_json::Value::String(name) => name.clone(),
                other => other.as_object().unwrap().keys().next().unwrap().clone(),
            };
            assert_eq!(name, kind.name());
            assert_eq!(serde_json::from_value::<FaultKind>(written).unwrap(), kind);
        }
    }
}
