//! How things stand at one moment.

use std::sync::Arc;
use std::time::Duration;

use azure_openai_blaster::api::{Condition, EndpointReport};

use super::words;

/// How things stand at one moment.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Since the start.
    pub(super) elapsed: Duration,
    /// Prompts in all.
    pub(super) total: u64,
    /// Prompts that have come to their end.
    pub(super) ended: u64,
    /// Of those, the ones that were not answered.
    pub(super) not_answered: u64,
    /// Prompts a second, of late; none where too little is known.
    pub(super) rate: Option<f64>,
    /// In the order of the configuration.
    pub(super) endpoints: Vec<Endpoint>,
}

/// How an endpoint stands.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) condition: Condition,
    /// Why it is not ready.
    pub(super) reason: Option<String>,
    /// Time until it is ready, or tried, again.
    pub(super) left: Option<Duration>,
    /// Time until its quota, or its group's, has room.
    pub(super) full: Option<Duration>,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) in_flight: u32,
    pub(super) answered: u64,
    pub(super) throttled: u64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
}

impl Moment {
    /// Time until all is done, at this rate.
    pub(super) fn left(&self) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64((self.total - self.ended) as f64 / rate).ok()
    }

    /// `147/s`
    pub(super) fn speed(&self) -> String {
        self.rate
            .map_or_else(|| "–/s".to_owned(), |rate| format!("{rate:.0}/s"))
    }
}

impl Endpoint {
    /// `ready`, `cooling 1.4 s`, `waits for quota, 3 s`: at most 21 characters for waits under 100 s.
    pub(super) fn state(&self) -> String {
        match self.standing() {
            Standing::Doubtful if self.failures == 0 => return "in doubt".to_owned(),
            Standing::Doubtful => return format!("in doubt, {}", words::several(self.failures.into(), "failure")),
            Standing::Full(left) => return format!("waits for quota, {}", words::whole(left)),
            Standing::Well | Standing::Out => {}
        }
        let state = match self.condition {
            Condition::CoolingDown => "cooling".to_owned(),
            condition => condition.to_string(),
        };
        match self.left {
            // A probe that is due waits for the next request.
            Some(left) if left.is_zero() => state,
            Some(left) => format!("{state} {}", words::wait(left)),
            None => state,
        }
    }

    /// How it is with it, as far as colours tell.
    pub(super) fn standing(&self) -> Standing {
        match self.full {
            _ if self.condition != Condition::Ready => Standing::Out,
            // Its rest may be over, and yet it may be as dead as before.
            _ if self.failures > 0 => Standing::Doubtful,
            Some(left) if left >= SHORT => Standing::Full(left),
            // It has fallen silent, or lacks an operation.
            _ if self.reason.is_some() => Standing::Doubtful,
            _ => Standing::Well,
        }
    }
}

/// How it is with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is ready, and its last attempt was not in vain.
    Well,
    /// It is ready, but its quota has no room for so long.
    Full(Duration),
    /// It is given work, but what it was given last it has not answered.
    Doubtful,
    /// It is not ready.
    Out,
}

/// Shorter waits are what keeping to a pace is, and nobody could read them.
const SHORT: Duration = Duration::from_millis(250);

impl From<EndpointReport> for Endpoint {
    fn from(report: EndpointReport) -> Self {
        Endpoint {
            name: report.name,
            condition: report.condition,
            reason: report.reason,
            left: report.left,
            full: [report.limit, report.group_limit]
                .into_iter()
                .flatten()
                .filter_map(|limit| limit.full)
                .max(),
            failures: report.failure_streak,
            in_flight: report.in_flight,
            answered: report.totals.succeeded,
            throttled: report.totals.throttled,
            p50: report.latency_p50,
            p99: report.latency_p99,
        }
    }
}

/// A time, or a dash where none is known.
pub(super) fn time_or_dash(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), words::time)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A moment with one endpoint that is ready and one that rests.
    pub(in super::super) fn moment() -> Moment {
        let east = Endpoint {
            name: "east".into(),
            condition: Condition::Ready,
            reason: None,
            left: None,
            full: None,
            failures: 0,
            in_flight: 24,
            answered: 1_234,
            throttled: 0,
            p50: Some(Duration::from_millis(312)),
            p99: Some(Duration::from_millis(1_204)),
        };
        let west = Endpoint {
            name: "virginia".into(),
            condition: Condition::CoolingDown,
            reason: Some("429 RateLimitReached".to_owned()),
            left: Some(Duration::from_millis(1_440)),
            full: None,
            failures: 1,
            in_flight: 0,
            answered: 300,
            throttled: 7,
            p50: None,
            p99: None,
        };
        Moment {
            elapsed: Duration::from_secs(9),
            total: 3_000,
            ended: 1_534,
            not_answered: 0,
            rate: Some(146.6),
            endpoints: vec![east, west],
        }
    }

    #[test]
    fn what_is_left_follows_from_the_rate() {
        let mut moment = moment();
        assert_eq!(moment.left(), Some(Duration::from_secs_f64(1_466.0 / 146.6)));
        assert_eq!(moment.speed(), "147/s");
        for rate in [None, Some(0.0)] {
            moment.rate = rate;
            assert_eq!(moment.left(), None);
        }
    }

    #[test]
    fn a_state_tells_the_seconds_left() {
        let moment = moment();
        let states: Vec<String> = moment.endpoints.iter().map(Endpoint::state).collect();
        assert_eq!(states, ["ready", "cooling 1.4 s"]);
        let mut due = moment.endpoints[1].clone();
        (due.condition, due.left) = (Condition::Ejected, Some(Duration::ZERO));
        assert_eq!(due.state(), "ejected");
    }

    #[test]
    fn one_that_waits_for_quota_or_is_in_doubt_is_not_well() {
        let east = &moment().endpoints[0];
        assert_eq!((east.standing(), east.state().as_str()), (Standing::Well, "ready"));
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        let silent = || Some("silent for 3.2 s".to_owned());
        for (full, failures, reason, state) in [
            (seconds(2.1), 0, None, "waits for quota, 3 s"),
            (seconds(59.9), 0, silent(), "waits for quota, 60 s"),
            (seconds(0.1), 0, None, "ready"),
            (None, 1, None, "in doubt, 1 failure"),
            (seconds(2.1), 12, None, "in doubt, 12 failures"),
            (None, 0, silent(), "in doubt"),
        ] {
            let endpoint = Endpoint {
                full,
                failures,
                reason,
                ..east.clone()
            };
            assert_eq!(endpoint.state(), state);
            assert_eq!(endpoint.standing() == Standing::Well, state == "ready");
        }
        let out = Endpoint {
            full: seconds(9.0),
            condition: Condition::Ejected,
            ..east.clone()
        };
        assert_eq!((out.standing(), out.state().as_str()), (Standing::Out, "ejected"));
    }

    #[test]
    fn a_report_of_a_full_quota_becomes_a_wait() {
        use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};
        use azure_openai_blaster::{Blaster, BlasterConfig};
        let fleet = SimFleet::start(SimConfig::new([SimDeployment::new("east")])).unwrap();
        let mut config = BlasterConfig::from_json(&fleet.blaster_config_json()).unwrap();
        config.deployments[0].rpm_limit = Some(1);
        config.deployments[0].request_window = Duration::from_secs(60);
        let blaster = Blaster::builder().config(config).build().unwrap();
        blaster.chat("one").unwrap();
        let state = Endpoint::from(blaster.states()[0].report()).state();
        assert!(state.starts_with("waits for quota, "), "{state}");
    }
}
