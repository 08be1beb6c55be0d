//! Who answers: fleets as teams have them.

use azure_openai_blaster::sim::{Latency, Limits, RateHeaders, SimDeployment};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::Options;
use crate::case::Case;

/// The name under which all deployments serve; the simulator's default.
pub(crate) const MODEL: &str = "gpt-4o";

/// The model of the fleet.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Three of 300,000 tokens a minute.
    Equal,
    /// Eight, of 1,000,000 tokens a minute down to 20,000, the smaller the slower.
    Unequal,
    /// Two provisioned ones beside three that are paid by the token.
    Tiered,
}

/// Thousands of tokens a minute, requests a minute (none: provisioned), tokens a second of an answer.
type Size = (u64, Option<u64>, f64);

impl Shape {
    pub(crate) const ALL: [Shape; 3] = [Shape::Equal, Shape::Unequal, Shape::Tiered];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Equal => "equal",
            Shape::Unequal => "unequal",
            Shape::Tiered => "tiered",
        }
    }

    fn sizes(self) -> &'static [Size] {
        match self {
            Shape::Equal => &[(300, Some(1800), 60.0); 3],
            Shape::Unequal => &[
                (1000, Some(1000), 80.0),
                (500, Some(500), 60.0),
                (240, Some(240), 60.0),
                (120, Some(120), 50.0),
                (60, Some(60), 50.0),
                (30, Some(30), 40.0),
                (30, Some(30), 40.0),
                (20, Some(20), 40.0),
            ],
            Shape::Tiered => &[
                (600, None, 100.0),
                (600, None, 100.0),
                (250, Some(1500), 55.0),
                (250, Some(1500), 55.0),
                (120, Some(720), 55.0),
            ],
        }
    }

    /// How many jobs a minute's quotas of the whole fleet are good for.
    pub(crate) fn jobs_a_minute(self) -> f64 {
        match self {
            Shape::Equal => 390.0,
            Shape::Unequal => 870.0,
            Shape::Tiered => 950.0,
        }
    }
}

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
