//! A whole backlog, as an iterator in and an iterator out.

use crate::api::{ChatCompletion, ChatRequest};
use crate::error::{Error, Result};

use super::blaster::Blaster;
use super::job_set::JobSet;

/// Runs every request of an iterator; see [`Blaster::run_all`].
///
/// Dropping it takes nothing more from the iterator; what was submitted runs on, unless [`RunAll::cancel_on_drop`] was
/// called, and its answers are lost.
#[derive(Debug)]
pub struct RunAll<I> {
    blaster: Blaster,
    requests: std::iter::Enumerate<std::iter::Fuse<I>>,
    under_way: JobSet<usize, ChatCompletion>,
    /// Most requests submitted and not taken.
    window: usize,
}

impl<I> RunAll<I> {
    /// Cancels what was submitted and not yielded when this is dropped.
    #[must_use]
    pub fn cancel_on_drop(mut self) -> Self {
        self.under_way = self.under_way.cancel_on_drop();
        self
    }
}

impl<I, R> RunAll<I>
where
    I: Iterator<Item = R>,
    R: Into<ChatRequest>,
{
    pub(crate) fn new(blaster: Blaster, requests: I, window: usize) -> Self {
        RunAll {
            blaster,
            requests: requests.fuse().enumerate(),
            under_way: JobSet::new(),
            window: window.max(1),
        }
    }

    /// The next item where nothing may be waited for: what is not under way yet is not sent either.
    fn next_on_own_thread(&mut self) -> Option<(usize, Result<ChatCompletion>)> {
        self.under_way.next().or_else(|| {
            let (index, _) = self.requests.next()?;
            Some((index, Err(Error::WouldDeadlock)))
        })
    }
}

impl<I, R> Iterator for RunAll<I>
where
    I: Iterator<Item = R>,
    R: Into<ChatRequest>,
{
    type Item = (usize, Result<ChatCompletion>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.blaster.is_own_thread() {
            return self.next_on_own_thread();
        }
        while self.under_way.len() < self.window {
            let Some((index, request)) = self.requests.next() else {
                break;
            };
            match self.blaster.submit(request) {
                Ok(handle) => self.under_way.insert(index, handle),
                Err(error) => return Some((index, Err(Error::from(error)))),
            }
        }
        self.under_way.next()
    }
}
