//! One deployment to send to.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Auth, Kind, SendStreamOptions, Sku, defaults, url, write};
use crate::api::{Operation, Secret};
use crate::auth::EntraCredential;
use crate::transport::place;
use crate::transport::target::V1;

/// One deployment to send to: an entry of `deployments` in a configuration file.
///
/// The fields are free to change until [`BlasterConfig::validate`](super::BlasterConfig::validate) has looked at them.
/// `Serialize` writes what a configuration file would say, with `(hidden)` for the key and for header values.
///
/// ```
/// use azure_openai_blaster::config::{Auth, DeploymentConfig};
///
/// let east = DeploymentConfig::new("east", "https://east.openai.azure.com", "gpt-4o")
///     .auth(Auth::api_key("not-a-real-key"))
///     .tpm_limit(120_000) // its quota, as the portal shows it
///     .rpm_limit(720)
///     .weight(3);
/// assert!(!format!("{east:?}").contains("not-a-real-key"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeploymentConfig {
    /// Name in logs, reports and ledgers: 1 to 128 characters, unlike every other deployment's.
    #[serde(serialize_with = "write::text")]
    pub name: String,
    /// Base URL of the resource. [`DeploymentConfig::new`] makes it of what the portal shows.
    #[serde(serialize_with = "write::text")]
    pub endpoint: String,
    /// How to sign in.
    #[serde(rename = "api_key")]
    pub auth: Auth,
    /// The deployment's name in the resource, which goes into the URL: 1 to 256 characters.
    #[serde(serialize_with = "write::text")]
    pub model: String,
    /// `v1` for the `/openai/v1/` surface, else a date, e.g. `2024-10-21` or `2025-01-01-preview`. Without meaning
    /// for [`Kind::OpenAi`]. Default: `2025-01-01-preview` ([`defaults::API_VERSION`]).
    #[serde(serialize_with = "write::text")]
    pub api_version: String,
    /// Whose API it speaks. Default: [`Kind::Azure`].
    pub kind: Kind,
    /// Share of the requests, in proportion to the other weights: 1 to 1000. Default: 1 ([`defaults::WEIGHT`]).
    pub weight: u32,
    /// Tier, 1 or more; lower ones come first, whatever the strategy. Default: 1 ([`defaults::PRIORITY`]).
    pub priority: u32,
    /// Public model names that it answers for; empty, the default, means its own `model` alone (see
    /// [`DeploymentConfig::served_models`]).
    #[serde(serialize_with = "write::texts", skip_serializing_if = "Vec::is_empty")]
    pub serves: Vec<String>,
    /// Most requests at once, 1 to 16384; none, the default: by its weight (the smaller of twice its share of the workers, and
    /// of the workers without half of the others' shares; at least 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<usize>,
    /// Longest time of one request, above zero and at most a day; none, the default: the configuration's `attempt_timeout`.
    #[serde(
        rename = "timeout_s",
        serialize_with = "write::maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Headers sent with every request, by name and value: at most 8, none of them one that the library sets itself; one may
    /// have 12,000 bytes, all of them 32 KiB. Their values never show. Default: none.
    #[serde(serialize_with = "headers", skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Secret)>,
    /// Sampling temperature, 0 to 2, sent where the request sets none; none, the default: nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of an answer, 1 or more, sent where the request sets no limit; none, the default: nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Whether it is sent `stream_options`. Default: [`SendStreamOptions::Auto`].
    pub send_stream_options: SendStreamOptions,
    /// Requests a minute, 1 or more; none, the default: not known, and learnt from refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm_limit: Option<u32>,
    /// Tokens a minute, prompt and longest answer together, 1 or more; none, the default: not known, and learnt from refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm_limit: Option<u32>,
    /// Window in which tokens are counted, above zero and at most a day; what the service says of its own counts
    /// instead. Default: 60 s ([`defaults::QUOTA_WINDOW`]).
    #[serde(rename = "quota_window_s", serialize_with = "write::seconds")]
    pub quota_window: Duration,
    /// Window in which requests are counted, of which each admits its share of `rpm_limit`; as for `quota_window`.
    /// Default: 10 s ([`defaults::REQUEST_WINDOW`]).
    #[serde(rename = "request_window_s", serialize_with = "write::seconds")]
    pub request_window: Duration,
    /// What kind of capacity it has. Default: [`Sku::Standard`].
    pub sku: Sku,
    /// Tenant that issues its tokens, by id or domain; none: the credential's own, or `AZURE_TENANT_ID`.
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Client id of the app registration, or of the managed identity; none: `AZURE_CLIENT_ID`, or the host's own identity.
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Object id of the managed identity, instead of its client id.
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// Resource id of the managed identity, instead of its client id.
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Secret of the app registration; none: `AZURE_CLIENT_SECRET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Scope that its tokens are for; none: by the surface, see [`DeploymentConfig::scope`].
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub token_scope: Option<String>,
    /// Name of the [`QuotaGroup`](super::QuotaGroup) that it draws from beside its own limits.
    #[serde(serialize_with = "write::maybe_text", skip_serializing_if = "Option::is_none")]
    pub quota_group: Option<String>,
}

impl DeploymentConfig {
    /// The deployment `model` of the resource at `endpoint`, with every default. It has no credential ([`Auth::None`]) until
    /// [`auth`](Self::auth) is called.
    ///
    /// `endpoint` is a base URL, or the target URI of a deployment as the portal shows it, of which the base URL and the
    /// `api-version` are taken:
    ///
    /// ```
    /// use azure_openai_blaster::config::DeploymentConfig;
    ///
    /// let uri = "https://east.openai.azure.com/openai/deployments/my-4o/chat/completions?api-version=2024-10-21";
    /// let east = DeploymentConfig::new("east", uri, "my-4o");
    /// assert_eq!((&*east.endpoint, &*east.api_version), ("https://east.openai.azure.com", "2024-10-21"));
    /// ```
    pub fn new(name: impl Into<String>, endpoint: impl Into<String>, model: impl Into<String>) -> Self {
        Self::of_kind(Kind::default(), name.into(), endpoint.into(), model.into())
    }

    /// [`DeploymentConfig::new`] for a kind that is known already.
    pub(super) fn of_kind(kind: Kind, name: String, endpoint: String, model: String) -> Self {
        let (endpoint, api_version) = url::taken_apart(kind, endpoint, &model);
        DeploymentConfig {
            name,
            endpoint,
            auth: Auth::None,
            model,
            api_version: api_version.unwrap_or_else(|| defaults::API_VERSION.into()),
            kind,
            weight: defaults::WEIGHT,
            priority: defaults::PRIORITY,
            serves: Vec::new(),
            max_in_flight: None,
            timeout: None,
            headers: Vec::new(),
            temperature: None,
            max_completion_tokens: None,
            send_stream_options: SendStreamOptions::default(),
            rpm_limit: None,
            tpm_limit: None,
            quota_window: defaults::QUOTA_WINDOW,
            request_window: defaults::REQUEST_WINDOW,
            sku: Sku::default(),
            tenant_id: None,
            client_id: None,
            object_id: None,
            resource_id: None,
            client_secret: None,
            token_scope: None,
            quota_group: None,
        }
    }

    /// Sets how to sign in.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the tenant that issues its tokens.
    #[must_use]
    pub fn tenant_id(mut self, tenant: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant.into());
        self
    }

    /// Sets the client id of the app registration or of the managed identity.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Sets the object id of the managed identity, instead of its client id.
    #[must_use]
    pub fn object_id(mut self, id: impl Into<String>) -> Self {
        self.object_id = Some(id.into());
        self
    }

    /// Sets the resource id of the managed identity, instead of its client id.
    #[must_use]
    pub fn resource_id(mut self, id: impl Into<String>) -> Self {
        self.resource_id = Some(id.into());
        self
    }

    /// Sets the secret of the app registration.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// Sets the scope that its tokens are for.
    #[must_use]
    pub fn token_scope(mut self, scope: impl Into<String>) -> Self {
        self.token_scope = Some(scope.into());
        self
    }

    /// Sets the version of the API: `v1` or a date.
    #[must_use]
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// Sets whose API it speaks.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets its share of the requests: 1 to 1000.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets its tier: 1 or more, lower ones first.
    #[must_use]
    pub fn priority(mut self, tier: u32) -> Self {
        self.priority = tier;
        self
    }

    /// Sets the public model names that it answers for, instead of its own.
    #[must_use]
    pub fn serves<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        self.serves = models.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many requests it may have at once: 1 to 16384.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = Some(requests);
        self
    }

    /// Sets the longest time of one request: above zero, at most a day.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the temperature, 0 to 2, for requests that set none.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the most tokens of an answer, 1 or more, for requests that set no limit.
    #[must_use]
    pub fn max_completion_tokens(mut self, tokens: u32) -> Self {
        self.max_completion_tokens = Some(tokens);
        self
    }

    /// Sets whether it is sent `stream_options`.
    #[must_use]
    pub fn send_stream_options(mut self, send: SendStreamOptions) -> Self {
        self.send_stream_options = send;
        self
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

    /// Sets the window in which tokens are counted: above zero, at most a day.
    #[must_use]
    pub fn quota_window(mut self, window: Duration) -> Self {
        self.quota_window = window;
        self
    }

    /// Sets the window in which requests are counted: above zero, at most a day.
    #[must_use]
    pub fn request_window(mut self, window: Duration) -> Self {
        self.request_window = window;
        self
    }

    /// Sets what kind of capacity it has.
    #[must_use]
    pub fn sku(mut self, sku: Sku) -> Self {
        self.sku = sku;
        self
    }

    /// Lets it draw from the quota group of that name, which the configuration must have.
    #[must_use]
    pub fn quota_group(mut self, name: impl Into<String>) -> Self {
        self.quota_group = Some(name.into());
        self
    }

    /// The URL that requests for `operation` go to; none where the configuration is not valid.
    #[must_use]
    pub fn url(&self, operation: &Operation) -> Option<String> {
        url::of_operation(self, operation)
    }

    /// The scope that its tokens are for: `token_scope`, or else [`defaults::SCOPE`] on the v1 surface and at
    /// `services.ai.azure.com`, and [`defaults::DATED_SCOPE`] for dated versions of the API.
    #[must_use]
    pub fn scope(&self) -> &str {
        let is_new = self.api_version == V1 || place::v1_root(&self.endpoint).is_some();
        match &self.token_scope {
            Some(scope) => scope,
            None if is_new || place::is_foundry(&self.endpoint) => defaults::SCOPE,
            None => defaults::DATED_SCOPE,
        }
    }

    /// The keys that say as whom it signs in, and have no effect with its `api_key`.
    pub(super) fn idle_keys(&self) -> impl Iterator<Item = &'static str> {
        use EntraCredential::{Az, ClientSecret, Default, DeviceCode, Interactive, Managed, Workload};
        let counts = |credentials: &[EntraCredential]| match self.auth {
            Auth::Entra(credential) => credential == Default || credentials.contains(&credential),
            _ => false,
        };
        let has_scope = matches!(self.auth, Auth::Entra(_) | Auth::Custom(_));
        let people = [Interactive, DeviceCode];
        let keys = [
            (
                "tenant_id",
                self.tenant_id.is_some(),
                counts(&[Az, ClientSecret, Workload]) || counts(&people),
            ),
            (
                "client_id",
                self.client_id.is_some(),
                counts(&[Managed, ClientSecret, Workload]) || counts(&people),
            ),
            ("object_id", self.object_id.is_some(), counts(&[Managed])),
            ("resource_id", self.resource_id.is_some(), counts(&[Managed])),
            ("client_secret", self.client_secret.is_some(), counts(&[ClientSecret])),
            ("token_scope", self.token_scope.is_some(), has_scope),
        ];
        keys.into_iter()
            .filter(|(_, is_given, counts)| *is_given && !counts)
            .map(|(key, ..)| key)
    }

    /// The model names that it answers for: those of `serves`, or its own; never none.
    #[must_use]
    pub fn served_models(&self) -> &[String] {
        if self.serves.is_empty() {
            std::slice::from_ref(&self.model)
        } else {
            &self.serves
        }
    }
}

fn headers<S: Serializer>(headers: &[(String, Secret)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(headers.len()))?;
    for (name, value) in headers {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
