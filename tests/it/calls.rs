//! The calls and what they return, against a scripted service.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use azure_openai_blaster::api::{ChatMessage, ChatRequest, Condition};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::fault::FaultKind;
use azure_openai_blaster::error::{Error, ErrorKind, SubmitError};
use azure_openai_blaster::testing::{Scripted, ScriptedReply};
use azure_openai_blaster::{Blaster, JobSet, Ledger, Operation, RawRequest};

fn blaster(transport: &Scripted, names: &[&str]) -> Blaster {
    let deployments = names
        .iter()
        .map(|&name| DeploymentConfig::new(name, "http://localhost", "gpt-4o").auth(Auth::None));
    let config = BlasterConfig::new(deployments).num_workers(4);
    Blaster::builder()
        .config(config)
        .transport(transport.clone())
        .seed(1)
        .build()
        .unwrap()
}

#[test]
fn a_text_comes_back_blocking_and_by_a_handle() {
    let blaster = blaster(&Scripted::answering("because"), &["east"]);
    let messages = [
        ChatMessage::system("You are concise."),
        ChatMessage::user("Why does backoff matter?"),
    ];
    assert_eq!(blaster.chat_completion(messages.clone()).unwrap(), "because");
    let handle = blaster.submit_chat_completion(messages).unwrap();
    assert_eq!(handle.wait().unwrap(), "because");
}

#[test]
fn a_throttled_endpoint_is_left_for_another_at_no_cost() {
    let transport = Scripted::answering("yes").script(
        "east",
        (0..9).map(|_| ScriptedReply::status(429).header("retry-after", "60")),
    );
    let blaster = blaster(&transport, &["east", "west"]);
    for _ in 0..8 {
        let completion = blaster.chat("hello").unwrap();
        assert_eq!(completion.ledger().last().unwrap().endpoint.as_ref(), "west");
    }
    let calls = transport.calls();
    assert_eq!(calls.iter().filter(|call| call.endpoint.as_ref() == "east").count(), 1);
}

#[test]
fn a_whole_set_is_answered_in_any_order_under_its_keys() {
    let blaster = blaster(&Scripted::answering("yes"), &["east", "west"]);
    let mut set = JobSet::new();
    for key in 0..500 {
        set.insert(key, blaster.submit("hello").unwrap());
    }
    let mut keys: Vec<_> = set.by_ref().map(|(key, answer)| answer.map(|_| key).unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..500).collect::<Vec<_>>());
    assert!(set.is_empty());
}

#[test]
fn an_iterator_of_requests_is_run_with_back_pressure() {
    let blaster = blaster(&Scripted::answering("yes"), &["east"]);
    let (taken, count) = mpsc::channel();
    let endless = (0..).map(move |number: u32| {
        taken.send(number).unwrap();
        format!("prompt {number}")
    });
    let answers: Vec<_> = blaster
        .run_all(endless.map(|prompt| ChatRequest::from(prompt.as_str())))
        .take(100)
        .collect();
    assert!(answers.iter().all(|(_, answer)| answer.is_ok()));
    assert!(count.try_iter().count() <= 100 + 8);
}

#[test]
fn a_stream_is_read_piece_by_piece_and_ends_in_the_whole() {
    let blaster = blaster(&Scripted::answering("one two three"), &["east"]);
    let mut stream = blaster.stream("count").unwrap();
    let text: String = stream.by_ref().map(|delta| delta.unwrap().text().to_owned()).collect();
    assert_eq!(text, "one two three");
    assert_eq!(stream.into_completion().unwrap().text(), Some("one two three"));
}

#[test]
fn a_callback_sees_each_piece_and_can_have_enough() {
    let blaster = blaster(&Scripted::answering("one two three"), &["east"]);
    let (seen, pieces) = mpsc::channel();
    let handle = blaster
        .submit_streaming("count", move |delta| {
            seen.send(delta.text().to_owned()).unwrap();
            ControlFlow::Break(())
        })
        .unwrap();
    let completion = handle.wait().unwrap();
    let seen: Vec<String> = pieces.iter().collect();
    assert_eq!(seen.len(), 1);
    assert!(completion.text().unwrap().starts_with(&seen[0]));
}

