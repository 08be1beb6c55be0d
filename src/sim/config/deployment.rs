//! A deployment of the simulated service.

use serde::{Deserialize, Serialize};

use super::{Latency, OutputLength, RateHeaders, Refusals, SimConfigError, SimFault, SimKey};
use crate::sim::limiter::Limits;

/// The key that deployments accept unless told otherwise.
pub const DEFAULT_KEY: &str = "simulated-key";

/// A deployment of the simulated service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SimDeployment {
    /// Its name, which is what the URL (or `model` on the v1 surface) gives.
    pub name: String,
    /// The resource that it belongs to: one host, one port. Default: a resource of its own, called as it is.
    #[serde(default)]
    pub resource: Option<String>,
    /// `api-key`s that are accepted, here and for the other deployments of its resource. Default `["simulated-key"]`; empty:
    /// keys are disabled and answered 403.
    #[serde(default = "default_keys")]
    pub keys: Vec<SimKey>,
    /// Bearer tokens that are accepted beside the keys. Default none.
    #[serde(default)]
    pub bearer_tokens: Vec<SimKey>,
    /// Audiences of Entra ID tokens (JSON Web Tokens) that are accepted beside them until they expire, by the claims `aud` and
    /// `exp`; signatures are not looked at. A refusal names the first. Default none.
    #[serde(default)]
    pub token_audiences: Vec<String>,
    /// The model, as throttling messages name it. Default `gpt-4o`.
    #[serde(default = "default_model")]
    pub model: String,
    /// The model's version; replies report `<model>-<version>`. Empty: the model alone. Default `2024-11-20`.
    #[serde(default = "default_version")]
    pub version: String,
    /// The region, as `x-ms-region` and throttling messages name it. Default `Sweden Central`.
    #[serde(default = "default_region")]
    pub region: String,
    /// How its throughput is sold, and so how it is limited.
    #[serde(default)]
    pub sku: Sku,
    /// Its limits. Default none.
    #[serde(default)]
    pub limits: Limits,
    /// The shared quota that must admit as well; a name of `quota_groups`. Default none.
    #[serde(default)]
    pub quota_group: Option<String>,
    /// What a request is charged on admission.
    #[serde(default)]
    pub cost: CostModel,
    /// Provisioned deployments: how many tokens of input one of output counts as (gpt-4.1: 4, gpt-5: 8). Default 1.
    #[serde(default = "one")]
    pub output_ratio: f64,
    /// The standard deployment of the same resource that serves what this one refuses. Default none.
    #[serde(default)]
    pub spillover: Option<String>,
    /// How a 429 looks.
    #[serde(default)]
    pub refusals: Refusals,
    /// Which rate-limit headers are sent.
    #[serde(default)]
    pub rate_headers: RateHeaders,
    /// Whether the model reasons: it rejects sampling parameters and `max_tokens`, and spends hidden tokens.
    #[serde(default)]
    pub reasoning: bool,
    /// The operations that the model knows; others are answered 400 `OperationNotSupported`. Default all.
    #[serde(default = "default_operations")]
    pub operations: Vec<SimOperation>,
    /// Largest prompt plus answer, in tokens. Default 128,000.
    #[serde(default = "default_context")]
    pub context_tokens: u64,
    /// Length of an embedding unless the request names one, 1 to 10,000. Default 1,536.
    #[serde(default = "default_dimensions")]
    pub dimensions: u32,
    /// What the content filter adds to replies.
    #[serde(default)]
    pub filter: FilterMode,
    /// How long it takes.
    #[serde(default)]
    pub latency: Latency,
    /// How long its answers are.
    #[serde(default)]
    pub output: OutputLength,
    /// Tokens that a frame of a stream carries. Default 1; the service's buffered filter sends larger ones.
    #[serde(default = "default_frame_tokens")]
    pub frame_tokens: u32,
    /// Whether prompts are cached. Default true.
    #[serde(default = "yes")]
    pub prompt_cache: bool,
    /// What goes wrong, in order of precedence: of those that apply to a request the first is played. Default nothing.
    #[serde(default)]
    pub faults: Vec<SimFault>,
    /// Its weight in the configuration that a fleet writes for its clients; means nothing here. Default 1.
    #[serde(default = "default_weight")]
    pub weight: u32,
}

/// How throughput is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sku {
    /// By the token, limited by counts a minute.
    #[default]
    Standard,
    /// By the hour, limited by utilisation.
    Provisioned,
}

