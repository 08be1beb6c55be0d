//! What of a request is too much, or wrong.

/// Most bytes of a request's line and headers together; a longer head is answered 431.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// Most headers of a request; more are answered 431. (Azure's own limit of ten custom headers is the model's.)
pub(crate) const MAX_HEADERS: usize = 100;

/// Why a request cannot be taken. The connection is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not HTTP/1.x, or at odds with itself.
    Malformed(&'static str),
    /// More than [`MAX_HEAD`] bytes or [`MAX_HEADERS`] headers.
    HeadTooLarge,
    /// A body longer than the server takes.
    BodyTooLarge,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
}
