//! How a deployment is to be signed in to, as its user says it.

use serde::{Serialize, Serializer};

use crate::api::Secret;
use crate::auth::{CustomProvider, EntraCredential, TokenProvider};

/// How a deployment is signed in to: what its `api_key` says in a configuration file.
///
/// ```
/// use azure_openai_blaster::Auth;
/// use azure_openai_blaster::auth::EntraCredential;
///
/// let key = Auth::api_key(std::env::var("AZURE_OPENAI_API_KEY").unwrap_or_default());
/// let login = Auth::entra(EntraCredential::Az); // the login of `az login`
/// let none = Auth::None; // a gateway that adds its own
/// # let _ = (key, login, none);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// A key of the resource.
    Key(Secret),
    /// Tokens of Microsoft Entra ID. Needs the feature that the credential belongs to: without it such a deployment is
    /// accepted and starts disabled, with [`Auth::unavailable`] as its reason.
    Entra(EntraCredential),
    /// Tokens of a provider of one's own; made by [`Auth::custom`], and never by a file.
    Custom(CustomProvider),
    /// No credential is sent: a local server, or a gateway that adds its own. `null` in a file.
    None,
}

impl Auth {
    /// Signs in with a key.
    #[must_use]
    pub fn api_key(key: impl Into<Secret>) -> Self {
        Auth::Key(key.into())
    }

    /// [`Auth::api_key`], as it was called before.
    #[doc(hidden)]
    #[must_use]
    pub fn key(key: impl Into<Secret>) -> Self {
        Auth::api_key(key)
    }

    /// Signs in with tokens of Entra ID.
    #[must_use]
    pub fn entra(credential: EntraCredential) -> Self {
        Auth::Entra(credential)
    }

    /// Signs in with tokens of a provider of one's own. Deployments that are given clones of one `Auth` share its tokens.
    #[must_use]
    pub fn custom(provider: impl TokenProvider + 'static) -> Self {
        Auth::Custom(CustomProvider::new(provider))
    }

    /// Why nothing can be sent with this in the present build; none where something can.
    #[must_use]
    pub fn unavailable(&self) -> Option<String> {
        match self {
            Auth::Entra(credential) => credential.lacking_feature().map(|feature| {
                format!(
                    "`api_key: {}` needs the feature `{feature}`, which this build does not have; build with it, or use a key",
                    credential.name()
                )
            }),
            Auth::Key(_) | Auth::Custom(_) | Auth::None => None,
        }
    }

    /// What a file's `api_key` means; the names count in any letter case.
    pub(super) fn from_text(text: String) -> Self {
        if text.is_empty() {
            return Auth::Entra(EntraCredential::Default);
        }
        match EntraCredential::named(&text) {
            Some(credential) => Auth::Entra(credential),
            None => Auth::api_key(text),
        }
    }
}

impl Serialize for Auth {
    /// As `api_key` says it; a key comes out as `(hidden)`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auth::Key(key) => key.serialize(serializer),
            Auth::Entra(credential) => serializer.serialize_str(credential.name()),
            Auth::Custom(_) => serializer.serialize_str("(a provider of tokens)"),
            Auth::None => serializer.serialize_none(),
        }
    }
}
