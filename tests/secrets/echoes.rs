//! Whatever kind of secret a call carries, wherever and however the service repeats it: it shows nowhere.

use std::time::Duration;

use azure_openai_blaster::api::{ChatRequest, EmbeddingRequest, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig, Kind};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::{Blaster, Event};

use super::echo::{PLACES, serve};
use super::shown::{listen, show, show_blaster, show_error, show_ledger, show_upstream, take};

/// Kinds of secrets that services and people make. None of them looks like another.
const KINDS: [(&str, &str); 9] = [
    (
        "letters and digits",
        "7cAnArY0KEY1a2b3c4d5e6f7g8h9i0jAAAAAAAACOGw3LtPqZ1x2v3b4n5m6J7Q8R9S0T1U2V3W4X5Y6Z7A8",
    ),
    ("hexadecimal digits", "0c4b2d6e1f3a4b5c9d8e7f6a5b4c3d2e"),
    ("a UUID", "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456"),
    ("hyphens", "gw-correct-horse-9-battery-staple"),
    ("letters", "correcthorsebatterystaple"),
    ("base64", "c2Vj+mV0/7cAnArYc2VjcmV0c2Vj+mV0c/=="),
    ("what JSON escapes", r#"pa"ss\word\u0041{"a":[]}'tail"#),
    ("what URLs and HTML escape", "100%-su%41re&amp;<&#65;>%zz%2"),
    ("short", "h0rse!"),
];

/// Three secrets of a kind that have no beginning in common.
fn secrets(of_kind: &str) -> [String; 3] {
    [0, 3, 5].map(|by| {
        let mut bytes = of_kind.as_bytes().to_vec();
        bytes.rotate_left(by);
        String::from_utf8(bytes).unwrap()
    })
}

/// How a secret may be written.
fn forms(secret: &str) -> [String; 9] {
    let inner = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let percent = |text: &str| -> String {
        let encode = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02x}"),
        };
        text.bytes().map(encode).collect()
    };
    let html = [
        ("&", "&amp;"),
        ("\"", "&quot;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("+", "&#x2B;"),
    ];
    [
        secret.to_owned(),
        secret.to_ascii_uppercase(),
        secret.to_ascii_lowercase(),
        inner(secret),
        inner(&inner(secret)),
        percent(secret),
        percent(&percent(secret)),
        secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        html.iter().fold(secret.to_owned(), |text, (plain, reference)| {
            text.replace(plain, reference)
        }),
    ]
}

/// Asks the deployment of this number in every way in which it may be asked.
fn ask(blaster: &Blaster, number: usize, own: &str) {
    let name = number.to_string();
    let by = PLACES[number % PLACES.len()].name;
    let show_result = |way: &str, result: Result<azure_openai_blaster::Ledger, Error>| {
        let by = format!("{by}, {way}");
        match result {
            Ok(ledger) => show_ledger(&by, &ledger),
            Err(error) => {
                show_error(&by, &error);
                show_upstream(&by, &error);
            }
        }
        // Whatever it answered, it is asked again.
        blaster.states()[number].enable();
    };
    let chat = || ChatRequest::from("hello").model(&name).header("x-user-token", own);
    show_result("whole", blaster.chat(chat()).map(|answer| answer.ledger().clone()));
    let raw = || {
        let body = r#"{"messages":[{"role":"user","content":"hello"}],"stream":true}"#;
        RawRequest::post(Operation::ChatCompletions, body)
            .model(&name)
            .header("x-user-token", own)
    };
    match number % 4 {
        0 => {
            let stream = blaster.stream(chat()).unwrap();
            let mut last = None;
            for delta in stream {
                last = delta.err();
            }
            if let Some(error) = last {
                show_result("in pieces", Err(error));
            }
        }
        1 => match blaster.stream_raw(raw()) {
            Ok(stream) => show("raw, in pieces", format!("{stream:?} {:?}", stream.headers())),
            Err(error) => show_result("raw, in pieces", Err(error)),
        },
        2 => {
            let request = EmbeddingRequest::from("x").model(&name).header("x-user-token", own);
            let vectors = blaster.embeddings(request);
            show_result("vectors", vectors.map(|answer| answer.ledger().clone()));
        }
        _ => {
            // The answer is whatever came with a 200; its headers are not.
            let reply = blaster.submit_raw(raw()).unwrap().wait();
            if let Ok(reply) = &reply {
                let headers: Vec<_> = reply.headers.iter().collect();
                show(&format!("{by}, headers"), format!("{headers:?} {:?}", reply.headers));
            }
            show_result("raw", reply.map(|reply| reply.ledger().clone()));
        }
    }
}

