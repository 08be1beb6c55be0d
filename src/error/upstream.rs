//! What the service said.

use std::fmt;

use crate::api::Headers;

/// A reply as it was received, but for the secrets that its call carried (key, token, a proxy's password, secret
/// headers): where the service repeats one, `(hidden)` stands in its place.
#[derive(Clone)]
#[non_exhaustive]
pub struct Upstream {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Headers,
    /// The body, at most its first 64 KiB; of a stream the event that ended it. Of a job that ended while it waited again,
    /// because its time was over or it was cancelled, the first 2 KiB, and the first headers to as much.
    pub body: Vec<u8>,
}

/// Most bytes of a body, and of headers, that a waiting job keeps.
const BRIEF: usize = 2 * 1024;

impl Upstream {
    pub(crate) fn new(status: u16, headers: Headers, body: Vec<u8>) -> Self {
        Upstream { status, headers, body }
    }

    /// What is kept of it while its job waits, which many may do.
    pub(crate) fn brief(&self) -> Self {
        Upstream {
            status: self.status,
            headers: self.headers.first(BRIEF),
            body: self.body[..self.body.len().min(BRIEF)].to_vec(),
        }
    }

    /// The body as text, bad UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl fmt::Debug for Upstream {
    /// Without the body's text: it may be an answer, or repeat a prompt, and errors are logged in this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &format_args!("({} bytes)", self.body.len()))
            .finish()
    }
}
