//! A stream of an answer, as it comes: where a worker puts the pieces, and where a reader takes them.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, select};
use parking_lot::Mutex;

use crate::api::{ChatCompletion, Delta, Headers, RawReply};
use crate::clock;
use crate::error::{Error, Result};
use crate::transport::{Gate, Interrupt};

use super::event::caught;
use super::handle::{Canceller, JobHandle};

/// Places for pieces that wait for their reader; a worker that finds none waits, for as long as the idle timeout allows.
const PLACES: usize = 64;
/// Bytes that a place holds. A larger piece takes more places, and all of them where it is larger than 1 MiB: so a reader
/// that has stopped holds 1 MiB, or one piece.
const PLACE: usize = 16 * 1024;

/// A place in the buffer of a stream.
#[derive(Debug)]
pub(crate) enum Place<T> {
    /// Taken by the piece that comes next.
    Taken,
    Piece(T),
}

/// Something that weighs what it holds.
pub(crate) trait Weigh {
    /// Its bytes.
    fn weight(&self) -> usize;
}

impl Weigh for Delta {
    fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let calls = self
            .tool_calls
            .iter()
            .map(|call| size_of_val(call) + call.arguments.len());
        self.raw.len() + text(&self.content) + text(&self.refusal) + calls.sum::<usize>()
    }
}

impl Weigh for RawPiece {
    fn weight(&self) -> usize {
        match self {
            // Its size is bounded.
            RawPiece::Head(..) => 0,
            RawPiece::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Whom a worker hands the pieces of a stream.
pub(crate) enum Sink {
    Deltas(Sender<Place<Delta>>),
    Callback(Callback),
    Raw(Sender<Place<RawPiece>>),
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

/// Lays a piece into the buffer, in as many places as it needs.
fn offer<T: Weigh>(sender: &Sender<Place<T>>, piece: T, patience: Duration, gate: &Gate) -> Given {
    let others = (piece.weight() / PLACE).min(PLACES - 1);
    for _ in 0..others {
        match take_place(sender, Place::Taken, patience, gate) {
            Given::Taken => {}
            other => return other,
        }
    }
    take_place(sender, Place::Piece(piece), patience, gate)
}

fn take_place<T>(sender: &Sender<T>, piece: T, patience: Duration, gate: &Gate) -> Given {
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

/// A channel between a worker and a reader.
pub(crate) fn channel<T>() -> (Sender<Place<T>>, Receiver<Place<T>>) {
    bounded(PLACES)
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

/// Waits for the next piece; none where no more comes.
fn next_piece<T>(pieces: &Receiver<Place<T>>) -> Option<T> {
    pieces.iter().find_map(|place| match place {
        Place::Taken => None,
        Place::Piece(piece) => Some(piece),
    })
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_cancel_reaches_a_worker_that_waits_for_its_reader() {
        let (sender, _reader) = channel();
        for _ in 0..PLACES {
            sender.send(Place::Piece(RawPiece::Bytes(Vec::new()))).unwrap();
        }
        let gate = Gate::default();
        let begun = clock::now();
        thread::scope(|scope| {
            let given = scope.spawn(|| offer(&sender, RawPiece::Bytes(Vec::new()), LONG, &gate));
            while !gate.is_watching() {
                thread::yield_now();
            }
            gate.cancel();
            assert!(matches!(given.join().unwrap(), Given::Cancelled));
        });
        assert!(clock::now() - begun < LONG, "the wait went on to its end");
    }

    /// What lies in the buffer of a reader who has stopped, when no piece of `size` fits any more.
    fn held(size: usize) -> Vec<usize> {
        let (sender, reader) = channel();
        let gate = Gate::default();
        while !matches!(
            offer(&sender, RawPiece::Bytes(vec![0; size]), Duration::ZERO, &gate),
            Given::Stalled
        ) {}
        drop(sender);
        reader
            .iter()
            .filter_map(|place| match place {
                Place::Taken => None,
                Place::Piece(piece) => Some(piece.weight()),
            })
            .collect()
    }

    #[test]
    fn a_reader_who_has_stopped_holds_sixty_four_pieces_or_a_mebibyte_or_one_piece() {
        for (size, pieces) in [
            (0, 64),
            (PLACE - 1, 64),
            (PLACE, 32),
            (100_000, 9),
            (600_000, 1),
            (20_000_000, 1),
        ] {
            assert_eq!(held(size), vec![size; pieces], "{size}");
        }
    }

    #[test]
    fn a_large_piece_reaches_its_reader_behind_small_ones_and_in_order() {
        let (sender, reader) = channel();
        let gate = Gate::default();
        let sizes = [1, PLACE * 100, 2, PLACE * 3, 3];
        thread::scope(|scope| {
            scope.spawn(move || {
                for size in sizes {
                    let given = offer(&sender, RawPiece::Bytes(vec![0; size]), LONG, &gate);
                    assert!(matches!(given, Given::Taken));
                }
            });
            let received: Vec<_> = std::iter::from_fn(|| next_piece(&reader))
                .map(|piece| piece.weight())
                .collect();
            assert_eq!(received, sizes);
        });
    }
}