/// What a request is charged on admission.
///
/// Embeddings are charged their estimated prompt under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostModel {
    /// The prompt's estimate plus the output limit, or plus 16 where the request names none.
    #[default]
    PromptAndMax,
    /// The output limit alone, or 16 where the request names none, as Microsoft's own simulator measured it.
    MaxOnly,
}

/// What the content filter adds to replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FilterMode {
    /// Results stand in the frames that they are about.
    #[default]
    Buffered,
    /// Results come in frames of their own, some after the finish frame.
    Asynchronous,
    /// Nothing is filtered or reported.
    Off,
}

/// An operation that the simulator can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SimOperation {
    /// `chat/completions`
    #[serde(rename = "chat/completions")]
    Chat,
    /// `completions`
    #[serde(rename = "completions")]
    Completions,
    /// `embeddings`
    #[serde(rename = "embeddings")]
    Embeddings,
    /// `responses`
    #[serde(rename = "responses")]
    Responses,
}

impl SimOperation {
    /// All of them.
    pub const ALL: [SimOperation; 4] = [
        SimOperation::Chat,
        SimOperation::Completions,
        SimOperation::Embeddings,
        SimOperation::Responses,
    ];

    /// The path below the deployment, without a leading slash.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            SimOperation::Chat => "chat/completions",
            SimOperation::Completions => "completions",
            SimOperation::Embeddings => "embeddings",
            SimOperation::Responses => "responses",
        }
    }
}

