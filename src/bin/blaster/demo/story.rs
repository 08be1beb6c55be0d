//! The fleet of the demo, and what happens to it on the way.

use std::fmt;
use std::time::Duration;

use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::sim::{
    Death, FaultKind, FleetError, Latency, Limits, SimConfig, SimDeployment, SimFault, SimFleet, Spread,
};

use super::words;

/// The deployment that dies.
pub(super) const VICTIM: &str = "virginia";

/// The deployment with a small quota: so many requests a minute, counted in windows of this length.
const SMALL: &str = "paris";
const SMALL_RPM: u32 = 900;
const SMALL_WINDOW: Duration = Duration::from_secs(2);

/// When it dies, and when it lives again, since the start.
const DIES: Duration = Duration::from_secs(6);
const LIVES: Duration = Duration::from_secs(13);

/// Failures in a row that eject an endpoint. The usual five take 15 s of ever longer rests, too long for a demo.
pub(super) const EJECTED_AFTER: u32 = 3;

/// What happens to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// [`VICTIM`] dies.
    Death,
    /// It lives again, and nobody tells the blaster.
    Revival,
}

/// Which turns are still to come.
#[derive(Debug)]
pub(super) struct Plot(&'static [(Duration, Turn)]);

impl Plot {
    pub(super) fn new() -> Self {
        Plot(&[(DIES, Turn::Death), (LIVES, Turn::Revival)])
    }

    /// The turn whose time has come, once; call it again for the next one.
    pub(super) fn due(&mut self, now: Duration) -> Option<Turn> {
        let (&(at, turn), rest) = self.0.split_first()?;
        if now < at {
            return None;
        }
        self.0 = rest;
        Some(turn)
    }
}

/// Lets it happen.
pub(super) fn perform(fleet: &SimFleet, turn: Turn) -> Result<(), FleetError> {
    match turn {
        Turn::Death => fleet.kill(VICTIM, Death::Refuse),
        Turn::Revival => fleet.revive(VICTIM),
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Turn::Death => write!(f, "{VICTIM} dies: its connections are reset, new ones refused"),
            Turn::Revival => write!(f, "{VICTIM} lives again, but nobody tells the blaster"),
        }
    }
}

/// Four deployments as unequal as a real team's. Quota windows are short, so that they fit into the demo.
pub(super) fn fleet(seed: u64) -> SimConfig {
    let pace = |ttft_ms: f64, speed: f64| {
        Latency::fixed(ttft_ms)
            .tokens_per_s(speed)
            .jitter(Spread::Lognormal, 0.25)
    };
    let small = Limits::new()
        .rpm(SMALL_RPM.into())
        .request_window_s(SMALL_WINDOW.as_secs_f64());
    SimConfig::new([
        SimDeployment::new("sweden")
            .region("Sweden Central")
            .weight(4)
            .latency(pace(170.0, 140.0)),
        SimDeployment::new(VICTIM)
            .region("East US 2")
            .weight(3)
            .latency(pace(210.0, 120.0)),
        SimDeployment::new(SMALL)
            .region("France Central")
            .weight(2)
            .limits(small)
            .latency(pace(170.0, 140.0)),
        SimDeployment::new("tokyo")
            .region("Japan East")
            .weight(1)
            .latency(pace(400.0, 55.0))
            .fault(SimFault::random(0.012, FaultKind::Status { status: 500 }))
            .fault(SimFault::random(0.006, FaultKind::Reset)),
    ])
    .seed(seed)
}

/// Tells the blaster the limits, as a team knows its own.
pub(super) fn tell_limits(config: &mut BlasterConfig) {
    for deployment in config.deployments.iter_mut().filter(|one| one.name == SMALL) {
        deployment.rpm_limit = Some(SMALL_RPM);
        deployment.request_window = SMALL_WINDOW;
    }
}

/// What is told before it begins.
pub(super) fn introduction(requests: u32) -> String {
    format!(
        "{} for 4 simulated deployments:\n\
         no key, no network, nothing spent.\n  \
         sweden    weight 4  large and steady\n  \
         virginia  weight 3  dies after {} s, lives again after {} s\n  \
         paris     weight 2  a small quota, which is kept to\n  \
         tokyo     weight 1  slow; some 500s and reset connections\n",
        words::several(requests.into(), "prompt"),
        DIES.as_secs(),
        LIVES.as_secs(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_valid_and_introduced_by_name_and_weight() {
        let fleet = fleet(1);
        fleet.check().unwrap();
        let text = introduction(3_000);
        for deployment in &fleet.deployments {
            let line = text.lines().find(|line| line.contains(&deployment.name)).unwrap();
            assert!(line.contains(&format!("weight {}", deployment.weight)), "{line}");
        }
        assert!(
            text.lines().all(|line| line.len() <= 60),
            "a narrow terminal shows it: {text}"
        );
    }

    #[test]
    fn each_turn_comes_once_and_in_order_however_late_it_is_asked_for() {
        let mut plot = Plot::new();
        assert_eq!(plot.due(DIES - Duration::from_millis(1)), None);
        assert_eq!(plot.due(DIES), Some(Turn::Death));
        assert_eq!(plot.due(DIES), None);
        assert_eq!(plot.due(LIVES), Some(Turn::Revival));
        assert_eq!(plot.due(LIVES * 2), None);
        let mut late = Plot::new();
        let both = [late.due(LIVES), late.due(LIVES)];
        assert_eq!(both, [Some(Turn::Death), Some(Turn::Revival)]);
    }
}
