//! Replies as services send them, in the form that the HTTP client takes.
//!
//! | what comes                                           | the client's parser        | what it is given                       |
//! |------------------------------------------------------|----------------------------|----------------------------------------|
//! | a head of more than its buffer, or than 128 headers   | fails                      | a head of what it goes by; the call keeps all |
//! | `100 Continue` with headers, any other 1xx            | fails, or waits            | nothing                                |
//! | `Content-Encoding: GZIP`, `x-gzip`                    | takes it for the content   | `gzip`                                 |
//! | a chunk's size with extensions, zeros or blanks       | takes 20 characters        | the digits                             |
//!
//! What is no HTTP passes as it is: the client knows best what to say of it. So does 101, after which it is not spoken.
//!
//! Nothing here is longer than what it replaces, so it is written over it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use httparse::Status;
use ureq::http;

/// Headers that the client's parser takes.
const CLIENT_HEADERS: usize = 128;
/// Most headers of a reply.
const MOST_HEADERS: usize = 4096;
/// Most bytes of a reply's heads together: of what is said before, and of its own.
pub(super) const MOST_HEAD: usize = 64 * 1024;
/// A longer head is looked through once it is whole, and not again for each piece of it.
const LOOKED_THROUGH: usize = 4096;
/// Most digits of a chunk's size, and most bytes of what else its line may hold.
const MOST_DIGITS: usize = 16;
const MOST_EXTENSION: usize = 16 * 1024;

/// A reply on its way.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    at: Stage,
    /// 0 where it is no HTTP.
    status: u16,
}

/// How far a reply has come.
#[derive(Debug)]
enum Stage {
    /// So many bytes of provisional heads have come, and not all of the head.
    Head(usize),
    Chunks(Chunks),
    /// So many bytes are to come of a body.
    Body(u64),
    /// Where it ends is not known, or not for certain.
    Open,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Head(0)
    }
}

/// What became of bytes.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// So many bytes at the start are dropped.
    pub(super) skipped: usize,
    /// So many bytes behind them are for the client.
    pub(super) ready: usize,
    /// So many bytes behind those are of no use any more; the rest waits for more.
    pub(super) dropped: usize,
    /// So many bytes at the end, which the client is given too, come behind the reply.
    pub(super) surplus: usize,
    /// All headers, where the client is not given them.
    pub(super) headers: Option<HeaderMap>,
}

impl Incoming {
    pub(super) fn is_head(&self) -> bool {
        matches!(self.at, Stage::Head(_))
    }

    /// Its status, once its head has come; 0 where it is no HTTP.
    pub(super) fn status(&self) -> Option<u16> {
        (!self.is_head()).then_some(self.status)
    }

    /// Whether the reply has come to its end, as its head tells it beyond doubt.
    pub(super) fn is_whole(&self) -> bool {
        match &self.at {
            Stage::Body(left) => *left == 0,
            Stage::Chunks(chunks) => chunks.at == At::End,
            Stage::Head(_) | Stage::Open => false,
        }
    }

    /// Takes the next bytes of a reply, with those that were left waiting.
    ///
    /// # Errors
    /// Where its head is larger than is taken, in words.
    #[inline(never)] // room for headers that a worker which waits need not keep
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<Given, String> {
        let mut given = Given::default();
        while let Stage::Head(before) = &mut self.at {
            let raw = &mut bytes[given.skipped..];
            let Some(head) = Head::read(raw)? else {
                match *before + raw.len() >= MOST_HEAD {
                    true => return Err(format!("the reply's head is larger than {MOST_HEAD} bytes")),
                    false => return Ok(given),
                }
            };
            if head.is_provisional {
                *before += head.length;
                given.skipped += head.length;
                if *before > MOST_HEAD {
                    return Err(format!(
                        "the reply has provisional heads of more than {MOST_HEAD} bytes"
                    ));
                }
                continue;
            }
            self.status = head.status;
            self.at = match head.framing {
                Framing::Chunked => Stage::Chunks(Chunks::default()),
                Framing::Length(length) => Stage::Body(length),
                Framing::Open => Stage::Open,
            };
            let mut ready = head.length;
            if let Some((short, headers)) = head.shortened {
                let start = head.length - short.len();
                raw[start..head.length].copy_from_slice(&short);
                given.skipped += start;
                ready = short.len();
                given.headers = Some(headers);
            }
            given.ready = ready;
        }
        let body = &mut bytes[given.skipped + given.ready..];
        let length = body.len();
        let ready = match &mut self.at {
            Stage::Chunks(chunks) => {
                let (ready, surplus) = chunks.pass(body);
                given.surplus = surplus;
                ready
            }
            Stage::Body(left) => {
                let due = usize::try_from(*left).map_or(length, |left| left.min(length));
                *left -= due as u64;
                given.surplus = length - due;
                length
            }
            Stage::Head(_) | Stage::Open => length,
        };
        given.ready += ready;
        given.dropped = length - ready;
        Ok(given)
    }
}

