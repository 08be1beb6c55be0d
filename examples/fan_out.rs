//! Thousands of jobs under way at once, each taken as it finishes; first as handles, then as an iterator.
//!
//! ```sh
//! cargo run --release --example fan_out
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use azure_openai_blaster::testing::{Scripted, ScriptedCall, ScriptedReply};
use azure_openai_blaster::{Blaster, ChatCompletion, ChatRequest, DeploymentConfig, JobSet};

const JOBS: u32 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let blaster = Blaster::builder()
        .deployment(DeploymentConfig::new("east", "https://east.example", "gpt-4o").weight(3))
        .deployment(DeploymentConfig::new("west", "https://west.example", "gpt-4o").weight(1))
        .workers(256)
        .transport(service())
        .build()?;

    // A handle for each job, kept under a key of your own. `submit` waits only when the queue is full, which has
    // room for 100,000 unless `queue_capacity` says otherwise.
    let start = Instant::now();
    let mut jobs = JobSet::new();
    for number in 0..JOBS {
        jobs.insert(number, blaster.submit(question(number))?);
    }
    println!(
        "{JOBS} jobs submitted in {:.0?}; {} in flight, {} waiting",
        start.elapsed(),
        blaster.in_flight(),
        blaster.waiting(),
    );
    let mut overtaken = 0;
    let mut latest = 0;
    let mut tally = Tally::default();
    for (number, result) in jobs.by_ref() {
        overtaken += u32::from(number < latest);
        latest = latest.max(number);
        tally.add(&result?);
    }
    println!(
        "all answered after {:.1?}; {overtaken} of them after a younger one",
        start.elapsed()
    );
    tally.print();

    // The same for any iterator, which may be endless: requests are taken from it only as fast as they are answered,
    // so memory stays flat. Here with an end, and a number that tells which request is answered.
    let start = Instant::now();
    let mut tally = Tally::default();
    for (index, result) in blaster.run_all((0..).map(question)).take(JOBS as usize) {
        let completion = result?;
        if index % 1_000 == 0 {
            println!("question {index}: {}", completion.text().unwrap_or("no text"));
        }
        tally.add(&completion);
    }
    println!("{JOBS} answers of an endless backlog in {:.1?}", start.elapsed());
    tally.print();
    blaster.close();
    Ok(())
}

fn question(number: u32) -> ChatRequest {
    ChatRequest::from(format!("What is {number} squared?"))
}

/// Stands in for the service: 30 to 60 ms for an answer; "west" refuses its first five requests.
fn service() -> Scripted {
    let answer = |call: &ScriptedCall| {
        let question = call.body["messages"][0]["content"].as_str().unwrap_or_default();
        let number: u64 = question
            .split(' ')
            .nth(2)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        ScriptedReply::text((number * number).to_string()).after(Duration::from_millis(30 + number * 7 % 30))
    };
    let refusals = (0..5).map(|_| ScriptedReply::status(429).header("retry-after-ms", "200"));
    Scripted::new(answer).script("west", refusals)
}

/// Who answered, and how often it was tried.
#[derive(Default)]
struct Tally {
    answered: BTreeMap<String, u32>,
    attempts: usize,
}

impl Tally {
    fn add(&mut self, completion: &ChatCompletion) {
        self.attempts += completion.ledger().len();
        if let Some(last) = completion.ledger().last() {
            *self.answered.entry(last.endpoint.to_string()).or_default() += 1;
        }
    }

    fn print(&self) {
        let shares: Vec<_> = self
            .answered
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        println!("answered by {}; {} requests sent\n", shares.join(", "), self.attempts);
    }
}
