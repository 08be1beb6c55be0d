//! Makes TCP connections, on the thread of the call that needs one.
//!
//! What blocks is one wait for all addresses that are being connected to: it ends when one of them has answered or failed,
//! when the next is to be tried (see [`Race`]), when the call's time is over, and when the call is cancelled.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, TcpKeepalive, Type};
use ureq::http::Uri;

use super::call::CurrentCall;
use super::lack;
use super::names::Names;
use super::race::{Move, Race};
use super::socket::Socket;
use crate::clock;
use crate::error::fault::{Fault, FaultKind, TimeoutKind};

/// How long nothing moves on a connection before it is shown to be alive, and how often from then on. Azure's NAT forgets
/// connections after 4 minutes of silence, and an answer may take longer to begin.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Longest single wait: a cancel that comes meanwhile ends it on Linux alone, where a socket may be shut down that is not
/// connected yet.
const LONGEST_WAIT: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 60_000 } else { 100 });

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    port: u16,
}

/// Connects to `place` for `call`, which has the socket from then on.
///
/// # Errors
/// Where no connection was made before the call's limit, or the call was cancelled.
pub(super) fn dial(names: &Names, place: &Place, call: &Arc<CurrentCall>) -> Result<Arc<Socket>, Fault> {
    let Place { host, port } = place;
    let route = names.route(host, *port, call)?;
    let now = clock::now();
    let until = call.write_limit(now)?.until;
    let mut attempts = Attempts {
        addresses: route.addresses.len(),
        ..Attempts::default()
    };
    let won = attempts.run(Race::new(route, now, until), place, call);
    match &won {
        Ok(attempt) => names.note(host, *port, Some(&attempt.address), &attempts.failed),
        // These say nothing about the place.
        Err(fault) if matches!(fault.kind, FaultKind::Local | FaultKind::Cancelled) => {}
        Err(_) => {
            let silent = attempts.under_way.iter().map(|attempt| attempt.address);
            let failed: Vec<_> = attempts.failed.iter().copied().chain(silent).collect();
            names.note(host, *port, None, &failed);
        }
    }
    let socket = won?.socket;
    call.claims(&socket, false);
    let now = clock::now();
    if now >= until {
        // It was made while we were stopped; what follows has its own time still before it.
        call.connecting(now);
    }
    Ok(socket)
}

/// What has been tried for a place.
#[derive(Default)]
struct Attempts {
    addresses: usize,
    /// In the order in which they began.
    under_way: Vec<Attempt>,
    /// Those that have failed, or are slower than one that began later.
    failed: Vec<SocketAddr>,
}

struct Attempt {
    address: SocketAddr,
    socket: Arc<Socket>,
}

/// An attempt that is over, its place among those under way, and how it went.
struct Over {
    attempt: Attempt,
    place: usize,
    result: io::Result<()>,
}

impl Attempts {
    /// Connects until one address answers.
    fn run(&mut self, mut race: Race, place: &Place, call: &Arc<CurrentCall>) -> Result<Attempt, Fault> {
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        loop {
            let now = clock::now();
            let limit = call.write_limit(now)?;
            let (address, error) = match race.next(now) {
                Move::Begin(address) => match begin(address) {
                    Ok(socket) => {
                        // A cancel closes the youngest, which ends the wait for all.
                        call.claims(&socket, false);
                        self.under_way.push(Attempt { address, socket });
                        continue;
                    }
                    Err(error) => (address, error),
                },
                Move::Wait(at) => {
                    let longest = at.min(limit.until).saturating_duration_since(now);
                    let over = self.wait(longest.min(LONGEST_WAIT));
                    match over.map_err(|error| self.failure(&error, place, call))? {
                        None => continue,
                        Some(Over {
                            attempt,
                            place,
                            result: Ok(()),
                        }) => {
                            self.failed
                                .extend(self.under_way[..place].iter().map(|slow| slow.address));
                            return Ok(attempt);
                        }
                        Some(Over {
                            attempt,
                            result: Err(error),
                            ..
                        }) => (attempt.address, error),
                    }
                }
                Move::Lose => return Err(self.failure(&last, place, call)),
            };
            last = lack::told_apart(error, address);
            if lack::was_told_apart(&last) {
                // The others would lack it too.
                return Err(self.failure(&last, place, call));
            }
            self.failed.push(address);
            race.failed(clock::now());
        }
    }

