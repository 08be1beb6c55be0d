//! The head of a reply: what it says of the body, and what the client is given of it.

use httparse::Status;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::transport::wire::BUFFER_SIZE;

/// Headers that the client's parser takes.
pub(in crate::transport::wire) const CLIENT_HEADERS: usize = 128;
/// Most headers of a reply.
pub(super) const MOST_HEADERS: usize = 4096;
/// A longer head is looked through once it is whole, and not again for each piece of it.
const LOOKED_THROUGH: usize = 4096;

/// A head that has come whole.
pub(super) struct Head {
    pub(super) length: usize,
    /// 0 where it is no HTTP.
    pub(super) status: u16,
    pub(super) is_provisional: bool,
    pub(super) framing: Framing,
    /// What the client is given in its place, and all of its headers.
    pub(super) shortened: Option<(Vec<u8>, HeaderMap)>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
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
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
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
        let shortened = !fits || length > BUFFER_SIZE / 2 || odd_gzip;
        Head {
            length,
            status,
            is_provisional: matches!(status, 100 | 102..200),
            framing: Framing::of(parsed),
            shortened: shortened.then(|| shortened_head(parsed, bytes, odd_gzip)),
        }
    }
}

/// The same head with the headers alone that the client goes by, and all headers, but those of a coding that it undoes. Never
/// longer than what it replaces, whose lines may end in line feeds alone, and before which blank lines may stand.
fn shortened_head(parsed: &httparse::Response<'_, '_>, bytes: &[u8], odd_gzip: bool) -> (Vec<u8>, HeaderMap) {
    const KEPT: [HeaderName; 4] = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
    ];
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let bytes = &bytes[begin.unwrap_or(0)..];
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
            short.extend_from_slice(b"\n");
        }
        headers.append(name, value);
    }
    short.extend_from_slice(b"\n");
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
