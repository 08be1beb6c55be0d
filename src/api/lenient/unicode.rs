//! Bytes that should be UTF-8, and texts that should be whole characters.
//!
//! Gateways cut answers between the bytes of a character, or between the halves of a pair of surrogates, and send each
//! part in a frame of its own. So a broken part is kept as it is until the next piece of its text has come; what is still
//! broken then is U+FFFD, as everywhere.
//!
//! Pieces are WTF-8: UTF-8 that may hold halves of surrogate pairs, which is what `serde_json` gives for a string that is
//! read as bytes. A byte that is no UTF-8 becomes a half too, `\udc80` to `\udcff`, which no pair begins with (Python's
//! "surrogateescape"): so it passes through JSON.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, Visitor};

/// Bytes of a half of a pair in WTF-8.
const HALF: usize = 3;
/// Most bytes that can wait: a character lacks its last byte, and each of the others has become a half.
const MOST: usize = 3 * HALF;
/// Bytes of an escape, and how many escapes may add to any JSON.
const ESCAPE: usize = 6;
const MOST_ESCAPED: usize = 1024;
/// Bytes of the longest character.
const LONGEST_CHAR: usize = 4;

/// JSON as text: each byte that is no UTF-8 as the escape of a half, see above. Where they are so many that it would become
/// more than twice as long, no character is cut, but all are broken: then they are U+FFFD at once.
pub(crate) fn escaped(json: &[u8]) -> Cow<'_, str> {
    // By far the faster of the two, and nearly always right.
    if let Ok(text) = std::str::from_utf8(json) {
        return Cow::Borrowed(text);
    }
    let broken: usize = json.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let added = broken * (ESCAPE - 1);
    if added > json.len() + MOST_ESCAPED {
        return String::from_utf8_lossy(json);
    }
    let mut text = String::with_capacity(json.len() + added);
    for chunk in json.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    Cow::Owned(text)
}

/// Text with U+FFFD for what is no UTF-8, each of which takes up to three times its bytes. None where that is more than `most`.
pub(crate) fn replaced(text: &[u8], most: usize) -> Option<String> {
    const MARK: &str = "\u{fffd}";
    let mark = |chunk: &std::str::Utf8Chunk<'_>| if chunk.invalid().is_empty() { "" } else { MARK };
    let length: usize = text
        .utf8_chunks()
        .map(|chunk| chunk.valid().len() + mark(&chunk).len())
        .sum();
    if length > most {
        return None;
    }
    let mut replaced = String::with_capacity(length);
    for chunk in text.utf8_chunks() {
        replaced.push_str(chunk.valid());
        replaced.push_str(mark(&chunk));
    }
    Some(replaced)
}

/// JSON whose halves of pairs have become U+FFFD: what else reads it takes them for errors. Of its bytes none is added.
pub(crate) fn settled(json: &str) -> Cow<'_, str> {
    let mut places = Vec::new();
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(found) = memmem::find(&bytes[at..], b"\\") {
        let start = at + found;
        let unit = |start: usize| {
            let digits = bytes.get(start..start + 6)?.strip_prefix(b"\\u")?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        at = match unit(start) {
            Some(0xD800..=0xDBFF) if matches!(unit(start + 6), Some(0xDC00..=0xDFFF)) => start + 12,
            Some(0xD800..=0xDFFF) => {
                places.push(start);
                start + 6
            }
            // Whatever follows a backslash is no backslash of its own.
            _ => (start + 2).min(bytes.len()),
        };
    }
    if places.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut from = 0;
    for place in places {
        text.push_str(&json[from..place]);
        text.push_str("\\ufffd");
        from = place + 6;
    }
    text.push_str(&json[from..]);
    Cow::Owned(text)
}

/// A string of a reply in WTF-8, borrowed from it where it holds no escapes.
#[derive(Debug, Default)]
pub(crate) struct Wtf8<'a>(pub(crate) Cow<'a, [u8]>);

impl<'a> Wtf8<'a> {
    /// With U+FFFD for what is broken.
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        let mut joint = Joint::default();
        let mut text = joint.join(self);
        if let Some(rest) = joint.end() {
            text.to_mut().push_str(rest);
        }
        text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Wtf8<'a> {
    fn from(text: &'a str) -> Self {
        Wtf8(Cow::Borrowed(text.as_bytes()))
    }
}

/// Where the pieces of a text are joined: the end of the last one, where it is no whole character.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Joint {
    waits: [u8; MOST],
    length: u8,
}

