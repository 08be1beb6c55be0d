//! What there is to do.

use std::time::Duration;

use super::chance::Chance;

/// The most tokens of output that each job asks for.
pub(crate) const MAX_OUTPUT: u64 = 1000;

/// Mean of what standard deployments charge for a job, in tokens.
pub(crate) const MEAN_CHARGE: f64 = 2290.0;

/// A chat completion.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Tokens of its prompt, as the service counts them.
    pub(crate) prompt: u64,
    /// The same as the client estimates it.
    pub(crate) estimate: u64,
    /// Tokens of its answer.
    pub(crate) output: u64,
    /// How much longer than its output lets expect the answer takes.
    pub(crate) slowness: f64,
    /// When it comes.
    pub(crate) submitted: Duration,
}

impl Job {
    /// What a standard deployment charges, and what a provisioned one expects.
    pub(crate) fn charge(&self) -> u64 {
        self.prompt + MAX_OUTPUT
    }

    /// What its client expects it to be charged.
    pub(crate) fn expected_charge(&self) -> u64 {
        self.estimate + MAX_OUTPUT
    }

    /// What it really uses.
    pub(crate) fn usage(&self) -> u64 {
        self.prompt + self.output
    }
}

/// So many jobs, all of which are there from the start.
pub(crate) fn backlog(chance: &mut Chance, count: usize) -> Vec<Job> {
    let mut job = || {
        let prompt = chance.lognormal(800.0, 1.0).clamp(50.0, 12_000.0) as u64;
        Job {
            prompt,
            output: chance.lognormal(250.0, 0.8).clamp(5.0, MAX_OUTPUT as f64) as u64,
            estimate: (prompt as f64 * chance.between(0.9, 1.1)) as u64,
            slowness: chance.lognormal(1.0, 0.25),
            submitted: Duration::ZERO,
        }
    };
    (0..count).map(|_| job()).collect()
}

/// Jobs that come at random and would use so much of `quota` (tokens a minute), for so many minutes.
pub(crate) fn stream(chance: &mut Chance, quota: u64, use_of_quota: f64, minutes: f64) -> Vec<Job> {
    let tokens_a_second = use_of_quota * quota as f64 / 60.0;
    let seconds = minutes * 60.0;
    let mut jobs = backlog(chance, (tokens_a_second * seconds / MEAN_CHARGE) as usize);
    // The pause that gives these very jobs the wanted mean.
    let charged: u64 = jobs.iter().map(Job::charge).sum();
    let pause = charged as f64 / tokens_a_second / jobs.len() as f64;
    let mut at = 0.0;
    for job in &mut jobs {
        at += chance.exponential(pause);
        job.submitted = Duration::from_secs_f64(at);
    }
    jobs
}
