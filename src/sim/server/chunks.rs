//! Puts a request body together that comes in chunks (RFC 9112 §7.1). Pure; its tests are those of [`super::request`].

use super::refusal::{MAX_HEAD, Refusal};

/// A chunked body being put together.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) body: Vec<u8>,
    expected: Expected,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, Default)]
enum Expected {
    #[default]
    Size,
    /// This many bytes of the current chunk.
    Data(usize),
    /// The line end after a chunk's data.
    LineEnd,
    /// Trailer fields, which are dropped, up to an empty line; this many bytes of them came already.
    Trailers(usize),
}

impl Chunks {
    /// Takes what it can of `input`; says how much that was and whether the body is complete.
    pub(super) fn feed(&mut self, input: &[u8], max_body: usize) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.expected {
                Expected::Size => match httparse::parse_chunk_size(rest) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        used += length;
                        let size = usize::try_from(size).unwrap_or(usize::MAX);
                        if size > max_body - self.body.len() {
                            return Err(Refusal::BodyTooLarge);
                        }
                        self.expected = match size {
                            0 => Expected::Trailers(0),
                            _ => Expected::Data(size),
                        };
                    }
                    Ok(httparse::Status::Partial) if rest.len() <= MAX_HEAD => return Ok((used, false)),
                    _ => return Err(Refusal::Malformed("invalid chunk size")),
                },
                Expected::Data(size) => {
                    let taken = size.min(rest.len());
                    self.body.extend_from_slice(&rest[..taken]);
                    used += taken;
                    if taken < size {
                        self.expected = Expected::Data(size - taken);
                        return Ok((used, false));
                    }
                    self.expected = Expected::LineEnd;
                }
                Expected::LineEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.expected = Expected::Size;
                    }
                    [] | [b'\r'] => return Ok((used, false)),
                    _ => return Err(Refusal::Malformed("no line end after a chunk")),
                },
                Expected::Trailers(earlier) => {
                    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                        return match rest.len() + earlier {
                            0..=MAX_HEAD => Ok((used, false)),
                            _ => Err(Refusal::HeadTooLarge),
                        };
                    };
                    used += end + 1;
                    if matches!(&rest[..end], b"" | b"\r") {
                        return Ok((used, true));
                    }
                    self.expected = Expected::Trailers(earlier + end + 1);
                    if earlier + end >= MAX_HEAD {
                        return Err(Refusal::HeadTooLarge);
                    }
                }
            }
        }
    }
}
