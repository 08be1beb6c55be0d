//! The quick start of the Python `azure_openai_blaster`, ported whole.
//!
//! ```sh
//! cargo run --example quickstart                  # against a script: no key, no network
//! cargo run --example quickstart -- config.json   # against your deployments
//! ```

use std::error::Error;
use std::time::Duration;

use azure_openai_blaster::testing::{Scripted, ScriptedCall, ScriptedReply};
use azure_openai_blaster::{Blaster, BlasterConfig, ChatMessage, ChatRequest, JobSet};

/// A file of the Python package works as it is.
const CONFIG: &str = r#"{
  "strategy": "weighted",
  "deployments": [
    {
      "name": "gpt-4o",
      "endpoint": "https://my-aoai-resource.openai.azure.com/",
      "api_key": "YOUR_KEY",
      "model": "gpt-4o",
      "weight": 2,
      "temperature": 0.2,
      "max_completion_tokens": 512
    },
    {
      "name": "gpt-4o-backup",
      "endpoint": "https://my-aoai-resource-2.openai.azure.com/",
      "api_key": "YOUR_OTHER_KEY",
      "model": "gpt-4o-mini",
      "weight": 1
    }
  ]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let builder = match std::env::args().nth(1) {
        Some(path) => Blaster::builder().config_file(path)?,
        None => Blaster::builder()
            .config(BlasterConfig::from_json(CONFIG)?)
            .transport(Scripted::new(answer)),
    };
    let blaster = builder.workers(12).build()?;

    let messages = [
        ChatMessage::system("You are concise."),
        ChatMessage::user("Summarize why backoff matters."),
    ];

    // A blocking call, with a parameter of its own.
    let text = blaster.chat_completion(ChatRequest::new(messages.clone()).temperature(0.1))?;
    println!("At once:   {text}");

    // Submit now, wait later.
    let mut handle = blaster.submit_chat_completion(messages)?;
    match handle.wait_timeout(Duration::from_secs(30)) {
        Some(result) => println!("Later:     {}", result?),
        None => handle.cancel(),
    }

    // Many at once, each result as it completes. Python needs a ThreadPoolExecutor for this; the pool is here already.
    let prompts = [
        "Summarize why backoff matters.",
        "Explain weighted round robin scheduling.",
        "List reasons endpoints get temporarily disabled.",
    ];
    let mut jobs = JobSet::new();
    for prompt in prompts {
        let request = ChatRequest::new([ChatMessage::system("You are concise."), ChatMessage::user(prompt)]);
        jobs.insert(prompt, blaster.submit_chat_completion(request.temperature(0.1))?);
    }
    for (prompt, result) in jobs.by_ref() {
        println!("Completed: {prompt}\n           {}", result?);
    }

    // The same for text that comes as a stream and is put together again.
    let streamed =
        blaster.chat_completion(ChatRequest::from("Explain weighted round robin scheduling.").stream(true))?;
    println!("Streamed:  {streamed}");

    println!();
    for state in blaster.states() {
        println!("{}", state.report());
    }
    blaster.close();
    Ok(())
}

/// Stands in for the service: the longer the question, the sooner the answer, so that they overtake one another.
fn answer(call: &ScriptedCall) -> ScriptedReply {
    let question = call.body["messages"]
        .as_array()
        .and_then(|messages| messages.last()?["content"].as_str())
        .unwrap_or_default();
    let text = match question {
        "Summarize why backoff matters." => "It lets a busy service recover instead of being hammered.",
        "Explain weighted round robin scheduling." => "Each takes turns, as often as its weight says.",
        _ => "Too many failures in a row, a wrong key, or a deployment that is gone.",
    };
    let delay = Duration::from_millis(400_u64.saturating_sub(7 * question.len() as u64));
    ScriptedReply::text(text).after(delay)
}
