//! A service that repeats what it was sent, at every place where a reply can hold anything.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use super::canned;

/// A reply that repeats something.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// Bytes of the reply that repeats this text.
    pub(crate) reply: fn(&str) -> Vec<u8>,
    /// Whether it is so large that one of them is enough.
    pub(crate) large: bool,
    /// Whether it is a 200 that no reader of a chat can make sense of, and no error.
    pub(crate) unreadable: bool,
}

fn reply(status: &str, kind: &str, body: &str) -> Vec<u8> {
    with_header(status, "content-type", kind, body)
}

fn with_header(status: &str, name: &str, value: &str, body: &str) -> Vec<u8> {
    let framing = format!("content-length: {}\r\nconnection: close", body.len());
    format!("HTTP/1.1 {status}\r\n{name}: {value}\r\n{framing}\r\n\r\n{body}").into_bytes()
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn error(text: &str) -> String {
    format!(
        r#"{{"error":{{"message":{},"code":"bad_thing"}}}}"#,
        json(&format!("You sent {text} to us"))
    )
}

/// A text that can stand in a header, in place of one that cannot.
fn header(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() { c } else { ' ' })
        .collect()
}

/// The same of the name of a header.
fn token(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c) => c,
            _ => '_',
        })
        .take(1000)
        .collect()
}

const ANSWER: &str = r#"{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"}}],"data":[{"index":0,"embedding":[1]}]}"#;
const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";

pub(crate) const PLACES: [Place; 25] = [
    place("the message of a 400", |text| {
        reply("400 Bad Request", JSON, &error(text))
    }),
    place("every text of a 400", |text| {
        let text = json(text);
        let body = format!(r#"{{"error":{{"message":{text},"code":{text},"type":{text},"param":{text}}}}}"#);
        reply("400 Bad Request", JSON, &body)
    }),
    place("a flat 401", |text| {
        reply(
            "401 Unauthorized",
            JSON,
            &format!(r#"{{"statusCode":401,"message":{}}}"#, json(text)),
        )
    }),
    place("a 403 in other words", |text| {
        reply("403 Forbidden", "text/plain", text)
    }),
    place("a 404", |text| reply("404 Not Found", JSON, &error(text))),
    place("a 429 of two hours", |text| {
        with_header("429 Too Many Requests", "retry-after", "7200", &error(text))
    }),
    place("the title of a 500", |text| {
        reply(
            "500 Internal Server Error",
            "text/html",
            &format!("<html><title>No {text}</title></html>"),
        )
    }),
    place("the text of a 502", |text| reply("502 Bad Gateway", "text/plain", text)),
    place("broken JSON of a 422", |text| {
        reply("422 Unprocessable Entity", JSON, &error(text)[..error(text).len() - 2])
    }),
    place("JSON in the JSON of a 400", |text| {
        reply("400 Bad Request", JSON, &error(&error(text)))
    }),
    place("an array in a 400", |text| {
        reply(
            "400 Bad Request",
            JSON,
            &format!(r#"{{"detail":[{{"input":{}}}]}}"#, json(text)),
        )
    }),
    Place {
        large: true,
        ..place("at the 64th KiB of a 400", |text| {
            reply(
                "400 Bad Request",
                "text/plain",
                &format!("{}{text}", ".".repeat(64 * 1024 - 20)),
            )
        })
    },
    place("a redirect's query", |text| {
        with_header(
            "302 Found",
            "location",
            &format!("https://other.example/?k={}", header(text)),
            "",
        )
    }),
    place("a redirect's host", |text| {
        with_header("302 Found", "location", &format!("https://{}", header(text)), "")
    }),
    place("apim-request-id of a 400", |text| {
        with_header("400 Bad Request", "apim-request-id", &header(text), "{}")
    }),
    place("the name of a header of a 400", |text| {
        with_header("400 Bad Request", &token(text), "1", "{}")
    }),
    place("x-ms-region of an answer", |text| {
        with_header("200 OK", "x-ms-region", &header(text), ANSWER)
    }),
    place("apim-request-id of an answer", |text| {
        with_header("200 OK", "apim-request-id", &header(text), ANSWER)
    }),
    place("an error as a 200", |text| reply("200 OK", JSON, &error(text))),
    place("an error event", |text| {
        reply("200 OK", STREAM, &format!("data: {}\n\n", error(text)))
    }),
    place("an event called error", |text| {
        reply("200 OK", STREAM, &format!("event: error\ndata: {}\n\n", json(text)))
    }),
    place("what is no HTTP", |text| {
        format!("HTTP/1.1 {text} x\r\n\r\n").into_bytes()
    }),
    Place {
        unreadable: true,
        ..place("a 200 that is no JSON", |text| reply("200 OK", "text/plain", text))
    },
    Place {
        unreadable: true,
        ..place("a 200 of another shape", |text| {
            let text = json(text);
            reply(
                "200 OK",
                JSON,
                &format!(
                    r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":{{"a":{text}}}}}}}],"data":{text},"id":{text}}}"#
                ),
            )
        })
    },
    Place {
        unreadable: true,
        ..place("an event of another shape", |text| {
            let text = json(text);
            reply(
                "200 OK",
                STREAM,
                &format!("data: {{\"choices\":{text},\"type\":{text}}}\n\n"),
            )
        })
    },
];

const fn place(name: &'static str, reply: fn(&str) -> Vec<u8>) -> Place {
    Place {
        name,
        reply,
        large: false,
        unreadable: false,
    }
}

/// Serves each deployment, which is called by its number, with its own reply, in pieces that begin and end anywhere;
/// gives the URL.
pub(crate) fn serve(replies: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.set_nodelay(true);
            let Some(request) = canned::read(&mut connection) else {
                continue;
            };
            let name = |head: &str| {
                head.split("/deployments/")
                    .nth(1)?
                    .split('/')
                    .next()?
                    .parse::<usize>()
                    .ok()
            };
            let number = name(&request.head).unwrap();
            let reply = &replies[number];
            for piece in reply.chunks(reply.len() / 3 + 1) {
                // Whoever has left does not want it.
                let _ = connection.write_all(piece);
            }
        }
    });
    url
}
