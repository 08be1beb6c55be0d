//! Bytes to and from a peer, with TLS or without. Nothing here waits: what cannot be done at once is
//! [`WouldBlock`](io::ErrorKind::WouldBlock), and then nothing has been taken or given. A read that has found nothing so far
//! is [`Interrupted`](io::ErrorKind::Interrupted).
//!
//! TLS is spoken here and not by the HTTP client, so that it can be known what lies between the socket and the client:
//! what has come and is not decrypted, and what is decrypted and not fetched, may be somebody else's answer.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::call::CurrentCall;
use super::fault;
use super::socket::{Socket, WaitFor};
use crate::clock;
use crate::error::fault::{Fault, FaultKind};

/// A way to a peer. A write that would block has taken nothing, and has to be repeated with the same bytes first.
pub(super) enum Channel {
    Tcp(Arc<Socket>),
    Tls(Box<Tls>),
}

/// TLS over another channel.
pub(super) struct Tls {
    session: ClientConnection,
    below: Below,
    /// So many bytes of the last write are encrypted, and not all of them are gone.
    underway: usize,
}

/// What TLS reads from and writes to.
struct Below {
    channel: Channel,
    records: Records,
}

impl Channel {
    /// Whether nothing lies between the socket and the next read, as far as can be told without reading: no part of a
    /// record that is not whole yet.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Channel::Tcp(_) => true,
            Channel::Tls(tls) => tls.below.records.is_between() && tls.below.channel.is_empty(),
        }
    }

    /// Shakes hands with `host` over this channel, which ends at `socket`.
    ///
    /// # Errors
    /// Where the peer does not speak TLS, is not trusted, or takes longer than `call` may.
    #[inline(never)] // what a handshake needs of the stack, a worker that waits for a reply need not keep
    pub(super) fn encrypted(
        self,
        config: &Arc<ClientConfig>,
        host: &str,
        socket: &Socket,
        call: &CurrentCall,
    ) -> Result<Channel, Fault> {
        let tls = |error: &rustls::Error| call.fault(FaultKind::Tls, fault::tls_words(error));
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| call.fault(FaultKind::Tls, format!("no certificate can name {host:?}")))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(|error| tls(&error))?;
        let mut tls = Box::new(Tls {
            session,
            below: Below {
                channel: self,
                records: Records::default(),
            },
            underway: 0,
        });
        while tls.session.is_handshaking() || tls.session.wants_write() {
            match tls.session.complete_io(&mut tls.below) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let what = match tls.session.wants_write() {
                        true => WaitFor::Either,
                        false => WaitFor::Read,
                    };
                    socket.wait(call, what, call.write_limit(clock::now())?)?;
                }
                Err(error) => return Err(in_handshake(fault::of_io(&error, call))),
            }
        }
        Ok(Channel::Tls(tls))
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

impl Read for Channel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Tcp(socket) => (&**socket).read(buf),
            Channel::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Tcp(socket) => (&**socket).write(buf),
            Channel::Tls(tls) => tls.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Channel::Tcp(socket) => (&**socket).write_vectored(bufs),
            // The outer session's records, of which one at a time is as good.
            Channel::Tls(tls) => tls.write(bufs.iter().find(|buf| !buf.is_empty()).map_or(&[], |buf| buf)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at the socket in one read. Records without data are the session's own; a peer that sends nothing else is not
/// listened to for ever, without a look at the clock.
const LOOKS: usize = 64;

impl Tls {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for _ in 0..LOOKS {
            match self.session.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An end without a good-bye, as many services make it. Not between two records, it is a cut.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.below.records.is_between() => {
                    return Ok(0);
                }
                result => return result,
            }
            self.session.read_tls(&mut self.below)?;
            if let Err(error) = self.session.process_new_packets() {
                // What is wrong with it is said to the peer, if that can be done at once.
                let _ = self.session.write_tls(&mut self.below);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.underway == 0 {
            self.underway = self.session.writer().write(buf)?;
        }
        while self.session.wants_write() {
            if self.session.write_tls(&mut self.below)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(std::mem::take(&mut self.underway))
    }
}

impl Read for Below {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let amount = self.channel.read(buf)?;
        self.records.passed(&buf[..amount]);
        Ok(amount)
    }
}

impl Write for Below {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.channel.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.channel.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where in a stream of TLS records one is: rustls decrypts each as soon as it is whole, and does not say what it has of
/// the next.
#[derive(Debug, Default)]
struct Records {
    /// Bytes of the header that have passed; those of the length, the last two, make it.
    header: usize,
    /// The length, as far as it has passed; then what is still to come of the record.
    left: usize,
}

/// Kind, version (two bytes), length (two bytes), see RFC 8446 §5.1.
const HEADER: usize = 5;

impl Records {
    fn passed(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.header < HEADER {
                if self.header >= HEADER - 2 {
                    self.left = self.left << 8 | usize::from(*first);
                }
                self.header += 1;
                bytes = rest;
            } else {
                let body = bytes.len().min(self.left);
                self.left -= body;
                bytes = &bytes[body..];
            }
            if self.header == HEADER && self.left == 0 {
                self.header = 0;
            }
        }
    }

    fn is_between(&self) -> bool {
        self.header == 0
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Tcp(socket) => socket.fmt(f),
            Channel::Tls(tls) => f.debug_tuple("Tls").field(&tls.below.channel).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_when_its_last_byte_has_passed_however_it_comes() {
        let record = |length: u16| [&[23, 3, 3][..], &length.to_be_bytes(), &vec![7; length.into()]].concat();
        let stream: Vec<u8> = [record(3), record(0), record(16_640), record(257)].concat();
        let ends = [8, 13, 16_658, 16_920];
        for step in [1, 2, 4, 5, 7, 4096, 20_000] {
            let mut records = Records::default();
            let mut at = 0;
            for piece in stream.chunks(step) {
                records.passed(piece);
                at += piece.len();
                assert_eq!(
                    records.is_between(),
                    ends.contains(&at),
                    "{at} bytes in steps of {step}"
                );
            }
        }
    }
}
