//! A connection as the HTTP client sees it, above TLS, where the bytes that come are a reply's.
//!
//! # Whose reply it is
//! HTTP/1.1 tells replies apart by their order alone: whatever comes first after a request is taken for its reply. So a
//! connection is used again only where nothing is left of the reply before:
//!
//! | what came                                              | when it is seen                   | then                             |
//! |--------------------------------------------------------|-----------------------------------|----------------------------------|
//! | bytes beyond the reply's end, in the same read         | at once                           | closed                           |
//! | a reply whose head does not say for certain where it ends | with the head                  | closed                           |
//! | bytes in the socket, decrypted or not; a part of a TLS record | the client asks for it again | closed; another one, or a new one |
//! | bytes before the request is written whole              | before its next piece is written  | stale: asked again on a new one  |
//! | … on a connection that has carried no other request    | the same                          | the reply, and then closed       |
//! | … before its first byte, and not to say that nothing can be asked now (408, 429, 5xx) | before it is written | no HTTP: it answers nothing |
//! | bytes after that                                       | cannot be told from the reply     | the reply                        |
//!
//! The last row is a service that answers one request twice, and whose second answer is under way while the next request
//! goes out. Nothing in HTTP/1.1 shows it. A request counts as written whole when this machine's buffers have taken it, which
//! hold some megabytes: whether the service has read any of it is not known. But such a service shows itself sooner or later by one of the other rows, and
//! from then on each of its connections carries one request, see [`Strays`].
//!
//! # A refusal that comes early
//! A service may refuse a large request before it has read it (413, 429), and read no more of it. So a request that
//! cannot be written on is a time to look for a reply, and a refusal ends the writing.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::call::{self, CurrentCall, WaitLimit};
use super::channel::Channel;
use super::fault;
use super::incoming::{self, Incoming};
use super::room::Room;
use super::socket::{Socket, WaitFor};
use super::strays::Strays;
use crate::clock;
use crate::error::fault::{Fault, FaultKind};

/// A connection as the HTTP client sees it.
///
/// The client's own timeouts are not set, so its `NextTimeout`s say nothing: all limits are the call's.
pub(super) struct Link {
    channel: Channel,
    /// Where the channel ends.
    socket: Arc<Socket>,
    /// The call that uses it; none while it lies in the pool.
    call: Option<Arc<CurrentCall>>,
    room: Room,
    /// How far the reply has come.
    incoming: Incoming,
    /// It has carried a request before.
    reused: bool,
    /// Whether the endpoint says more than it is asked.
    strays: Arc<Strays>,
    /// What is known of the request under way.
    writing: Writing,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Writing {
    /// A byte of it is gone.
    begun: bool,
    /// Bytes came before it was whole.
    answered: bool,
    /// The client has not been told of them yet.
    untold: bool,
    /// The peer takes no more bytes; what it has answered before may still be read.
    closed: bool,
    /// The peer sends no more bytes.
    heard_out: bool,
}

impl Writing {
    /// Nothing of this exchange can come yet, as far as its request tells.
    fn leaves_nothing(self) -> bool {
        !self.answered && !self.closed
    }
}

impl Link {
    /// A connection that `call` has just made.
    pub(super) fn new(
        channel: Channel,
        socket: Arc<Socket>,
        call: Arc<CurrentCall>,
        room: Room,
        strays: Arc<Strays>,
    ) -> Self {
        Link {
            channel,
            socket,
            call: Some(call),
            room,
            incoming: Incoming::default(),
            strays,
            reused: false,
            writing: Writing::default(),
        }
    }

    fn call(&self) -> Result<Arc<CurrentCall>, Error> {
        // The client reads and writes between check-out and return only.
        self.call.clone().ok_or(Error::ConnectionFailed)
    }

