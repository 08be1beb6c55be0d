//! Reads HTTP/1.1 requests out of bytes as they arrive. Pure, so that every cut point can be tried.

use std::borrow::Cow;

use super::chunks::Chunks;
use super::refusal::{MAX_HEAD, MAX_HEADERS, Refusal};

/// An emptied buffer larger than this is given back, so that ten thousand idle connections stay small.
const KEPT_CAPACITY: usize = 16 * 1024;

/// A request, received whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// A request's line and headers, and what follows from them for the connection.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// As received, percent-encoding kept; without scheme and host where a client sends them.
    pub(crate) path: String,
    /// Without the question mark; empty where there is none.
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The client wants to send more requests on this connection.
    pub(crate) keep_alive: bool,
    /// HTTP/1.0, which knows no chunks.
    pub(crate) old: bool,
}

/// How far the current request has come.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// More bytes are needed.
    Partial,
    /// More bytes are needed, and the client waits for `100 Continue` before it sends them. Said once per request.
    Waiting,
    /// The next request; the following one may already be in the inbox.
    Whole(Request),
}

/// Bytes received on a connection, and the request being read from them.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    max_body: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Head, Body),
}

#[derive(Debug)]
enum Body {
    /// This many bytes.
    Length(usize),
    Chunked(Chunks),
}

impl Inbox {
    /// Takes bodies of at most `max_body` bytes.
    pub(crate) fn new(max_body: usize) -> Self {
        Inbox {
            bytes: Vec::new(),
            max_body,
            stage: Stage::Head,
        }
    }

    /// Where the socket is to append what it reads.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes that wait here for a request to be completed or taken.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next request, if it is whole.
    pub(crate) fn next(&mut self) -> Result<Progress, Refusal> {
        let mut waiting = false;
        if let Stage::Head = self.stage {
            let Some((head, body, expects_continue, length)) = parse_head(&self.bytes)? else {
                return Ok(Progress::Partial);
            };
            if matches!(body, Body::Length(length) if length > self.max_body) {
                return Err(Refusal::BodyTooLarge);
            }
            self.consume(length);
            waiting = expects_continue && self.bytes.is_empty();
            self.stage = Stage::Body(head, body);
        }
        let Some(body) = self.next_body()? else {
            return Ok(if waiting { Progress::Waiting } else { Progress::Partial });
        };
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Body(head, _) => Ok(Progress::Whole(Request { head, body })),
            Stage::Head => Ok(Progress::Partial),
        }
    }

    /// The body of the request whose head is there, if it is whole.
    fn next_body(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match &mut self.stage {
            Stage::Body(_, Body::Length(length)) => {
                let length = *length;
                let Some(body) = self.bytes.get(..length) else {
                    return Ok(None);
                };
                let body = body.to_vec();
                self.consume(length);
                Ok(Some(body))
            }
            Stage::Body(_, Body::Chunked(chunks)) => {
                let (used, done) = chunks.feed(&self.bytes, self.max_body)?;
                let body = done.then(|| std::mem::take(&mut chunks.body));
                self.consume(used);
                Ok(body)
            }
            Stage::Head => Ok(None),
        }
    }

    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_CAPACITY {
            self.bytes = Vec::new();
        }
    }
}

/// Reads a head: itself, how its body is framed, whether the client waits for `100 Continue`, and its length.
/// None while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Body, bool, usize)>, Refusal> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut slots);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(httparse::Error::HeaderName) => return Err(Refusal::Malformed("invalid header name")),
        Err(httparse::Error::HeaderValue) => return Err(Refusal::Malformed("invalid header value")),
        Err(httparse::Error::NewLine) => return Err(Refusal::Malformed("invalid line end")),
        Err(httparse::Error::Version) => return Err(Refusal::Malformed("not HTTP/1.0 or HTTP/1.1")),
        Err(_) => return Err(Refusal::Malformed("invalid request line")),
    };
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), text(header.value).into_owned()))
        .collect();
    let (path, query) = target(parsed.path.unwrap_or_default());
    let old = parsed.version == Some(0);
    let body = framing(&headers)?;
    let head = Head {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        keep_alive: !has_token(&headers, "connection", "close")
            && (!old || has_token(&headers, "connection", "keep-alive")),
        old,
        headers,
    };
    let expects_continue = !old && has_token(&head.headers, "expect", "100-continue");
    Ok(Some((head, body, expects_continue, length)))
}

fn text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

/// Path and query of a request target in origin form (`/a?b`) or absolute form (`http://host/a?b`, as sent to proxies).
fn target(target: &str) -> (&str, &str) {
    let rest = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => match rest.find(['/', '?']) {
            Some(at) => &rest[at..],
            None => "/",
        },
        _ => target,
    };
    rest.split_once('?').unwrap_or((rest, ""))
}

