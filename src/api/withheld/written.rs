//! Secrets whose neighbours make something else of their first or last bytes.
//!
//! A text is folded from its start ([`folded`](super::folded)), which takes what stands before or behind a secret together
//! with its ends where they look like an escape: `key 'a\/b\\'` holds `a/b\`, and `\'` is an escape too. So wherever an
//! escape may reach into a secret, or out of it, a piece of the text is folded by itself.

use std::ops::Range;

use super::folded::{Folded, LONGEST, may_begin};
use super::runs::SHORTEST;

/// A longer secret has runs far enough from its ends that folding the whole text finds them.
const LONGEST_SECRET: usize = 2 * SHORTEST;

/// Most bytes that one byte is written as: an escape of each byte of an escape.
const WRITTEN: usize = LONGEST;

/// Bytes of a text that are folded for a first look, and of the folded ones those that nothing behind them can change.
const LOOKED_AT: usize = 4 * WRITTEN;
const TOLD_BY: usize = 2;

/// Calls `on` with each place in `text` where `secret` is written, or [`SHORTEST`] bytes of it.
pub(super) fn find(text: &[u8], secret: &[u8], mut on: impl FnMut(Range<usize>)) {
    if secret.is_empty() || secret.len() > LONGEST_SECRET {
        return;
    }
    let enough = secret.len().min(SHORTEST);
    // What is looked for, folded: each part of the secret that is long enough, and goes on to its end.
    let parts: Vec<Vec<u8>> = (0..=secret.len() - enough)
        .map(|from| Folded::of(&secret[from..]).bytes)
        .collect();
    let reaches_out = secret.iter().rev().take(LONGEST).any(|byte| may_begin(*byte));
    let (mut start, mut marked_to) = (0, 0);
    while start < text.len() {
        if may_begin(text[start]) {
            marked_to = start + LONGEST;
        }
        let is_due = reaches_out || start <= marked_to && marked_to > 0;
        match is_due.then(|| end_of(text, start, &parts, enough)).flatten() {
            Some(end) => {
                on(start..end);
                start = end;
            }
            None => start += 1,
        }
    }
}

/// Where one of the parts ends that is written at `start`, whole or far enough.
fn end_of(text: &[u8], start: usize, parts: &[Vec<u8>], enough: usize) -> Option<usize> {
    // Most places are told by their first bytes.
    let first = Folded::of(&text[start..text.len().min(start + LOOKED_AT)]).bytes;
    let first = &first[..first.len().min(TOLD_BY)];
    if !parts.iter().any(|part| part.starts_with(first)) {
        return None;
    }
    let piece = &text[start..text.len().min(start + LONGEST_SECRET * WRITTEN)];
    let folded = Folded::of(piece);
    let in_common = |bytes: &[u8], part: &[u8]| std::iter::zip(bytes, part).take_while(|(a, b)| a == b).count();
    parts.iter().find_map(|part| {
        let enough = part.len().min(enough);
        let common = in_common(&folded.bytes, part);
        if common >= enough {
            return Some(start + folded.place(0..common).end);
        }
        // Its last bytes may have become part of what follows, from one on that begins an escape.
        let tail = part.len().saturating_sub(LONGEST);
        let begins = part[tail..].iter().position(|byte| may_begin(*byte))?;
        let before = tail + begins;
        if common < before || common == 0 {
            return None;
        }
        let from = if before == 0 { 0 } else { folded.place(0..before).end };
        let to = piece.len().min(from + (part.len() - before) * WRITTEN);
        (from..to).find_map(|end| {
            let cut = Folded::of(&piece[from..=end]);
            (before + in_common(&cut.bytes, &part[before..]) >= enough).then_some(start + end + 1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_whatever_its_neighbours_make_of_its_ends() {
        for (secret, text, written) in [
            (r"a/1$cb{d;:\", r"key 'a\/1$Cb{d;:\\' is bad", r"a\/1$Cb{d;:\\"),
            (r"a/1$cb{d;:\", r"key 'a\/1$cb{d;:%5C%27 is bad", r"a\/1$cb{d;:%5C"),
            (r"a/1$cb{d;:&", r"a&sol;1$cb{d;:&amp;#39;", r"a&sol;1$cb{d;:&amp;"),
            ("afbdc4b/x", r"%%Afbdc4b\/x", r"Afbdc4b\/x"),
            ("bdefghi/", r"\bdefghi\/", r"bdefghi\/"),
            ("bd\"efghi/", r#"\bd\\\"efghi\/"#, r#"bd\\\"efghi\/"#),
        ] {
            let mut found = Vec::new();
            find(text.as_bytes(), secret.as_bytes(), |range| found.push(&text[range]));
            let [found] = &found[..] else {
                panic!("{secret} in {text}: {found:?}")
            };
            // Of an escape at its end a part may be left, which tells nothing.
            assert!(
                written.starts_with(found) && found.len() + 4 >= written.len(),
                "{found} of {written}"
            );
        }
    }

    #[test]
    fn sixteen_bytes_of_a_longer_one_are_enough_and_fifteen_of_it_are_not() {
        let secret = b"0/23456789abcdefghij";
        let find = |text: &str| {
            let mut found = Vec::new();
            find(text.as_bytes(), secret, |range| found.push(range));
            found
        };
        assert_eq!(find(r"\0\/23456789abcdef>").first(), Some(&(1..18)));
        assert!(find(r"\0\/23456789abcde>").is_empty());
    }
}
