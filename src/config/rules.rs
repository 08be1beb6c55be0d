//! What a configuration must keep to, wherever it comes from.

use std::collections::HashMap;
use std::time::Duration;

use super::complaint::{Spot, found, found_near, holds_key, named};
use super::keys::{self, Key};
use super::nearest::{nearest, within};
use super::{Auth, BlasterConfig, DeploymentConfig, QuotaGroup, url};
use crate::api::Headers;
use crate::api::headers::deployment_may_set;
use crate::auth::EntraCredential;
use crate::transport::target::{V1, dated};

/// Calls `complain` with every breach: where, and what to say after the key's name. `entry` tells which entry of
/// `deployments` a deployment comes from.
pub(super) fn check(config: &BlasterConfig, entry: &dyn Fn(usize) -> usize, complain: &mut dyn FnMut(Spot, String)) {
    let spot = Spot::default();
    let mut judge = Judge { spot, complain };
    judge.whole(&keys::MAX_JOB_RETRY, u64::from(config.max_job_retry));
    judge.whole(&keys::QUEUE_CAPACITY, config.queue_capacity as u64);
    judge.whole(&keys::AUTO_DISABLE_THRESHOLD, u64::from(config.auto_disable_threshold));
    judge.time(&keys::CONNECT_TIMEOUT, config.connect_timeout);
    judge.time(&keys::FIRST_BYTE_TIMEOUT, config.first_byte_timeout);
    judge.time(&keys::IDLE_TIMEOUT, config.idle_timeout);
    judge.time(&keys::ATTEMPT_TIMEOUT, config.attempt_timeout);
    judge.time(&keys::COOLDOWN_MAX, config.cooldown_max);
    if let Some(workers) = config.num_workers {
        judge.whole(&keys::NUM_WORKERS, workers as u64);
    }
    if let Some(timeout) = config.job_timeout {
        judge.time(&keys::JOB_TIMEOUT, timeout);
    }
    // An empty one means none, whatever the environment says.
    if let Some(proxy) = config.proxy.as_ref().filter(|proxy| !proxy.expose().is_empty())
        && let Err(needed) = url::check_proxy(proxy.expose())
    {
        judge.must(&keys::PROXY, needed);
    }
    if config.ca_file.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        judge.must(&keys::CA_FILE, &format!("be {}, got \"\"", keys::CA_FILE.form));
    }
    if !(1..=keys::DEPLOYMENTS_MAX).contains(&config.deployments.len()) {
        let needed = format!("be {}, got {}", keys::DEPLOYMENTS.form, config.deployments.len());
        judge.must(&keys::DEPLOYMENTS, &needed);
    }
    if config.quota_groups.len() > keys::QUOTA_GROUPS_MAX {
        let needed = format!("be {}, got {}", keys::QUOTA_GROUPS.form, config.quota_groups.len());
        judge.must(&keys::QUOTA_GROUPS, &needed);
    }
    let groups = check_groups(&config.quota_groups, judge.complain);
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, deployment) in config.deployments.iter().enumerate() {
        let spot = Spot::deployment(entry(index));
        let mut judge = Judge {
            spot,
            complain: judge.complain,
        };
        let first = *names.entry(&deployment.name).or_insert(index);
        if first != index && !deployment.name.is_empty() {
            judge.must(
                &keys::NAME,
                &format!("be unique, and deployments[{}] has it already", entry(first)),
            );
        }
        judge.deployment(deployment, config.allow_http);
        if let Some(name) = &deployment.quota_group {
            match groups.get(name.as_str()) {
                Some(group) => judge.windows(deployment, group),
                None => judge.must(&keys::QUOTA_GROUP, &unknown_group(name, &config.quota_groups)),
            }
        }
    }
}

/// Checks the groups, and gives them by their names.
fn check_groups<'c>(
    groups: &'c [QuotaGroup],
    complain: &mut dyn FnMut(Spot, String),
) -> HashMap<&'c str, &'c QuotaGroup> {
    let mut names = HashMap::new();
    for (index, group) in groups.iter().enumerate() {
        let spot = Spot::group(index);
        if names.insert(group.name.as_str(), group).is_some() {
            complain(spot, "is given twice".into());
        } else if !is_name(&group.name) {
            complain(spot, format!("must have a name that is {}", keys::NAME.form));
        }
        let mut judge = Judge { spot, complain };
        let limits = [
            (&keys::GROUP_RPM_LIMIT, group.rpm_limit),
            (&keys::GROUP_TPM_LIMIT, group.tpm_limit),
        ];
        for (key, limit) in limits {
            if let Some(limit) = limit {
                judge.whole(key, u64::from(limit));
            }
        }
        let windows = [
            (&keys::GROUP_QUOTA_WINDOW, group.quota_window),
            (&keys::GROUP_REQUEST_WINDOW, group.request_window),
        ];
        for (key, window) in windows {
            if let Some(window) = window {
                judge.time(key, window);
            }
        }
    }
    names
}

