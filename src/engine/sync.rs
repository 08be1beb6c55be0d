//! What threads of the engine meet at, behind one name so that a model checker can put its own in its place.
//!
//! With `--cfg model_check` (see `scripts/soak`) the locks are shuttle's, which runs the threads of a test in many
//! orders, and the queue is made of them; otherwise they are parking_lot's, and the queue is crossbeam's. What is held
//! without ever waiting for another lock (a job's gate) need not be here.

#[cfg(not(model_check))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(model_check))]
pub(crate) use std::thread_local;

#[cfg(model_check)]
pub(crate) use model::{Condvar, Mutex, MutexGuard};
#[cfg(model_check)]
pub(crate) use shuttle::thread_local;

/// The queue between the pump and the workers.
pub(crate) mod queue {
    #[cfg(not(model_check))]
    pub(crate) use crossbeam_channel::{Receiver, Sender, unbounded};

    #[cfg(model_check)]
    pub(crate) use super::model::{Receiver, Sender, unbounded};
}

#[cfg(model_check)]
mod model {
    use std::collections::VecDeque;
    use std::ops::{Deref, DerefMut};
    use std::sync::Arc;
    use std::time::Instant;

    /// parking_lot's interface over shuttle's mutex.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("no test panics under the lock")))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("taken only during a wait")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("taken only during a wait")
        }
    }

    /// parking_lot's interface over shuttle's condition variable. Time does not pass under the model checker: a
    /// wait with a deadline waits for a notification.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    pub(crate) struct WaitTimeoutResult;

    impl WaitTimeoutResult {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("a guard waits once at a time");
            guard.0 = Some(self.0.wait(inner).expect("no test panics under the lock"));
        }

        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _at: Instant) -> WaitTimeoutResult {
            self.wait(guard);
            WaitTimeoutResult
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// crossbeam's interface, as far as it is used, over the locks above.
    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    struct Channel<T> {
        items: Mutex<VecDeque<T>>,
        came: Condvar,
    }

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel {
            items: Mutex::new(VecDeque::new()),
            came: Condvar::new(),
        });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, item: T) -> Result<(), T> {
            self.0.items.lock().push_back(item);
            self.0.came.notify_one();
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, ()> {
            self.0.items.lock().pop_front().ok_or(())
        }

        pub(crate) fn recv(&self) -> Result<T, ()> {
            let mut items = self.0.items.lock();
            loop {
                if let Some(item) = items.pop_front() {
                    return Ok(item);
                }
                self.0.came.wait(&mut items);
            }
        }
    }
}
