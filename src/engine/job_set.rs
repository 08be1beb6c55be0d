//! Jobs whose results are taken in the order in which they come.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::Result;

use super::handle::JobHandle;

/// Handles under keys, whose results are taken as they come: an iterator, which waits for the next result and ends when the set is
/// empty.
///
/// A thread of the blaster (in a stream's callback, say) must not wait for the jobs of its own: where only such are
/// left and none has ended, the waiting calls take the oldest out of the set and yield [`Error::WouldDeadlock`](crate::Error::WouldDeadlock)
/// for it, as [`JobHandle::wait`] does.
///
/// Dropping a set drops its handles: the jobs run on, and their answers are paid for and lost. [`JobSet::cancel_on_drop`] ends
/// them instead.
///
/// ```
/// # use azure_openai_blaster::{Blaster, JobSet, testing::Scripted};
/// # let blaster = Blaster::builder().transport(Scripted::answering("yes")).build()?;
/// let mut set = JobSet::new();
/// for prompt in ["one", "two", "three"] {
///     set.insert(prompt, blaster.submit_chat_completion(prompt)?);
/// }
/// while let Some((prompt, answer)) = set.next() {
///     println!("{prompt}: {}", answer?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JobSet<K, T> {
    jobs: HashMap<u64, (K, JobHandle<T>)>,
    /// Numbers of jobs that have ended.
    ended: (Sender<u64>, Receiver<u64>),
    next: u64,
    cancel_on_drop: bool,
}

impl<K, T> JobSet<K, T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        JobSet {
            jobs: HashMap::new(),
            ended: unbounded(),
            next: 0,
            cancel_on_drop: false,
        }
    }

    /// Cancels the jobs whose results have not been taken when the set is dropped.
    #[must_use]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Cancels every job whose result has not been taken, as [`JobHandle::cancel`] does. The results stay to be taken:
    /// [`Error::Cancelled`](crate::Error::Cancelled), or the answer where that was there first.
    pub fn cancel_all(&self) {
        for (_, handle) in self.jobs.values() {
            handle.cancel();
        }
    }

    /// Adds a job under `key`; keys may repeat.
    pub fn insert(&mut self, key: K, handle: JobHandle<T>) {
        let number = self.next;
        self.next += 1;
        let sender = self.ended.0.clone();
        let cell = std::sync::Arc::clone(handle.cell());
        self.jobs.insert(number, (key, handle));
        cell.slot.on_filled(move || {
            // The set may be gone, and then nobody wants to know.
            let _ = sender.send(number);
        });
    }

    /// How many results have not been taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether every result has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The next result, within `timeout`; none where none came, or the set is empty.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<(K, Result<T>)> {
        if let Some(number) = self.at_once() {
            return self.take(number);
        }
        if self.jobs.is_empty() {
            return None;
        }
        let number = self.ended.1.recv_timeout(timeout).ok()?;
        self.take(number)
    }

    /// The next result that is there; none where there is none yet.
    pub fn try_next(&mut self) -> Option<(K, Result<T>)> {
        let number = self.ended.1.try_recv().ok()?;
        self.take(number)
    }

    /// The job that can be taken without a wait: one that has ended, or the oldest where a wait would never end.
    fn at_once(&self) -> Option<u64> {
        if let Ok(number) = self.ended.1.try_recv() {
            return Some(number);
        }
        let stuck = self.jobs.values().all(|(_, handle)| handle.would_deadlock());
        stuck.then(|| self.jobs.keys().min().copied())?
    }

    fn take(&mut self, number: u64) -> Option<(K, Result<T>)> {
        let (key, handle) = self.jobs.remove(&number)?;
        Some((key, handle.wait()))
    }
}

impl<K, T> Drop for JobSet<K, T> {
    fn drop(&mut self) {
        if self.cancel_on_drop {
            self.cancel_all();
        }
    }
}

impl<K, T> Default for JobSet<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> Iterator for JobSet<K, T> {
    type Item = (K, Result<T>);

    /// Waits for the next result; none where the set is empty.
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(number) = self.at_once() {
            return self.take(number);
        }
        if self.jobs.is_empty() {
            return None;
        }
        let number = self.ended.1.recv().ok()?;
        self.take(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.jobs.len(), Some(self.jobs.len()))
    }
}

impl<K, T> fmt::Debug for JobSet<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSet").field("len", &self.len()).finish()
    }
}