impl SimDeployment {
    /// A standard deployment without limits that answers at once, on a resource of its own.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        SimDeployment {
            name: name.into(),
            resource: None,
            keys: default_keys(),
            bearer_tokens: Vec::new(),
            token_audiences: Vec::new(),
            model: default_model(),
            version: default_version(),
            region: default_region(),
            sku: Sku::default(),
            limits: Limits::default(),
            quota_group: None,
            cost: CostModel::default(),
            output_ratio: one(),
            spillover: None,
            refusals: Refusals::default(),
            rate_headers: RateHeaders::default(),
            reasoning: false,
            operations: default_operations(),
            context_tokens: default_context(),
            dimensions: default_dimensions(),
            filter: FilterMode::default(),
            latency: Latency::default(),
            output: OutputLength::default(),
            frame_tokens: default_frame_tokens(),
            prompt_cache: true,
            faults: Vec::new(),
            weight: default_weight(),
        }
    }

    /// The resource that it belongs to.
    #[must_use]
    pub fn resource_name(&self) -> &str {
        self.resource.as_deref().unwrap_or(&self.name)
    }

    /// The model as replies report it.
    #[must_use]
    pub fn served_model(&self) -> String {
        if self.version.is_empty() {
            self.model.clone()
        } else {
            format!("{}-{}", self.model, self.version)
        }
    }

    /// Puts it on a resource that others may share.
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>) -> Self {
        self.resource = Some(name.into());
        self
    }

    /// Accepts this key, and no other.
    #[must_use]
    pub fn key(mut self, key: impl Into<SimKey>) -> Self {
        self.keys = vec![key.into()];
        self
    }

    /// Accepts this bearer token too.
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<SimKey>) -> Self {
        self.bearer_tokens.push(token.into());
        self
    }

    /// Accepts Entra ID tokens for this audience until they expire, and no key that is not given after.
    #[must_use]
    pub fn token_audience(mut self, audience: impl Into<String>) -> Self {
        self.token_audiences.push(audience.into());
        self.keys.clear();
        self
    }

    /// Sets the model and its version (which may be empty).
    #[must_use]
    pub fn model(mut self, model: impl Into<String>, version: impl Into<String>) -> Self {
        self.model = model.into();
        self.version = version.into();
        self
    }

    /// Sets the region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Makes it provisioned, with a throughput of so many tokens per minute.
    #[must_use]
    pub fn provisioned(mut self, tpm: u64) -> Self {
        self.sku = Sku::Provisioned;
        self.tpm(tpm)
    }

    /// Sets all limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the tokens per minute.
    #[must_use]
    pub fn tpm(mut self, tpm: u64) -> Self {
        self.limits.tpm = Some(tpm);
        self
    }

    /// Sets the requests per minute.
    #[must_use]
    pub fn rpm(mut self, rpm: u64) -> Self {
        self.limits.rpm = Some(rpm);
        self
    }

    /// Lets it share a quota of [`SimConfig::quota_groups`](super::SimConfig::quota_groups).
    #[must_use]
    pub fn quota_group(mut self, name: impl Into<String>) -> Self {
        self.quota_group = Some(name.into());
        self
    }

    /// Sets what a request is charged.
    #[must_use]
    pub fn cost(mut self, cost: CostModel) -> Self {
        self.cost = cost;
        self
    }

    /// Names the deployment that serves what this one refuses.
    #[must_use]
    pub fn spillover(mut self, target: impl Into<String>) -> Self {
        self.spillover = Some(target.into());
        self
    }

    /// Sets how a 429 looks.
    #[must_use]
    pub fn refusals(mut self, refusals: Refusals) -> Self {
        self.refusals = refusals;
        self
    }

    /// Sets which rate-limit headers are sent.
    #[must_use]
    pub fn rate_headers(mut self, headers: RateHeaders) -> Self {
        self.rate_headers = headers;
        self
    }

    /// Makes the model reason.
    #[must_use]
    pub fn reasoning(mut self) -> Self {
        self.reasoning = true;
        self
    }

    /// Sets the operations that the model knows.
    #[must_use]
    pub fn operations(mut self, operations: impl IntoIterator<Item = SimOperation>) -> Self {
        self.operations = operations.into_iter().collect();
        self
    }

    /// Sets the largest prompt plus answer, in tokens.
    #[must_use]
    pub fn context_tokens(mut self, tokens: u64) -> Self {
        self.context_tokens = tokens;
        self
    }

    /// Sets what the content filter adds to replies.
    #[must_use]
    pub fn filter(mut self, mode: FilterMode) -> Self {
        self.filter = mode;
        self
    }

    /// Sets how long it takes.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets how long its answers are.
    #[must_use]
    pub fn output(mut self, output: OutputLength) -> Self {
        self.output = output;
        self
    }

    /// Sets how many tokens a frame of a stream carries.
    #[must_use]
    pub fn frame_tokens(mut self, tokens: u32) -> Self {
        self.frame_tokens = tokens;
        self
    }

    /// Turns the prompt cache on or off.
    #[must_use]
    pub fn prompt_cache(mut self, on: bool) -> Self {
        self.prompt_cache = on;
        self
    }

    /// Adds something that goes wrong, after those that were added before.
    #[must_use]
    pub fn fault(mut self, fault: SimFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Sets the weight in the configuration that a fleet writes for its clients.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        for (key, text) in [("name", &self.name), ("model", &self.model), ("region", &self.region)] {
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(SimConfigError::value(
                    at(key),
                    text,
                    "a text without control characters, not empty",
                ));
            }
        }
        // The header values that carry them are limited to what HTTP allows.
        for (key, text) in [("name", &self.name), ("region", &self.region)] {
            if !text.is_ascii() {
                return Err(SimConfigError::value(at(key), text, "a text of ASCII characters"));
            }
        }
        if self.operations.is_empty() {
            return Err(SimConfigError::value(
                at("operations"),
                &self.operations,
                "at least one operation",
            ));
        }
        if self.sku == Sku::Provisioned && self.limits.tpm.is_none() {
            return Err(SimConfigError::value(
                at("limits.tpm"),
                self.limits.tpm,
                "the throughput of a provisioned deployment",
            ));
        }
        SimConfigError::range(at("output_ratio"), self.output_ratio, 0.01, 1000.0)?;
        SimConfigError::range(at("context_tokens"), self.context_tokens as f64, 1.0, 1e9)?;
        SimConfigError::range(at("dimensions"), f64::from(self.dimensions), 1.0, 10_000.0)?;
        SimConfigError::range(at("frame_tokens"), f64::from(self.frame_tokens), 1.0, 1e6)?;
        SimConfigError::range(at("weight"), f64::from(self.weight), 1.0, 1000.0)?;
        self.limits.check(&|key| at(&format!("limits.{key}")))?;
        self.latency.check(&|key| at(&format!("latency.{key}")))?;
        self.output.check(&|key| at(&format!("output.{key}")))?;
        for (position, fault) in self.faults.iter().enumerate() {
            fault.check(&|key| at(&format!("faults[{position}].{key}")))?;
        }
        Ok(())
    }
}

fn default_keys() -> Vec<SimKey> {
    vec![DEFAULT_KEY.into()]
}

fn default_model() -> String {
    "gpt-4o".to_owned()
}

fn default_version() -> String {
    "2024-11-20".to_owned()
}

fn default_region() -> String {
    "Sweden Central".to_owned()
}

fn default_operations() -> Vec<SimOperation> {
    SimOperation::ALL.to_vec()
}

fn default_context() -> u64 {
    128_000
}

fn default_dimensions() -> u32 {
    1536
}

fn default_frame_tokens() -> u32 {
    1
}

fn default_weight() -> u32 {
    1
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}
