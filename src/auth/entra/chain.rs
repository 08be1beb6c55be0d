//! `default`: the first credential that works.
//!
//! environment → workload identity → managed identity → az → azd, or the part of it that `AZURE_TOKEN_CREDENTIALS` names. The
//! one that has given a token is kept: later tokens are of the same identity. Where none works each says why, so that the one
//! that was meant is not hidden behind the last.

use parking_lot::Mutex;

use super::fetch::Fetch;
use crate::auth::{AccessToken, TokenError};

/// A credential of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A client secret, of the environment or the configuration.
    Environment,
    Workload,
    Managed,
    Az,
    Azd,
}

impl Member {
    const ALL: [Member; 5] = [
        Member::Environment,
        Member::Workload,
        Member::Managed,
        Member::Az,
        Member::Azd,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Member::Environment => "environment",
            Member::Workload => "workload",
            Member::Managed => "managed",
            Member::Az => "az",
            Member::Azd => "azd",
        }
    }

    /// The name that the vendor's SDKs give it.
    fn vendor_name(self) -> &'static str {
        match self {
            Member::Environment => "EnvironmentCredential",
            Member::Workload => "WorkloadIdentityCredential",
            Member::Managed => "ManagedIdentityCredential",
            Member::Az => "AzureCliCredential",
            Member::Azd => "AzureDeveloperCliCredential",
        }
    }
}

/// The members that `AZURE_TOKEN_CREDENTIALS` leaves.
///
/// # Errors
/// Where it names something else.
fn members(narrowed: Option<&str>) -> Result<Vec<Member>, TokenError> {
    let Some(narrowed) = narrowed.map(str::trim) else {
        return Ok(Member::ALL.to_vec());
    };
    match narrowed.to_ascii_lowercase().as_str() {
        "prod" => return Ok(Member::ALL[..3].to_vec()),
        "dev" => return Ok(Member::ALL[3..].to_vec()),
        _ => {}
    }
    let named = Member::ALL
        .iter()
        .find(|member| member.vendor_name().eq_ignore_ascii_case(narrowed));
    match named {
        Some(&member) => Ok(vec![member]),
        None => {
            let known = Member::ALL.map(Member::vendor_name).join(", ");
            Err(TokenError::lasting(format!(
                "AZURE_TOKEN_CREDENTIALS is {narrowed:?}; set it to dev, prod or one of {known}, or not at all"
            )))
        }
    }
}

/// A token by the member that is kept, or the first that works.
pub(super) fn fetch(fetch: &Fetch<'_>, kept: &Mutex<Option<Member>>) -> Result<AccessToken, TokenError> {
    let before = *kept.lock();
    if let Some(member) = before {
        return fetch.by(member).map(|token| token.given_by(member.name()));
    }
    let narrowed = fetch.settings.variable("AZURE_TOKEN_CREDENTIALS");
    let mut reasons = Vec::new();
    let mut is_passing = false;
    for member in members(narrowed.as_deref())? {
        if fetch.stop.is_thrown() {
            break;
        }
        match fetch.by(member) {
            Ok(token) => {
                *kept.lock() = Some(member);
                log::info!("default: signs in by {}", member.name());
                return Ok(token.given_by(member.name()));
            }
            Err(error) => {
                // One that is set up and fails: who set it up wants to know, also where the next one works.
                let is_set_up =
                    matches!(member, Member::Environment | Member::Workload) && fetch.missing(member).is_ok();
                if is_set_up {
                    log::warn!("default: {} is set up, and fails: {error}", member.name());
                }
                is_passing |= error.is_passing();
                reasons.push(format!("{}: {error}", member.name()));
            }
        }
    }
    let text = format!("no credential works. {}", reasons.join(". "));
    Err(if is_passing {
        TokenError::passing(text)
    } else {
        TokenError::lasting(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_narrows_the_chain() {
        use Member::{Az, Azd, Environment, Managed, Workload};
        let rows: [(Option<&str>, &[Member]); 6] = [
            (None, &[Environment, Workload, Managed, Az, Azd]),
            (Some("prod"), &[Environment, Workload, Managed]),
            (Some("Dev "), &[Az, Azd]),
            (Some("AzureCliCredential"), &[Az]),
            (Some("managedidentitycredential"), &[Managed]),
            (Some("EnvironmentCredential"), &[Environment]),
        ];
        for (narrowed, expected) in rows {
            assert_eq!(members(narrowed).unwrap(), expected, "{narrowed:?}");
        }
        let error = members(Some("VisualStudioCredential")).unwrap_err();
        assert!(
            !error.is_passing() && error.to_string().contains("AzureCliCredential"),
            "{error}"
        );
    }
}
