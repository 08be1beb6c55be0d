//! One answer of a script.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::pause::{Cancelled, Pause};
use super::{ScriptedCall, shape};
use crate::api::Headers;
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase, TimeoutKind};
use crate::transport::{Body, Limits, Reply};

/// One answer: what comes back, after how long.
#[derive(Clone, Debug)]
pub struct ScriptedReply {
    act: Act,
    status: u16,
    headers: Headers,
    delay: Duration,
    /// The body ends in [`FaultKind::Closed`] after so many bytes.
    cut_after: Option<usize>,
}

#[derive(Clone, Debug)]
enum Act {
    /// A text, dressed up as the call asks for it.
    Text(String),
    Body(Vec<u8>),
    Fault(Fault),
    /// Nothing, until a limit or a cancel ends the wait.
    Hang,
}

impl ScriptedReply {
    /// 200 with this text as the assistant's message: a chat completion, or its stream where the request asks for
    /// one (a legacy completion for [`Operation::Completions`](crate::api::Operation::Completions)).
    ///
    /// For other operations use [`ScriptedReply::status`] with [`ScriptedReply::body`].
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Act::Text(text.into()), 200)
    }

    /// This status, with an empty body until [`ScriptedReply::body`] or [`ScriptedReply::json`] says otherwise.
    pub fn status(status: u16) -> Self {
        Self::new(Act::Body(Vec::new()), status)
    }

    /// No reply, but this fault; of a request that was written, unless it is one of connecting.
    pub fn fault(kind: FaultKind) -> Self {
        let phase = match kind {
            FaultKind::Dns
            | FaultKind::Refused
            | FaultKind::Connect
            | FaultKind::Local
            | FaultKind::Tls
            | FaultKind::Timeout(TimeoutKind::Connect) => Phase::NotWritten,
            _ => Phase::Written,
        };
        Self::new(Act::Fault(Fault::new(kind, phase, "scripted")), 0)
    }

    /// No reply until the call is cancelled or one of its limits ends it.
    pub fn hang() -> Self {
        Self::new(Act::Hang, 0)
    }

    fn new(act: Act, status: u16) -> Self {
        ScriptedReply {
            act,
            status,
            headers: Headers::new(),
            delay: Duration::ZERO,
            cut_after: None,
        }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// Where name or value cannot stand in an HTTP head: the script is wrong.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .insert(name, value)
            .expect("a scripted header must be valid");
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.act = Act::Body(body.into());
        self
    }

    /// Sets a JSON body, and its content type.
    ///
    /// # Panics
    /// Where a `content-type` that cannot be sent was set before.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body(body.to_string()).header("content-type", "application/json")
    }

    /// Waits before the head, in real time; a limit or a cancel ends the wait as they would end a real one.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Breaks the body off after so many bytes, as a closed connection would.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Does what the reply says.
    pub(super) fn play(self, call: &ScriptedCall, limits: Limits, pause: Arc<Pause>) -> Result<Reply, Fault> {
        let now = clock::now();
        let (end, kind) = match now + limits.first_byte {
            first_byte if first_byte <= limits.deadline => (first_byte, TimeoutKind::FirstByte),
            _ => (limits.deadline, TimeoutKind::Attempt),
        };
        let ready = match self.act {
            Act::Hang => None,
            _ => Some(now + self.delay).filter(|ready| *ready < end),
        };
        pause
            .sleep_until(ready.unwrap_or(end))
            .map_err(|Cancelled| cancelled(Phase::Written))?;
        if ready.is_none() {
            return Err(Fault::new(FaultKind::Timeout(kind), Phase::Written, "scripted"));
        }
        let mut headers = self.headers;
        let bytes = match self.act {
            Act::Fault(fault) => return Err(fault),
            Act::Body(bytes) => bytes,
            Act::Text(text) => {
                let (content_type, bytes) = shape::dressed(&text, call);
                if headers.get("content-type").is_none() {
                    // A constant of ours, which can stand in a head.
                    let _ = headers.insert("content-type", content_type);
                }
                bytes
            }
            // Its wait ends above, one way or the other.
            Act::Hang => Vec::new(),
        };
        Ok(Reply {
            status: self.status,
            headers,
            body: Body::new(ScriptedBody {
                whole: self.cut_after.is_none_or(|cut| cut >= bytes.len()),
                end: self.cut_after.unwrap_or(usize::MAX).min(bytes.len()),
                bytes,
                read: 0,
                pause,
            }),
        })
    }
}

fn cancelled(phase: Phase) -> Fault {
    Fault::new(FaultKind::Cancelled, phase, "the call was cancelled")
}

/// A body that can be cut off and cancelled.
struct ScriptedBody {
    bytes: Vec<u8>,
    read: usize,
    end: usize,
    /// Nothing is cut off at `end`.
    whole: bool,
    pause: Arc<Pause>,
}

impl Read for ScriptedBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let asked = self.pause.sleep_until(clock::now());
        asked.map_err(|Cancelled| io::Error::other(cancelled(Phase::HeadReceived)))?;
        let amount = (&self.bytes[self.read..self.end]).read(buf)?;
        self.read += amount;
        if amount == 0 && !self.whole && !buf.is_empty() {
            let fault = Fault::new(FaultKind::Closed, Phase::HeadReceived, "scripted");
            return Err(io::Error::other(fault));
        }
        Ok(amount)
    }
}
