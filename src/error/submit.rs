//! A request that was not taken, given back.

use super::Error;

/// Why a request was not accepted. It holds the request, so that it can be submitted again.
///
/// It is generic over the kind of request (`SubmitError<ChatRequest>`, …). `?` turns it into an [`Error`], without the
/// request; its `Display` says why.
///
/// ```
/// use azure_openai_blaster::testing::{Scripted, ScriptedReply};
/// use azure_openai_blaster::{Blaster, BlasterConfig, DeploymentConfig, SubmitError};
///
/// // One worker, room for one job in the queue, and a service that never answers.
/// let east = DeploymentConfig::new("east", "https://east.example", "gpt-4o");
/// let blaster = Blaster::builder()
///     .config(BlasterConfig::new([east]).num_workers(1).queue_capacity(1))
///     .transport(Scripted::new(|_| ScriptedReply::hang()))
///     .build()?;
/// let mut handles = Vec::new();
/// let left = loop {
///     match blaster.try_submit("Is there room?") {
///         Ok(handle) => handles.push(handle),
///         Err(SubmitError::Full(request)) => break request, // the request, to be submitted later
///         Err(error) => return Err(error.into()),           // closed, or a request that cannot be sent
///     }
/// };
/// assert_eq!(left.messages()[0].text(), Some("Is there room?"));
/// # blaster.close();
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError<R> {
    /// The queue is full: from [`try_submit`](crate::Blaster::try_submit), from
    /// [`submit_timeout`](crate::Blaster::submit_timeout) when its time is over, and from every submitting call on one of
    /// the blaster's own worker threads, which must not wait for room.
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
    /// The request that was not accepted.
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
