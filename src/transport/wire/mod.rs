//! HTTP over ureq.
//!
//! One agent (that is: one connection pool) per endpoint, for a shared one collapses under many threads; one TLS
//! configuration and one table of host names for all. Everything that reaches into ureq's unversioned hooks stays in
//! this folder.
//!
//! # Reading order
//! 1. [`headers`]: what is sent besides the body
//! 2. `call`: the call in progress, its limits and its cancel
//! 3. `link`, `room`, `strays`: a connection and its buffers as the HTTP client sees them; whose reply it is that comes;
//!    `incoming`: in which form the client gets it
//! 4. `channel`, `socket`: the bytes below, with TLS or without; the one place that waits; who may close a socket
//! 5. `connect`: new connections; `dial`, of whose course `race` decides, `tunnel` through a proxy, and `lack`: what they take
//! 6. `names` and `reach`: the addresses of a host, and which of them answer
//! 7. `proxies`, `no_proxy`: which proxy leads where
//! 8. `authorities`, `tls`, `fault`: whom we trust, and what went wrong
//!
//! The client frames requests and replies and keeps the pool. TLS and the way through a proxy are our own, because the
//! client's hide what a connection must not be used again for: bytes that are decrypted and that nobody asked for.
//!
//! # What is logged
//! The client logs each request without its credentials, and some headers of the reply, at `debug`, and dumps what it reads
//! and writes, bodies included, at `trace` (targets `ureq` and `ureq_proto`). Credentials are added below it, so no level
//! shows them, but where the service sends them back: the client logs what it receives before anybody can look at it. That
//! is for the program's logger to leave out (see the crate's page, "Log levels").
//!
//! # What it costs
//! An endpoint keeps at most [`EndpointWire::max_connections`] idle connections, a minute each at most (longer ones
//! are closed when the endpoint is next asked). A connection takes one file descriptor and, once used, two buffers
//! of 16 KiB (with TLS some more, while a reply comes). While a name is looked up there is one more thread, for as long as
//! that takes.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{self, Request, Uri};
use ureq::{Agent, BodyReader};

use crate::api::withheld::secrets_of_proxy;
use crate::api::{Headers, Operation};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{Auth, Body, Call, Method, Observer, Reply, Source, Target, Transport};
use authorities::Authorities;
use call::CurrentCall;
use connect::{NoResolver, Told, WireConnector};
use headers::Template;
use names::Names;
use proxies::Proxies;
use strays::Strays;
use tls::Trust;

pub(crate) use authorities::CaFileError;

mod authorities;
mod call;
mod channel;
mod connect;
mod dial;
mod fault;
mod headers;
mod incoming;
mod lack;
mod link;
mod names;
mod no_proxy;
#[cfg(feature = "entra")]
pub(crate) mod private;
mod proxies;
mod race;
mod reach;
mod room;
mod socket;
mod strays;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;

/// An endpoint, as the transport needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct EndpointWire {
    /// The deployment's name in the configuration, for messages.
    pub name: Arc<str>,
    /// Where it is asked.
    pub url: Target,
    /// Its credential.
    pub auth: Auth,
    /// Headers of the deployment, sent with every request.
    pub headers: Headers,
    /// Most connections kept open while idle; usually the most requests in flight. 0 keeps none.
    pub max_connections: usize,
}

/// Settings of the transport as a whole.
#[derive(Clone)]
pub(crate) struct WireSettings {
    /// `http://` or `https://` URL of a proxy for all hosts but loopback, with `user:password@` if it asks for them.
    ///
    /// Without it the environment decides (see [`proxies`]). An empty text means no proxy, whatever the environment says.
    pub proxy: Option<String>,
    /// PEM file of the certificate authorities to trust instead of the built-in ones (Mozilla's, or the operating
    /// system's with feature `platform-verifier`).
    pub ca_file: Option<PathBuf>,
    /// Size in bytes of each connection's input and output buffer, at least 1,024. The head of a reply must fit into
    /// it, and one header of a request into three quarters of it.
    pub buffer_size: usize,
}

/// Default of [`WireSettings::buffer_size`]: the heads of real replies take 1 to 3 KiB. The client's own default of
/// 128 KiB would come to 2 GB for 4,000 connections.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

const LEAST_BUFFER_SIZE: usize = 1024;

/// How long a connection may lie idle. Shorter than the 4 minutes after which Azure's load balancers forget it.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// Why a transport cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    /// The proxy's URL cannot be used.
    #[error("proxy: an http:// or https:// URL is needed, such as \"http://proxy.example:8080\"")]
    Proxy,
    /// The proxy that the environment names cannot be used.
    #[error("{variable} {problem} (the configuration's proxy goes before it)")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it, without secrets.
        problem: &'static str,
    },
    /// The file of certificates cannot be used.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// A deployment's URL, key or headers cannot be sent.
    #[error("deployment {name:?}: {problem}")]
    Endpoint {
        /// The deployment's name.
        name: Arc<str>,
        /// What is wrong with it, without secrets.
        problem: String,
    },
}

