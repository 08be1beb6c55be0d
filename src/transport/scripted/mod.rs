//! A transport that answers from a script, in memory: for tests of what is built on this crate.
//!
//! ```
//! use azure_openai_blaster::testing::{Scripted, ScriptedReply};
//!
//! // Every deployment answers "hello"; "east" is throttled once before.
//! let transport = Scripted::answering("hello").script(
//!     "east",
//!     [ScriptedReply::status(429).header("retry-after-ms", "300")],
//! );
//! assert!(transport.calls().is_empty());
//! ```
//!
//! - [`Scripted`]: who answers what, and the record of what was asked
//! - [`ScriptedReply`]: one answer

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::Value;

use crate::api::{Headers, Operation, Secret};
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{Call, Method, Reply, Transport};

pub use reply::ScriptedReply;

mod pause;
mod reply;
mod shape;

/// A transport without a network: each call is answered by its endpoint's script while there is one, and then by
/// the handler.
///
/// Nothing waits unless a reply asks for it. Clones share the scripts and the record, so a test keeps one and gives
/// the other away.
///
/// ```
/// use azure_openai_blaster::Blaster;
/// use azure_openai_blaster::testing::{Scripted, ScriptedReply};
///
/// // A handler sees the request and makes the reply.
/// let service = Scripted::new(|call| {
///     let prompt = call.body["messages"][0]["content"].as_str().unwrap_or_default();
///     ScriptedReply::text(prompt.to_uppercase())
/// });
/// let blaster = Blaster::builder().transport(service.clone()).build()?;
/// assert_eq!(blaster.chat_text("hello")?, "HELLO");
/// assert_eq!(service.calls().len(), 1);
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone)]
pub struct Scripted(Arc<Shared>);

struct Shared {
    handler: Box<Handler>,
    scripts: Mutex<HashMap<String, VecDeque<ScriptedReply>>>,
    /// The endpoints' names, by position.
    names: Mutex<Vec<Arc<str>>>,
    calls: Mutex<Vec<ScriptedCall>>,
}

type Handler = dyn Fn(&ScriptedCall) -> ScriptedReply + Send + Sync;

/// One request as it was made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScriptedCall {
    /// Name of the deployment; its position as a number where no names were [bound](Scripted::bind).
    pub endpoint: Arc<str>,
    /// HTTP method.
    pub method: Method,
    /// What was asked.
    pub operation: Operation,
    /// The headers of this request; credentials are never among them.
    pub headers: Headers,
    /// The token of a deployment that signs in with tokens.
    pub token: Option<Secret>,
    /// The body, `null` where it was no JSON.
    pub body: Value,
    /// Whether a fresh connection was asked for.
    pub fresh: bool,
}

impl ScriptedCall {
    /// Whether the body asks for a stream.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.body["stream"] == Value::Bool(true)
    }
}

impl Scripted {
    /// A transport whose every call is answered by `handler`, on the thread of the caller.
    pub fn new(handler: impl Fn(&ScriptedCall) -> ScriptedReply + Send + Sync + 'static) -> Self {
        Scripted(Arc::new(Shared {
            handler: Box::new(handler),
            scripts: Mutex::default(),
            names: Mutex::default(),
            calls: Mutex::default(),
        }))
    }

    /// A transport whose every call is answered with this text, see [`ScriptedReply::text`].
    pub fn answering(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(move |_| ScriptedReply::text(text.clone()))
    }

    /// Answers the next calls to the deployment `endpoint` with `replies`, one after another.
    #[must_use]
    pub fn script(self, endpoint: &str, replies: impl IntoIterator<Item = ScriptedReply>) -> Self {
        self.0
            .scripts
            .lock()
            .entry(endpoint.to_owned())
            .or_default()
            .extend(replies);
        self
    }

    /// What was asked so far, in the order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<ScriptedCall> {
        self.0.calls.lock().clone()
    }

    fn recorded(&self, call: &Call<'_>) -> ScriptedCall {
        let name = self.0.names.lock().get(call.endpoint).cloned();
        let call = ScriptedCall {
            endpoint: name.unwrap_or_else(|| call.endpoint.to_string().into()),
            method: call.method,
            operation: call.operation.clone(),
            headers: call.headers.sendable().into_owned(),
            token: call.token.cloned(),
            body: serde_json::from_slice(call.body).unwrap_or(Value::Null),
            fresh: call.fresh,
        };
        self.0.calls.lock().push(call.clone());
        call
    }
}

impl Transport for Scripted {
    fn bind(&self, names: &[Arc<str>]) {
        *self.0.names.lock() = names.to_vec();
    }

    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let pause = pause::Pause::new();
        let weak: Weak<pause::Pause> = Arc::downgrade(&pause);
        if !call.gate.watch(weak) {
            let message = "the job was cancelled before";
            return Err(Fault::new(FaultKind::Cancelled, Phase::NotWritten, message));
        }
        let asked = self.recorded(call);
        let scripted = self
            .0
            .scripts
            .lock()
            .get_mut(&*asked.endpoint)
            .and_then(VecDeque::pop_front);
        let reply = scripted.unwrap_or_else(|| (self.0.handler)(&asked));
        reply.play(&asked, call.limits, pause)
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("endpoints", &*self.0.names.lock())
            .field("calls", &self.0.calls.lock().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
