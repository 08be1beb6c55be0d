//! The seam between the simulator's model (pure) and its server (sockets): what came in, and what is to go out when.

use std::borrow::Cow;
use std::time::Duration;

/// A request as the model sees it.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)] // whoever asks a `World` makes it
pub struct Ask<'a> {
    /// Which resource (port) was asked: its position in the world.
    pub resource: usize,
    /// HTTP method.
    pub method: &'a str,
    /// Path as received, percent-encoding kept.
    pub path: &'a str,
    /// Query as received, without the question mark; empty where there is none.
    pub query: &'a str,
    /// Every header as received, names in lower case.
    pub headers: &'a [(String, String)],
    /// The whole body.
    pub body: &'a [u8],
    /// When the request was received whole, since the fleet's start.
    pub now: Duration,
}

/// What the server is to do about a request. All times count from the moment the request was received whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// When the head goes out.
    pub head_at: Duration,
    /// HTTP status.
    pub status: u16,
    /// Headers; the server adds `date`, `content-length` or `transfer-encoding`, and `connection: close` where it closes.
    pub headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The body's pieces, in order. One piece without delay is sent with `content-length`, anything else chunked.
    pub body: Vec<Piece>,
    /// How the exchange ends.
    pub ending: Ending,
    /// Position of the deployment that was asked, for counters and journal; none where the path names none.
    pub deployment: Option<usize>,
    /// What the model charged and for what reason it answered so, for the journal.
    pub note: Note,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Piece {
    /// When it goes out.
    pub at: Duration,
    /// The bytes.
    pub bytes: Cow<'static, [u8]>,
}

/// How an exchange ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// As HTTP would have it; the connection stays open.
    #[default]
    Clean,
    /// The head is never sent and the connection stays silent until the client leaves (or the fleet ends).
    Hang,
    /// After all pieces nothing more comes, and the connection stays open until the client leaves.
    Stall,
    /// The connection is reset (RST) instead of a head, or after the pieces.
    Reset,
    /// The connection is closed (FIN) after the pieces although the body is not complete: with a
    /// `content-length` larger than what was sent, or without the last chunk.
    Cut,
    /// The pieces are written as they are, without an HTTP head (garbage), then the connection is closed.
    Raw,
}

/// Why the model answered as it did.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// Tokens charged against the quota on admission.
    pub charged: u64,
    /// The fault that was played, if any, by its name in the configuration.
    pub fault: Option<&'static str>,
    /// Identifies this request to the model when it is told that the reply is out (`finished`); 0: it need not be told.
    pub ticket: u64,
}
