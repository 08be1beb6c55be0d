//! What was asked is for whoever asked: logs, events, ledgers and reports do not hold it, wherever and however the service
//! repeats it. What was answered is in the answer alone.

use std::collections::HashSet;

use azure_openai_blaster::api::{ChatRequest, EmbeddingRequest, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::{Blaster, Event, Ledger};

use super::echo::{PLACES, serve};
use super::shown::{listen, show, show_blaster, show_error, show_ledger, show_upstream, take};

const PROMPTS: [&str; 5] = [
    "Dear doctor, since Tuesday my left knee has been swollen, and at night it hurts.",
    "She said: \"my account number is 12-34-56-78\";\n\tthen she hung up.\r\n\\o/ C:\\temp\\new",
    "先週の火曜日から左の膝が腫れていて、夜になるととても痛みます。どうしたらよいでしょうか。",
    r#"{"patient":{"name":"Jörg Müller","born":"1961-02-29"},"notes":["a torn meniscus","100 % sure & <b>bold</b>"]}"#,
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
];

/// How a prompt may be written.
fn forms(prompt: &str) -> [String; 7] {
    let inner = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let units = prompt.encode_utf16().map(|unit| match unit {
        unit if unit < 0x80 => inner(&String::from_utf16_lossy(&[unit])),
        unit => format!("\\u{unit:04x}"),
    });
    [
        prompt.to_owned(),
        prompt.to_uppercase(),
        inner(prompt),
        inner(&inner(prompt)),
        units.collect(),
        prompt.split_whitespace().collect::<Vec<_>>().join(" "),
        prompt.bytes().map(|byte| format!("%{byte:02X}")).collect(),
    ]
}

/// A text as it reads: in lower case, white space and what escapes it apart.
fn plain(text: &str) -> String {
    let text = text.replace("\\n", " ").replace("\\t", " ").replace("\\r", " ");
    let text: String = text
        .chars()
        .filter(|c| *c != '\\')
        .flat_map(char::to_lowercase)
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asks the deployment of this number with a chat, and in one other way.
fn ask(blaster: &Blaster, number: usize, prompt: &str) {
    let name = number.to_string();
    let place = &PLACES[number % PLACES.len()];
    let show_result = |way: &str, result: Result<Ledger, Error>| {
        let by = format!("{}, {way}", place.name);
        match result {
            Ok(ledger) => show_ledger(&format!("the ledger of {by}"), &ledger),
            Err(error) => {
                let whose = if place.unreadable {
                    "of no answer: "
                } else {
                    "for whoever asked: "
                };
                show_error(&format!("{whose}{by}"), &error);
                show_upstream(&format!("for whoever asked: {by}"), &error);
                if place.unreadable && way != "raw" {
                    let shown = error.upstream().is_some_and(|upstream| upstream.body.len() > 20);
                    assert!(shown, "{by}: the text is in the upstream's body");
                }
            }
        }
        blaster.states()[number].enable();
    };
    let chat = || ChatRequest::from(prompt).model(&name).max_completion_tokens(7);
    show_result("whole", blaster.chat(chat()).map(|answer| answer.ledger().clone()));
    match number % 3 {
        0 => {
            if let Some(Err(error)) = blaster.stream(chat()).unwrap().last() {
                show_result("in pieces", Err(error));
            }
        }
        1 => {
            let body = serde_json::json!({"messages": [{"role": "user", "content": prompt}], "stream": true});
            let raw = RawRequest::post(Operation::ChatCompletions, body.to_string()).model(&name);
            if let Err(error) = blaster.stream_raw(raw) {
                show_result("raw", Err(error));
            }
        }
        _ => {
            let vectors = blaster.embeddings(EmbeddingRequest::from(prompt).model(&name));
            show_result("vectors", vectors.map(|answer| answer.ledger().clone()));
        }
    }
}

fn blaster(replies: Vec<Vec<u8>>) -> Blaster {
    let count = replies.len();
    let url = serve(replies);
    let deployments = (0..count).map(|number| {
        let name = number.to_string();
        DeploymentConfig::new(&name, &url, &name).auth(Auth::key("not-a-real-key"))
    });
    let config = BlasterConfig::new(deployments).num_workers(2).max_job_retry(1);
    let hook = |event: &Event| show("an event", format!("{event:?}"));
    Blaster::builder().config(config).on_event(hook).build().unwrap()
}

/// Where this text shows that is not for whoever asked. Runs under 16 bytes may stay, and what this reads as one run may be
/// two, with a mark between.
fn leaks(text: &str) -> Vec<String> {
    const RUN: usize = 20;
    let text = plain(text);
    let runs: HashSet<_> = text.as_bytes().windows(RUN).collect();
    assert!(!runs.is_empty());
    let mut leaks = Vec::new();
    for (by, shown) in take() {
        if by.starts_with("for whoever asked") || by.starts_with("the upstream of") {
            continue;
        }
        let shown = plain(&shown);
        if let Some(found) = shown.as_bytes().windows(RUN).find(|window| runs.contains(window)) {
            leaks.push(format!("{:?} in {by}: {shown}", String::from_utf8_lossy(found)));
        }
    }
    leaks
}

#[test]
fn what_was_asked_is_in_no_log_event_ledger_or_report_however_it_is_repeated() {
    let _turn = listen(false);
    for prompt in PROMPTS {
        let forms = forms(prompt);
        let reply = |number: usize| (PLACES[number % PLACES.len()].reply)(&forms[number / PLACES.len()]);
        let blaster = blaster((0..forms.len() * PLACES.len()).map(reply).collect());
        for number in 0..blaster.states().len() {
            if PLACES[number % PLACES.len()].large && number >= PLACES.len() {
                continue;
            }
            ask(&blaster, number, prompt);
        }
        show_blaster("the report", &blaster);
        let leaks = leaks(prompt);
        assert!(
            leaks.is_empty(),
            "{} leaks, of which the first:\n{}",
            leaks.len(),
            leaks[..leaks.len().min(12)].join("\n")
        );
    }
}

#[test]
fn the_text_of_a_200_that_cannot_be_read_is_in_the_upstreams_body_alone() {
    const ANSWER: &str = "The swelling will go down; keep the leg up for a week.";
    let _turn = listen(false);
    let unreadable: Vec<_> = PLACES.iter().filter(|place| place.unreadable).collect();
    let blaster = blaster(unreadable.iter().map(|place| (place.reply)(ANSWER)).collect());
    for (number, place) in unreadable.iter().enumerate() {
        let error = blaster
            .chat(ChatRequest::from("x").model(number.to_string()))
            .unwrap_err();
        assert!(error.upstream().unwrap().text().contains(ANSWER), "{}", place.name);
        show_error(place.name, &error);
        assert!(error.to_string().contains(" bytes"), "{error}");
    }
    show_blaster("the report", &blaster);
    let leaks = leaks(ANSWER);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[test]
fn an_error_that_repeats_the_answer_before_it_is_not_recorded() {
    const ANSWER: &str = "The swelling will go down; keep the leg up for a week.";
    let _turn = listen(false);
    let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ANSWER}}]});
    let whole = serde_json::json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}}]});
    let error = serde_json::json!({"message": format!("failed behind '{ANSWER}'"), "code": "server_error"});
    let framed = |content: &serde_json::Value| format!("data: {content}\n\n");
    let event = framed(&chunk) + &framed(&serde_json::json!({ "error": error }));
    let mut beside = whole.clone();
    beside["error"] = error.clone();
    let body = |kind: &str, body: String| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
        (head + &body).into_bytes()
    };
    let replies = vec![
        body("text/event-stream", event),
        body("application/json", beside.to_string()),
    ];
    let blaster = blaster(replies);
    for number in 0..2 {
        let chat = || ChatRequest::from("x").model(number.to_string());
        let whole = blaster.chat(chat()).unwrap_err();
        assert!(whole.to_string().contains("failed behind"), "{whole}");
        show_error("for whoever asked", &whole);
        let in_pieces = blaster.stream(chat()).unwrap().find_map(Result::err).unwrap();
        show_error("for whoever asked", &in_pieces);
    }
    show_blaster("the report", &blaster);
    let leaks = leaks(ANSWER);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[test]
