//! Metrics of one's own: counters by the event hook, gauges by reports, written as Prometheus reads them.
//!
//! ```sh
//! cargo run --features sim --example metrics                  # against a simulated fleet
//! cargo run --features sim --example metrics -- config.json   # against your deployments
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_openai_blaster::sim::{FaultKind, SimConfig, SimDeployment, SimFault, SimFleet};
use azure_openai_blaster::{Blaster, BlasterConfig, Event};

/// What the hook counts.
#[derive(Default)]
struct Counters {
    /// By endpoint and status; "none" where no reply came.
    attempts: BTreeMap<(String, String), u64>,
    /// By what became of them.
    jobs: BTreeMap<String, u64>,
    /// Of all jobs together, from submission to end.
    time: Duration,
}

impl Counters {
    /// Runs on the workers' threads: it counts and is gone.
    fn note(&mut self, event: &Event) {
        match event {
            Event::AttemptEnded { attempt, .. } => {
                let status = attempt
                    .status
                    .map_or_else(|| "none".to_owned(), |status| status.to_string());
                *self.attempts.entry((attempt.endpoint.to_string(), status)).or_default() += 1;
            }
            Event::JobEnded { error, duration, .. } => {
                let end = error.map_or_else(|| "answered".to_owned(), |kind| format!("{kind:?}"));
                *self.jobs.entry(end).or_default() += 1;
                self.time += *duration;
            }
            _ => {}
        }
    }

    /// Prometheus' text format, with what the reports say at this moment.
    fn render(&self, blaster: &Blaster) -> String {
        let mut text = String::new();
        for ((endpoint, status), count) in &self.attempts {
            let _ = writeln!(
                text,
                "blaster_attempts_total{{endpoint={endpoint:?},status={status:?}}} {count}"
            );
        }
        for (end, count) in &self.jobs {
            let _ = writeln!(text, "blaster_jobs_total{{end={end:?}}} {count}");
        }
        let _ = writeln!(text, "blaster_job_seconds_total {:.3}", self.time.as_secs_f64());
        let _ = writeln!(text, "blaster_jobs_waiting {}", blaster.waiting());
        for report in blaster.states().iter().map(|state| state.report()) {
            let name = report.name;
            let _ = writeln!(text, "blaster_in_flight{{endpoint={name:?}}} {}", report.in_flight);
            if let Some(p99) = report.latency_p99 {
                let _ = writeln!(
                    text,
                    "blaster_latency_p99_seconds{{endpoint={name:?}}} {:.3}",
                    p99.as_secs_f64()
                );
            }
            if let Some(full) = report.limit.and_then(|limit| limit.full) {
                let _ = writeln!(
                    text,
                    "blaster_quota_full_seconds{{endpoint={name:?}}} {:.1}",
                    full.as_secs_f64()
                );
            }
        }
        text
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let fleet = SimFleet::start(SimConfig::new([
        SimDeployment::new("sweden"),
        SimDeployment::new("france").fault(SimFault::random(0.2, FaultKind::Status { status: 500 })),
    ]))?;
    let config = match std::env::args().nth(1) {
        Some(path) => BlasterConfig::from_file(path)?,
        None => BlasterConfig::from_json(&fleet.blaster_config_json())?,
    };

    let counters = Arc::new(Mutex::new(Counters::default()));
    let counting = Arc::clone(&counters);
    let blaster = Blaster::builder()
        .config(config)
        .on_event(move |event| counting.lock().unwrap_or_else(PoisonError::into_inner).note(event))
        .build()?;
    for (_, result) in blaster.run_all((0..40).map(|number| format!("Say something about {number}."))) {
        result?;
    }
    print!(
        "{}",
        counters.lock().unwrap_or_else(PoisonError::into_inner).render(&blaster)
    );
    blaster.close();
    Ok(())
}