impl Joint {
    /// The next piece of the text, with what waited before it and without what may be completed by a later one.
    pub(crate) fn join<'a>(&mut self, piece: Wtf8<'a>) -> Cow<'a, str> {
        let Wtf8(piece) = piece;
        if self.length == 0 {
            match piece {
                Cow::Borrowed(bytes) => {
                    if let Ok(text) = std::str::from_utf8(bytes) {
                        return Cow::Borrowed(text);
                    }
                    Cow::Owned(self.mend(bytes))
                }
                Cow::Owned(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => Cow::Owned(text),
                    Err(error) => Cow::Owned(self.mend(error.as_bytes())),
                },
            }
        } else if piece.is_empty() {
            Cow::Borrowed("")
        } else {
            let bytes = [&self.waits[..usize::from(self.length)], &*piece].concat();
            self.length = 0;
            Cow::Owned(self.mend(&bytes))
        }
    }

    /// The text has ended: what stands for the part that waits.
    pub(crate) fn end(&mut self) -> Option<&'static str> {
        (std::mem::take(&mut self.length) > 0).then_some("\u{fffd}")
    }

    /// The text that these bytes are; what their end may begin waits.
    fn mend(&mut self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            text.push_str(whole);
            rest = &rest[whole.len()..];
            let halves = halves(rest);
            if halves.is_empty() {
                // No WTF-8, which nobody gives us.
                if !rest.is_empty() {
                    text.push('\u{fffd}');
                    rest = &rest[1..];
                }
                continue;
            }
            let length = halves.len() * HALF;
            let waiting = read_halves(&halves, length == rest.len(), &mut text);
            let waiting = &rest[length - waiting * HALF..length];
            self.waits[..waiting.len()].copy_from_slice(waiting);
            self.length = waiting.len() as u8;
            rest = &rest[length..];
        }
        text
    }
}

/// The halves of pairs that `bytes` begin with.
fn halves(bytes: &[u8]) -> Vec<u16> {
    let half = |bytes: &[u8]| match bytes {
        [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF] => {
            Some(0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F))
        }
        _ => None,
    };
    bytes.chunks_exact(HALF).map_while(half).collect()
}

/// Reads halves that stand together, and where they are `last` leaves those at the end that may begin something; gives
/// their number.
fn read_halves(halves: &[u16], last: bool, text: &mut String) -> usize {
    let mut at = 0;
    while at < halves.len() {
        let rest = &halves[at..];
        at += match *rest {
            [high @ 0xD800..=0xDBFF, low @ 0xDC00..=0xDFFF, ..] => {
                text.extend(char::decode_utf16([high, low]).flatten());
                2
            }
            [0xD800..=0xDBFF] if last => return 1,
            [0xDC80..=0xDCFF, ..] => {
                // One character at a time, however long the run.
                let mut bytes = [0; LONGEST_CHAR];
                let run = rest
                    .iter()
                    .map_while(|half| matches!(half, 0xDC80..=0xDCFF).then_some(*half as u8));
                let count = bytes.iter_mut().zip(run).map(|(byte, next)| *byte = next).count();
                let bytes = &bytes[..count];
                match std::str::from_utf8(bytes) {
                    Ok(whole) => {
                        text.push_str(whole);
                        count
                    }
                    Err(error) if error.valid_up_to() > 0 => {
                        let valid = error.valid_up_to();
                        text.push_str(&String::from_utf8_lossy(&bytes[..valid]));
                        valid
                    }
                    Err(error) => match error.error_len() {
                        None if last && count == rest.len() => return count,
                        length => {
                            text.push('\u{fffd}');
                            length.unwrap_or(count)
                        }
                    },
                }
            }
            _ => {
                text.push('\u{fffd}');
                1
            }
        };
    }
    0
}

impl<'de> Deserialize<'de> for Wtf8<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes: one half of a pair of surrogates is no reason to lose an answer.
        deserializer.deserialize_bytes(Wtf8Visitor)
    }
}

struct Wtf8Visitor;

