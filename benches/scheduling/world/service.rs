//! A deployment as the service counts.

use std::time::Duration;

use azure_openai_blaster::internals::Axis;
use azure_openai_blaster::sim::limiter::{Admitted, LimitAxis, Limiter, Refused};
use azure_openai_blaster::sim::{LimiterForm, Limits};

use super::chance::Chance;
use super::conditions::{Conditions, Fault, FaultKind, Noise, RetryAfter};
use super::fleet::Plan;
use super::job::Job;

/// A deployment at work.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) plan: Plan,
    limiter: Limiter,
    retry_after: RetryAfter,
    noise: Option<Noise>,
    chance: Chance,
    fault: Option<Fault>,
}

/// What becomes of a request that has arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It is answered after this time.
    Admitted(Admitted, Duration),
    Refused(Refusal),
    /// Its connection is reset.
    Reset,
    /// Nothing, ever.
    Silence,
}

/// A 429.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// What its Retry-After names.
    pub(crate) wait: Duration,
    pub(crate) axis: Axis,
}

impl Service {
    pub(crate) fn new(plan: Plan, conditions: &Conditions, fault: Option<Fault>, seed: u64) -> Self {
        Service {
            limiter: limiter(&plan, conditions),
            chance: Chance::new(seed, &plan.name),
            plan,
            retry_after: conditions.retry_after,
            noise: conditions.noise,
            fault,
        }
    }

    pub(crate) fn arrive(&mut self, job: &Job, now: Duration) -> Arrival {
        let slower = match self.fault.filter(|fault| fault.holds(now)).map(|fault| fault.kind) {
            Some(FaultKind::Resets) => return Arrival::Reset,
            Some(FaultKind::Hangs) => return Arrival::Silence,
            Some(FaultKind::Slows(times)) => times,
            None => 1.0,
        };
        if let Some(noise) = self.noise
            && self.chance.unit() < noise.part
        {
            return Arrival::Refused(Refusal {
                wait: Duration::from_secs_f64(noise.wait),
                axis: if self.plan.provisioned {
                    Axis::Throughput
                } else {
                    Axis::Tokens
                },
            });
        }
        match self.limiter.admit(job.charge(), now) {
            Ok(admitted) => Arrival::Admitted(admitted, Duration::from_secs_f64(self.plan.time_for(job) * slower)),
            Err(Refused { wait, axis, .. }) => Arrival::Refused(Refusal {
                wait: if self.plan.provisioned {
                    // A header of milliseconds.
                    Duration::from_millis(wait.as_nanos().div_ceil(1_000_000) as u64)
                } else {
                    self.retry_after.write(wait)
                },
                axis: match axis {
                    LimitAxis::Requests => Axis::Requests,
                    LimitAxis::Tokens => Axis::Tokens,
                    LimitAxis::Throughput => Axis::Throughput,
                    axis => panic!("{axis:?} is not known here"),
                },
            }),
        }
    }

    /// The answer is out.
    pub(crate) fn finish(&mut self, admitted: Admitted, job: &Job, now: Duration) {
        self.limiter.settle(admitted, job.usage(), now);
    }
}

/// The count that the plan describes.
pub(crate) fn limiter(plan: &Plan, conditions: &Conditions) -> Limiter {
    let limits = Limits::new()
        .tpm(plan.tpm)
        .form(plan.form)
        .request_window_s(conditions.request_window);
    if plan.provisioned {
        return Limiter::provisioned(&limits);
    }
    let mut limits = limits.rpm(plan.rpm.unwrap_or(u64::MAX));
    if conditions.dip < 1.0 {
        limits = limits.lowered(180.0, 360.0, conditions.dip);
    }
    if conditions.counts_refused {
        limits = limits.count_refused();
    }
    Limiter::standard(&limits, Duration::from_secs_f64(plan.phase))
}

/// How a form is called on the command line and in tables.
pub(crate) fn form_name(form: LimiterForm) -> &'static str {
    match form {
        LimiterForm::Window => "window",
        LimiterForm::Bucket => "bucket",
        LimiterForm::Log => "log",
        form => panic!("{form:?} has no name here"),
    }
}
