//! The fleets.

use std::time::Duration;

use azure_openai_blaster::sim::LimiterForm;

use super::chance::Chance;
use super::job::Job;

/// A fleet by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fleet {
    /// Three small deployments, of 26 jobs a minute each.
    Small3,
    /// Three deployments of 131 jobs a minute.
    Equal3,
    /// Eight standard deployments, the largest fifty times the smallest, the small ones slow.
    Unequal8,
    /// Two provisioned deployments beside three standard ones.
    Mixed,
}

/// What a deployment is.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    /// Tokens per minute.
    pub(crate) tpm: u64,
    /// Requests per minute; provisioned ones have no such limit.
    pub(crate) rpm: Option<u64>,
    pub(crate) provisioned: bool,
    /// Tokens of output per second.
    pub(crate) speed: f64,
    /// Seconds to the first token.
    pub(crate) first_token: f64,
    pub(crate) form: LimiterForm,
    /// When its first token window ends, in seconds.
    pub(crate) phase: f64,
}

impl Fleet {
    pub(crate) const ALL: [Fleet; 4] = [Fleet::Small3, Fleet::Equal3, Fleet::Unequal8, Fleet::Mixed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fleet::Small3 => "small3",
            Fleet::Equal3 => "equal3",
            Fleet::Unequal8 => "unequal8",
            Fleet::Mixed => "ptu+payg",
        }
    }

    /// Jobs that keep it busy for about ten minutes.
    pub(crate) fn backlog(self) -> usize {
        match self {
            Fleet::Small3 => 780,
            Fleet::Equal3 => 3900,
            Fleet::Unequal8 => 8700,
            Fleet::Mixed => 9500,
        }
    }

    pub(crate) fn plans(self, chance: &mut Chance, form: LimiterForm) -> Vec<Plan> {
        let mut standard = |name: String, thousands: u64, rpm: u64, speed: f64| Plan {
            name,
            tpm: thousands * 1000,
            rpm: Some(rpm),
            provisioned: false,
            speed,
            first_token: 0.5,
            form,
            phase: chance.between(1.0, 60.0),
        };
        match self {
            Fleet::Small3 => (0..3).map(|i| standard(format!("s{i}"), 60, 360, 60.0)).collect(),
            Fleet::Equal3 => (0..3).map(|i| standard(format!("e{i}"), 300, 1800, 60.0)).collect(),
            Fleet::Unequal8 => [
                (1000, 80.0),
                (500, 60.0),
                (240, 60.0),
                (120, 50.0),
                (60, 50.0),
                (30, 40.0),
                (30, 40.0),
                (20, 40.0),
            ]
            .iter()
            .enumerate()
            .map(|(i, &(thousands, speed))| standard(format!("u{i}"), thousands, thousands, speed))
            .collect(),
            Fleet::Mixed => {
                let provisioned = (0..2).map(|i| Plan {
                    name: format!("ptu{i}"),
                    tpm: 600_000,
                    rpm: None,
                    provisioned: true,
                    speed: 100.0,
                    first_token: 0.3,
                    form,
                    phase: 0.0,
                });
                let by_use = [250, 250, 120].into_iter().enumerate();
                let by_use = by_use.map(|(i, thousands)| standard(format!("pay{i}"), thousands, 6 * thousands, 55.0));
                provisioned.chain(by_use).collect()
            }
        }
    }
}

impl Plan {
    /// How long it works on a job.
    pub(crate) fn time_for(&self, job: &Job) -> f64 {
        self.first_token + job.output as f64 / self.speed * job.slowness
    }

    /// Tokens that a provisioned deployment, or a bucket, takes at once.
    fn capacity(&self) -> f64 {
        self.tpm as f64 * if self.provisioned { 0.5 } else { 1.0 }
    }

    /// The most tokens that it can have admitted by `time`, in seconds.
    pub(crate) fn tokens_by(&self, time: f64) -> f64 {
        let drained = time * self.tpm as f64 / 60.0;
        match self.form {
            // One request is admitted although it overflows.
            _ if self.provisioned => self.capacity() + drained + 13_000.0,
            LimiterForm::Bucket => self.capacity() + drained,
            LimiterForm::Window => self.tpm as f64 * windows_by(time, 60.0, self.phase),
            // As windows whose first begins with the first request.
            LimiterForm::Log => self.tpm as f64 * windows_by(time, 60.0, 60.0),
            form => panic!("the bound of {form:?} is not known here"),
        }
    }

    /// The most requests that it can have admitted by `time`, in seconds.
    pub(crate) fn requests_by(&self, time: f64) -> f64 {
        const WINDOW: f64 = 10.0;
        let Some(rpm) = self.rpm else {
            return f64::INFINITY;
        };
        (rpm as f64 * WINDOW / 60.0).max(1.0) * windows_by(time, WINDOW, self.phase % WINDOW)
    }

    /// Which token window that is, from 0; whole minutes from the start where there are none.
    pub(crate) fn window_at(&self, time: Duration) -> usize {
        ((time.as_secs_f64() + 60.0 - self.window_phase()) / 60.0) as usize
    }

    /// When that token window ends.
    pub(crate) fn window_end(&self, window: usize) -> Duration {
        Duration::from_secs_f64(self.window_phase() + 60.0 * window as f64)
    }

    fn window_phase(&self) -> f64 {
        if !self.provisioned && self.form == LimiterForm::Window {
            self.phase
        } else {
            0.0
        }
    }
}

/// Windows that have begun by `time`.
fn windows_by(time: f64, length: f64, phase: f64) -> f64 {
    if time < phase {
        1.0
    } else {
        2.0 + ((time - phase) / length).floor()
    }
}
