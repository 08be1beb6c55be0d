//! Exchanges of which no byte may be logged: those that carry secrets in their bodies, as requests for tokens and their
//! replies do.
//!
//! The HTTP client writes each byte that it sends and receives to its log, at level trace. So it makes the connection here,
//! with everything that belongs to that (name, proxy, TLS), and HTTP is spoken past it: one request on a connection of its
//! own, one reply. The connector does that, and hands the client an error in place of a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ureq::Agent;
use ureq::http::Uri;
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport};

use super::call::{CurrentCall, current};
use super::connect::{NoResolver, Told, WireConnector};
use super::incoming::CLIENT_HEADERS;
use super::link::Link;
use super::names::Names;
use super::strays::Strays;
use super::tls::Trust;
use super::{Authorities, BUFFER_SIZE, Proxies, WireError, WireSettings, fault, headers};
use crate::api::Headers;
use crate::api::kind::Kind;
use crate::api::withheld::{Mask, secrets_of_header, secrets_of_proxy};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{Limits, Target};

/// Longest reply that is read.
const REPLY_MAX: usize = 1024 * 1024;

/// What a request for a token says of itself; the other fields are what it proves itself by.
const HARMLESS: [&str; 6] = [
    "client_assertion_type",
    "client_id",
    "grant_type",
    "redirect_uri",
    "response_type",
    "scope",
];

/// Makes exchanges of which no byte is logged.
pub(crate) struct PrivateClient {
    trust: Arc<Trust>,
    proxies: Proxies,
    names: Arc<Names>,
}

/// A request.
pub(crate) struct PrivateRequest<'a> {
    /// `GET` or `POST`.
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    /// Without `host`, `content-length` and `connection`.
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// Whether it may go through a proxy.
    pub(crate) proxied: bool,
    /// Longest time to resolve, connect and finish the TLS handshake.
    pub(crate) connect: Duration,
    /// Longest time of the whole exchange.
    pub(crate) total: Duration,
}

/// A reply.
pub(crate) struct PrivateReply {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl PrivateClient {
    /// # Errors
    /// Where the settings cannot be used.
    pub(crate) fn new(settings: &WireSettings) -> Result<Self, WireError> {
        let authorities = settings.ca_file.as_deref().map(Authorities::read).transpose()?;
        Ok(PrivateClient {
            trust: Arc::new(Trust::new(authorities.as_ref())),
            proxies: Proxies::of(settings)?,
            names: Arc::new(Names::new()),
        })
    }

    /// Sends a request and reads the whole reply, whatever its status; follows no redirect.
    ///
    /// # Errors
    /// Where no whole reply came. What the other side says, there and in a refusal, is told without what it was sent.
    pub(crate) fn exchange(&self, request: &PrivateRequest<'_>) -> Result<PrivateReply, Fault> {
        match self.exchanged(request) {
            Ok(mut reply) if !(200..300).contains(&reply.status) => {
                reply.body = self.mask(request).hide_in(&reply.body).into_owned();
                Ok(reply)
            }
            Ok(reply) => Ok(reply),
            Err(fault) => Err(Fault {
                message: self.mask(request).hide(&fault.message).into_owned(),
                ..fault
            }),
        }
    }

    /// Hides what this request carries that is secret, and what its proxy is told.
    fn mask(&self, request: &PrivateRequest<'_>) -> Mask {
        let headers = request.headers.iter();
        let headers = headers.flat_map(|(name, value)| secrets_of_header(name, value));
        let form = std::str::from_utf8(request.body).unwrap_or_default();
        let fields = form.split('&').filter_map(|field| field.split_once('='));
        let fields = fields.filter(|(name, _)| !HARMLESS.contains(name));
        let fields = fields.map(|(_, value)| value.to_owned());
        let proxies = ["http://h", "https://h"].into_iter().filter(|_| request.proxied);
        let proxies = proxies.filter_map(|origin| {
            let target = Target::new(Kind::OpenAi, origin, "", "").ok()?;
            let proxy = self.proxies.way_to(&target).ok()?.proxy?;
            Some(secrets_of_proxy(proxy.username()?, proxy.password()?))
        });
        Mask::of(headers.chain(fields).chain(proxies.flatten()))
    }

