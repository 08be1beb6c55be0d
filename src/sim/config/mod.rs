//! What a simulated world is made of, from JSON or from Rust.
//!
//! Every key has a default but the deployments' names, so the shortest file is
//! `{"deployments": [{"name": "east"}]}`: one deployment without limits that answers at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

pub use deployment::{CostModel, DEFAULT_KEY, FilterMode, SimDeployment, SimOperation, Sku};
pub(crate) use error::LONGEST_S;
pub use error::SimConfigError;
pub use fault::{FaultKind, Poison, SimFault, When};
pub use key::SimKey;
pub(crate) use latency::Pace;
pub use latency::{Latency, Spread};
pub use length::OutputLength;
pub(crate) use refusal::whole_seconds;
pub use refusal::{RateHeaders, RefusalFamily, Refusals, RetryAfter};

use super::limiter::Limits;

mod deployment;
mod error;
mod fault;
mod key;
mod latency;
mod length;
mod refusal;

/// A simulated world: its deployments, the quotas that they share, and what goes wrong everywhere.
///
/// ```
/// use azure_openai_blaster::sim::{SimConfig, SimDeployment};
///
/// let four_alike = SimConfig::uniform(4);
/// let two = SimConfig::new([
///     SimDeployment::new("east").tpm(60_000).rpm(360),
///     SimDeployment::new("west").model("gpt-4.1", "2025-04-14"),
/// ]);
/// assert_eq!(two.deployments.len(), 2);
/// # let _ = four_alike;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SimConfig {
    /// One seed, one story: it decides all that is left to chance. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// The deployments; at least one.
    pub deployments: Vec<SimDeployment>,
    /// Quotas that several deployments share, by the name that their `quota_group` gives. Default none.
    #[serde(default)]
    pub quota_groups: BTreeMap<String, Limits>,
    /// Requests that every deployment answers with an error. Default none.
    #[serde(default)]
    pub poison: Vec<Poison>,
    /// The dated api-versions that are accepted; empty, the default: all that Azure OpenAI has published.
    #[serde(default)]
    pub api_versions: Vec<String>,
}

impl SimConfig {
    /// A world of these deployments.
    #[must_use]
    pub fn new(deployments: impl IntoIterator<Item = SimDeployment>) -> Self {
        SimConfig {
            seed: 0,
            deployments: deployments.into_iter().collect(),
            quota_groups: BTreeMap::new(),
            poison: Vec::new(),
            api_versions: Vec::new(),
        }
    }

    /// A world of `n` deployments `sim-0`, `sim-1`, … without limits that answer at once.
    #[must_use]
    pub fn uniform(n: usize) -> Self {
        Self::new((0..n).map(|i| SimDeployment::new(format!("sim-{i}"))))
    }

    /// Reads and checks a configuration. A byte order mark is skipped.
    ///
    /// # Errors
    /// [`SimConfigError`], naming the line or the key, what stands there, and what may.
    pub fn from_json(text: &str) -> Result<Self, SimConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(SimConfigError::value(
                "the whole text",
                text,
                "an object with a list of `deployments`",
            ));
        }
        let config: SimConfig = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a quota that deployments share by naming it with [`SimDeployment::quota_group`].
    #[must_use]
    pub fn quota_group(mut self, name: impl Into<String>, limits: Limits) -> Self {
        self.quota_groups.insert(name.into(), limits);
        self
    }

    /// Every deployment answers requests whose body holds `marker` with `status`.
    #[must_use]
    pub fn poison(mut self, marker: impl Into<String>, status: u16) -> Self {
        self.poison.push(Poison {
            marker: marker.into(),
            status,
        });
        self
    }

    /// Whether all values make sense together.
    ///
    /// # Errors
    /// [`SimConfigError::Value`] for the first one that does not.
    pub fn check(&self) -> Result<(), SimConfigError> {
        let mut resources: BTreeMap<&str, BTreeMap<&str, &SimDeployment>> = BTreeMap::new();
        if self.deployments.is_empty() {
            return Err(SimConfigError::value(
                "deployments",
                format_args!("none"),
                "at least one deployment",
            ));
        }
        for (position, deployment) in self.deployments.iter().enumerate() {
            let at = |key: &str| format!("deployments[{position}].{key}");
            deployment.check(&at)?;
            match resources
                .entry(deployment.resource_name())
                .or_default()
                .entry(&deployment.name)
            {
                Entry::Vacant(place) => place.insert(deployment),
                Entry::Occupied(_) => {
                    return Err(SimConfigError::value(
                        at("name"),
                        &deployment.name,
                        "a name that no other deployment of its resource has",
                    ));
                }
            };
            if let Some(group) = &deployment.quota_group
                && !self.quota_groups.contains_key(group)
            {
                let known: Vec<_> = self.quota_groups.keys().map(String::as_str).collect();
                return Err(SimConfigError::value(
                    at("quota_group"),
                    group,
                    format!("a name of `quota_groups`, which has [{}]", known.join(", ")),
                ));
            }
        }
        for (position, deployment) in self.deployments.iter().enumerate() {
            if let Some(target) = &deployment.spillover {
                let beside = &resources[deployment.resource_name()];
                let good = beside.get(target.as_str()).is_some_and(|to| to.sku == Sku::Standard);
                if !good {
                    return Err(SimConfigError::value(
                        format!("deployments[{position}].spillover"),
                        target,
                        "the name of a standard deployment of the same resource",
                    ));
                }
            }
        }
        for (name, limits) in &self.quota_groups {
            limits.check(&|key| format!("quota_groups.{name}.{key}"))?;
        }
        for (position, poison) in self.poison.iter().enumerate() {
            poison.check(&|key| format!("poison[{position}].{key}"))?;
        }
        Ok(())
    }
}

