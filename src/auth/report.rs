//! How a source of tokens fares, for people and monitoring.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Serialize, Serializer};

use super::tokens::Tokens;

/// How a source of tokens fares. Holds no token, and nothing that is secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CredentialReport {
    /// What it is called, `az` for instance, with the identity that was configured.
    pub credential: String,
    /// What its tokens are for.
    pub scope: String,
    /// The deployments that use them.
    pub deployments: Vec<Arc<str>>,
    /// The token that is held.
    pub token: Option<TokenReport>,
    /// Why the source gave no token when it was asked last, with the next step.
    pub problem: Option<String>,
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenReport {
    /// Tenant that issued it.
    pub tenant: Option<String>,
    /// Object id of the person, app or identity that it stands for.
    pub object: Option<String>,
    /// Service that it is for.
    pub audience: Option<String>,
    /// Which credential has given it, where several were tried, as `default` does.
    #[serde(rename = "by")]
    pub giver: Option<&'static str>,
    /// When it ends, by this machine's clock; serialised as Unix seconds.
    #[serde(serialize_with = "unix")]
    pub expires: SystemTime,
    /// How long it lives.
    #[serde(rename = "left_s", serialize_with = "seconds")]
    pub left: Duration,
}

impl CredentialReport {
    /// All sources that deployments use, whose names these are.
    pub(crate) fn of(tokens: &Tokens, names: &[Arc<str>], now: Instant, wall: SystemTime) -> Vec<CredentialReport> {
        let used = tokens.caches().filter(|&cache| tokens.is_used(cache));
        let report = |cache| {
            let plan = tokens.plan(cache);
            let (held, error) = tokens.state(cache, now);
            let users = tokens.users(cache).filter_map(|endpoint| names.get(endpoint).cloned());
            CredentialReport {
                credential: plan.source.clone(),
                scope: plan.scope.clone(),
                deployments: users.collect(),
                token: held.map(|held| {
                    let claims = held.claims.as_deref().cloned().unwrap_or_default();
                    let left = held.ends.saturating_duration_since(now);
                    TokenReport {
                        tenant: claims.tenant,
                        object: claims.object,
                        audience: claims.audience,
                        giver: held.giver,
                        expires: wall + left,
                        left,
                    }
                }),
                problem: error.map(ToString::to_string),
            }
        };
        used.map(report).collect()
    }
}

impl fmt::Display for CredentialReport {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}: ", self.credential, self.scope)?;
        match (&self.token, &self.problem) {
            (Some(token), None) => token.fmt(f),
            (Some(token), Some(problem)) => write!(f, "{token}; no new one: {problem}"),
            (None, Some(problem)) => write!(f, "no token: {problem}"),
            (None, None) => f.write_str("no token yet"),
        }
    }
}

impl fmt::Display for TokenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.giver.map(|giver| format!(" by {giver}")).unwrap_or_default();
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".to_owned());
        write!(
            f,
            "a token{by} for {} more minutes (tenant {}, object {}, audience {})",
            self.left.as_secs() / 60,
            or_unknown(&self.tenant),
            or_unknown(&self.object),
            or_unknown(&self.audience)
        )
    }
}

fn unix<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}
