//! A TCP connection below TLS: who uses it, and the one place where a call waits.
//!
//! It never blocks: what can be read or written is, and where nothing can, [`Socket::wait`] waits for it, for as long as
//! the call may.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::call::{CallId, CurrentCall, WaitLimit};
use super::fault;
use crate::clock;
use crate::error::fault::Fault;

/// A TCP stream, and the call that may close it from another thread.
pub(super) struct Socket {
    stream: TcpStream,
    /// The call that uses it; 0 while it lies in the pool. A cancel compares under this lock, so it can only ever
    /// close the socket of its own call, however late it comes.
    owner: Mutex<CallId>,
}

/// The owner of a socket in the pool.
const NOBODY: CallId = 0;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitFor {
    Read,
    Write,
    Either,
}

/// What can be done without waiting. After an end, or an error, both can: it is met there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Longest single wait; some systems count its milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_secs(3600);

impl Socket {
    /// # Errors
    /// Where the system does not let it be set up, e.g. because the peer has gone already.
    pub(super) fn new(stream: TcpStream) -> io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        // Requests leave in whole packets already.
        stream.set_nodelay(true)?;
        Ok(Arc::new(Socket {
            stream,
            owner: Mutex::new(NOBODY),
        }))
    }

    /// The stream itself, for who waits for several of them.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn claim(&self, call: CallId) {
        *self.owner.lock() = call;
    }

    pub(super) fn release(&self) {
        *self.owner.lock() = NOBODY;
    }

    /// Closes the connection if `call` uses it; who waits for it wakes at once.
    pub(super) fn shut_down_for(&self, call: CallId) {
        let owner = self.owner.lock();
        if *owner == call {
            // It fails only where the peer has closed already.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits for `what` until `limit`.
    ///
    /// The clock is a limit of waiting, not of what has come: however late it is, what lies there counts. A process that
    /// was stopped for a while, or a machine that slept, finds its replies where they arrived.
    ///
    /// # Errors
    /// Where the time is over and nothing is there.
    pub(super) fn wait(&self, call: &CurrentCall, what: WaitFor, limit: WaitLimit) -> Result<Ready, Fault> {
        loop {
            let left = limit.until.saturating_duration_since(clock::now());
            let ready = self.ready(what, left).map_err(|error| fault::of_io(&error, call))?;
            if ready.read || ready.write {
                return Ok(ready);
            }
            if left.is_zero() {
                return Err(call.timeout(limit.kind));
            }
        }
    }

    /// Waits for `what`, `longest` at most.
    fn ready(&self, what: WaitFor, longest: Duration) -> io::Result<Ready> {
        let wanted = match what {
            WaitFor::Read => PollFlags::IN,
            WaitFor::Write => PollFlags::OUT,
            WaitFor::Either => PollFlags::IN | PollFlags::OUT,
        };
        let longest = Timespec::try_from(longest.min(LONGEST)).map_err(io::Error::other)?;
        let mut asked = [PollFd::new(&self.stream, wanted)];
        match poll(&mut asked, Some(&longest)) {
            Ok(_) => {}
            // A signal. The caller waits on, for what is left.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [answer] = asked;
        let broken = answer
            .revents()
            .intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        Ok(Ready {
            read: broken || answer.revents().contains(PollFlags::IN),
            write: broken || answer.revents().contains(PollFlags::OUT),
        })
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buf)
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.stream).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&self.stream).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.stream.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::error::fault::{FaultKind, TimeoutKind};
    use crate::transport::Limits;
    use crate::transport::gate::Interrupt as _;

    fn pair() -> (Arc<Socket>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        (Socket::new(stream).unwrap(), peer)
    }

    fn call() -> Arc<CurrentCall> {
        let minute = Duration::from_secs(60);
        let limits = Limits {
            connect: minute,
            first_byte: minute,
            first_content: minute,
            idle: minute,
            deadline: clock::now() + minute,
        };
        CurrentCall::new(0, limits, Arc::new([]))
    }

    fn until(until: Instant) -> WaitLimit {
        let kind = TimeoutKind::Idle;
        WaitLimit { until, kind }
    }

    #[test]
    fn only_its_owner_can_shut_a_socket_down() {
        let (socket, mut peer) = pair();
        let is_open = |socket: &Socket| { socket }.write(b"x").is_ok();

        socket.shut_down_for(1);
        socket.claim(2);
        socket.shut_down_for(1);
        assert!(is_open(&socket));
        socket.release();
        socket.shut_down_for(2);
        assert!(is_open(&socket));
        socket.claim(3);
        socket.shut_down_for(3);
        assert!(!is_open(&socket));
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, b"xx");
    }

    #[test]
    fn what_has_come_counts_however_late_it_is() {
        let (socket, mut peer) = pair();
        let (call, now) = (call(), clock::now());
        let late = until(now.checked_sub(Duration::from_secs(30)).unwrap());
        let fault = socket.wait(&call, WaitFor::Read, late).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout(TimeoutKind::Idle));
        peer.write_all(b"x").unwrap();
        assert!(
            socket
                .wait(&call, WaitFor::Read, until(now + Duration::from_secs(60)))
                .unwrap()
                .read
        );
        for what in [WaitFor::Read, WaitFor::Write, WaitFor::Either] {
            let ready = socket.wait(&call, what, late).unwrap();
            assert_eq!(
                (ready.read, ready.write),
                (what != WaitFor::Write, what != WaitFor::Read)
            );
        }
    }

    #[test]
    fn who_waits_wakes_when_the_call_is_cancelled() {
        let (socket, _peer) = pair();
        let call = call();
        call.claims(&socket, false);
        let limit = call.read_limit(clock::now()).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| socket.wait(&call, WaitFor::Read, limit));
            call.interrupt();
            // A cancel that comes before the wait is seen by it, too: the socket is closed.
            assert!(waits.join().unwrap().unwrap().read);
        });
    }
}