impl Default for SimConfig {
    /// One deployment without limits that answers at once.
    fn default() -> Self {
        Self::uniform(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_survives_the_way_out_and_in() {
        let config = SimConfig::new([
            SimDeployment::new("ptu")
                .resource("r")
                .provisioned(50_000)
                .spillover("pay")
                .fault(SimFault::next(2, FaultKind::Hang))
                .fault(SimFault::random(0.1, FaultKind::CutStream { frames: 3 })),
            SimDeployment::new("pay")
                .resource("r")
                .quota_group("shared")
                .reasoning(),
        ])
        .seed(5)
        .quota_group("shared", Limits::new().tpm(1000))
        .poison("POISON", 400);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(SimConfig::from_json(&text).unwrap(), config);
        assert_eq!(SimConfig::from_json(&format!("\u{feff}{text}")).unwrap(), config);
    }

    #[test]
    fn a_bad_value_is_named_with_its_key_and_what_is_allowed() {
        let rows: &[(&str, &[&str])] = &[
            (
                "\u{feff} \n",
                &["the whole text: an object with a list of `deployments` is needed"],
            ),
            (
                r#"{"deployments": []}"#,
                &["deployments: at least one deployment is needed, not none"],
            ),
            (r#"{"deployments": [{"nam": "x"}]}"#, &["line 1", "nam", "name"]),
            (r#"{"deployments": [{"name": ""}]}"#, &["deployments[0].name", "\"\""]),
            (
                r#"{"deployments": [{"name": "a", "resource": "r"}, {"name": "a", "resource": "r"}]}"#,
                &["deployments[1].name", "no other"],
            ),
            (
                r#"{"deployments": [{"name": "a", "quota_group": "g"}], "quota_groups": {"h": {}}}"#,
                &["deployments[0].quota_group", "\"g\"", "[h]"],
            ),
            (
                r#"{"deployments": [{"name": "a", "spillover": "b"}, {"name": "b"}]}"#,
                &["deployments[0].spillover", "\"b\"", "same resource"],
            ),
            (
                r#"{"deployments": [{"name": "a", "limits": {"tpm": 0}}]}"#,
                &["deployments[0].limits.tpm", "0", "1"],
            ),
            (
                r#"{"deployments": [{"name": "a", "limits": {"request_window_s": -1}}]}"#,
                &["deployments[0].limits.request_window_s", "-1"],
            ),
            (
                r#"{"deployments": [{"name": "a", "latency": {"tokens_per_s": 0}}]}"#,
                &["deployments[0].latency.tokens_per_s", "0"],
            ),
            (
                r#"{"deployments": [{"name": "a", "faults": [{"kind": "hang", "when": {"random": 1.5}}]}]}"#,
                &["deployments[0].faults[0].when", "1.5", "0"],
            ),
            (
                r#"{"deployments": [{"name": "a", "faults": [{"kind": {"status": {"status": 99}}, "when": "always"}]}]}"#,
                &["deployments[0].faults[0].kind", "99", "400"],
            ),
            (
                r#"{"deployments": [{"name": "a"}], "poison": [{"marker": "", "status": 400}]}"#,
                &["poison[0].marker"],
            ),
            (
                r#"{"deployments": [{"name": "a", "sku": "gold"}]}"#,
                &["line 1", "gold", "standard"],
            ),
            (
                r#"{"deployments": [{"name": "a", "limits": {"lowered": [{"from_s": 5, "to_s": 4, "factor": 0.5}]}}]}"#,
                &["deployments[0].limits.lowered[0].to_s", "4", "5"],
            ),
        ];
        for (text, parts) in rows {
            let said = SimConfig::from_json(text).expect_err(text).to_string();
            for part in *parts {
                assert!(said.contains(part), "{text}\nsaid: {said}\nwithout: {part}");
            }
        }
    }

    #[test]
    fn no_key_shows_in_debug() {
        let config = SimConfig::new([SimDeployment::new("a").key("canary").bearer_token("canary")]);
        assert!(!format!("{config:?}").contains("canary"));
    }
}
