//! What follows from a decision: jobs that are sent, jobs that end, and news to be told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::balance::{Change, GiveUp, Lease, Remark, Unavailable};

use super::job::Job;

/// What is to be done when the lock is free again.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) endings: Vec<Ending>,
    pub(crate) changes: Vec<Change>,
    pub(crate) remarks: Vec<Remark>,
    /// Changes have been added to the news, and are to be told.
    pub(crate) news: bool,
    /// There is more to do than one hold of the lock allows.
    pub(crate) more: bool,
}

/// A job on its way to a worker.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) job: Box<Job>,
    pub(crate) lease: Lease,
    /// Longest wait for the first byte, where the endpoint is being probed.
    pub(crate) first_byte: Option<Duration>,
}

/// A job that ends without having been sent (again).
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) job: Box<Job>,
    pub(crate) why: Why,
}

/// Why a waiting job ends.
#[derive(Debug)]
pub(crate) enum Why {
    NoEndpoint(Unavailable),
    /// It waited for a token of each of these deployments, where it waited for nothing else.
    TimedOut(Option<Box<str>>),
    /// The first deployment that could take it could do so at this instant, after its time.
    TooLate(Instant),
    /// No deployment grants as many tokens in a whole window: so many at most.
    TooLarge(u64),
    ShutDown,
    Cancelled,
    /// A decision has panicked, in these words.
    Panicked(Arc<str>),
}

/// What becomes of a job whose attempt has been settled.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The job has its answer.
    Answered(Box<Job>),
    /// It waits again.
    Waiting,
    /// It ends with the attempt's error.
    Failed(Box<Job>, GiveUp),
    /// It was to be tried again, but ends for another reason.
    Ended(Ending),
}
