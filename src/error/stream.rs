//! A stream that did not come to its end.

use super::BadReply;
use crate::api::{ChatCompletion, ErrorObject};

/// Why a stream did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamProblem {
    /// The service sent an error in place of a frame.
    #[error("error in the stream: {0}")]
    Service(ErrorObject),
    /// A frame could not be read.
    #[error("frame of the stream: {0}")]
    Unreadable(BadReply),
    /// More was received than is kept.
    #[error("the stream is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes that are kept.
        limit: usize,
    },
    /// It ended before choice `choice` had a finish reason.
    #[error("the stream ended before choice {choice} was finished")]
    Cut {
        /// The first choice that is not finished, from 0.
        choice: u32,
    },
}

/// A stream that did not come to its end, with what was received.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct Incomplete {
    /// Why.
    pub problem: StreamProblem,
    /// What was received; may be without choices.
    pub received: Box<ChatCompletion>,
}
