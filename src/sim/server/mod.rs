//! The simulator's sockets: a thin shell around a pure model.
//!
//! It reads requests, asks the [`Model`] for a [`Plan`] and carries it out to the letter. HTTP is written by hand over
//! `httparse`, because half of the plans break the protocol in exact ways that a well-behaved library prevents.
//!
//! ```text
//!  port ──accept──▶ connection ──bytes──▶ request ──Ask──▶ model
//!                        ◀──bytes── reply ◀──Plan──┘ └─notes─▶ journal
//! ```
//! One tokio runtime on threads of its own carries it all; nothing of it shows outside.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::fleet_error::FleetError;
use super::journal::Journal;
use super::plan::{Ask, Plan};
use super::settings::FleetSettings;
use crate::clock;
use port::Port;
use spare::SpareFiles;

mod chunks;
mod connection;
mod port;
mod refusal;
mod reply;
pub(crate) mod request;
mod spare;

/// Stack of a thread, in bytes: the runtime's own default.
const STACK: usize = 2 * 1024 * 1024;

/// Longest wait for the server's threads when it is dropped.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// What decides about requests.
pub(crate) trait Model: Send + 'static {
    /// Decides how a request is answered.
    fn ask(&mut self, ask: &Ask<'_>) -> Plan;

    /// Learns that the exchange with this ticket is over, whichever way, at `now` since the fleet's start.
    fn finished(&mut self, ticket: u64, now: Duration);
}

/// How a deployment is dead while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Death {
    /// Connections are refused, as when the process is gone: the port is closed, open connections are reset. Where
    /// several deployments share the resource, its port must stay open, and this is as [`Death::Reset`].
    Refuse,
    /// Connections are accepted, and reset as soon as a request is there.
    Reset,
    /// Connections and requests are accepted, and nothing ever comes back on them, not even after a revival.
    Hang,
}

/// A deployment, as far as the server must know it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) name: Arc<str>,
    /// The resource that it belongs to.
    pub(crate) resource: usize,
}

/// A running server; dropping it ends it.
pub(crate) struct Server<M> {
    shared: Arc<Shared<M>>,
    sites: Vec<Site>,
    ports: Vec<Port>,
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
}

/// What all connections share.
struct Shared<M> {
    /// Held for a decision, never for a wait.
    model: Mutex<M>,
    journal: Journal,
    /// The fleet's start, from which the model and the journal count.
    epoch: Instant,
    /// Whether and how each deployment is dead.
    deaths: Vec<watch::Sender<Option<Death>>>,
    max_body: usize,
    spare: SpareFiles,
}

impl<M: Model> Server<M> {
    /// Opens one loopback port for each of `ports` (0: any that is free), in the order of the resources.
    pub(crate) fn start(
        model: M,
        sites: Vec<Site>,
        ports: &[u16],
        settings: &FleetSettings,
    ) -> Result<Self, FleetError> {
        let threads = settings.threads.max(1);
        // The runtime panics where it gets none.
        try_threads(threads).map_err(|source| FleetError::Threads { threads, source })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("blaster-sim")
            .thread_stack_size(STACK)
            .enable_io()
            .enable_time()
            .build()
            .map_err(|source| FleetError::Threads { threads, source })?;
        let names = sites.iter().map(|site| Arc::clone(&site.name)).collect();
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            journal: Journal::new(names, settings.journal_capacity, settings.keep_body),
            epoch: clock::now(),
            deaths: sites.iter().map(|_| watch::Sender::new(None)).collect(),
            max_body: settings.max_body,
            spare: SpareFiles::new(),
        });
        let ports = {
            // Sockets register with the runtime of the thread that makes them.
            let _inside = runtime.enter();
            let open = |(resource, &port): (usize, &u16)| {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                Port::open(address, resource, &shared).map_err(|source| FleetError::Listen { address, source })
            };
            ports.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?
        };
        Ok(Server {
            shared,
            sites,
            ports,
            runtime: Some(runtime),
        })
    }

    /// Where a resource listens.
    pub(crate) fn address(&self, resource: usize) -> Option<SocketAddr> {
        self.ports.get(resource).map(Port::address)
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// Time since the start, as in the journal.
    pub(crate) fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Changes the model between two requests.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut M, Duration) -> T) -> T {
        let mut model = self.shared.model.lock();
        change(&mut model, self.shared.now())
    }

    /// Lets a deployment die, or live again (`None`). When it returns, the next request meets the new state.
    ///
    /// # Errors
    /// [`FleetError::Listen`]: the port could not be opened again.
    pub(crate) fn set_death(&self, deployment: usize, death: Option<Death>) -> Result<(), FleetError> {
        let (Some(site), Some(state)) = (self.sites.get(deployment), self.shared.deaths.get(deployment)) else {
            return Ok(());
        };
        let tenants = self
            .sites
            .iter()
            .filter(|other| other.resource == site.resource)
            .count();
        let set_port = |open: bool| match self.ports.get(site.resource) {
            Some(port) if tenants == 1 => port.set_open(open).map_err(|source| FleetError::Listen {
                address: port.address(),
                source,
            }),
            _ => Ok(()),
        };
        // A client whose request is broken off comes back at once; it must find the port closed already.
        if death == Some(Death::Refuse) {
            set_port(false)?;
            state.send_replace(death);
            Ok(())
        } else {
            state.send_replace(death);
            set_port(true)
        }
    }
}

impl<M> fmt::Debug for Server<M> {
    /// Without the model, which knows the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("sites", &self.sites)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

impl<M> Drop for Server<M> {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        // A thread that drives another runtime must not block; there the sockets close a moment later.
        if tokio::runtime::Handle::try_current().is_ok() {
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(SHUTDOWN_PATIENCE);
        }
    }
}

/// Finds out whether so many threads can be had at once, by having them.
fn try_threads(threads: usize) -> io::Result<()> {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let tried: io::Result<Vec<_>> = (0..threads)
        .map(|_| {
            let held = Arc::clone(&held);
            // It waits for the sender to be dropped.
            thread::Builder::new().stack_size(STACK).spawn(move || {
                let _ = held.lock().recv();
            })
        })
        .collect();
    drop(release);
    for thread in tried? {
        let _ = thread.join();
    }
    Ok(())
}

impl<M> Shared<M> {
    fn now(&self) -> Duration {
        clock::now().saturating_duration_since(self.epoch)
    }
}

#[cfg(test)]
mod tests;
