//! Makes TCP connections, with an end to waiting that the operating system's calls do not offer.
//!
//! Neither resolving a name nor connecting can be broken off, and resolving cannot be bounded either. So each new
//! connection is made by a short-lived thread of its own, while the call waits for it, its limit or a cancel. That
//! costs some 20 µs per new connection, little beside a TLS handshake and nothing on a pooled connection. A thread
//! whose call has gone away ends at the same limit, except inside a lookup that hangs, of which there is at most one
//! per host name at a time. There are [`MOST`] such threads at most: a start of thousands of workers at once would
//! otherwise double them, and a machine that has room for no more threads may abort the process. A call that finds no
//! place among them connects on its own thread.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ureq::http::Uri;

use super::call::CurrentCall;
use super::lack;
use super::names::{Names, NoAddress};
use crate::clock;
use crate::error::fault::{Fault, FaultKind, TimeoutKind};

/// The stack of a dialling thread. Resolver modules of the C library are known to need up to 100 KiB.
const STACK: usize = 256 * 1024;

/// Dialling threads at most, in the whole process.
const MOST: usize = 256;

/// Dialling threads there are.
static DIALLING: AtomicUsize = AtomicUsize::new(0);

/// The least time given to one of several addresses.
const LEAST_PER_ADDRESS: Duration = Duration::from_millis(50);

/// How long a connection to this machine itself may take without a thread of its own. It is there at once, unless
/// the listener's queue is full.
const LOOPBACK: Duration = Duration::from_millis(10);

/// A place to connect to.
#[derive(Clone, Debug)]
struct Place {
    host: String,
    port: u16,
}

/// Why there is no connection.
struct Undialled {
    kind: FaultKind,
    words: String,
}

/// Connects to the host of `uri` for `call`.
///
/// # Errors
/// Where no connection was made before the call's limit, or the call was cancelled.
pub(super) fn dial(names: &Arc<Names>, uri: &Uri, call: &Arc<CurrentCall>) -> Result<TcpStream, Fault> {
    let place = Place::of(uri).ok_or_else(|| call.fault(FaultKind::Protocol, "the URL names no host"))?;
    let now = clock::now();
    let until = call.write_limit(now)?.until;
    if let Some(address) = place.loopback() {
        match TcpStream::connect_timeout(&address, LOOPBACK.min(until - now)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            result => {
                let connected = result.map_err(|error| place.failure(1, &lack::told_apart(error, address)));
                return ready(connected, call);
            }
        }
    }
    let result = Arc::new(Mutex::new(None));
    let spawned = Turn::take().is_some_and(|turn| {
        let (names, place, call, result) = (Arc::clone(names), place.clone(), Arc::clone(call), Arc::clone(&result));
        let dialler = move || {
            let _turn = turn;
            *result.lock() = Some(connect(&names, &place, until));
            call.wake();
        };
        let builder = thread::Builder::new().name("blaster-dial".into()).stack_size(STACK);
        builder.spawn(dialler).is_ok()
    });
    let connected = if spawned {
        call.wait_for(clock::now(), || result.lock().take())?
    } else {
        // Connecting without a way to break it off is better than not connecting.
        connect(names, &place, until)
    };
    ready(connected, call)
}

/// The place of a dialling thread among [`MOST`], until dropped.
struct Turn(());