impl<'de> Visitor<'de> for Wtf8Visitor {
    type Value = Wtf8<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Wtf8(Cow::Borrowed(text)))
    }

    fn visit_bytes<E>(self, text: &[u8]) -> Result<Self::Value, E> {
        Ok(Wtf8(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a text is that comes as these pieces of JSON strings.
    fn joined(pieces: &[&[u8]]) -> String {
        let mut joint = Joint::default();
        let mut text = String::new();
        for piece in pieces {
            let json = [b"\"", *piece, b"\""].concat();
            let json = escaped(&json);
            text.push_str(&joint.join(serde_json::from_str(&json).unwrap()));
        }
        text.push_str(joint.end().unwrap_or(""));
        text
    }

    #[test]
    fn what_was_split_is_joined_and_what_stays_broken_is_replaced() {
        for (pieces, text) in [
            (&[&b"abc"[..], b"", b"d"][..], "abcd"),
            (&[br"\ud83d", br"\ude00"], "😀"),
            (&[br"a\ud83d", b"", br"\ude00b"], "a😀b"),
            (&[br"\ud83d\ude00\ud83d", br"\ude00"], "😀😀"),
            (&[br"\ud83d", b"x"], "\u{fffd}x"),
            (&[br"\ud83d"], "\u{fffd}"),
            (&[br"\ude00x", br"\ud83d\ud83d", br"\ude00"], "\u{fffd}x\u{fffd}😀"),
            (&[b"\xF0\x9F", b"\x98\x80"], "😀"),
            (&[b"\xF0", b"\x9F", b"\x98", b"\x80!"], "😀!"),
            (&[b"gr\xC3", b"\xB6\xC3\x9Fer"], "größer"),
            (&[b"\xE4\xB8", b"x\x96"], "\u{fffd}x\u{fffd}"),
            (&[b"\xFF\xFE", b"\xC3"], "\u{fffd}\u{fffd}\u{fffd}"),
            (&[b"\xF0\x9F", br"\ud83d", br"\ude00"], "\u{fffd}😀"),
        ] {
            assert_eq!(joined(pieces), text, "{pieces:x?}");
        }
    }

    #[test]
    fn what_is_replaced_takes_no_more_room_than_there_is() {
        let bytes = b"a\xE4\xB8b\xFF";
        assert_eq!(replaced(bytes, 8).as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(replaced(bytes, 7), None);
    }

    #[test]
    fn halves_in_json_are_replaced_and_nothing_else_is() {
        for (json, expected) in [
            (r#"{"a":"\ud83d\ude00\\ud83d \n"}"#, r#"{"a":"\ud83d\ude00\\ud83d \n"}"#),
            (r#"["\ud83d","\uDE00x\\\ude00"]"#, r#"["\ufffd","\ufffdx\\\ufffd"]"#),
            (r#""\ud83d\ud83d\ude00\"#, r#""\ufffd\ud83d\ude00\"#),
            (r"\u", r"\u"),
            ("\\é", "\\é"),
        ] {
            assert_eq!(settled(json), expected);
            assert_eq!(matches!(settled(json), Cow::Borrowed(_)), json == expected);
        }
    }

    #[test]
    fn what_is_broken_all_over_takes_three_bytes_for_each() {
        for (json, longest) in [(vec![0xFF; 100_000], 300_000), (b"abcdefg\xFF".repeat(10_000), 160_000)] {
            let text = escaped(&json);
            assert!(text.len() <= longest, "{} of {}", text.len(), json.len());
            let string = format!("\"{text}\"");
            let read: Wtf8<'_> = serde_json::from_str(&string).unwrap();
            assert_eq!(read.into_text(), String::from_utf8_lossy(&json));
        }
    }

    #[test]
    fn a_long_run_of_broken_bytes_costs_a_look_at_each() {
        // By the square of its length it would take an hour.
        let run = [0xFF; 1_000_000];
        assert_eq!(joined(&[&run]), "\u{fffd}".repeat(run.len()));
        let halves = r"\udcff".repeat(200_000);
        assert_eq!(joined(&[halves.as_bytes()]), "\u{fffd}".repeat(200_000));
        let whole = b"\xC3\xB6\xFF".repeat(100_000);
        assert_eq!(joined(&[&whole]), "ö\u{fffd}".repeat(100_000));
    }

    proptest! {
        #[test]
        fn a_text_that_is_cut_anywhere_is_joined(text in "[a-zß世😀]{0,24}", cuts in proptest::collection::vec(0_usize..100, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(joined(&pieces), text);
        }

        #[test]
        fn any_bytes_become_text_as_everywhere(bytes in proptest::collection::vec(0x23_u8..=0xFF, 0..40)) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\\').collect();
            prop_assert_eq!(joined(&[&bytes]), String::from_utf8_lossy(&bytes));
        }
    }
}
