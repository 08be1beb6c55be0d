//! The transport against hand-written servers on loopback.
//!
//! - `server`: a listener and its conversations
//! - `calls`: what goes over the wire, and which connection it takes
//! - `failures`: what each thing that breaks is called
//! - `leftovers`: whose reply it is, where more comes than was asked for
//! - `early`: replies that come before the request is written
//! - `limits`: each time limit, told apart by its kind
//! - `cancels`: a cancel in each phase, and races of many
//! - `secure`: TLS
//! - `proxied`: through an HTTP proxy
//! - `observed`: what is told of new connections
//! - `silent`: an address that never answers

use std::sync::Arc;
use std::time::Duration;

use super::call::CurrentCall;
use super::{EndpointWire, UreqTransport, WireSettings};
use crate::api::kind::Kind;
use crate::api::{Headers, Operation};
use crate::clock;
use crate::error::fault::Fault;
use crate::transport::target::V1;
use crate::transport::{Auth, Call, Gate, Limits, MAX_BODY, Method, Reply, Target, Transport};

mod calls;
mod cancels;
mod early;
mod failures;
mod leftovers;
mod limits;
mod observed;
#[cfg(feature = "entra")]
mod private;
mod proxied;
mod secure;
mod server;
mod silent;

pub(super) use silent::Silent;

/// Long enough never to run out in a test that works.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for, long enough for a reply over loopback on a busy machine to come before it.
const SHORT: Duration = Duration::from_millis(400);

fn long() -> Limits {
    Limits {
        connect: LONG,
        first_byte: LONG,
        first_content: LONG,
        idle: LONG,
        deadline: clock::now() + 2 * LONG,
    }
}

/// A call that has begun to connect, for which it has so long.
pub(super) fn connecting(connect: Duration) -> Arc<CurrentCall> {
    let call = CurrentCall::new(0, Limits { connect, ..long() }, Arc::new([]));
    call.connecting(clock::now());
    call
}

fn endpoint(base: &str) -> EndpointWire {
    EndpointWire {
        name: "east".into(),
        url: Target::new(Kind::OpenAi, base, "gpt", V1).unwrap(),
        auth: Auth::Key("canary-key".into()),
        headers: Headers::new(),
        max_connections: 64,
    }
}

/// Settings that the environment of the machine does not change.
fn direct() -> WireSettings {
    WireSettings {
        proxy: Some(String::new()),
        ..WireSettings::default()
    }
}

fn transport(base: &str) -> UreqTransport {
    UreqTransport::new(vec![endpoint(base)], &direct()).unwrap()
}

/// A call to be changed and sent.
struct Ask {
    endpoint: usize,
    number: u64,
    method: Method,
    operation: Operation,
    headers: Headers,
    body: Vec<u8>,
    limits: Limits,
    gate: Arc<Gate>,
    fresh: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Ask {
            endpoint: 0,
            number: 0,
            method: Method::Post,
            operation: Operation::ChatCompletions,
            headers: Headers::new(),
            body: b"{}".to_vec(),
            limits: long(),
            gate: Arc::default(),
            fresh: false,
        }
    }
}

impl Ask {
    fn head(&self, transport: &UreqTransport) -> Result<Reply, Fault> {
        transport.send(&Call {
            endpoint: self.endpoint,
            number: self.number,
            method: self.method,
            operation: &self.operation,
            headers: &self.headers,
            token: None,
            body: &self.body,
            limits: self.limits,
            gate: &self.gate,
            fresh: self.fresh,
        })
    }

    /// Status and body.
    fn whole(&self, transport: &UreqTransport) -> Result<(u16, String), Fault> {
        let mut reply = self.head(transport)?;
        let body = reply.read_to_vec(MAX_BODY)?;
        Ok((reply.status, String::from_utf8(body).unwrap()))
    }
}

/// An ordinary call.
fn ask(transport: &UreqTransport) -> Result<(u16, String), Fault> {
    Ask::default().whole(transport)
}
