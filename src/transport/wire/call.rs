//! One call in progress: how far it has come, when it must stop, and how it is broken off.
//!
//! The HTTP client is asked from the outside (`send`) and calls back into our connector and sockets on the same
//! thread, with no parameter of ours. So `send` makes its call the thread's [`current`] one; a socket takes it from
//! there when it is connected or leaves the pool, and keeps it until it goes back.
//!
//! | stage      | begins                        | waits until                              | running out is |
//! |------------|-------------------------------|------------------------------------------|----------------|
//! | Sending    | at once on a pooled socket    | `first_byte` per write                   | `FirstByte`    |
//! | Connecting | the connector is entered      | `connect` after that, name and TLS in it | `Connect`      |
//! | Sending    | the connector is left         | as above                                 |                |
//! | Waiting    | the first read                | `first_byte` after that                  | `FirstByte`    |
//! | Receiving  | the first byte of the reply   | `idle` per silence                       | `Idle`         |
//! | Refused    | the head of a refusal         | the same, and `REFUSAL_TIME` in all      | `Idle`         |
//! | Preamble   | the head of a good reply      | `first_content` after the first read     | `FirstByte`    |
//! | Receiving  | the answer's first content    | `idle` per silence                       | `Idle`         |
//! | Finished   | the last choice's end         | the same, at most `FINISHED_TIME`        | `Idle`         |
//! | Ending     | the answer's last byte        | `END_TIME` in all                        | `Idle`         |
//!
//! Whatever the stage, the attempt's deadline is an end, so a drip of bytes cannot stretch it (`Attempt`).
//!
//! These are ends of waiting. What has come while nobody looked, because the process was stopped or the machine slept, is
//! read all the same: a limit that is found to have passed leaves [`GRACE`] for what needs no waiting.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use ureq::http::HeaderMap;

use super::socket::Socket;
use crate::clock;
use crate::error::fault::{Fault, FaultKind, Phase, TimeoutKind};
use crate::transport::gate::Interrupt;
use crate::transport::{Limits, REFUSAL_TIME};

/// Tells calls apart, in this process and for ever: 2⁶⁴ do not run out. 0 is nobody.
pub(super) type CallId = u64;

/// One call in progress.
pub(super) struct CurrentCall {
    id: CallId,
    /// What the caller calls it, see [`Call::number`](crate::transport::Call::number).
    number: u64,
    limits: Limits,
    state: Mutex<State>,
    /// Signalled when `state.cancelled` changes, and by [`CurrentCall::wake`].
    changed: Condvar,
}

struct State {
    cancelled: bool,
    stage: Stage,
    /// When the reply was first waited for.
    asked: Option<Instant>,
    /// A byte of the request went to the socket.
    written: bool,
    /// The socket has served a call before.
    reused: bool,
    /// The socket that this call uses, if it has one.
    socket: Weak<Socket>,
    /// Header lines that the HTTP client must not see, until they are written.
    sealed: Option<Arc<[u8]>>,
    /// The headers of the reply, where the HTTP client was not given all of them.
    headers: Option<Box<HeaderMap>>,
    /// The end of reading that was found to have passed, and when it was.
    passed: Option<(Instant, Instant)>,
}

/// How long what has come is read after the end of its wait.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting {
        until: Instant,
    },
    Sending,
    Waiting {
        until: Instant,
    },
    Receiving,
    /// Receiving what is said about a refusal.
    Refused {
        until: Instant,
    },
    /// Receiving what comes before the answer.
    Preamble {
        until: Instant,
    },
    /// Receiving what may be added to it.
    Finished,
    /// Receiving what comes behind it.
    Ending {
        until: Instant,
    },
}

/// How long the end of a body may take that holds a whole answer, for the sake of its connection. The service writes both
/// in one go; who keeps the body open keeps nobody waiting.
const END_TIME: Duration = Duration::from_millis(50);

/// Longest silence in a stream whose choices are all finished, and which does not end. What it cost comes with the last of
/// them, and the verdict of a filter that runs beside the answer soon after.
const FINISHED_TIME: Duration = Duration::from_secs(5);

/// The end of one wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitLimit {
    pub(super) until: Instant,
    /// What it means that the wait did not end before.
    pub(super) kind: TimeoutKind,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<CurrentCall>>> = const { RefCell::new(None) };
}