impl WireError {
    /// The operating system's error beneath it, which its text tells too.
    pub(crate) fn into_cause(self) -> Option<io::Error> {
        match self {
            WireError::CaFile(error) => error.cause,
            _ => None,
        }
    }
}

impl Default for WireSettings {
    fn default() -> Self {
        WireSettings {
            proxy: None,
            ca_file: None,
            buffer_size: BUFFER_SIZE,
        }
    }
}

impl fmt::Debug for WireSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireSettings")
            // It may hold a password.
            .field("proxy", &self.proxy.as_ref().map(|_| "(hidden)"))
            .field("ca_file", &self.ca_file)
            .field("buffer_size", &self.buffer_size)
            .finish()
    }
}

/// The transport over real sockets.
pub(crate) struct UreqTransport {
    endpoints: Box<[Endpoint]>,
    told: Arc<Told>,
    warnings: Vec<String>,
}

/// One endpoint, with what its calls have in common worked out.
struct Endpoint {
    spec: EndpointWire,
    strays: Arc<Strays>,
    agent: Agent,
    /// The variable of the environment that names its proxy.
    variable: Option<&'static str>,
    known: [Prepared; 4],
}

/// The part of a request that is the same for every call.
struct Prepared {
    operation: Operation,
    uri: Uri,
    headers: Template,
}

impl UreqTransport {
    /// A transport to these endpoints; a call's `endpoint` is the position here. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the settings or an endpoint cannot be used.
    pub(crate) fn new(specs: Vec<EndpointWire>, settings: &WireSettings) -> Result<Self, WireError> {
        let proxies = Proxies::of(settings)?;
        let authorities = settings.ca_file.as_deref().map(Authorities::read).transpose()?;
        let trust = Arc::new(Trust::new(authorities.as_ref()));
        let mut warnings: Vec<String> = authorities.and_then(|own| own.warning).into_iter().collect();
        let buffer_size = settings.buffer_size.max(LEAST_BUFFER_SIZE);
        let names = Arc::new(Names::new());
        let told = Arc::new(Told::new());
        let endpoints = specs.into_iter().enumerate().map(|(position, spec)| {
            let way = proxies.way_to(&spec.url)?;
            if let Some(warning) = way.warning.filter(|warning| !warnings.contains(warning)) {
                warnings.push(warning);
            }
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(way.proxy)
                .user_agent(headers::AGENT_NAME)
                .input_buffer_size(buffer_size)
                .output_buffer_size(buffer_size)
                // A head that fills the buffer is too large for it.
                .max_response_header_size(buffer_size - 1)
                .max_idle_connections(spec.max_connections)
                .max_idle_connections_per_host(spec.max_connections)
                .max_idle_age(MAX_IDLE)
                .build();
            let strays = Strays::of(&spec.name);
            let connector = WireConnector {
                endpoint: position,
                strays: Arc::clone(&strays),
                told: Arc::clone(&told),
                names: Arc::clone(&names),
                trust: Arc::clone(&trust),
            };
            Endpoint::new(spec, config, connector, strays, way.variable)
        });
        Ok(UreqTransport {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            told,
            warnings,
        })
    }

    /// What the user may not expect of the CA file and the environment's proxies.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The proxy that leads to each endpoint, without its password, and the variable that names it.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = Option<String>> {
        self.endpoints.iter().map(|endpoint| {
            let proxy = endpoint.agent.config().proxy()?;
            let scheme = proxy.uri().scheme_str().unwrap_or("http");
            let named = endpoint.variable.map(|name| format!(" ({name})"));
            let (host, port) = (proxy.host(), proxy.port());
            Some(format!("{scheme}://{host}:{port}{}", named.unwrap_or_default()))
        })
    }

    /// What the proxies are told that must not show.
    pub(crate) fn proxy_secrets(&self) -> Vec<String> {
        let proxies = self
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.agent.config().proxy());
        let secrets = proxies.flat_map(|proxy| {
            secrets_of_proxy(
                proxy.username().unwrap_or_default(),
                proxy.password().unwrap_or_default(),
            )
        });
        let mut secrets: Vec<String> = secrets.collect();
        // Most endpoints share one.
        secrets.sort_unstable();
        secrets.dedup();
        secrets
    }
}

