//! How quickly a backlog could be drained at best.

use super::fleet::Plan;
use super::job::Job;

/// The least time, in seconds, at which the jobs, split at will, fit into what the deployments can have admitted by
/// then, and the shortest answer's time; but the time of the longest answer at least.
pub(crate) fn lower_bound(plans: &[Plan], jobs: &[Job]) -> f64 {
    // Provisioned deployments charge what is used, so they best take the jobs that use least of what they reserve.
    let mut order: Vec<&Job> = jobs.iter().collect();
    let thrift = |job: &Job| job.charge() as f64 / job.usage() as f64;
    order.sort_by(|a, b| thrift(b).total_cmp(&thrift(a)));
    let (mut low, mut high) = (0.0, 36_000.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if is_feasible(plans, &order, middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let quickest = |job: &Job| {
        plans
            .iter()
            .map(|plan| plan.time_for(job))
            .fold(f64::INFINITY, f64::min)
    };
    let shortest = jobs.iter().map(quickest).fold(f64::INFINITY, f64::min);
    let longest = jobs.iter().map(quickest).fold(0.0, f64::max);
    (high + shortest).max(longest)
}

fn is_feasible(plans: &[Plan], order: &[&Job], time: f64) -> bool {
    let provisioned = plans.iter().filter(|plan| plan.provisioned);
    let standard = || plans.iter().filter(|plan| !plan.provisioned);
    let mut room: f64 = provisioned.map(|plan| plan.tokens_by(time)).sum();
    let (mut tokens, mut requests) = (0.0, 0.0);
    for job in order {
        let usage = job.usage() as f64;
        let part = (room / usage).min(1.0);
        room -= part * usage;
        tokens += (1.0 - part) * job.charge() as f64;
        requests += 1.0 - part;
    }
    tokens <= standard().map(|plan| plan.tokens_by(time)).sum()
        && requests <= standard().map(|plan| plan.requests_by(time)).sum()
}
