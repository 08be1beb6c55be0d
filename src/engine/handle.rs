//! The handle of a job: a future that can also be waited on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock;
use crate::error::{Error, Result};

use super::job::{JobCell, Reply};
use super::shared::Shared;
use super::slot::Taken;

/// A job that was submitted: its result can be waited for, polled as a future, or looked for.
///
/// The result is given once. Dropping a handle lets its job run on, unless [`JobHandle::cancel_on_drop`] was
/// called. A handle outlives its blaster: what is not answered by then ends as shut down. So the blaster is to be kept until
/// the answers are there.
///
/// ```
/// use std::time::Duration;
///
/// use azure_openai_blaster::testing::Scripted;
/// use azure_openai_blaster::{Blaster, JobHandle};
///
/// let blaster = Blaster::builder().transport(Scripted::answering("done")).build()?;
/// let mut handle: JobHandle<String> = blaster.submit_chat_completion("Take your time.")?;
/// // … other work …
/// match handle.wait_timeout(Duration::from_secs(30)) {
///     Some(result) => assert_eq!(result?, "done"),
///     None => handle.cancel(), // or wait again
/// }
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
///
/// On an executor, `handle.await` gives the same result.
#[must_use = "the result of the job is found here; drop it with `drop(handle)` where it does not matter"]
pub struct JobHandle<T> {
    cell: Arc<JobCell>,
    shared: Arc<Shared>,
    convert: fn(Reply) -> Result<T>,
    cancel_on_drop: bool,
}

/// Cancels one job, from any thread.
#[derive(Clone)]
pub struct Canceller {
    cell: Arc<JobCell>,
    shared: Arc<Shared>,
}

impl<T> JobHandle<T> {
    pub(crate) fn new(cell: Arc<JobCell>, shared: Arc<Shared>, convert: fn(Reply) -> Result<T>) -> Self {
        JobHandle {
            cell,
            shared,
            convert,
            cancel_on_drop: false,
        }
    }

    pub(crate) fn cell(&self) -> &Arc<JobCell> {
        &self.cell
    }

    /// Whether a wait for the job, here and now, would be a wait of the blaster's thread for itself.
    pub(crate) fn would_deadlock(&self) -> bool {
        self.shared.is_own_worker() && !self.cell.slot.is_filled()
    }

    /// The job's number: jobs of one blaster are numbered in the order of their submission, from 0.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// What the job ended with; [`Error::Taken`] where the result was taken before. [`Error::WouldDeadlock`] on a
    /// thread of the same blaster where the job has not ended: the handle is then dropped as by `drop`, and the job
    /// runs on (or is cancelled, after [`JobHandle::cancel_on_drop`]). [`JobHandle::wait_timeout`] keeps the handle.
    pub fn wait(self) -> Result<T> {
        if self.would_deadlock() {
            return Err(Error::WouldDeadlock);
        }
        self.convert(self.cell.slot.wait())
    }

    /// Waits for the result for `timeout` at most; none where it has not come by then. The job goes on: wait
    /// again, or cancel it. On a thread of the same blaster this is [`Error::WouldDeadlock`] where the job has not
    /// ended, which takes nothing.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T>> {
        if self.would_deadlock() {
            return Some(Err(Error::WouldDeadlock));
        }
        let result = match clock::now().checked_add(timeout) {
            Some(deadline) => self.cell.slot.wait_until(deadline)?,
            None => self.cell.slot.wait(),
        };
        Some(self.convert(result))
    }

    /// The result, where it is there; none where it has not come yet. Once it was taken: [`Error::Taken`].
    pub fn try_wait(&mut self) -> Option<Result<T>> {
        let result = self.cell.slot.try_take()?;
        Some(self.convert(result))
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.slot.is_filled()
    }

    /// Cancels the job: one that waits is never sent, one under way loses its connection. It ends as
    /// [`Error::Cancelled`], unless its answer was there first.
    pub fn cancel(&self) {
        self.shared.cancel(&self.cell);
    }

    /// Something that can cancel the job while the handle is waited on elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            cell: Arc::clone(&self.cell),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Cancels the job when this handle is dropped before the result was taken.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    fn convert(&self, result: std::result::Result<Result<Reply>, Taken>) -> Result<T> {
        match result {
            Ok(result) => result.and_then(self.convert),
            Err(Taken) => Err(Error::Taken),
        }
    }
}

impl<T> Future for JobHandle<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.cell.slot.poll(context).map(|result| self.convert(result))
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        if self.cancel_on_drop && !self.cell.slot.is_filled() {
            self.shared.cancel(&self.cell);
        }
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle")
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}

impl Canceller {
    /// Cancels the job; see [`JobHandle::cancel`].
    pub fn cancel(&self) {
        self.shared.cancel(&self.cell);
    }

    /// The job's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.cell.id
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("id", &self.id()).finish()
    }
}
