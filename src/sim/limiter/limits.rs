//! What a quota allows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sim::config::SimConfigError;

/// What a quota allows, and how it is counted. The default allows everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Tokens per minute, at least 1; none, the default: no limit. A window of another length than a minute allows in
    /// proportion.
    pub tpm: Option<u64>,
    /// Requests per minute, at least 1; none, the default: no limit. A request window allows in proportion, but always
    /// one.
    pub rpm: Option<u64>,
    /// How tokens are counted on standard deployments. Provisioned ones have a leaky bucket of half a window.
    pub form: LimiterForm,
    /// Length of the token window, in seconds: what a window counts, and what a bucket holds. Default 60.
    pub window_s: f64,
    /// When the first token window ends, in seconds since the start: all later ones end whole windows after that.
    /// None, the default: drawn by the seed. The other forms have none.
    pub phase_s: Option<f64>,
    /// Length of the request window, in seconds; 1, 10 and 60 occur. Default 10. It has the token window's phase.
    pub request_window_s: f64,
    /// Whether a refused request counts against the request limit. Default false.
    pub count_refused: bool,
    /// Times in which the token limit is lower; they do not overlap. Default none.
    pub lowered: Vec<Dip>,
}

/// How tokens are counted. All forms are in the field, and nothing announces which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimiterForm {
    /// A count that starts anew with every window.
    #[default]
    Window,
    /// A bucket that holds one window's quota and drains all the time.
    Bucket,
    /// A log of the last window's length: what was charged in it and what comes must fit. Microsoft's own simulator and
    /// many gateways count so.
    Log,
}

/// A time in which a token limit is lower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dip {
    /// Begin, in seconds since the start.
    pub from_s: f64,
    /// End, in seconds since the start.
    pub to_s: f64,
    /// What is left of the limit, above 0 to 1.
    pub factor: f64,
}

impl Dip {
    /// From `from_s` to `to_s`, in seconds since the start, only `factor` of the limit is left.
    #[must_use]
    pub fn new(from_s: f64, to_s: f64, factor: f64) -> Self {
        Dip { from_s, to_s, factor }
    }
}

impl Limits {
    /// No limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the tokens per minute.
    #[must_use]
    pub fn tpm(mut self, tpm: u64) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Sets the requests per minute.
    #[must_use]
    pub fn rpm(mut self, rpm: u64) -> Self {
        self.rpm = Some(rpm);
        self
    }

    /// Sets how tokens are counted.
    #[must_use]
    pub fn form(mut self, form: LimiterForm) -> Self {
        self.form = form;
        self
    }

    /// Sets the length of the token window, in seconds.
    #[must_use]
    pub fn window_s(mut self, seconds: f64) -> Self {
        self.window_s = seconds;
        self
    }

    /// Sets when the first window ends, in seconds since the start.
    #[must_use]
    pub fn phase_s(mut self, seconds: f64) -> Self {
        self.phase_s = Some(seconds);
        self
    }

    /// Sets the length of the request window, in seconds.
    #[must_use]
    pub fn request_window_s(mut self, seconds: f64) -> Self {
        self.request_window_s = seconds;
        self
    }

    /// Lets refused requests count against the request limit.
    #[must_use]
    pub fn count_refused(mut self) -> Self {
        self.count_refused = true;
        self
    }

    /// Lowers the token limit to `factor` of it between two times, in seconds since the start.
    #[must_use]
    pub fn lowered(mut self, from_s: f64, to_s: f64, factor: f64) -> Self {
        self.lowered.push(Dip::new(from_s, to_s, factor));
        self
    }

    /// What is left of the token limit at that time, 1 outside all dips.
    pub(crate) fn factor(&self, now: Duration) -> f64 {
        let now = now.as_secs_f64();
        let dip = self.lowered.iter().find(|dip| dip.from_s <= now && now < dip.to_s);
        dip.map_or(1.0, |dip| dip.factor)
    }

    /// Seconds between two times, those inside a dip counted for its factor only: what a bucket drains in.
    pub(crate) fn weighted_seconds(&self, from: Duration, to: Duration) -> f64 {
        let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
        let lost = |dip: &Dip| (to.min(dip.to_s) - from.max(dip.from_s)).max(0.0) * (1.0 - dip.factor);
        (to - from).max(0.0) - self.lowered.iter().map(lost).sum::<f64>()
    }

    pub(crate) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SimConfigError> {
        for (key, limit) in [("tpm", self.tpm), ("rpm", self.rpm)] {
            if let Some(limit) = limit {
                SimConfigError::range(at(key), limit as f64, 1.0, 1e12)?;
            }
        }
        SimConfigError::range(at("window_s"), self.window_s, 0.001, 86_400.0)?;
        SimConfigError::range(at("request_window_s"), self.request_window_s, 0.001, 86_400.0)?;
        if let Some(phase) = self.phase_s {
            SimConfigError::range(at("phase_s"), phase, 0.0, 86_400.0)?;
        }
        for (i, dip) in self.lowered.iter().enumerate() {
            SimConfigError::range(at(&format!("lowered[{i}].from_s")), dip.from_s, 0.0, 1e9)?;
            SimConfigError::range(at(&format!("lowered[{i}].to_s")), dip.to_s, dip.from_s, 1e9)?;
            SimConfigError::range(at(&format!("lowered[{i}].factor")), dip.factor, 1e-6, 1.0)?;
            let meets = |other: &Dip| dip.from_s < other.to_s && other.from_s < dip.to_s;
            if let Some(other) = self.lowered[..i].iter().find(|other| meets(other)) {
                return Err(SimConfigError::value(
                    at(&format!("lowered[{i}]")),
                    dip,
                    format!("a time that does not meet {} to {} s", other.from_s, other.to_s),
                ));
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tpm: None,
            rpm: None,
            form: LimiterForm::default(),
            window_s: 60.0,
            phase_s: None,
            request_window_s: 10.0,
            count_refused: false,
            lowered: Vec::new(),
        }
    }
}
