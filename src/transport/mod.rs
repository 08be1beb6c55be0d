//! The way to the service, behind one trait: a request goes to an endpoint, a reply's head and body come back.
//!
//! Two implementations come with the library: HTTP over ureq, which every blaster uses unless told otherwise, and
//! [`testing::Scripted`](crate::testing::Scripted) in memory. For one of your own implement [`Transport`] and hand it
//! to [`Builder::transport`](crate::Builder::transport); what goes wrong below HTTP is told as a [`Fault`].

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{Headers, Operation};
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
pub(crate) mod scripted;
// `internals` shows it.
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub(crate) mod sse;
pub(crate) mod target;
pub(crate) mod wire;

/// Most bytes of a (decompressed) body that are read into memory: 64 MiB.
///
/// The largest replies seen are embeddings: 2,048 inputs × 3,072 numbers as text are about 70 % of it.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// Longest time for the body of a reply that is no success, from its head on: what the head says is worth more than
/// the words, and is not kept waiting for them.
pub const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// Most memory that is set aside because a reply announces its length; beyond it memory grows with what arrives.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Sends requests to endpoints, blocking the calling thread.
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
pub struct Limits {
    /// Longest time to resolve, connect and finish the TLS handshake.
    pub connect: Duration,
    /// Longest time from the end of the request to the first byte of the reply.
    pub first_byte: Duration,
    /// Longest silence after the first byte.
    pub idle: Duration,
    /// The end of the whole attempt, connecting and the body included.
    pub deadline: Instant,
}

/// A reply's head, with its body still to be read.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Headers,
    /// The body; must be read to its end for the connection to be used again.
    pub body: Body,
}

impl Reply {
    /// Reads the body to its end, at most `limit` bytes of it (usually [`MAX_BODY`]).
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`] where it is longer, else what [`Body`] met.
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>, Fault> {
        let announced = self
            .headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(limit).min(TRUSTED_LENGTH));
        let mut source = (&mut self.body).take(limit as u64 + 1);
        source.read_to_end(&mut bytes).map_err(|error| Body::fault(&error))?;
        if bytes.len() > limit {
            let message = format!("the body is larger than {limit} bytes");
            return Err(Fault::new(FaultKind::TooLarge, Phase::HeadReceived, message));
        }
        Ok(bytes)
    }
}

/// A body being received. An [`std::io::Error`] it returns carries a [`Fault`] (see [`Body::fault`]).
pub struct Body(Box<dyn Read + Send>);

impl Body {
    /// A body read from `source`, whose errors should be made by [`Fault`] → `io::Error::other`.
    pub fn new(source: impl Read + Send + 'static) -> Self {
        Body(Box::new(source))
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
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
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
