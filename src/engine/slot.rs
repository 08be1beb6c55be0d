//! Where a job's result is laid down once and taken once, by whoever waits: a thread or a task.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::event::contain;
use super::sync::{Condvar, Mutex};

/// A place for one value. The value, and whoever listens, are boxed: a slot is small while it is empty, and a million
/// of them wait.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

enum State<T> {
    /// Nothing yet, and nobody but waiting threads to be told.
    Empty,
    /// Nothing yet; who is to be told.
    Awaited(Box<Listener>),
    /// Laid down, not taken.
    Full(Box<T>),
    /// Taken.
    Taken,
}

/// Who is told when a slot is filled, beside the threads that wait.
enum Listener {
    /// The task that polled last.
    Task(Waker),
    /// A set of jobs that collects results as they come.
    Call(Box<dyn FnOnce() + Send>),
}

/// The value has been taken before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Slot {
            state: Mutex::new(State::Empty),
            filled: Condvar::new(),
        }
    }

    /// Lays `value` down and wakes whoever waits. False (and `value` is dropped) where there has been one.
    pub(crate) fn fill(&self, value: T) -> bool {
        let value = Box::new(value);
        let mut state = self.state.lock();
        if !state.is_empty() {
            return false;
        }
        let before = std::mem::replace(&mut *state, State::Full(value));
        drop(state);
        self.filled.notify_all();
        if let State::Awaited(listener) = before {
            // Foreign code runs without the lock, and an executor that panics costs no worker.
            contain("the waker of a job's task", || match *listener {
                Listener::Task(waker) => waker.wake(),
                Listener::Call(call) => call(),
            });
        }
        true
    }

    /// Whether a value has been laid down.
    pub(crate) fn is_filled(&self) -> bool {
        !self.state.lock().is_empty()
    }

    /// Waits for the value.
    pub(crate) fn wait(&self) -> Result<T, Taken> {
        let mut state = self.state.lock();
        loop {
            if let Some(result) = state.take() {
                return result;
            }
            self.filled.wait(&mut state);
        }
    }

    /// Waits for the value until `deadline`; none where it has not come by then.
    pub(crate) fn wait_until(&self, deadline: Instant) -> Option<Result<T, Taken>> {
        let mut state = self.state.lock();
        loop {
            if let Some(result) = state.take() {
                return Some(result);
            }
            if self.filled.wait_until(&mut state, deadline).timed_out() {
                // It may have come in the same moment.
                return state.take();
            }
        }
    }

    /// Takes the value where it is there.
    pub(crate) fn try_take(&self) -> Option<Result<T, Taken>> {
        self.state.lock().take()
    }

    /// Takes the value, or has the task woken when it comes. Only the task that polled last is woken.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, Taken>> {
        let mut state = self.state.lock();
        if let Some(result) = state.take() {
            return Poll::Ready(result);
        }
        if let State::Awaited(listener) = &mut *state
            && let Listener::Task(waker) = &mut **listener
        {
            waker.clone_from(context.waker());
        } else {
            *state = State::Awaited(Box::new(Listener::Task(context.waker().clone())));
        }
        Poll::Pending
    }

    /// Calls `call` when the value comes, or now where it is there. Takes the place of a polling task.
    pub(crate) fn on_filled(&self, call: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        if state.is_empty() {
            *state = State::Awaited(Box::new(Listener::Call(Box::new(call))));
            return;
        }
        drop(state);
        call();
    }
}

impl<T> State<T> {
    fn is_empty(&self) -> bool {
        matches!(self, State::Empty | State::Awaited(_))
    }

    fn take(&mut self) -> Option<Result<T, Taken>> {
        if self.is_empty() {
            return None;
        }
        match std::mem::replace(self, State::Taken) {
            State::Full(value) => Some(Ok(*value)),
            _ => Some(Err(Taken)),
        }
    }
}

impl<T> std::fmt::Debug for State<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Empty => "Empty",
            State::Awaited(_) => "Awaited",
            State::Full(_) => "Full",
            State::Taken => "Taken",
        })
    }
}

