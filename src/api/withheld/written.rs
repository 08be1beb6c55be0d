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

/// Bytes that may be folded for each byte of a text, and for any text. Others need a few.
const FOLDED: usize = 2 * LOOKED_AT;
const FOLDED_ALWAYS: usize = 1 << 20;

/// Calls `on` with each place in `text` where `secret` is written, or [`SHORTEST`] bytes of it. Of a text that is made to be
/// folded again and again it is the rest.
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
    let mut left = FOLDED_ALWAYS + FOLDED * text.len();
    while start < text.len() {
        if may_begin(text[start]) {
            marked_to = start + LONGEST;
        }
        let is_due = reaches_out || start <= marked_to && marked_to > 0;
        let found = is_due.then(|| end_of(text, start, &parts, enough, &mut left)).flatten();
        if left == 0 {
            return on(start..text.len());
        }
        match found {
            Some(end) => {
                on(start..end);
                start = end;
            }
            None => start += 1,
        }
    }
}

/// Where one of the parts ends that is written at `start`, whole or far enough. No more than `left` bytes are folded for it.
fn end_of(text: &[u8], start: usize, parts: &[Vec<u8>], enough: usize, left: &mut usize) -> Option<usize> {
    let mut folded = |bytes: &[u8]| {
        *left = left.saturating_sub(bytes.len());
        // Whatever is found then, the rest is hidden.
        Folded::of(if *left == 0 { &[] } else { bytes })
    };
    // Most places are told by their first bytes.
    let first = folded(&text[start..text.len().min(start + LOOKED_AT)]).bytes;
    let first = &first[..first.len().min(TOLD_BY)];
    if !parts.iter().any(|part| part.starts_with(first)) {
        return None;
    }
    let piece = &text[start..text.len().min(start + LONGEST_SECRET * WRITTEN)];
    let whole = folded(piece);
    let in_common = |bytes: &[u8], part: &[u8]| std::iter::zip(bytes, part).take_while(|(a, b)| a == b).count();
    parts.iter().find_map(|part| {
        let enough = part.len().min(enough);
        let common = in_common(&whole.bytes, part);
        if common >= enough {
            return Some(start + whole.place(0..common).end);
        }
        // Its last bytes may have become part of what follows, from one on that begins an escape.
        let tail = part.len().saturating_sub(LONGEST);
        let begins = part[tail..].iter().position(|byte| may_begin(*byte))?;
        let before = tail + begins;
        if common < before || common == 0 {
            return None;
        }
        let from = if before == 0 { 0 } else { whole.place(0..before).end };
        let to = piece.len().min(from + (part.len() - before) * WRITTEN);
        for end in from..to {
            let cut = folded(&piece[from..=end]);
            if before + in_common(&cut.bytes, &part[before..]) >= enough {
                return Some(start + end + 1);
            }
        }
        None
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
    fn a_text_made_to_be_looked_through_again_and_again_is_hidden_instead() {
        // It would take an hour: each place looks like the secret's beginning, and an escape may begin with its last bytes.
        for (secret, piece) in [
            (r"\zzzzzzzz", r"\zy"),
            ("zzzzzzzz%&", "z"),
            (r"a\zzzzzzzzzzzzzzzzzz", r"a\zy"),
            ("%z%z%z%z%z%z%z%z", "%z%z%y"),
        ] {
            let text = piece.repeat(8 * 1024 / piece.len());
            let mut found = Vec::new();
            find(text.as_bytes(), secret.as_bytes(), |range| found.push(range));
            let text = format!("nothing {text} {secret}!");
            let mut hidden = vec![false; text.len()];
            find(text.as_bytes(), secret.as_bytes(), |range| hidden[range].fill(true));
            let at = text.find(secret).unwrap();
            assert!(
                hidden[at..at + secret.len() - 1].iter().all(|hidden| *hidden),
                "{secret}"
            );
            assert!(!hidden[..7].contains(&true));
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