    fn exchanged(&self, request: &PrivateRequest<'_>) -> Result<PrivateReply, Fault> {
        let wrong = |problem: &str| Fault::new(FaultKind::Protocol, Phase::NotWritten, problem);
        let uri: Uri = request.url.parse().map_err(|_| wrong("the URL makes no sense"))?;
        let origin = origin(&uri);
        let agent = self.agent(&origin, request.proxied)?;
        let limits = Limits {
            connect: request.connect,
            first_byte: request.total,
            first_content: request.total,
            idle: request.total,
            deadline: clock::now() + request.total,
        };
        let exchange = Arc::new(Exchange {
            request: bytes(request, &uri)?,
            reply: Mutex::new(None),
        });
        let call = CurrentCall::new(0, limits, Arc::from([]));
        let ended = {
            let _sending = call.begin();
            let _exchanging = exchange.begin();
            // The client is told where to connect to, and nothing else of the request.
            agent.get(&origin).call()
        };
        if let Some(reply) = exchange.reply.lock().take() {
            return reply;
        }
        match ended {
            Err(error) => Err(fault::of(error, &call)),
            Ok(_) => Err(wrong("the HTTP client did not connect")),
        }
    }

    /// A client that connects to this place; used for one exchange, as there are few.
    fn agent(&self, origin: &str, proxied: bool) -> Result<Agent, Fault> {
        let unsent = |problem: String| Fault::new(FaultKind::Protocol, Phase::NotWritten, problem);
        let target = Target::new(Kind::OpenAi, origin, "", "").map_err(unsent)?;
        let proxy = match proxied {
            true => {
                let way = self.proxies.way_to(&target);
                way.map_err(|error| unsent(error.to_string()))?.proxy
            }
            false => None,
        };
        let config = Agent::config_builder()
            .proxy(proxy)
            .user_agent(headers::AGENT_NAME)
            .input_buffer_size(BUFFER_SIZE)
            .output_buffer_size(BUFFER_SIZE)
            .build();
        let connector = WireConnector {
            endpoint: 0,
            strays: Strays::of(&"a source of tokens".into()),
            told: Arc::new(Told::new()),
            names: Arc::clone(&self.names),
            trust: Arc::clone(&self.trust),
        };
        Ok(Agent::with_parts(config, PrivateConnector(connector), NoResolver))
    }
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}/")
}

/// The request as it is sent.
fn bytes(request: &PrivateRequest<'_>, uri: &Uri) -> Result<Vec<u8>, Fault> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!(
        "{} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nuser-agent: {}\r\n",
        request.method,
        headers::AGENT_NAME
    );
    for (name, value) in request.headers {
        let is_sendable = |text: &str| !text.bytes().any(|byte| byte.is_ascii_control());
        if !is_sendable(name) || !is_sendable(value) {
            let problem = format!("the header {name:?} holds characters that no HTTP header may hold");
            return Err(Fault::new(FaultKind::Protocol, Phase::NotWritten, problem));
        }
        head += &format!("{name}: {value}\r\n");
    }
    if request.method != "GET" {
        head += &format!("content-length: {}\r\n", request.body.len());
    }
    Ok([head.as_bytes(), b"\r\n", request.body].concat())
}

/// One exchange in progress: of the thread that makes it, as the call is.
struct Exchange {
    request: Vec<u8>,
    reply: Mutex<Option<Result<PrivateReply, Fault>>>,
}

thread_local! {
    static EXCHANGE: std::cell::RefCell<Option<Arc<Exchange>>> = const { std::cell::RefCell::new(None) };
}

/// The thread's exchange, until dropped.
struct Exchanging(());

impl Drop for Exchanging {
    fn drop(&mut self) {
        EXCHANGE.set(None);
    }
}

impl Exchange {
    fn begin(self: &Arc<Self>) -> Exchanging {
        EXCHANGE.set(Some(Arc::clone(self)));
        Exchanging(())
    }
}

/// Makes a connection and speaks on it, so that the client never gets it.
struct PrivateConnector(WireConnector);

impl Connector for PrivateConnector {
    type Out = Link;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Link>, ureq::Error> {
        let link = self.0.connect(details, chained)?;
        let call = current().ok_or(ureq::Error::ConnectionFailed)?;
        let exchange = EXCHANGE
            .with_borrow(Clone::clone)
            .ok_or(ureq::Error::ConnectionFailed)?;
        let mut link = link.ok_or(ureq::Error::ConnectionFailed)?;
        let reply = speak(&mut link, &exchange.request, &call);
        *exchange.reply.lock() = Some(reply.map_err(|error| match error {
            Spoken::Client(error) => fault::of(error, &call),
            Spoken::Fault(fault) => fault,
        }));
        Err(ureq::Error::ConnectionFailed)
    }
}

impl fmt::Debug for PrivateConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateConnector").finish_non_exhaustive()
    }
}

/// What broke an exchange.
enum Spoken {
    Client(ureq::Error),
    Fault(Fault),
}

impl From<ureq::Error> for Spoken {
    fn from(error: ureq::Error) -> Self {
        Spoken::Client(error)
    }
}