    /// Writes what is pending; `true` where something was.
    fn flush(&mut self, call: &CurrentCall) -> Result<bool, Fault> {
        if self.room.pending().is_empty() {
            return Ok(false);
        }
        let mut limit = call.write_limit(clock::now())?;
        let mut start = 0;
        while start < self.room.pending().len() {
            // No byte leaves behind one that has come.
            self.look(call)?;
            if self.writing.closed {
                break;
            }
            if !self.writing.begun && self.writing.answered && !self.has_heard() {
                // Of what answers nothing the rest comes first.
                self.socket.wait(call, WaitFor::Read, limit)?;
                continue;
            }
            match self.channel.write(&self.room.pending()[start..]) {
                Ok(written @ 1..) => {
                    start += written;
                    self.writing.begun = true;
                    call.wrote();
                    if start < self.room.pending().len() {
                        limit = call.write_limit(clock::now())?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_to_write(call, limit)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A service that refuses a large request may answer and close before it has read it all. The answer, if
                // there is one, is what the caller should hear of.
                Ok(0) => self.writing.closed = true,
                Err(error) if fault::is_closed(&error) && !call.is_cancelled() => self.writing.closed = true,
                Err(error) => return Err(fault::of_io(&error, call)),
            }
        }
        self.room.written();
        Ok(true)
    }

    /// The peer takes nothing at the moment: waits until it does, or has something to say.
    fn wait_to_write(&mut self, call: &CurrentCall, limit: WaitLimit) -> Result<(), Fault> {
        let what = match self.has_heard() {
            true => WaitFor::Write,
            false => WaitFor::Either,
        };
        self.socket.wait(call, what, limit).map(drop)
    }

    /// Looks for a reply to a request that is not whole.
    fn look(&mut self, call: &CurrentCall) -> Result<(), Fault> {
        if self.has_heard() {
            return Ok(());
        }
        self.make_room(call)?;
        match self.channel.read(self.room.free()) {
            // Whether it takes more is seen when it is written to.
            Ok(0) => self.writing.heard_out = true,
            Ok(amount) if self.reused => {
                self.strays.came(&self.room.free()[..amount], clock::now());
                return Err(call.fault(FaultKind::Stale, "bytes came on it before the request was written"));
            }
            Ok(amount) => {
                self.room.filled(amount);
                self.bring_into_form(call)?;
                self.writing.answered = true;
                self.writing.untold = true;
                if let Some(status) = self.incoming.status() {
                    self.judge_early(call, status)?;
                }
            }
            // A part of a TLS record has come, which may be anybody's.
            Err(error) if is_pause(&error) && !self.channel.is_empty() => {
                if self.reused {
                    self.strays.came(&[], clock::now());
                    return Err(call.fault(
                        FaultKind::Stale,
                        "a part of a record came on it before the request was written",
                    ));
                }
                self.writing.answered = true;
            }
            Err(error) if is_pause(&error) => {}
            Err(_) => self.writing.heard_out = true,
        }
        Ok(())
    }

    /// Whether nothing more is to be learnt before the request is whole.
    fn has_heard(&self) -> bool {
        self.writing.heard_out || self.writing.answered && !self.incoming.is_head()
    }

    /// A head came before the request was whole.
    fn judge_early(&mut self, call: &CurrentCall, status: u16) -> Result<(), Fault> {
        // What is no refusal answers what has not been read.
        if !matches!(status, 300..600) {
            self.strays.came(self.room.input(), clock::now());
        }
        // Before anything was asked, only that nothing can be asked now is an answer to it.
        if !self.writing.begun && !matches!(status, 408 | 429 | 500..600) {
            return Err(call.fault(FaultKind::Protocol, "an answer came before anything was asked"));
        }
        self.writing.closed = self.writing.begun && matches!(status, 300..600);
        Ok(())
    }

    /// Room for what comes. A head may take more than the buffer has, which is given back afterwards.
    fn make_room(&mut self, call: &CurrentCall) -> Result<(), Fault> {
        if !self.room.free().is_empty() || self.incoming.is_head() && self.room.grow(incoming::MOST_HEAD) {
            return Ok(());
        }
        let problem = match self.incoming.is_head() {
            true => "the reply's head does not fit",
            false => "a line of the reply does not fit",
        };
        Err(call.fault(FaultKind::TooLarge, problem))
    }

    /// Brings what has come into the form that the client takes.
    fn bring_into_form(&mut self, call: &CurrentCall) -> Result<(), Fault> {
        let given = self.incoming.take(self.room.waiting());
        let given = given.map_err(|problem| call.fault(FaultKind::TooLarge, problem))?;
        if given.surplus > 0 {
            let waiting = self.room.waiting();
            let start = waiting.len() - given.surplus;
            self.strays.came(&waiting[start..], clock::now());
        }
        self.room.given(&given);
        if let Some(headers) = given.headers {
            call.keep_headers(headers);
        }
        Ok(())
    }

    /// Reads what comes, and waits for it; 0 is the end.
    fn receive(&mut self, call: &CurrentCall, mut asked_just_now: bool) -> Result<usize, Fault> {
        let mut limit = call.read_limit(clock::now())?;
        loop {
            // Nothing can be there yet.
            if !std::mem::take(&mut asked_just_now) {
                match self.channel.read(self.room.free()) {
                    // Our own shutdown reads as an end, which would pass for the end of a body without a length.
                    Ok(0) if call.is_cancelled() => return Err(call.fault(FaultKind::Cancelled, "")),
                    Ok(amount) => return Ok(amount),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // Something is there, and may be there for ever.
                    Err(error) if is_pause(&error) => limit = call.read_limit(clock::now())?,
                    Err(error) => return Err(fault::of_io(&error, call)),
                }
            }
            self.socket.wait(call, WaitFor::Read, limit)?;
        }
    }

    /// Whether the peer has neither closed the connection nor sent what nobody asked for.
    fn is_quiet(&mut self) -> bool {
        match self.channel.read(self.room.free()) {
            Ok(amount @ 1..) => {
                self.strays.came(&self.room.free()[..amount], clock::now());
                false
            }
            Ok(0) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let is_empty = self.channel.is_empty();
                if !is_empty {
                    // Nobody can say what it is part of.
                    self.strays.came(&[], clock::now());
                }
                is_empty
            }
            Err(_) => false,
        }
    }
}

/// Not a failure: nothing is there, or a signal came.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.room
    }

