//! How a request proves who sends it.

use ureq::http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::api::Secret;

/// The credential of a deployment; `Debug` hides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Auth {
    /// `api-key: …`: the key of an Azure resource, on both URL surfaces.
    Key(Secret),
    /// `authorization: Bearer …`: the key of an OpenAI-compatible service.
    Bearer(Secret),
    /// `authorization: Bearer …`, with a token that each call brings along.
    Token,
    /// No credential: a gateway or a local server that asks for none, or for a header of the deployment's own.
    #[default]
    None,
}

/// Azure's header for keys.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("api-key");

impl Auth {
    /// Whether a credential is sent, so that nobody else may set the headers that carry one.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Auth::None)
    }

    /// The header that carries the credential, marked sensitive.
    ///
    /// # Errors
    /// A message (which does not repeat the credential) where it is empty or holds characters that no header may
    /// hold, such as the line break at the end of a file that it was read from.
    pub(crate) fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, String> {
        let (name, secret, text) = match self {
            Auth::Key(secret) => (API_KEY, secret, secret.expose().to_owned()),
            Auth::Bearer(secret) => (AUTHORIZATION, secret, format!("Bearer {}", secret.expose())),
            Auth::Token | Auth::None => return Ok(None),
        };
        if secret.expose().trim().is_empty() {
            return Err("the key is empty".into());
        }
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| "the key holds characters that no HTTP header may hold, such as a line break")?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_credential_travels_in_its_own_header() {
        let check = |auth: Auth, wanted: Option<(&str, &str)>| {
            let header = auth.header().unwrap();
            let seen = header
                .as_ref()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            assert_eq!(seen, wanted, "{auth:?}");
            assert!(header.is_none_or(|(_, value)| value.is_sensitive()), "{auth:?}");
        };
        check(Auth::Key("k1".into()), Some(("api-key", "k1")));
        check(Auth::Bearer("k2".into()), Some(("authorization", "Bearer k2")));
        check(Auth::Token, None);
        check(Auth::None, None);
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_showing_it() {
        for secret in ["canary\n", "canary\r\nx: y", "can\u{0}ary", "", " "] {
            for auth in [Auth::Key(secret.into()), Auth::Bearer(secret.into())] {
                let message = auth.header().unwrap_err();
                assert!(!message.contains("canary"), "{message}");
                assert!(!format!("{auth:?}").contains("canary"));
            }
        }
    }
}