/// The call that this thread is sending, if it is.
pub(super) fn current() -> Option<Arc<CurrentCall>> {
    CURRENT.with_borrow(Clone::clone)
}

/// The thread's current call, until dropped.
pub(super) struct Sending(());

impl Drop for Sending {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl CurrentCall {
    /// A call that begins, with the header lines that [`Head`](super::headers::Head) seals.
    pub(super) fn new(number: u64, limits: Limits, sealed: Arc<[u8]>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(CurrentCall {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            number,
            limits,
            state: Mutex::new(State {
                cancelled: false,
                stage: Stage::Sending,
                asked: None,
                written: false,
                reused: false,
                socket: Weak::new(),
                sealed: Some(sealed),
                headers: None,
                passed: None,
            }),
            changed: Condvar::new(),
        })
    }

    /// Makes this the thread's [`current`] call.
    pub(super) fn begin(self: &Arc<Self>) -> Sending {
        CURRENT.set(Some(Arc::clone(self)));
        Sending(())
    }

    /// Whether it uses a socket, connected or not.
    #[cfg(test)]
    pub(super) fn has_socket(&self) -> bool {
        self.state.lock().socket.strong_count() > 0
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> CallId {
        self.id
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state.lock().cancelled
    }

    /// A connection is being made.
    pub(super) fn connecting(&self, now: Instant) {
        self.state.lock().stage = Stage::Connecting {
            until: now + self.limits.connect,
        };
    }

    /// The connection stands, TLS included.
    pub(super) fn connected(&self) {
        self.state.lock().stage = Stage::Sending;
    }

    /// The sealed header lines, for the first who asks.
    pub(super) fn take_sealed(&self) -> Option<Arc<[u8]>> {
        self.state.lock().sealed.take()
    }

    /// `socket` is what this call uses from now on.
    pub(super) fn claims(&self, socket: &Arc<Socket>, reused: bool) {
        let mut state = self.state.lock();
        socket.claim(self.id);
        state.reused = reused;
        state.socket = Arc::downgrade(socket);
        // A cancel that came before found no socket to close: each use of the socket begins by asking
        // whether the call is cancelled.
    }

    /// Bytes of the request went out.
    pub(super) fn wrote(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.written, true) {
            drop(state);
            log::trace!("call {}: the request is on its way", self.id);
        }
    }

    /// Keeps the reply's headers, of which the HTTP client is given a part.
    pub(super) fn keep_headers(&self, headers: HeaderMap) {
        self.state.lock().headers = Some(Box::new(headers));
    }

    /// What was kept of them.
    pub(super) fn take_headers(&self) -> Option<HeaderMap> {
        self.state.lock().headers.take().map(|headers| *headers)
    }

    /// Bytes of the reply came.
    pub(super) fn received(&self) {
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Sending | Stage::Waiting { .. }) {
            state.stage = Stage::Receiving;
        }
    }

    /// How long a write may block.
    ///
    /// # Errors
    /// Where the call is cancelled, or its time is over.
    pub(super) fn write_limit(&self, now: Instant) -> Result<WaitLimit, Fault> {
        let state = self.state.lock();
        let limit = self.limit(&state, now)?;
        if now < limit.until {
            Ok(limit)
        } else {
            Err(self.timed_out(&state, limit.kind))
        }
    }

    /// The reply is a refusal: the rest of it gets [`REFUSAL_TIME`] at most.
    pub(super) fn refused(&self, now: Instant) {
        self.state.lock().stage = Stage::Refused {
            until: now + REFUSAL_TIME,
        };
    }

    /// The head of a good reply has come, and nothing of the answer yet.
    pub(super) fn admitted(&self, now: Instant) {
        let mut state = self.state.lock();
        state.stage = Stage::Preamble {
            until: state.asked.unwrap_or(now) + self.limits.first_content,
        };
    }

    /// The answer has begun to come.
    pub(super) fn answer_begins(&self) {
        self.state.lock().stage = Stage::Receiving;
    }

    /// All choices of the answer are finished.
    pub(super) fn answer_finishes(&self) {
        self.state.lock().stage = Stage::Finished;
    }

    /// The answer has come.
    pub(super) fn answer_ends(&self, now: Instant) {
        self.state.lock().stage = Stage::Ending { until: now + END_TIME };
    }

