//! Limits that several deployments share.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{DeploymentConfig, defaults, env, write};

/// A quota that the deployments which name it draw from together: those of one subscription, region and model. A
/// deployment's own limits count as well, and a request needs room in both.
///
/// In a configuration file it is an entry of `quota_groups`, under its name.
///
/// ```
/// use azure_openai_blaster::config::{BlasterConfig, DeploymentConfig, QuotaGroup};
///
/// let member = |name| DeploymentConfig::new(name, "https://east.openai.azure.com", name).quota_group("east-4o");
/// let config = BlasterConfig::new([member("chat"), member("batch")])
///     .quota_group(QuotaGroup::new("east-4o").tpm_limit(240_000).rpm_limit(1440));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaGroup {
    /// The name by which deployments draw from it: 1 to 128 characters, unlike every other group's.
    #[serde(skip)]
    pub name: String,
    /// Requests a minute of all members together, 1 or more; none: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm_limit: Option<u32>,
    /// Tokens a minute of all members together, 1 or more; none: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm_limit: Option<u32>,
    /// Window in which tokens are counted, above zero and at most a day; none: 60 s ([`defaults::QUOTA_WINDOW`]). A member that
    /// leaves its own window at the default counts in this one, too.
    #[serde(
        rename = "quota_window_s",
        serialize_with = "write::maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub quota_window: Option<Duration>,
    /// Window in which requests are counted, of which each admits its share of `rpm_limit`; as for `quota_window`.
    /// None: 10 s ([`defaults::REQUEST_WINDOW`]).
    #[serde(
        rename = "request_window_s",
        serialize_with = "write::maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub request_window: Option<Duration>,
}

impl QuotaGroup {
    /// A group whose limits are not known.
    pub fn new(name: impl Into<String>) -> Self {
        QuotaGroup {
            name: name.into(),
            rpm_limit: None,
            tpm_limit: None,
            quota_window: None,
            request_window: None,
        }
    }

    /// Sets the limit of requests a minute: 1 or more.
    #[must_use]
    pub fn rpm_limit(mut self, requests: u32) -> Self {
        self.rpm_limit = Some(requests);
        self
    }

    /// Sets the limit of tokens a minute: 1 or more.
    #[must_use]
    pub fn tpm_limit(mut self, tokens: u32) -> Self {
        self.tpm_limit = Some(tokens);
        self
    }

    /// Sets the window in which tokens are counted: above zero and at most a day.
    #[must_use]
    pub fn quota_window(mut self, window: Duration) -> Self {
        self.quota_window = Some(window);
        self
    }

    /// Sets the window in which requests are counted: above zero and at most a day.
    #[must_use]
    pub fn request_window(mut self, window: Duration) -> Self {
        self.request_window = Some(window);
        self
    }

    /// The windows in which a member's own limits are counted, of tokens and of requests: the service counts one
    /// deployment in one way, so what the member leaves at its default is the group's.
    pub(crate) fn windows_of(&self, member: &DeploymentConfig) -> [Duration; 2] {
        let window = |own, default, shared: Option<Duration>| shared.filter(|_| own == default).unwrap_or(own);
        [
            window(member.quota_window, defaults::QUOTA_WINDOW, self.quota_window),
            window(member.request_window, defaults::REQUEST_WINDOW, self.request_window),
        ]
    }
}

/// As a file has them: an object with a key for each.
pub(super) fn as_object<S: Serializer>(groups: &[QuotaGroup], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(groups.len()))?;
    for group in groups {
        object.serialize_entry(&env::escape(&group.name), group)?;
    }
    object.end()
}
