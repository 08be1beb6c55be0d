//! How long the one lock is held for a decision: 50 endpoints or 300, with limits and without, 100,000 jobs that wait for four models in three classes,
//! half of them with a timeout, and a service that throttles and fails now and then.

use std::time::{Duration, Instant};

use azure_openai_blaster::Priority;
use azure_openai_blaster::internals::limits::{LimitSpec, Sku};
use azure_openai_blaster::internals::{
    Axis, BalanceSettings, Blame, Decisions, EndpointSpec, HealthSettings, JobSize, Outcome, Output, Strategy, Throttle,
};

use crate::harness::{Effort, MICROSECONDS, quantiles};

const WAITING: usize = 100_000;
const WORKERS: u32 = 1_024;
const MODELS: [&str; 4] = ["a", "b", "c", "d"];
const CLASSES: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Batch];

/// Time between two answers, of the clock that the decisions are told.
const STEP: Duration = Duration::from_micros(100);

/// A fleet to decide for.
struct Fleet {
    endpoints: usize,
    /// Whether the endpoints have quotas, which bind about half of the time.
    limited: bool,
    /// The goal for 99 of 100 decisions, in microseconds.
    goal: f64,
}

const FLEETS: [Fleet; 3] = [
    Fleet {
        endpoints: 50,
        limited: false,
        goal: 2.0,
    },
    Fleet {
        endpoints: 50,
        limited: true,
        goal: 5.0,
    },
    Fleet {
        endpoints: 300,
        limited: true,
        goal: 20.0,
    },
];

pub(crate) fn run(effort: Effort) {
    FLEETS.iter().for_each(|fleet| measure(fleet, effort));
}

fn measure(fleet: &Fleet, effort: Effort) {
    let mut now = Instant::now();
    let mut decisions = Decisions::new(specs(fleet), settings(now), 2 * WAITING, now);
    let sets = MODELS.map(|model| decisions.set(model).expect("somebody serves it"));
    let mut number = 0;
    let mut submit = |decisions: &mut Decisions, now: Instant| {
        number += 1;
        let size = JobSize::new(200 + number as u32 * 7919 % 3000, Output::AtMost(1000));
        let job = Decisions::job_of(CLASSES[number % 3], size, vec![b'x'; 64]);
        let deadline = (number / 12 % 2 == 0).then(|| now + Duration::from_secs(3600));
        timed(|| decisions.submit(sets[number % 4], job, deadline, now))
    };
    while decisions.waiting() < WAITING {
        submit(&mut decisions, now);
    }
    let count = effort.count(200_000);
    let mut more = Vec::new();
    let (mut submits, mut settles) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        now += STEP;
        if decisions.under_way() > 0 {
            let outcome = outcome(number);
            settles.push(timed(|| decisions.settle(&outcome, now)));
        }
        while decisions.has_more() {
            more.push(timed(|| decisions.go_on(now)));
        }
        submits.push(submit(&mut decisions, now));
    }
    assert!(decisions.waiting() > WAITING / 2, "{} wait", decisions.waiting());
    assert!(settles.len() > count / 2, "hardly anything was under way");
    for (what, times) in [
        ("submit", &mut submits),
        ("settle and pick the next", &mut settles),
        ("hand out one more", &mut more),
    ] {
        if times.is_empty() {
            continue;
        }
        let limits = if fleet.limited { "with" } else { "without" };
        let name = format!("lock held to {what}, {} endpoints {limits} limits", fleet.endpoints);
        quantiles(
            &name,
            times,
            None,
            MICROSECONDS,
            &[(0.5, fleet.goal), (0.99, fleet.goal)],
        );
    }
}

/// How long `decide` takes; what it leaves is dropped after that.
fn timed<T>(decide: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let rest = decide();
    let time = started.elapsed();
    drop(rest);
    time
}

/// Mostly answers; one in 50 is throttled, one in 200 fails.
fn outcome(number: usize) -> Outcome {
    if number % 50 == 7 {
        Outcome::Throttled(Throttle {
            wait: Some(Duration::from_millis(50)),
            axis: Axis::Capacity,
            reason: "no capacity".to_owned(),
        })
    } else if number % 200 == 11 {
        Outcome::Failed {
            blame: Blame::ServerError,
            reason: "503 Service Unavailable".to_owned(),
        }
    } else {
        Outcome::SUCCESS
    }
}

fn specs(fleet: &Fleet) -> Vec<EndpointSpec> {
    let spec = |index: usize| EndpointSpec {
        weight: 1 + index as u32 % 5,
        limit: fleet.limited.then(|| LimitSpec {
            sku: if index.is_multiple_of(8) {
                Sku::Provisioned
            } else {
                Sku::Standard
            },
            // All together grant a little less than an answer every 100 µs needs.
            tpm: Some(60 * 25_000_000 / fleet.endpoints as u64),
            rpm: Some(60 * 12_000 / fleet.endpoints as u64),
            quota_window: Duration::from_secs(1),
            request_window: Duration::from_secs(1),
        }),
        ..EndpointSpec::new(
            format!("endpoint-{index}"),
            vec![MODELS[index % 4].into(), MODELS[(index + 1) % 4].into()],
        )
    };
    (0..fleet.endpoints).map(spec).collect()
}

fn settings(start: Instant) -> BalanceSettings {
    BalanceSettings {
        strategy: Strategy::Weighted,
        workers: WORKERS,
        max_attempts: 5,
        health: HealthSettings {
            threshold: 5,
            cooldown_max: Duration::from_secs(3600),
        },
        groups: Vec::new(),
        start,
        seed: 1,
    }
}
