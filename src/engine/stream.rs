//! A stream of an answer, as its reader takes it.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use crate::api::{ChatCompletion, Delta, Headers, RawReply};
use crate::clock;
use crate::error::{Error, Result};

use super::handle::{Canceller, JobHandle};
use super::sink::{Place, RawPiece, next_piece};

/// An answer as it comes: an iterator over its pieces, which ends in the whole.
///
/// On a thread of the blaster itself (in another stream's callback, say) a wait for the next piece would be a wait for
/// itself: the stream then ends as [`Error::WouldDeadlock`], and its job is cancelled.
///
/// Pieces are buffered (64 of them, and at most 1 MiB or one piece). A reader that stops holds a worker, until the idle timeout ends the job as
/// [`Error::StreamBroken`]. Dropping the stream before its end cancels the job.
///
/// Until the first piece has been handed out, a job whose stream breaks is tried again elsewhere; after that it
/// ends as [`Error::StreamBroken`] with what was received.
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::testing::Scripted;
/// use azure_openai_blaster::{Blaster, NextPiece};
///
/// let blaster = Blaster::builder().transport(Scripted::answering("Once upon a time")).build()?;
/// let mut stream = blaster.stream("A story, please.")?;
/// for delta in stream.by_ref() {
///     print!("{}", delta?.text());
/// }
/// let completion = stream.into_completion()?;
/// assert_eq!(completion.text(), Some("Once upon a time"));
///
/// // Where something else is to be done while nothing comes:
/// let mut stream = blaster.stream("Another one.")?;
/// loop {
///     match stream.next_timeout(Duration::from_millis(100)) {
///         NextPiece::Piece(delta) => print!("{}", delta?.text()),
///         NextPiece::TimedOut => print!("."),
///         NextPiece::End => break,
///     }
/// }
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatStream {
    pieces: Receiver<Place<Delta>>,
    handle: Option<JobHandle<ChatCompletion>>,
    end: Option<Result<ChatCompletion>>,
}

/// What [`ChatStream::next_timeout`] has found.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_enums)] // a match on it is to be complete
pub enum NextPiece {
    /// A piece; or the error that the stream ends with.
    Piece(Result<Delta>),
    /// All pieces have come: [`ChatStream::into_completion`] has the whole.
    End,
    /// None has come within the time.
    TimedOut,
}

impl NextPiece {
    fn of(item: Option<Result<Delta>>) -> Self {
        item.map_or(NextPiece::End, NextPiece::Piece)
    }
}

/// Whether a wait for the stream's next piece would be a wait of the blaster's thread for itself. A stream that was
/// given up for that (its handle is gone) has come to its end.
fn refuses<T>(handle: Option<&JobHandle<T>>) -> bool {
    handle.is_none_or(JobHandle::would_deadlock)
}

impl ChatStream {
    pub(crate) fn new(pieces: Receiver<Place<Delta>>, handle: JobHandle<ChatCompletion>) -> Self {
        ChatStream {
            pieces,
            handle: Some(handle.cancel_on_drop()),
            end: None,
        }
    }

    /// The next piece, if it comes within `timeout`; where it does not, the stream goes on all the same.
    pub fn next_timeout(&mut self, timeout: Duration) -> NextPiece {
        match self.at_once() {
            NextPiece::TimedOut => {}
            item => return item,
        }
        // None where the time never comes.
        let until = clock::now().checked_add(timeout);
        loop {
            let received = match until {
                Some(until) => self.pieces.recv_deadline(until),
                None => self.pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(Place::Taken) => {}
                Ok(Place::Piece(piece)) => return NextPiece::Piece(Ok(piece)),
                Err(RecvTimeoutError::Timeout) => return NextPiece::TimedOut,
                Err(RecvTimeoutError::Disconnected) => return NextPiece::of(self.finish()),
            }
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
    fn at_once(&mut self) -> NextPiece {
        loop {
            return match self.pieces.try_recv() {
                Ok(Place::Taken) => continue,
                Ok(Place::Piece(piece)) => NextPiece::Piece(Ok(piece)),
                Err(TryRecvError::Disconnected) => NextPiece::of(self.finish()),
                Err(TryRecvError::Empty) if !refuses(self.handle.as_ref()) => NextPiece::TimedOut,
                Err(TryRecvError::Empty) => NextPiece::of(self.handle.take().map(|_| Err(Error::WouldDeadlock))),
            };
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
        match self.at_once() {
            NextPiece::Piece(piece) => Some(piece),
            NextPiece::End => None,
            NextPiece::TimedOut => match next_piece(&self.pieces) {
                Some(piece) => Some(Ok(piece)),
                None => self.finish(),
            },
        }
    }
}

/// A raw reply as it comes: its head, then its bytes, untouched.
///
/// The job is tried elsewhere until the first event with content has come; what went before it is handed out with
/// it. Dropping the stream before its end cancels the job. A thread of the blaster itself is refused as it is by
/// [`ChatStream`].
///
/// ```
/// use azure_openai_blaster::testing::Scripted;
/// use azure_openai_blaster::{Blaster, Operation, RawRequest};
///
/// let blaster = Blaster::builder().transport(Scripted::answering("hello")).build()?;
/// let body = r#"{"messages": [{"role": "user", "content": "Say hello."}], "stream": true}"#;
/// let stream = blaster.stream_raw(RawRequest::post(Operation::ChatCompletions, body))?;
/// assert_eq!(stream.status(), 200);
/// let mut events = Vec::new();
/// for bytes in stream {
///     events.extend(bytes?);
/// }
/// assert!(events.starts_with(b"data: {") && events.ends_with(b"data: [DONE]\n\n"));
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Debug)]
pub struct RawStream {
    pieces: Receiver<Place<RawPiece>>,
    status: u16,
    headers: Headers,
    handle: Option<JobHandle<RawReply>>,
}

impl RawStream {
    /// Waits for the head.
    pub(crate) fn open(pieces: Receiver<Place<RawPiece>>, handle: JobHandle<RawReply>) -> Result<Self> {
        let handle = handle.cancel_on_drop();
        match next_piece(&pieces) {
            Some(RawPiece::Head(status, headers)) => Ok(RawStream {
                pieces,
                status,
                headers,
                handle: Some(handle),
            }),
            Some(RawPiece::Bytes(_)) | None => match handle.wait() {
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
            match next_piece(&self.pieces) {
                Some(RawPiece::Bytes(bytes)) => return Some(Ok(bytes)),
                Some(RawPiece::Head(..)) => {}
                None => return self.handle.take()?.wait().err().map(Err),
            }
        }
    }
}
