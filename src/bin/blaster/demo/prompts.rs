//! What is asked, and whether an answer belongs to its prompt.

use azure_openai_blaster::api::{ChatCompletion, ChatMessage, ChatRequest, Choice, Content, ContentPart, Role};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The prompts of `examples/prompts.jsonl`, one request a line, inside the binary so that it runs from anywhere.
const EMBEDDED: &str = include_str!("../../../../examples/prompts.jsonl");

/// Prompts that are asked in turn.
#[derive(Clone, Debug)]
pub(super) struct Prompts(Vec<Prompt>);

/// A line of the file: messages, and whatever else of the API the request sets.
#[derive(Clone, Debug, Deserialize)]
struct Prompt {
    messages: Vec<ChatMessage>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A line of the prompts that is no request.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the embedded prompts")]
pub(super) struct BadPrompt {
    line: usize,
    source: serde_json::Error,
}

impl Prompts {
    /// Reads the embedded prompts.
    pub(super) fn embedded() -> Result<Self, BadPrompt> {
        let lines = EMBEDDED.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(position, line)| {
            serde_json::from_str(line).map_err(|source| BadPrompt {
                line: position + 1,
                source,
            })
        };
        lines.map(read).collect::<Result<_, _>>().map(Prompts)
    }

    /// The request of this number, marked with it: the simulator's answers begin with the mark of what they answer.
    pub(super) fn request(&self, number: u32) -> ChatRequest {
        let prompt = &self.0[number as usize % self.0.len()];
        let mut messages = prompt.messages.clone();
        if let Some(question) = messages.iter_mut().rfind(|message| message.role == Role::User) {
            add(question, &format!("\n\n({})", mark(number)));
        }
        let request = ChatRequest::new(messages);
        prompt
            .rest
            .iter()
            .fold(request, |request, (key, value)| request.extra(key, value))
    }
}

/// Whether every choice of an answer carries the mark of this request.
pub(super) fn is_answer(number: u32, completion: &ChatCompletion) -> bool {
    let mark = mark(number);
    let marked = |choice: &Choice| {
        let message = &choice.message;
        let texts = message.text().into_iter().chain(message.refusal.as_deref());
        let calls = message.tool_calls.iter().map(|call| call.arguments());
        texts.chain(calls).any(|text| text.contains(&mark))
    };
    !completion.choices.is_empty() && completion.choices.iter().all(marked)
}

/// Always as long, so that no mark is the beginning of another.
fn mark(number: u32) -> String {
    format!("id:{number:08x}")
}

fn add(message: &mut ChatMessage, text: &str) {
    match &mut message.content {
        Some(Content::Text(content)) => content.push_str(text),
        Some(Content::Parts(parts)) => parts.push(ContentPart::text(text)),
        None => message.content = Some(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use azure_openai_blaster::sim::{SimConfig, SimFleet};
    use azure_openai_blaster::{Blaster, BlasterConfig};

    use super::*;

    fn completion(message: Value) -> ChatCompletion {
        let body = serde_json::json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
        ChatCompletion::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_embedded_prompt_makes_a_request_that_can_be_sent() {
        let prompts = Prompts::embedded().unwrap();
        for number in 0..prompts.0.len() as u32 {
            let request = prompts.request(number);
            request
                .check()
                .unwrap_or_else(|error| panic!("prompt {number}: {error}"));
            let marked = request.messages().iter().any(|message| {
                let content = serde_json::to_string(&message.content).unwrap();
                message.role == Role::User && content.contains(&mark(number))
            });
            assert!(marked, "prompt {number}");
        }
    }

    #[test]
    fn the_simulator_answers_every_prompt_with_its_mark() {
        let fleet = SimFleet::start(SimConfig::default()).unwrap();
        let config = BlasterConfig::from_json(&fleet.blaster_config_json()).unwrap();
        let blaster = Blaster::builder().config(config.num_workers(4)).build().unwrap();
        let prompts = Prompts::embedded().unwrap();
        let requests = (0..prompts.0.len() as u32).map(|number| prompts.request(number));
        for (number, answer) in blaster.run_all(requests) {
            let answer = answer.unwrap_or_else(|error| panic!("prompt {number}: {error}"));
            assert!(is_answer(number as u32, &answer), "prompt {number}: {}", answer.raw());
        }
    }

    #[test]
    fn an_answer_is_known_by_its_mark_in_text_refusal_or_call() {
        let call = serde_json::json!([{"id": "c", "type": "function",
            "function": {"name": "f", "arguments": "{\"q\": \"id:0000002a\"}"}}]);
        for message in [
            serde_json::json!({"role": "assistant", "content": "id:0000002a so it is"}),
            serde_json::json!({"role": "assistant", "content": null, "refusal": "id:0000002a no"}),
            serde_json::json!({"role": "assistant", "content": null, "tool_calls": call}),
        ] {
            let completion = completion(message);
            assert!(is_answer(42, &completion));
            assert!(!is_answer(4, &completion) && !is_answer(0x2a0, &completion));
        }
        assert!(!is_answer(
            42,
            &completion(serde_json::json!({"role": "assistant", "content": ""}))
        ));
    }
}
