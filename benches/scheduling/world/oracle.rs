//! A scheduler that knows how the service counts.

use std::time::Duration;

use azure_openai_blaster::sim::limiter::Limiter;

use super::conditions::Conditions;
use super::fleet::Plan;
use super::job::Job;
use super::service::limiter;

/// Where a job goes of those who admit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// To the one with the largest part of its quota left, so that all are used up at one time.
    MostLeft,
    /// To the one whose quota is renewed first, so that nothing is lost and seldom all are used up. That is nothing for
    /// buckets, which lose something only while they are empty.
    EndsFirst,
}

/// More than a count's rounding.
const A_LITTLE: Duration = Duration::from_micros(1);

/// How long each job waits for its admission where all go in the order in which they come, each as soon as a
/// standard deployment admits it.
pub(crate) fn waits_in_order(plans: &[Plan], jobs: &[Job], conditions: &Conditions, rule: Rule) -> Vec<Duration> {
    let mut limiters: Vec<Limiter> = plans.iter().map(|plan| limiter(plan, conditions)).collect();
    let mut now = Duration::ZERO;
    let wait = |job: &Job| {
        now = now.max(job.submitted);
        loop {
            match admit(&mut limiters, job.charge(), now, rule) {
                Ok(()) => return now - job.submitted,
                Err(earliest) => now = earliest,
            }
        }
    };
    jobs.iter().map(wait).collect()
}

/// Charges the job somewhere, or says when that is possible.
fn admit(limiters: &mut [Limiter], tokens: u64, now: Duration, rule: Rule) -> Result<(), Duration> {
    let mut earliest = Duration::MAX;
    let mut best: Option<(f64, usize)> = None;
    for (index, limiter) in limiters.iter().enumerate() {
        match limiter.judge(tokens, now) {
            Ok(()) => {
                let worth = worth(limiter, now, rule);
                if best.is_none_or(|(most, _)| worth > most) {
                    best = Some((worth, index));
                }
            }
            Err(refused) => earliest = earliest.min(now + refused.wait + A_LITTLE),
        }
    }
    let (_, index) = best.ok_or(earliest)?;
    limiters[index].admit(tokens, now).map_or(Err(earliest), |_| Ok(()))
}

/// How good it is to send there.
fn worth(limiter: &Limiter, now: Duration, rule: Rule) -> f64 {
    let Some(tokens) = limiter.standing(now).tokens else {
        return f64::INFINITY;
    };
    match rule {
        Rule::MostLeft => tokens.remaining as f64 / tokens.limit as f64,
        // Nothing is used: its window may be as young as can be.
        Rule::EndsFirst if tokens.reset.is_zero() => -tokens.period.as_secs_f64(),
        Rule::EndsFirst => -tokens.reset.as_secs_f64(),
    }
}
