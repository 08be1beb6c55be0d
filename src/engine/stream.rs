//! A stream of an answer, as it comes: where a worker puts the pieces, and where a reader takes them.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded, select};

use crate::api::{ChatCompletion, Delta, Headers, RawReply};
use crate::error::{Error, Result};

use super::event::panic_text;
use super::handle::{Canceller, JobHandle};
use super::shared::Shared;

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
    /// The blaster was closed while the worker waited for the reader.
    Closed,
    /// The callback panicked.
    Panicked(String),
}

impl Sink {
    /// Hands out a piece of a chat, waiting for the reader for `patience` at most.
    pub(crate) fn delta(&mut self, delta: Delta, patience: Duration, shared: &Shared) -> Given {
        match self {
            Sink::Deltas(sender) => offer(sender, delta, patience, shared),
            Sink::Callback(call) => match catch_unwind(AssertUnwindSafe(|| call(&delta))) {
                Ok(ControlFlow::Continue(())) => Given::Taken,
                Ok(ControlFlow::Break(())) => Given::Declined,
                Err(panic) => Given::Panicked(panic_text(panic.as_ref())),
            },
            Sink::Raw(_) => Given::Taken,
        }
    }

    /// Hands out a piece of a raw stream.
    pub(crate) fn raw(&mut self, piece: RawPiece, patience: Duration, shared: &Shared) -> Given {
        match self {
            Sink::Raw(sender) => offer(sender, piece, patience, shared),
            Sink::Deltas(_) | Sink::Callback(_) => Given::Taken,
        }
    }

    /// Whether the reader can say by itself that it wants no more (a callback's `Break`), which is no cancelling.
    pub(crate) fn is_callback(&self) -> bool {
        matches!(self, Sink::Callback(_))
    }
}

fn offer<T>(sender: &Sender<T>, piece: T, patience: Duration, shared: &Shared) -> Given {
    let piece = match sender.try_send(piece) {
        Ok(()) => return Given::Taken,
        Err(TrySendError::Disconnected(_)) => return Given::Declined,
        Err(TrySendError::Full(piece)) => piece,
    };
    select! {
        send(sender, piece) -> sent => if sent.is_ok() { Given::Taken } else { Given::Declined },
        recv(shared.closing()) -> _ => Given::Closed,
        default(patience) => Given::Stalled,
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
        while self.pieces.recv().is_ok() {}
        if let Some(handle) = self.handle.take() {
            return handle.wait();
        }
        self.end.take().unwrap_or(Err(Error::Taken))
    }

    /// Cancels the job from another thread.
    #[must_use]
    pub fn canceller(&self) -> Option<Canceller> {
        self.handle.as_ref().map(JobHandle::canceller)
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
        match self.pieces.recv() {
            Ok(piece) => Some(Ok(piece)),
            Err(_) => self.finish(),
        }
    }
}

/// A raw reply as it comes: its head, then its bytes, untouched.
///
/// The job is tried elsewhere until the first event with content has come; what went before it is handed out with
/// it. Dropping the stream before its end cancels the job.
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
            match self.pieces.recv() {
                Ok(RawPiece::Bytes(bytes)) => return Some(Ok(bytes)),
                Ok(RawPiece::Head(..)) => {}
                Err(_) => return self.handle.take()?.wait().err().map(Err),
            }
        }
    }
}
