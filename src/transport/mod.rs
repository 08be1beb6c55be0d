//! The way to the service, behind one trait: a request goes to an endpoint, a reply's head and body come back.
//!
//! Two implementations come with the library: HTTP over ureq, which every blaster uses unless told otherwise, and
//! [`testing::Scripted`](crate::testing::Scripted) in memory. For one of your own implement [`Transport`] and hand it
//! to [`Builder::transport`](crate::Builder::transport); what goes wrong below HTTP is told as a [`Fault`]. A transport that
//! hands calls on to another one, and notes them:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! use azure_openai_blaster::Blaster;
//! use azure_openai_blaster::error::fault::Fault;
//! use azure_openai_blaster::testing::Scripted;
//! use azure_openai_blaster::transport::{Call, Observer, Reply, Transport};
//!
//! struct Counted<T> {
//!     inner: T,
//!     bytes: Arc<AtomicUsize>,
//! }
//!
//! impl<T: Transport> Transport for Counted<T> {
//!     fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
//!         self.bytes.fetch_add(call.body.len(), Ordering::Relaxed);
//!         self.inner.send(call) // waits until the head is there, or `call.limits` or `call.gate` ends the wait
//!     }
//!
//!     fn bind(&self, names: &[Arc<str>]) {
//!         self.inner.bind(names);
//!     }
//!
//!     fn observe(&self, observer: Arc<dyn Observer>) {
//!         self.inner.observe(observer);
//!     }
//! }
//!
//! let bytes = Arc::new(AtomicUsize::new(0));
//! let transport = Counted { inner: Scripted::answering("yes"), bytes: Arc::clone(&bytes) };
//! let blaster = Blaster::builder().transport(transport).build()?;
//! assert_eq!(blaster.chat_text("Does it count?")?, "yes");
//! assert!(bytes.load(Ordering::Relaxed) > 0);
//! # Ok::<(), azure_openai_blaster::Error>(())
//! ```
//!
//! One that sends by itself makes a [`Reply`] of a status, [`Headers`] and a [`Body`] over anything that reads, and ends its
//! waits by [`Call::limits`]; [`Gate::watch`] lets it be cancelled.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{Headers, Operation, Secret};
use crate::error::fault::{Fault, FaultKind, Phase};

pub use crate::api::Method;
pub use gate::{Gate, Interrupt};
pub use observer::Observer;

pub(crate) use auth::Auth;
pub(crate) use target::Target;
pub(crate) use wire::UreqTransport;

mod auth;
mod gate;
mod observer;
pub(crate) mod place;
pub(crate) mod scripted;
// `internals` shows it.
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub(crate) mod sse;
pub(crate) mod target;
pub(crate) mod wire;

/// Most bytes of a (decompressed) body that are read into memory: 64 MiB.
///
/// The largest replies seen are embeddings: 2,048 inputs × 3,072 numbers as text are about 70 % of it. While a reply is
/// read, itself and all that is made of it take at most four times as much, whatever it holds; while a stream is read, six
/// times.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// 5 s, the longest time for the body of a reply that is no success, from its head on: what the head says is worth more than
/// the words, and is not kept waiting for them.
pub const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// Most bytes that are read behind a whole answer in search of the end of the body: more than that costs more than a new
/// connection.
const MOST_DRAINED: u64 = 64 * 1024;

/// Most memory that is set aside because a reply announces its length; beyond it memory grows with what arrives.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Least room that is set aside for a body whose length is not known.
const LEAST_ROOM: usize = 4 * 1024;

/// Bytes by which it is found out whether anything comes behind what there is room for.
const PROBE: u64 = 32;

/// Sends requests to endpoints, blocking the calling thread.
///
/// Of what comes back the engine hides the secrets that it knows of: keys and header values of the configuration, and secret
/// headers of the request. A transport that brings a credential of its own hides it in its replies and faults itself.
pub trait Transport: Send + Sync {
    /// Sends `call` and returns when the reply's head is there; the body is read from the reply.
    ///
    /// Never tries again, never follows a redirect: every call is at most one request that leaves the machine.
    ///
    /// # Errors
    /// A [`Fault`] where no head came. Any status with a head is `Ok`.
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault>;

    /// Learns the endpoints' names, by position; called once, when the blaster is built.
    fn bind(&self, names: &[Arc<str>]) {
        let _ = names;
    }

    /// Learns who is to be told of new connections; called once, after [`Transport::bind`] and before the first call.
    ///
    /// The default tells nobody, and then a request counts as on its way from the moment in which it is sent: right for
    /// a transport that makes no connections, and a little early for one that does.
    fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = observer;
    }
}

