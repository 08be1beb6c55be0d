//! What the engine learns from its transport, beside the reply: whether a request was written, and of new connections.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use crate::Blaster;
use crate::api::{Headers, Operation, Priority, RawRequest};
use crate::engine::actions::Assignment;
use crate::engine::attempt::{self, Buffers};
use crate::engine::scenario::Bench;
use crate::error::fault::{Fault, FaultKind, Phase};
use crate::transport::{Body, Call, Observer, Reply, Transport};

fn good() -> Reply {
    Reply {
        status: 200,
        headers: Headers::new(),
        body: Body::new(&b"{}"[..]),
    }
}

/// Answers with these faults, one after another, and then well.
struct Faults {
    faults: Mutex<VecDeque<Fault>>,
    /// The number and freshness of each call.
    calls: Arc<Mutex<Vec<(u64, bool)>>>,
}

impl Transport for Faults {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        self.calls.lock().push((call.number, call.fresh));
        self.faults.lock().pop_front().map_or_else(|| Ok(good()), Err)
    }
}

/// Runs the second attempt at an endpoint, which meets these faults. Returns whether anything of it was written.
fn written(faults: &[(FaultKind, Phase)]) -> bool {
    let mut bench = Bench::new(1, 1);
    bench.submit(Priority::Normal);
    bench.answer_next();
    bench.submit(Priority::Normal);
    let Assignment { mut job, mut lease, .. } = bench.next();
    let faults = faults
        .iter()
        .map(|(kind, phase)| Fault::new(*kind, *phase, "on purpose"));
    let calls = Arc::default();
    let transport = Faults {
        faults: Mutex::new(faults.collect()),
        calls: Arc::clone(&calls),
    };
    let shared = bench.share(transport);
    attempt::run(&shared, &mut job, &mut lease, None, &mut Buffers::default());
    let calls = calls.lock();
    let fresh: Vec<bool> = calls.iter().map(|(_, fresh)| *fresh).collect();
    assert_eq!(fresh, [false, true][..calls.len()]);
    assert!(calls.iter().all(|(number, _)| *number == lease.ticket()), "{calls:?}");
    assert_ne!(lease.ticket(), 0, "a transport that is told nothing would say that");
    lease.is_written()
}

#[test]
fn whether_a_request_was_written_is_what_its_last_try_says() {
    let check = |faults: &[(FaultKind, Phase)], expected| assert_eq!(written(faults), expected, "{faults:?}");
    check(&[], true);
    check(&[(FaultKind::Refused, Phase::NotWritten)], false);
    check(&[(FaultKind::Cancelled, Phase::NotWritten)], false);
    check(&[(FaultKind::Cancelled, Phase::Written)], true);
    check(&[(FaultKind::Closed, Phase::HeadReceived)], true);
    for stale in [Phase::NotWritten, Phase::Written] {
        let stale = (FaultKind::Stale, stale);
        check(&[stale], true);
        check(&[stale, (FaultKind::Refused, Phase::NotWritten)], false);
        check(&[stale, (FaultKind::Closed, Phase::Written)], true);
    }
}

/// The observer, where a test finds it.
type Kept = Arc<OnceLock<Arc<dyn Observer>>>;

/// A transport of the user's that keeps its observer, and tells it of endpoints that there are and that there are not.
struct Talkative {
    observer: Kept,
    /// Dropped with the transport.
    _alive: mpsc::Sender<()>,
}

impl Transport for Talkative {
    fn send(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let observer = self.observer.get().expect("known before the first call");
        for endpoint in [call.endpoint, 1, usize::MAX] {
            observer.connecting(endpoint, call.number);
            observer.connected(endpoint, call.number, Duration::from_millis(1));
        }
        Ok(good())
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        assert!(self.observer.set(observer).is_ok(), "told once");
    }
}

fn talkative() -> (Blaster, Kept, mpsc::Receiver<()>) {
    let (alive, gone) = mpsc::channel();
    let observer = Arc::new(OnceLock::new());
    let transport = Talkative {
        observer: Arc::clone(&observer),
        _alive: alive,
    };
    let blaster = Blaster::builder().transport(transport).workers(2).build().unwrap();
    (blaster, observer, gone)
}

#[test]
fn a_transport_may_tell_of_any_endpoint_while_it_sends() {
    let (blaster, _observer, _gone) = talkative();
    for _ in 0..3 {
        let request = RawRequest::post(Operation::ChatCompletions, "{}");
        assert!(blaster.submit_raw(request).unwrap().wait().is_ok());
    }
}

#[test]
fn an_observer_that_is_kept_keeps_no_blaster() {
    let (blaster, observer, gone) = talkative();
    let weak = Arc::downgrade(blaster.shared());
    drop(blaster);
    let patience = Duration::from_secs(60);
    assert_eq!(gone.recv_timeout(patience), Err(mpsc::RecvTimeoutError::Disconnected));
    assert!(Weak::upgrade(&weak).is_none());
    // Nobody is there to hear it.
    observer.get().unwrap().connecting(0, 0);
}
