//! Where two texts have a run of bytes in common.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem;

/// Shortest run that counts, in bytes.
pub(super) const SHORTEST: usize = 16;

const BLOCK: usize = SHORTEST / 2;

/// Lengths of two texts, multiplied, up to which each block of one is looked for in the other.
const SMALL: usize = 1 << 16;

/// Calls `on` with the ranges of `text`, in order and apart, that are all its runs of [`SHORTEST`] bytes and more that stand
/// in `other` too.
///
/// Each text is gone through once, whatever stands in it: who wrote it may have had that in mind.
pub(super) fn common(text: &[u8], other: &[u8], on: impl FnMut(Range<usize>)) {
    if text.len() < SHORTEST || other.len() < SHORTEST {
        return;
    }
    // Wherever a run begins, it holds a whole block. Nearly all texts are short and have none, which is cheaper to see.
    let is_small = text.len().saturating_mul(other.len()) <= SMALL;
    if is_small
        && text
            .chunks_exact(BLOCK)
            .all(|block| memmem::find(other, block).is_none())
    {
        return;
    }
    // The windows of the shorter one are looked up.
    let found = if other.len() <= text.len() {
        let windows = Windows::of(other);
        let has = |window| windows.at(window).is_some();
        text.windows(SHORTEST).map(has).collect()
    } else {
        let mut windows = Windows::of(text);
        let mut found = vec![false; text.len() - SHORTEST + 1];
        for window in other.windows(SHORTEST) {
            // Found once, it is looked for no more.
            for place in windows.take(window) {
                found[place] = true;
            }
            if windows.places.is_empty() {
                break;
            }
        }
        found
    };
    merged(&found, on);
}

/// Calls `on` with what the windows that were found cover.
fn merged(found: &[bool], mut on: impl FnMut(Range<usize>)) {
    let mut range: Option<Range<usize>> = None;
    for (place, _) in found.iter().enumerate().filter(|(_, found)| **found) {
        match &mut range {
            Some(range) if place <= range.end => range.end = place + SHORTEST,
            _ => {
                let new = place..place + SHORTEST;
                if let Some(before) = range.replace(new) {
                    on(before);
                }
            }
        }
    }
    range.into_iter().for_each(on);
}

/// The places of each window of a text.
struct Windows<'t> {
    places: HashMap<&'t [u8], Vec<usize>>,
    /// By a hash of the first half of a window: most windows of another text are not among them.
    filter: Box<[u64; FILTER / 64]>,
}

/// Bits of the filter: with 2 KiB of text one in thirty is set.
const FILTER: usize = 1 << 16;

impl<'t> Windows<'t> {
    fn of(text: &'t [u8]) -> Self {
        let mut windows = Windows {
            places: HashMap::with_capacity(text.len()),
            filter: Box::new([0; FILTER / 64]),
        };
        for (place, window) in text.windows(SHORTEST).enumerate() {
            let bit = bit(window);
            windows.filter[bit / 64] |= 1 << (bit % 64);
            windows.places.entry(window).or_default().push(place);
        }
        windows
    }

    fn may_have(&self, window: &[u8]) -> bool {
        let bit = bit(window);
        self.filter[bit / 64] & 1 << (bit % 64) != 0
    }

    fn at(&self, window: &[u8]) -> Option<&[usize]> {
        self.may_have(window)
            .then(|| self.places.get(window).map(Vec::as_slice))?
    }

    fn take(&mut self, window: &[u8]) -> Vec<usize> {
        match self.may_have(window) {
            true => self.places.remove(window).unwrap_or_default(),
            false => Vec::new(),
        }
    }
}

/// The filter's bit of a window.
fn bit(window: &[u8]) -> usize {
    let half = window.first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
    // Fibonacci hashing: the high bits of a product by 2⁶⁴ / φ.
    (half.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which bytes of `text` belong to a run.
    fn found(text: &[u8], other: &[u8]) -> Vec<bool> {
        let mut found = vec![false; text.len()];
        common(text, other, |range| found[range].fill(true));
        found
    }

    /// The same, by looking everywhere.
    fn expected(text: &[u8], other: &[u8]) -> Vec<bool> {
        let mut expected = vec![false; text.len()];
        for (start, window) in text.windows(SHORTEST).enumerate() {
            if other.windows(SHORTEST).any(|place| place == window) {
                expected[start..start + SHORTEST].fill(true);
            }
        }
        expected
    }

    #[test]
    fn a_run_of_sixteen_bytes_is_found_wherever_it_begins_and_one_of_fifteen_nowhere() {
        for lead in 0..20 {
            let text = ["-".repeat(lead).as_str(), "0123456789abcdef", "."].concat();
            let hits = found(text.as_bytes(), b"x0123456789abcdefx");
            assert_eq!(hits.iter().filter(|hit| **hit).count(), 16, "{lead}");
            assert!(hits[lead..lead + 16].iter().all(|hit| *hit), "{lead}");
            assert!(!found(text.as_bytes(), b"x0123456789abcdex").contains(&true), "{lead}");
        }
    }

    /// Each would be visited by each, and each visit told of.
    #[test]
    fn texts_that_repeat_themselves_are_gone_through_once() {
        let request = vec![b'a'; 4 << 20];
        for text in [
            "aaaaaaaaaaaaaaab".repeat(126),
            ["a".repeat(22), "b".to_owned()].concat().repeat(88),
        ] {
            let mut ranges = 0;
            common(text.as_bytes(), &request, |_| ranges += 1);
            assert!(ranges <= text.len() / SHORTEST, "{ranges}");
            common(&request, text.as_bytes(), |_| ranges += 1);
            assert!(ranges <= text.len() / SHORTEST + 1, "{ranges}");
        }
    }

    proptest! {
        /// Of few letters, so that runs overlap and repeat.
        #[test]
        fn what_is_found_is_what_looking_everywhere_finds(
            text in "[ab]{0,60}|(abc){0,20}|[a-d]{0,60}",
            other in "[ab]{0,200}|(abc){0,40}a{0,9}(abc){0,9}",
            start in 0_usize..60, length in 0_usize..40,
        ) {
            let (text, start) = (text.as_bytes(), start.min(text.len()));
            let part = &text[start..(start + length).min(text.len())];
            let other = [other.as_bytes(), part, b"b"].concat();
            prop_assert_eq!(found(text, &other), expected(text, &other));
        }
    }
}
