//! Who answers: the deployments of a case.

use azure_openai_blaster::sim::{Latency, Limits, RateHeaders, SimDeployment};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::Options;
use crate::case::Case;

/// The name under which all deployments serve; the simulator's default.
pub(crate) const MODEL: &str = "gpt-4o";

/// Smallest quota that is worth having beside the largest job, in tokens a window.
const SMALLEST: f64 = 20_000.0;

/// The deployments of a case, the phases of their windows drawn from `rng`.
pub(crate) fn deployments(case: &Case, options: &Options, rng: &mut SmallRng) -> Vec<SimDeployment> {
    let (speed, share) = (case.pace.speed(), options.effort.share());
    let headers = match options.headers {
        true => RateHeaders::Full,
        false => RateHeaders::Off,
    };
    let mut deployments = Vec::new();
    for (position, &(thousands, rpm, tokens_per_s)) in case.shape.sizes().iter().enumerate() {
        let tpm = thousands as f64 * 1000.0 * share;
        if tpm < SMALLEST {
            continue;
        }
        let limits = Limits::new()
            .form(case.form)
            .window_s(60.0 / speed)
            .request_window_s(10.0 / speed)
            .phase_s(rng.random_range(1.0..60.0) / speed);
        let deployment = SimDeployment::new(format!("endpoint-{position}"))
            .limits(limits)
            .rate_headers(headers)
            // What is charged depends on the request alone.
            .prompt_cache(false);
        let tpm = (tpm * speed) as u64;
        let (deployment, ttft_ms) = match rpm {
            Some(rpm) => (deployment.tpm(tpm).rpm((rpm as f64 * share * speed) as u64), 500.0),
            None => (deployment.provisioned(tpm), 300.0),
        };
        deployments.push(deployment.latency(Latency::fixed(ttft_ms / speed).tokens_per_s(tokens_per_s * speed)));
    }
    deployments
}