#[cfg(all(test, not(model_check)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_slot_is_filled_once_and_taken_once() {
        let slot = Slot::new();
        assert!(slot.try_take().is_none());
        assert!(slot.fill(1));
        assert!(!slot.fill(2));
        assert!(slot.is_filled());
        assert_eq!(slot.try_take(), Some(Ok(1)));
        assert_eq!(slot.try_take(), Some(Err(Taken)));
        assert!(!slot.fill(3), "a value after the first was taken");
    }

    #[test]
    fn a_waiting_thread_gets_the_value() {
        let slot = Arc::new(Slot::new());
        let waiter = thread::spawn({
            let slot = Arc::clone(&slot);
            move || slot.wait()
        });
        assert!(slot.fill(7));
        assert_eq!(waiter.join().unwrap(), Ok(7));
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_can_be_repeated() {
        let slot = Slot::new();
        assert_eq!(slot.wait_until(clock::now() + Duration::from_millis(5)), None);
        slot.fill(1);
        assert_eq!(slot.wait_until(clock::now()), Some(Ok(1)));
    }

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_the_task_that_polled_last_is_woken() {
        let slot = Slot::new();
        let (first, second) = (
            Arc::new(Counter(AtomicUsize::new(0))),
            Arc::new(Counter(AtomicUsize::new(0))),
        );
        for counter in [&first, &second] {
            let waker = Waker::from(Arc::clone(counter));
            assert!(slot.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        slot.fill(5);
        assert_eq!(
            (first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)),
            (0, 1)
        );
        let waker = Waker::from(second);
        assert_eq!(slot.poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(5)));
    }

    #[test]
    fn a_listener_is_called_once_also_where_it_comes_late() {
        let calls = Arc::new(AtomicUsize::new(0));
        let call = |calls: &Arc<AtomicUsize>| {
            let calls = Arc::clone(calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let slot = Slot::new();
        slot.on_filled(call(&calls));
        slot.fill(1);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        slot.on_filled(call(&calls));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!(slot.try_take(), Some(Ok(1)));
    }
}

/// Every interleaving: `RUSTFLAGS="--cfg model_check" cargo test --lib model_`.
#[cfg(all(test, model_check))]
mod model {
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    use shuttle::sync::atomic::{AtomicUsize, Ordering};
    use shuttle::thread;

    use super::*;

    /// A task's executor: sleeps until the task is woken.
    #[derive(Default)]
    struct Executor {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Wake for Executor {
        fn wake(self: Arc<Self>) {
            *self.woken.lock() = true;
            self.changed.notify_one();
        }
    }

    impl Executor {
        fn sleep(&self) {
            let mut woken = self.woken.lock();
            while !std::mem::take(&mut *woken) {
                self.changed.wait(&mut woken);
            }
        }
    }

    #[test]
    fn model_two_fillers_and_a_waiter_agree_on_one_value() {
        shuttle::check_dfs(
            || {
                let slot = Arc::new(Slot::new());
                let won = Arc::new(AtomicUsize::new(0));
                let fillers: Vec<_> = [1, 2]
                    .map(|value| {
                        let (slot, won) = (Arc::clone(&slot), Arc::clone(&won));
                        thread::spawn(move || {
                            if slot.fill(value) {
                                won.fetch_add(value, Ordering::SeqCst);
                            }
                        })
                    })
                    .into();
                let taken = slot.wait().unwrap();
                fillers.into_iter().for_each(|filler| filler.join().unwrap());
                assert_eq!(won.load(Ordering::SeqCst), taken);
            },
            None,
        );
    }

    #[test]
    fn model_a_task_that_polls_while_the_value_comes_is_woken() {
        shuttle::check_dfs(
            || {
                let slot = Arc::new(Slot::new());
                let filler = thread::spawn({
                    let slot = Arc::clone(&slot);
                    move || assert!(slot.fill(1))
                });
                let executor = Arc::new(Executor::default());
                let waker = Waker::from(Arc::clone(&executor));
                let mut context = Context::from_waker(&waker);
                loop {
                    match slot.poll(&mut context) {
                        Poll::Ready(value) => break assert_eq!(value, Ok(1)),
                        Poll::Pending => executor.sleep(),
                    }
                }
                filler.join().unwrap();
            },
            None,
        );
    }
}
