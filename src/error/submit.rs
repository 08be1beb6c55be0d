//! A request that was not taken, given back.

use super::Error;

/// Why a request was not taken. It holds the request, so that nothing is lost.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError<R> {
    /// The queue is full (and waiting for room was not asked for, took too long, or would have been a worker
    /// waiting for itself).
    #[error("the queue is full")]
    Full(R),
    /// The blaster is closed.
    #[error("the blaster is shut down")]
    ShutDown(R),
    /// The request cannot be sent as it is, or asks for a model that no deployment serves.
    #[error("{error}")]
    Invalid {
        /// The request as it was given.
        request: R,
        /// What is wrong with it.
        error: Error,
    },
}

impl<R> SubmitError<R> {
    /// The request that was not taken.
    #[must_use]
    pub fn into_request(self) -> R {
        match self {
            SubmitError::Full(request) | SubmitError::ShutDown(request) | SubmitError::Invalid { request, .. } => {
                request
            }
        }
    }
}

/// Without the request, which may be long and private.
impl<R> std::fmt::Debug for SubmitError<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SubmitError::Full(_) => f.write_str("Full(..)"),
            SubmitError::ShutDown(_) => f.write_str("ShutDown(..)"),
            SubmitError::Invalid { error, .. } => {
                f.debug_struct("Invalid").field("error", error).finish_non_exhaustive()
            }
        }
    }
}

impl<R> From<SubmitError<R>> for Error {
    fn from(error: SubmitError<R>) -> Self {
        match error {
            SubmitError::Full(_) => Error::QueueFull,
            SubmitError::ShutDown(_) => Error::ShutDown {
                dropped: false,
                trail: Box::default(),
            },
            SubmitError::Invalid { error, .. } => error,
        }
    }
}