/// All pieces of a scripted answer are there at once: what has been read is not handed out after the end.
#[test]
fn a_callback_that_closes_or_cancels_is_not_called_again() {
    for (cancels, at, kind) in [
        (false, 1, ErrorKind::ShutDown),
        (false, 4, ErrorKind::ShutDown),
        (true, 2, ErrorKind::Cancelled),
    ] {
        let blaster = blaster(&Scripted::answering("one two three four"), &["east"]);
        let (closing, (tell, told)) = (blaster.clone(), mpsc::channel());
        let (give, canceller) = mpsc::channel::<azure_openai_blaster::Canceller>();
        let mut calls = 0;
        let handle = blaster
            .submit_streaming(ChatRequest::from("count"), move |_| {
                calls += 1;
                tell.send(calls).unwrap();
                match (calls == at, cancels) {
                    (true, true) => canceller.recv().unwrap().cancel(),
                    (true, false) => closing.close(),
                    _ => {}
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        // A job that has been closed by then takes its callback, which alone would hear this, with it.
        let _ = give.send(handle.canceller());
        let error = handle.wait().unwrap_err();
        assert_eq!((error.kind(), told.iter().count()), (kind, at), "{error}");
        let report = blaster.states()[0].report();
        assert_eq!((report.condition, report.totals.failed), (Condition::Ready, 0));
    }
}

/// Of three jobs one is refused a connection first, one finds its connection stale, and a transport panics over one.
#[test]
fn an_endpoint_counts_what_its_jobs_ledgers_hold() {
    let transport = Scripted::new(|call| match call.body["messages"][0]["content"].as_str() {
        Some("panic") => panic!("the transport's own"),
        _ => ScriptedReply::text("yes"),
    });
    let transport = transport.script(
        "east",
        [
            ScriptedReply::fault(FaultKind::Refused),
            ScriptedReply::text("after a refusal"),
            ScriptedReply::fault(FaultKind::Stale),
        ],
    );
    let blaster = blaster(&transport, &["east"]);
    let ledgers = ["refused", "stale", "panic"].map(|text| match blaster.chat(ChatRequest::from(text)) {
        Ok(completion) => completion.ledger().clone(),
        Err(error) => {
            assert_eq!((text, error.kind()), ("panic", ErrorKind::Panicked));
            error.ledger().unwrap().clone()
        }
    });
    let totals = blaster.states()[0].report().totals;
    let sent: usize = ledgers.iter().map(Ledger::len).sum();
    let not_sent: usize = ledgers.iter().map(|ledger| ledger.not_sent().len()).sum();
    assert_eq!((sent, not_sent), (3, 1));
    assert_eq!((totals.sent, totals.not_sent), (sent as u64, not_sent as u64));
}

#[test]
fn a_panic_in_a_callback_fails_its_job_alone() {
    let blaster = blaster(&Scripted::answering("yes"), &["east"]);
    let handle = blaster.submit_streaming("hello", |_| panic!("oh no")).unwrap();
    let error = handle.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("oh no"));
    assert_eq!(error.ledger().unwrap().len(), 1);
    for _ in 0..20 {
        assert_eq!(blaster.chat_completion("hello").unwrap(), "yes");
    }
    assert_eq!(blaster.workers(), 4);
    assert_eq!(blaster.states()[0].report().totals.failed, 0);
}

#[test]
fn close_ends_what_hangs_and_gives_requests_back() {
    let blaster = blaster(&Scripted::new(|_| ScriptedReply::hang()), &["east"]);
    let handles: Vec<_> = (0..20).map(|_| blaster.submit("hello").unwrap()).collect();
    blaster.close();
    for handle in handles {
        assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::ShutDown);
    }
    let refused = blaster.submit(ChatRequest::from("again")).unwrap_err();
    assert!(matches!(refused, SubmitError::ShutDown(_)));
    assert_eq!(refused.into_request().messages().len(), 1);
}

#[test]
fn a_job_is_cancelled_in_the_queue_and_under_way() {
    let (arrived, arrivals) = mpsc::channel();
    let transport = Scripted::new(move |_| {
        arrived.send(()).unwrap();
        ScriptedReply::hang()
    });
    let blaster = blaster(&transport, &["east"]);
    let handles: Vec<_> = (0..6).map(|_| blaster.submit("hello").unwrap()).collect();
    (0..4).for_each(|_| arrivals.recv().unwrap());
    handles[5].cancel();
    handles[0].cancel();
    for (index, mut handle) in handles.into_iter().enumerate() {
        if index == 0 || index == 5 {
            let error = handle.wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert_eq!(error.ledger().unwrap().len(), usize::from(index == 0));
        } else {
            assert!(handle.wait_timeout(Duration::from_millis(1)).is_none());
        }
    }
}

#[test]
fn an_unknown_model_is_refused_with_the_known_ones() {
    let blaster = blaster(&Scripted::answering("yes"), &["east"]);
    let error = Error::from(blaster.submit(ChatRequest::from("x").model("gpt-9")).unwrap_err());
    assert_eq!(
        error.to_string(),
        r#"no deployment serves the model "gpt-9"; there are: gpt-4o"#
    );
}

#[test]
fn a_rest_without_end_is_a_rest() {
    let blaster = blaster(&Scripted::answering("yes"), &["east", "west"]);
    let east = &blaster.states()[0];
    east.cool_down(Duration::MAX);
    assert_eq!(east.report().condition, Condition::CoolingDown);
    for _ in 0..4 {
        let completion = blaster.chat("hello").unwrap();
        assert_eq!(completion.ledger().last().unwrap().endpoint.as_ref(), "west");
    }
}

#[test]
fn a_deployment_that_cannot_sign_in_is_sent_nothing_after_enable() {
    let transport = Scripted::answering("yes");
    let json =
        r#"{"deployments":[{"name":"east","endpoint":"https://e.openai.azure.com","api_key":"default","model":"m"}]}"#;
    let blaster = Blaster::builder()
        .config(BlasterConfig::from_json(json).unwrap().num_workers(1))
        .transport(transport.clone())
        .build()
        .unwrap();
    blaster.states()[0].enable();
    let error = blaster.chat("a private prompt").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEndpoint);
    assert_eq!(transport.calls().len(), 0, "a prompt left without a credential");
}