/// One request to one endpoint, ready for the wire.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The endpoint's position in the configuration.
    pub endpoint: usize,
    /// Tells the call from others to the same endpoint, for the [`Observer`]; a call that replaces a stale connection
    /// bears the number of the one that found it stale.
    pub number: u64,
    /// HTTP method: `POST` for every operation of the engine itself.
    pub method: Method,
    /// What is asked.
    pub operation: &'a Operation,
    /// Headers of this request, beside those of its deployment.
    pub headers: &'a Headers,
    /// The token of a deployment that signs in with tokens, to be sent as `Authorization: Bearer`.
    pub token: Option<&'a Secret>,
    /// The body, whole.
    pub body: &'a [u8],
    /// When to stop waiting.
    pub limits: Limits,
    /// Cancels this call from another thread.
    pub gate: &'a Gate,
    /// Open a fresh connection instead of a pooled one (after [`FaultKind::Stale`]).
    pub fresh: bool,
}

/// The time limits of one call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Longest time to resolve, connect and finish the TLS handshake.
    pub connect: Duration,
    /// Longest time from the end of the request to the first byte of the reply.
    pub first_byte: Duration,
    /// Longest time from the end of the request to the first content of a good reply: the first text, tool call or
    /// refusal of a stream, the first byte of any other body that is not blank. The library's own transport keeps to it;
    /// one that is made by users cannot tell, and has `idle` from the first byte on.
    pub first_content: Duration,
    /// Longest silence after that.
    pub idle: Duration,
    /// The end of the whole attempt, connecting and the body included.
    pub deadline: Instant,
}

/// A reply's head, with its body still to be read.
#[allow(clippy::exhaustive_structs)] // whoever writes a transport makes it
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Headers,
    /// The body; must be read to its end for the connection to be used again. A stream is not read beyond its last event,
    /// but for the end of the body where that follows at once.
    pub body: Body,
}

