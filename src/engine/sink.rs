//! Where a worker puts the pieces of a stream: a buffer of places, or a callback.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use parking_lot::Mutex;

use crate::api::{Delta, Headers};
use crate::transport::{Gate, Interrupt};

use super::event::caught;

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

/// A channel between a worker and a reader.
pub(crate) fn channel<T>() -> (Sender<Place<T>>, Receiver<Place<T>>) {
    bounded(PLACES)
}

/// Waits for the next piece; none where no more comes.
pub(super) fn next_piece<T>(pieces: &Receiver<Place<T>>) -> Option<T> {
    pieces.iter().find_map(|place| match place {
        Place::Taken => None,
        Place::Piece(piece) => Some(piece),
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::clock;

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