impl Endpoint {
    fn new(
        spec: EndpointWire,
        config: Config,
        connector: WireConnector,
        strays: Arc<Strays>,
        variable: Option<&'static str>,
    ) -> Result<Self, WireError> {
        let prepare = |operation| {
            prepare(&spec, operation).map_err(|problem| WireError::Endpoint {
                name: Arc::clone(&spec.name),
                problem,
            })
        };
        let known = [
            prepare(Operation::ChatCompletions)?,
            prepare(Operation::Completions)?,
            prepare(Operation::Embeddings)?,
            prepare(Operation::Responses)?,
        ];
        Ok(Endpoint {
            spec,
            strays,
            agent: Agent::with_parts(config, connector, NoResolver),
            variable,
            known,
        })
    }

    /// The request for `call`, but for its body and its sealed headers.
    fn request(&self, call: &Call<'_>) -> Result<(http::request::Builder, Arc<[u8]>), Fault> {
        let unknown;
        let prepared = match self.known.iter().find(|known| known.operation == *call.operation) {
            Some(known) => known,
            None => {
                unknown = prepare(&self.spec, call.operation.clone())
                    .map_err(|problem| unsent(FaultKind::Protocol, problem))?;
                &unknown
            }
        };
        let mut head = prepared.headers.head(call.headers);
        if let Some(token) = call.token {
            head.sign(token)
                .map_err(|problem| unsent(FaultKind::Protocol, problem))?;
        }
        if call.method != Method::Post {
            head.without_body();
        }
        let mut request = Request::builder().uri(prepared.uri.clone()).method(match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Delete => http::Method::DELETE,
        });
        if let Some(map) = request.headers_mut() {
            *map = head.open;
        }
        Ok((request, head.sealed))
    }
}

fn prepare(spec: &EndpointWire, operation: Operation) -> Result<Prepared, String> {
    let url = spec.url.url(&operation);
    let uri = url
        .parse()
        .map_err(|error| format!("the URL of {operation}: {error}"))?;
    let headers = Template::new(&operation, &spec.auth, &spec.headers)?;
    Ok(Prepared {
        operation,
        uri,
        headers,
    })
}

impl Transport for UreqTransport {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let endpoint = self.endpoints.get(call.endpoint).ok_or_else(|| {
            unsent(
                FaultKind::Connect,
                format!("there is no endpoint number {}", call.endpoint),
            )
        })?;
        let (request, sealed) = endpoint.request(call)?;
        let current = CurrentCall::new(call.number, call.limits, sealed);
        let weak: Weak<CurrentCall> = Arc::downgrade(&current);
        if !call.gate.watch(weak) {
            return Err(unsent(FaultKind::Cancelled, "the job was cancelled before"));
        }
        let sent = {
            let _sending = current.begin();
            let fresh = call.fresh || endpoint.strays.are_about(clock::now());
            match call.method {
                Method::Post => run(&endpoint.agent, request.body(call.body), fresh),
                Method::Get | Method::Delete => run(&endpoint.agent, request.body(()), fresh),
            }
        };
        let (head, body) = sent.map_err(|error| fault::of(error, &current))?.into_parts();
        match head.status.is_success() {
            true => current.admitted(clock::now()),
            false => current.refused(clock::now()),
        }
        let mut headers = current.take_headers().unwrap_or(head.headers);
        if head.version == http::Version::HTTP_10 {
            // It knows no chunks: the body comes as it stands, up to the end of the connection.
            headers.remove(http::header::TRANSFER_ENCODING);
        }
        Ok(Reply {
            status: head.status.as_u16(),
            headers: Headers::from(headers),
            body: Body::of(ReplyBody {
                reader: body.into_reader(),
                call: current,
            }),
        })
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        // There is one blaster to a transport.
        let _ = self.told.set(observer);
    }
}

fn unsent(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault::new(kind, Phase::NotWritten, message)
}

fn run<B: ureq::AsSendBody>(
    agent: &Agent,
    request: http::Result<Request<B>>,
    fresh: bool,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let request = request?;
    if !fresh {
        return agent.run(request);
    }
    // The client gives a request whose settings make another kind of connection one of its own, neither from the
    // pool nor back to it. This one means nothing to our connector, which always sets it.
    agent.run(agent.configure_request(request).no_delay(false).build())
}

/// A reply's body on its way.
struct ReplyBody {
    reader: BodyReader<'static>,
    call: Arc<CurrentCall>,
}

impl Read for ReplyBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).map_err(|error| {
            let fault = fault::of_read(error, &self.call);
            io::Error::other(Fault {
                phase: Phase::HeadReceived,
                ..fault
            })
        })
    }
}

impl Source for ReplyBody {
    fn answer_begins(&mut self) {
        self.call.answer_begins();
    }

    fn answer_finishes(&mut self) {
        self.call.answer_finishes();
    }

    fn answer_ends(&mut self) {
        self.call.answer_ends(clock::now());
    }
}

impl fmt::Debug for UreqTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqTransport")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}
