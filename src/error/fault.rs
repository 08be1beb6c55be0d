//! How a request failed below HTTP.

use std::fmt;

/// A request that brought no (whole) reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What failed.
    pub kind: FaultKind,
    /// How far the request had come.
    pub phase: Phase,
    /// The cause in words.
    pub message: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The host's name could not be resolved.
    Dns,
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    Connect,
    /// The proxy does not let this program through: it wants a user name and password (407), or forbids the way (other 4xx).
    ProxyRefused,
    /// This machine lacked what a connection takes (open files, free ports, memory): nobody's fault but ours. The
    /// engine tries again a little later, as often as need be.
    Local,
    /// The TLS handshake failed, e.g. for a certificate that is not trusted.
    Tls,
    /// One of the time limits ran out.
    Timeout(TimeoutKind),
    /// The peer closed or reset the connection.
    Closed,
    /// A reused connection proved closed before any byte of a reply came, or bytes came on it before the request was
    /// written, which may be somebody else's answer: the one failure that says nothing about the endpoint. The engine
    /// tries once more at once, on a fresh connection.
    Stale,
    /// What came back is not HTTP, or breaks its rules.
    Protocol,
    /// The reply is larger than what is accepted.
    TooLarge,
    /// The call was cancelled from our side.
    Cancelled,
}

/// Which time limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// `connect_timeout_s`
    Connect,
    /// `first_byte_timeout_s`: nothing of an answer came for so long.
    FirstByte,
    /// `idle_timeout_s`: nothing came for so long, after the answer had begun.
    Idle,
    /// The deadline of the whole attempt (or of the job, where that is sooner).
    Attempt,
}

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing had been written: the service cannot have seen it.
    NotWritten,
    /// At least one byte was written: the service may have charged it.
    Written,
    /// The reply's head had come.
    HeadReceived,
}

impl Fault {
    /// A fault with its cause in words.
    pub fn new(kind: FaultKind, phase: Phase, message: impl Into<String>) -> Self {
        Fault {
            kind,
            phase,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultKind::Dns => "name not resolved",
            FaultKind::Refused => "connection refused",
            FaultKind::Connect => "no connection",
            FaultKind::ProxyRefused => "refused by the proxy",
            FaultKind::Local => "no connection for want of resources on this machine",
            FaultKind::Tls => "TLS failed",
            FaultKind::Timeout(TimeoutKind::Connect) => "timeout while connecting",
            FaultKind::Timeout(TimeoutKind::FirstByte) => "timeout before the answer began",
            FaultKind::Timeout(TimeoutKind::Idle) => "reply stalled",
            FaultKind::Timeout(TimeoutKind::Attempt) => "timeout of the attempt",
            FaultKind::Closed => "connection closed by the peer",
            FaultKind::Stale => "reused connection was of no use",
            FaultKind::Protocol => "not HTTP",
            FaultKind::TooLarge => "reply too large",
            FaultKind::Cancelled => "cancelled",
        })
    }
}