impl Turn {
    fn take() -> Option<Turn> {
        let more = |dialling| (dialling < MOST).then_some(dialling + 1);
        let taken = DIALLING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then_some(Turn(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        DIALLING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn ready(connected: Result<TcpStream, Undialled>, call: &CurrentCall) -> Result<TcpStream, Fault> {
    let stream = connected.map_err(|undialled| {
        // The dialler only knows that its time was over; which limit that was, the call knows.
        match call.write_limit(clock::now()) {
            Err(fault) if matches!(undialled.kind, FaultKind::Timeout(_)) => fault,
            _ => call.fault(undialled.kind, undialled.words),
        }
    })?;
    // Requests leave in whole packets already.
    stream
        .set_nodelay(true)
        .map_err(|error| call.fault(FaultKind::Connect, error.to_string()))?;
    Ok(stream)
}

impl Place {
    fn of(uri: &Uri) -> Option<Place> {
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })?;
        Some(Place { host, port })
    }

    /// The address, where it is one of this machine itself.
    fn loopback(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        address.is_loopback().then(|| SocketAddr::new(address, self.port))
    }

    /// What it means that none of the place's `addresses` took the connection.
    fn failure(&self, addresses: usize, error: &io::Error) -> Undialled {
        let Place { host, port } = self;
        let kind = match error.kind() {
            _ if lack::was_told_apart(error) => FaultKind::Local,
            io::ErrorKind::ConnectionRefused => FaultKind::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => FaultKind::Timeout(TimeoutKind::Connect),
            _ => FaultKind::Connect,
        };
        let tried = match addresses {
            1 => String::new(),
            several => format!(" ({several} addresses tried)"),
        };
        Undialled {
            kind,
            words: format!("{host}:{port}{tried}: {error}"),
        }
    }
}

/// Resolves `place` and connects to the first of its addresses that answers.
fn connect(names: &Names, place: &Place, until: Instant) -> Result<TcpStream, Undialled> {
    let Place { host, port } = place;
    let addresses = names.resolve(host, *port, until).map_err(|error| match error {
        NoAddress::Failed(words) => Undialled {
            kind: FaultKind::Dns,
            words: format!("{host}: {words}"),
        },
        NoAddress::TimedOut => Undialled {
            kind: FaultKind::Timeout(TimeoutKind::Connect),
            words: format!("{host}: no answer from the name service"),
        },
        NoAddress::Lacking(words) => Undialled {
            kind: FaultKind::Local,
            words: format!("{host}: {words}"),
        },
    })?;
    first_that_answers(&addresses, until, |address, wait| {
        TcpStream::connect_timeout(&address, wait).map_err(|error| lack::told_apart(error, address))
    })
    .map_err(|error| {
        if !lack::was_told_apart(&error) {
            names.doubt(host, *port);
        }
        place.failure(addresses.len(), &error)
    })
}

/// Tries `addresses` in turn. Each is given an equal share of the time that is left, so that one that never answers
/// (a broken IPv6 route, usually the first) leaves time for the others. What this machine lacks ends it.
fn first_that_answers<T>(
    addresses: &[SocketAddr],
    until: Instant,
    mut connect: impl FnMut(SocketAddr, Duration) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for (index, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(clock::now());
        if left.is_zero() {
            break;
        }
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match connect(*address, (left / others).max(LEAST_PER_ADDRESS.min(left))) {
            Ok(stream) => return Ok(stream),
            // The others would lack it too.
            Err(error) if lack::was_told_apart(&error) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::transport::Limits;
    use crate::transport::gate::Interrupt as _;

    /// A call that has begun to connect, and dials a name whose lookup hangs until the sender is dropped.
    fn hanging(connect: Duration) -> (Arc<CurrentCall>, Arc<Names>, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let minute = Duration::from_secs(60);
        let limits = Limits {
            connect,
            first_byte: minute,
            first_content: minute,
            idle: minute,
            deadline: clock::now() + minute,
        };
        let call = CurrentCall::new(0, limits, Arc::new([]));
        call.connecting(clock::now());
        let (release, hang) = mpsc::channel();
        let (entered, asked) = mpsc::channel();
        let hang = Mutex::new(hang);
        let names = Names::with_lookup(move |_, _| {
            let _ = entered.send(());
            let _ = hang.lock().recv();
            Err(io::Error::other("gave up"))
        });
        (call, Arc::new(names), release, asked)
    }

    #[test]
    fn a_name_service_that_hangs_cannot_outlast_the_limit() {
        let (call, names, _release, _asked) = hanging(Duration::from_millis(20));
        let fault = dial(&names, &Uri::from_static("https://slow.example"), &call).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Connect));
    }

    #[test]
    fn a_cancel_ends_the_wait_for_a_name_service_that_hangs() {
        let (call, names, _release, asked) = hanging(Duration::from_secs(60));
        let fault = thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&names, &Uri::from_static("https://slow.example"), &call));
            asked.recv().unwrap();
            call.interrupt();
            dialled.join().unwrap().unwrap_err()
        });
        assert_eq!(fault.kind, FaultKind::Cancelled);
    }

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (0..count).map(|last| SocketAddr::from(([10, 0, 0, last], 1))).collect()
    }

    #[test]
    fn every_address_is_tried_until_one_answers() {
        let until = clock::now() + Duration::from_secs(60);
        let mut tried = Vec::new();
        let connected = first_that_answers(&addresses(4), until, |address, _| {
            tried.push(address);
            match tried.len() {
                1 => Err(io::ErrorKind::TimedOut.into()),
                2 => Err(io::ErrorKind::NetworkUnreachable.into()),
                _ => Ok(address),
            }
        });
        assert_eq!(connected.unwrap(), addresses(4)[2]);
        assert_eq!(tried, addresses(3));
    }

    #[test]
    fn an_address_that_never_answers_leaves_time_for_the_others() {
        let until = clock::now() + Duration::from_secs(60);
        let mut waits = Vec::new();
        let connected = first_that_answers(&addresses(3), until, |_, wait| {
            waits.push(wait.as_secs());
            Err::<(), _>(io::ErrorKind::ConnectionRefused.into())
        });
        assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        // Nothing has passed, so each gets its share of the whole minute.
        assert!(matches!(waits[..], [19..=20, 29..=30, 59..=60]), "{waits:?}");
    }

    #[test]
    fn without_time_nothing_is_tried() {
        let tried = first_that_answers(&addresses(1), clock::now(), |_, _| Ok(()));
        assert_eq!(tried.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_place_has_its_schemes_port() {
        let check = |uri: &str, host: &str, port| {
            let place = Place::of(&uri.parse().unwrap()).unwrap();
            assert_eq!((place.host.as_str(), place.port), (host, port), "{uri}");
        };
        check("https://h/x", "h", 443);
        check("http://h", "h", 80);
        check("https://[::1]:8/x", "::1", 8);
    }
}
