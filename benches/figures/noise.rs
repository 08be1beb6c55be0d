//! Refusals that have nothing to do with what was sent: what is left of the throughput.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use azure_openai_blaster::config::{BlasterConfig, Sku};
use azure_openai_blaster::{Blaster, Event};

use crate::harness::{Effort, Goal, figure};
use crate::median::median;
use crate::ours;
use crate::service::{Noise, Service};

const ENDPOINTS: usize = 3;
const WORKERS: usize = 64;
/// Jobs that wait at least.
const AHEAD: usize = 1_000;

/// What the client knows of each deployment.
#[derive(Clone, Copy, PartialEq)]
enum Limits {
    Unknown,
    /// More than the service ever answers.
    Told,
    Provisioned,
}

/// One request in 50 is refused for a second.
const FOR_A_SECOND: Noise = Noise {
    every: 50,
    header: "retry-after: 1",
};

/// One request in five is refused for a millisecond.
const FOR_A_MOMENT: Noise = Noise {
    every: 5,
    header: "retry-after-ms: 1",
};

/// How long each row takes: rounds with refusals and without in turn, so that what else the machine does meets both.
struct Rounds {
    count: usize,
    time: Duration,
}

pub(crate) fn run(effort: Effort) {
    let seconds = |full: u64| Duration::from_secs(if effort.quick { 1 } else { full });
    // One that answers after 200 ms leaves the machine idle.
    for (latency, count, time) in [
        (Duration::from_millis(200), 1, seconds(10)),
        (Duration::ZERO, 3, seconds(3)),
    ] {
        let rounds = Rounds { count, time };
        for limits in [Limits::Unknown, Limits::Told, Limits::Provisioned] {
            row(&rounds, latency, limits, FOR_A_MOMENT, 0.5);
            // A fast service refuses one in 50 within a few milliseconds: it rests nearly all the time.
            if !latency.is_zero() && limits != Limits::Provisioned {
                row(&rounds, latency, limits, FOR_A_SECOND, 0.25);
            }
        }
    }
}

fn row(rounds: &Rounds, latency: Duration, limits: Limits, noise: Noise, least: f64) {
    let (mut ratios, mut with, mut without, mut refused) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for _ in 0..rounds.count {
        let quiet = Answered::within(rounds.time, latency, limits, None);
        let noisy = Answered::within(rounds.time, latency, limits, Some(noise));
        ratios.push(noisy.rate / quiet.rate);
        with.push(noisy.rate);
        without.push(quiet.rate);
        refused += noisy.refused;
    }
    let name = format!(
        "throughput ÷ without, {} ms, 1 in {} \"{}\", {}",
        latency.as_millis(),
        noise.every,
        noise.header,
        limits.name()
    );
    let detail = format!(
        "{:.0} ÷ {:.0} answers/s, {:.0} refused a second",
        median(&mut with),
        median(&mut without),
        refused / rounds.count as f64
    );
    figure(&name, median(&mut ratios), "", Goal::AtLeast(least), &detail);
}

impl Limits {
    fn name(self) -> &'static str {
        match self {
            Limits::Unknown => "limits unknown",
            Limits::Told => "limits told",
            Limits::Provisioned => "provisioned",
        }
    }

    fn tell(self, config: &mut BlasterConfig) {
        for deployment in &mut config.deployments {
            deployment.max_in_flight = Some(WORKERS);
            deployment.max_completion_tokens = Some(100);
            if self != Limits::Unknown {
                deployment.tpm_limit = Some(100_000_000);
            }
            match self {
                Limits::Unknown => {}
                Limits::Told => deployment.rpm_limit = Some(1_000_000),
                Limits::Provisioned => deployment.sku = Sku::Provisioned,
            }
        }
    }
}

/// What was heard while there was a backlog.
struct Answered {
    /// Answers a second.
    rate: f64,
    /// Refusals a second.
    refused: f64,
}

/// What the event hook counts.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Answered {
    fn within(time: Duration, latency: Duration, limits: Limits, noise: Option<Noise>) -> Answered {
        let service = Service::with_noise(latency, ENDPOINTS, noise).expect("the service starts");
        let mut config = ours::config(&service.urls(), WORKERS).queue_capacity(2 * AHEAD);
        limits.tell(&mut config);
        let tally = Arc::new(Tally::default());
        let counted = Arc::clone(&tally);
        let hook = move |event: &Event| {
            let status = match event {
                Event::AttemptEnded { attempt, .. } => attempt.status,
                _ => None,
            };
            match status {
                Some(200) => counted.answered.fetch_add(1, Ordering::Relaxed),
                Some(429) => counted.refused.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        };
        let builder = Blaster::builder().config(config).on_event(hook);
        let blaster = builder.build().expect("the configuration is good");
        let begun = Instant::now();
        while begun.elapsed() < time {
            if blaster.waiting() < AHEAD {
                for _ in 0..AHEAD {
                    // Nobody waits for it: it is counted.
                    drop(blaster.submit_chat_completion(ours::PROMPT).expect("there is room"));
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
        let seconds = begun.elapsed().as_secs_f64();
        let each_second = |count: &AtomicUsize| count.load(Ordering::Relaxed) as f64 / seconds;
        blaster.close();
        Answered {
            rate: each_second(&tally.answered),
            refused: each_second(&tally.refused),
        }
    }
}
