//! What an attempt came to, for the worker: more than the outcome that the balancer decides by.

use crate::api::withheld::Withheld;
use crate::api::{ChatCompletion, Headers};
use crate::balance::classify::{Judged, classify_fault};
use crate::balance::outcome::{Outcome, Used};
use crate::clock;
use crate::error::Upstream;
use crate::error::fault::{Fault, FaultKind, Phase};

use super::job::{Job, Reply};
use super::shared::Shared;

/// What an attempt came to.
#[derive(Debug)]
pub(crate) struct Attempted {
    /// What it came to, in words that may be recorded.
    pub(crate) outcome: Outcome,
    /// What whoever asked is told instead of the outcome's reason; empty where there is none.
    pub(crate) told: String,
    /// The answer, where the outcome is a success.
    pub(crate) reply: Option<Reply>,
    /// The service's reply, where it was no success.
    pub(crate) upstream: Option<Upstream>,
    /// Why the job ends, where the outcome does not say it.
    pub(crate) cause: Option<Cause>,
}

/// Why a job ends for a reason that is not the endpoint's.
#[derive(Debug)]
pub(crate) enum Cause {
    /// Cancelled, or the blaster was closed.
    Cancelled,
    /// The job's own timeout ran out.
    TimedOut,
    /// The stream's callback has had enough.
    Stopped(Box<ChatCompletion>),
    /// The stream broke after part of it was handed out.
    Broken(Option<Box<ChatCompletion>>),
    /// Foreign code panicked.
    Panicked(String),
}

pub(super) fn answered(reply: Reply, used: Used) -> Attempted {
    Attempted {
        reply: Some(reply),
        ..ended_as(Outcome::Success(used))
    }
}

/// Most bytes kept of a reply that is no success.
pub(super) const BODY_KEPT: usize = 64 * 1024;

/// A reply that is no success, as whoever asked may see it.
pub(super) fn upstream(status: u16, headers: Headers, body: &[u8], withheld: Withheld<'_>) -> Upstream {
    let body = withheld.told_bytes(&body[..body.len().min(BODY_KEPT)]).into_owned();
    Upstream::new(status, withheld.told_headers(headers), body)
}

/// What has been judged; with the service's reply, where it brought any words.
pub(super) fn judged(Judged { outcome, told }: Judged, upstream: Option<Upstream>) -> Attempted {
    Attempted {
        told,
        upstream,
        ..ended_as(outcome)
    }
}

fn ended_as(outcome: Outcome) -> Attempted {
    Attempted {
        outcome,
        told: String::new(),
        reply: None,
        upstream: None,
        cause: None,
    }
}

/// A request that brought no (whole) reply.
pub(super) fn failed(shared: &Shared, job: &Job, withheld: Withheld<'_>, fault: &Fault) -> Attempted {
    let job_over = job
        .deadline
        .is_some_and(|deadline| deadline <= shared.moment(clock::now()));
    match fault.kind {
        FaultKind::Cancelled => Attempted::ended(Cause::Cancelled),
        // Whichever limit it was: each ends with the job's time at the latest.
        FaultKind::Timeout(_) if job_over => Attempted {
            cause: Some(Cause::TimedOut),
            ..ended_as(Outcome::OutOfTime {
                silent: fault.phase != Phase::HeadReceived,
            })
        },
        _ => judged(classify_fault(fault, withheld), None),
    }
}

/// What an attempt failed for, in words; none where it brought the answer.
pub(super) fn problem(attempted: &Attempted) -> Option<Box<str>> {
    let words = match (&attempted.outcome, &attempted.cause) {
        (Outcome::Success(_), _) => return None,
        (_, Some(Cause::Cancelled)) => "cancelled",
        (_, Some(Cause::Stopped(_))) => "the caller had enough",
        (_, Some(Cause::Panicked(_))) => "a callback panicked",
        (Outcome::Throttled(throttle), _) => &throttle.reason,
        (
            Outcome::Failed { reason, .. }
            | Outcome::Unusable { reason, .. }
            | Outcome::Refused { reason, .. }
            | Outcome::Unsigned { reason },
            _,
        ) => reason,
        (Outcome::OutOfTime { .. }, _) => "the job's time was over",
        (Outcome::Abandoned, _) => "given up",
    };
    Some(words.into())
}

impl Attempted {
    /// An attempt that tells nothing about its endpoint.
    pub(crate) fn ended(cause: Cause) -> Self {
        Attempted {
            cause: Some(cause),
            ..ended_as(Outcome::Abandoned)
        }
    }
}
