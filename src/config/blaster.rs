//! A whole configuration.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::complaint::Complaints;
use super::source::Source;
use super::{
    Auth, DeploymentConfig, ProxyUrl, QuotaGroup, Strategy, defaults, from_vars, parse, parse_file, quota_group, rules,
    write,
};
use crate::api::withheld::WORD_MAX;
use crate::error::ConfigError;

/// Everything that a blaster is told before it starts: the deployments and the settings of the pool.
///
/// A file or text is validated as it is read. A configuration made by calls is free to change until
/// [`BlasterConfig::validate`] has looked at it, which building a blaster does. `Serialize` writes what a
/// configuration file would say, with `(hidden)` for keys, header values and a proxy's password; `Debug` hides the
/// same.
///
/// ```
/// use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
///
/// let east = DeploymentConfig::new("east", "https://east.openai.azure.com", "gpt-4o").auth(Auth::api_key("not-a-real-key"));
/// let config = BlasterConfig::new([east]).num_workers(12);
/// assert!(config.validate().is_ok());
/// assert!(config.clone().num_workers(0).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BlasterConfig {
    /// How an endpoint is chosen among those that are ready. Default: [`Strategy::Weighted`].
    pub strategy: Strategy,
    /// Worker threads, 1 to 16384; none: see [`BlasterConfig::workers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_workers: Option<usize>,
    /// Failed attempts, the first one included, after which a job is given up: 1 to 100. Waiting for quota or a
    /// cooldown costs none. Default: 5 ([`defaults::MAX_JOB_RETRY`]).
    pub max_job_retry: u32,
    /// Jobs that wait, 1 to 10 million; a submitter waits for room when there are as many. Default:
    /// 100,000 ([`defaults::QUEUE_CAPACITY`]).
    pub queue_capacity: usize,
    /// Consecutive failures that take an endpoint out until a probe succeeds: 1 to 1000. Default:
    /// 5 ([`defaults::AUTO_DISABLE_THRESHOLD`]).
    pub auto_disable_threshold: u32,
    /// Longest time to resolve, connect and finish the TLS handshake: above zero, at most a day. Default: 5 s ([`defaults::CONNECT_TIMEOUT`]).
    #[serde(rename = "connect_timeout_s", serialize_with = "write::seconds")]
    pub connect_timeout: Duration,
    /// Longest time from the end of a request to the first byte of its reply, and to the first content of it: text, a tool
    /// call or a refusal in a stream, whatever frames come before it. Above zero, at most a day. Default: 600 s ([`defaults::FIRST_BYTE_TIMEOUT`]).
    #[serde(rename = "first_byte_timeout_s", serialize_with = "write::seconds")]
    pub first_byte_timeout: Duration,
    /// Longest silence after the first content: above zero, at most a day. Default: 60 s ([`defaults::IDLE_TIMEOUT`]).
    #[serde(rename = "idle_timeout_s", serialize_with = "write::seconds")]
    pub idle_timeout: Duration,
    /// Longest time of one request from connecting to the last byte: above zero, at most a day. Default: 600 s ([`defaults::ATTEMPT_TIMEOUT`]).
    #[serde(rename = "attempt_timeout_s", serialize_with = "write::seconds")]
    pub attempt_timeout: Duration,
    /// Longest time from a job's submission to its end, waiting and every attempt included: above zero, at most a day; none,
    /// the default: no limit.
    #[serde(
        rename = "job_timeout_s",
        serialize_with = "write::maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub job_timeout: Option<Duration>,
    /// Longest Retry-After that is waited for, above zero and at most 31 days; a longer one disables the endpoint,
    /// which is then probed. Default: 3600 s ([`defaults::COOLDOWN_MAX`]).
    #[serde(rename = "cooldown_max_s", serialize_with = "write::seconds")]
    pub cooldown_max: Duration,
    /// HTTP proxy for every deployment on another machine, or an empty text for none; `None`: what the environment says, as
    /// curl reads it (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyUrl>,
    /// Certificates (PEM) to trust instead of the built-in or the platform's; a relative path starts at the working
    /// directory.
    #[serde(serialize_with = "write::maybe_path", skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether `http://` endpoints may be on other machines; keys then travel in the clear. Default: false.
    pub allow_http: bool,
    /// Limits that several deployments share, at most 10000; each draws from the one that its `quota_group` names.
    #[serde(serialize_with = "quota_group::as_object", skip_serializing_if = "Vec::is_empty")]
    pub quota_groups: Vec<QuotaGroup>,
    /// The deployments to send to: 1 to 10000.
    pub deployments: Vec<DeploymentConfig>,
}

