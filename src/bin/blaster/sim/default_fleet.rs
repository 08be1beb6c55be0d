//! The fleet of `blaster sim` without a configuration: four deployments as unequal as a real team's.

use azure_openai_blaster::sim::{FaultKind, Latency, SimConfig, SimDeployment, SimFault, Spread};

/// A large one, a small one, a provisioned one, and one that is slow and sometimes fails; all serve `gpt-4o`.
pub(crate) fn default_fleet() -> SimConfig {
    let pace = |ttft_ms: f64, speed: f64| {
        Latency::fixed(ttft_ms)
            .tokens_per_s(speed)
            .jitter(Spread::Lognormal, 0.25)
    };
    SimConfig::new([
        SimDeployment::new("sweden")
            .region("Sweden Central")
            .tpm(450_000)
            .rpm(2_700)
            .weight(4)
            .latency(pace(250.0, 90.0)),
        SimDeployment::new("virginia")
            .region("East US 2")
            .tpm(120_000)
            .rpm(720)
            .weight(1)
            .latency(pace(300.0, 80.0)),
        SimDeployment::new("paris-ptu")
            .region("France Central")
            .provisioned(250_000)
            .weight(3)
            .latency(pace(150.0, 120.0)),
        SimDeployment::new("tokyo")
            .region("Japan East")
            .tpm(240_000)
            .rpm(1_440)
            .weight(2)
            .latency(pace(600.0, 40.0))
            .fault(SimFault::random(0.02, FaultKind::Status { status: 500 })),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fleet_is_valid_and_has_four_deployments() {
        let config = default_fleet();
        config.check().unwrap();
        assert_eq!(config.deployments.len(), 4);
    }
}
