//! A stream of an answer, as it comes: where a worker puts the pieces, and where a reader takes them.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, select};
use parking_lot::Mutex;

use crate::api::{ChatCompletion, Delta, Headers, RawReply};
use crate::error::{Error, Result};
use crate::transport::{Gate, Interrupt};

use super::event::caught;
use super::handle::{Canceller, JobHandle};

/// Pieces that wait for their reader; a worker that finds no room waits, for as long as the idle timeout allows.
const BUFFER: usize = 64;

/// Whom a worker hands the pieces of a stream.
pub(crate) enum Sink {
    Deltas(Sender<Delta>),
    Callback(Callback),
    Raw(Sender<RawPiece>),
}

/// A user's function that is called with each piece, on a worker's thread.
pub(crate) type Callback = Box<dyn FnMut(&Delta) -> ControlFlow<()> + Send>;

/// A piece of a raw stream.
#[derive(Debug)]
pub(crate) enum RawPiece {
    Head(u16, Headers),
    Bytes(Vec<u8>),
}

/// What became of a piece.
#[derive(Debug)]
pub(crate) enum Given {
    Taken,
    /// The reader, or the callback, wants no more.
    Declined,
    /// The reader took nothing for too long.
    Stalled,
    /// The job was cancelled, or the blaster closed, while the worker waited for the reader.
    Cancelled,
    /// The callback panicked.
    Panicked(String),
}

impl Sink {
    /// Hands out a piece of a chat, waiting for the reader for `patience` at most, and no longer than until `gate` is
    /// shut.
    pub(crate) fn delta(&mut self, delta: Delta, patience: Duration, gate: &Gate) -> Given {
        match self {
            Sink::Deltas(sender) => offer(sender, delta, patience, gate),
            Sink::Callback(call) => match caught(|| call(&delta)) {
                Ok(ControlFlow::Continue(())) => Given::Taken,
                Ok(ControlFlow::Break(())) => Given::Declined,
                Err(panic) => Given::Panicked(panic),
            },
            Sink::Raw(_) => Given::Taken,
        }
    }

    /// Hands out a piece of a raw stream, likewise.
    pub(crate) fn raw(&mut self, piece: RawPiece, patience: Duration, gate: &Gate) -> Given {
        match self {
            Sink::Raw(sender) => offer(sender, piece, patience, gate),
            Sink::Deltas(_) | Sink::Callback(_) => Given::Taken,
        }
    }

    /// Whether the reader can say by itself that it wants no more (a callback's `Break`), which is no cancelling.
    pub(crate) fn is_callback(&self) -> bool {
        matches!(self, Sink::Callback(_))
    }
}

fn offer<T>(sender: &Sender<T>, piece: T, patience: Duration, gate: &Gate) -> Given {
    let piece = match sender.try_send(piece) {
        Ok(()) => return Given::Taken,
        Err(TrySendError::Disconnected(_)) => return Given::Declined,
        Err(TrySendError::Full(piece)) => piece,
    };
    let (open, shut) = bounded(0);
    let wait = Arc::new(ReaderWait(Mutex::new(Some(open))));
    let weak: Weak<ReaderWait> = Arc::downgrade(&wait);
    // While the worker is here it does not read: a cancel has to reach it here, and later the call again.
    let Some(call) = gate.replace(weak) else {
        return Given::Cancelled;
    };
    let given = select! {
        send(sender, piece) -> sent => if sent.is_ok() { Given::Taken } else { Given::Declined },
        recv(shut) -> _ => Given::Cancelled,
        default(patience) => Given::Stalled,
    };
    if gate.watch(call) { given } else { Given::Cancelled }
}

/// A worker that waits for a stream's reader. Nothing is sent on the channel: it is closed.
struct ReaderWait(Mutex<Option<Sender<()>>>);

impl Interrupt for ReaderWait {
    fn interrupt(&self) {
        self.0.lock().take();
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sink::Deltas(_) => "Deltas",
            Sink::Callback(_) => "Callback",
            Sink::Raw(_) => "Raw",
        })
    }
}

/// An answer as it comes: an iterator over its pieces, which ends in the whole.
///
/// On a thread of the blaster itself (in another stream's callback, say) a wait for the next piece would be a wait for
/// itself: the stream then ends as [`Error::WouldDeadlock`], and its job is cancelled.
///
/// Pieces are buffered (64 of them). A reader that stops holds a worker, until the idle timeout ends the job as
/// [`Error::StreamBroken`]. Dropping the stream before its end cancels the job.
///
/// Until the first piece has been handed out, a job whose stream breaks is tried again elsewhere; after that it
/// ends as [`Error::StreamBroken`] with what was received.
#[derive(Debug)]
pub struct ChatStream {
    pieces: Receiver<Delta>,
    handle: Option<JobHandle<ChatCompletion>>,
    end: Option<Result<ChatCompletion>>,
}

