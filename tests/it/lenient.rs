//! Replies that no service should send, and that some do: what they say is read, for it is paid for, but never so that a
//! part passes for the whole.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatRequest, EmbeddingRequest};
use azure_openai_blaster::config::{BlasterConfig, DeploymentConfig, Kind};

use crate::canned;

const JSON: &str = "content-type: application/json\r\n";
const TEXT: &str = "content-type: text/plain; charset=utf-8\r\n";
const SSE: &str = "content-type: text/event-stream\r\n";
const NO_TYPE: &str = "";

const WHOLE: &str =
    r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hey"}}]}"#;
const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\"}}]}\n\n\
                      data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"y\"}}]}\n\n\
                      data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A client of a service that answers each request with these bytes and hangs up.
fn client(reply: impl Into<Vec<u8>>) -> Blaster {
    let reply = reply.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            if canned::read(&mut connection).is_some() {
                // Whoever has left does not want it.
                let _ = connection.write_all(&reply);
            }
        }
    });
    let deployment = DeploymentConfig::new("d", url, "m").kind(Kind::OpenAi).serves(["m"]);
    let config = BlasterConfig::new([deployment]).num_workers(1).max_job_retry(1);
    Blaster::builder().config(config).build().unwrap()
}

/// A whole reply with this body.
fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What a chat comes to that is asked for whole, as a stream, and in pieces.
fn chats(reply: &[u8]) -> [Result<String, String>; 3] {
    let text = |result: azure_openai_blaster::Result<_>| {
        result
            .map(|completion: azure_openai_blaster::ChatCompletion| completion.text().unwrap_or_default().to_owned())
            .map_err(|error| error.to_string())
    };
    let blaster = client(reply);
    let whole = text(blaster.chat("x"));
    let streamed = text(client(reply).chat(ChatRequest::from("x").stream(true)));
    let mut pieces = Ok(String::new());
    for delta in client(reply).stream("x").unwrap() {
        pieces = match (delta, pieces) {
            (Ok(delta), Ok(text)) => Ok(text + delta.text()),
            (Err(error), _) => Err(error.to_string()),
            (_, Err(error)) => Err(error),
        };
    }
    [whole, streamed, pieces]
}

#[test]
fn a_stream_and_a_whole_answer_are_told_apart_by_what_they_are() {
    for kind in [JSON, TEXT, SSE, NO_TYPE] {
        for body in [
            WHOLE,
            STREAM,
            &format!("\u{feff}{WHOLE}"),
            &format!("\u{feff}\n{STREAM}"),
            &format!(": hello\n\n{STREAM}"),
        ] {
            for (way, answer) in chats(&ok(kind, body)).into_iter().enumerate() {
                assert_eq!(answer.as_deref(), Ok("Hey"), "{kind:?} {way} {body}");
            }
        }
    }
}

#[test]
fn a_refusal_is_heard_whatever_its_type_says() {
    let filtered = r#"{"error":{"code":"content_filter","message":"The response was filtered","status":400}}"#;
    for (kind, body, said) in [
        (SSE, filtered, "content_filter"),
        (NO_TYPE, filtered, "content_filter"),
        (SSE, "event: error\ndata: Too many requests\n\n", "Too many requests"),
        (JSON, "event: error\ndata: Too many requests\n\n", "Too many requests"),
        (SSE, "<html><title>Gateway</title></html>", "HTML"),
        (TEXT, "no healthy upstream", "no chat completion"),
        (SSE, "no healthy upstream", "ended before"),
        (SSE, "", "ended before"),
        (JSON, "", "empty"),
    ] {
        for answer in chats(&ok(kind, body)) {
            let error = answer.unwrap_err();
            assert!(error.contains(said), "{kind:?} {body:?}: {error}");
        }
    }
}