    /// Waits until one of them is over, for `longest` at most.
    fn wait(&mut self, longest: Duration) -> io::Result<Option<Over>> {
        let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
        let streams = self.under_way.iter().map(|attempt| attempt.socket.stream());
        let mut asked: Vec<_> = streams.map(|stream| PollFd::new(stream, PollFlags::OUT)).collect();
        match poll(&mut asked, Some(&longest)) {
            // A signal; what is left is waited for.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(place) = asked.iter().position(|asked| !asked.revents().is_empty()) else {
            return Ok(None);
        };
        let attempt = self.under_way.remove(place);
        let result = end(attempt.socket.stream());
        Ok(Some(Over { attempt, place, result }))
    }

    /// What it means that none of the addresses has answered.
    fn failure(&self, error: &io::Error, place: &Place, call: &CurrentCall) -> Fault {
        let kind = match error.kind() {
            _ if lack::was_told_apart(error) => FaultKind::Local,
            io::ErrorKind::ConnectionRefused => FaultKind::Refused,
            io::ErrorKind::TimedOut => FaultKind::Timeout(TimeoutKind::Connect),
            _ => FaultKind::Connect,
        };
        let tried = match self.addresses {
            1 => String::new(),
            several => format!(" ({several} addresses tried)"),
        };
        call.fault(kind, format!("{place}{tried}: {error}"))
    }
}

/// Begins to connect.
fn begin(address: SocketAddr) -> io::Result<Arc<Socket>> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Socket::new(socket.into()),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    // What is EAGAIN on Unix is a want of free ports there.
    let is_begun = cfg!(windows) && error.kind() == io::ErrorKind::WouldBlock;
    is_begun || matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::INTR))
}

/// How a connection has ended up of which the system says that it has.
fn end(stream: &TcpStream) -> io::Result<()> {
    match stream.take_error()? {
        Some(error) => Err(error),
        // It may have been shut down.
        None => stream.peer_addr().map(drop),
    }
}

