//! The outside world, behind one trait: a request goes to an endpoint, a reply's head and body come back.
//!
//! [`Transport`] has two implementations: `wire` over ureq, and `scripted` in memory for tests.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::api::{Headers, Operation};
use crate::error::fault::Fault;

pub use crate::api::Method;
pub use gate::Gate;

pub mod gate;
pub mod sse;

/// Sends requests to endpoints, blocking the calling thread.
pub trait Transport: Send + Sync {
    /// Sends `call` and returns when the reply's head is there; the body is read from the reply.
    ///
    /// Never tries again, never follows a redirect: every call is at most one request that leaves the machine.
    ///
    /// # Errors
    /// A [`Fault`] where no head came. Any status with a head is `Ok`.
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault>;
}

/// One request to one endpoint, ready for the wire.
#[derive(Debug)]
pub struct Call<'a> {
    /// The endpoint's position in the configuration.
    pub endpoint: usize,
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
    /// Open a fresh connection instead of a pooled one (after [`FaultKind::Stale`](crate::error::fault::FaultKind::Stale)).
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

/// A body being received. An [`std::io::Error`] it returns carries a [`Fault`] (see [`Body::fault`]).
pub struct Body(Box<dyn Read + Send>);

impl Body {
    /// A body read from `source`, whose errors should be made by [`Fault`] → `io::Error::other`.
    pub fn new(source: impl Read + Send + 'static) -> Self {
        Body(Box::new(source))
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}
