//! Who was asked what, when, and how it was answered: a bounded list of exchanges, and counters that never forget.
//!
//! One lock holds both, so that a condition over them sees one moment; it is held for a note, never for a wait.
//! An exchange is noted as ended just before its last bytes go out, so a client that has its reply finds it here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Serialize, Serializer};

use super::plan::Note;
use super::server::request::Request;

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
    /// The beginning of the body, where [`FleetSettings::keep_body`](super::FleetSettings::keep_body) asks for it; empty otherwise.
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

/// What tells a request from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The letters, digits, `-` and `_` that follow the first `id:` of the body: put one into a prompt to find it again.
    Id(String),
    /// A hash of the body, for bodies without `id:`; the same for the same body within one process.
    Hash(u64),
}

impl Mark {
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut from = 0;
        while let Some(colon) = body[from..].iter().position(|&byte| byte == b':').map(|at| from + at) {
            from = colon + 1;
            // `valid: ` and `"id": ` are no marks: a mark stands alone and its text follows at once.
            let stands_alone = matches!(body[..colon], [b'i', b'd'])
                || matches!(body[..colon], [.., before, b'i', b'd'] if !before.is_ascii_alphanumeric());
            if !stands_alone {
                continue;
            }
            let id: String = body[from..]
                .iter()
                .map_while(|&byte| {
                    (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).then_some(char::from(byte))
                })
                .take(MAX_ID)
                .collect();
            if !id.is_empty() {
                return Mark::Id(id);
            }
        }
        // FNV-1a: short, and the same everywhere.
        Mark::Hash(body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// Longest mark that is read from a body, in bytes.
const MAX_ID: usize = 64;

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

/// Totals of one deployment since the fleet's start; clearing the journal does not touch them.
///
/// `requests = in_flight + completed + client_left + broken`, at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Requests received whole.
    pub requests: u64,
    /// Requests whose exchange is not over.
    pub in_flight: u64,
    /// The most that was in flight at once.
    pub most_in_flight: u64,
    /// Replies that went out whole, of any status.
    pub completed: u64,
    /// Exchanges that the client left before the reply was complete.
    pub client_left: u64,
    /// Exchanges that the server broke off: reset, cut, garbage, killed.
    pub broken: u64,
    /// Replies with a status of 200 to 399 whose head went out.
    pub succeeded: u64,
    /// Replies with status 429.
    pub throttled: u64,
    /// Replies with another status of 400 to 499.
    pub client_errors: u64,
    /// Replies with a status of 500 and above.
    pub server_errors: u64,
    /// Exchanges in which a fault was played.
    pub faults: u64,
    /// Tokens charged on admission.
    pub charged: u64,
}

impl Counters {
    /// The counter that an exchange in this state is part of.
    fn of(&mut self, end: End) -> &mut u64 {
        match end {
            End::Open => &mut self.in_flight,
            End::Complete => &mut self.completed,
            End::ClientLeft => &mut self.client_left,
            End::Reset | End::Cut | End::Garbage | End::Killed => &mut self.broken,
        }
    }

    fn answered(&mut self, status: u16) {
        *match status {
            429 => &mut self.throttled,
            400..=499 => &mut self.client_errors,
            500.. => &mut self.server_errors,
            _ => &mut self.succeeded,
        } += 1;
    }
}

/// Totals of the whole fleet since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests received whole, those that named no deployment included.
    pub requests: u64,
    /// Requests refused for their form (400, 413, 431, 501) before any deployment saw them; not among `requests`.
    pub refused: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// The most connections that were open at once.
    pub most_connections_open: u64,
    /// Journal entries that were dropped because the journal was full.
    pub forgotten: u64,
}

/// The journal and the counters at one moment, for [`SimFleet::wait_for`](super::SimFleet::wait_for).
#[derive(Clone, Copy, Debug)]
pub struct JournalView<'a> {
    names: &'a [Arc<str>],
    state: &'a State,
}

