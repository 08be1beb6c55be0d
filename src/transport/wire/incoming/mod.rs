//! Replies as services send them, in the form that the HTTP client takes.
//!
//! | what comes                                           | the client's parser        | what it is given                       |
//! |------------------------------------------------------|----------------------------|----------------------------------------|
//! | a head of more than its buffer, or than 128 headers   | fails                      | a head of what it goes by; the call keeps all |
//! | `100 Continue` with headers, any other 1xx            | fails, or waits            | nothing                                |
//! | `Content-Encoding: GZIP`, `x-gzip`                    | takes it for the content   | `gzip`                                 |
//! | a chunk's size with extensions, zeros or blanks       | takes 20 characters        | the digits                             |
//!
//! What is no HTTP passes as it is: the client knows best what to say of it. So does 101, after which it is not spoken.
//!
//! Nothing here is longer than what it replaces, so it is written over it.
//!
//! [`head`] reads heads, [`chunks`] the lines between the bytes of a body.

use ureq::http::HeaderMap;

use chunks::Chunks;
#[cfg(feature = "entra")]
pub(super) use head::CLIENT_HEADERS;
use head::{Framing, Head};

mod chunks;
mod head;
#[cfg(test)]
mod tests;

/// Most bytes of a reply's heads together: of what is said before, and of its own.
pub(super) const MOST_HEAD: usize = 64 * 1024;

/// A reply on its way.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    at: Stage,
    /// 0 where it is no HTTP.
    status: u16,
}

/// How far a reply has come.
#[derive(Debug)]
enum Stage {
    /// So many bytes of provisional heads have come, and not all of the head.
    Head(usize),
    Chunks(Chunks),
    /// So many bytes are to come of a body.
    Body(u64),
    /// Where it ends is not known, or not for certain.
    Open,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Head(0)
    }
}

/// What became of bytes.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// So many bytes at the start are dropped.
    pub(super) skipped: usize,
    /// So many bytes behind them are for the client.
    pub(super) ready: usize,
    /// So many bytes behind those are of no use any more; the rest waits for more.
    pub(super) dropped: usize,
    /// So many bytes at the end, which the client is given too, come behind the reply.
    pub(super) surplus: usize,
    /// All headers, where the client is not given them.
    pub(super) headers: Option<HeaderMap>,
}

impl Incoming {
    pub(super) fn is_head(&self) -> bool {
        matches!(self.at, Stage::Head(_))
    }

    /// Its status, once its head has come; 0 where it is no HTTP.
    pub(super) fn status(&self) -> Option<u16> {
        (!self.is_head()).then_some(self.status)
    }

    /// Whether the reply has come to its end, as its head tells it beyond doubt.
    pub(super) fn is_whole(&self) -> bool {
        match &self.at {
            Stage::Body(left) => *left == 0,
            Stage::Chunks(chunks) => chunks.is_whole(),
            Stage::Head(_) | Stage::Open => false,
        }
    }

    /// Takes the next bytes of a reply, with those that were left waiting.
    ///
    /// # Errors
    /// Where its head is larger than is taken, in words.
    #[inline(never)] // room for headers that a worker which waits need not keep
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<Given, String> {
        let mut given = Given::default();
        while let Stage::Head(before) = &mut self.at {
            let raw = &mut bytes[given.skipped..];
            let Some(head) = Head::read(raw)? else {
                match *before + raw.len() >= MOST_HEAD {
                    true => return Err(format!("the reply's head is larger than {MOST_HEAD} bytes")),
                    false => return Ok(given),
                }
            };
            if head.is_provisional {
                *before += head.length;
                given.skipped += head.length;
                if *before > MOST_HEAD {
                    return Err(format!(
                        "the reply has provisional heads of more than {MOST_HEAD} bytes"
                    ));
                }
                continue;
            }
            self.status = head.status;
            self.at = match head.framing {
                Framing::Chunked => Stage::Chunks(Chunks::default()),
                Framing::Length(length) => Stage::Body(length),
                Framing::Open => Stage::Open,
            };
            let mut ready = head.length;
            if let Some((short, headers)) = head.shortened {
                let start = head.length - short.len();
                raw[start..head.length].copy_from_slice(&short);
                given.skipped += start;
                ready = short.len();
                given.headers = Some(headers);
            }
            given.ready = ready;
        }
        let body = &mut bytes[given.skipped + given.ready..];
        let length = body.len();
        let ready = match &mut self.at {
            Stage::Chunks(chunks) => {
                let (ready, surplus) = chunks.pass(body);
                given.surplus = surplus;
                ready
            }
            Stage::Body(left) => {
                let due = usize::try_from(*left).map_or(length, |left| left.min(length));
                *left -= due as u64;
                given.surplus = length - due;
                length
            }
            Stage::Head(_) | Stage::Open => length,
        };
        given.ready += ready;
        given.dropped = length - ready;
        Ok(given)
    }
}