/// One blaster with a deployment for each place and form.
fn blaster(kind: Kind, [key, header, own]: &[String; 3]) -> Blaster {
    let forms: Vec<_> = [key, header, own].map(|secret| forms(secret)).into_iter().collect();
    let count = forms[0].len() * PLACES.len();
    let echo = |number: usize| {
        let form = number / PLACES.len();
        let said = format!("{} ({}) '{}'", forms[0][form], forms[1][form], forms[2][form]);
        (PLACES[number % PLACES.len()].reply)(&said)
    };
    let url = serve((0..count).map(echo).collect());
    let base = match kind {
        Kind::OpenAi => None,
        _ => Some(url.clone()),
    };
    let deployments = (0..count).map(|number| {
        let name = number.to_string();
        let base = base.clone().unwrap_or_else(|| format!("{url}/deployments/{name}"));
        DeploymentConfig::new(&name, base, &name)
            .kind(kind)
            .auth(Auth::key(key.as_str()))
            .header("x-team", header.as_str())
    });
    let mut config = BlasterConfig::new(deployments).num_workers(2).max_job_retry(1);
    config.first_byte_timeout = Duration::from_secs(5);
    let blaster = Blaster::builder()
        .config(config)
        .on_event(|event: &Event| show("an event", format!("{event:?}")));
    blaster.build().unwrap()
}

#[test]
fn no_secret_that_a_call_carried_shows_whatever_its_kind_and_however_it_is_repeated() {
    let _turn = listen(false);
    let mut leaks = Vec::new();
    for (index, (kind, secret)) in KINDS.into_iter().enumerate() {
        let secrets = secrets(secret);
        let client = if index % 2 == 0 { Kind::Azure } else { Kind::OpenAi };
        let blaster = blaster(client, &secrets);
        for number in 0..blaster.states().len() {
            if PLACES[number % PLACES.len()].large && number >= PLACES.len() {
                continue;
            }
            ask(&blaster, number, &secrets[2]);
        }
        show_blaster("the report", &blaster);
        blaster.close();
        let shown = take();
        let heard = |of: &str| shown.iter().filter(|(by, _)| by.starts_with(of)).count();
        assert!(
            heard("an event") > 100 && heard("log of azure_openai_blaster") > 100,
            "{kind}: nothing was heard"
        );
        let hidden = shown.iter().filter(|(_, text)| text.contains("(hidden)")).count();
        assert!(hidden > 400, "{kind}: {hidden}");
        let mut signs: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        // Nor does the half of one.
        let halves = secrets.iter().filter(|secret| secret.len() >= 32).flat_map(|secret| {
            let (start, end) = secret.split_at(secret.len() / 2);
            [start.to_owned(), end.to_owned()]
        });
        signs.extend(halves);
        for sign in &mut signs {
            sign.make_ascii_lowercase();
        }
        for (by, text) in &shown {
            let text = text.to_ascii_lowercase();
            if let Some(sign) = signs.iter().find(|sign| text.contains(*sign)) {
                leaks.push(format!("{kind}: {sign} in {by}: {text}"));
            }
        }
    }
    assert!(
        leaks.is_empty(),
        "{} leaks, of which the first:\n{}",
        leaks.len(),
        leaks[..leaks.len().min(12)].join("\n")
    );
}