    /// Head and body of a small request leave in one packet: the bytes stay in the buffer until it is well filled or
    /// the reply is waited for.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let call = self.call()?;
        self.room.add_pending(amount);
        if let Some(sealed) = call.take_sealed() {
            self.room.insert_after_first_line(&sealed);
        }
        if self.room.is_well_filled() {
            self.flush(&call).map_err(fault::wrap)?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let call = self.call()?;
        let mut asked_just_now = self.flush(&call).map_err(fault::wrap)? && !self.writing.closed;
        let before = match std::mem::take(&mut self.writing.untold) {
            true => 0,
            false => self.room.input().len(),
        };
        while self.room.input().len() <= before {
            // Of a part of a head, or of a chunk's line, the client is given nothing.
            self.make_room(&call).map_err(fault::wrap)?;
            let amount = self
                .receive(&call, std::mem::take(&mut asked_just_now))
                .map_err(fault::wrap)?;
            if amount == 0 {
                return Ok(false);
            }
            self.room.filled(amount);
            call.received();
            self.bring_into_form(&call).map_err(fault::wrap)?;
        }
        call.received();
        Ok(true)
    }

    /// Asked twice by the pool: when the connection comes back, and when it is to be used again.
    fn is_open(&mut self) -> bool {
        if self.call.take().is_some() {
            // Released before the pool can hand it to anybody else. Whether it is still good is asked at
            // check-out, after it has lain there.
            self.socket.release();
            let writing = std::mem::take(&mut self.writing);
            let is_whole = std::mem::take(&mut self.incoming).is_whole();
            self.room.shrink();
            return writing.leaves_nothing() && is_whole && self.room.is_empty();
        }
        let Some(call) = call::current() else {
            return false;
        };
        if !self.is_quiet() {
            return false;
        }
        call.claims(&self.socket, true);
        self.call = Some(call);
        self.reused = true;
        true
    }

    fn is_tls(&self) -> bool {
        matches!(self.channel, Channel::Tls(_))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.channel).finish()
    }
}