impl Place {
    /// Name or address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn of(uri: &Uri) -> Option<Place> {
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })?;
        Some(Place { host, port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use parking_lot::Mutex;
    use rustix::net::sockopt;

    use super::*;
    use crate::transport::gate::Interrupt as _;
    use crate::transport::wire::tests::{Silent, connecting};

    const MINUTE: Duration = Duration::from_secs(60);

    /// Names that all have these addresses.
    fn names(addresses: &[SocketAddr]) -> Names {
        let addresses = addresses.to_vec();
        Names::with_lookup(move |_, _| Ok(addresses.clone()))
    }

    fn place(uri: &'static str) -> Place {
        Place::of(&Uri::from_static(uri)).unwrap()
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address at which nobody listens.
    fn refusing() -> SocketAddr {
        listener().1
    }

    fn peer(socket: &Socket) -> SocketAddr {
        socket.stream().peer_addr().unwrap()
    }

    #[test]
    fn an_address_that_never_answers_holds_up_no_other_and_is_asked_last_from_then_on() {
        let (_listener, good) = listener();
        let silent = Silent::new();
        let names = names(&[silent.address(), good]);
        let place = place("https://two.example");
        let socket = dial(&names, &place, &connecting(MINUTE)).unwrap();
        assert_eq!(peer(&socket), good);
        let route = names.route("two.example", 443, &connecting(MINUTE)).unwrap();
        assert_eq!(route.addresses, [good, silent.address()]);
        assert!(route.is_known, "no race is needed any more");
        assert_eq!(peer(&dial(&names, &place, &connecting(MINUTE)).unwrap()), good);
    }

    #[test]
    fn where_the_address_that_answered_no_longer_does_the_others_are_tried() {
        let (listener, first) = listener();
        let silent = Silent::new();
        let names = names(&[first, silent.address()]);
        let place = place("https://two.example");
        assert_eq!(peer(&dial(&names, &place, &connecting(MINUTE)).unwrap()), first);
        drop(listener);
        let fault = dial(&names, &place, &connecting(Duration::from_millis(300))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Connect), "{fault}");
        let route = names.route("two.example", 443, &connecting(MINUTE)).unwrap();
        assert_eq!(
            (route.addresses, route.is_known),
            (vec![first, silent.address()], false)
        );
    }

    #[test]
    fn a_place_that_refuses_is_told_with_all_that_was_tried() {
        let both = [refusing(), refusing()];
        let place = place("https://two.example");
        let fault = dial(&names(&both), &place, &connecting(MINUTE)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused);
        let words = "two.example:443 (2 addresses tried): Connection refused";
        assert!(fault.message.starts_with(words), "{fault}");
        let address = refusing();
        let one = Place::of(&format!("http://{address}").parse().unwrap()).unwrap();
        let fault = dial(&names(&[]), &one, &connecting(MINUTE)).unwrap_err();
        assert!(
            fault.message.starts_with(&format!("{address}: Connection refused")),
            "{fault}"
        );
    }

    #[test]
    fn a_place_that_never_answers_is_waited_for_until_the_limit() {
        let silent = Silent::new();
        let place = Place::of(&format!("http://{}", silent.address()).parse().unwrap()).unwrap();
        let fault = dial(&Names::new(), &place, &connecting(Duration::from_millis(20))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Connect), "{fault}");
    }

    #[test]
    fn a_cancel_ends_the_wait_for_a_place_that_never_answers() {
        let silent = [Silent::new(), Silent::new()];
        let names = names(&[silent[0].address(), silent[1].address()]);
        let (place, call) = (place("https://slow.example"), connecting(MINUTE));
        let fault = thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&names, &place, &call));
            while !call.has_socket() {
                thread::yield_now();
            }
            call.interrupt();
            dialled.join().unwrap().unwrap_err()
        });
        assert_eq!(fault.kind, FaultKind::Cancelled);
    }

    /// A name whose lookup hangs until the sender is dropped, and that tells when it has begun.
    fn hanging() -> (Names, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (release, hang) = mpsc::channel();
        let (entered, asked) = mpsc::channel();
        let hang = Mutex::new(hang);
        let names = Names::with_lookup(move |_, _| {
            let _ = entered.send(());
            let _ = hang.lock().recv();
            Err(io::Error::other("gave up"))
        });
        (names, release, asked)
    }

    #[test]
    fn a_name_service_that_hangs_cannot_outlast_the_limit() {
        let (names, _release, _asked) = hanging();
        let call = connecting(Duration::from_millis(20));
        let fault = dial(&names, &place("https://slow.example"), &call).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Connect));
    }

    #[test]
    fn a_cancel_ends_the_wait_for_a_name_service_that_hangs() {
        let (names, _release, asked) = hanging();
        let (place, call) = (place("https://slow.example"), connecting(MINUTE));
        let fault = thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&names, &place, &call));
            asked.recv().unwrap();
            call.interrupt();
            dialled.join().unwrap().unwrap_err()
        });
        assert_eq!(fault.kind, FaultKind::Cancelled);
    }

    #[test]
    fn a_connection_is_kept_alive_and_sends_at_once() {
        let (_listener, address) = listener();
        let place = Place::of(&format!("http://{address}").parse().unwrap()).unwrap();
        let socket = dial(&Names::new(), &place, &connecting(MINUTE)).unwrap();
        let stream = socket.stream();
        assert!(sockopt::socket_keepalive(stream).unwrap() && sockopt::tcp_nodelay(stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(stream).unwrap(), KEEPALIVE);
        assert_eq!(sockopt::tcp_keepintvl(stream).unwrap(), KEEPALIVE);
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
