//! What the journal tells of one request.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Mark;

/// One request that a simulated resource received whole, and what became of it.
///
/// Times count from the fleet's start. Keys and tokens are hidden; serialised, times are seconds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Position among all requests of the fleet, from 0; never used twice, not even after the journal was cleared.
    pub ordinal: u64,
    /// The deployment that was asked; none where the request named none that exists.
    pub deployment: Option<Arc<str>>,
    /// The connection that it came on, counted over the fleet from 0.
    pub connection: u64,
    /// Which request of its connection it was, from 0: above 0 the connection was used again.
    pub on_connection: u64,
    /// HTTP method.
    pub method: String,
    /// Path as received.
    pub path: String,
    /// Query as received, without the question mark; empty where there was none. Values of keys are hidden.
    pub query: String,
    /// Headers as received, names in lower case. Values of keys, tokens and cookies are hidden.
    pub headers: Vec<(String, String)>,
    /// What tells this request from others.
    pub mark: Mark,
    /// Length of the body, in bytes.
    pub body_bytes: usize,
    /// The beginning of the body, where [`FleetSettings::keep_body`](crate::sim::FleetSettings::keep_body) asks for it; empty otherwise.
    pub body: String,
    /// When the last byte of the request was there.
    #[serde(serialize_with = "seconds")]
    pub received: Duration,
    /// When the head of the reply went out.
    #[serde(serialize_with = "maybe_seconds")]
    pub answered: Option<Duration>,
    /// When the exchange was over, whichever way.
    #[serde(serialize_with = "maybe_seconds")]
    pub ended: Option<Duration>,
    /// When the connection was closed, by either side; noted on the last request of a connection only.
    #[serde(serialize_with = "maybe_seconds")]
    pub closed: Option<Duration>,
    /// HTTP status, once answered.
    pub status: Option<u16>,
    /// How the exchange ended.
    pub end: End,
    /// The fault that was played, by its name in the configuration; `dead` for a deployment that was killed.
    pub fault: Option<&'static str>,
    /// Tokens that the model charged on admission.
    pub charged: u64,
}

impl JournalEntry {
    /// The text after `id:` in the body; none if there is no such thing.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.mark {
            Mark::Id(id) => Some(id),
            Mark::Hash(_) => None,
        }
    }

    /// Whether the client closed the connection before its reply was complete.
    #[must_use]
    pub fn client_left(&self) -> bool {
        self.end == End::ClientLeft
    }

    /// The value of the first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// Not yet: the reply is being waited for, is under way, hangs or stalls.
    Open,
    /// The whole reply went out.
    Complete,
    /// The client closed the connection first.
    ClientLeft,
    /// The server reset the connection, as the plan asked.
    Reset,
    /// The server closed the connection before the body was complete, as the plan asked.
    Cut,
    /// The server sent what is no HTTP and closed the connection, as the plan asked.
    Garbage,
    /// The deployment was killed or the fleet was stopped meanwhile.
    Killed,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}