/// What the name of a quota group must be instead, to stand after "must".
fn unknown_group(name: &str, groups: &[QuotaGroup]) -> String {
    const SHOWN: usize = 5;
    /// Ten thousand deployments may ask, each for a name of its own.
    const LOOKED_AT: usize = 50;
    let names = || groups.iter().map(|group| group.name.as_str());
    let hint = if groups.is_empty() {
        "there are no `quota_groups`".to_owned()
    } else {
        let known: Vec<_> = names().take(SHOWN).map(named).collect();
        let more = if groups.len() > SHOWN { ", …" } else { "" };
        let near = nearest(name, names().take(LOOKED_AT)).map(|near| format!("did you mean {}? ", named(near)));
        format!("{}known: {}{more}", near.unwrap_or_default(), known.join(", "))
    };
    let found = found_near(name, names().take(LOOKED_AT));
    format!("be {}, got {found}; {hint}", keys::QUOTA_GROUP.form)
}

/// Compares the values of one object with what its keys allow.
struct Judge<'a> {
    spot: Spot,
    complain: &'a mut dyn FnMut(Spot, String),
}

impl Judge<'_> {
    fn deployment(&mut self, config: &DeploymentConfig, allow_http: bool) {
        self.text(&keys::NAME, &config.name, is_name(&config.name));
        self.text(&keys::MODEL, &config.model, is_model(&config.model));
        self.text(
            &keys::API_VERSION,
            &config.api_version,
            is_api_version(&config.api_version),
        );
        if let Err(needed) = url::check_endpoint(config, allow_http) {
            self.must(&keys::ENDPOINT, &needed);
        }
        let texts = [
            (&keys::NAME, &config.name),
            (&keys::ENDPOINT, &config.endpoint),
            (&keys::MODEL, &config.model),
            (&keys::API_VERSION, &config.api_version),
        ];
        let serves = config.serves.iter().map(|model| (&keys::SERVES, model));
        for (key, text) in texts.into_iter().chain(serves) {
            if holds_key(config, text) {
                self.must(
                    key,
                    "not hold the deployment's key, which would show in logs and reports",
                );
            }
        }
        if let Auth::Key(key) = &config.auth
            && !is_api_key(key.expose())
        {
            self.must(
                &keys::API_KEY,
                &format!("be {} (the value is not shown)", keys::API_KEY.form),
            );
        }
        if let Auth::Key(key) = &config.auth
            && let Some(credential) = slip_of_credential(key.expose())
        {
            self.must(
                &keys::API_KEY,
                &format!(
                    "be a key, or a credential by its name (the value is not shown); did you mean {}?",
                    named(credential.name())
                ),
            );
        }
        self.sign_in(config);
        self.whole(&keys::WEIGHT, u64::from(config.weight));
        if config.serves.iter().any(String::is_empty) {
            self.must(&keys::SERVES, &format!("be {}, got \"\" in it", keys::SERVES.form));
        }
        if let Some(most) = config.max_in_flight {
            self.whole(&keys::MAX_IN_FLIGHT, most as u64);
        }
        if let Some(timeout) = config.timeout {
            self.time(&keys::TIMEOUT, timeout);
        }
        self.time(&keys::QUOTA_WINDOW, config.quota_window);
        self.time(&keys::REQUEST_WINDOW, config.request_window);
        if let Some(temperature) = config.temperature
            && !keys::TEMPERATURE.form.admits_number(temperature)
        {
            self.must(
                &keys::TEMPERATURE,
                &format!("be {}, got {temperature}", keys::TEMPERATURE.form),
            );
        }
        let counts = [
            (&keys::MAX_COMPLETION_TOKENS, config.max_completion_tokens),
            (&keys::RPM_LIMIT, config.rpm_limit),
            (&keys::TPM_LIMIT, config.tpm_limit),
            (&keys::PRIORITY, Some(config.priority)),
        ];
        for (key, count) in counts {
            if let Some(count) = count {
                self.whole(key, u64::from(count));
            }
        }
        self.headers(config);
    }

    /// What says as whom a deployment signs in.
    fn sign_in(&mut self, config: &DeploymentConfig) {
        let is_id = |text: &str| is_made_of(text, |c| c == '-');
        let mut text = |key, text: &Option<String>, is_right: &dyn Fn(&str) -> bool| {
            if let Some(text) = text {
                self.text(key, text, is_right(text));
            }
        };
        text(&keys::TENANT_ID, &config.tenant_id, &|text| {
            is_made_of(text, |c| matches!(c, '-' | '.'))
        });
        text(&keys::CLIENT_ID, &config.client_id, &is_id);
        text(&keys::OBJECT_ID, &config.object_id, &is_id);
        text(&keys::RESOURCE_ID, &config.resource_id, &|text| {
            text.starts_with("/subscriptions/") && is_line(text, keys::RESOURCE_ID_MAX)
        });
        text(&keys::TOKEN_SCOPE, &config.token_scope, &is_scope);
        if let Some(secret) = &config.client_secret
            && !is_api_key(secret.expose())
        {
            let key = &keys::CLIENT_SECRET;
            self.must(key, &format!("be {} (the value is not shown)", key.form));
        }
        let ids = [
            (&keys::CLIENT_ID, &config.client_id),
            (&keys::OBJECT_ID, &config.object_id),
            (&keys::RESOURCE_ID, &config.resource_id),
        ];
        let mut given = ids.iter().filter(|(_, id)| id.is_some());
        let managed = matches!(
            config.auth,
            Auth::Entra(EntraCredential::Managed | EntraCredential::Default)
        );
        if let (Some((first, _)), Some((second, _))) = (given.next(), given.next())
            && managed
        {
            self.must(
                second,
                &format!("not be given beside `{}`: one of them names the identity", first.name),
            );
        }
    }

    /// A member's windows against those of its group: the service counts one deployment in one way.
    fn windows(&mut self, member: &DeploymentConfig, group: &QuotaGroup) {
        let [quota, request] = group.windows_of(member);
        let windows = [
            (&keys::QUOTA_WINDOW, quota, group.quota_window),
            (&keys::REQUEST_WINDOW, request, group.request_window),
        ];
        for (key, own, shared) in windows {
            if let Some(shared) = shared.filter(|&shared| shared != own) {
                let (name, shared, own) = (named(&group.name), shared.as_secs_f64(), own.as_secs_f64());
                self.must(
                    key,
                    &format!("be {shared} as that of its quota group {name}, got {own}"),
                );
            }
        }
    }

    fn headers(&mut self, config: &DeploymentConfig) {
        let key = &keys::HEADERS;
        let has_key = config.auth != Auth::None;
        if config.headers.len() > keys::HEADERS_MAX {
            self.must(key, &format!("be {}, got {}", key.form, config.headers.len()));
        }
        let mut headers = Headers::new();
        for (index, (name, value)) in config.headers.iter().take(keys::HEADERS_MAX).enumerate() {
            let is_named = |other: &str| other.eq_ignore_ascii_case(name);
            if !deployment_may_set(name, has_key) {
                self.must(key, &format!("not set {}, which the library sets itself", named(name)));
            } else if config.headers[..index].iter().any(|(other, _)| is_named(other)) {
                self.must(key, &format!("not set {} twice", named(name)));
            } else if Headers::new().insert(name, "").is_err() {
                self.must(
                    key,
                    &format!("hold what HTTP allows: {} is no header name", named(name)),
                );
            } else if headers.insert(name, value.expose()).is_err() {
                let name = named(name);
                self.must(
                    key,
                    &format!("hold what HTTP allows: the value of {name} holds characters that no header may hold"),
                );
            }
        }
        if let Some(why) = headers.excess() {
            self.must(key, &format!("be smaller: {why}"));
        }
    }

    fn whole(&mut self, key: &Key, value: u64) {
        if !key.form.admits_whole(value) {
            self.must(key, &format!("be {}, got {value}", key.form));
        }
    }

    fn time(&mut self, key: &Key, value: Duration) {
        if !key.form.admits_time(value) {
            self.must(key, &format!("be {}, got {}", key.form, value.as_secs_f64()));
        }
    }

    fn text(&mut self, key: &Key, value: &str, is_right: bool) {
        if !is_right {
            self.must(key, &format!("be {}, got {}", key.form, found(value)));
        }
    }

    fn must(&mut self, key: &Key, needed: &str) {
        (self.complain)(self.spot.key(key), format!("must {needed}"));
    }
}

