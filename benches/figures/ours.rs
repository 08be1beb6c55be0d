//! The engine as the figures use it.

use azure_openai_blaster::Blaster;
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const MODEL: &str = "bench";
pub(crate) const API_VERSION: &str = "2025-01-01-preview";

/// A prompt of some four hundred characters.
pub(crate) const PROMPT: &str = "You are reviewing the design of a client that sends a great many requests to a service which \
    refuses work when it is asked for too much at once. Explain in one sentence, in words that somebody new to the \
    subject understands, why such a client should wait longer after each refusal, why it should add a little chance \
    to each wait, and what would happen if all of its copies tried again at the same moment.";

/// A configuration with a deployment for each URL.
pub(crate) fn config(urls: &[String], workers: usize) -> BlasterConfig {
    let deployments = urls.iter().enumerate().map(|(index, url)| {
        DeploymentConfig::new(format!("endpoint-{index}"), url, MODEL)
            .auth(Auth::key(KEY))
            .api_version(API_VERSION)
    });
    BlasterConfig::new(deployments).num_workers(workers)
}

/// A blaster with a deployment for each URL.
pub(crate) fn blaster(urls: &[String], workers: usize) -> Blaster {
    let builder = Blaster::builder().config(config(urls, workers));
    builder.build().expect("the configuration is good")
}

/// Submits so many chats, then waits for each.
pub(crate) fn drain(blaster: &Blaster, count: usize) {
    let handles: Vec<_> = (0..count)
        .map(|_| blaster.submit_chat_completion(PROMPT).expect("there is room"))
        .collect();
    for handle in handles {
        handle.wait().expect("the service answers");
    }
}