fn speak(link: &mut Link, request: &[u8], call: &CurrentCall) -> Result<PrivateReply, Spoken> {
    // All limits are the call's.
    let timeout = NextTimeout::default();
    let mut rest = request;
    while !rest.is_empty() {
        let output = link.buffers().output();
        let (now, later) = rest.split_at(rest.len().min(output.len()));
        output[..now.len()].copy_from_slice(now);
        link.transmit_output(now.len(), timeout)?;
        rest = later;
    }
    let mut received = Vec::new();
    let broken = |kind, words: &str| Spoken::Fault(call.fault(kind, words));
    loop {
        let is_open = link.maybe_await_input(timeout)?;
        let buffers = link.buffers();
        let input = buffers.input();
        received.extend_from_slice(input);
        let amount = input.len();
        buffers.input_consume(amount);
        if received.len() > REPLY_MAX {
            return Err(broken(FaultKind::TooLarge, "the reply is larger than 1 MiB"));
        }
        let has_ended = !is_open || amount == 0;
        match parse(&received, has_ended) {
            Parsed::Whole(mut reply) => {
                if let Some(all) = call.take_headers() {
                    reply.headers = Headers::from(all);
                }
                return Ok(reply);
            }
            Parsed::Broken(words) => return Err(broken(FaultKind::Protocol, words)),
            Parsed::Partial if has_ended => {
                return Err(broken(
                    FaultKind::Closed,
                    "the connection was closed before the reply was whole",
                ));
            }
            Parsed::Partial => {}
        }
    }
}

enum Parsed {
    Whole(PrivateReply),
    Partial,
    Broken(&'static str),
}

/// The reply in `received`, after which nothing comes where it `has_ended`. The connection has brought it into the form that the
/// client takes: there is nothing before its head, which is short.
fn parse(received: &[u8], has_ended: bool) -> Parsed {
    let mut slots = [httparse::EMPTY_HEADER; CLIENT_HEADERS];
    let mut head = httparse::Response::new(&mut slots);
    let begin = match head.parse(received) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Broken("what came is not HTTP"),
    };
    let body = &received[begin..];
    let status = head.code.unwrap_or_default();
    let mut headers = Headers::new();
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        // One that is not kept means nothing to us.
        let _ = headers.insert(header.name, value.trim());
    }
    let named = |name| headers.get(name).map(str::to_ascii_lowercase);
    let body = if named("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        match dechunked(body) {
            Ok(Some(body)) => body,
            Ok(None) => return Parsed::Partial,
            Err(()) => return Parsed::Broken("the chunks of the reply make no sense"),
        }
    } else if let Some(length) = named("content-length") {
        match length.parse() {
            Ok(length) if body.len() >= length => body[..length].to_vec(),
            Ok(_) => return Parsed::Partial,
            Err(_) => return Parsed::Broken("the content-length of the reply is no number"),
        }
    } else if has_ended || matches!(status, 204 | 304) {
        body.to_vec()
    } else {
        return Parsed::Partial;
    };
    Parsed::Whole(PrivateReply { status, headers, body })
}

/// The content of a chunked body; none where it is not whole yet.
fn dechunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, ()> {
    let mut body = Vec::new();
    loop {
        let (begin, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(()),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).map_err(|_| ())?;
        let end = begin.checked_add(size).ok_or(())?;
        let Some(chunk) = rest.get(begin..end) else {
            return if size > REPLY_MAX { Err(()) } else { Ok(None) };
        };
        body.extend_from_slice(chunk);
        match rest.get(end..end + 2) {
            Some(b"\r\n") => rest = &rest[end + 2..],
            Some(_) => return Err(()),
            None => return Ok(None),
        }
    }
}

impl fmt::Debug for PrivateClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateClient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str, has_ended: bool) -> Option<(u16, String)> {
        match parse(text.as_bytes(), has_ended) {
            Parsed::Whole(reply) => Some((reply.status, String::from_utf8(reply.body).unwrap())),
            Parsed::Partial => None,
            Parsed::Broken(words) => panic!("{words}: {text}"),
        }
    }

    #[test]
    fn a_reply_is_whole_when_its_framing_says_so_and_not_before() {
        let rows = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", 200, "abc"),
            ("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", 400, ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
                200,
                "abcde",
            ),
            ("HTTP/1.1 204 None\r\n\r\n", 204, ""),
        ];
        for (text, status, body) in rows {
            assert_eq!(whole(text, false), Some((status, body.to_owned())), "{text}");
            let framed = text.len() - if text.contains("chunked") { 4 } else { 1 };
            for end in 0..framed {
                if let Some((_, found)) = whole(&text[..end], false) {
                    panic!("{found} of {:?}", &text[..end]);
                }
            }
        }
        let unframed = "HTTP/1.1 200 OK\r\n\r\nabc";
        assert_eq!(whole(unframed, false), None);
        assert_eq!(whole(unframed, true), Some((200, "abc".to_owned())));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\na",
        ] {
            assert!(matches!(parse(text.as_bytes(), true), Parsed::Broken(_)), "{text}");
        }
    }
}
