//! Server-sent events, pushed in as bytes and handed out as events.
//!
//! The grammar is that of the HTML standard, section "Server-sent events", with two differences that the wire
//! asks for: an event that lacks its last blank line still counts when the stream ends, and `id` and `retry`
//! are ignored, for nobody reconnects.

use std::borrow::Cow;

use crate::api::lenient::escaped;

/// Longest event, in bytes: its lines, or a line that has not ended yet. The largest real ones are the last events of a
/// Responses stream, which repeat the whole response, images included.
pub const MAX_EVENT: usize = 32 << 20;

/// Most room that is kept from one event to the next.
const ROOM_KEPT: usize = 64 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// Its data, lines joined by a line feed. What is no UTF-8 has been replaced, or escaped ([`Parser::of_json`]).
    pub data: &'a str,
}

/// An event is longer than [`MAX_EVENT`]; nothing more comes of this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    limit: usize,
}

/// Takes a stream of bytes apart, wherever it is cut.
#[derive(Debug)]
pub struct Parser {
    /// A line that has not ended yet.
    line: Vec<u8>,
    /// Data of the event so far, a line feed behind each line.
    data: Vec<u8>,
    name: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_cr: bool,
    /// No line has ended yet: a byte order mark may precede the first.
    at_start: bool,
    limit: usize,
    failed: bool,
    /// Whether data is JSON, in which what is no UTF-8 can be escaped.
    of_json: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_EVENT)
    }

    /// The same for a stream whose data is JSON: each byte of it that is no UTF-8 becomes the escape `\udc80` to `\udcff`,
    /// from which whoever joins texts makes the characters that were cut in two.
    #[must_use]
    pub fn of_json() -> Self {
        Parser {
            of_json: true,
            ..Self::new()
        }
    }

    fn with_limit(limit: usize) -> Self {
        Parser {
            line: Vec::new(),
            data: Vec::new(),
            name: Vec::new(),
            after_cr: false,
            at_start: true,
            limit,
            failed: false,
            of_json: false,
        }
    }

    /// Takes the next bytes and calls `on` for each event that they end.
    ///
    /// # Errors
    /// [`TooLong`], now and for all that follows.
    pub fn push(&mut self, mut bytes: &[u8], mut on: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        self.check()?;
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                return self.bound(self.line.len());
            };
            self.after_cr = bytes[end] == b'\r';
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.line.is_empty() {
                self.end_line(line, &mut on)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.end_line(&whole, &mut on)?;
                self.line = reused(whole);
            }
        }
        Ok(())
    }

    /// Whether what has come of an event that has not ended is exactly this data. Whoever keeps the stream open may never
    /// send the blank line.
    #[must_use]
    pub fn has_pending(&self, data: &str) -> bool {
        let data = data.as_bytes();
        match (self.data.split_last(), &*self.line) {
            (Some((_, pending)), []) => pending == data,
            (None, line) => line
                .strip_prefix(b"data:")
                .is_some_and(|value| value.strip_prefix(b" ").unwrap_or(value) == data),
            _ => false,
        }
    }

    /// Ends the stream: an event that lacks its last blank line, or line feed, still counts.
    ///
    /// # Errors
    /// [`TooLong`] where an earlier event was.
    pub fn finish(mut self, mut on: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        self.check()?;
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, &mut on)?;
        }
        self.dispatch(&mut on);
        Ok(())
    }

    fn end_line(&mut self, mut line: &[u8], on: &mut impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        self.bound(line.len())?;
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(on);
            return Ok(());
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                // Once, and not once more for the line feed.
                self.data.reserve(value.len() + 1);
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {} // a comment has an empty field
        }
        Ok(())
    }

    /// Hands out the event, if it has any data.
    fn dispatch(&mut self, on: &mut impl FnMut(Event<'_>)) {
        if let Some((_, data)) = self.data.split_last() {
            on(Event {
                name: &text(&self.name),
                data: &match self.of_json {
                    true => escaped(data),
                    false => text(data),
                },
            });
        }
        self.data = reused(std::mem::take(&mut self.data));
        self.name = reused(std::mem::take(&mut self.name));
    }

    fn bound(&mut self, line: usize) -> Result<(), TooLong> {
        // The BOM counts towards the first line, whether it has ended or not.
        self.failed = line + self.data.len() + self.name.len() > self.limit;
        self.check()
    }

    fn check(&self) -> Result<(), TooLong> {
        match self.failed {
            false => Ok(()),
            true => Err(TooLong { limit: self.limit }),
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    // By far the faster of the two, and nearly always right.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A buffer that serves again, unless it has become uncommonly large: thousands of streams have some each.
fn reused(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() > ROOM_KEPT {
        buffer = Vec::new();
    }
    buffer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::assembler::Assembler;

    type Found = (Vec<(String, String)>, Result<(), TooLong>);

    /// What comes of `pieces` pushed one after the other, the end of the stream included.
    fn parse(limit: usize, pieces: &[&[u8]]) -> Found {
        let mut events = Vec::new();
        let mut on = |event: Event<'_>| events.push((event.name.to_owned(), event.data.to_owned()));
        let mut parser = Parser::with_limit(limit);
        let mut result = Ok(());
        for piece in pieces {
            result = result.and(parser.push(piece, &mut on));
        }
        let result = result.and(parser.finish(&mut on));
        (events, result)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        // Endings of wire §3.1 and §3.4, and the examples of the HTML standard.
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")][..]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data: a\r\n\ndata: b\n\r\n", &[("", "a"), ("", "b")]),
            ("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]),
            (
                ": keep-alive\n\ndata: a\n: comment inside\ndata: b\n\n",
                &[("", "a\nb")],
            ),
            ("event: error\ndata: {}\n\ndata: b\n\n", &[("error", "{}"), ("", "b")]),
            ("event: error\r\ndata: a\r\ndata: b\r\n\r\n", &[("error", "a\nb")]),
            ("event: lost\n\ndata: a\n\n", &[("", "a")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            ("data\n\n", &[("", "")]),
            ("data\ndata\n\n", &[("", "\n")]),
            ("id: 7\nretry: 10\nunknown: x\ndata: a\n\n", &[("", "a")]),
            ("data: [DONE]", &[("", "[DONE]")]),
            ("data: [DONE]\n", &[("", "[DONE]")]),
            ("data: [DONE]\r", &[("", "[DONE]")]),
            ("data: a:b: c\n\n", &[("", "a:b: c")]),
            ("data: größe 世\n\n", &[("", "größe 世")]),
            ("", &[]),
            ("\n\n\r\n\r", &[]),
        ] {
            let (events, result) = parse(MAX_EVENT, &[stream.as_bytes()]);
            let events: Vec<_> = events.iter().map(|(name, data)| (&**name, &**data)).collect();
            assert_eq!((&*events, result), (expected, Ok(())), "{stream:?}");
        }
    }

    #[test]
    fn an_event_that_wants_nothing_but_its_end_is_known() {
        for (stream, pending) in [
            ("data: [DONE]", true),
            ("data:[DONE]", true),
            ("data: [DONE]\n", true),
            ("data: [DONE]\r", true),
            ("data: a\n\ndata: [DONE]\r\n", true),
            ("event: end\ndata: [DONE]\n", true),
            ("", false),
            ("data: [DONE", false),
            ("data: [DONE]\n\n", false),
            ("data: [DONE]\nd", false),
            ("data: a\ndata: [DONE]", false),
            ("data: a\ndata: [DONE]\n", false),
            ("data: [DONE] ", false),
            (": data: [DONE]", false),
        ] {
            let mut parser = Parser::new();
            parser.push(stream.as_bytes(), |_| {}).unwrap();
            assert_eq!(parser.has_pending("[DONE]"), pending, "{stream:?}");
        }
    }

    #[test]
    fn an_answer_is_the_same_wherever_its_bytes_are_cut() {
        // Split characters, a tool call in pieces, every line ending, a comment, no blank line at the end.
        let stream = concat!(
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"grö\"}}]}\r\n\r\n",
            ": ping\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ße 世\"}}]}\r\r",
            "data:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]"
        )
        .as_bytes();
        let answer = |pieces: &[&[u8]]| {
            let mut assembler = Assembler::new(1);
            let mut steps = Vec::new();
            let mut on = |event: Event<'_>| assembler.push(event.name, event.data, |step| steps.push(step));
            let mut parser = Parser::new();
            for piece in pieces {
                parser.push(piece, &mut on).unwrap();
            }
            parser.finish(&mut on).unwrap();
            (steps, assembler.finish().unwrap())
        };
        let whole = answer(&[stream]);
        assert_eq!(whole.1.text(), Some("größe 世"));
        assert_eq!(whole.1.tool_calls()[0].arguments(), "{}");
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert!(answer(&pieces) == whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        let (events, _) = parse(MAX_EVENT, &[b"data: a\xffb\n\n"]);
        assert_eq!(events, [(String::new(), "a\u{fffd}b".to_owned())]);
    }

    #[test]
    fn an_event_may_be_as_long_as_the_limit_and_no_longer() {
        for (stream, fits) in [
            ("data: 7890\n\n", true),
            ("data: 78901\n\n", false),
            ("data: 78901", false),
            ("data: 7\ndata: 8\n\n", true),
            ("data: 78\ndata: 89\n\n", false),
            (": 34567890\n\n: 34567890\n", true),
            ("data: 7890\n\ndata: 7890\n\n", true),
        ] {
            let (_, result) = parse(10, &[stream.as_bytes()]);
            assert_eq!(result.is_ok(), fits, "{stream:?}");
        }
    }

    #[test]
    fn after_a_too_long_event_nothing_more_comes() {
        let mut parser = Parser::with_limit(8);
        assert!(parser.push(b"data: 789", |_| {}).is_err());
        let none = |event: Event<'_>| panic!("{event:?}");
        assert!(parser.push(b"\n\ndata: a\n\n", none).is_err());
        assert!(parser.finish(none).is_err());
    }

    /// Streams of lines that matter, with every kind of ending, and some noise.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just(&b"data: {\"a\":\"\xc3\xa4\xe4\xb8\x96\"}"[..]),
            Just(&b"data:x"[..]),
            Just(&b"data"[..]),
            Just(&b"event: error"[..]),
            Just(&b": comment"[..]),
            Just(&b"\xef\xbb\xbfdata: b"[..]),
            Just(&b"\xff\xfe:"[..]),
            Just(&b""[..]),
            Just(&b""[..]),
        ];
        let ending = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..]), Just(&b"\r"[..]), Just(&b""[..])];
        proptest::collection::vec((line, ending), 0..8).prop_map(|lines| {
            lines
                .into_iter()
                .flat_map(|(line, ending)| [line, ending].concat())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_pair_of_cuts_gives_the_same_events(stream in streams(), limit in prop_oneof![Just(12_usize), Just(24), Just(MAX_EVENT)]) {
            let whole = parse(limit, &[&stream]);
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    prop_assert_eq!(&parse(limit, &pieces), &whole, "cut at {} and {}", first, second);
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(&parse(limit, &bytes), &whole, "byte by byte");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(50, &[&bytes]);
        }
    }
}
