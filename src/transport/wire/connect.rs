//! How the HTTP client gets its connections: through a proxy or not, with TLS or not.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};
use ureq::{Error, Proxy, ProxyProtocol};

use super::call::{self, CurrentCall};
use super::channel::Channel;
use super::dial::{Place, dial};
use super::fault;
use super::link::Link;
use super::names::Names;
use super::room::Room;
use super::socket::Socket;
use super::strays::Strays;
use super::tls::Trust;
use super::tunnel;
use crate::clock;
use crate::error::fault::{Fault, FaultKind};
use crate::transport::Observer;

/// Who is told of new connections, where somebody wants to be. Only the connector asks, so that calls on pooled
/// connections do not.
pub(super) type Told = OnceLock<Arc<dyn Observer>>;

/// Makes connections for one endpoint. What the endpoints share is behind the `Arc`s.
pub(super) struct WireConnector {
    /// The endpoint's position.
    pub(super) endpoint: usize,
    pub(super) strays: Arc<Strays>,
    pub(super) told: Arc<Told>,
    pub(super) names: Arc<Names>,
    /// With it the endpoints share authorities and resumable sessions.
    pub(super) trust: Arc<Trust>,
}

impl Connector for WireConnector {
    type Out = Link;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Link>, Error> {
        let call = call::current().ok_or(Error::ConnectionFailed)?;
        let begun = clock::now();
        call.connecting(begun);
        let observer = self.told.get();
        if let Some(observer) = observer {
            observer.connecting(self.endpoint, call.number());
        }
        let (channel, socket) = self.channel(details, &call).map_err(fault::wrap)?;
        call.connected();
        if let Some(observer) = observer {
            let took = clock::now().saturating_duration_since(begun);
            observer.connected(self.endpoint, call.number(), took);
        }
        let room = Room::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Link::new(channel, socket, call, room, Arc::clone(&self.strays))))
    }
}

impl WireConnector {
    /// A way to the service, and the socket that it goes through.
    fn channel(
        &self,
        details: &ConnectionDetails<'_>,
        call: &Arc<CurrentCall>,
    ) -> Result<(Channel, Arc<Socket>), Fault> {
        let place = place(details.uri, call)?;
        let (mut channel, socket) = match details.config.proxy() {
            Some(proxy) => self.tunnel(proxy, &place, call).map_err(on_the_way)?,
            None => self.dialled(&place, call)?,
        };
        if details.needs_tls() {
            channel = channel.encrypted(&self.trust.config(call)?, place.host(), &socket, call)?;
        }
        Ok((channel, socket))
    }

    /// A connection to `place` itself.
    fn dialled(&self, place: &Place, call: &Arc<CurrentCall>) -> Result<(Channel, Arc<Socket>), Fault> {
        let socket = dial(&self.names, place, call)?;
        call.claims(&socket, false);
        Ok((Channel::Tcp(Arc::clone(&socket)), socket))
    }

    /// A way to `target` through `proxy`.
    // Not a part of the caller's frame, which a worker that waits for a reply keeps.
    #[inline(never)]
    fn tunnel(&self, proxy: &Proxy, target: &Place, call: &Arc<CurrentCall>) -> Result<(Channel, Arc<Socket>), Fault> {
        let place = place(proxy.uri(), call)?;
        let (mut channel, socket) = self.dialled(&place, call)?;
        if proxy.protocol() == ProxyProtocol::Https {
            channel = channel.encrypted(&self.trust.config(call)?, place.host(), &socket, call)?;
        }
        tunnel::open(&mut channel, &socket, proxy, target, call)?;
        Ok((channel, socket))
    }
}

/// What broke on the way through a proxy, told from what breaks at the service.
fn on_the_way(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Cancelled => fault,
        _ => Fault {
            message: format!("the proxy: {}", fault.message),
            ..fault
        },
    }
}

fn place(uri: &Uri, call: &CurrentCall) -> Result<Place, Fault> {
    Place::of(uri).ok_or_else(|| call.fault(FaultKind::Protocol, "the URL names no host"))
}

impl fmt::Debug for WireConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireConnector").finish_non_exhaustive()
    }
}

/// Resolves nothing: the client asks for addresses on every request, we need them for new connections only, and
/// [`dial`] asks for them there.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}
