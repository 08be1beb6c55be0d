//! Resources under names of their own (`AZURE_INSTANCES`), or a single one. Each has every deployment of the model map.

use std::collections::HashMap;

use super::models::{DEPLOYMENT, DEPLOYMENT_NAME, Model, are_stated, models, sole_model};
use super::variables::{Origins, Variables};
use crate::config::complaint::{Spot, found, found_near, named};
use crate::config::nearest::nearest;
use crate::config::{Auth, BlasterConfig, DeploymentConfig, Kind, QuotaGroup, Strategy, defaults, keys, url};

/// The names of the instances.
pub(super) const NAMES: &str = "AZURE_INSTANCES";
pub(super) const PREFIX: &str = "AZURE_INSTANCE_";
const STRATEGY: &str = "AZURE_ROUTING_STRATEGY";
const TOKEN_RATE_LIMIT: &str = "TOKEN_RATE_LIMIT";

/// A single resource, as the vendor's SDKs call it …
pub(super) const ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";
/// … and as the proxy does.
pub(super) const API_BASE: &str = "AZURE_OPENAI_API_BASE";
const API_KEY: &str = "AZURE_OPENAI_API_KEY";
const API_VERSION: &str = "AZURE_OPENAI_API_VERSION";
const SDK_API_VERSION: &str = "OPENAI_API_VERSION";
/// One of them is enough to see that a single resource is meant.
pub(super) const SINGLE: [&str; 5] = [ENDPOINT, API_BASE, API_KEY, DEPLOYMENT, DEPLOYMENT_NAME];

/// What may follow an instance's prefix. `NAME` stands in samples and has no effect.
const KEYS: [&str; 7] = [
    "API_KEY",
    "API_BASE",
    "API_VERSION",
    "PRIORITY",
    "WEIGHT",
    "MAX_TPM",
    "NAME",
];

/// The proxy's priority and weight of an instance that states none.
const PRIORITY_OR_WEIGHT: u32 = 100;
/// The proxy's limit, in tokens a minute, where none is stated.
const RATE_LIMIT: u32 = 30_000;

const WHAT_ENDPOINT: &str = "the resource's base URL, such as https://my-resource.openai.azure.com";
const WHAT_KEY: &str = "the resource's key";

/// What is said of one resource; each variable stands before its value.
struct Instance {
    /// None for a single one.
    name: Option<String>,
    endpoint: (String, String),
    key: (String, String),
    version: (String, Option<String>),
    /// As the strategy takes it; none: the default of a file.
    priority: Option<u32>,
    weight: u32,
    tpm: Option<(String, u32)>,
}

/// The instances that [`NAMES`] lists.
pub(super) fn several(variables: &mut Variables) -> BlasterConfig {
    let list = variables.get(NAMES).unwrap_or_default();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut instances = Vec::new();
    let shared = shared_limit(variables).unwrap_or(RATE_LIMIT);
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let upper = settable(name);
        if let Some(other) = names.insert(upper.clone(), name.to_owned()) {
            let said = format!(
                "must list each instance once, and {} and {} are read from the same variables",
                named(&other),
                named(name)
            );
            variables.complain(NAMES, &said);
            continue;
        }
        instances.push(instance(variables, name, shared));
    }
    if instances.is_empty() {
        variables.complain(
            NAMES,
            &format!(
                "must be names with commas between, such as east,west; got {}",
                found(&list)
            ),
        );
    }
    warn_of_strays(variables, &names);
    let strategy = strategy(variables).unwrap_or(Strategy::Failover);
    let has_tiers = matches!(strategy, Strategy::Failover | Strategy::Priority);
    if has_tiers {
        for instance in &mut instances {
            instance.priority.get_or_insert(PRIORITY_OR_WEIGHT);
        }
    } else {
        ignore_priorities(variables, &mut instances, strategy);
    }
    let models = models(variables);
    configuration(variables, &instances, &models, NAMES).strategy(strategy)
}

/// Puts all instances into one tier: the proxy heeds priorities under two strategies only, where in a file tiers hold for
/// all of them.
fn ignore_priorities(variables: &mut Variables, instances: &mut [Instance], strategy: Strategy) {
    let stated = instances.iter_mut().filter_map(|instance| instance.priority.take());
    if stated.count() > 0 {
        let strategy = strategy.name();
        variables.warn(format!(
            "{PREFIX}<NAME>_PRIORITY has no effect beside {STRATEGY}={strategy}"
        ));
    }
}

/// The resource of the vendor's SDKs, or of the proxy's older form; with the variable that counts.
pub(super) fn single(variables: &mut Variables) -> (BlasterConfig, &'static str) {
    let base = variables.either(ENDPOINT, API_BASE);
    let version = variables.either(API_VERSION, SDK_API_VERSION);
    let limit = shared_limit(variables);
    let limit = if base == API_BASE {
        limit.or(Some(RATE_LIMIT))
    } else {
        limit
    };
    let instance = Instance {
        name: None,
        endpoint: (base.into(), variables.required(base, WHAT_ENDPOINT)),
        key: (API_KEY.into(), variables.required(API_KEY, WHAT_KEY)),
        version: (version.into(), variables.get(version)),
        priority: None,
        weight: defaults::WEIGHT,
        tpm: limit.map(|limit| (TOKEN_RATE_LIMIT.to_owned(), limit)),
    };
    let strategy = strategy(variables).unwrap_or_default();
    let models = match url::deployment_in(Kind::Azure, &instance.endpoint.1) {
        Some(deployment) if !are_stated(variables) => vec![sole_model(deployment, base)],
        _ => models(variables),
    };
    (
        configuration(variables, &[instance], &models, base).strategy(strategy),
        base,
    )
}

