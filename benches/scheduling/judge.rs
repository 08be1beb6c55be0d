//! What is measured in a world.

use std::time::Duration;

use crate::case::{Kind, Run};
use crate::faults;
use crate::quantile::quantile;
use crate::world::bound::lower_bound;
use crate::world::chance::Chance;
use crate::world::conditions::Conditions;
use crate::world::events::World;
use crate::world::fleet::Plan;
use crate::world::job::{self, Job};
use crate::world::oracle::{self, Rule};
use crate::world::record::Record;

/// How long jobs come, in minutes, where they do not stand in a backlog.
const WAITS_MINUTES: f64 = 40.0;
const FAULTS_MINUTES: f64 = 10.0;
/// The part of the quota that they use where something breaks: what is left can do it.
const FAULTS_USE: f64 = 0.5;
/// What jobs of the first minutes wait is left out.
const WARM_UP: Duration = Duration::from_secs(300);
/// Whole windows at the beginning that goodput leaves out.
const WARM_UP_WINDOWS: usize = 2;
/// From then on something is wrong.
const AFTERWARDS: Duration = Duration::from_secs(3600);

/// What a run has come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// One for each measure of its case; none where it came to nothing.
    pub(crate) values: Vec<f64>,
    pub(crate) flaws: Vec<String>,
    /// How much time was simulated.
    pub(crate) simulated: Duration,
}

/// What a run begins with.
pub(crate) struct Start {
    plans: Vec<Plan>,
    pub(crate) jobs: Vec<Job>,
    conditions: Conditions,
    seed: u64,
    /// How long it may take.
    limit: Duration,
}

impl Start {
    fn of(run: &Run) -> Self {
        let conditions = run.case.conditions;
        let plans = run.fleet.plans(&mut Chance::new(run.seed, "fleet"), run.form);
        let mut chance = Chance::new(run.seed, "jobs");
        let quota = plans.iter().map(|plan| plan.tpm).sum();
        let jobs = match run.case.kind {
            Kind::Drain | Kind::Goodput => job::backlog(&mut chance, run.fleet.backlog()),
            Kind::Waits(use_of_quota) => job::stream(&mut chance, quota, use_of_quota, WAITS_MINUTES),
            Kind::Dies | Kind::Hangs | Kind::Heals => job::stream(&mut chance, quota, FAULTS_USE, FAULTS_MINUTES),
        };
        let limit = match run.case.kind {
            Kind::Drain | Kind::Goodput => Duration::from_secs_f64(50.0 * lower_bound(&plans, &jobs)),
            _ => jobs.last().map_or(AFTERWARDS, |last| last.submitted + AFTERWARDS),
        };
        Start {
            plans,
            jobs,
            conditions,
            seed: run.seed,
            limit,
        }
    }

    pub(crate) fn record(&self, conditions: &Conditions) -> Record {
        let (plans, jobs) = (self.plans.clone(), self.jobs.clone());
        World::new(plans, jobs, conditions, self.seed).run(self.limit)
    }
}

/// What happens in a run, request by request.
pub(crate) fn story(run: &Run) -> Record {
    let start = Start::of(run);
    start.record(&start.conditions)
}

pub(crate) fn judge(run: &Run) -> Verdict {
    let start = Start::of(run);
    let mut record = start.record(&start.conditions);
    let mut simulated = record.over;
    let values = match run.case.kind {
        Kind::Drain => {
            let bound = lower_bound(&start.plans, &start.jobs);
            let mut values = vec![record.drained() / bound, record.refusals()];
            if start.conditions.fault.is_some() {
                values.push(record.failed() as f64);
            }
            values
        }
        Kind::Goodput => vec![goodput(&record)],
        Kind::Waits(_) => waits(&start, &record),
        Kind::Dies => faults::dies(&record),
        Kind::Hangs => {
            let peace = Conditions {
                fault: None,
                ..start.conditions
            };
            let unharmed = start.record(&peace);
            simulated += unharmed.over;
            faults::hangs(&record, &unharmed)
        }
        Kind::Heals => faults::heals(&record),
    };
    let mut flaws = std::mem::take(&mut record.flaws);
    let failed = record.failed();
    if failed > 0 && start.conditions.fault.is_none() {
        flaws.push(format!("{failed} jobs have failed"));
    }
    Verdict {
        values,
        flaws,
        simulated,
    }
}

/// Tokens that were admitted, on provisioned deployments used, in whole windows while a tenth of the jobs still waited,
/// as a part of what the quotas allow in them.
fn goodput(record: &Record) -> f64 {
    let mut admissions = record.admissions();
    admissions.sort_unstable();
    let nine_tenths = admissions[admissions.len() * 9 / 10];
    // The first window is seldom a whole one.
    let first = 1 + WARM_UP_WINDOWS;
    let (mut tokens, mut quota) = (0, 0);
    for (service, plan) in record.plans.iter().enumerate() {
        let windows = (first..)
            .take_while(|&window| plan.window_end(window) <= nine_tenths)
            .count();
        quota += plan.tpm * windows as u64;
        let admitted = record.sendings.iter().filter(|sending| sending.service == service);
        for (at, job) in admitted.filter_map(|sending| Some((sending.admitted?, &record.jobs[sending.job]))) {
            if (first..first + windows).contains(&plan.window_at(at)) {
                tokens += if plan.provisioned { job.usage() } else { job.charge() };
            }
        }
    }
    tokens as f64 / quota as f64
}

/// How long jobs wait from their coming to their admission, their way to the service not counted.
fn waits(start: &Start, record: &Record) -> Vec<f64> {
    let way = Duration::from_secs_f64(start.conditions.round_trip / 2.0);
    let counted = |job: &Job| job.submitted > WARM_UP;
    let ours = record.admissions().into_iter().zip(&start.jobs);
    let mut ours: Vec<f64> = ours
        .filter(|(_, job)| counted(job))
        .map(|(at, job)| at.saturating_sub(job.submitted + way).as_secs_f64())
        .collect();
    let oracle = |rule| {
        let waits = oracle::waits_in_order(&start.plans, &start.jobs, &start.conditions, rule);
        let waits = waits.into_iter().zip(&start.jobs).filter(|(_, job)| counted(job));
        quantile(&mut waits.map(|(wait, _)| wait.as_secs_f64()).collect::<Vec<_>>(), 0.99)
    };
    let p99 = quantile(&mut ours, 0.99);
    vec![
        quantile(&mut ours, 0.5),
        p99,
        oracle(Rule::MostLeft),
        p99,
        oracle(Rule::EndsFirst),
        record.refusals(),
    ]
}
