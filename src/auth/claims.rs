//! What a token says of itself.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What an Entra ID token says of itself, for people to see. None of it is verified, which is the service's task, and none of
/// it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Claims {
    /// Tenant that issued it (`tid`).
    #[serde(rename = "tid")]
    pub tenant: Option<String>,
    /// Object id of the person, app or identity that it stands for (`oid`).
    #[serde(rename = "oid")]
    pub object: Option<String>,
    /// Service that it is for (`aud`).
    #[serde(rename = "aud")]
    pub audience: Option<String>,
    #[serde(rename = "iat")]
    issued: Option<u64>,
    #[serde(rename = "exp")]
    expires: Option<u64>,
}

impl Claims {
    /// The claims of a token; none where it is not of the form that Entra ID issues (a JSON Web Token).
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let json = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// When it was issued, by the issuer's clock.
    pub(super) fn issued(&self) -> Option<SystemTime> {
        self.issued.and_then(at)
    }

    /// How long it lives from its issue on.
    pub(super) fn life(&self) -> Option<Duration> {
        let life = self.expires?.checked_sub(self.issued?)?;
        Some(Duration::from_secs(life)).filter(|life| !life.is_zero())
    }

    /// When it expires, by the issuer's clock.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires.and_then(at)
    }
}

fn at(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token with these claims, as JSON.
    pub(crate) fn jwt(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(claims), part("signature"))
    }

    #[test]
    fn a_token_says_whose_it_is_and_anything_else_says_nothing() {
        let claims = Claims::of(&jwt(
            r#"{"aud":"https://ai.azure.com","iat":1000,"exp":4600,"tid":"t","oid":"o","roles":["x"]}"#,
        ))
        .unwrap();
        let (tenant, object) = (claims.tenant.as_deref(), claims.object.as_deref());
        assert_eq!((tenant, object), (Some("t"), Some("o")));
        assert_eq!(claims.audience.as_deref(), Some("https://ai.azure.com"));
        assert_eq!(claims.life(), Some(Duration::from_secs(3600)));
        assert_eq!(claims.expires(), at(4600));
        for opaque in ["", "opaque", "a.b", "a.b.c", "..", "a.e30=.c.d.e"] {
            let life = Claims::of(opaque).and_then(|claims| claims.life());
            assert_eq!(life, None, "{opaque}");
        }
        assert_eq!(Claims::of(&jwt(r#"{"iat":5000,"exp":1}"#)).unwrap().life(), None);
        assert_eq!(
            Claims::of(&jwt(r#"{"exp":18446744073709551615}"#)).unwrap().expires(),
            None
        );
    }
}
