//! What the engine is compared with: ureq alone, set up as well as we know how.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;

use crate::ours::{API_VERSION, KEY, MODEL};

/// One agent and its URL.
#[derive(Clone)]
pub(crate) struct Bare {
    agent: Agent,
    url: String,
}

#[derive(Serialize)]
struct Request<'a> {
    messages: [Message<'a>; 1],
    model: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

/// As little of a reply as is needed for its text.
#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Answer,
}

#[derive(Deserialize)]
struct Answer {
    content: String,
}

impl Bare {
    /// A client of the service at `base`, for so many threads.
    pub(crate) fn new(base: &str, threads: usize) -> Bare {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("bare")
            // As the engine's; the default is eight times as much.
            .input_buffer_size(16 * 1024)
            .output_buffer_size(16 * 1024)
            .max_idle_connections(threads)
            .max_idle_connections_per_host(threads)
            .max_idle_age(Duration::from_secs(60))
            .build()
            .new_agent();
        let url = format!("{base}/openai/deployments/{MODEL}/chat/completions?api-version={API_VERSION}");
        Bare { agent, url }
    }

    /// Sends a prompt and returns the answer's text.
    pub(crate) fn chat(&self, prompt: &str) -> String {
        let body = serde_json::to_vec(&Request {
            messages: [Message {
                role: "user",
                content: prompt,
            }],
            model: MODEL,
        })
        .expect("text can be written as JSON");
        let mut response = self
            .agent
            .post(&self.url)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("api-key", KEY)
            .send(&body[..])
            .expect("the service answers");
        let bytes = response.body_mut().read_to_vec().expect("the reply is whole");
        let reply: Reply = serde_json::from_slice(&bytes).expect("the reply is a chat completion");
        let choice = reply.choices.into_iter().next().expect("the reply has a choice");
        choice.message.content
    }
}
