//! One backlog, from the first submission to the last answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use azure_openai_blaster::sim::{SimConfig, SimDeployment, Sku};
use azure_openai_blaster::{Blaster, BlasterConfig, ChatCompletion, Event, JobSet};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;

use crate::bound::lower_bound_s;
use crate::case::Case;
use crate::jobs::Job;
use crate::{Options, Result, fleet, jobs, oracle, simulator};

/// More than are ever under way at once: quotas are to be what is waited for.
const WORKERS: f64 = 768.0;

/// A run is given up after so many lower bounds.
const PATIENCE: f64 = 10.0;

/// What became of one backlog.
#[derive(Clone)]
pub(crate) struct Drained {
    pub(crate) jobs: usize,
    pub(crate) bound_s: f64,
    /// What a client takes that sees into the service.
    pub(crate) oracle_s: f64,
    pub(crate) took_s: f64,
    pub(crate) refused: u64,
    /// Jobs that were not answered as they should have been, and what was wrong with the first.
    pub(crate) unanswered: usize,
    pub(crate) problem: Option<String>,
}

impl Drained {
    /// How many lower bounds it took; infinite where not all was answered.
    pub(crate) fn ratio(&self) -> f64 {
        match self.unanswered {
            0 => self.took_s / self.bound_s,
            _ => f64::INFINITY,
        }
    }

    /// The same of the oracle.
    pub(crate) fn oracle_ratio(&self) -> f64 {
        self.oracle_s / self.bound_s
    }

    /// How many times as long it took as the oracle; infinite where not all was answered.
    pub(crate) fn over_oracle(&self) -> f64 {
        self.ratio() / self.oracle_ratio()
    }

    /// 429s for each job.
    pub(crate) fn refusals(&self) -> f64 {
        self.refused as f64 / self.jobs as f64
    }
}

/// What the event hook counts.
#[derive(Default)]
struct Tally {
    refused: AtomicU64,
    /// When the last job ended, in nanoseconds since the blaster was built.
    last_ns: AtomicU64,
}

pub(crate) fn run(case: &Case, seed: u64, options: &Options) -> Result<Drained> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let deployments = fleet::deployments(case, options, &mut rng);
    let count = case.shape.jobs_a_minute() * options.effort.share() * options.effort.windows();
    let jobs = jobs::draw(count as usize, &mut rng);
    let requests: Vec<_> = jobs.iter().map(Job::request).collect();

    let fleet = SimConfig::new(deployments.clone()).seed(seed);
    let (_simulator, mut config) = simulator::start::<Value>(&serde_json::to_string(&fleet)?)?;
    // It has run for some milliseconds more.
    let fleet_began = Instant::now();
    complete(
        &mut config,
        &deployments,
        case,
        (WORKERS * options.effort.share()) as usize,
    );
    let tally = Arc::new(Tally::default());
    let blaster = Blaster::builder()
        .config(BlasterConfig::from_json(&config.to_string())?)
        .seed(seed)
        .on_event(counter(&tally))
        .build()?;

    let began = Instant::now();
    let age = began - fleet_began;
    let bound_s = lower_bound_s(&deployments, &jobs, age);
    let mut set = JobSet::new();
    for (job, request) in jobs.iter().zip(requests) {
        set.insert(job, blaster.submit(request)?);
    }
    blaster.drain(Duration::from_secs_f64(PATIENCE * bound_s));
    let ended = fleet_began + Duration::from_nanos(tally.last_ns.load(Ordering::Relaxed));
    let problems: Vec<String> = set
        .filter_map(|(job, answer)| match answer {
            Ok(answer) => wrong(job, &answer),
            Err(error) => Some(error.to_string()),
        })
        .collect();
    Ok(Drained {
        jobs: jobs.len(),
        bound_s,
        oracle_s: oracle::drains_in_s(&deployments, &jobs, age),
        took_s: (ended - began).as_secs_f64(),
        refused: tally.refused.load(Ordering::Relaxed),
        unanswered: problems.len(),
        problem: problems.into_iter().next(),
    })
}

/// Adds what the simulator does not write: the number of workers, and what the client is told of the limits.
fn complete(config: &mut Value, deployments: &[SimDeployment], case: &Case, workers: usize) {
    config["num_workers"] = workers.into();
    for (position, deployment) in deployments.iter().enumerate() {
        let keys = &mut config["deployments"][position];
        keys["max_in_flight"] = workers.into();
        let limits = &deployment.limits;
        if deployment.sku == Sku::Provisioned {
            keys["sku"] = "provisioned".into();
        }
        keys["quota_window_s"] = limits.window_s.into();
        keys["request_window_s"] = limits.request_window_s.into();
        for (key, limit) in [("tpm_limit", limits.tpm), ("rpm_limit", limits.rpm)] {
            if let Some(limit) = limit.and_then(|limit| case.told.limit(limit)) {
                keys[key] = limit.into();
            }
        }
    }
}

/// Counts refusals, and notes when jobs end, from now on.
fn counter(tally: &Arc<Tally>) -> impl Fn(&Event) + Send + Sync + 'static {
    let (tally, since) = (Arc::clone(tally), Instant::now());
    move |event| match event {
        Event::AttemptEnded { attempt, .. } if attempt.status == Some(429) => {
            tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        Event::JobEnded { .. } => {
            let now = since.elapsed().as_nanos() as u64;
            tally.last_ns.fetch_max(now, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// What is wrong with an answer: the bound counts with what the service is supposed to count.
fn wrong(job: &Job, answer: &ChatCompletion) -> Option<String> {
    let counted = answer
        .usage()
        .map(|usage| (usage.prompt_tokens, usage.completion_tokens));
    let right = Some((job.prompt, job.output));
    (counted != right).then(|| format!("the service counted {counted:?} tokens, and should have counted {right:?}"))
}
