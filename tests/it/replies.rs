//! When an answer has begun, and when it is whole: a service may be silent for minutes after its first frames, and may keep
//! a body open behind its last one.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use azure_openai_blaster::api::{ChatCompletion, ChatRequest, Delta, Operation, RawRequest};
use azure_openai_blaster::config::{BlasterConfig, DeploymentConfig, Kind};
use azure_openai_blaster::{Blaster, JobHandle, NextPiece};

use crate::conversing::{Conversation, Conversing};
use crate::support::{PATIENCE, wait};

const SSE: &str = "200 OK\r\ncontent-type: text/event-stream";
const JSON: &str = "200 OK\r\ncontent-type: application/json";

/// The first frames of a chat: what the filter says of the prompt, and who speaks.
const FILTER: &str =
    "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[]}\n\n";
const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"\",\"role\":\"assistant\"},\"finish_reason\":null,\"index\":0}]}\n\n";
const HEY: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hey\"},\"finish_reason\":null,\"index\":0}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":0}]}\n\n";
const MORE: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\" and more\"},\"finish_reason\":null,\"index\":0}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const TEXT: &str = "data: {\"choices\":[{\"text\":\"Hey\",\"finish_reason\":\"stop\",\"index\":0}]}\n\n";
const WHOLE: &str =
    r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hey"}}]}"#;
const ERROR: &str = "data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n";

const CREATED: &str =
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
const THINKING: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"summary\":[]}}\n\n";
const PIECE: &str =
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hey\"}\n\n";
const COMPLETED: &str =
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\"}}\n\n";

/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(36_000);

/// A client of these servers, which are asked in this order. The one limit that a test is about is set by it, the others
/// never run out.
fn client(servers: &[&Conversing], limit: impl FnOnce(&mut BlasterConfig)) -> Blaster {
    let deployments = servers.iter().enumerate().map(|(position, server)| {
        DeploymentConfig::new(position.to_string(), &*server.url, "m")
            .kind(Kind::OpenAi)
            .priority(position as u32 + 1)
            .serves(["m"])
    });
    let mut config = BlasterConfig::new(deployments.collect::<Vec<_>>()).num_workers(4);
    config.first_byte_timeout = NEVER;
    config.idle_timeout = NEVER;
    config.attempt_timeout = NEVER;
    limit(&mut config);
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// Each way to ask for a reply that may come as a stream, with the frames that come before content, the frames of the
/// answer, and those that end it.
const WAYS: [(&str, &[&str], &[&str], &str); 8] = [
    ("chat", &[FILTER, ROLE], &[HEY, STOP], DONE),
    ("iterator", &[FILTER, ROLE], &[HEY, STOP], DONE),
    ("callback", &[FILTER, ROLE], &[HEY, STOP], DONE),
    ("raw chat", &[FILTER, ROLE], &[HEY, STOP], DONE),
    ("raw completion", &[FILTER], &[TEXT], DONE),
    ("raw response", &[CREATED, THINKING], &[PIECE], COMPLETED),
    ("whole raw chat", &[FILTER, ROLE], &[HEY, STOP], DONE),
    ("whole raw response", &[CREATED, THINKING], &[PIECE], COMPLETED),
];

/// What came of a request, asked for in the way of this name: the text of a chat, the bytes of a raw reply.
fn answer(blaster: &Blaster, way: &str) -> Result<String, String> {
    let chat = || ChatRequest::from("x").stream(true);
    let said = |completion: ChatCompletion| completion.text().unwrap_or_default().to_owned();
    let raw = |operation| RawRequest::post(operation, r#"{"stream":true,"messages":[],"input":"x","prompt":"x"}"#);
    let operation = match way {
        "raw completion" => Operation::Completions,
        "raw response" | "whole raw response" => Operation::Responses,
        _ => Operation::ChatCompletions,
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let answer = match way {
        "chat" => wait(blaster.submit(chat()).unwrap()).map(said),
        "callback" => {
            let pieces = Arc::new(Mutex::new(String::new()));
            let seen = Arc::clone(&pieces);
            let each = move |delta: &Delta| {
                seen.lock().unwrap().push_str(delta.text());
                ControlFlow::Continue(())
            };
            let completion = wait(blaster.submit_streaming(chat(), each).unwrap()).map(said);
            let pieces = pieces.lock().unwrap().clone();
            completion.inspect(|text| assert_eq!(*text, pieces))
        }
        "iterator" => {
            let mut stream = blaster.stream(chat()).unwrap();
            let mut pieces = String::new();
            loop {
                match stream.next_timeout(PATIENCE) {
                    NextPiece::Piece(Ok(delta)) => pieces.push_str(delta.text()),
                    NextPiece::Piece(Err(error)) => break Err(error),
                    NextPiece::TimedOut => panic!("the stream goes on or ends"),
                    NextPiece::End => {
                        let text = stream.into_completion().map(said);
                        break text.inspect(|text| assert_eq!(*text, pieces));
                    }
                }
            }
        }
        "whole raw chat" | "whole raw response" => {
            let handle: JobHandle<_> = blaster.submit_raw(raw(operation)).unwrap();
            wait(handle).map(|reply| text(reply.body))
        }
        _ => blaster
            .stream_raw(raw(operation))
            .and_then(|stream| stream.collect::<Result<Vec<_>, _>>())
            .map(|pieces| text(pieces.concat())),
    };
    answer.map_err(|error| error.to_string())
}

/// The answer that [`answer`] gives where all goes well.
fn expected(way: &str, early: &[&str], answer: &[&str], end: &str) -> String {
    match way {
        "chat" | "iterator" | "callback" => "Hey".to_owned(),
        _ => [early, answer, &[end]].concat().concat(),
    }
}

/// Runs `check` for each way, each on a thread of its own: they wait, and do not work.
fn for_each_way(check: impl Fn(&str, &'static [&'static str], &'static [&'static str], &'static str) + Sync) {
    thread::scope(|scope| {
        for (way, early, answer, end) in WAYS {
            let check = &check;
            scope.spawn(move || check(way, early, answer, end));
        }
    });
}

/// Says nothing for longer than the idle limits of these tests.
fn silence() {
    thread::park_timeout(4 * IDLE);
}

const IDLE: Duration = Duration::from_millis(250);

#[test]
fn the_idle_limit_begins_with_the_content_and_not_with_the_frames_before_it() {
    for_each_way(|way, early, answer_frames, end| {
        let server = Conversing::start(move |mut talk: Conversation<'_>| {
            talk.chunked(SSE, early);
            silence();
            let rest = [answer_frames, &[end]].concat().concat();
            talk.chunk(&rest) && talk.chunk("")
        });
        let blaster = client(&[&server], |config| config.idle_timeout = IDLE);
        let found = answer(&blaster, way);
        assert_eq!(found, Ok(expected(way, early, answer_frames, end)), "{way}");
        assert_eq!(server.connections(), 1, "{way}");
    });
}

#[test]
fn a_body_may_come_as_late_as_a_first_byte_after_its_head() {
    let server = Conversing::start(|mut talk| {
        talk.chunked(JSON, &[" \r\n", "\n"]);
        silence();
        talk.chunk(WHOLE) && talk.chunk("")
    });
    let blaster = client(&[&server], |config| config.idle_timeout = IDLE);
    let completion = wait(blaster.submit("x").unwrap()).unwrap();
    assert_eq!((completion.text(), completion.ledger().len()), (Some("Hey"), 1));
}

#[test]
fn frames_without_content_do_not_stretch_the_limit_of_the_first_byte() {
    for_each_way(|way, early, answer_frames, end| {
        let silent = Conversing::start(move |mut talk| {
            talk.chunked(SSE, early);
            while talk.chunk(": waiting\n\n") {
                thread::park_timeout(IDLE / 10);
            }
            false
        });
        let good = Conversing::start(move |mut talk| {
            talk.chunked(SSE, &[early, answer_frames, &[end]].concat());
            talk.chunk("")
        });
        // Long enough for the good one to answer on a busy machine.
        let limit = Duration::from_secs(2);
        let blaster = client(&[&silent, &good], |config| config.first_byte_timeout = limit);
        let found = answer(&blaster, way);
        assert_eq!(found, Ok(expected(way, early, answer_frames, end)), "{way}");
        assert_eq!((silent.connections(), good.connections()), (1, 1), "{way}");
    });
}

#[test]
fn an_answer_that_is_whole_ends_its_job_though_the_body_stays_open_and_what_follows_is_no_part_of_it() {
    for_each_way(|way, early, answer_frames, end| {
        let server = Conversing::start(move |mut talk| {
            talk.chunked(SSE, &[early, answer_frames].concat());
            if end == DONE {
                talk.chunk(&[DONE, MORE, "data: no JSON\n\n"].concat());
            } else {
                talk.chunk(end);
            }
            talk.until_left();
            false
        });
        let blaster = client(&[&server], |_| {});
        // Each time on another connection: one whose body stays open is of no use any more.
        for connections in [1, 2] {
            let found = answer(&blaster, way);
            assert_eq!(found, Ok(expected(way, early, answer_frames, end)), "{way}");
            assert_eq!(server.connections(), connections, "{way}");
        }
    });
}

#[test]
fn a_stream_whose_choices_are_finished_ends_soon_though_nothing_says_that_it_is_done() {
    const USAGE: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n";
    const SECOND: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"Ho\"},\"finish_reason\":null,\"index\":1}]}\n\n";
    const SECOND_STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":1}]}\n\n";
    thread::scope(|scope| {
        for way in ["chat", "iterator", "callback"] {
            scope.spawn(move || {
                // What comes late is part of it: what it cost, and a choice that nobody asked for.
                let server = Conversing::start(move |mut talk| {
                    talk.chunked(SSE, &[ROLE, HEY, STOP]);
                    silence();
                    if way == "chat" {
                        talk.chunk(SECOND);
                        silence();
                        talk.chunk(SECOND_STOP);
                    }
                    talk.chunk(USAGE);
                    talk.until_left();
                    false
                });
                let blaster = client(&[&server], |_| {});
                let request = ChatRequest::from("x").stream(true);
                if way == "chat" {
                    let completion = wait(blaster.submit(request).unwrap()).unwrap();
                    assert_eq!((completion.text(), completion.choices.len()), (Some("Hey"), 2));
                    assert_eq!(completion.usage().unwrap().completion_tokens, 1);
                } else {
                    assert_eq!(answer(&blaster, way), Ok("Hey".to_owned()), "{way}");
                }
                assert_eq!(server.connections(), 1, "{way}");
            });
        }
    });
}

#[test]
fn done_is_done_without_its_blank_line() {
    for end in ["data: [DONE]\n", "data: [DONE]"] {
        let server = Conversing::start(move |mut talk| {
            talk.chunked(SSE, &[ROLE, HEY, STOP, end]);
            talk.until_left();
            false
        });
        let blaster = client(&[&server], |_| {});
        for way in ["chat", "iterator", "callback"] {
            assert_eq!(answer(&blaster, way), Ok("Hey".to_owned()), "{way} {end:?}");
        }
        for way in ["raw chat", "whole raw chat"] {
            let expected = [ROLE, HEY, STOP, end].concat();
            assert_eq!(answer(&blaster, way), Ok(expected), "{way} {end:?}");
        }
    }
}

#[test]
fn a_connection_whose_body_ends_behind_its_answer_is_used_again() {
    for_each_way(|way, early, answer_frames, end| {
        let server = Conversing::start(move |mut talk| {
            // In one packet, as the service sends them.
            let frames = [early, answer_frames, &[end]].concat().concat();
            let last = format!("{:x}\r\n{frames}\r\n0\r\n\r\n", frames.len());
            talk.send(&format!("HTTP/1.1 {SSE}\r\ntransfer-encoding: chunked\r\n\r\n{last}"))
        });
        let blaster = client(&[&server], |_| {});
        for _ in 0..3 {
            let found = answer(&blaster, way);
            assert_eq!(found, Ok(expected(way, early, answer_frames, end)), "{way}");
        }
        assert_eq!(server.connections(), 1, "{way}");
    });
}

#[test]
fn a_stream_that_has_failed_is_tried_elsewhere_though_its_body_stays_open() {
    // Before content, and where nobody has been handed any; `[DONE]` proves that nothing more comes of half an answer.
    for (way, frames) in [
        ("chat", &[ROLE, ERROR][..]),
        ("iterator", &[ROLE, ERROR]),
        ("raw chat", &[ROLE, ERROR]),
        ("chat", &[ROLE, HEY, ERROR]),
        ("chat", &[ROLE, HEY, "data: {\"choices\":\n\n"]),
        ("chat", &[ROLE, HEY, DONE]),
    ] {
        let bad = Conversing::start(move |mut talk| {
            talk.chunked(SSE, frames);
            talk.until_left();
            false
        });
        let good = Conversing::start(|mut talk| {
            talk.chunked(SSE, &[ROLE, HEY, STOP, DONE]);
            talk.chunk("")
        });
        let blaster = client(&[&bad, &good], |_| {});
        let found = answer(&blaster, way);
        assert_eq!(
            found,
            Ok(expected(way, &[ROLE], &[HEY, STOP], DONE)),
            "{way} {frames:?}"
        );
        assert_eq!((bad.connections(), good.connections()), (1, 1), "{way} {frames:?}");
    }
}

#[test]
fn a_raw_stream_that_nobody_reads_as_it_comes_is_tried_again_where_it_is_cut() {
    let server = Conversing::start(|mut talk| {
        talk.chunked(SSE, &[ROLE, HEY]);
        talk.number > 0 && talk.chunk(&[STOP, DONE].concat()) && talk.chunk("")
    });
    let blaster = client(&[&server], |_| {});
    let expected = [ROLE, HEY, STOP, DONE].concat();
    assert_eq!(answer(&blaster, "whole raw chat"), Ok(expected));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_web_page_is_no_raw_reply_in_whichever_case_its_type_is_written() {
    let server = Conversing::start(|mut talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-type: Text/HTML\r\ncontent-length: 6\r\n\r\n<html>");
        true
    });
    let blaster = client(&[&server], |_| {});
    let raw = RawRequest::post(Operation::ChatCompletions, "{}");
    let error = wait(blaster.submit_raw(raw).unwrap()).unwrap_err();
    assert!(error.to_string().contains("web page"), "{error}");
}

/// Heads after which a body ends with its connection: others know no chunks, or are no chunks.
const UNFRAMED: [&str; 3] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: identity",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
];

#[test]
fn a_raw_reply_that_ends_with_its_connection_is_whole_where_its_content_says_so() {
    const STREAM: &str = "content-type: text/event-stream";
    const OTHER: &str = "content-type: application/json";
    const CAPITALS: &str = "content-type: Text/Event-Stream; charset=UTF-8";
    let (half, rest) = WHOLE.split_at(40);
    let stream = [HEY, STOP].concat();
    let done = [HEY, DONE].concat();
    let response = [PIECE, COMPLETED].concat();
    let rows = [
        ("chat", OTHER, half, WHOLE, 2),
        ("chat", OTHER, WHOLE, WHOLE, 1),
        ("chat", OTHER, rest, rest, 1),
        ("chat", STREAM, HEY, &done, 2),
        ("chat", STREAM, &stream, &stream, 1),
        ("chat", STREAM, &done, &done, 1),
        ("response", STREAM, PIECE, &response, 2),
        ("response", STREAM, &response, &response, 1),
        ("other", STREAM, HEY, HEY, 1),
        ("chat", OTHER, HEY, &done, 2),
        ("chat", OTHER, &stream, &stream, 1),
        ("chat", OTHER, &done, &done, 1),
        ("response", OTHER, PIECE, &response, 2),
        ("response", OTHER, &response, &response, 1),
        ("other", OTHER, HEY, HEY, 1),
        ("other", OTHER, "\"half", "\"whole\"", 2),
        ("chat", CAPITALS, HEY, &done, 2),
    ];
    for head in UNFRAMED {
        for (operation, kind, first, then, requests) in rows {
            let reply = move |body: &str| format!("{head}\r\n{kind}\r\n\r\n{body}");
            let (first, second) = (reply(first), reply(then));
            let server = Conversing::start(move |mut talk| {
                talk.send(if talk.number == 0 { &first } else { &second });
                false
            });
            let blaster = client(&[&server], |_| {});
            let operation = match operation {
                "chat" => Operation::ChatCompletions,
                "response" => Operation::Responses,
                other => Operation::other(other).unwrap(),
            };
            let raw = RawRequest::post(operation.clone(), r#"{"stream":true}"#);
            let reply = wait(blaster.submit_raw(raw).unwrap()).unwrap();
            let found = (reply.text().unwrap(), reply.ledger().len());
            assert_eq!(found, (then, requests), "{head:?} {operation}");
        }
        // What has been handed out cannot be asked for again.
        let server = Conversing::start(move |mut talk| {
            talk.send(&format!("{head}\r\n{STREAM}\r\n\r\n{HEY}"));
            false
        });
        let blaster = client(&[&server], |_| {});
        let stream = blaster.stream_raw(RawRequest::post(Operation::ChatCompletions, r#"{"stream":true}"#));
        let pieces: Vec<_> = stream.unwrap().collect();
        assert!(
            pieces[0].is_ok() && pieces.last().unwrap().is_err(),
            "{head:?} {pieces:?}"
        );
    }
}

#[test]
fn one_choice_of_two_is_an_answer_after_a_clean_end_and_a_cut_is_tried_again() {
    const OTHER_ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"},\"index\":1}]}\n\n";
    const OTHER: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"Ho\"},\"finish_reason\":\"stop\",\"index\":1}]}\n\n";
    #[derive(Clone, Copy, Debug)]
    enum End {
        /// The last chunk comes.
        Chunked,
        /// The connection is closed without it.
        Cut,
        /// The connection is closed, which is the only end that a body with such a head has.
        Closed(&'static str),
        /// Nothing more comes.
        Open,
    }
    for (frames, end, requests, choices) in [
        (&[ROLE, HEY, STOP][..], End::Chunked, 1, 1),
        (&[ROLE, HEY, STOP, DONE], End::Chunked, 1, 1),
        (&[ROLE, HEY, STOP, DONE], End::Open, 1, 1),
        (&[ROLE, HEY, STOP, DONE], End::Cut, 1, 1),
        (&[ROLE, HEY, STOP, DONE], End::Closed(UNFRAMED[0]), 1, 1),
        (&[ROLE, HEY, STOP], End::Cut, 2, 2),
        (&[ROLE, HEY, STOP], End::Closed(UNFRAMED[0]), 2, 2),
        (&[ROLE, HEY, STOP], End::Closed(UNFRAMED[1]), 2, 2),
        (&[ROLE, HEY, STOP], End::Closed(UNFRAMED[2]), 2, 2),
        (&[ROLE, OTHER_ROLE, HEY, STOP], End::Chunked, 2, 2),
        (&[ROLE, OTHER_ROLE, HEY, STOP, DONE], End::Open, 2, 2),
        (&[ROLE, HEY, DONE], End::Chunked, 2, 2),
    ] {
        let server = Conversing::start(move |mut talk| {
            if talk.number > 0 {
                talk.chunked(SSE, &[ROLE, OTHER_ROLE, HEY, OTHER, STOP]);
                return talk.chunk("");
            }
            if let End::Closed(head) = end {
                talk.send(&format!(
                    "{head}\r\ncontent-type: text/event-stream\r\n\r\n{}",
                    frames.concat()
                ));
                return false;
            }
            talk.chunked(SSE, frames);
            match end {
                End::Chunked => return talk.chunk(""),
                End::Open => talk.until_left(),
                End::Cut | End::Closed(_) => {}
            }
            false
        });
        let blaster = client(&[&server], |_| {});
        let request = ChatRequest::from("x").stream(true).n(2);
        let completion = wait(blaster.submit(request).unwrap()).unwrap();
        let found = (completion.ledger().len(), completion.choices.len());
        assert_eq!(
            found,
            (requests, choices),
            "{frames:?} {end:?}: {}",
            completion.ledger()
        );
        assert_eq!(completion.text(), Some("Hey"));
    }
}
