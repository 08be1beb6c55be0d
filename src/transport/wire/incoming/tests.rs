use httparse::Status;
use proptest::prelude::*;

use super::chunks::MOST_EXTENSION;
use super::head::MOST_HEADERS;
use super::*;

/// What the client is given of a reply that comes in these pieces, and all headers where it is not given them.
fn given(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<HeaderMap>), String> {
    let mut incoming = Incoming::default();
    let (mut waiting, mut out, mut headers) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let given = incoming.take(&mut waiting)?;
        waiting.drain(..given.skipped);
        out.extend(waiting.drain(..given.ready));
        waiting.truncate(waiting.len() - given.dropped);
        headers = given.headers.or(headers);
    }
    Ok((out, headers))
}

fn text(reply: &str) -> String {
    String::from_utf8(given(&[reply.as_bytes()]).unwrap().0).unwrap()
}

#[test]
fn what_the_client_takes_is_passed_as_it_is() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n007;x\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n007;x\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx: 1\r\n\r\n00;",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz;a\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n\x01\x02",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
    ] {
        assert_eq!(text(reply), reply);
    }
    assert_eq!(
        text("HTTP/1.1 200 OK\r\ncontent-le"),
        "",
        "a part of a head is kept back"
    );
}

#[test]
fn a_reply_is_whole_where_its_head_says_so_for_certain_and_what_follows_is_not_its_own() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for (head, body, is_whole) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3", "abc", true),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3",
            "abc",
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4", "abc", false),
        ("HTTP/1.1 204 None", "", true),
        ("HTTP/1.1 304 Same\r\ncontent-length: 0", "", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED", chunks, true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
            "3\r\nabc\r\n0;x\r\nx-a: b\r\nx-c: d\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
            "3\r\nabc\r\n0\r\nx-a: b\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
            "3\r\nabc\r\n+0\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 204 None\r\ncontent-length: 190", "", false),
        ("HTTP/1.1 304 Same\r\ntransfer-encoding: chunked", "", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 0",
            "",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\ncontent-length: 2",
            "ab",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip", chunks, false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked", chunks, false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked",
            chunks,
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 202",
            chunks,
            false,
        ),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked", chunks, false),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3",
            "abc",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: +3", "abc", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3, 3", "abc", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999", "", false),
        ("HTTP/1.1 200 OK", "abc", false),
    ] {
        for stray in [0, 1, 20] {
            let mut reply = format!("{head}\r\n\r\n{body}{}", "x".repeat(stray)).into_bytes();
            let mut incoming = Incoming::default();
            let given = incoming.take(&mut reply).unwrap();
            if is_whole {
                assert_eq!((incoming.is_whole(), given.surplus), (true, stray), "{head} {body}");
            } else {
                assert!(!incoming.is_whole() || given.surplus < stray, "{head} {body}");
            }
        }
    }
}

#[test]
fn what_comes_before_the_head_is_left_out() {
    let reply = "HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n";
    for before in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nserver: x\r\nvia: y\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\nx: y\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
    ] {
        assert_eq!(text(&format!("{before}{reply}")), reply);
    }
    let flood = "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n".repeat(3000);
    assert!(given(&[flood.as_bytes()]).unwrap_err().contains("provisional"));
}

#[test]
fn sizes_of_chunks_lose_what_is_no_digit() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for (line, short) in [
        ("3", "3"),
        ("3;name=value", "3"),
        ("3 ; name=\"a long value, longer than twenty characters\"", "3"),
        ("3                              ", "3"),
        ("0000000000000000000000000000003", "03"),
        ("  3", "3"),
        ("000;last", "0"),
    ] {
        let (data, reads) = match short {
            "0" => ("\r\n", "\r\n"),
            _ => ("abc\r\n0;x\r\n\r\n", "abc\r\n0\r\n\r\n"),
        };
        assert_eq!(
            text(&format!("{head}{line}\r\n{data}")),
            format!("{head}{short}\r\n{reads}"),
            "{line}"
        );
    }
    // Of no sane length: the client says so.
    let line = format!("3;{}\r\nabc\r\n", "x".repeat(MOST_EXTENSION));
    assert!(text(&format!("{head}{line}")).contains("xabc") || text(&format!("{head}{line}")).contains("x\r\nabc"));
}

