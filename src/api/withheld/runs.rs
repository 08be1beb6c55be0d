//! Where two texts have a run of bytes in common.

use std::iter::zip;
use std::ops::Range;

use memchr::memmem;

/// Shortest run that counts, in bytes.
pub(super) const SHORTEST: usize = 16;

/// Wherever a run of [`SHORTEST`] bytes begins, it holds a whole block of `text`, taken apart in blocks of this length.
const BLOCK: usize = SHORTEST / 2;

/// How far a run is followed beyond a block, to either side; the rest of a longer one is found by its other blocks.
const REACH: usize = SHORTEST - 1;

/// Calls `on` with ranges of `text` that together are all its runs of [`SHORTEST`] bytes and more that stand in `other`
/// too.
pub(super) fn common(text: &[u8], other: &[u8], mut on: impl FnMut(Range<usize>)) {
    for (index, block) in text.chunks_exact(BLOCK).enumerate() {
        let start = index * BLOCK;
        let mut place = 0;
        while let Some(found) = memmem::find(&other[place..], block) {
            place += found;
            let pairs = zip(text[..start].iter().rev(), other[..place].iter().rev());
            let before = pairs.take(REACH).take_while(|(a, b)| a == b).count();
            let pairs = zip(&text[start..], &other[place..]);
            let after = pairs.take(BLOCK + REACH).take_while(|(a, b)| a == b).count();
            if before + after >= SHORTEST {
                on(start - before..start + after);
            }
            if before == REACH && after == BLOCK + REACH {
                break;
            }
            place += 1;
        }
    }
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
