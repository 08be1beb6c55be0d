//! A text as it reads, whatever it was wrapped in: without escapes, letter case and differences of white space.
//!
//! | written | reads |
//! |---|---|
//! | `\"` `\/` `\n` `\u00e9` `\ud83d\ude00` `\u{41}` `\x41` `\101` | as in JSON, JavaScript, Rust and C |
//! | `%2B`, `+` | as in URLs and forms; a space for `+` |
//! | `&amp;` `&plus;` `&#43;` `&#x2b;` | as in HTML |
//! | `A` | `a` (ASCII only) |
//! | white space and control characters, any number | one space |
//! | NUL, as between the letters of UTF-16 | nothing |
//!
//! What an escape stands for may be part of another one (`%252B`, `\\u0041`: JSON in JSON), so escapes are resolved as
//! soon as they are complete, however deep they are nested. Two texts that fold alike need not be alike; a text and its
//! escaped form fold alike, which is what counts where something must be found again.

use std::ops::Range;

/// A folded text, with the place of each of its bytes.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) bytes: Vec<u8>,
    /// Where each of them stands in the text, from its first byte to behind its last.
    places: Vec<(usize, usize)>,
}

impl Folded {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut folded = Folded {
            bytes: Vec::with_capacity(text.len()),
            places: Vec::with_capacity(text.len()),
        };
        fold(text, |byte, start, end| {
            folded.bytes.push(byte);
            folded.places.push((start, end));
        });
        folded
    }

    /// What a range of the folded bytes stands for in the text; it must not be empty.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        self.places[range.start].0..self.places[range.end - 1].1
    }
}

