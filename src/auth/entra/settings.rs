//! What the sources of Entra ID tokens go by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::transport::wire::private::PrivateClient;

/// Looks up variables of the environment.
pub(crate) type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What all sources of Entra ID tokens of a blaster go by.
#[derive(Clone)]
pub(crate) struct EntraSettings {
    pub(crate) variables: Variables,
    pub(crate) client: Arc<PrivateClient>,
    pub(crate) limits: EntraLimits,
}

/// Where this machine's identity service is, and how long things may take; the defaults are for the world, others for tests.
// `internals` shows it, and only a browser's sign-in reads all of it.
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
#[cfg_attr(not(feature = "browser-login"), allow(dead_code))]
#[derive(Clone, Debug)]
pub struct EntraLimits {
    /// Base URL of the identity service of a virtual machine.
    pub imds: String,
    /// Longest time to connect to it. It is next to us or not there, and a laptop is not to wait for it.
    pub imds_connect: Duration,
    /// Longest time for its answer.
    pub imds_total: Duration,
    /// Time before it is asked again where it is not ready, twice as much the next time: one entry is one more try.
    pub imds_pauses: Vec<Duration>,
    /// Longest time of a command, such as az.
    pub command: Duration,
    /// Longest time to connect to Entra ID.
    pub connect: Duration,
    /// Longest time of an exchange with it.
    pub total: Duration,
    /// Longest time that a person has at the browser.
    pub login: Duration,
    /// Port of this machine that the browser brings its answer to; 0 is any.
    pub login_port: u16,
    /// Whether a browser is opened; the address is printed in any case.
    pub opens_browser: bool,
}

impl Default for EntraLimits {
    /// Source of the 10 s and 300 s: the vendor's SDKs.
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        EntraLimits {
            imds: "http://169.254.169.254".to_owned(),
            imds_connect: SECOND,
            imds_total: 10 * SECOND,
            imds_pauses: vec![SECOND, 2 * SECOND, 4 * SECOND],
            command: 10 * SECOND,
            connect: 10 * SECOND,
            total: 30 * SECOND,
            login: 300 * SECOND,
            login_port: 0,
            opens_browser: true,
        }
    }
}

impl EntraSettings {
    /// A variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }

    /// The authority that issues tokens, `https://login.microsoftonline.com` unless the environment says otherwise.
    pub(crate) fn authority(&self) -> String {
        let authority = self.variable("AZURE_AUTHORITY_HOST");
        let authority = authority.unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        let authority = authority.trim().trim_end_matches('/');
        if authority.contains("://") {
            authority.to_owned()
        } else {
            format!("https://{authority}")
        }
    }
}

impl fmt::Debug for EntraSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraSettings")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