#[test]
fn a_large_head_is_given_short_and_kept_whole() {
    let many: String = (0..1000).map(|number| format!("x-{number}: {number}\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(50_000));
    for lines in [&many, &long] {
        let reply = format!(
            "HTTP/1.1 429 Too Many\r\nretry-after:7\r\n{lines}content-length: 2\r\nconnection: close\r\n\r\nno"
        );
        let (out, headers) = given(&[reply.as_bytes()]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 429 Too Many\r\ncontent-length:2\nconnection:close\n\nno"
        );
        let headers = headers.unwrap();
        assert_eq!(headers["retry-after"], "7");
        assert_eq!(headers.len(), 3 + lines.lines().count());
    }
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MOST_HEAD));
    assert!(given(&[endless.as_bytes()]).unwrap_err().contains("65536"));
    let lines = "a:\r\n".repeat(MOST_HEADERS + 1);
    let all = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    assert!(given(&[all.as_bytes()]).unwrap_err().contains("4096 headers"));
}

#[test]
fn a_head_that_is_given_short_is_never_longer_than_it_was() {
    let rows = [
        "HTTP/1.1 200 OK\nContent-Encoding:GZIP\nContent-Length:2\nConnection:close\n\nno",
        "\r\n\nHTTP/1.1 200 OK\r\nContent-Encoding:GZIP\r\nContent-Length:2\nConnection:close\r\n\nno",
    ];
    for reply in rows {
        let (out, headers) = given(&[reply.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap().replace('\r', "");
        assert_eq!(
            out,
            "HTTP/1.1 200 OK\ncontent-encoding:gzip\ncontent-length:2\nconnection:close\n\nno"
        );
        assert_eq!(headers.unwrap()["connection"], "close");
    }
}

#[test]
fn gzip_is_gzip_however_it_is_written() {
    for coding in ["GZIP", "Gzip", "x-gzip", "X-GZIP"] {
        let reply = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: 2\r\nx: y\r\n\r\n");
        let (out, headers) = given(&[reply.as_bytes()]).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "HTTP/1.1 200 OK\r\ncontent-encoding:gzip\ncontent-length:2\n\n");
        assert_eq!(
            headers.unwrap().keys().collect::<Vec<_>>(),
            ["x"],
            "those of the coding are undone with it"
        );
    }
    assert_eq!(
        text("HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n"),
        "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn it_does_not_matter_how_a_reply_is_cut(
        chunks in proptest::collection::vec(("0{0,20}", 1_usize..40, "( |;a=b;c|\t;x){0,9}"), 0..5),
        cuts in proptest::collection::vec(0_usize..400, 0..12),
    ) {
        let mut reply = b"HTTP/1.1 100 Continue\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let mut plain = Vec::new();
        for (zeros, size, extension) in &chunks {
            reply.extend(format!("{zeros}{size:X}{extension}\r\n").bytes());
            reply.extend(vec![b';'; *size]);
            reply.extend(b"\r\n");
            plain.extend(vec![b';'; *size]);
        }
        reply.extend(b"0\r\n\r\n");
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(reply.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([reply.len()]) {
            pieces.push(&reply[from..cut]);
            from = cut;
        }
        let (whole, _) = given(&[&reply]).unwrap();
        let (out, _) = given(&pieces).unwrap();
        prop_assert_eq!(&out, &whole);
        // As another parser reads it.
        let start = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let (mut rest, mut read) = (&out[start..], Vec::new());
        loop {
            let Ok(Status::Complete((begin, size))) = httparse::parse_chunk_size(rest) else { panic!("{rest:?}") };
            prop_assert!(begin <= 20);
            if size == 0 {
                break;
            }
            read.extend_from_slice(&rest[begin..begin + size as usize]);
            rest = &rest[begin + size as usize + 2..];
        }
        prop_assert_eq!(read, plain);
    }

    #[test]
    fn no_bytes_are_too_odd(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8), begun in any::<bool>()) {
        let mut all: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        if begun {
            all.insert(0, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        }
        let _ = given(&all);
    }
}
