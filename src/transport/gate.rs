//! Cancels the calls of one job from another thread.
//!
//! The job keeps the [`Gate`]; a transport [registers](Gate::watch) each call that it makes for the job. The gate
//! holds the call weakly: it keeps neither a socket open nor memory alive once a call has ended, and there is
//! nothing to unregister. That a late [`Gate::cancel`] harms nobody else is the registered call's own duty, see
//! [`Interrupt`].

use std::fmt;
use std::sync::Weak;

use parking_lot::Mutex;

/// The cancel switch of one job, used by its attempts one after another.
#[derive(Default)]
pub struct Gate(Mutex<State>);

enum State {
    /// The latest call, which may be over. Attempts of a job never overlap, so one place is enough.
    Call(Weak<dyn Interrupt>),
    Cancelled,
}

impl Default for State {
    /// A weak reference to nothing takes the least room: two words in all.
    fn default() -> Self {
        State::Call(Weak::<NoCall>::new())
    }
}

/// No call.
enum NoCall {}

impl Interrupt for NoCall {
    fn interrupt(&self) {}
}

/// A call that can be broken off from another thread.
pub trait Interrupt: Send + Sync {
    /// Ends this call's waiting within milliseconds, wherever it waits; does nothing once the call has ended.
    ///
    /// Must never touch what belongs to another call, such as a pooled connection that has moved on.
    fn interrupt(&self);
}

impl Gate {
    /// Cancels the call in flight, if any, and every later one. May be called from any thread, any number of times.
    pub fn cancel(&self) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Cancelled);
        if let State::Call(call) = before
            && let Some(call) = call.upgrade()
        {
            call.interrupt();
        }
    }

    /// Whether [`Gate::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.0.lock(), State::Cancelled)
    }

    /// [`Gate::watch`] that returns what it takes the place of, so that it can be put back; none where the job is
    /// cancelled.
    pub(crate) fn replace(&self, call: Weak<dyn Interrupt>) -> Option<Weak<dyn Interrupt>> {
        match &mut *self.0.lock() {
            State::Call(latest) => Some(std::mem::replace(latest, call)),
            State::Cancelled => None,
        }
    }

    /// Makes `call` the one that [`Gate::cancel`] interrupts; `false` (and no registration) where it came too late
    /// because the job is cancelled already.
    ///
    /// For transports, once at the start of each call.
    #[must_use]
    pub fn watch(&self, call: Weak<dyn Interrupt>) -> bool {
        match &mut *self.0.lock() {
            State::Call(latest) => {
                *latest = call;
                true
            }
            State::Cancelled => false,
        }
    }

    /// Whether a cancel would meet a call.
    #[cfg(test)]
    pub(crate) fn is_watching(&self) -> bool {
        matches!(&*self.0.lock(), State::Call(call) if call.strong_count() > 0)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("cancelled", &self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Interrupt for Counted {
        fn interrupt(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn watched(gate: &Gate) -> (bool, Arc<Counted>) {
        let call = Arc::new(Counted::default());
        let weak: Weak<Counted> = Arc::downgrade(&call);
        (gate.watch(weak), call)
    }

    #[test]
    fn a_gate_costs_a_job_at_most_24_bytes() {
        assert!(size_of::<Gate>() <= 24, "{} bytes", size_of::<Gate>());
    }

    #[test]
    fn cancel_interrupts_the_latest_call_only_and_once() {
        let gate = Gate::default();
        let (first_in, first) = watched(&gate);
        let (second_in, second) = watched(&gate);
        assert!(first_in && second_in && !gate.is_cancelled());
        gate.cancel();
        gate.cancel();
        assert!(gate.is_cancelled());
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_call_that_comes_after_the_cancel_is_turned_away() {
        let gate = Gate::default();
        gate.cancel();
        let (admitted, call) = watched(&gate);
        assert!(!admitted);
        gate.cancel();
        assert_eq!(call.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_gate_keeps_no_ended_call_alive() {
        let gate = Gate::default();
        let (_, call) = watched(&gate);
        assert_eq!(Arc::strong_count(&call), 1);
        drop(call);
        gate.cancel();
    }
}