/// `text` with its mark in place of each of these ranges, widened to whole characters. Of ranges that overlap the longest
/// one's mark stands for all.
pub(super) fn replaced(text: &[u8], ranges: Vec<(Range<usize>, &str)>) -> Vec<u8> {
    let ranges = ranges
        .into_iter()
        .map(|(range, mark)| (whole_characters(text, range), mark));
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|(range, _)| range.start);
    let mut merged: Vec<(Range<usize>, &str, usize)> = Vec::new();
    for (range, mark) in ranges {
        let length = range.len();
        match merged.last_mut() {
            Some((last, marked, longest)) if range.start < last.end || range.start == last.end && mark == *marked => {
                last.end = last.end.max(range.end);
                if length > *longest {
                    (*marked, *longest) = (mark, length);
                }
            }
            _ => merged.push((range, mark, length)),
        }
    }
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for (range, mark, _) in merged {
        out.extend_from_slice(&text[from..range.start]);
        out.extend_from_slice(mark.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// The range, widened so that it neither begins nor ends inside a character of UTF-8.
fn whole_characters(text: &[u8], Range { mut start, mut end }: Range<usize>) -> Range<usize> {
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    // No character has more than three bytes behind its first; what is no UTF-8 is not followed any further.
    for _ in 0..3 {
        start -= usize::from(start > 0 && continues(start));
        end += usize::from(continues(end));
    }
    start..end
}

/// Most bytes that an escape can be made of, once those inside it are resolved: `\ud83d\ude00`, and numbers with zeros in
/// front of them, of which HTML allows any count and nobody writes more.
pub(super) const LONGEST: usize = 16;

/// A byte that may still become part of an escape.
#[derive(Clone, Copy)]
struct Piece {
    byte: u8,
    /// Where it stands in the text.
    start: usize,
    end: usize,
    /// How many escapes it was wrapped in.
    depth: usize,
}

/// Calls `on` with each byte of the folded text, and where it stands in `text`: its start, and the end behind it.
pub(super) fn fold(text: &[u8], mut on: impl FnMut(u8, usize, usize)) {
    let mut after_space = false;
    let mut settle = |piece: &Piece| {
        // Between the bytes of UTF-16.
        if piece.byte == 0 {
            return;
        }
        let is_space = piece.byte.is_ascii_whitespace() || piece.byte.is_ascii_control() || piece.byte == b'+';
        if !(is_space && after_space) {
            on(if is_space { b' ' } else { piece.byte }, piece.start, piece.end);
        }
        after_space = is_space;
    };
    let mut open: Vec<Piece> = Vec::with_capacity(2 * LONGEST);
    // Bytes since the last one with which an escape may begin.
    let mut unmarked = LONGEST;
    for (at, &byte) in text.iter().enumerate() {
        let piece = Piece::of(byte, at);
        if unmarked >= LONGEST && !may_begin(byte) {
            // Most of a text is far from any escape.
            open.drain(..).for_each(|piece| settle(&piece));
            settle(&piece);
            continue;
        }
        if open.len() >= 2 * LONGEST {
            open.drain(..LONGEST).for_each(|piece| settle(&piece));
        }
        open.push(piece);
        unmarked = if may_begin(byte) { 0 } else { unmarked + 1 };
        while unmarked < LONGEST
            && let Some(escape) = Escape::completed_by(&open)
        {
            let first = open.len() - escape.length;
            let start = open[first].start;
            let depth = 1 + open[first..].iter().map(|piece| piece.depth).max().unwrap_or(0);
            open.truncate(first);
            open.extend(escape.stands_for().iter().map(|byte| Piece {
                byte: byte.to_ascii_lowercase(),
                start,
                end: at + 1,
                depth,
            }));
            unmarked = 0;
        }
    }
    open.iter().for_each(settle);
}

/// Whether an escape, or a character that counts as white space, may begin with this byte.
pub(super) fn may_begin(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | 0x80..)
}

/// A complete escape.
struct Escape {
    /// Bytes that it is made of: always more than those that it stands for.
    length: usize,
    bytes: [u8; 4],
    count: usize,
}

impl Piece {
    /// A byte of the text itself.
    fn of(byte: u8, at: usize) -> Self {
        Piece {
            // Of escapes too: a text in capitals has theirs in capitals.
            byte: byte.to_ascii_lowercase(),
            start: at,
            end: at + 1,
            depth: 0,
        }
    }
}

impl Escape {
    fn of_byte(length: usize, byte: u8) -> Self {
        Escape {
            length,
            bytes: [byte, 0, 0, 0],
            count: 1,
        }
    }

    fn of_char(length: usize, c: char) -> Self {
        let mut bytes = [0; 4];
        let count = c.encode_utf8(&mut bytes).len();
        Escape { length, bytes, count }
    }

    fn stands_for(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    /// The escape that the last of `open` completes.
    fn completed_by(open: &[Piece]) -> Option<Self> {
        let open = &open[open.len().saturating_sub(LONGEST)..];
        let mut tail = [0; LONGEST];
        for (byte, piece) in tail.iter_mut().rev().zip(open.iter().rev()) {
            *byte = piece.byte;
        }
        if tail[LONGEST - 2..] == *br"\\" {
            let [first, second] = open.last_chunk()?;
            // One that an escape stands for is no partner for one that begins another escape.
            return (second.depth >= first.depth).then_some(Escape::of_byte(2, b'\\'));
        }
        backslash(&tail)
            .or_else(|| percent(&tail))
            .or_else(|| reference(&tail))
            .or_else(|| space(&tail))
    }
}

fn backslash(tail: &[u8; LONGEST]) -> Option<Escape> {
    match *tail {
        [.., b'\\', c @ (b'"' | b'\'' | b'/')] => Some(Escape::of_byte(2, c)),
        [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't'] => Some(Escape::of_byte(2, b' ')),
        [.., b'\\', b'x', high, low] => Some(Escape::of_byte(4, hex(&[high, low])? as u8)),
        [.., b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            Some(Escape::of_byte(4, (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')))
        }
        [.., b'}'] => {
            let start = tail.iter().rposition(|&byte| byte == b'\\')?;
            let digits = tail[start + 1..].strip_prefix(b"u{")?.strip_suffix(b"}")?;
            Some(Escape::of_char(tail.len() - start, char::from_u32(hex(digits)?)?))
        }
        [.., b'\\', b'u', a, b, c, d] => match char::from_u32(hex(&[a, b, c, d])?) {
            Some(c) => Some(Escape::of_char(6, c)),
            None => surrogates(tail),
        },
        _ => None,
    }
}

/// A character in two units of UTF-16.
fn surrogates(tail: &[u8; LONGEST]) -> Option<Escape> {
    let [.., b'\\', b'u', a, b, c, d, b'\\', b'u', e, f, g, h] = *tail else {
        return None;
    };
    let units = [hex(&[a, b, c, d])?, hex(&[e, f, g, h])?].map(|unit| unit as u16);
    Some(Escape::of_char(12, char::decode_utf16(units).next()?.ok()?))
}

fn percent(tail: &[u8; LONGEST]) -> Option<Escape> {
    match *tail {
        [.., b'%', high, low] => Some(Escape::of_byte(3, hex(&[high, low])? as u8)),
        _ => None,
    }
}

/// The names that HTML has for the punctuation of ASCII, and for white space.
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("hat", '^'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("midast", '*'),
    ("nbsp", ' '),
    ("newline", ' '),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("tab", ' '),
    ("underbar", '_'),
    ("verbar", '|'),
    ("vert", '|'),
];

/// A character reference of HTML.
fn reference(tail: &[u8; LONGEST]) -> Option<Escape> {
    let start = tail.iter().rposition(|&byte| byte == b'&')?;
    let c = match tail[start + 1..].strip_suffix(b";")? {
        [b'#', b'x', digits @ ..] => char::from_u32(hex(digits)?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        name => NAMED.iter().find(|(known, _)| known.as_bytes() == name)?.1,
    };
    Some(Escape::of_char(tail.len() - start, c))
}

/// White space beyond ASCII, and the control characters of Latin-1.
fn space(tail: &[u8; LONGEST]) -> Option<Escape> {
    match *tail {
        [.., 0xC2, 0x80..=0xA0] => Some(Escape::of_byte(2, b' ')),
        [.., 0xE1, 0x9A, 0x80]
        | [.., 0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF]
        | [.., 0xE2, 0x81, 0x9F]
        | [.., 0xE3, 0x80, 0x80] => Some(Escape::of_byte(3, b' ')),
        _ => None,
    }
}

/// The value of hexadecimal digits, one to six of them behind any zeros.
fn hex(digits: &[u8]) -> Option<u32> {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    if digits.is_empty() || digits.len() - zeros > 6 {
        return None;
    }
    let digit = |&digit| char::from(digit).to_digit(16);
    digits
        .iter()
        .map(digit)
        .try_fold(0, |value, digit| Some(value << 4 | digit?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        String::from_utf8_lossy(&Folded::of(text.as_bytes()).bytes).into_owned()
    }

    #[test]
    fn an_escape_reads_as_what_it_stands_for_however_deep_it_is_nested() {
        for (written, reads) in [
            ("", ""),
            ("Plain TEXT", "plain text"),
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"a\n\tb\r", "a b "),
            (r"\u0041\u00e9\ud83d\ude00", "aé😀"),
            (r"\ud83dx\ude00", r"\ud83dx\ude00"),
            (r"\ud83d\u0041", r"\ud83da"),
            (r"\x41\u00zz", r"a\u00zz"),
            (r"\u{41}\u{0001F600}\u{}\u{110000}", r"a😀\u{}\u{110000}"),
            (r"\101\053\400\19", r"a \400\19"),
            ("%41%2b%2B%", "a %"),
            ("%C3%A9%zz", "é%zz"),
            ("a+b  \r\n c", "a b c"),
            ("&lt;&amp;&#43;&#x2B;&#65;&quot;&x;&;", "<& a\"&x;&;"),
            ("&#000000065;&#x0000041;&sol;&Equals;&lowbar;&plus;", "aa/=_ "),
            ("a\u{a0}\u{2003}\u{3000}b", "a b"),
            // Twice, three times, and mixed.
            ("%2541", "a"),
            (r"\\u0041", "a"),
            (r"\\\\u0041", "a"),
            (r"\u005c\u006e.", " ."),
            (r"\U0041\N&AMP;&#X41;", "a &a"),
            (r#"\\\"x\\\""#, r#""x""#),
            ("%5Cu0041", "a"),
            ("&amp;lt;", "<"),
            ("%26amp%3B%2523", "&#"),
        ] {
            assert_eq!(folded(written), reads, "{written}");
        }
    }

    #[test]
    fn what_is_replaced_is_all_that_a_byte_stands_for_and_whole_characters() {
        let without = |text: &str, part: &str| {
            let folded = Folded::of(text.as_bytes());
            let at = folded
                .bytes
                .windows(part.len())
                .position(|window| window == part.as_bytes());
            let place = folded.place(at.unwrap()..at.unwrap() + part.len());
            String::from_utf8(replaced(text.as_bytes(), vec![(place, "#")])).unwrap()
        };
        assert_eq!(without("xKEYx", "key"), "x#x");
        assert_eq!(without(r"x\u004bE%59x", "key"), "x#x");
        assert_eq!(without("KEY", "key"), "#");
        assert_eq!(without(r"a \u00e9 b", "\u{e9}"), "a # b");
        let replaced = |ranges: &[(usize, usize)]| {
            let ranges = ranges.iter().map(|&(start, end)| (start..end, "#"));
            let text = replaced("äöü".as_bytes(), ranges.collect());
            String::from_utf8(text).unwrap()
        };
        assert_eq!(replaced(&[]), "äöü");
        assert_eq!(replaced(&[(3, 4)]), "ä#ü");
        assert_eq!(replaced(&[(0, 3), (2, 5)]), "#");
        assert_eq!(replaced(&[(4, 6), (0, 2)]), "#ö#");
        assert_eq!(replaced(&[(0, 6), (2, 3)]), "#");
    }

    fn percent_encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    fn all_escaped(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest! {
        #[test]
        fn a_text_and_its_escaped_forms_fold_alike(text in "[ -~äß世😀\n\t]{0,24}|[\\\\nu0%2&;#\"\n\u{1}]{0,24}") {
            let expected = folded(&text);
            let json = serde_json::to_string(&text).unwrap();
            let json = &json[1..json.len() - 1];
            let twice = serde_json::to_string(json).unwrap();
            for form in [
                json, &twice[1..twice.len() - 1], &percent_encoded(&text), &percent_encoded(json), &all_escaped(&text),
                &percent_encoded(&percent_encoded(&text)),
            ] {
                prop_assert_eq!(&folded(form), &expected, "{}", form);
            }
        }

        #[test]
        fn any_bytes_fold_and_every_byte_knows_its_place(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            marks in "[\\\\%&u;x0-9a-f]{0,60}",
        ) {
            let text = [&bytes[..], marks.as_bytes()].concat();
            let folded = Folded::of(&text);
            prop_assert!(folded.bytes.len() <= text.len());
            prop_assert!(folded.places.iter().all(|(start, end)| start < end && *end <= text.len()));
            prop_assert!(folded.places.is_sorted());
        }
    }
}