/// How the body is framed. A message with two answers to that is refused, as RFC 9112 §6.3 asks.
fn framing(headers: &[(String, String)]) -> Result<Body, Refusal> {
    let mut length = None;
    let mut chunked = false;
    for (name, value) in headers {
        match name.as_str() {
            "transfer-encoding" if value.trim().eq_ignore_ascii_case("chunked") => chunked = true,
            "transfer-encoding" => return Err(Refusal::UnknownCoding),
            "content-length" => {
                let digits = value.trim();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Refusal::Malformed("content-length is not a number"));
                }
                // More digits than fit are a body that is too large, whatever the number.
                let named = digits.parse().unwrap_or(usize::MAX);
                if length.is_some_and(|earlier| earlier != named) {
                    return Err(Refusal::Malformed("two different content-lengths"));
                }
                length = Some(named);
            }
            _ => {}
        }
    }
    match (chunked, length) {
        (true, Some(_)) => Err(Refusal::Malformed("both content-length and transfer-encoding")),
        (true, None) => Ok(Body::Chunked(Chunks::default())),
        (false, length) => Ok(Body::Length(length.unwrap_or(0))),
    }
}

fn has_token(headers: &[(String, String)], name: &str, token: &str) -> bool {
    headers
        .iter()
        .filter(|(key, _)| key == name)
        .flat_map(|(_, value)| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// What an inbox has made of bytes, for the fuzz target.
#[cfg(feature = "internals")]
#[derive(Debug, PartialEq, Eq)]
pub struct RequestsRead {
    /// The requests, as text.
    pub requests: Vec<String>,
    /// How long their bodies are.
    pub bodies: Vec<usize>,
    /// Why no more can be read, where that is so.
    pub refusal: Option<String>,
}

/// Reads requests with bodies of at most `max_body` bytes from bytes that come in pieces.
///
/// # Panics
/// Where more waits to be read than a head, or a body with its frame, may take.
#[cfg(feature = "internals")]
pub fn read_requests<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, max_body: usize) -> RequestsRead {
    let mut inbox = Inbox::new(max_body);
    let mut read = RequestsRead {
        requests: Vec::new(),
        bodies: Vec::new(),
        refusal: None,
    };
    for piece in pieces {
        inbox.buffer().extend_from_slice(piece);
        loop {
            match inbox.next() {
                Ok(Progress::Whole(request)) => {
                    read.bodies.push(request.body.len());
                    read.requests.push(format!("{request:?}"));
                }
                Ok(Progress::Partial | Progress::Waiting) => break,
                Err(refusal) => {
                    read.refusal = Some(format!("{refusal:?}"));
                    return read;
                }
            }
        }
        assert!(inbox.len() <= MAX_HEAD.max(max_body), "{} bytes wait", inbox.len());
    }
    read
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The head of a plain HTTP/1.1 request.
    pub(crate) fn head(method: &str) -> Head {
        Head {
            method: method.to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: vec![],
            keep_alive: true,
            old: false,
        }
    }

    /// Feeds `input` in two parts cut at every place and returns what came out, which must not depend on the cut.
    fn read_all(input: &[u8]) -> (Vec<Request>, Option<Refusal>) {
        let whole = read_parts(&[input]);
        for cut in 0..input.len() {
            let parts = read_parts(&[&input[..cut], &input[cut..]]);
            assert_eq!(parts, whole, "cut at {cut}");
        }
        whole
    }

    fn read_parts(parts: &[&[u8]]) -> (Vec<Request>, Option<Refusal>) {
        let mut inbox = Inbox::new(1000);
        let mut requests = Vec::new();
        for part in parts {
            inbox.buffer().extend_from_slice(part);
            loop {
                match inbox.next() {
                    Ok(Progress::Whole(request)) => requests.push(request),
                    Ok(Progress::Partial | Progress::Waiting) => break,
                    Err(refusal) => return (requests, Some(refusal)),
                }
            }
        }
        (requests, None)
    }

    #[test]
    fn a_body_is_the_same_whether_by_length_or_in_chunks_and_wherever_it_is_cut() {
        let inputs: [&[u8]; 4] = [
            b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n",
            b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n",
            b"\r\nPOST http://x:80/a?b=c HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello",
        ];
        for input in inputs {
            let (requests, refusal) = read_all(input);
            assert_eq!(refusal, None);
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].body, b"hello");
            let head = &requests[0].head;
            assert_eq!((&*head.method, &*head.path, &*head.query), ("POST", "/a", "b=c"));
            assert_eq!(head.headers[0], ("host".to_owned(), "x".to_owned()));
            assert!(head.keep_alive);
        }
    }

    #[test]
    fn pipelined_requests_come_out_one_by_one() {
        let (requests, refusal) = read_all(
            b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\ncontent-length: 2\r\n\r\nokPOST /3 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /4 HTTP/1.1\r\n\r\n",
        );
        assert_eq!(refusal, None);
        let paths: Vec<_> = requests.iter().map(|request| &*request.head.path).collect();
        assert_eq!(paths, ["/1", "/2", "/3", "/4"]);
        assert_eq!(requests[1].body, b"ok");
    }

    #[test]
    fn what_cannot_be_taken_is_refused_for_its_reason() {
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
        let rows: [(&[u8], Refusal); 13] = [
            (
                b"\x16\x03\x01\x02\x00\x01\x00",
                Refusal::Malformed("invalid request line"),
            ),
            (
                b"GET / HTTP/2.0\r\n\r\n",
                Refusal::Malformed("not HTTP/1.0 or HTTP/1.1"),
            ),
            (
                b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
                Refusal::Malformed("invalid header name"),
            ),
            (
                b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                Refusal::Malformed("content-length is not a number"),
            ),
            (
                b"GET / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
                Refusal::Malformed("content-length is not a number"),
            ),
            (
                b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                Refusal::Malformed("two different content-lengths"),
            ),
            (
                b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                Refusal::Malformed("both content-length and transfer-encoding"),
            ),
            (
                b"GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
                Refusal::UnknownCoding,
            ),
            (b"GET / HTTP/1.1\r\ncontent-length: 1001\r\n\r\n", Refusal::BodyTooLarge),
            (
                b"GET / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
                Refusal::BodyTooLarge,
            ),
            (
                b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n",
                Refusal::BodyTooLarge,
            ),
            (
                b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
                Refusal::Malformed("no line end after a chunk"),
            ),
            (
                b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
                Refusal::Malformed("invalid chunk size"),
            ),
        ];
        for (input, expected) in rows {
            assert_eq!(read_all(input), (vec![], Some(expected)), "{}", input.escape_ascii());
        }
        assert_eq!(read_parts(&[long.as_bytes()]).1, Some(Refusal::HeadTooLarge));
        assert_eq!(read_parts(&[many.as_bytes()]).1, Some(Refusal::HeadTooLarge));
    }

    #[test]
    fn a_head_without_end_is_refused_before_it_fills_the_memory() {
        let mut inbox = Inbox::new(1000);
        inbox.buffer().extend_from_slice(b"GET / HTTP/1.1\r\nx: ");
        inbox.buffer().extend(std::iter::repeat_n(b'y', MAX_HEAD));
        assert_eq!(inbox.next(), Err(Refusal::HeadTooLarge));
        let mut trailers = Inbox::new(1000);
        trailers
            .buffer()
            .extend_from_slice(b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n");
        trailers.buffer().extend(b"x: y\r\n".repeat(MAX_HEAD / 6 + 1));
        assert_eq!(trailers.next(), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn a_client_that_expects_100_is_told_once_and_only_if_it_waits() {
        let head = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        let mut inbox = Inbox::new(1000);
        inbox.buffer().extend_from_slice(head);
        assert_eq!(inbox.next(), Ok(Progress::Waiting));
        assert_eq!(inbox.next(), Ok(Progress::Partial));
        inbox.buffer().extend_from_slice(b"ok");
        assert!(matches!(inbox.next(), Ok(Progress::Whole(request)) if request.body == b"ok"));
        inbox.buffer().extend_from_slice(head);
        inbox.buffer().extend_from_slice(b"o");
        assert_eq!(inbox.next(), Ok(Progress::Partial), "the body is already on its way");
    }

    #[test]
    fn a_connection_is_kept_by_the_rules_of_its_version() {
        let rows: [(&[u8], bool); 5] = [
            (b"GET / HTTP/1.1\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nconnection: TE, Close\r\n\r\n", false),
            (b"GET / HTTP/1.0\r\n\r\n", false),
            (b"GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nconnection: keep-alive\r\n\r\n", true),
        ];
        for (input, expected) in rows {
            let (requests, _) = read_all(input);
            assert_eq!(requests[0].head.keep_alive, expected, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn an_emptied_inbox_keeps_no_large_buffer() {
        let mut inbox = Inbox::new(1_000_000);
        let head = b"POST / HTTP/1.1\r\ncontent-length: 500000\r\n\r\n";
        inbox.buffer().extend_from_slice(head);
        inbox.buffer().extend(std::iter::repeat_n(b'x', 500_000));
        assert!(matches!(inbox.next(), Ok(Progress::Whole(_))));
        assert!(inbox.buffer().capacity() <= KEPT_CAPACITY);
    }
}
