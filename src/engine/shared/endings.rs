//! How a job ends.

use std::time::Duration;

use crate::clock;
use crate::engine::actions::{Actions, Ending, Why};
use crate::engine::event::{self, Event};
use crate::engine::job::{Job, JobCell, Reply};
use crate::error::{Error, Trail};

use super::Shared;

impl Shared {
    /// Cancels a job, wherever it is.
    pub(crate) fn cancel(&self, cell: &JobCell) {
        // In this order: a job on its way back into the queue either sees the gate, or is found there.
        cell.gate.cancel();
        let mut actions = Actions::default();
        // A handle cancels while it is dropped, which must not panic.
        event::contain("a cancel", || {
            self.locked(|mut guarded| {
                if let Some(ending) = guarded.core.cancel(cell) {
                    actions.endings.push(ending);
                    // Others may have waited behind it.
                    guarded.core.go_on(clock::now(), &mut actions);
                }
                self.release(guarded, &mut actions);
            });
        });
        self.perform(actions);
    }

    /// Tells a job's handle how it ended, when all of the caller's that the job held has been let go of.
    pub(crate) fn finish(&self, job: &mut Job, submitted: Duration, attempts: usize, mut result: Result<Reply, Error>) {
        job.request.drop_sink();
        if let Some(hook) = &self.hook {
            let error = result.as_ref().err().map(Error::kind);
            let ended = Event::JobEnded {
                job: job.id(),
                error,
                attempts,
                duration: submitted,
            };
            if let Err(what) = event::tell(hook, &ended) {
                // What was sent stays true.
                let ledger = match &result {
                    Ok(reply) => reply.ledger().clone(),
                    Err(error) => error.ledger().cloned().unwrap_or_default(),
                };
                let trail = Box::new(Trail {
                    ledger,
                    ..Trail::default()
                });
                result = Err(Error::Panicked { what, trail });
            }
        }
        job.cell.slot.fill(result);
    }

    /// Tells the handle of a job that ends without a (further) attempt.
    pub(crate) fn finish_ending(&self, ending: Ending) {
        let Ending { mut job, why } = ending;
        let age = self.age(&job);
        let waited_for = match &why {
            Why::TimedOut(Some(words)) => words,
            _ => "it was waiting for a deployment to admit it",
        };
        let trail = job.take_trail(waited_for);
        let attempts = trail.ledger.len();
        let error = match why {
            Why::NoEndpoint(unavailable) => Error::NoEndpoint {
                endpoints: unavailable.reasons,
                lasting: unavailable.lasts,
                trail,
            },
            Why::TimedOut(_) => Error::Timeout {
                timeout: self.timeout_of(&job),
                trail,
            },
            Why::TooLate(at) => Error::TooLate {
                timeout: self.timeout_of(&job),
                earliest: self.moment(at).since(job.submitted),
                trail,
            },
            Why::TooLarge(most) => Error::TooLarge {
                tokens: job.request.size.total().into(),
                most,
                trail,
            },
            Why::ShutDown => Error::ShutDown {
                dropped: self.was_dropped(),
                trail,
            },
            Why::Cancelled => Error::Cancelled(trail),
            Why::Panicked(what) => Error::Panicked {
                what: what.to_string(),
                trail,
            },
        };
        self.finish(&mut job, age, attempts, Err(error));
    }

    /// The job's own timeout, as it was set.
    pub(crate) fn timeout_of(&self, job: &Job) -> Duration {
        job.deadline
            .map_or(Duration::MAX, |deadline| deadline.since(job.submitted))
    }
}
