//! The locks that the engine is built of, behind one name so that a model checker can put its own in their place.
//!
//! With `--cfg model_check` (see `scripts/soak`) they are shuttle's, which runs the threads of a test in every order
//! it can think of; otherwise parking_lot's.

#[cfg(not(model_check))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

#[cfg(model_check)]
pub(crate) use model::{Condvar, Mutex, MutexGuard};

#[cfg(model_check)]
mod model {
    use std::ops::{Deref, DerefMut};
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
}