impl Reply {
    /// Reads the body to its end, at most `limit` bytes of it (usually [`MAX_BODY`]).
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`] where it is longer, else what [`Body`] met.
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, limit).map(|()| bytes)
    }

    /// The same into `bytes`, which hold what has come where it fails.
    pub(crate) fn read_into(&mut self, bytes: &mut Vec<u8>, limit: usize) -> Result<(), Fault> {
        let announced = self
            .headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        *bytes = Vec::with_capacity(announced.unwrap_or(0).min(limit).min(TRUSTED_LENGTH));
        loop {
            let room = bytes.capacity() - bytes.len();
            let mut source = (&mut self.body).take(room as u64);
            source.read_to_end(bytes).map_err(|error| Body::fault(&error))?;
            if bytes.len() < bytes.capacity() {
                return Ok(());
            }
            // Nearly always all of it has come, and there is no need for more room.
            let mut more = Vec::new();
            let mut source = (&mut self.body).take(PROBE);
            source.read_to_end(&mut more).map_err(|error| Body::fault(&error))?;
            if more.is_empty() {
                return Ok(());
            }
            if bytes.len() + more.len() > limit {
                let message = format!("the body is larger than {limit} bytes");
                return Err(Fault::new(FaultKind::TooLarge, Phase::HeadReceived, message));
            }
            // Doubled, but never beyond the limit.
            bytes.reserve_exact(bytes.len().max(LEAST_ROOM).min(limit - bytes.len()));
            bytes.append(&mut more);
        }
    }
}

/// A body being received. An [`std::io::Error`] it returns carries a [`Fault`] (see [`Body::fault`]).
pub struct Body {
    source: Box<dyn Source>,
    /// The next byte that is not blank begins the answer. Not so in a stream: its reader knows content when it sees it.
    any_is_content: bool,
    /// What has been looked at and not been read.
    begun: Vec<u8>,
}

/// Bytes that are looked at at once, of a body that is not read yet.
const LOOKED_AT: usize = 64;
/// Most of a body that is searched for what is not blank.
const MOST_BLANK: usize = 64 * 1024;

/// Bytes behind a byte order mark and white space.
fn without_blanks(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

/// Where a body comes from. It learns how far the answer in it has come, by which reads are limited.
pub(crate) trait Source: Read + Send {
    /// The answer has begun.
    fn answer_begins(&mut self);

    /// The answer is whole, but for what a service may add to it: from now on each read may wait for a few seconds.
    fn answer_finishes(&mut self);

    /// The answer is whole: from now on reads may wait for a moment, all of them together.
    fn answer_ends(&mut self);
}

/// A source of others, whose reads are limited by themselves; it is not read beyond the answer.
struct Plain<R> {
    inner: R,
    answer_ended: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Answers are nobody's but the caller's.
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl Body {
    /// A body read from `source`. An error of it that should be told as a [`Fault`] is `io::Error::other(fault)`.
    pub fn new(source: impl Read + Send + 'static) -> Self {
        Self::of(Plain {
            inner: source,
            answer_ended: false,
        })
    }

    pub(crate) fn of(source: impl Source + 'static) -> Self {
        Body {
            source: Box::new(source),
            any_is_content: true,
            begun: Vec::new(),
        }
    }

    /// The reader tells content from what comes before it, and says [`Body::answer_begins`] when it sees some.
    pub(crate) fn awaits_content(&mut self) {
        self.any_is_content = false;
    }

    /// How the body begins, without what is blank: at least `length` bytes of it, unless it is shorter. They are still
    /// read afterwards.
    pub(crate) fn begins_with(&mut self, length: usize) -> io::Result<&[u8]> {
        let mut buffer = [0; LOOKED_AT];
        while without_blanks(&self.begun).len() < length {
            match self.source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.begun.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.begun.len() > MOST_BLANK {
                break;
            }
        }
        Ok(without_blanks(&self.begun))
    }

    /// The answer has begun.
    pub(crate) fn answer_begins(&mut self) {
        self.any_is_content = false;
        self.source.answer_begins();
    }

    /// The answer is whole, but for what a service may add to it: what it cost, or the verdict of a filter. Where nothing comes
    /// for a few seconds, the body ends in a fault.
    pub(crate) fn answer_finishes(&mut self) {
        self.source.answer_finishes();
    }

    /// The answer is whole, whatever more is read. All that can still be of use is the end of the body, after which the
    /// connection can be used again: it has a moment to come, and where it does not, the body ends in a fault.
    pub(crate) fn answer_ends(&mut self) {
        self.any_is_content = false;
        self.source.answer_ends();
    }

    /// Reads what is left of a body whose answer is whole.
    pub(crate) fn drain(mut self) {
        self.answer_ends();
        let _ = io::copy(&mut self.take(MOST_DRAINED), &mut io::sink());
    }

    /// What an error of reading a body means.
    #[must_use]
    pub fn fault(error: &std::io::Error) -> Fault {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
            Some(fault) => fault.clone(),
            None => Fault::new(FaultKind::Closed, Phase::HeadReceived, error.to_string()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match self.begun.is_empty() {
            true => self.source.read(buf)?,
            false => {
                let read = self.begun.len().min(buf.len());
                buf[..read].copy_from_slice(&self.begun[..read]);
                self.begun.drain(..read);
                read
            }
        };
        if self.any_is_content && !buf[..read].trim_ascii().is_empty() {
            self.answer_begins();
        }
        Ok(read)
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.answer_ended {
            false => self.inner.read(buf),
            true => Ok(0),
        }
    }
}

impl<R: Read + Send> Source for Plain<R> {
    fn answer_begins(&mut self) {}

    fn answer_finishes(&mut self) {}

    fn answer_ends(&mut self) {
        self.answer_ended = true;
    }
}

impl std::fmt::Debug for Reply {
    /// Without the body, which can be read only once.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: impl Read + Send + 'static) -> Reply {
        Reply {
            status: 200,
            headers: Headers::new(),
            body: Body::new(body),
        }
    }

    #[test]
    fn a_body_is_read_up_to_the_limit_and_not_a_byte_further() {
        assert_eq!(reply(&b"12345"[..]).read_to_vec(5).unwrap(), b"12345");
        assert_eq!(reply(&b""[..]).read_to_vec(0).unwrap(), b"");
        let fault = reply(&b"123456"[..]).read_to_vec(5).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert_eq!(
            reply(std::io::repeat(0)).read_to_vec(100).unwrap_err().kind,
            FaultKind::TooLarge
        );
    }

    #[test]
    fn the_room_of_a_body_is_neither_spare_nor_beyond_the_limit() {
        for (announced, length, limit, room) in [
            (Some("5"), 5, 100, 5),
            (Some("5"), 4, 100, 5),
            (None, 5, 100, 100),
            (None, LEAST_ROOM + 1, 100_000, 2 * LEAST_ROOM),
            (None, 99_999, 100_000, 100_000),
            (None, 100_000, 100_000, 100_000),
        ] {
            let mut reply = reply(std::io::repeat(7).take(length as u64));
            if let Some(announced) = announced {
                reply.headers.insert("content-length", announced).unwrap();
            }
            let bytes = reply.read_to_vec(limit).unwrap();
            assert_eq!(
                (bytes.len(), bytes.capacity()),
                (length, room),
                "{announced:?} {length}"
            );
        }
    }

    #[test]
    fn an_announced_length_is_no_order_to_set_memory_aside() {
        let mut reply = reply(&b"x"[..]);
        reply.headers.insert("content-length", "60000000").unwrap();
        assert!(reply.read_to_vec(MAX_BODY).unwrap().capacity() <= 2 * TRUSTED_LENGTH);
    }

    #[test]
    fn the_fault_in_a_read_error_is_found_again() {
        let fault = Fault::new(FaultKind::Cancelled, Phase::HeadReceived, "x");
        assert_eq!(Body::fault(&std::io::Error::other(fault.clone())), fault);
        let foreign = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "y");
        assert_eq!(Body::fault(&foreign).kind, FaultKind::Closed);
    }
}