/// A head that has come whole.
struct Head {
    length: usize,
    status: u16,
    is_provisional: bool,
    framing: Framing,
    /// What the client is given in its place, and all of its headers.
    shortened: Option<(Vec<u8>, HeaderMap)>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Chunked,
    Length(u64),
    /// By the end of the connection, or in a way that two readers may read differently (RFC 9112 §6.3).
    Open,
}

impl Framing {
    /// Reads it strictly: what does not say for certain where a reply ends would make a part of it the next one.
    fn of(parsed: &httparse::Response<'_, '_>) -> Self {
        let named = |name: HeaderName| {
            let headers = parsed.headers.iter();
            headers
                .filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()))
                .map(|header| header.value)
        };
        let mut codings = named(header::TRANSFER_ENCODING);
        let mut lengths = named(header::CONTENT_LENGTH);
        let coding = codings.next();
        let length = lengths.next();
        let is_clear = codings.next().is_none() && lengths.next().is_none();
        let has_none = matches!(parsed.code.unwrap_or_default(), 100..200 | 204 | 304);
        match (coding, length) {
            _ if !is_clear => Framing::Open,
            (None, None) if has_none => Framing::Length(0),
            (None, Some(b"0")) if has_none => Framing::Length(0),
            _ if has_none => Framing::Open,
            (Some(coding), None) if parsed.version == Some(1) && coding.eq_ignore_ascii_case(b"chunked") => {
                Framing::Chunked
            }
            (None, Some(length)) if length.iter().all(u8::is_ascii_digit) => {
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                length.map_or(Framing::Open, Framing::Length)
            }
            _ => Framing::Open,
        }
    }
}

impl Head {
    /// The head that `bytes` begin with, if all of it is there.
    fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.len() > LOOKED_THROUGH && bytes.starts_with(b"HTTP/1.") && !holds_blank_line(bytes) {
            return Ok(None);
        }
        let mut slots = [httparse::EMPTY_HEADER; CLIENT_HEADERS];
        let mut parsed = httparse::Response::new(&mut slots);
        let mut more;
        let mut found = parsed.parse(bytes);
        let fits = found != Err(httparse::Error::TooManyHeaders);
        if !fits {
            more = vec![httparse::EMPTY_HEADER; MOST_HEADERS];
            parsed = httparse::Response::new(&mut more);
            found = parsed.parse(bytes);
        }
        match found {
            Ok(Status::Partial) => Ok(None),
            Ok(Status::Complete(length)) => Ok(Some(Self::of(&parsed, bytes, length, fits))),
            Err(httparse::Error::TooManyHeaders) => Err(format!("the reply has more than {MOST_HEADERS} headers")),
            Err(_) => Ok(Some(Head {
                length: bytes.len(),
                status: 0,
                is_provisional: false,
                framing: Framing::Open,
                shortened: None,
            })),
        }
    }

    fn of(parsed: &httparse::Response<'_, '_>, bytes: &[u8], length: usize, fits: bool) -> Self {
        let status = parsed.code.unwrap_or_default();
        let named = |name: HeaderName| {
            let headers = parsed.headers.iter();
            headers.filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()))
        };
        let odd_gzip = named(header::CONTENT_ENCODING).any(|coding| is_odd_gzip(coding.value));
        let shortened = !fits || length > super::BUFFER_SIZE / 2 || odd_gzip;
        Head {
            length,
            status,
            is_provisional: matches!(status, 100 | 102..200),
            framing: Framing::of(parsed),
            shortened: shortened.then(|| shortened_head(parsed, bytes, odd_gzip)),
        }
    }
}

/// The same head with the headers alone that the client goes by, and all headers, but those of a coding that it undoes.
fn shortened_head(parsed: &httparse::Response<'_, '_>, bytes: &[u8], odd_gzip: bool) -> (Vec<u8>, HeaderMap) {
    const KEPT: [HeaderName; 4] = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
    ];
    let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut short = bytes[..first].to_vec();
    let mut headers = HeaderMap::new();
    let is_gzip = |name: &HeaderName, value: &[u8]| {
        *name == header::CONTENT_ENCODING && (value == b"gzip" || odd_gzip && is_odd_gzip(value))
    };
    for pair in parsed.headers.iter() {
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(pair.name.as_bytes()),
            HeaderValue::from_bytes(pair.value),
        ) else {
            continue;
        };
        if KEPT.contains(&name) {
            let value = if is_gzip(&name, pair.value) {
                b"gzip"
            } else {
                pair.value
            };
            short.extend_from_slice(name.as_str().as_bytes());
            short.push(b':');
            short.extend_from_slice(value);
            short.extend_from_slice(b"\r\n");
        }
        headers.append(name, value);
    }
    short.extend_from_slice(b"\r\n");
    if headers.iter().any(|(name, value)| is_gzip(name, value.as_bytes())) {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    (short, headers)
}

