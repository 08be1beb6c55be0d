//! Who was asked what, when, and how it was answered: a bounded list of exchanges, and counters that never forget.
//!
//! One lock holds both, so that a condition over them sees one moment; it is held for a note, never for a wait.
//! An exchange is noted as ended just before its last bytes go out, so a client that has its reply finds it here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::plan::Note;
use super::server::request::Request;
use secrets::{hide, without_secrets};

pub use counters::{Counters, Totals};
pub use entry::{End, JournalEntry};
pub use mark::Mark;

mod counters;
mod entry;
mod mark;
mod secrets;

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
