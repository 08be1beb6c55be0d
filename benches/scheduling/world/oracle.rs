//! A scheduler that knows how the service counts.

use std::time::Duration;

use azure_openai_blaster::sim::limiter::Limiter;

use super::conditions::Conditions;
use super::fleet::Plan;
use super::job::Job;
use super::service::limiter;

/// More than a count's rounding.
const A_LITTLE: Duration = Duration::from_micros(1);

/// How long each job waits for its admission where all go in the order in which they come, each as soon as a
/// standard deployment admits it, to the one with the largest part of its quota left.
pub(crate) fn waits_in_order(plans: &[Plan], jobs: &[Job], conditions: &Conditions) -> Vec<Duration> {
    let mut limiters: Vec<Limiter> = plans.iter().map(|plan| limiter(plan, conditions)).collect();
    let mut now = Duration::ZERO;
    let wait = |job: &Job| {
        now = now.max(job.submitted);
        loop {
            match admit(&mut limiters, job.charge(), now) {
                Ok(()) => return now - job.submitted,
                Err(earliest) => now = earliest,
            }
        }
    };
    jobs.iter().map(wait).collect()
}

/// Charges the job somewhere, or says when that is possible.
fn admit(limiters: &mut [Limiter], tokens: u64, now: Duration) -> Result<(), Duration> {
    let mut earliest = Duration::MAX;
    let mut best: Option<(f64, usize)> = None;
    for (index, limiter) in limiters.iter().enumerate() {
        match limiter.judge(tokens, now) {
            Ok(()) => {
                let left = left(limiter, now);
                if best.is_none_or(|(most, _)| left > most) {
                    best = Some((left, index));
                }
            }
            Err(refused) => earliest = earliest.min(now + refused.wait + A_LITTLE),
        }
    }
    let (_, index) = best.ok_or(earliest)?;
    limiters[index].admit(tokens, now).map_or(Err(earliest), |_| Ok(()))
}

/// The part of its token limit that is left.
fn left(limiter: &Limiter, now: Duration) -> f64 {
    let tokens = limiter.standing(now).tokens;
    tokens.map_or(1.0, |tokens| tokens.remaining as f64 / tokens.limit as f64)
}
