//! How much memory replies take, counted by an allocator: whatever a service sends, it is bounded in bytes.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::internals::Assembler;
use azure_openai_blaster::transport::MAX_BODY;
use azure_openai_blaster::{
    Blaster, ChatCompletion, ChatRequest, DeploymentConfig, Embeddings, Error, Operation, RawRequest, Result,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a reply and all that is made of it may take, as `MAX_BODY` tells it, and what else a blaster has.
const WHOLE: usize = 4 * MAX_BODY + OTHER;
/// The part of it that is made of the reply, and is bounded by itself.
const MADE: usize = 2 * MAX_BODY;
const STREAM: usize = 6 * MAX_BODY + OTHER;
const OTHER: usize = 4 << 20;

/// The largest body that is read, and a little less.
const LARGE: usize = 62_000_000;
/// Long enough for all budgets to be exceeded.
const MEDIUM: usize = 10_000_000;
/// The largest event that is read, and a little less.
const LARGE_EVENT: usize = 32_000_000;

/// The allocator, for one test at a time: what another one sets aside would count too.
struct Counting {
    _alone: MutexGuard<'static, ()>,
}

impl Counting {
    fn begin() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        Counting {
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Asserts that what more was allocated at most, while `work` was done, than before, is no more than `most`.
    fn check(&self, name: &str, most: usize, work: impl FnOnce()) {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        work();
        let peak = ALLOCATOR.peak_usage() - before;
        println!("{name}: {} MiB", peak >> 20);
        assert!(peak <= most, "{name}: {} MiB, and {} would do", peak >> 20, most >> 20);
    }
}

/// A body of some length that takes no memory: a beginning, a part over and over, and an end.
#[derive(Clone)]
struct Body {
    begin: &'static str,
    part: Vec<u8>,
    times: usize,
    end: &'static str,
}

impl Body {
    fn new(length: usize, begin: &'static str, part: impl AsRef<[u8]>, end: &'static str) -> Self {
        let part = part.as_ref().to_vec();
        Body {
            begin,
            times: (length - begin.len() - end.len()) / part.len(),
            part,
            end,
        }
    }

    fn len(&self) -> usize {
        self.begin.len() + self.part.len() * self.times + self.end.len()
    }

    fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.write(&mut bytes).unwrap();
        bytes
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let at_once = (64 * 1024 / self.part.len()).max(1);
        let many = self.part.repeat(at_once);
        out.write_all(self.begin.as_bytes())?;
        for _ in 0..self.times / at_once {
            out.write_all(&many)?;
        }
        out.write_all(&many[..self.part.len() * (self.times % at_once)])?;
        out.write_all(self.end.as_bytes())
    }
}

/// A client of one deployment that answers every request by what `reply` writes, and closes.
fn client(reply: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Blaster {
    configured(reply, |config| config)
}

fn configured(
    reply: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
    configure: impl FnOnce(BlasterConfig) -> BlasterConfig,
) -> Blaster {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            read_request(&mut connection);
            // Who has read enough leaves.
            let _ = reply(&mut connection);
        }
    });
    let deployment = DeploymentConfig::new("east", url, "gpt-4o");
    let config = BlasterConfig::new([deployment]).num_workers(1).max_job_retry(1);
    Blaster::builder().config(configure(config)).build().unwrap()
}

fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        assert_eq!(connection.read(&mut byte).unwrap(), 1);
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    connection.read_exact(&mut body).unwrap();
}

/// A reply of JSON, of a known length or in the end where the connection closes.
fn json(status: u16, body: Body, is_announced: bool) -> impl Fn(&mut TcpStream) -> std::io::Result<()> + Send {
    move |connection| {
        write!(connection, "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n")?;
        match is_announced {
            true => write!(connection, "content-length: {}\r\n\r\n", body.len())?,
            false => write!(connection, "connection: close\r\n\r\n")?,
        }
        body.write(connection)
    }
}

