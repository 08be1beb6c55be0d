//! How the HTTP client gets its connections: through a proxy or not, with TLS or not.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout, RustlsConnector, Transport,
};

use super::call::{self, CurrentCall};
use super::dial::{Place, dial};
use super::fault;
use super::names::Names;
use super::socket::{Socket, SocketTransport};
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
    pub(super) told: Arc<Told>,
    pub(super) names: Arc<Names>,
    /// Builds its TLS configuration once; with it the endpoints share roots and resumable sessions.
    pub(super) tls: Arc<RustlsConnector>,
    pub(super) proxy: ConnectProxyConnector,
}

impl Connector for WireConnector {
    type Out = Link;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Link>, Error> {
        let call = call::current().ok_or(Error::ConnectionFailed)?;
        let begun = clock::now();
        let outermost = call.connecting(begun);
        let observer = self.told.get().filter(|_| outermost);
        if let Some(observer) = observer {
            observer.connecting(self.endpoint, call.number());
        }
        // A proxy is reached by this same method, one level down.
        let stream = match self.tunnel(details, &call)? {
            Some(tunnel) => tunnel,
            None => {
                let socket = self.dialled(details.uri, &call).map_err(fault::wrap)?;
                let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
                Box::new(SocketTransport::new(socket, Arc::clone(&call), input, output))
            }
        };
        let inner = if details.needs_tls() {
            self.encrypted(details, stream, &call)?
        } else {
            stream
        };
        if outermost {
            call.connected();
        }
        if let Some(observer) = observer {
            let took = clock::now().saturating_duration_since(begun);
            observer.connected(self.endpoint, call.number(), took);
        }
        Ok(Some(Link {
            inner,
            call: Some(call),
        }))
    }
}

// Each in a function of its own: what they set up takes kilobytes of the stack, which a worker that waits for a reply
// over a plain connection would keep.
impl WireConnector {
    /// A connection to the host of `uri`.
    #[inline(never)]
    fn dialled(&self, uri: &Uri, call: &Arc<CurrentCall>) -> Result<Arc<Socket>, Fault> {
        let place = Place::of(uri).ok_or_else(|| call.fault(FaultKind::Protocol, "the URL names no host"))?;
        dial(&self.names, &place, call)
    }

    /// A connection through a proxy, where there is one.
    #[inline(never)]
    fn tunnel(&self, details: &ConnectionDetails<'_>, call: &CurrentCall) -> Result<Option<Box<dyn Transport>>, Error> {
        let tunnel: Result<Option<Either<SocketTransport, Box<dyn Transport>>>, _> = self.proxy.connect(details, None);
        let tunnel = tunnel.map_err(|error| fault::wrap(on_the_way(fault::of(error, call))))?;
        Ok(tunnel.map(|tunnel| match tunnel {
            Either::A(socket) => Box::new(socket) as Box<dyn Transport>,
            Either::B(tunnel) => tunnel,
        }))
    }

    /// TLS over `stream`.
    #[inline(never)]
    fn encrypted(
        &self,
        details: &ConnectionDetails<'_>,
        stream: Box<dyn Transport>,
        call: &CurrentCall,
    ) -> Result<Box<dyn Transport>, Error> {
        let connected = self.tls.connect(details, Some(stream));
        let connected = connected.map_err(|error| fault::wrap(in_handshake(fault::of(error, call))))?;
        match connected {
            Some(Either::A(stream)) => Ok(stream),
            Some(Either::B(tls)) => Ok(Box::new(tls)),
            // It has been given a stream.
            None => Err(Error::ConnectionFailed),
        }
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

/// What broke a TLS handshake is a failure of TLS, whatever it was: a peer that hangs up on a handshake does not
/// speak TLS, or not with us.
fn in_handshake(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Closed | FaultKind::Protocol => Fault {
            kind: FaultKind::Tls,
            message: format!("during the handshake: {}", fault.message),
            ..fault
        },
        _ => fault,
    }
}

impl fmt::Debug for WireConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireConnector").finish_non_exhaustive()
    }
}

/// A connection as the HTTP client sees it: above TLS, where bytes that come are the reply's.
pub(super) struct Link {
    inner: Box<dyn Transport>,
    /// The call that uses it; none while it lies in the pool.
    call: Option<Arc<CurrentCall>>,
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        match self.call.as_ref().and_then(|call| call.take_sealed()) {
            Some(sealed) if !sealed.is_empty() => self.transmit_head(amount, &sealed, timeout),
            _ => self.inner.transmit_output(amount, timeout),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let some = self.inner.await_input(timeout)?;
        if let Some(call) = self.call.as_ref().filter(|_| some) {
            call.received();
        }
        Ok(some)
    }

    fn is_open(&mut self) -> bool {
        let returned = self.call.take().is_some();
        let open = self.inner.is_open();
        if open && !returned {
            self.call = call::current();
        }
        open
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl Link {
    /// Sends the first bytes of a request, with the sealed lines after its first line.
    fn transmit_head(&mut self, amount: usize, sealed: &[u8], timeout: NextTimeout) -> Result<(), Error> {
        let output = self.inner.buffers().output();
        let line_end = output[..amount].windows(2).position(|pair| pair == b"\r\n");
        let Some(end) = line_end.map(|at| at + 2) else {
            let call = self.call.as_ref().ok_or(Error::ConnectionFailed)?;
            return Err(fault::wrap(call.fault(FaultKind::Protocol, "the URL is too long")));
        };
        let whole = amount + sealed.len();
        if whole <= output.len() {
            output.copy_within(end..amount, end + sealed.len());
            output[end..end + sealed.len()].copy_from_slice(sealed);
            return self.inner.transmit_output(whole, timeout);
        }
        let mut head = output[..amount].to_vec();
        head.splice(end..end, sealed.iter().copied());
        let mut rest = &head[..];
        while !rest.is_empty() {
            let output = self.inner.buffers().output();
            let (now, later) = rest.split_at(rest.len().min(output.len()));
            output[..now.len()].copy_from_slice(now);
            self.inner.transmit_output(now.len(), timeout)?;
            rest = later;
        }
        Ok(())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.inner).finish()
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
