//! How a job comes in: where there is room, or as soon as there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{Operation, Priority};
use crate::balance::SetId;
use crate::clock;
use crate::engine::actions::Actions;
use crate::engine::core::NotTaken;
use crate::engine::event;
use crate::engine::job::{Job, JobCell, Request};
use crate::engine::sync::MutexGuard;

use super::{Guarded, Shared};

/// Whether, and until when, a submitter waits for room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Shared {
    /// Takes a job, or says why not.
    pub(crate) fn submit(
        &self,
        set: SetId,
        operation: &Operation,
        patience: Patience,
        request: Request,
        timeout: Option<Duration>,
        priority: Priority,
    ) -> Result<Arc<JobCell>, NotTaken> {
        let job = Job::new(request, priority);
        let patience = if self.is_own_worker() { Patience::None } else { patience };
        // A decision that panics has closed the blaster.
        let taken = event::contain("a submit", || {
            self.locked(|guarded| self.admit(set, operation, patience, job, timeout, guarded))
        });
        let (cell, actions) = taken.unwrap_or(Err(NotTaken::Closed))?;
        self.perform(actions);
        Ok(cell)
    }

    /// Waits for room, and takes the job. A job that is not taken is dropped after `guarded`, the last parameter: what
    /// it holds is the caller's.
    fn admit(
        &self,
        set: SetId,
        operation: &Operation,
        patience: Patience,
        job: Box<Job>,
        timeout: Option<Duration>,
        mut guarded: MutexGuard<'_, Guarded>,
    ) -> Result<(Arc<JobCell>, Actions), NotTaken> {
        loop {
            match (guarded.core.admission(), patience) {
                (Ok(()), _) => break,
                (Err(NotTaken::Full), Patience::Endless) => self.room.wait(&mut guarded),
                (Err(NotTaken::Full), Patience::Until(deadline)) => {
                    // Room may have come in the same moment, and then the wake-up must not be lost.
                    if self.room.wait_until(&mut guarded, deadline).timed_out()
                        && guarded.core.admission() == Err(NotTaken::Full)
                    {
                        return Err(NotTaken::Full);
                    }
                }
                (Err(why), _) => return Err(why),
            }
        }
        let now = clock::now();
        let deadline = timeout
            .or(self.timeouts.job)
            .and_then(|timeout| now.checked_add(timeout));
        let cell = guarded.core.submit(set, operation, job, deadline, now);
        let mut actions = Actions::default();
        guarded.core.go_on(now, &mut actions);
        self.release(guarded, &mut actions);
        Ok((cell, actions))
    }
}
