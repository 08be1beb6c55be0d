//! A TCP connection below TLS: who uses it, and reads and writes that end when that call must end.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

use super::call::{self, CallId, CurrentCall, WaitLimit};
use super::fault;
use crate::clock;
use crate::error::fault::{Fault, FaultKind};

/// A TCP stream, and the call that may close it from another thread.
pub(super) struct Socket {
    stream: TcpStream,
    /// The call that uses it; 0 while it lies in the pool. A cancel compares under this lock, so it can only ever
    /// close the socket of its own call, however late it comes.
    owner: Mutex<CallId>,
}

/// The owner of a socket in the pool.
const NOBODY: CallId = 0;

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Socket {
            stream,
            owner: Mutex::new(NOBODY),
        })
    }

    /// The stream itself, for who waits for several of them.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn claim(&self, call: CallId) {
        *self.owner.lock() = call;
    }

    fn release(&self) {
        *self.owner.lock() = NOBODY;
    }

    /// Closes the connection if `call` uses it; reads and writes blocked on it return at once.
    pub(super) fn shut_down_for(&self, call: CallId) {
        let owner = self.owner.lock();
        if *owner == call {
            // It fails only where the peer has closed already.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The HTTP client's side of a [`Socket`].
///
/// The client's own timeouts are not set, so its `NextTimeout`s say nothing: all limits are the call's.
pub(super) struct SocketTransport {
    socket: Arc<Socket>,
    /// The call that uses it; none while it lies in the pool.
    call: Option<Arc<CurrentCall>>,
    buffers: PendingBuffers,
    read_timeout: SocketTimeout,
    write_timeout: SocketTimeout,
    /// The peer takes no more bytes; what it has answered before may still be read.
    write_closed: bool,
}

impl SocketTransport {
    /// A connection that `call` has just made, and whose socket it has.
    pub(super) fn new(socket: Arc<Socket>, call: Arc<CurrentCall>, input: usize, output: usize) -> Self {
        SocketTransport {
            socket,
            call: Some(call),
            buffers: PendingBuffers::new(input, output),
            read_timeout: SocketTimeout::default(),
            write_timeout: SocketTimeout::default(),
            write_closed: false,
        }
    }

    fn call(&self) -> Result<Arc<CurrentCall>, Error> {
        // The client reads and writes between check-out and return only.
        self.call.clone().ok_or(Error::ConnectionFailed)
    }

    /// Writes what is pending.
    fn flush(&mut self, call: &CurrentCall) -> Result<(), Fault> {
        let pending = std::mem::take(&mut self.buffers.pending);
        let mut start = 0;
        while start < pending && !self.write_closed {
            let limit = call.write_limit(clock::now())?;
            start += self.write(start..pending, call, limit)?;
        }
        Ok(())
    }

    fn write(&mut self, range: std::ops::Range<usize>, call: &CurrentCall, limit: WaitLimit) -> Result<usize, Fault> {
        let stream = &self.socket.stream;
        loop {
            let now = clock::now();
            if now >= limit.until {
                return Err(call.timeout(limit.kind));
            }
            let set = |timeout| stream.set_write_timeout(Some(timeout));
            self.write_timeout
                .fit(limit.until - now, set)
                .map_err(|error| io_fault(call, &error))?;
            match (&*stream).write(&self.buffers.lazy.output()[range.clone()]) {
                Ok(written) => {
                    call.wrote();
                    return Ok(written);
                }
                Err(error) if is_pause(&error) => {}
                // A service that refuses a large request (401, 413, …) may answer and close before it has read it
                // all. The answer, if there is one, is what the caller should hear of.
                Err(error) if fault::is_closed(&error) && !call.is_cancelled() && !call.is_connecting() => {
                    self.write_closed = true;
                    return Ok(0);
                }
                Err(error) => return Err(io_fault(call, &error)),
            }
        }
    }

    /// Waits for bytes and reads what is there; 0 is the end.
    fn read(&mut self, call: &CurrentCall) -> Result<usize, Fault> {
        let stream = &self.socket.stream;
        let mut now = clock::now();
        let limit = call.read_limit(now)?;
        loop {
            let set = |timeout| stream.set_read_timeout(Some(timeout));
            self.read_timeout
                .fit(limit.until - now, set)
                .map_err(|error| io_fault(call, &error))?;
            match (&*stream).read(self.buffers.input_append_buf()) {
                // Our own shutdown reads as an end, which would pass for the end of a body without a length.
                Ok(0) if call.is_cancelled() => return Err(call.fault(FaultKind::Cancelled, "")),
                Ok(amount) => return Ok(amount),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(io_fault(call, &error)),
            }
            now = clock::now();
            if now >= limit.until {
                return Err(call.timeout(limit.kind));
            }
        }
    }

    /// Whether the peer has neither closed the connection nor sent what nobody asked for.
    fn is_quiet(&self) -> bool {
        let mut stream = &self.socket.stream;
        if self.write_closed || stream.set_nonblocking(true).is_err() {
            return false;
        }
        let quiet = matches!(stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        quiet && stream.set_nonblocking(false).is_ok()
    }
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Head and body of a small request leave in one packet: the bytes stay in the buffer until it is well filled or
    /// the reply is waited for.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let call = self.call()?;
        self.buffers.pending += amount;
        if self.buffers.is_well_filled() || call.is_connecting() {
            self.flush(&call).map_err(fault::wrap)?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let call = self.call()?;
        self.flush(&call).map_err(fault::wrap)?;
        if self.buffers.input_append_buf().is_empty() {
            return Err(fault::wrap(
                call.fault(FaultKind::TooLarge, "the reply's head does not fit"),
            ));
        }
        let amount = self.read(&call).map_err(fault::wrap)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Asked twice by the pool: when the connection comes back, and when it is to be used again.
    fn is_open(&mut self) -> bool {
        if self.call.take().is_some() {
            // Released before the pool can hand it to anybody else. Whether it is still good is asked at
            // check-out, after it has lain there; asking now as well would cost three system calls per request.
            self.socket.release();
            return !self.write_closed && self.buffers.pending == 0;
        }
        let Some(call) = call::current() else {
            return false;
        };
        if !self.is_quiet() {
            return false;
        }
        call.claims(&self.socket, true);
        self.call = Some(call);
        true
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.stream.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SocketTransport").field(&self.socket).finish()
    }
}

fn io_fault(call: &CurrentCall, error: &io::Error) -> Fault {
    call.fault(FaultKind::Closed, error.to_string())
}

/// Not a failure: the socket's timeout ran out, or a signal came.
fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// The timeout that a socket has, one direction of it.
#[derive(Default)]
struct SocketTimeout(Option<Duration>);

/// Waits longer than this may end early and go on.
const COARSE: Duration = Duration::from_secs(2);

impl SocketTimeout {
    /// Makes a wait of `wanted` end in time: not later, but a long one possibly earlier (the caller then asks again).
    ///
    /// Deadlines differ a little from call to call. With this slack a busy connection keeps one timeout, and a
    /// system call per read and per write is saved.
    fn fit(&mut self, wanted: Duration, set: impl FnOnce(Duration) -> io::Result<()>) -> io::Result<()> {
        let fits = |has: Duration| has == wanted || (has <= wanted && wanted > COARSE && has >= wanted / 2);
        if self.0.is_some_and(fits) {
            return Ok(());
        }
        // Room below, so that the next call's slightly different wish fits too.
        let timeout = if wanted > COARSE { wanted / 4 * 3 } else { wanted };
        // Zero would mean "for ever"; the system counts in microseconds.
        set(timeout.max(Duration::from_micros(1)))?;
        self.0 = Some(timeout);
        Ok(())
    }
}

/// The client's usual buffers, of which a part of the output may wait to be sent together with what follows.
struct PendingBuffers {
    lazy: LazyBuffers,
    /// So many bytes at the start of the output are waiting.
    pending: usize,
    /// Pending bytes above this are sent. What then remains for a line of the head is three quarters of the buffer.
    well_filled: usize,
}

impl PendingBuffers {
    fn new(input: usize, output: usize) -> Self {
        PendingBuffers {
            lazy: LazyBuffers::new(input, output),
            pending: 0,
            well_filled: output / 4,
        }
    }

    fn is_well_filled(&self) -> bool {
        self.pending > self.well_filled
    }
}

impl Buffers for PendingBuffers {
    fn output(&mut self) -> &mut [u8] {
        &mut self.lazy.output()[self.pending..]
    }

    fn input(&self) -> &[u8] {
        self.lazy.input()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.lazy.input_append_buf()
    }

    fn input_appended(&mut self, amount: usize) {
        self.lazy.input_appended(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.lazy.input_consume(amount);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let (tmp, output) = self.lazy.tmp_and_output();
        (tmp, &mut output[self.pending..])
    }

    fn can_use_input(&self) -> bool {
        self.lazy.can_use_input()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_never_ends_late_and_a_long_one_keeps_the_timeout_of_the_call_before() {
        let seconds = Duration::from_secs;
        let mut timeout = SocketTimeout::default();
        let mut check = |wanted: Duration, calls: usize| {
            let mut sets = Vec::new();
            let set = |to| {
                sets.push(to);
                Ok(())
            };
            timeout.fit(wanted, set).unwrap();
            assert_eq!(sets.len(), calls, "{wanted:?}");
            assert!(
                timeout.0.unwrap() <= wanted.max(Duration::from_micros(1)),
                "{wanted:?} ends late"
            );
        };
        check(seconds(600), 1);
        check(Duration::from_millis(599_990), 0);
        check(seconds(600), 0);
        check(seconds(60), 1);
        check(seconds(59), 0);
        check(seconds(600), 1);
        check(Duration::from_millis(300), 1);
        check(Duration::from_millis(300), 0);
        check(Duration::from_millis(250), 1);
        check(Duration::from_millis(300), 1);
        check(Duration::from_nanos(1), 1);
    }

    #[test]
    fn a_wait_that_ends_early_comes_to_its_end_in_few_steps() {
        let mut timeout = SocketTimeout::default();
        let mut left = Duration::from_secs(600);
        let mut steps = 0;
        while !left.is_zero() {
            timeout.fit(left, |_| Ok(())).unwrap();
            left = left.saturating_sub(timeout.0.unwrap());
            steps += 1;
        }
        assert!(steps <= 10, "{steps}");
    }

    #[test]
    fn what_is_pending_stays_in_front_of_what_follows() {
        let mut buffers = PendingBuffers::new(64, 64);
        buffers.output()[..3].copy_from_slice(b"abc");
        buffers.pending += 3;
        assert!(!buffers.is_well_filled());
        let (_, output) = buffers.tmp_and_output();
        output[..2].copy_from_slice(b"de");
        buffers.pending += 2;
        assert_eq!(&buffers.lazy.output()[..5], b"abcde");
        buffers.pending += 12;
        assert!(buffers.is_well_filled());
        assert_eq!(buffers.output().len(), 64 - 17);
    }

    #[test]
    fn only_its_owner_can_shut_a_socket_down() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let socket = Socket::new(stream);
        let is_open = |socket: &Socket| (&socket.stream).write(b"x").is_ok();

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
}
