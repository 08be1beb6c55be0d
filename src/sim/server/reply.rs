//! Writes HTTP/1.1 replies into bytes, whole ones and those that are meant to end badly. Pure.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::SystemTime;

use super::super::plan::{Ending, Plan};
use super::refusal::Refusal;
use super::request::Head;

/// How much a body that is to be cut promises beyond what is sent, in bytes.
const MISSING: usize = 1000;

/// How a reply's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By `content-length`, which is larger than what is sent where the body is to be cut.
    Length(usize),
    /// In chunks.
    Chunked,
    /// By the end of the connection, for HTTP/1.0 clients.
    UntilClose,
    /// The reply has no body by its nature: to `HEAD`, or 204 or 304.
    Bodiless,
}

impl Framing {
    /// The framing that `plan` needs towards the client that sent `request`.
    pub(crate) fn of(plan: &Plan, request: &Head) -> Self {
        let length: usize = plan.body.iter().map(|piece| piece.bytes.len()).sum();
        let at_once = plan.body.len() <= 1 && plan.body.iter().all(|piece| piece.at <= plan.head_at);
        match plan.ending {
            _ if request.method == "HEAD" || matches!(plan.status, 204 | 304) => Framing::Bodiless,
            Ending::Clean if at_once => Framing::Length(length),
            Ending::Cut if at_once => Framing::Length(length + MISSING),
            _ if request.old => Framing::UntilClose,
            _ => Framing::Chunked,
        }
    }

    /// Appends a piece of the body. An empty one leaves no trace: as a chunk it would end the body.
    pub(crate) fn piece(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            _ if bytes.is_empty() => {}
            Framing::Bodiless => {}
            Framing::Length(_) | Framing::UntilClose => out.extend_from_slice(bytes),
            Framing::Chunked => {
                push(out, format_args!("{:x}\r\n", bytes.len()));
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Appends what says that the body is complete.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        if self == Framing::Chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// Appends the status line and the headers of `plan`, with `date`, the framing and `connection` added.
pub(crate) fn head(out: &mut Vec<u8>, plan: &Plan, framing: Framing, connection: Option<&str>, wall: SystemTime) {
    status_line(out, plan.status);
    for (name, value) in &plan.headers {
        header(out, name, value);
    }
    push(out, format_args!("date: {}\r\n", httpdate::HttpDate::from(wall)));
    match framing {
        Framing::Length(length) => push(out, format_args!("content-length: {length}\r\n")),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::UntilClose | Framing::Bodiless => {}
    }
    if let Some(connection) = connection {
        header(out, "connection", connection);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole reply to a request that was refused before the model could see it.
///
/// The 431 is HTML, as the service sends it (wire §4.4); the others have the service's envelope.
pub(crate) fn refusal(out: &mut Vec<u8>, refusal: Refusal, wall: SystemTime) {
    let (status, message) = match refusal {
        Refusal::Malformed(what) => (400, what),
        Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
        Refusal::BodyTooLarge => (413, "request body too large for this simulator"),
        Refusal::UnknownCoding => (501, "only the transfer coding `chunked` is known"),
    };
    let (kind, body) = match refusal {
        Refusal::HeadTooLarge => (
            "text/html",
            format!("<html><head><title>{message}</title></head><body><h1>{message}</h1></body></html>"),
        ),
        _ => (
            "application/json",
            format!(r#"{{"error":{{"code":"{status}","message":"{message}"}}}}"#),
        ),
    };
    status_line(out, status);
    header(out, "content-type", kind);
    push(
        out,
        format_args!(
            "date: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            httpdate::HttpDate::from(wall),
            body.len(),
        ),
    );
}

fn status_line(out: &mut Vec<u8>, status: u16) {
    push(out, format_args!("HTTP/1.1 {status} {}\r\n", reason(status)));
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(one_line(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A header value from a configuration may hold a line end; it must not become a header of its own.
fn one_line(value: &str) -> Cow<'_, str> {
    match value.contains(['\r', '\n']) {
        true => Cow::Owned(value.replace(['\r', '\n'], " ")),
        false => Cow::Borrowed(value),
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec cannot fail");
}

/// The usual phrase of a status; clients must not rely on it, people read it in traces.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        424 => "Failed Dependency",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::plan::{Note, Piece};
    use super::*;

    fn request(method: &str, old: bool) -> Head {
        Head {
            old,
            ..super::super::request::tests::head(method)
        }
    }

    fn plan(status: u16, pieces: &[(u64, &'static str)], ending: Ending) -> Plan {
        Plan {
            head_at: Duration::from_millis(10),
            status,
            headers: vec![("x-a".into(), "b".into())],
            body: pieces
                .iter()
                .map(|&(at, text)| Piece {
                    at: Duration::from_millis(at),
                    bytes: text.as_bytes().into(),
                })
                .collect(),
            ending,
            deployment: None,
            note: Note::default(),
        }
    }

    #[test]
    fn a_body_is_framed_as_its_plan_and_client_need_it() {
        use Ending::{Clean, Cut, Reset, Stall};
        use Framing::{Bodiless, Chunked, Length, UntilClose};
        let rows: [(Plan, Head, Framing); 13] = [
            (plan(200, &[(10, "abc")], Clean), request("POST", false), Length(3)),
            (plan(200, &[], Clean), request("POST", false), Length(0)),
            (plan(200, &[(11, "abc")], Clean), request("POST", false), Chunked),
            (
                plan(200, &[(0, "abc"), (0, "d")], Clean),
                request("POST", false),
                Chunked,
            ),
            (
                plan(200, &[(0, "abc"), (0, "d")], Clean),
                request("POST", true),
                UntilClose,
            ),
            (plan(200, &[(0, "abc")], Clean), request("POST", true), Length(3)),
            (
                plan(200, &[(0, "abc")], Cut),
                request("POST", false),
                Length(3 + MISSING),
            ),
            (plan(200, &[], Cut), request("POST", false), Length(MISSING)),
            (plan(200, &[(0, "abc"), (0, "d")], Cut), request("POST", false), Chunked),
            (plan(200, &[(0, "abc")], Stall), request("POST", false), Chunked),
            (plan(200, &[(0, "abc")], Reset), request("POST", false), Chunked),
            (plan(204, &[], Clean), request("POST", false), Bodiless),
            (plan(200, &[(0, "abc")], Clean), request("HEAD", false), Bodiless),
        ];
        for (plan, request, expected) in rows {
            assert_eq!(Framing::of(&plan, &request), expected, "{plan:?} {request:?}");
        }
    }

    #[test]
    fn a_head_ends_with_what_the_server_adds() {
        let mut out = Vec::new();
        let mut plan = plan(429, &[], Ending::Clean);
        plan.headers.push(("x-echo".into(), "a\r\nevil: b".into()));
        head(
            &mut out,
            &plan,
            Framing::Length(5),
            Some("close"),
            SystemTime::UNIX_EPOCH,
        );
        let expected = "HTTP/1.1 429 Too Many Requests\r\nx-a: b\r\nx-echo: a  evil: b\r\n\
             date: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_empty_piece_does_not_end_a_chunked_body() {
        let mut out = Vec::new();
        Framing::Chunked.piece(&mut out, b"hello, world");
        Framing::Chunked.piece(&mut out, b"");
        Framing::Chunked.end(&mut out);
        assert_eq!(out, b"c\r\nhello, world\r\n0\r\n\r\n");
    }
}