fn holds_blank_line(bytes: &[u8]) -> bool {
    [&b"\n\r\n"[..], b"\n\n"]
        .iter()
        .any(|end| memchr::memmem::find(bytes, end).is_some())
}

/// Whether it means gzip, in a form that the client does not know.
fn is_odd_gzip(value: &[u8]) -> bool {
    value != b"gzip"
        && [&b"gzip"[..], b"x-gzip"]
            .iter()
            .any(|coding| value.eq_ignore_ascii_case(coding))
}

/// A chunked body, whose sizes are brought into the shortest form that needs no looking ahead: a zero at most, and the
/// digits.
#[derive(Debug, Default)]
struct Chunks {
    at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the line of a size: a blank before it, a digit of it, or what follows it.
    #[default]
    Start,
    Size {
        digits: usize,
        size: u64,
    },
    Extension {
        size: u64,
        length: usize,
    },
    /// So many bytes of a chunk, and the end of its line, are to come.
    Data(u64),
    /// In a line behind the last chunk, of which something has come or not.
    Trailer {
        is_blank: bool,
    },
    End,
    /// What makes no sense is passed on, for the client to say so.
    Broken,
}

impl Chunks {
    /// Rewrites `bytes`; gives how many are left of them, and how many of these, at the end, come behind the body.
    fn pass(&mut self, bytes: &mut [u8]) -> (usize, usize) {
        let mut kept = 0;
        let mut at = 0;
        while at < bytes.len() {
            if let At::Data(left) = self.at {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                bytes.copy_within(at..at + length, kept);
                kept += length;
                at += length;
                self.at = match left - length as u64 {
                    0 => At::Start,
                    left => At::Data(left),
                };
                continue;
            }
            if matches!(self.at, At::End | At::Broken) {
                let rest = bytes.len() - at;
                bytes.copy_within(at.., kept);
                return (kept + rest, if self.at == At::End { rest } else { 0 });
            }
            let byte = bytes[at];
            at += 1;
            if self.line(byte) {
                bytes[kept] = byte;
                kept += 1;
            }
        }
        (kept, 0)
    }

    /// Takes a byte of the line of a size. Whether it is kept.
    fn line(&mut self, byte: u8) -> bool {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        let (next, kept) = match (self.at, byte, digit) {
            (At::Start, b' ' | b'\t', _) => (At::Start, false),
            // Of zeros in front one is kept: whether any other digit follows is not known.
            (At::Start, _, Some(size)) => (At::Size { digits: 1, size }, true),
            (At::Size { size: 0, digits }, b'0', _) => (At::Size { digits, size: 0 }, false),
            (At::Size { digits, size }, _, Some(digit)) if digits <= MOST_DIGITS && size >> 60 == 0 => {
                let size = size << 4 | digit;
                (
                    At::Size {
                        digits: digits + 1,
                        size,
                    },
                    true,
                )
            }
            (At::Size { size, .. }, b'\r', _) => (
                At::Size {
                    digits: usize::MAX,
                    size,
                },
                true,
            ),
            (At::Size { size, .. } | At::Extension { size, .. }, b'\n', _) => (after(size), true),
            (At::Size { size, .. }, b' ' | b'\t' | b';', _) => (At::Extension { size, length: 1 }, false),
            (At::Extension { size, length }, b'\r', _) => (At::Extension { size, length }, true),
            (At::Extension { size, length }, ..) if length < MOST_EXTENSION => {
                let length = length + 1;
                (At::Extension { size, length }, false)
            }
            (At::Trailer { is_blank }, b'\r', _) => (At::Trailer { is_blank }, true),
            (At::Trailer { is_blank: true }, b'\n', _) => (At::End, true),
            (At::Trailer { .. }, b'\n', _) => (At::Trailer { is_blank: true }, true),
            (At::Trailer { .. }, ..) => (At::Trailer { is_blank: false }, true),
            _ => (At::Broken, true),
        };
        self.at = next;
        kept
    }
}

/// What follows the line of this size: its bytes and the end of their line.
fn after(size: u64) -> At {
    match size {
        0 => At::Trailer { is_blank: true },
        size => At::Data(size.saturating_add(2)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
                "HTTP/1.1 429 Too Many\r\ncontent-length:2\r\nconnection:close\r\n\r\nno"
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
    fn gzip_is_gzip_however_it_is_written() {
        for coding in ["GZIP", "Gzip", "x-gzip", "X-GZIP"] {
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: 2\r\nx: y\r\n\r\n");
            let (out, headers) = given(&[reply.as_bytes()]).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(
                out,
                "HTTP/1.1 200 OK\r\ncontent-encoding:gzip\r\ncontent-length:2\r\n\r\n"
            );
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
}