/// How instances are chosen, where it is said.
pub(super) fn strategy(variables: &mut Variables) -> Option<Strategy> {
    let text = variables.get(STRATEGY)?;
    let strategy = Strategy::named(&text.to_lowercase());
    if strategy.is_none() {
        let said = format!(
            "must be {}, got {}",
            keys::STRATEGY.form,
            found_near(&text, keys::STRATEGY.form.names())
        );
        variables.complain(STRATEGY, &said);
    }
    strategy
}

fn shared_limit(variables: &mut Variables) -> Option<u32> {
    variables.whole(TOKEN_RATE_LIMIT, &keys::TPM_LIMIT)
}

fn instance(variables: &mut Variables, name: &str, shared: u32) -> Instance {
    // Docker and `.env` files can set a name that a shell cannot, so the one as written comes first.
    let as_written = format!("{PREFIX}{}_", name.to_uppercase());
    let as_settable = format!("{PREFIX}{}_", settable(name));
    let variable = |variables: &Variables, key: &str| {
        let written = format!("{as_written}{key}");
        if variables.is_set(&written) {
            written
        } else {
            format!("{as_settable}{key}")
        }
    };
    let [key, base, version, priority, weight, tpm] =
        ["API_KEY", "API_BASE", "API_VERSION", "PRIORITY", "WEIGHT", "MAX_TPM"].map(|key| variable(variables, key));
    let limit = variables.whole(&tpm, &keys::TPM_LIMIT);
    let of_all = (TOKEN_RATE_LIMIT.to_owned(), shared);
    Instance {
        name: Some(name.to_owned()),
        endpoint: (base.clone(), variables.required(&base, WHAT_ENDPOINT)),
        key: (key.clone(), variables.required(&key, WHAT_KEY)),
        version: (version.clone(), variables.get(&version)),
        priority: variables.whole(&priority, &keys::PRIORITY),
        weight: variables.whole(&weight, &keys::WEIGHT).unwrap_or(PRIORITY_OR_WEIGHT),
        tpm: Some(limit.map_or(of_all, |limit| (tpm, limit))),
    }
}

/// Every deployment of every instance. Those of one instance share its limit.
fn configuration(variables: &mut Variables, instances: &[Instance], models: &[Model], source: &str) -> BlasterConfig {
    let mut config = BlasterConfig::new([]);
    let mut origins = Origins::new();
    for instance in instances {
        for model in models {
            let spot = Spot::deployment(config.deployments.len());
            origins.insert(spot.key(&keys::ENDPOINT), instance.endpoint.0.clone());
            origins.insert(spot.key(&keys::API_KEY), instance.key.0.clone());
            origins.insert(spot.key(&keys::API_VERSION), instance.version.0.clone());
            origins.insert(spot.key(&keys::MODEL), model.variable.clone());
            let name = match &instance.name {
                Some(name) if models.len() == 1 => name.clone(),
                Some(name) => format!("{name}/{}", model.deployment),
                None => model.deployment.clone(),
            };
            let mut deployment = DeploymentConfig::new(name, &instance.endpoint.1, &model.deployment)
                .auth(Auth::from_text(instance.key.1.clone()))
                .serves(&model.serves)
                .priority(instance.priority.unwrap_or(defaults::PRIORITY))
                .weight(instance.weight);
            if let Some(version) = &instance.version.1 {
                let (_, named) = url::taken_apart(Kind::Azure, instance.endpoint.1.clone(), &model.deployment);
                if let Some(named) = named.filter(|named| named != version) {
                    let said = format!("must {}", url::other_version(&named, version));
                    variables.complain(&instance.endpoint.0, &said);
                }
                deployment.api_version = version.clone();
            }
            if let Some((_, limit)) = &instance.tpm {
                if models.len() == 1 {
                    deployment.tpm_limit = Some(*limit);
                } else {
                    deployment.quota_group = Some(group_name(instance));
                }
            }
            config.deployments.push(deployment);
        }
        if let Some((_, limit)) = &instance.tpm
            && models.len() > 1
        {
            config
                .quota_groups
                .push(QuotaGroup::new(group_name(instance)).tpm_limit(*limit));
        }
    }
    if !instances.is_empty() {
        variables.judge(&config, &origins, source);
    }
    config
}

fn group_name(instance: &Instance) -> String {
    instance.name.clone().unwrap_or_else(|| "default".to_owned())
}

/// A name in upper case, with `_` for what no shell takes in a variable's name.
fn settable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.to_uppercase().chars().map(letter).collect()
}

/// Warns of variables of instances that are not listed, and of those that mean nothing.
fn warn_of_strays(variables: &mut Variables, names: &HashMap<String, String>) {
    let mut warnings = Vec::new();
    for variable in variables.names_with(PREFIX) {
        let rest = settable(&variable[PREFIX.len()..]);
        // One name may be the beginning of another.
        let mut keys = names
            .keys()
            .filter_map(|name| rest.strip_prefix(name)?.strip_prefix('_'));
        let Some(key) = keys.clone().min_by_key(|key| key.len()) else {
            warnings.push(format!("{variable} has no effect: {NAMES} does not list its instance"));
            continue;
        };
        if !keys.any(|key| KEYS.contains(&key)) {
            let near = nearest(key, KEYS).map(|near| format!("; did you mean …_{near}?"));
            warnings.push(format!("{variable} has no effect{}", near.unwrap_or_default()));
        }
    }
    warnings.into_iter().for_each(|warning| variables.warn(warning));
}