fn is_name(text: &str) -> bool {
    is_line(text, keys::NAME_MAX)
}

/// A model's name goes into the URL. It is percent-encoded there, but a gateway that decodes too early must not be
/// led out of the deployment's path.
pub(super) fn is_model(text: &str) -> bool {
    let climbs = |segment: &str| matches!(segment, "." | "..");
    is_line(text, keys::MODEL_MAX) && !text.split(['/', '\\']).any(climbs)
}

/// `v1`, or a date. Whether there is such a version only the service knows, and it has new ones.
fn is_api_version(text: &str) -> bool {
    text == V1 || dated(text).is_ok()
}

/// A scope goes into a command line, and a resource is made of it.
fn is_scope(text: &str) -> bool {
    is_made_of(text, |c| matches!(c, '-' | '.' | '_' | ':' | '/'))
}

/// Whether `text` is of 1 to 256 ASCII letters, digits and what else is allowed.
fn is_made_of(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || allowed(c))
}

/// The credential that a key was probably meant to name: sent as a key it would be refused with words that help nobody.
fn slip_of_credential(key: &str) -> Option<EntraCredential> {
    /// No key of a service is as near to a word as this.
    const SLIPS: usize = 2;
    let names = EntraCredential::LONG_NAMES;
    let name = within(SLIPS, key, names.iter().map(|(name, _)| *name))?;
    names.iter().find(|(known, _)| *known == name).map(|(_, meant)| *meant)
}

fn is_api_key(text: &str) -> bool {
    (1..=keys::API_KEY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether `text` is of 1 to `max` characters, none of them a control character.
fn is_line(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().nth(max).is_none() && !text.chars().any(char::is_control)
}
