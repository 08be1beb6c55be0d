//! Who is told of new connections.

use std::time::Duration;

/// Is told which calls have to make a connection before their request can leave, and when it stands.
///
/// A service that is silent about a request has taken it, or has not seen it yet. For a request on an open connection
/// the silence means the first; while the connection is being made it means nothing.
///
/// Both are called by the thread that sends, while it is in [`Transport::send`](super::Transport::send), and with no
/// lock held. They return at once. A call on a pooled connection tells nothing.
pub trait Observer: Send + Sync {
    /// The call `call` to the endpoint at position `endpoint` begins to make a connection: name, TCP, proxy, TLS.
    ///
    /// Told once per connection, through a proxy too. A replacement of a stale connection bears the same number as the
    /// call that found it stale.
    fn connecting(&self, endpoint: usize, call: u64);

    /// The connection of that call stands, `took` after it was begun, and the request goes out now. Not told where
    /// connecting failed or was broken off: the end of the call says that.
    fn connected(&self, endpoint: usize, call: u64, took: Duration);
}