#[test]
fn nothing_is_a_good_answer_to_a_raw_request_and_none_to_a_chat() {
    for status in [200, 202, 204] {
        let service = Scripted::new(move |_| ScriptedReply::status(status));
        let blaster = blaster(&service, &["east"]);
        let request = RawRequest::delete(Operation::other("files/file-1").unwrap());
        let reply = blaster.submit_raw(request).unwrap().wait().unwrap();
        assert_eq!((reply.status, reply.body.len(), service.calls().len()), (status, 0, 1));
        assert_eq!(blaster.chat("hello").unwrap_err().kind(), ErrorKind::ServerErrors);
    }
}

#[test]
fn a_raw_stream_asks_for_no_usage_that_its_caller_did_not_ask_for() {
    let service = Scripted::answering("Hi");
    let blaster = blaster(&service, &["east"]);
    for (options, shown) in [("", false), (r#","stream_options":{"include_usage":true}"#, true)] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"stream":true{options}}}"#);
        let request = RawRequest::post(Operation::ChatCompletions, body);
        let bytes: Vec<u8> = blaster.stream_raw(request).unwrap().flat_map(Result::unwrap).collect();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.contains("\"usage\""), shown, "{text}");
    }
}

#[test]
fn jobs_that_nobody_can_serve_share_the_reasons() {
    let service = Scripted::new(|_| ScriptedReply::status(401));
    let names: Vec<String> = (0..20).map(|number| format!("endpoint-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let blaster = blaster(&service, &names);
    let handles: Vec<_> = (0..2000).map(|_| blaster.submit("x").unwrap()).collect();
    let mut lists = std::collections::HashSet::new();
    let mut errors = Vec::new(); // kept, so that no list takes another's place
    for handle in handles {
        let error = handle.wait().unwrap_err();
        let Error::NoEndpoint { endpoints, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(endpoints.len(), names.len());
        lists.insert(endpoints.as_ptr());
        errors.push(error);
    }
    assert!(lists.len() <= names.len(), "{} lists of the same reasons", lists.len());
}

#[test]
fn a_request_cannot_bring_a_header_that_is_the_librarys() {
    let service = Scripted::answering("yes");
    let blaster = blaster(&service, &["east"]);
    for name in [
        "Authorization",
        "api-key",
        "cookie",
        "accept-encoding",
        "keep-alive",
        "Host",
        "content-type",
    ] {
        let error = blaster.chat(ChatRequest::from("x").header(name, "canary")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{name}");
        assert!(
            error.to_string().contains(name) && !error.to_string().contains("canary"),
            "{error}"
        );
    }
    assert!(service.calls().is_empty());
}

#[test]
fn what_whoever_asked_is_told_is_what_the_service_said_without_the_secrets_that_the_call_carried() {
    const KEY: &str = "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456";
    let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. Find it","code":"bad_key"}}}}"#);
    let service = Scripted::new(move |_| {
        ScriptedReply::status(400)
            .body(body.clone())
            .header("x-echo", &format!("{KEY}, mine-own-token, other"))
    });
    let east = DeploymentConfig::new("east", "https://east.example", "gpt").auth(Auth::key(KEY));
    let blaster = Blaster::builder().transport(service).deployment(east).build().unwrap();
    let error = blaster
        .chat(ChatRequest::from("x").header("x-user-token", "mine-own-token"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "the request was refused: 400 bad_key: Incorrect API key provided: (hidden). Find it"
    );
    let upstream = error.upstream().unwrap();
    assert_eq!(
        upstream.text(),
        r#"{"error":{"message":"Incorrect API key provided: (hidden). Find it","code":"bad_key"}}"#
    );
    assert_eq!(upstream.headers.get("x-echo"), Some("(hidden), (hidden), other"));
    // The body's text is for whoever asks for it.
    let shown = format!("{upstream:?}");
    assert!(
        shown.contains("body: (86 bytes)") && !shown.contains("Incorrect"),
        "{shown}"
    );
}

#[test]
fn an_answer_is_what_the_service_said_whatever_it_says() {
    const KEY: &str = "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456";
    let text = format!("your key is {KEY}, and you asked: what is my key, if I may ask?");
    let service = Scripted::answering(text.clone());
    let east = DeploymentConfig::new("east", "https://east.example", "gpt").auth(Auth::key(KEY));
    let blaster = Blaster::builder().transport(service).deployment(east).build().unwrap();
    let chat = || ChatRequest::from("what is my key, if I may ask?");
    let completion = blaster.chat(chat()).unwrap();
    assert_eq!(completion.text(), Some(&*text));
    assert!(completion.raw().contains(KEY), "{}", completion.raw());
    let pieces: String = blaster
        .stream(chat())
        .unwrap()
        .map(|delta| delta.unwrap().text().to_owned())
        .collect();
    assert_eq!(pieces, text);
    let raw = RawRequest::post(
        Operation::ChatCompletions,
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
    );
    let reply = blaster.submit_raw(raw).unwrap().wait().unwrap();
    assert!(reply.text().unwrap().contains(KEY), "{reply:?}");
}

/// A hundred thousand jobs may wait after a refusal: each keeps the beginning of what the service said. Who ends with a
/// refusal has all of it.
#[test]
fn a_job_that_waits_keeps_the_beginning_of_a_refusal_and_one_that_ends_with_it_the_whole() {
    let page = |status| {
        let reply = ScriptedReply::status(status).body("x".repeat(100_000));
        let reply = reply
            .header("retry-after", "60")
            .header("apim-request-id", &"7".repeat(10_000));
        (0..200).fold(reply, |reply, number| {
            reply.header(&format!("x-filler-{number}"), "some words")
        })
    };
    let transport = Scripted::answering("yes").script("east", [page(400), page(429)]);
    let blaster = blaster(&transport, &["east"]);
    let refused = blaster.chat("hello").unwrap_err();
    let whole = refused.upstream().unwrap();
    assert_eq!(
        (whole.status, whole.body.len(), whole.headers.len()),
        (400, 65_536, 202)
    );
    let id = refused.ledger().unwrap().attempts()[0].request_id.as_deref();
    assert_eq!(id.map(str::len), Some(128));

    let handle = blaster.submit("hello").unwrap();
    while blaster.in_flight() > 0 || blaster.waiting() == 0 {
        std::thread::yield_now();
    }
    handle.cancel();
    let cancelled = handle.wait().unwrap_err();
    let brief = cancelled.upstream().unwrap();
    assert_eq!((brief.status, brief.body.len()), (429, 2_048));
    assert!(brief.headers.len() < 40, "{}", brief.headers.len());
}

#[cfg(not(feature = "entra"))]
#[test]
fn a_sign_in_that_this_build_lacks_is_told_before_anything_is_sent() {
    use azure_openai_blaster::auth::EntraCredential;
    use azure_openai_blaster::error::Error;
    for credential in EntraCredential::ALL {
        let auth = azure_openai_blaster::Auth::entra(credential);
        let deployment =
            azure_openai_blaster::DeploymentConfig::new("east", "https://east.invalid", "gpt-4o").auth(auth);
        let blaster = azure_openai_blaster::Blaster::builder()
            .deployment(deployment)
            .workers(1)
            .build()
            .unwrap();
        let error = blaster.chat_completion("hello").unwrap_err();
        assert!(matches!(error, Error::NoEndpoint { .. }), "{error}");
        let text = error.to_string();
        for words in [
            credential.name(),
            "which this build does not have; build with it, or use a key",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_the_source_of_the_error() {
    let deployment = DeploymentConfig::new("east", "https://east.openai.azure.com", "gpt-4o").auth(Auth::key("canary"));
    let config = BlasterConfig::new([deployment]).ca_file("no-such-file.pem");
    let error = Blaster::builder().config(config).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setup);
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    assert_eq!(
        source.map(std::io::Error::kind),
        Some(std::io::ErrorKind::NotFound),
        "{error}"
    );
    assert!(error.to_string().starts_with("ca_file: reading the file"), "{error}");
}