/// A stream of these events, each one a body behind `data: `, over and over for `times`.
fn events(events: Vec<Body>, times: usize) -> impl Fn(&mut TcpStream) -> std::io::Result<()> + Send {
    move |connection| {
        write!(
            connection,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )?;
        for event in (0..times).flat_map(|_| &events) {
            write!(connection, "data: ")?;
            event.write(connection)?;
            write!(connection, "\n\n")?;
        }
        Ok(())
    }
}

fn ask() -> ChatRequest {
    ChatRequest::from("How large may it be?")
}

#[test]
fn a_whole_reply_takes_four_times_its_most_length_whatever_it_holds() {
    let counting = Counting::begin();
    const CHOICE: &str = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","#;
    const CHOICES: &str = r#"{"choices":["#;
    let calls = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","tool_calls":["#;
    let parts = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":["#;
    let text = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":""#;
    let call = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","function_call":["#;
    let extra = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"tool_calls":[{"id":"1","x":["#;
    let names = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"tool_calls":[{"id":"1""#;
    let logprobs = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop","logprobs":{"content":["#;
    let usage = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"#;
    let deep = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"x":"#;
    let end = "null]}}]}";
    for (is_answer, name, begin, part, end) in [
        (false, "tool calls", calls, "{},", "{}]}}]}"),
        (
            false,
            "tool calls with a name",
            calls,
            r#"{"function":{"name":"f"}},"#,
            "{}]}}]}",
        ),
        (false, "members of a tool call", names, r#","a":0"#, "}]}}]}"),
        (false, "lists in a tool call", extra, "[],", "null]}]}}]}"),
        (false, "objects in a tool call", extra, r#"{"":0},"#, "null]}]}}]}"),
        (false, "parts", parts, "{},", end),
        (true, "parts of text", parts, r#"{"type":"text","text":"x"},"#, end),
        (false, "parts that are texts", parts, r#""","#, end),
        (false, "choices", CHOICES, "{},", "{}]}"),
        (
            false,
            "choices with a message",
            CHOICES,
            r#"{"message":{}},"#,
            r#"{"message":{}}]}"#,
        ),
        (false, "function_call of lists", call, "[],", end),
        (false, "function_call of objects", call, r#"{"":0},"#, end),
        (false, "function_call of texts", call, r#""","#, end),
        (
            true,
            "members of the message",
            CHOICE,
            r#""a":{},"#,
            r#""content":"x"}}]}"#,
        ),
        (
            true,
            "one member over and over",
            CHOICE,
            r#""content":"yes","#,
            r#""content":"x"}}]}"#,
        ),
        (true, "log probabilities", logprobs, r#"{"token":"x"},"#, "null]}}]}"),
        (true, "usage", usage, r#""prompt_tokens":1,"#, r#""a":0}}"#),
        (true, "usage of objects", usage, r#""a":{},"#, r#""a":0}}"#),
        (false, "an error", r#"{"error":["#, "{},", "{}]}"),
        (false, "an error of objects", r#"{"error":["#, r#"{"":0},"#, "{}]}"),
        (false, "the flat error", r#"{"type":"error","message":["#, "[],", "[]]}"),
        (false, "depth", deep, "[", ""),
        (true, "text", text, "All work and no play. ", "\"}}]}"),
        (true, "text with escapes", text, r"\n", "\"}}]}"),
        (false, "no JSON", "", "no healthy upstream ", ""),
        (false, "HTML", "<html>", "<p>", ""),
    ] {
        let body = Body::new(MEDIUM, begin, part, end).to_vec();
        counting.check(name, MADE + 2 * MEDIUM + OTHER, || {
            assert_eq!(ChatCompletion::parse(&body).is_ok(), is_answer, "{name}");
        });
    }
}

#[test]
fn a_reply_that_is_read_from_a_connection_takes_four_times_its_most_length() {
    let counting = Counting::begin();
    let choice = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",""#;
    let body = |begin, part: &'static str, end| Body::new(LARGE, begin, part, end);
    let calls = body(r#"{"choices":[{"message":{"tool_calls":["#, "{},", "{}]}}]}");
    let text = body(
        r#"{"choices":[{"message":{"content":""#,
        "All work and no play. ",
        "\"}}]}",
    );
    let too_long = Body::new(2 * MAX_BODY, choice, "a", "");
    let saying = r#"{"choices":[{"finish_reason":"stop","message":{"content":""#;
    let broken = Body::new(LARGE, saying, b"\xE4", "\"}}]}");
    let half_broken = Body::new(LARGE, saying, b"a\xE4", "\"}}]}");
    let halves = Body::new(LARGE, saying, br"\ud83d", "\"}}]}");
    for (name, is_answer, reply) in [
        ("tool calls", false, json(200, calls.clone(), true)),
        ("tool calls of no known length", false, json(200, calls, false)),
        ("text", true, json(200, text.clone(), true)),
        ("text of no known length", true, json(200, text, false)),
        ("too long", false, json(200, too_long, false)),
        ("what is no UTF-8", false, json(200, broken, true)),
        ("what is no UTF-8 by half", false, json(200, half_broken, true)),
        ("halves of surrogate pairs", true, json(200, halves, true)),
        (
            "an error",
            false,
            json(400, body(r#"{"error":["#, r#"{"":0},"#, "{}]}"), true),
        ),
        ("an error that is no JSON", false, json(503, body("", "no", ""), true)),
    ] {
        let blaster = client(reply);
        counting.check(name, if name.starts_with("an error") { OTHER } else { WHOLE }, || {
            assert_eq!(blaster.chat(ask()).is_ok(), is_answer, "{name}")
        });
    }
    let blaster = client(json(200, body("", "raw", ""), false));
    let request = RawRequest::post(Operation::ChatCompletions, "{}");
    counting.check("a raw reply", WHOLE, || {
        drop(blaster.submit_raw(request.clone()).unwrap().wait().unwrap())
    });
    counting.check("a raw reply whose pieces are asked for", WHOLE, || {
        assert_eq!(blaster.stream_raw(request).unwrap().map(Result::unwrap).count(), 1)
    });
}

#[test]
fn vectors_take_four_times_the_most_length_of_their_reply_whatever_it_holds() {
    let counting = Counting::begin();
    let list = r#"{"data":[{"index":0,"embedding":["#;
    let base64 = r#"{"data":[{"index":0,"embedding":""#;
    for (is_answer, name, length, begin, part, end) in [
        (false, "numbers of one digit", LARGE, list, "0,", "0]}]}"),
        (true, "numbers", MEDIUM, list, "-0.0123456,", "0]}]}"),
        (true, "base64", LARGE, base64, "AACAPwAAIMA9AACA", "\"}]}"),
        (false, "vectors", LARGE, r#"{"data":["#, "{},", "{}]}"),
        (
            false,
            "empty vectors",
            MEDIUM,
            r#"{"data":["#,
            r#"{"embedding":[]},"#,
            "{}]}",
        ),
        (false, "an error", MEDIUM, r#"{"error":["#, "{},", "{}]}"),
    ] {
        let body = Body::new(length, begin, part, end).to_vec();
        counting.check(name, WHOLE - MAX_BODY, || {
            assert_eq!(Embeddings::parse(&body).is_ok(), is_answer, "{name}")
        });
    }
}

/// What is small on the wire and large behind it.
#[test]
fn what_is_compressed_is_bounded_by_what_it_becomes() {
    let counting = Counting::begin();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    Body::new(2 * MAX_BODY, "{", "                ", "}")
        .write(&mut encoder)
        .unwrap();
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < MAX_BODY / 50);
    for (name, status, kind, most) in [
        ("an answer", 200, "application/json", WHOLE),
        ("an error", 429, "application/json", OTHER),
        ("a stream", 200, "text/event-stream", STREAM),
    ] {
        let body = packed.clone();
        let blaster = client(move |connection| {
            write!(
                connection,
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n"
            )?;
            connection.write_all(&body)
        });
        // Who is refused for want of quota waits.
        let wait = Duration::from_secs(if status == 429 { 1 } else { 600 });
        counting.check(name, most, || drop(blaster.chat(ask().timeout(wait)).unwrap_err()));
    }
}

#[test]
fn a_stream_takes_six_times_the_most_length_of_a_reply_whatever_it_holds() {
    let counting = Counting::begin();
    let calls = r#"{"choices":[{"index":0,"delta":{"tool_calls":["#;
    let extra = r#"{"choices":[{"index":0,"delta":{"x":["#;
    let logprobs = r#"{"choices":[{"index":0,"logprobs":{"content":["#;
    let text = r#"{"choices":[{"index":0,"delta":{"content":""#;
    let results = r#"{"choices":[{"index":0,"content_filter_results":[""#;
    let lists = "null]}}]}";
    for (name, length, times, begin, part, end) in [
        ("choices in a frame", MEDIUM, 1, r#"{"choices":["#, "{},", "{}]}"),
        ("tool calls in a frame", MEDIUM, 1, calls, "{},", "{}]}}]}"),
        ("log probabilities", LARGE_EVENT, 4, logprobs, "0,", "0]}}]}"),
        ("an unknown member", MEDIUM, 1, extra, "[],", lists),
        ("an unknown member of texts", MEDIUM, 1, extra, r#""","#, lists),
        ("text", LARGE_EVENT, 5, text, "All work and no play. ", "\"}}]}"),
        ("text with escapes", LARGE_EVENT, 2, text, r"\n", "\"}}]}"),
        ("usage", LARGE_EVENT, 2, r#"{"usage":[""#, "x", "\"]}"),
        ("results of the filter", LARGE_EVENT, 2, results, "x", "\"]}]}"),
        ("an error", MEDIUM, 1, r#"{"error":["#, r#"{"":0},"#, "{}]}"),
        ("an id", LARGE_EVENT, 2, r#"{"id":""#, "x", "\"}"),
        ("an event without an end", 2 * LARGE_EVENT, 1, "", "x", ""),
        ("no JSON", LARGE_EVENT, 1, "", "x", ""),
    ] {
        let blaster = client(events(vec![Body::new(length, begin, part, end)], times));
        counting.check(name, STREAM, || drop(blaster.chat(ask().stream(true)).unwrap_err()));
    }
    let broken = Body::new(LARGE_EVENT, text, b"\xE4", "\"}}]}");
    let blaster = client(events(vec![broken.clone()], 2));
    counting.check("what is no UTF-8", STREAM, || {
        drop(blaster.chat(ask().stream(true)).unwrap_err())
    });
    let blaster = client(events(vec![broken], 2));
    let request = RawRequest::post(Operation::ChatCompletions, r#"{"stream":true}"#);
    counting.check("what is no UTF-8, raw", STREAM, || {
        drop(blaster.submit_raw(request).unwrap().wait())
    });
}

#[test]
fn choices_and_tool_calls_of_a_stream_are_bounded_by_what_they_weigh() {
    let counting = Counting::begin();
    for (name, before, after) in [
        ("choices", r#"{"choices":[{"index":"#, r#","delta":{}}]}"#),
        (
            "tool calls",
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":"#,
            "}]}}]}",
        ),
    ] {
        let mut frames = 0;
        let mut assembler = Assembler::silent(1);
        counting.check(name, 4 * MAX_BODY + OTHER, || {
            let mut failed = false;
            while !failed {
                frames += 1;
                assembler.push("", &format!("{before}{frames}{after}"), |_| failed = true);
            }
            drop(assembler.finish());
        });
    }
}

/// Frames of 20 MB for a reader that takes none of them, until the job ends for that.
#[test]
fn a_reader_that_stops_holds_one_large_piece() {
    let counting = Counting::begin();
    const FRAME: usize = 20_000_000;
    let frame = Body::new(
        FRAME,
        r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"obfuscation":""#,
        "x",
        "\"}",
    );
    let blaster = configured(events(vec![frame], 70), |config| {
        config.idle_timeout(Duration::from_secs(1))
    });
    // One piece that waits, one that the worker holds, and the next frame on its way to become one.
    counting.check("a stopped reader", 6 * FRAME + OTHER, || {
        let mut stream = blaster.stream(ask()).unwrap();
        while blaster.in_flight() + blaster.waiting() > 0 {
            thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(stream.next().unwrap().unwrap().text(), "x");
        let error = stream.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::StreamBroken { .. }), "{error}");
    });
}
