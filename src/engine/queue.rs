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
    /// The same by the class of their answers first, which is their likely use (see [`JobSize::answer_class`]).
    pub(super) classes: BySize<(u8, u32)>,
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

    /// All of them, the oldest first.
    pub(super) fn oldest(&self) -> impl Iterator<Item = &Job> {
        let jobs = std::iter::successors(self.line.first(), |(id, _)| self.line.after(Some(*id)));
        jobs.map(|(_, job)| &**job)
    }

    pub(super) fn insert(&mut self, job: Box<Job>) {
        self.sizes.came(job.id(), job.request.size.total());
        self.classes.came(job.id(), class_and_size(&job));
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
        self.classes.went(job.id(), class_and_size(&job));
        Some(job)
    }

    /// Takes everything, in no particular order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Box<Job>> + use<> {
        self.sizes.clear();
        self.classes.clear();
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

    /// The same by the classes of their answers.
    pub(super) fn index_by_class(&mut self, among: usize) {
        self.classes.fill(&self.line, among, |job| class_and_size(job));
    }

    /// The first class after `last` of which there are indexed jobs.
    pub(super) fn class_after(&self, last: Option<u8>) -> Option<u8> {
        self.classes.class_after(last)
    }

    /// The indexed jobs of a class, the smallest first; or, backwards, the largest.
    pub(super) fn of_class(&self, class: u8) -> impl DoubleEndedIterator<Item = &Job> {
        self.classes
            .of_class(class)
            .filter_map(|id| Some(&**self.line.get(id)?))
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

fn class_and_size(job: &Job) -> (u8, u32) {
    let size = job.request.size;
    (size.answer_class(), size.total())
}
