//! All that is shown, and by whom: logs of every level, events, errors, reports, panics.

use std::error::Error as _;
use std::fmt::{Debug, Display, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{EndpointReport, Ledger};
use azure_openai_blaster::error::Error;

static SHOWN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Held by the test whose turn it is: what is listened to is the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// Whether the HTTP client is listened to: it dumps every byte, sixteen to a record.
static TO_ALL: AtomicBool = AtomicBool::new(true);

/// Listens to this test alone, from the beginning; to all libraries, or to ours alone.
pub(crate) fn listen(to_all: bool) -> MutexGuard<'static, ()> {
    static LISTENING: Once = Once::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    LISTENING.call_once(|| {
        log::set_logger(&Collector).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    TO_ALL.store(to_all, Ordering::Relaxed);
    take();
    turn
}

/// What was shown so far; it is forgotten.
pub(crate) fn take() -> Vec<(String, String)> {
    std::mem::take(&mut *shown())
}

pub(crate) fn shown() -> MutexGuard<'static, Vec<(String, String)>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn show(by: &str, text: impl Into<String>) {
    shown().push((by.to_owned(), text.into()));
}

/// Collects every record of every library.
struct Collector;

impl log::Log for Collector {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if !TO_ALL.load(Ordering::Relaxed) && !record.target().starts_with("azure_openai_blaster") {
            return;
        }
        show(
            &format!("log of {}", record.target()),
            format!("{} {}", record.level(), record.args()),
        );
    }

    fn flush(&self) {}
}

pub(crate) fn show_both<T: Debug + Display>(by: &str, value: &T) {
    show(by, format!("{value:?}\n{value:#?}\n{value}"));
}

pub(crate) fn show_ledger(by: &str, ledger: &Ledger) {
    show_both(by, ledger);
    show(by, serde_json::to_string(ledger).unwrap());
}

/// An error with its causes, and its ledger under a name of its own.
pub(crate) fn show_error(by: &str, error: &Error) {
    show_both(by, error);
    let mut cause = error.source();
    while let Some(error) = cause {
        show(by, format!("{error:?} {error}"));
        cause = error.source();
    }
    if let Some(ledger) = error.ledger() {
        show_ledger(&format!("the ledger of {by}"), ledger);
    }
}

/// What an error holds of the service's reply.
pub(crate) fn show_upstream(by: &str, error: &Error) {
    if let Some(upstream) = error.upstream() {
        show(by, format!("{upstream:?} {:?}", upstream.headers));
        let values: Vec<_> = upstream.headers.iter().collect();
        show(
            &format!("the upstream of {by}"),
            format!("{}\n{values:?}", upstream.text()),
        );
    }
}

pub(crate) fn show_blaster(by: &str, blaster: &Blaster) {
    let mut text = format!("{blaster:?} {:?}", blaster.models());
    for state in blaster.states() {
        let report: EndpointReport = state.report();
        write!(
            text,
            "{state:?} {report:?} {report} {}",
            serde_json::to_string(&report).unwrap()
        )
        .unwrap();
    }
    show(by, text);
}
