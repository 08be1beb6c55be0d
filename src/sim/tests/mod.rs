//! The world as its clients see it. One module for each point of a faithful simulator.
//!
//! - `surfaces`: URLs, keys, api-versions and the errors that belong to them
//! - `bodies`: whole replies and streams
//! - `faults`: what goes wrong
//! - `quotas`: standard limits, shared quotas, 429 and its headers
//! - `provisioned`: throughput, utilisation, spillover
//! - `models`: reasoning, context, prompt cache, tokens

use std::time::Duration;

use serde_json::Value;

use super::plan::{Ask, Ending, Plan};
use super::{SimConfig, SimDeployment, World};

mod bodies;
mod faults;
mod models;
mod provisioned;
mod quotas;
mod surfaces;

/// A request, and the world to send it to.
struct Client {
    world: World,
    resource: usize,
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    now: Duration,
}

impl Client {
    /// A client of the only deployment of a world, called `d`.
    fn of(deployment: impl FnOnce(SimDeployment) -> SimDeployment) -> Self {
        Self::new(&SimConfig::new([deployment(SimDeployment::new("d"))]))
    }

    fn new(config: &SimConfig) -> Self {
        Client {
            world: World::new(config).unwrap(),
            resource: 0,
            method: "POST",
            path: "/openai/deployments/d/chat/completions".to_owned(),
            query: "api-version=2025-01-01-preview".to_owned(),
            headers: vec![("api-key".to_owned(), "simulated-key".to_owned())],
            now: Duration::ZERO,
        }
    }

    fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = Duration::from_secs_f64(seconds);
        self
    }

    fn send(&mut self, body: &str) -> Plan {
        self.world.ask(&Ask {
            resource: self.resource,
            method: self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: body.as_bytes(),
            now: self.now,
        })
    }

    /// Sends a chat of one user message, and more fields.
    fn chat(&mut self, text: &str, more: &str) -> Plan {
        self.send(&chat(text, more))
    }
}

/// The body of a chat of one user message; `more` begins with a comma.
fn chat(text: &str, more: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":{text:?}}}]{more}}}"#)
}

fn text(plan: &Plan) -> String {
    let bytes: Vec<u8> = plan.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    String::from_utf8(bytes).unwrap()
}

fn json(plan: &Plan) -> Value {
    let text = text(plan);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The frames of a stream that ends as it should: data of each, `[DONE]` left out.
fn frames(plan: &Plan) -> Vec<Value> {
    assert_eq!((plan.status, plan.ending), (200, Ending::Clean));
    let text = text(plan);
    let frames = text
        .split_terminator("\n\n")
        .map(|frame| frame.strip_prefix("data: ").unwrap());
    let frames: Vec<&str> = frames.collect();
    assert_eq!(frames.last(), Some(&"[DONE]"));
    frames[..frames.len() - 1]
        .iter()
        .map(|frame| serde_json::from_str(frame).unwrap())
        .collect()
}

fn header<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    let mut found = plan.headers.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| value.as_ref());
    assert!(found.next().is_none(), "{name} occurs twice");
    value
}

/// The code in an error's body.
fn code(plan: &Plan) -> String {
    match &json(plan)["error"]["code"] {
        Value::String(code) => code.clone(),
        other => other.to_string(),
    }
}