impl<'a> JournalView<'a> {
    /// The entries, in the order in which the requests were received.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &'a JournalEntry> + use<'a> {
        self.state.entries.values()
    }

    /// The counters of the deployment of this name; none if there is no such deployment.
    #[must_use]
    pub fn counters(&self, name: &str) -> Option<Counters> {
        let position = self.names.iter().position(|known| &**known == name)?;
        self.state.counters.get(position).copied()
    }

    /// The totals of the fleet.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state.totals
    }
}

/// The journal of a fleet, written by its connections.
#[derive(Debug)]
pub(crate) struct Journal {
    names: Vec<Arc<str>>,
    capacity: usize,
    keep_body: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<u64, JournalEntry>,
    next: u64,
    /// One for each deployment, and a last one for requests that named none.
    counters: Vec<Counters>,
    totals: Totals,
}

/// Where and when a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) connection: u64,
    pub(crate) on_connection: u64,
    pub(crate) received: Duration,
}

/// An exchange that is being journalled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    ordinal: u64,
    counters: usize,
    end: End,
}

impl Line {
    pub(crate) fn end(&self) -> End {
        self.end
    }
}

impl Journal {
    /// An empty journal of at most `capacity` entries that keep `keep_body` bytes of each request's body.
    pub(crate) fn new(names: Vec<Arc<str>>, capacity: usize, keep_body: usize) -> Self {
        let counters = vec![Counters::default(); names.len() + 1];
        Journal {
            names,
            capacity,
            keep_body,
            state: Mutex::new(State {
                counters,
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    /// Notes a request that was received whole, and why the model answers as it does.
    pub(crate) fn begin(&self, request: Request, origin: Origin, deployment: Option<usize>, note: &Note) -> Line {
        let Request { head, body } = request;
        // Built before the lock is taken; the ordinal is the only thing that needs it.
        let mut entry = JournalEntry {
            ordinal: 0,
            deployment: deployment.and_then(|position| self.names.get(position).cloned()),
            connection: origin.connection,
            on_connection: origin.on_connection,
            method: head.method,
            path: head.path,
            query: without_secrets(head.query),
            headers: head.headers.into_iter().map(hide).collect(),
            mark: Mark::of(&body),
            body_bytes: body.len(),
            body: String::from_utf8_lossy(&body[..self.keep_body.min(body.len())]).into_owned(),
            received: origin.received,
            answered: None,
            ended: None,
            closed: None,
            status: None,
            end: End::Open,
            fault: note.fault,
            charged: note.charged,
        };
        let slot = deployment.unwrap_or(usize::MAX).min(self.names.len());
        let mut state = self.state.lock();
        let ordinal = state.next;
        entry.ordinal = ordinal;
        state.next += 1;
        state.totals.requests += 1;
        if let Some(counters) = state.counters.get_mut(slot) {
            counters.requests += 1;
            counters.in_flight += 1;
            counters.most_in_flight = counters.most_in_flight.max(counters.in_flight);
            counters.faults += u64::from(note.fault.is_some());
            counters.charged += note.charged;
        }
        if self.capacity > 0 {
            state.entries.insert(ordinal, entry);
        }
        if state.entries.len() > self.capacity {
            state.entries.pop_first();
            state.totals.forgotten += 1;
        }
        self.noted(state);
        Line {
            ordinal,
            counters: slot,
            end: End::Open,
        }
    }

    /// Notes that the head of the reply goes out.
    pub(crate) fn answered(&self, line: &Line, status: u16, now: Duration) {
        let mut state = self.state.lock();
        if let Some(counters) = state.counters.get_mut(line.counters) {
            counters.answered(status);
        }
        if let Some(entry) = state.entries.get_mut(&line.ordinal) {
            entry.answered = Some(now);
            entry.status = Some(status);
        }
        self.noted(state);
    }

    /// Notes how the exchange ended; a later word on the same exchange corrects the earlier one.
    pub(crate) fn ended(&self, line: &mut Line, end: End, now: Duration) {
        let mut state = self.state.lock();
        if let Some(counters) = state.counters.get_mut(line.counters) {
            *counters.of(line.end) -= 1;
            *counters.of(end) += 1;
        }
        line.end = end;
        if let Some(entry) = state.entries.get_mut(&line.ordinal) {
            entry.ended = Some(now);
            entry.end = end;
        }
        self.noted(state);
    }

    /// Notes a request that was refused for its form.
    pub(crate) fn refused(&self) {
        let mut state = self.state.lock();
        state.totals.refused += 1;
        self.noted(state);
    }

    /// Notes an accepted connection and gives it its number.
    pub(crate) fn connected(&self) -> u64 {
        let mut state = self.state.lock();
        let totals = &mut state.totals;
        let number = totals.connections;
        totals.connections += 1;
        totals.connections_open += 1;
        totals.most_connections_open = totals.most_connections_open.max(totals.connections_open);
        self.noted(state);
        number
    }

    /// Notes that a connection was closed, whose last exchange was `line`.
    pub(crate) fn disconnected(&self, line: Option<&Line>, now: Duration) {
        let mut state = self.state.lock();
        state.totals.connections_open -= 1;
        if let Some(entry) = line.and_then(|line| state.entries.get_mut(&line.ordinal)) {
            entry.closed = Some(now);
        }
        self.noted(state);
    }

    /// A copy of all entries.
    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.state.lock().entries.values().cloned().collect()
    }

    /// Removes the entries of exchanges that are over, and returns them.
    pub(crate) fn take_ended(&self) -> Vec<JournalEntry> {
        let mut state = self.state.lock();
        let (open, ended) = std::mem::take(&mut state.entries)
            .into_iter()
            .partition(|(_, entry)| entry.end == End::Open);
        state.entries = open;
        drop(state);
        let ended: BTreeMap<u64, JournalEntry> = ended;
        ended.into_values().collect()
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        self.state.lock().entries.clear();
    }

    /// Calls `look` with the present state.
    pub(crate) fn view<T>(&self, look: impl FnOnce(JournalView<'_>) -> T) -> T {
        let state = self.state.lock();
        look(JournalView {
            names: &self.names,
            state: &state,
        })
    }

    /// Waits until `condition` holds, looking again after every note; false if `deadline` came first.
    pub(crate) fn wait_until(&self, deadline: Instant, mut condition: impl FnMut(JournalView<'_>) -> bool) -> bool {
        let mut state = self.state.lock();
        loop {
            if condition(JournalView {
                names: &self.names,
                state: &state,
            }) {
                return true;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return condition(JournalView {
                    names: &self.names,
                    state: &state,
                });
            }
        }
    }

    fn noted(&self, state: parking_lot::MutexGuard<'_, State>) {
        drop(state);
        self.changed.notify_all();
    }
}

/// Whether a header or query field of this name (in lower case) may hold a secret.
fn is_secret(name: &str) -> bool {
    ["key", "auth", "token", "cookie", "secret", "sig", "password"]
        .iter()
        .any(|word| name.contains(word))
}

const HIDDEN: &str = "(hidden)";

fn hide((name, value): (String, String)) -> (String, String) {
    let shown = if is_secret(&name) { HIDDEN.to_owned() } else { value };
    (name, shown)
}

fn without_secrets(query: String) -> String {
    if !is_secret(&query.to_ascii_lowercase()) {
        return query;
    }
    let fields = query.split('&').map(|field| match field.split_once('=') {
        Some((name, _)) if is_secret(&name.to_ascii_lowercase()) => format!("{name}={HIDDEN}"),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("&")
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn journal(capacity: usize) -> Journal {
        Journal::new(vec!["east".into(), "west".into()], capacity, 8)
    }

    fn begin(journal: &Journal, deployment: Option<usize>, body: &str) -> Line {
        let mut head = crate::sim::server::request::tests::head("POST");
        head.query = "api-version=1&subscription-key=canary".to_owned();
        head.headers = vec![
            ("api-key".to_owned(), "canary".to_owned()),
            ("authorization".to_owned(), "Bearer canary".to_owned()),
            ("accept".to_owned(), "text/plain".to_owned()),
        ];
        let request = Request {
            head,
            body: body.as_bytes().to_vec(),
        };
        let origin = Origin {
            connection: 0,
            on_connection: 0,
            received: SECOND,
        };
        journal.begin(request, origin, deployment, &Note::default())
    }

    #[test]
    fn a_mark_is_the_id_of_the_body_or_else_its_hash() {
        let rows = [
            ("id:7", Some("7")),
            (r#"{"content":"id:job-12_b, please"}"#, Some("job-12_b")),
            (r#"{"id":"x","content":"valid:5 id: id:9"}"#, Some("9")),
            (r#"{"id":"x"}"#, None),
            ("", None),
        ];
        for (body, expected) in rows {
            let mark = Mark::of(body.as_bytes());
            assert_eq!(mark, Mark::of(body.as_bytes()), "the same each time");
            match expected {
                Some(id) => assert_eq!(mark, Mark::Id(id.to_owned()), "{body}"),
                None => assert!(matches!(mark, Mark::Hash(_)), "{body}"),
            }
        }
        assert_ne!(Mark::of(b"a"), Mark::of(b"b"));
    }

    #[test]
    fn secrets_never_enter_an_entry() {
        let journal = journal(10);
        begin(&journal, Some(0), "hello, world");
        let entry = &journal.entries()[0];
        let shown = format!("{entry:?} {}", serde_json::to_string(entry).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(entry.header("accept"), Some("text/plain"));
        assert_eq!(entry.query, "api-version=1&subscription-key=(hidden)");
        assert_eq!(entry.body, "hello, w", "as much as the setting says");
    }

    #[test]
    fn a_full_journal_forgets_the_oldest_entry_but_counts_on() {
        let journal = journal(2);
        let mut lines: Vec<Line> = (0..3).map(|n| begin(&journal, Some(1), &format!("id:{n}"))).collect();
        for line in &mut lines {
            journal.answered(line, 200, SECOND);
            journal.ended(line, End::Complete, SECOND);
        }
        let ids: Vec<_> = journal.entries().iter().map(|entry| entry.ordinal).collect();
        assert_eq!(ids, [1, 2]);
        let (counters, totals) = journal.view(|view| (view.counters("west").unwrap(), view.totals()));
        assert_eq!((counters.requests, counters.completed, counters.succeeded), (3, 3, 3));
        assert_eq!((counters.in_flight, counters.most_in_flight), (0, 3));
        assert_eq!((totals.requests, totals.forgotten), (3, 1));
    }

    #[test]
    fn a_later_word_on_how_an_exchange_ended_moves_it_between_counters() {
        let journal = journal(10);
        let mut line = begin(&journal, Some(0), "");
        journal.ended(&mut line, End::Complete, SECOND);
        journal.ended(&mut line, End::ClientLeft, 2 * SECOND);
        let counters = journal.view(|view| view.counters("east").unwrap());
        assert_eq!((counters.requests, counters.completed, counters.client_left), (1, 0, 1));
        assert_eq!(journal.entries()[0].ended, Some(2 * SECOND));
    }

    #[test]
    fn taking_what_ended_leaves_what_is_open_and_the_counters() {
        let journal = journal(10);
        let mut first = begin(&journal, None, "id:a");
        let mut second = begin(&journal, Some(0), "id:b");
        journal.ended(&mut second, End::Cut, SECOND);
        assert_eq!(journal.take_ended()[0].id(), Some("b"));
        assert_eq!(journal.take_ended().len(), 0);
        journal.ended(&mut first, End::Reset, SECOND);
        assert_eq!(journal.take_ended()[0].id(), Some("a"));
        assert_eq!(journal.view(|view| view.totals().requests), 2);
        journal.clear();
        let third = begin(&journal, None, "");
        assert_eq!(third.ordinal, 2, "ordinals are not used twice");
    }

    #[test]
    fn a_waiter_wakes_when_its_condition_comes_true_and_gives_up_at_its_deadline() {
        let journal = Arc::new(journal(10));
        let waiter = {
            let journal = Arc::clone(&journal);
            std::thread::spawn(move || {
                journal.wait_until(crate::clock::now() + 30 * SECOND, |view| view.totals().requests == 2)
            })
        };
        begin(&journal, None, "");
        begin(&journal, None, "");
        assert!(waiter.join().unwrap());
        assert!(!journal.wait_until(crate::clock::now(), |view| view.totals().requests == 3));
    }
}
