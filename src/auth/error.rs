//! Why there is no token.

use std::fmt;
use std::time::Duration;

/// Why there is no token, in a sentence that ends with what to do about it, and when it is worth asking again.
///
/// Holds no secret: whoever makes one sees to that.
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::auth::TokenError;
///
/// let busy = TokenError::throttled("the vault is busy", Duration::from_secs(20));
/// let closed = TokenError::lasting("the vault lets nobody in: ask for the role Secrets User");
/// assert!(busy.is_passing() && !closed.is_passing());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenError {
    message: String,
    again: Again,
}

/// When a source that has failed is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It may be back at any moment; not before this time has passed.
    Soon(Duration),
    /// Somebody has to mend something.
    Later,
    /// Only where somebody asks for it: a person has declined, or was not there.
    OnRequest,
}

impl TokenError {
    /// It may pass by itself: no connection, a timeout, an overloaded service. Jobs wait for it.
    #[must_use]
    pub fn passing(message: impl Into<String>) -> Self {
        TokenError::new(message, Again::Soon(Duration::ZERO))
    }

    /// The same, where the source has said how long it wants to be left alone.
    #[must_use]
    pub fn throttled(message: impl Into<String>, wait: Duration) -> Self {
        TokenError::new(message, Again::Soon(wait))
    }

    /// Somebody has to mend something first: a wrong tenant, an expired secret, a tool that is not installed. Jobs that only
    /// such deployments serve fail at once; the source is asked again every minute or so.
    #[must_use]
    pub fn lasting(message: impl Into<String>) -> Self {
        TokenError::new(message, Again::Later)
    }

    /// A person has declined, or was not there. As [`TokenError::lasting`], but the source is asked again only by
    /// [`EndpointState::enable`](crate::EndpointState::enable).
    #[must_use]
    pub fn declined(message: impl Into<String>) -> Self {
        TokenError::new(message, Again::OnRequest)
    }

    fn new(message: impl Into<String>, again: Again) -> Self {
        TokenError {
            message: message.into(),
            again,
        }
    }

    /// Whether it may pass by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.again, Again::Soon(_))
    }

    pub(crate) fn again(&self) -> Again {
        self.again
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TokenError {}
