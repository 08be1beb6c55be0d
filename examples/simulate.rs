//! A fleet of simulated deployments on loopback ports, with quotas and a death, and a backlog sent through it.
//!
//! ```sh
//! cargo run --release --features sim --example simulate
//! ```

use std::error::Error;
use std::time::Instant;

use azure_openai_blaster::sim::{
    Death, FaultKind, Latency, Limits, OutputLength, SimConfig, SimDeployment, SimFault, SimFleet, Spread,
};
use azure_openai_blaster::{Blaster, BlasterConfig, ChatRequest, Event, JobSet};

const JOBS: usize = 3_000;

fn main() -> Result<(), Box<dyn Error>> {
    let deployment = |name| {
        SimDeployment::new(name)
            .latency(Latency::fixed(80.0).jitter(Spread::Lognormal, 0.3))
            .output(OutputLength::exactly(20))
    };
    let fleet = SimFleet::start(SimConfig::new([
        // A standard deployment whose quota counts in windows of a second, so that the 429s can be watched.
        deployment("sweden")
            .weight(3)
            .limits(Limits::new().tpm(400_000).window_s(1.0)),
        // One that answers every twentieth request with a 500.
        deployment("france")
            .weight(2)
            .fault(SimFault::random(0.05, FaultKind::Status { status: 500 })),
        deployment("tokyo").weight(1),
    ]))?;

    let blaster = Blaster::builder()
        .config(BlasterConfig::from_json(&fleet.blaster_config_json())?)
        .workers(64)
        .on_event(|event| {
            if let Event::EndpointChanged {
                endpoint, condition, ..
            } = event
                && endpoint.as_ref() == "tokyo"
            {
                println!("  tokyo is {condition}");
            }
        })
        .build()?;

    println!("{JOBS} requests:");
    let start = Instant::now();
    let mut jobs = JobSet::new();
    for number in 0..JOBS {
        let request = ChatRequest::from(format!("Say something about {number}.")).max_completion_tokens(30);
        jobs.insert(number, blaster.submit(request)?);
    }
    let (mut answered, mut attempts) = (0, 0);
    for (_, result) in jobs {
        attempts += result?.ledger().len();
        answered += 1;
        match answered {
            500 => {
                println!("  (tokyo is killed)");
                fleet.kill("tokyo", Death::Refuse)?;
            }
            1_000 => {
                println!("  (tokyo is revived)");
                fleet.revive("tokyo")?;
            }
            _ => {}
        }
    }
    println!(
        "{answered} answered after {:.1?}, in {attempts} attempts",
        start.elapsed()
    );

    println!("\nwhat the blaster says:");
    for state in blaster.states() {
        println!("  {}", state.report());
    }
    println!("\nwhat the fleet says:");
    let mut requests = 0;
    for endpoint in fleet.endpoints() {
        let counters = fleet.counters(&endpoint.name)?;
        requests += counters.requests;
        println!(
            "  {}: {} requests, {} answered, {} refused with 429, {} answered 500, {} broken off; at most {} at once",
            endpoint.name,
            counters.requests,
            counters.succeeded,
            counters.throttled,
            counters.server_errors,
            counters.broken,
            counters.most_in_flight,
        );
    }
    println!("  {requests} requests in all: exactly the attempts of the ledgers");
    blaster.close();
    Ok(())
}
