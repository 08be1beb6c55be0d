//! Answers while they come: as an iterator, by a callback that has enough, and one that breaks off.
//!
//! ```sh
//! cargo run --example streaming
//! ```

use std::error::Error as StdError;
use std::io::{self, Write};
use std::ops::ControlFlow;

use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Blaster, ChatRequest, Error};

const STORY: &str = "A request left the queue, found its deployment busy, waited as long as it was told, \
                     tried the next one, and came home with an answer.";

fn main() -> Result<(), Box<dyn StdError>> {
    let service = Scripted::answering(STORY).script(
        "scripted",
        [
            // Cut before any content: nothing was handed out, so it is tried again and nobody notices.
            ScriptedReply::text(STORY).cut_after(20),
            ScriptedReply::text(STORY),
            ScriptedReply::text(STORY),
            // Cut after some content: what was handed out cannot be taken back.
            ScriptedReply::text(STORY).cut_after(3_000),
        ],
    );
    let blaster = Blaster::builder().transport(service).build()?;
    // Usage is asked for and told in the whole answer.
    let request = ChatRequest::from("Tell me a story about a request.").max_completion_tokens(200);

    // An iterator over the pieces. Dropping it before its end cancels the job.
    print!("Iterator:  ");
    let mut stream = blaster.stream(request.clone())?;
    for delta in stream.by_ref() {
        print!("{}", delta?.text());
        io::stdout().flush()?;
    }
    let completion = stream.into_completion()?;
    println!(
        "\n{:11}{} tokens, {} attempts:",
        "",
        completion.usage().map_or(0, |usage| usage.total_tokens),
        completion.ledger().len()
    );
    println!("{}\n", indented(completion.ledger()));

    // A callback, on a worker's thread. `Break` ends the stream, and the job, when it has enough.
    print!("Callback:  ");
    let mut words = 0;
    let handle = blaster.submit_streaming(request.clone(), move |delta| {
        print!("{}", delta.text());
        words += 1;
        if words < 8 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    handle.wait()?;
    println!("… that will do\n");

    // A stream that breaks is an error, never a short success.
    match blaster.stream(request)?.into_completion() {
        Err(Error::StreamBroken { partial, trail }) => {
            let received = partial.as_ref().and_then(|completion| completion.text());
            println!("Broken:    {} …", received.unwrap_or_default().trim_end());
            println!("{:11}{}", "", trail.reason);
        }
        other => println!("not broken after all: {other:?}"),
    }
    blaster.close();
    Ok(())
}

fn indented(text: impl ToString) -> String {
    let lines: Vec<_> = text
        .to_string()
        .lines()
        .map(|line| format!("{:11}{line}", ""))
        .collect();
    lines.join("\n")
}
