//! A resource's port: accepts connections, and can be closed and opened again without losing its number.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};

use super::{Model, Shared, connection};
use crate::clock;

/// Connections that the kernel completes before they are accepted, so that a burst of them does not time out. Linux
/// cuts it to `net.core.somaxconn`, 4096 by default.
const BACKLOG: u32 = 4096;

/// Rest after a failed accept, which mostly means that the process is out of file descriptors for now.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Least time between two warnings of failed accepts.
const WARNING_PAUSE: Duration = Duration::from_secs(5);

/// The handle to a port's task, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
}

/// To be open or closed, and where to say that it is so.
#[derive(Debug)]
struct Order {
    open: bool,
    done: std::sync::mpsc::Sender<io::Result<()>>,
}

/// The listening socket, or one that is bound but does not listen: that refuses connections and keeps the number from
/// being given to anybody else.
enum Door {
    Open(TcpListener),
    /// None where the number could not be kept; then opening it again may fail.
    Closed(Option<TcpSocket>),
}

impl Port {
    /// Opens `address` for `resource`. To be called inside the runtime.
    pub(super) fn open<M: Model>(address: SocketAddr, resource: usize, shared: &Arc<Shared<M>>) -> io::Result<Self> {
        let listener = bind(address)?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(Door::Open(listener), address, resource, Arc::clone(shared), inbox));
        Ok(Port { address, orders })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens or closes the port and returns when that is done; closing it resets its connections.
    pub(super) fn set_open(&self, open: bool) -> io::Result<()> {
        let (done, answer) = std::sync::mpsc::channel();
        let gone = || io::Error::other("the port's task has ended");
        self.orders.send(Order { open, done }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

async fn run<M: Model>(
    mut door: Door,
    address: SocketAddr,
    resource: usize,
    shared: Arc<Shared<M>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    // A change tells the connections accepted so far to end.
    let lives = watch::Sender::new(());
    let mut warned = None;
    loop {
        let order = match &door {
            Door::Closed(_) => orders.recv().await,
            Door::Open(listener) => tokio::select! {
                order = orders.recv() => order,
                accepted = listener.accept() => {
                    match accepted {
                        Ok((socket, _)) => {
                            let life = lives.subscribe();
                            tokio::spawn(connection::serve(Arc::clone(&shared), resource, socket, life));
                        }
                        Err(error) => {
                            if !shared.spare.lend(&error) {
                                warn_of(&error, address, &mut warned);
                                tokio::time::sleep(ACCEPT_PAUSE).await;
                            }
                        }
                    }
                    continue;
                }
            },
        };
        let Some(order) = order else { return };
        let result;
        (door, result) = obey(door, order.open, address);
        if !order.open {
            lives.send_replace(());
        }
        // Nobody waits any more where the fleet is being dropped.
        let _ = order.done.send(result);
    }
}

/// Warns of a failed accept, once in a while: they come fifty times a second.
fn warn_of(error: &io::Error, address: SocketAddr, warned: &mut Option<Instant>) {
    let now = clock::now();
    if warned.is_none_or(|last| now >= last + WARNING_PAUSE) {
        *warned = Some(now);
        log::warn!("simulator: accepting connections on {address}: {error}");
    }
}

/// Opens or closes `door`.
fn obey(door: Door, open: bool, address: SocketAddr) -> (Door, io::Result<()>) {
    match (door, open) {
        (Door::Open(listener), false) => {
            // Only when it is dropped can its address be bound again.
            drop(listener);
            (
                Door::Closed(
                    bind(address)
                        .and_then(|socket| share(&socket, false).map(|()| socket))
                        .ok(),
                ),
                Ok(()),
            )
        }
        (Door::Closed(kept), true) => {
            let listener = kept
                .map_or_else(|| bind(address), Ok)
                .and_then(|socket| socket.listen(BACKLOG));
            match listener {
                Ok(listener) => (Door::Open(listener), Ok(())),
                Err(error) => (Door::Closed(None), Err(error)),
            }
        }
        (door, _) => (door, Ok(())),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    share(&socket, true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Whether the port may be bound while connections that it once accepted are not quite gone, which is what a restart
/// needs. It would also let another program have a port that is only being kept, so it is off meanwhile. On Windows
/// it means to share a port that is in use, and is never wanted.
fn share(socket: &TcpSocket, on: bool) -> io::Result<()> {
    match cfg!(windows) {
        true => Ok(()),
        false => socket.set_reuseaddr(on),
    }
}