    /// How long a read may block. The first one after the request starts the wait for the first byte. An end that has
    /// passed is for what can be read at once.
    ///
    /// # Errors
    /// Where the call is cancelled, or its time is over and so is the [`GRACE`].
    pub(super) fn read_limit(&self, now: Instant) -> Result<WaitLimit, Fault> {
        let mut state = self.state.lock();
        if state.stage == Stage::Sending {
            state.asked = Some(now);
            state.stage = Stage::Waiting {
                until: now + self.limits.first_byte,
            };
        }
        let limit = self.limit(&state, now)?;
        if now < limit.until {
            return Ok(limit);
        }
        let found = match state.passed {
            Some((until, found)) if until == limit.until => found,
            _ => now,
        };
        state.passed = Some((limit.until, found));
        if now < found + GRACE {
            Ok(limit)
        } else {
            Err(self.timed_out(&state, limit.kind))
        }
    }

    fn limit(&self, state: &State, now: Instant) -> Result<WaitLimit, Fault> {
        if state.cancelled {
            return Err(cancelled(state));
        }
        let (until, kind) = match state.stage {
            Stage::Connecting { until } => (until, TimeoutKind::Connect),
            Stage::Sending => (now + self.limits.first_byte, TimeoutKind::FirstByte),
            Stage::Waiting { until } => (until, TimeoutKind::FirstByte),
            Stage::Receiving => (now + self.limits.idle, TimeoutKind::Idle),
            Stage::Finished => (now + self.limits.idle.min(FINISHED_TIME), TimeoutKind::Idle),
            Stage::Refused { until } => (until.min(now + self.limits.idle), TimeoutKind::Idle),
            Stage::Preamble { until } => (until, TimeoutKind::FirstByte),
            Stage::Ending { until } => (until, TimeoutKind::Idle),
        };
        Ok(if until <= self.limits.deadline {
            WaitLimit { until, kind }
        } else {
            WaitLimit {
                until: self.limits.deadline,
                kind: TimeoutKind::Attempt,
            }
        })
    }

    /// The fault of a wait that lasted until its limit.
    pub(super) fn timeout(&self, kind: TimeoutKind) -> Fault {
        self.timed_out(&self.state.lock(), kind)
    }

    fn timed_out(&self, state: &State, kind: TimeoutKind) -> Fault {
        let message = match kind {
            TimeoutKind::Connect => format!("not connected after {:?}", self.limits.connect),
            TimeoutKind::FirstByte if matches!(state.stage, Stage::Sending) => {
                format!("the peer took nothing of the request for {:?}", self.limits.first_byte)
            }
            TimeoutKind::FirstByte if matches!(state.stage, Stage::Preamble { .. }) => {
                let limit = self.limits.first_content;
                format!("nothing of an answer within {limit:?} of the request, though its head came")
            }
            TimeoutKind::FirstByte => format!("no reply within {:?} of the request", self.limits.first_byte),
            TimeoutKind::Idle => format!("nothing came for {:?}", self.limits.idle),
            TimeoutKind::Attempt => "the deadline of the attempt passed".to_owned(),
        };
        Fault::new(FaultKind::Timeout(kind), phase(state), message)
    }

    /// A fault met by this call: with its phase, and with the kind that the call's history gives it.
    ///
    /// A reused connection that closed before the reply's first byte is [`FaultKind::Stale`]; and whatever breaks
    /// after a cancel broke because of it.
    pub(super) fn fault(&self, kind: FaultKind, message: impl Into<String>) -> Fault {
        let state = self.state.lock();
        if state.cancelled {
            return cancelled(&state);
        }
        let begun = !matches!(
            state.stage,
            Stage::Connecting { .. } | Stage::Sending | Stage::Waiting { .. }
        );
        let stale = kind == FaultKind::Closed && state.reused && !begun;
        Fault::new(if stale { FaultKind::Stale } else { kind }, phase(&state), message)
    }

    /// Blocks until `ready` gives a value, for at most the time that connecting may take; none where `patience` ends
    /// before.
    ///
    /// `ready` is asked at once and after each [`CurrentCall::wake`].
    ///
    /// # Errors
    /// Where the call is cancelled, or its time is over.
    pub(super) fn wait_for<T>(
        &self,
        now: Instant,
        patience: Instant,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let mut state = self.state.lock();
        let limit = self.limit(&state, now)?;
        let mut until = limit.until;
        loop {
            if let Some(value) = ready() {
                return Ok(Some(value));
            }
            if state.cancelled {
                return Err(cancelled(&state));
            }
            if self.changed.wait_until(&mut state, patience.min(until)).timed_out() {
                if let Some(value) = ready() {
                    return Ok(Some(value));
                }
                if patience < until {
                    return Ok(None);
                }
                // Woken so late, we were stopped, and so was the one that is waited for: it may be about to answer.
                if until > limit.until || clock::now() < limit.until + GRACE {
                    return Err(self.timed_out(&state, limit.kind));
                }
                until = clock::now() + GRACE;
            }
        }
    }

