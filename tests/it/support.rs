//! What the tests against the simulator share.

use std::time::Duration;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatMessage, ChatRequest};
use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};

/// Longest time that a test waits for what must happen; only reached where something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running fleet of these deployments.
pub(crate) fn fleet(deployments: impl IntoIterator<Item = SimDeployment>) -> SimFleet {
    SimFleet::start(SimConfig::new(deployments)).unwrap()
}

/// The configuration of a client of this fleet.
pub(crate) fn config(fleet: &SimFleet) -> BlasterConfig {
    BlasterConfig::from_json(&fleet.blaster_config_json()).unwrap().num_workers(16)
}

/// A client of this fleet with sixteen workers.
pub(crate) fn blaster(fleet: &SimFleet) -> Blaster {
    Blaster::builder().config(config(fleet)).seed(1).build().unwrap()
}

/// A request that the simulator answers with a text that begins with `id:<id>`.
pub(crate) fn ask(id: impl std::fmt::Display) -> ChatRequest {
    ChatRequest::new([ChatMessage::user(format!("id:{id} Say something."))])
}

/// The text that begins the answer to [`ask`].
pub(crate) fn echo(id: impl std::fmt::Display) -> String {
    format!("id:{id}")
}