fn an_answer_under_a_status_that_refuses_is_for_whoever_asked_alone() {
    const ANSWER: &str = "The swelling will go down; keep the leg up for a week.";
    let _turn = listen(false);
    let message = serde_json::json!({"role": "assistant", "content": ANSWER});
    let whole = serde_json::json!({"choices": [{"index": 0, "message": message}]}).to_string();
    let response = serde_json::json!({"output": [{"content": [{"type": "output_text", "text": ANSWER}]}]}).to_string();
    let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": ANSWER}}]});
    let bodies = [
        whole[..whole.len() - 2].to_owned(),
        serde_json::json!({ "error": { "message": &whole } }).to_string(),
        serde_json::json!({ "message": message }).to_string(),
        format!("data: {chunk}\n\n"),
        whole,
        response,
    ];
    let statuses = [
        "400 Bad Request",
        "404 Not Found",
        "429 Too Many",
        "500 Error",
        "600 Odd",
    ];
    let replies = statuses.iter().flat_map(|status| {
        bodies
            .iter()
            .map(move |body| format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}").into_bytes())
    });
    let blaster = blaster(replies.collect());
    for number in 0..statuses.len() * bodies.len() {
        let timeout = std::time::Duration::from_millis(300);
        let chat = ChatRequest::from("x").model(number.to_string()).timeout(timeout);
        let error = blaster.chat(chat).unwrap_err();
        show_error("for whoever asked", &error);
    }
    show_blaster("the report", &blaster);
    let leaks = leaks(ANSWER);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
