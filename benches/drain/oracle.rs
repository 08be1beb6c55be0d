//! How long a client takes that sees into the service: what of the time beyond the lower bound nobody could spare who
//! serves in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use azure_openai_blaster::sim::limiter::{Admitted, Limiter};
use azure_openai_blaster::sim::{SimDeployment, Sku};

use crate::jobs::Job;

/// More than a count's rounding.
const A_LITTLE: Duration = Duration::from_micros(1);

/// Where a job goes of those who admit it.
#[derive(Clone, Copy)]
enum Rule {
    /// To the one with the largest part of its quota left.
    MostLeft,
    /// To the one that answers it first.
    Quickest,
}

/// Seconds until the last answer, where every job goes in its turn as soon as any deployment admits it: by the better of
/// two rules. The fleet has run for `age` when the backlog is there.
pub(crate) fn drains_in_s(deployments: &[SimDeployment], jobs: &[Job], age: Duration) -> f64 {
    [Rule::MostLeft, Rule::Quickest]
        .map(|rule| Oracle::new(deployments, rule).drain(jobs, age))
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

struct Oracle<'a> {
    deployments: &'a [SimDeployment],
    limiters: Vec<Limiter>,
    /// When provisioned deployments correct their charges, the next first, and the charge's number.
    under_way: BinaryHeap<Reverse<(Duration, usize)>>,
    /// By number: whose charge it is, and the tokens that are used in the end.
    charges: Vec<(usize, Admitted, u64)>,
    rule: Rule,
}

impl<'a> Oracle<'a> {
    fn new(deployments: &'a [SimDeployment], rule: Rule) -> Self {
        let limiter = |deployment: &SimDeployment| match deployment.sku {
            Sku::Provisioned => Limiter::provisioned(&deployment.limits),
            _ => Limiter::standard(&deployment.limits, Duration::ZERO),
        };
        Oracle {
            deployments,
            limiters: deployments.iter().map(limiter).collect(),
            under_way: BinaryHeap::new(),
            charges: Vec::new(),
            rule,
        }
    }

    fn drain(mut self, jobs: &[Job], age: Duration) -> f64 {
        let (mut now, mut last) = (age, age);
        for job in jobs {
            let ends = loop {
                match self.send(job, now) {
                    Ok(ends) => break ends,
                    Err(earliest) => now = earliest,
                }
            };
            last = last.max(ends);
        }
        (last - age).as_secs_f64()
    }

    /// Sends a job where it is admitted now and returns when it is answered, or else when to try again.
    fn send(&mut self, job: &Job, now: Duration) -> Result<Duration, Duration> {
        while let Some(&Reverse((at, number))) = self.under_way.peek()
            && at <= now
        {
            self.under_way.pop();
            let (index, charged, used) = self.charges[number];
            self.limiters[index].settle(charged, used, at);
        }
        let charge = job.charge() as u64;
        let mut earliest = self.under_way.peek().map_or(Duration::MAX, |next| next.0.0);
        let mut best: Option<(f64, usize)> = None;
        for (index, limiter) in self.limiters.iter().enumerate() {
            match limiter.judge(charge, now) {
                Ok(()) => {
                    let worth = self.worth(index, job, now);
                    if best.is_none_or(|(most, _)| worth > most) {
                        best = Some((worth, index));
                    }
                }
                Err(refused) => earliest = earliest.min(now + refused.wait + A_LITTLE),
            }
        }
        let (_, index) = best.ok_or(earliest)?;
        let charged = self.limiters[index].admit(charge, now).map_err(|_| earliest)?;
        let ends = now + Duration::from_secs_f64(job.service_s(&self.deployments[index]));
        if self.deployments[index].sku == Sku::Provisioned {
            self.under_way.push(Reverse((ends, self.charges.len())));
            self.charges.push((index, charged, job.used() as u64));
        }
        Ok(ends)
    }

    fn worth(&self, index: usize, job: &Job, now: Duration) -> f64 {
        let standing = self.limiters[index].standing(now);
        match (self.rule, standing.tokens, standing.utilisation) {
            (Rule::Quickest, ..) => -job.service_s(&self.deployments[index]),
            (Rule::MostLeft, Some(tokens), _) => tokens.remaining as f64 / tokens.limit as f64,
            (Rule::MostLeft, None, used) => 1.0 - used.unwrap_or(0.0),
        }
    }
}