    /// Makes [`CurrentCall::wait_for`] ask again.
    pub(super) fn wake(&self) {
        // Under the lock, or the signal could fall between the waiter's question and its sleep.
        let _state = self.state.lock();
        self.changed.notify_all();
    }
}

fn cancelled(state: &State) -> Fault {
    Fault::new(FaultKind::Cancelled, phase(state), "the call was cancelled")
}

fn phase(state: &State) -> Phase {
    if state.written {
        Phase::Written
    } else {
        Phase::NotWritten
    }
}

impl Interrupt for CurrentCall {
    fn interrupt(&self) {
        let socket = {
            let mut state = self.state.lock();
            state.cancelled = true;
            self.changed.notify_all();
            state.socket.upgrade()
        };
        if let Some(socket) = socket {
            socket.shut_down_for(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn call(t0: Instant) -> Arc<CurrentCall> {
        let limits = Limits {
            connect: 5 * SECOND,
            first_byte: 20 * SECOND,
            first_content: 30 * SECOND,
            idle: 10 * SECOND,
            deadline: t0 + 60 * SECOND,
        };
        CurrentCall::new(0, limits, Arc::new([]))
    }

    fn limit(until: Instant, kind: TimeoutKind) -> Result<WaitLimit, Fault> {
        Ok(WaitLimit { until, kind })
    }

    fn timeout_of(result: Result<WaitLimit, Fault>) -> FaultKind {
        result.unwrap_err().kind
    }

    #[test]
    fn each_stage_waits_by_its_own_limit() {
        let t0 = clock::now();
        let call = call(t0);
        call.connecting(t0);
        assert_eq!(
            call.read_limit(t0 + 4 * SECOND),
            limit(t0 + 5 * SECOND, TimeoutKind::Connect)
        );
        assert_eq!(
            timeout_of(call.write_limit(t0 + 5 * SECOND)),
            FaultKind::Timeout(TimeoutKind::Connect)
        );

        call.connected();
        let t1 = t0 + 4 * SECOND;
        assert_eq!(call.write_limit(t1), limit(t1 + 20 * SECOND, TimeoutKind::FirstByte));
        assert_eq!(
            call.write_limit(t1 + SECOND),
            limit(t1 + 21 * SECOND, TimeoutKind::FirstByte)
        );

        let t2 = t1 + 2 * SECOND;
        assert_eq!(call.read_limit(t2), limit(t2 + 20 * SECOND, TimeoutKind::FirstByte));
        assert_eq!(
            call.read_limit(t2 + SECOND),
            limit(t2 + 20 * SECOND, TimeoutKind::FirstByte)
        );

        call.received();
        let t3 = t2 + 3 * SECOND;
        assert_eq!(call.read_limit(t3), limit(t3 + 10 * SECOND, TimeoutKind::Idle));
        assert_eq!(call.read_limit(t3 + SECOND), limit(t3 + 11 * SECOND, TimeoutKind::Idle));

        // Whatever comes before the answer does not stretch the wait for it, which began with the first read.
        call.admitted(t3);
        for seconds in [0, 9, 26] {
            call.received();
            let now = t3 + seconds * SECOND;
            assert_eq!(call.read_limit(now), limit(t2 + 30 * SECOND, TimeoutKind::FirstByte));
        }
        let at_once = limit(t2 + 30 * SECOND, TimeoutKind::FirstByte);
        assert_eq!(call.read_limit(t2 + 30 * SECOND), at_once, "a last look");
        assert_eq!(
            timeout_of(call.read_limit(t2 + 30 * SECOND + GRACE)),
            FaultKind::Timeout(TimeoutKind::FirstByte)
        );
        call.answer_begins();
        let t4 = t3 + 26 * SECOND;
        assert_eq!(call.read_limit(t4), limit(t4 + 10 * SECOND, TimeoutKind::Idle));
        call.answer_finishes();
        for now in [t4, t4 + SECOND] {
            call.received();
            assert_eq!(call.read_limit(now), limit(now + FINISHED_TIME, TimeoutKind::Idle));
        }
        call.answer_ends(t4);
        call.received();
        assert_eq!(call.read_limit(t4), limit(t4 + END_TIME, TimeoutKind::Idle));
        let at_once = limit(t4 + END_TIME, TimeoutKind::Idle);
        assert_eq!(call.read_limit(t4 + END_TIME), at_once, "a last look");
        assert_eq!(
            timeout_of(call.read_limit(t4 + END_TIME + GRACE)),
            FaultKind::Timeout(TimeoutKind::Idle)
        );
    }

    #[test]
    fn a_drip_of_bytes_cannot_stretch_the_deadline() {
        let t0 = clock::now();
        let call = call(t0);
        call.received();
        assert_eq!(
            call.read_limit(t0 + 55 * SECOND),
            limit(t0 + 60 * SECOND, TimeoutKind::Attempt)
        );
        assert_eq!(
            timeout_of(call.write_limit(t0 + 60 * SECOND)),
            FaultKind::Timeout(TimeoutKind::Attempt)
        );
        // What lies there when the end is found to have passed is read, but no more than can be read in a moment.
        let late = t0 + 100 * SECOND;
        let at_once = limit(t0 + 60 * SECOND, TimeoutKind::Attempt);
        assert_eq!(call.read_limit(late), at_once);
        call.received();
        assert_eq!(call.read_limit(late + GRACE / 2), at_once);
        assert_eq!(
            timeout_of(call.read_limit(late + GRACE)),
            FaultKind::Timeout(TimeoutKind::Attempt)
        );
    }

    #[test]
    fn a_reply_that_came_while_nobody_looked_begins_the_next_wait() {
        let t0 = clock::now();
        let call = call(t0);
        let first_byte = limit(t0 + 20 * SECOND, TimeoutKind::FirstByte);
        assert_eq!(call.read_limit(t0), first_byte);
        let late = t0 + 40 * SECOND;
        assert_eq!(call.read_limit(late), first_byte, "a last look");
        call.received();
        assert_eq!(call.read_limit(late), limit(late + 10 * SECOND, TimeoutKind::Idle));
    }

    #[test]
    fn who_is_waited_for_may_answer_after_both_were_stopped() {
        let begun = clock::now().checked_sub(30 * SECOND).unwrap();
        let call = call(begun);
        call.connecting(begun);
        let mut asked = 0;
        let answer = call.wait_for(begun, begun + Duration::from_secs(60), || {
            asked += 1;
            (asked == 3).then_some("late")
        });
        assert_eq!(answer, Ok(Some("late")));
        let never = call.wait_for(begun, begun + Duration::from_secs(60), || None::<()>);
        assert_eq!(never.unwrap_err().kind, FaultKind::Timeout(TimeoutKind::Connect));
    }

    #[test]
    fn the_phase_counts_bytes_of_the_request_only() {
        let t0 = clock::now();
        let call = call(t0);
        call.connecting(t0);
        assert_eq!(call.fault(FaultKind::Closed, "").phase, Phase::NotWritten);
        call.connected();
        call.wrote();
        assert_eq!(call.fault(FaultKind::Closed, "").phase, Phase::Written);
    }

    #[test]
    fn whatever_breaks_after_a_cancel_is_the_cancel() {
        let t0 = clock::now();
        let call = call(t0);
        call.interrupt();
        for kind in [FaultKind::Closed, FaultKind::Tls, FaultKind::Protocol] {
            assert_eq!(call.fault(kind, "").kind, FaultKind::Cancelled);
        }
        assert_eq!(timeout_of(call.read_limit(t0)), FaultKind::Cancelled);
        let waited = call.wait_for(t0, t0 + SECOND, || None::<()>);
        assert_eq!(waited.unwrap_err().kind, FaultKind::Cancelled);
    }

    #[test]
    fn a_thread_has_a_current_call_only_while_it_sends() {
        let call = call(clock::now());
        assert!(current().is_none());
        let sending = call.begin();
        assert_eq!(current().unwrap().id(), call.id());
        assert!(std::thread::spawn(|| current().is_none()).join().unwrap());
        drop(sending);
        assert!(current().is_none());
    }
}
