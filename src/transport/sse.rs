//! Server-sent events, pushed in as bytes and handed out as events.
//!
//! The grammar is that of the HTML standard, section "Server-sent events", with two differences that the wire
//! asks for: an event that lacks its last blank line still counts when the stream ends, and `id` and `retry`
//! are ignored, for nobody reconnects.

use std::borrow::Cow;

/// Longest event, in bytes: its lines, or a line that has not ended yet. The largest real ones are the last events of a
/// Responses stream, which repeat the whole response, images included.
pub const MAX_EVENT: usize = 32 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// Its data, lines joined by a line feed. What is no UTF-8 has been replaced.
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

    fn with_limit(limit: usize) -> Self {
        Parser {
            line: Vec::new(),
            data: Vec::new(),
            name: Vec::new(),
            after_cr: false,
            at_start: true,
            limit,
            failed: false,
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
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
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
                whole.clear();
                self.line = whole; // its memory serves the next one
            }
        }
        Ok(())
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
                data: &text(data),
            });
        }
        self.data.clear();
        self.name.clear();
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
    String::from_utf8_lossy(bytes)
}
