//! How a deployment is to be signed in to, as its user says it.

use serde::{Serialize, Serializer};

use crate::api::Secret;

/// A deployment's `api_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// A key of the resource.
    Key(Secret),
    /// A token of Microsoft Entra ID. Comes with a later release: in this one such a deployment is accepted and
    /// starts disabled, with [`Auth::unavailable`] as its reason.
    SignIn(SignIn),
    /// No credential is sent: a local server, or a gateway that adds its own. `null` in a file.
    None,
}

/// Where a token of Microsoft Entra ID comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignIn {
    /// Environment, workload, managed identity, then the developer's tools: the first that yields a token. An
    /// empty `api_key` means this one too, as in the Python original.
    Default,
    /// The Azure command line's login.
    Az,
    /// A browser.
    Interactive,
    /// The managed identity of the machine or app.
    Managed,
    /// The workload identity of a Kubernetes pod.
    Workload,
    /// An app registration's secret.
    ClientSecret,
}

impl Auth {
    /// Signs in with a key.
    #[must_use]
    pub fn key(key: impl Into<Secret>) -> Self {
        Auth::Key(key.into())
    }

    /// Why nothing can be sent with this in the present release; none where something can.
    #[must_use]
    pub fn unavailable(&self) -> Option<String> {
        match self {
            Auth::SignIn(source) => Some(format!(
                "Entra ID sign-in (`api_key: {}`) comes with a later release; use a key",
                source.name()
            )),
            Auth::Key(_) | Auth::None => None,
        }
    }

    /// What a file's `api_key` means; the names count in any letter case.
    pub(super) fn from_text(text: String) -> Self {
        if text.is_empty() {
            return Auth::SignIn(SignIn::Default);
        }
        match SignIn::ALL
            .into_iter()
            .find(|source| source.name().eq_ignore_ascii_case(&text))
        {
            Some(source) => Auth::SignIn(source),
            None => Auth::key(text),
        }
    }
}

impl SignIn {
    /// All sources.
    pub const ALL: [SignIn; 6] = [
        SignIn::Default,
        SignIn::Az,
        SignIn::Interactive,
        SignIn::Managed,
        SignIn::Workload,
        SignIn::ClientSecret,
    ];

    /// The name that it has in a configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignIn::Default => "default",
            SignIn::Az => "az",
            SignIn::Interactive => "interactive",
            SignIn::Managed => "managed",
            SignIn::Workload => "workload",
            SignIn::ClientSecret => "client_secret",
        }
    }
}

impl Serialize for Auth {
    /// As `api_key` says it; a key comes out as `(hidden)`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auth::Key(key) => key.serialize(serializer),
            Auth::SignIn(source) => serializer.serialize_str(source.name()),
            Auth::None => serializer.serialize_none(),
        }
    }
}
