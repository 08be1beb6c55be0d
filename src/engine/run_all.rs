//! A whole backlog, as an iterator in and an iterator out.

use crate::api::{ChatCompletion, ChatRequest};
use crate::error::{Error, Result};

use super::blaster::Blaster;
use super::job_set::JobSet;

/// Runs every request of an iterator; see [`Blaster::run_all`].
#[derive(Debug)]
pub struct RunAll<I> {
    blaster: Blaster,
    requests: std::iter::Enumerate<std::iter::Fuse<I>>,
    under_way: JobSet<usize, ChatCompletion>,
    /// Most requests submitted and not taken.
    window: usize,
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
}

impl<I, R> Iterator for RunAll<I>
where
    I: Iterator<Item = R>,
    R: Into<ChatRequest>,
{
    type Item = (usize, Result<ChatCompletion>);

    fn next(&mut self) -> Option<Self::Item> {
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