#[test]
fn what_is_no_unicode_costs_its_characters_and_nothing_else() {
    let answer = |content: &[u8]| {
        WHOLE
            .as_bytes()
            .to_vec()
            .into_iter()
            .flat_map(|byte| match byte {
                b'H' => content.to_vec(),
                byte => vec![byte],
            })
            .collect::<Vec<u8>>()
    };
    for (content, text) in [
        (&br"\ud83d\ude00"[..], "😀ey"),
        (br"\ud83d", "\u{fffd}ey"),
        (b"\xFF", "\u{fffd}ey"),
        (b"gr\xFC\xDFe ", "gr\u{fffd}\u{fffd}e ey"),
    ] {
        for (way, answer) in chats(&ok(JSON, answer(content))).into_iter().enumerate() {
            assert_eq!(answer.as_deref(), Ok(text), "{way} {content:?}");
        }
    }
    // Elsewhere than in the text.
    let body = WHOLE.replace("\"index\":0", r#""index":0,"x":"\ud83d","finish_reason":"\ud83d""#);
    assert_eq!(chats(&ok(JSON, body))[0].as_deref(), Ok("Hey"));
    // Cut between frames, as gateways do it that know bytes alone.
    let stream = STREAM.replace("He", "H\u{1}").replace("\"y\"", "\"\u{2}y\"");
    let bytes: Vec<u8> = stream
        .bytes()
        .flat_map(|byte| match byte {
            1 => b"\xE4\xB8".to_vec(),
            2 => b"\x96".to_vec(),
            byte => vec![byte],
        })
        .collect();
    for answer in chats(&ok(SSE, bytes)) {
        assert_eq!(answer.as_deref(), Ok("H世y"));
    }
}

#[test]
fn a_whole_answer_counts_though_the_connection_broke_behind_it_and_half_of_one_never_does() {
    let chunked = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}",
            body.len()
        )
    };
    let longer = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\n{JSON}content-length: {}\r\n\r\n{body}",
            body.len() + 7
        )
    };
    let unfinished = WHOLE.replace("\"stop\"", "null");
    for reply in [chunked(WHOLE), longer(WHOLE), chunked(&format!("{WHOLE}\r\n\r\n"))] {
        for answer in chats(reply.as_bytes()) {
            assert_eq!(answer.as_deref(), Ok("Hey"), "{reply}");
        }
    }
    for reply in [
        chunked(&unfinished),
        longer(&unfinished),
        chunked(&WHOLE[..WHOLE.len() - 1]),
        longer(&WHOLE[..WHOLE.len() - 1]),
    ] {
        for answer in chats(reply.as_bytes()) {
            assert!(answer.as_ref().unwrap_err().contains("closed"), "{reply}: {answer:?}");
        }
    }
    let vectors = r#"{"data":[{"index":0,"embedding":[1.0]}]}"#;
    let vectors_of = |body: &str| client(chunked(body)).embeddings(EmbeddingRequest::from("x"));
    assert_eq!(vectors_of(vectors).unwrap().vectors, [[1.0]]);
    assert!(vectors_of(&vectors[..vectors.len() - 1]).is_err());
}

#[test]
fn the_last_of_two_members_counts_unless_it_says_nothing() {
    for (twice, text) in [
        (r#""content":"Hey","content":"You""#, "You"),
        (r#""content":"Hey","content":"""#, "Hey"),
        (r#""content":"Hey","content":null"#, "Hey"),
        (r#""content":null,"content":"Hey""#, "Hey"),
        (r#""content":"Hey","content":[]"#, "Hey"),
        (
            r#""content":[{"type":"text","text":"H"},{"type":"thinking","thinking":"?"},{"type":"text","text":"ey"}]"#,
            "Hey",
        ),
    ] {
        let body = WHOLE.replace(r#""content":"Hey""#, twice);
        for answer in chats(&ok(JSON, body)) {
            assert_eq!(answer.as_deref(), Ok(text), "{twice}");
        }
    }
    for nothing in [
        "{}",
        "null",
        r#"{"role":"assistant"}"#,
        r#"{"content":""}"#,
        r#"{"tool_calls":[]}"#,
    ] {
        for body in [
            WHOLE.replace("}}]}", &format!("}},\"message\":{nothing}}}]}}")),
            STREAM.replace("\"}}", &format!("\"}},\"delta\":{nothing}}}")),
            STREAM
                .replace("delta", "message")
                .replace("\"}}", &format!("\"}},\"message\":{nothing}}}")),
        ] {
            for answer in chats(&ok(JSON, &body)) {
                assert_eq!(answer.as_deref(), Ok("Hey"), "{body}");
            }
        }
    }
    let call = |function: &str| {
        let called = format!(r#""content":null,"tool_calls":[{{"id":"c","type":"function",{function}}}]"#);
        let completion = client(ok(JSON, WHOLE.replace(r#""content":"Hey""#, &called)))
            .chat("x")
            .unwrap();
        let call = &completion.choices[0].message.tool_calls[0];
        (call.name().to_owned(), call.arguments().to_owned())
    };
    for function in [
        r#""function":{"name":"f","arguments":"{}"},"function":{}"#,
        r#""function":{"name":"f","arguments":"{}"},"function":{"name":"","arguments":""}"#,
        r#""function":{"name":"f","arguments":"{}","arguments":""}"#,
        r#""function":{"name":"f","arguments":"{}","arguments":null,"name":null}"#,
        r#""function":{"name":"f","arguments":{}}"#,
    ] {
        assert_eq!(call(function), ("f".to_owned(), "{}".to_owned()), "{function}");
    }
    let usage = WHOLE.replacen(
        '{',
        r#"{"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4},"usage":{},"#,
        1,
    );
    let completion = client(ok(JSON, usage)).chat("x").unwrap();
    assert_eq!(completion.usage().unwrap().total_tokens, 4);
    for odd in [
        r#""id":7,"created":"1","model":null,"usage":"none""#,
        r#""usage":{"prompt_tokens":"3","total_tokens":true}"#,
        r#""usage":false,"usage":[],"usage":{"prompt_tokens":{}}"#,
        r#""choices":[],"id":[],"created":{}"#,
    ] {
        let body = WHOLE.replacen('{', &format!("{{{odd},"), 1);
        for answer in chats(&ok(JSON, body)) {
            assert_eq!(answer.as_deref(), Ok("Hey"), "{odd}");
        }
    }
}
