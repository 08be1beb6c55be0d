//! A blaster without a configuration file: deployments by calls, looked at and steered while it runs.
//!
//! ```sh
//! cargo run --example own_endpoints
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use azure_openai_blaster::config::Kind;
use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Auth, Blaster, BlasterConfig, ChatRequest, DeploymentConfig, Event, Result};

fn main() -> Result<(), Box<dyn Error>> {
    // A key comes from wherever you keep yours; it never shows in logs, errors or reports.
    let key = || Auth::api_key(std::env::var("AZURE_OPENAI_API_KEY").unwrap_or_else(|_| "not-a-real-key".to_owned()));
    let config = BlasterConfig::new([
        DeploymentConfig::new("sweden", "https://sweden.example.openai.azure.com", "gpt-4o")
            .auth(key())
            .weight(3)
            .temperature(0.2),
        DeploymentConfig::new("france", "https://france.example.openai.azure.com", "gpt-4o-2024-11-20")
            .auth(key())
            .api_version("v1")
            .serves(["gpt-4o"])
            .max_in_flight(8),
        DeploymentConfig::new("local", "http://localhost:8000/v1", "gpt-4o-mini").kind(Kind::OpenAi),
    ])
    .num_workers(16)
    .job_timeout(Duration::from_secs(60));

    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    let blaster = Blaster::builder()
        .config(config)
        // Stands in for the services: "sweden" has lost its key.
        .transport(
            Scripted::answering("Because others wait too.")
                .script("sweden", [ScriptedReply::status(401), ScriptedReply::status(401)]),
        )
        .on_event(move |event| match event {
            Event::AttemptEnded { .. } => {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Event::EndpointChanged {
                endpoint,
                condition,
                reason,
                ..
            } => {
                println!(
                    "  event: {endpoint} is {condition}{}",
                    reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
                );
            }
            _ => {}
        })
        .build()?;
    println!("models: {}", blaster.models().join(", "));

    println!("\nten requests for gpt-4o, which sweden and france serve:");
    for _ in 0..10 {
        blaster.chat_completion(ChatRequest::from("Why does backoff matter?").model("gpt-4o"))?;
    }
    println!(
        "  {} attempts: the 401 cost the deployment its place and the job nothing",
        attempts.load(Ordering::Relaxed)
    );

    println!("\nfrance is taken out by hand, so that nobody serves gpt-4o:");
    let states = blaster.states();
    let state = |name: &str| states.iter().find(|state| state.name() == name);
    if let Some(france) = state("france") {
        france.disable("maintenance");
    }
    tell(blaster.chat_completion(ChatRequest::from("Hello?").model("gpt-4o")));

    println!("\nsweden is enabled again, and the next request finds out whether it is well:");
    if let Some(sweden) = state("sweden") {
        sweden.enable();
    }
    tell(blaster.chat_completion(ChatRequest::from("Hello?").model("gpt-4o")));

    println!("\na model that nobody serves:");
    tell(blaster.chat_completion(ChatRequest::from("Hello?").model("gpt-9")));

    println!("\nreports:");
    for state in &states {
        println!("  {}", state.report());
    }
    println!("\n{}", blaster.drain(Duration::from_secs(5)));
    Ok(())
}

fn tell(result: Result<String>) {
    match result {
        Ok(text) => println!("  {text}"),
        Err(error) if error.is_retryable() => println!("  error: {error}\n  (may succeed later)"),
        Err(error) => println!("  error: {error}\n  (will fail again)"),
    }
}