/// Whether a wait for the stream's next piece would be a wait of the blaster's thread for itself. A stream that was
/// given up for that (its handle is gone) has come to its end.
fn refuses<T>(handle: Option<&JobHandle<T>>) -> bool {
    handle.is_none_or(JobHandle::would_deadlock)
}

/// A channel between a worker and a reader.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    bounded(BUFFER)
}

impl ChatStream {
    pub(crate) fn new(pieces: Receiver<Delta>, handle: JobHandle<ChatCompletion>) -> Self {
        ChatStream {
            pieces,
            handle: Some(handle.cancel_on_drop()),
            end: None,
        }
    }

    /// The next piece, if it comes within `timeout`; `Some(None)` at the end.
    #[allow(clippy::option_option)] // the outer one is the time, the inner one the end
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Option<Result<Delta>>> {
        if let Some(item) = self.at_once() {
            return Some(item);
        }
        match self.pieces.recv_timeout(timeout) {
            Ok(piece) => Some(Some(Ok(piece))),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(self.finish()),
        }
    }

    /// The whole answer, once the pieces have come; reads what is left of them.
    ///
    /// # Errors
    /// What the job ended with.
    pub fn into_completion(mut self) -> Result<ChatCompletion> {
        for piece in self.by_ref() {
            piece?;
        }
        self.end.take().unwrap_or(Err(Error::Taken))
    }

    /// Something that can cancel the job from another thread; none where the stream has come to its end.
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        self.handle.as_ref().map(JobHandle::canceller)
    }

    /// Whether the next piece makes the worker wait for its reader. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pieces.is_full()
    }

    /// What can be said without a wait: a piece that is there, or that a wait would never end.
    #[allow(clippy::option_option)] // as above
    fn at_once(&mut self) -> Option<Option<Result<Delta>>> {
        match self.pieces.try_recv() {
            Ok(piece) => Some(Some(Ok(piece))),
            Err(TryRecvError::Disconnected) => Some(self.finish()),
            Err(TryRecvError::Empty) if !refuses(self.handle.as_ref()) => None,
            Err(TryRecvError::Empty) => Some(self.handle.take().map(|_| Err(Error::WouldDeadlock))),
        }
    }

    /// All pieces have come: learns how the job ended, and yields its error as the last piece.
    fn finish(&mut self) -> Option<Result<Delta>> {
        match self.handle.take()?.wait() {
            Ok(completion) => {
                self.end = Some(Ok(completion));
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for ChatStream {
    type Item = Result<Delta>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.at_once() {
            return item;
        }
        match self.pieces.recv() {
            Ok(piece) => Some(Ok(piece)),
            Err(_) => self.finish(),
        }
    }
}

/// A raw reply as it comes: its head, then its bytes, untouched.
///
/// The job is tried elsewhere until the first event with content has come; what went before it is handed out with
/// it. Dropping the stream before its end cancels the job. A thread of the blaster itself is refused as it is by
/// [`ChatStream`].
#[derive(Debug)]
pub struct RawStream {
    pieces: Receiver<RawPiece>,
    status: u16,
    headers: Headers,
    handle: Option<JobHandle<RawReply>>,
}

impl RawStream {
    /// Waits for the head.
    pub(crate) fn open(pieces: Receiver<RawPiece>, handle: JobHandle<RawReply>) -> Result<Self> {
        let handle = handle.cancel_on_drop();
        match pieces.recv() {
            Ok(RawPiece::Head(status, headers)) => Ok(RawStream {
                pieces,
                status,
                headers,
                handle: Some(handle),
            }),
            Ok(RawPiece::Bytes(_)) | Err(_) => match handle.wait() {
                Ok(_) => Err(Error::Cancelled(Box::default())),
                Err(error) => Err(error),
            },
        }
    }

    /// HTTP status of the reply that is being streamed; a success.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Headers of the reply that is being streamed.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl Iterator for RawStream {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.pieces.is_empty() && refuses(self.handle.as_ref()) {
                return self.handle.take().map(|_| Err(Error::WouldDeadlock));
            }
            match self.pieces.recv() {
                Ok(RawPiece::Bytes(bytes)) => return Some(Ok(bytes)),
                Ok(RawPiece::Head(..)) => {}
                Err(_) => return self.handle.take()?.wait().err().map(Err),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::clock;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_cancel_reaches_a_worker_that_waits_for_its_reader() {
        let (sender, _reader) = bounded(1);
        sender.send("first").unwrap();
        let gate = Gate::default();
        let begun = clock::now();
        thread::scope(|scope| {
            let given = scope.spawn(|| offer(&sender, "second", LONG, &gate));
            while !gate.is_watching() {
                thread::yield_now();
            }
            gate.cancel();
            assert!(matches!(given.join().unwrap(), Given::Cancelled));
        });
        assert!(clock::now() - begun < LONG, "the wait went on to its end");
    }
}
