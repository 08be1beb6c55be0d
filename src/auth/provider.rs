//! A source of tokens.

use std::fmt;
use std::sync::Arc;

use super::stop::Stop;
use super::{AccessToken, TokenError};

/// A source of tokens of your own, for [`Auth::custom`](crate::Auth::custom). A closure is one:
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::auth::{AccessToken, TokenError};
/// use azure_openai_blaster::config::{Auth, DeploymentConfig};
///
/// let vault = |scope: &str| -> Result<AccessToken, TokenError> {
///     let token = format!("a token for {scope}").replace(' ', "-");
///     Ok(AccessToken::lasting(token, Duration::from_secs(3600)))
/// };
/// let east = DeploymentConfig::new("east", "https://east.openai.azure.com", "gpt-4o").auth(Auth::custom(vault));
/// ```
pub trait TokenProvider: Send + Sync {
    /// Fetches a token for `scope`, such as `https://cognitiveservices.azure.com/.default`.
    ///
    /// Called on a thread of the source's own, which may wait, once for all deployments that share this provider, and long
    /// before the last token ends. What it hands out should be fresh: after a token was refused, the same one is of no use.
    ///
    /// # Errors
    /// Why there is none; which kind of error says when it is worth asking again.
    fn token(&self, scope: &str) -> Result<AccessToken, TokenError>;
}

impl<F> TokenProvider for F
where
    F: Fn(&str) -> Result<AccessToken, TokenError> + Send + Sync,
{
    fn token(&self, scope: &str) -> Result<AccessToken, TokenError> {
        self(scope)
    }
}

/// A provider as our own sources are: they are told when nobody waits any more.
pub(crate) trait Ask: Send + Sync {
    fn ask(&self, scope: &str, stop: &Stop) -> Result<AccessToken, TokenError>;
}

/// A user's provider, shared by the deployments that name it.
#[derive(Clone)]
pub struct CustomProvider(Arc<dyn TokenProvider>);

impl CustomProvider {
    pub(crate) fn new(provider: impl TokenProvider + 'static) -> Self {
        CustomProvider(Arc::new(provider))
    }
}

impl Ask for CustomProvider {
    fn ask(&self, scope: &str, _: &Stop) -> Result<AccessToken, TokenError> {
        self.0.token(scope)
    }
}

impl PartialEq for CustomProvider {
    /// Whether it is the same one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CustomProvider {}

impl fmt::Debug for CustomProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomProvider").finish_non_exhaustive()
    }
}

/// What takes the place of a source that this build does not have; its deployments are disabled, and nobody asks.
#[cfg(not(feature = "entra"))]
pub(crate) struct Lacking(String);

#[cfg(not(feature = "entra"))]
impl Lacking {
    pub(crate) fn of(identity: &super::Identity) -> Self {
        Lacking(identity.name())
    }
}

#[cfg(not(feature = "entra"))]
impl Ask for Lacking {
    fn ask(&self, _: &str, _: &Stop) -> Result<AccessToken, TokenError> {
        Err(TokenError::lasting(format!(
            "this build cannot sign in with {}",
            self.0
        )))
    }
}
