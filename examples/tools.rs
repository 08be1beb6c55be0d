//! A conversation in which the model calls a function of ours.
//!
//! ```sh
//! cargo run --features sim --example tools                  # against a simulated deployment
//! cargo run --features sim --example tools -- config.json   # against your deployments
//! ```

use std::error::Error;

use azure_openai_blaster::api::{Tool, ToolChoice};
use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};
use azure_openai_blaster::{Blaster, BlasterConfig, ChatMessage, ChatRequest};
use serde::Deserialize;
use serde_json::json;

/// Most rounds of calls: a model that never comes to an end costs no more than these.
const MOST_ROUNDS: usize = 3;

/// The arguments of our function, as its schema has them.
#[derive(Debug, Deserialize)]
struct Place {
    place: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let fleet = SimFleet::start(SimConfig::new([SimDeployment::new("simulated")]))?;
    let config = match std::env::args().nth(1) {
        Some(path) => BlasterConfig::from_file(path)?,
        None => BlasterConfig::from_json(&fleet.blaster_config_json())?,
    };
    let blaster = Blaster::builder().config(config).build()?;

    let weather = Tool::function(
        "get_weather",
        "The weather at a place, now.",
        json!({"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}),
    );
    let mut messages = vec![ChatMessage::user("Do I need an umbrella in Bergen?")];
    for round in 0..=MOST_ROUNDS {
        // First it is to look, then it may, and at last it is to answer.
        let choice = match round {
            0 => ToolChoice::Required,
            MOST_ROUNDS => ToolChoice::None,
            _ => ToolChoice::Auto,
        };
        // All rounds go to the deployment that has the conversation in its prompt cache.
        let request = ChatRequest::new(messages.clone())
            .tools([weather.clone()])
            .tool_choice(choice)
            .session("umbrella");
        let completion = blaster.chat(request)?;
        if completion.tool_calls().is_empty() {
            println!("answer: {}", completion.text().unwrap_or_default());
            break;
        }
        // What the model said goes back to it whole, and behind it a message for each of its calls.
        messages.push(completion.message());
        for call in completion.tool_calls() {
            let result = match call.arguments_json::<Place>() {
                Ok(Place { place }) => get_weather(&place),
                // The model wrote them, and can write better ones.
                Err(error) => format!("error: {error}"),
            };
            println!("{}({}) = {result}", call.name(), call.arguments());
            messages.push(ChatMessage::tool(&call.id, result));
        }
    }
    blaster.close();
    Ok(())
}

fn get_weather(place: &str) -> String {
    json!({"place": place, "sky": "rain", "celsius": 9}).to_string()
}
