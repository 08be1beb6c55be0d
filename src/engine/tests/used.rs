//! What a reply has used, and how large a request is, on their way to the balancer.

use crate::api::Operation;
use crate::balance::outcome::{Outcome, Used};
use crate::engine::attempt::{Buffers, run};
use crate::engine::blaster::Blaster;
use crate::engine::job::ReplyKind;
use crate::engine::scenario::{Bench, CHAT};
use crate::testing::{Scripted, ScriptedReply};

/// What an attempt comes to that is answered with this.
fn outcome(kind: ReplyKind, operation: &Operation, content_type: &str, body: &str) -> Outcome {
    let reply = ScriptedReply::status(200)
        .header("content-type", content_type)
        .body(body);
    let service = Scripted::answering("").script("scripted", [reply]);
    let blaster = Blaster::builder().transport(service).workers(1).build().unwrap();
    let mut bench = Bench::new(1, 1);
    bench.submit_as("m", operation, crate::api::Priority::Normal, None);
    let mut sent = bench.next();
    sent.job.request.reply = kind;
    let attempted = run(
        blaster.shared(),
        &mut sent.job,
        &mut sent.lease,
        None,
        &mut Buffers::default(),
    );
    bench.settle(sent, &attempted.outcome);
    attempted.outcome
}

#[test]
fn a_success_tells_what_it_used_however_it_is_read() {
    const JSON: &str = "application/json";
    const STREAM: &str = "text/event-stream";
    let whole = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3}}"#;
    let stream = concat!(
        r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":null}"#,
        "\n\n",
        r#"data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}"#,
        "\n\ndata: [DONE]\n\n"
    );
    let vectors = r#"{"data":[{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":12,"total_tokens":12}}"#;
    let response = r#"{"output":[],"usage":{"input_tokens":12,"output_tokens":3},"user":null}"#;
    for (kind, operation, content_type, body, output) in [
        (ReplyKind::Chat, CHAT, JSON, whole, Some(3)),
        (ReplyKind::Chat, CHAT, STREAM, stream, Some(3)),
        (ReplyKind::Raw, CHAT, JSON, whole, Some(3)),
        (ReplyKind::Raw, CHAT, STREAM, stream, Some(3)),
        (ReplyKind::Raw, Operation::Responses, JSON, response, Some(3)),
        (ReplyKind::Embeddings, Operation::Embeddings, JSON, vectors, None),
        (ReplyKind::Raw, Operation::Embeddings, JSON, vectors, None),
    ] {
        let used = Used {
            prompt: Some(12),
            output,
        };
        assert_eq!(
            outcome(kind, &operation, content_type, body),
            Outcome::Success(used),
            "{body}"
        );
    }
    assert_eq!(outcome(ReplyKind::Raw, &CHAT, JSON, "{}"), Outcome::SUCCESS);
}

#[cfg(feature = "tiktoken")]
#[test]
fn prompts_are_counted_exactly_only_where_that_is_asked_for() {
    let text = "Hauptbahnhofsvorplatz ".repeat(50);
    let members = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let (body, _) = crate::api::RequestBody::from_json(&CHAT, members.as_bytes()).unwrap();
    let measured = |exact| {
        let builder = Blaster::builder().transport(Scripted::answering(""));
        let blaster = builder.workers(1).exact_token_counts(exact).build().unwrap();
        blaster.shared().measure(&CHAT, Some("gpt-4o"), &body).size
    };
    let exact = crate::balance::JobSize::counted(&CHAT, body.bytes(), crate::balance::Vocabulary::O200k);
    assert_eq!(measured(true), exact);
    assert_eq!(measured(false), crate::balance::JobSize::of(&CHAT, body.bytes()));
    assert_ne!(measured(false), exact);
}
