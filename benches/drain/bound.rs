//! The least time that a backlog can take, whoever drains it.

use std::time::Duration;

use azure_openai_blaster::sim::{LimiterForm, SimDeployment, Sku};

use crate::jobs::Job;

/// By how much a provisioned deployment may be overfull: it admits the largest job while it is all but full.
const LARGEST_JOB: f64 = 13_000.0;

/// The least number of seconds after which a fractional split of the jobs fits what every deployment allows by then,
/// and the shortest of them is answered; and no less than the longest job takes on the fastest deployment. The fleet
/// has run for `age` when the backlog is there.
pub(crate) fn lower_bound_s(deployments: &[SimDeployment], jobs: &[Job], age: Duration) -> f64 {
    let (mut too_little, mut enough) = (0.0, 3600.0);
    let order = by_gain(jobs);
    for _ in 0..50 {
        let middle = (too_little + enough) / 2.0;
        if fits(deployments, &order, middle, age.as_secs_f64()) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    let fastest = |job: &Job| {
        let times = deployments.iter().map(|deployment| job.service_s(deployment));
        times.fold(f64::INFINITY, f64::min)
    };
    let shortest = jobs.iter().map(fastest).fold(f64::INFINITY, f64::min);
    let longest = jobs.iter().map(fastest).fold(0.0, f64::max);
    longest.max(enough + shortest)
}

/// Those first for which a provisioned deployment, which charges what is used, is worth most.
fn by_gain(jobs: &[Job]) -> Vec<&Job> {
    let mut order: Vec<&Job> = jobs.iter().collect();
    order.sort_by(|a, b| (b.charge() / b.used()).total_cmp(&(a.charge() / a.used())));
    order
}

/// Whether the jobs can have been admitted after `seconds`.
fn fits(deployments: &[SimDeployment], order: &[&Job], seconds: f64, age_s: f64) -> bool {
    let (mut provisioned, mut tokens, mut requests) = (0.0, 0.0, 0.0);
    for deployment in deployments {
        match deployment.sku {
            Sku::Provisioned => provisioned += tokens_by(deployment, seconds, age_s),
            _ => {
                tokens += tokens_by(deployment, seconds, age_s);
                requests += requests_by(deployment, seconds, age_s);
            }
        }
    }
    for job in order {
        let left = (1.0 - provisioned / job.used()).max(0.0);
        provisioned = (provisioned - job.used()).max(0.0);
        tokens -= left * job.charge();
        requests -= left;
    }
    tokens >= 0.0 && requests >= 0.0
}

/// Tokens that a deployment can have admitted.
fn tokens_by(deployment: &SimDeployment, seconds: f64, age_s: f64) -> f64 {
    let limits = &deployment.limits;
    let per_second = limits.tpm.map_or(f64::INFINITY, |tpm| tpm as f64 / 60.0);
    let window = per_second * limits.window_s;
    match (deployment.sku, limits.form) {
        (Sku::Provisioned, _) => window / 2.0 + per_second * seconds + LARGEST_JOB,
        (_, LimiterForm::Bucket) => window + per_second * seconds,
        (_, LimiterForm::Window) => window * windows_by(limits.window_s, limits.phase_s, seconds, age_s),
        // As windows whose first begins with the first request.
        (_, LimiterForm::Log) => window * (1.0 + (seconds / limits.window_s).floor()),
        (_, form) => panic!("the bound of {form:?} is not known here"),
    }
}

/// Requests that a standard deployment can have admitted.
fn requests_by(deployment: &SimDeployment, seconds: f64, age_s: f64) -> f64 {
    let limits = &deployment.limits;
    let window = limits
        .rpm
        .map_or(f64::INFINITY, |rpm| rpm as f64 * limits.request_window_s / 60.0);
    window.max(1.0) * windows_by(limits.request_window_s, limits.phase_s, seconds, age_s)
}

/// Windows that have begun, with the one that was there at the start.
fn windows_by(length_s: f64, phase_s: Option<f64>, seconds: f64, age_s: f64) -> f64 {
    let first = (phase_s.unwrap_or(0.0) - age_s).rem_euclid(length_s);
    1.0 + ((seconds - first) / length_s + 1.0).floor().max(0.0)
}