impl BlasterConfig {
    /// Largest configuration file, in bytes; ten thousand deployments take a third of it.
    pub const FILE_MAX: usize = 16 << 20;

    /// Those deployments and every default.
    pub fn new(deployments: impl IntoIterator<Item = DeploymentConfig>) -> Self {
        BlasterConfig {
            strategy: Strategy::default(),
            num_workers: None,
            max_job_retry: defaults::MAX_JOB_RETRY,
            queue_capacity: defaults::QUEUE_CAPACITY,
            auto_disable_threshold: defaults::AUTO_DISABLE_THRESHOLD,
            connect_timeout: defaults::CONNECT_TIMEOUT,
            first_byte_timeout: defaults::FIRST_BYTE_TIMEOUT,
            idle_timeout: defaults::IDLE_TIMEOUT,
            attempt_timeout: defaults::ATTEMPT_TIMEOUT,
            job_timeout: None,
            cooldown_max: defaults::COOLDOWN_MAX,
            proxy: None,
            ca_file: None,
            allow_http: false,
            quota_groups: Vec::new(),
            deployments: deployments.into_iter().collect(),
        }
    }

    /// Reads a configuration file's text, in JSON; `${NAME}` is taken from the process's environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        parse(text, None, &environment)
    }

    /// Reads a configuration file, of at most [`BlasterConfig::FILE_MAX`] bytes: YAML where its name ends in `.yaml` or
    /// `.yml`, which needs the feature `yaml`, and JSON otherwise. `${NAME}` is taken from the process's environment.
    ///
    /// # Errors
    /// Why the file cannot be read, or everything that is wrong with it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        parse_file(path, &environment)
    }

    /// Reads the process's environment: the file that `BLASTER_CONFIG` names; else the connections of
    /// `AZURE_OPENAI_ROUND_ROBIN_CONNECTION`, where `USE_AZURE_OPENAI_ROUND_ROBIN` is true; else the instances that
    /// `AZURE_INSTANCES` lists; else the resource of `AZURE_OPENAI_ENDPOINT`. The [module](super)'s tables have every
    /// variable. What has no effect is logged as a warning.
    ///
    /// [`config::from_vars`](super::from_vars) does the same with variables from elsewhere.
    ///
    /// # Errors
    /// Which variables would do where none is set, why the file cannot be read, or everything that is wrong with what
    /// they say.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_all(std::env::vars_os())
    }

    /// The same, with the variables of a `.env` file beneath those of the process, which it never changes: what both set,
    /// the process decides. Where there is no such file, it is [`BlasterConfig::from_env`]. Needs the feature `dotenv`.
    ///
    /// ```no_run
    /// use azure_openai_blaster::{Blaster, BlasterConfig};
    ///
    /// let blaster = Blaster::builder().config(BlasterConfig::from_env_file(".env")?).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`BlasterConfig::from_env`], why the file cannot be read, or which of its lines are none.
    #[cfg(feature = "dotenv")]
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_all(super::vars_beneath(path)?)
    }

    fn from_all(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let read = from_vars(variables)?;
        for warning in &read.warnings {
            log::warn!("environment: {warning}");
        }
        Ok(read.config)
    }

    /// Checks every range and rule, as reading a file does.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut complaints = Complaints::default();
        rules::check(self, &|index| index, &mut |spot, said| {
            complaints.about(spot, None, said)
        });
        if complaints.is_empty() {
            Ok(())
        } else {
            let entries: Vec<_> = (0..self.deployments.len()).collect();
            Err(complaints.into_error(None, &Source::unread(""), Some((self, &entries))))
        }
    }

    /// How many workers there are to be: `num_workers`, or 64 ([`defaults::WORKERS_PER_DEPLOYMENT`]) for each deployment
    /// and at most 1024 ([`defaults::WORKERS_AT_MOST`]).
    #[must_use]
    pub fn workers(&self) -> usize {
        self.num_workers.unwrap_or_else(|| {
            let wanted = self.deployments.len().saturating_mul(defaults::WORKERS_PER_DEPLOYMENT);
            wanted.min(defaults::WORKERS_AT_MOST)
        })
    }

    /// What it says that has no effect, or less than its author may think, a sentence each; empty where all of it
    /// counts.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let deployments = |are: &dyn Fn(&DeploymentConfig) -> bool| {
            let those = self.deployments.iter().filter(|deployment| are(deployment));
            listed(those.map(|deployment| deployment.name.as_str()))
        };
        let used: HashSet<_> = self
            .deployments
            .iter()
            .filter_map(|d| d.quota_group.as_deref())
            .collect();
        let names = self.quota_groups.iter().map(|group| group.name.as_str());
        if let Some(names) = listed(names.filter(|name| !used.contains(name))) {
            warnings.push(format!("no deployment draws from these quota groups: {names}"));
        }
        let groups: HashMap<_, _> = self
            .quota_groups
            .iter()
            .map(|group| (group.name.as_str(), group))
            .collect();
        let exceeds = |own: Option<u32>, shared: Option<u32>| own.zip(shared).is_some_and(|(own, shared)| own > shared);
        let above = deployments(&|d| {
            let group = d.quota_group.as_deref().and_then(|name| groups.get(name));
            group.is_some_and(|group| exceeds(d.rpm_limit, group.rpm_limit) || exceeds(d.tpm_limit, group.tpm_limit))
        });
        if let Some(names) = above {
            warnings.push(format!(
                "rpm_limit or tpm_limit is above that of the quota group, which is what counts (deployments: {names})"
            ));
        }
        let is_short = |d: &DeploymentConfig| matches!(&d.auth, Auth::Key(key) if key.expose().len() < WORD_MAX);
        if let Some(names) = deployments(&is_short) {
            warnings.push(format!(
                "an api_key of fewer than {WORD_MAX} characters is hidden only where it is a word of its own (deployments: {names})"
            ));
        }
        for key in [
            "tenant_id",
            "client_id",
            "object_id",
            "resource_id",
            "client_secret",
            "token_scope",
        ] {
            if let Some(names) = deployments(&|d| d.idle_keys().any(|idle| idle == key)) {
                warnings.push(format!(
                    "{key} has no effect with their api_key, which does not sign in with it (deployments: {names})"
                ));
            }
        }
        if let Some(names) = deployments(&|d| d.auth.unavailable().is_some()) {
            warnings.push(format!(
                "this build lacks the feature `entra` or `browser-login` that their `api_key` needs, and they are disabled \
                 (deployments: {names})"
            ));
        }
        warnings
    }

    /// Sets how an endpoint is chosen.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the number of worker threads: 1 to 16384.
    #[must_use]
    pub fn num_workers(mut self, workers: usize) -> Self {
        self.num_workers = Some(workers);
        self
    }

    /// Sets after how many failed attempts a job is given up: 1 to 100.
    #[must_use]
    pub fn max_job_retry(mut self, attempts: u32) -> Self {
        self.max_job_retry = attempts;
        self
    }

    /// Sets how many jobs may wait: 1 to 10 million.
    #[must_use]
    pub fn queue_capacity(mut self, jobs: usize) -> Self {
        self.queue_capacity = jobs;
        self
    }

    /// Sets how many consecutive failures take an endpoint out: 1 to 1000.
    #[must_use]
    pub fn auto_disable_threshold(mut self, failures: u32) -> Self {
        self.auto_disable_threshold = failures;
        self
    }

    /// Sets the longest time to resolve, connect and finish the TLS handshake: above zero, at most a day.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the longest time to the first byte of a reply, and to its first content: above zero, at most a day.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the longest silence after the first content: above zero, at most a day.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the longest time of one request: above zero, at most a day.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the longest time of a job: above zero, at most a day.
    #[must_use]
    pub fn job_timeout(mut self, timeout: Duration) -> Self {
        self.job_timeout = Some(timeout);
        self
    }

    /// Sets the longest Retry-After that is waited for: above zero, at most 31 days.
    #[must_use]
    pub fn cooldown_max(mut self, longest: Duration) -> Self {
        self.cooldown_max = longest;
        self
    }

    /// Sets the HTTP proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<ProxyUrl>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Sets the file of certificates to trust.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Adds limits that several deployments share.
    #[must_use]
    pub fn quota_group(mut self, group: QuotaGroup) -> Self {
        self.quota_groups.push(group);
        self
    }

    /// Allows `http://` endpoints on other machines, or not.
    #[must_use]
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }
}

/// A variable that is not Unicode counts as not set: no key or URL can be made of it.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// These names, the first few of them; none where there is none.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<_> = names.collect();
    let shown = names.get(..SHOWN).unwrap_or(&names).join(", ");
    match names.len() {
        0 => None,
        count if count > SHOWN => Some(format!("{shown} and {} more", count - SHOWN)),
        _ => Some(shown),
    }
}
