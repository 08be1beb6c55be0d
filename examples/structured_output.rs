//! Answers that follow a JSON Schema, read into a type.
//!
//! ```sh
//! cargo run --features sim --example structured_output                  # against a simulated deployment
//! cargo run --features sim --example structured_output -- config.json   # against your deployments
//! ```

use std::error::Error;

use azure_openai_blaster::api::ResponseFormat;
use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};
use azure_openai_blaster::{Blaster, BlasterConfig, ChatRequest};
use serde::Deserialize;
use serde_json::json;

/// What is wanted of each review.
#[derive(Debug, Deserialize)]
struct Verdict {
    summary: String,
    stars: u8,
    would_buy_again: bool,
}

const REVIEWS: [&str; 3] = [
    "Arrived late, but the lamp itself is wonderful.",
    "Broke on the second day. Never again.",
    "Does what it says, no more and no less.",
];

fn main() -> Result<(), Box<dyn Error>> {
    let fleet = SimFleet::start(SimConfig::new([SimDeployment::new("simulated")]))?;
    let config = match std::env::args().nth(1) {
        Some(path) => BlasterConfig::from_file(path)?,
        None => BlasterConfig::from_json(&fleet.blaster_config_json())?,
    };
    let blaster = Blaster::builder().config(config).build()?;

    // Strict schemas name every property as required and allow no others.
    let schema = json!({
        "type": "object",
        "properties": {
            "summary": {"type": "string"},
            "stars": {"type": "integer", "description": "1 to 5"},
            "would_buy_again": {"type": "boolean"},
        },
        "required": ["summary", "stars", "would_buy_again"],
        "additionalProperties": false,
    });
    let request = |review: &str| {
        ChatRequest::from(format!("Judge this review: {review}"))
            .response_format(ResponseFormat::json_schema("verdict", &schema))
            .max_completion_tokens(500)
    };

    for (number, result) in blaster.run_all(REVIEWS.map(request)) {
        let completion = result?;
        // An answer that was refused, cut off or is of another form is an error that says so.
        match completion.text_json::<Verdict>() {
            Ok(Verdict {
                summary,
                stars,
                would_buy_again,
            }) => println!("{number}: {stars} stars, buys again: {would_buy_again}; {summary}"),
            Err(error) => println!("{number}: {error}"),
        }
    }
    blaster.close();
    Ok(())
}
