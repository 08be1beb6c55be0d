//! The jobs of one class in one lane: by age, and the oldest of them by size.

use super::by_size::BySize;
use super::job::Job;
use super::line::Line;

/// Times that the oldest job may be passed by ones that fit where it does not; then it goes first.
const MOST_PASSES: u32 = 256;

/// Jobs by age: a job's id is its position in the order of submission.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: Line<Box<Job>>,
    pub(super) sizes: BySize,
    /// The oldest job when one was last preferred to it, and how often that was.
    passed: (u64, u32),
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// The oldest job.
    pub(super) fn first(&self) -> Option<(u64, &Job)> {
        self.line.first().map(|(id, job)| (id, &**job))
    }

    pub(super) fn insert(&mut self, job: Box<Job>) {
        self.sizes.came(job.id(), job.request.size.total());
        self.line.insert(job.id(), job);
    }

    pub(super) fn pop_first(&mut self) -> Option<Box<Job>> {
        let job = self.line.pop_first();
        self.left(job)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Box<Job>> {
        let job = self.line.remove(id);
        self.left(job)
    }

    fn left(&mut self, job: Option<Box<Job>>) -> Option<Box<Job>> {
        let job = job?;
        self.sizes.went(job.id(), job.request.size.total());
        Some(job)
    }

    /// Takes everything, in no particular order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Box<Job>> + use<> {
        self.sizes.clear();
        self.line.drain()
    }

    /// Whether another job may be preferred to `oldest`, which has been taken out to be looked at.
    pub(super) fn may_pass(&self, oldest: u64) -> bool {
        self.passed.0 != oldest || self.passed.1 < MOST_PASSES
    }

    /// A younger job goes before `oldest`.
    pub(super) fn pass(&mut self, oldest: u64) {
        if self.passed.0 != oldest {
            self.passed = (oldest, 0);
        }
        self.passed.1 += 1;
    }

    /// Prepares a look at the oldest `among` jobs by their sizes.
    pub(super) fn index(&mut self, among: usize) {
        self.sizes.fill(&self.line, among, |job| job.request.size.total());
    }

    /// Whether a job that comes now would be among the oldest `among` in the index, or older than one of them.
    pub(super) fn is_among(&self, job: u64, among: usize) -> bool {
        self.sizes.holds_less_than(among) || self.sizes.covers(job)
    }

    /// Of the indexed jobs those that are no larger than `most` tokens, the largest first.
    pub(super) fn largest(&self, most: u32) -> impl Iterator<Item = &Job> {
        self.sizes.largest(most).filter_map(|id| Some(&**self.line.get(id)?))
    }

    /// The indexed jobs, the smallest first.
    pub(super) fn smallest(&self) -> impl Iterator<Item = &Job> {
        self.sizes.smallest().filter_map(|id| Some(&**self.line.get(id)?))
    }
}
