//! Tokens of Microsoft Entra ID, by the vendor's crate `azure_identity`.
//!
//! The crate knows the protocols. It is given a client and a process runner of ours, and asked anew for each token: it
//! remembers tokens until minutes before their end, by a rule of its own, and the files and variables that it reads when it is
//! set up. What went wrong is noted on the way (`http`, `command`), and told in our own sentences (`explain`), each with the
//! next step.
//!
//! | it | here |
//! |---|---|
//! | panics without a transport | every credential is made in `fetch`, with ours |
//! | retries managed identity by itself, and sleeps through a runtime that panics on a plain thread once some other crate has turned tokio on | every failure is reported to it as one of a kind that it does not retry |
//! | runs az without a time limit | `command` ends the process and its children |
//! | has no chain | `chain` |

use std::sync::Arc;

use parking_lot::Mutex;

use super::stop::Stop;
use super::{AccessToken, Ask, EntraCredential, Identity, TokenError};

#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub use settings::EntraLimits;
pub(crate) use settings::{EntraSettings, Variables};

mod block_on;
mod chain;
mod command;
mod explain;
mod fetch;
mod http;
mod settings;
#[cfg(test)]
pub(super) mod tests;

#[cfg(feature = "browser-login")]
pub(super) use {
    explain::{LoginSubject, unreachable},
    http::{Refusal, date, with_sane_times},
};

use chain::Member;
use fetch::Fetch;

/// A source of Entra ID tokens for one identity.
pub(crate) struct EntraSource {
    identity: Identity,
    settings: Arc<EntraSettings>,
    /// Of a chain, the member that has given a token.
    kept: Mutex<Option<Member>>,
    #[cfg(feature = "browser-login")]
    login: super::login::Login,
}

impl EntraSource {
    pub(crate) fn new(identity: &Identity, settings: Arc<EntraSettings>) -> Self {
        EntraSource {
            identity: identity.clone(),
            settings,
            kept: Mutex::new(None),
            #[cfg(feature = "browser-login")]
            login: super::login::Login::default(),
        }
    }
}

impl Ask for EntraSource {
    fn ask(&self, scope: &str, stop: &Stop) -> Result<AccessToken, TokenError> {
        let fetch = Fetch {
            identity: &self.identity,
            settings: &self.settings,
            scope,
            stop,
        };
        match self.identity.credential {
            EntraCredential::Default => chain::fetch(&fetch, &self.kept),
            EntraCredential::Az => fetch.by(Member::Az),
            EntraCredential::Managed => fetch.managed_with_retries(),
            EntraCredential::Workload => fetch.by(Member::Workload),
            EntraCredential::ClientSecret => fetch.by(Member::Environment),
            #[cfg(feature = "browser-login")]
            EntraCredential::Interactive => self.login.in_browser(&fetch.login()),
            #[cfg(feature = "browser-login")]
            EntraCredential::DeviceCode => self.login.by_device_code(&fetch.login()),
            #[cfg(not(feature = "browser-login"))]
            EntraCredential::Interactive | EntraCredential::DeviceCode => Err(TokenError::lasting(
                "this build cannot sign in by a browser; build it with the feature `browser-login`",
            )),
        }
    }
}
