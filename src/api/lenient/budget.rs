//! How much memory may be set aside for what a reply holds.
//!
//! A reply is bounded by its length, but a few bytes of JSON may ask for hundreds in memory: `{},` is a tool call. So
//! whoever makes something of a reply takes what it will weigh from a budget first. Texts that are copied once weigh
//! less than what they were copied from, and need not be taken.

use std::borrow::Cow;
use std::cell::Cell;

/// What a growing list may take for each element, in elements: it doubles when it is full, and until the old half has
/// been copied both exist.
const GROWTH: usize = 3;

/// Memory that is left.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    left: Cell<usize>,
    is_over: Cell<bool>,
}

/// A reply holds more than its budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what it holds takes more than {limit} bytes of memory")]
pub(crate) struct OverBudget {
    pub(crate) limit: usize,
}

impl Budget {
    /// A budget of that many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Budget {
            limit,
            left: Cell::new(limit),
            is_over: Cell::new(false),
        }
    }

    /// Takes `bytes` of it.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        let Some(left) = self.left.get().checked_sub(bytes) else {
            self.is_over.set(true);
            return Err(OverBudget { limit: self.limit });
        };
        self.left.set(left);
        Ok(())
    }

    /// Takes what one more element weighs in a list of `length`.
    pub(crate) fn take_element<T>(&self, length: usize) -> Result<(), OverBudget> {
        let (first, more) = (4, GROWTH);
        self.take(size_of::<T>() * if length == 0 { first } else { more })
    }

    /// Takes what one more entry weighs in a map of `length`, whose nodes have room for eleven.
    pub(crate) fn take_entry<K, V>(&self, length: usize) -> Result<(), OverBudget> {
        let (first, more) = (12, GROWTH);
        self.take(size_of::<(K, V)>() * if length == 0 { first } else { more })
    }

    /// Appends `piece` to `text`, and takes what its room grows by.
    pub(crate) fn append(&self, text: &mut String, piece: Cow<'_, str>) -> Result<(), OverBudget> {
        let room = text.capacity();
        let length = text.len() + piece.len();
        if room == 0 {
            self.take(length)?;
            *text = piece.into_owned();
            return Ok(());
        }
        if length > room {
            // The old room and the new one exist together for a moment.
            let grown = length.max(2 * room);
            self.take(grown)?;
            text.reserve_exact(grown - text.len());
            self.give_back(room);
        }
        text.push_str(&piece);
        Ok(())
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.left.set((self.left.get() + bytes).min(self.limit));
    }

    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    /// The excess, where more has been asked for than was left: then it is why a reading has failed.
    pub(crate) fn excess(&self) -> Option<OverBudget> {
        self.is_over.get().then_some(OverBudget { limit: self.limit })
    }
}
