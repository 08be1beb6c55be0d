//! The worker threads: each takes a job with the endpoint picked for it, sends it, and settles it.

use std::sync::Arc;
use std::time::Duration;

use crate::balance::outcome::{Blame, Outcome};
use crate::balance::{GiveUp, Lease, backoff};
use crate::clock;
use crate::error::{Error, Upstream};

use super::actions::{Assignment, Ending, Settled, Why};
use super::attempt;
use super::attempted::{Attempted, Cause};
use super::core::Phase;
use super::event::{caught, contain, log_panic};
use super::job::{Job, Reply};
use super::shared::{Message, Shared};

/// Stack of a worker, in bytes. The deepest that was measured (a debug build, TLS, nested JSON) took 247 KiB.
pub(crate) const STACK: usize = 512 * 1024;

/// Longest rest of a worker for which this machine has no connection. Where there are more workers than there can be
/// connections, those that have one go on, and the others are out of their way.
const LONGEST_REST: Duration = Duration::from_millis(1600);

/// What a worker does when it has settled a job.
#[derive(Default)]
struct Next {
    assignment: Option<Box<Assignment>>,
    /// It is not idle, and has to rest before it is.
    rests: bool,
    /// How often in a row this machine had no connection for it.
    lacks: u32,
}

/// The life of a worker thread.
pub(crate) fn run(shared: &Arc<Shared>) {
    shared.mark_worker();
    let mut buffers = attempt::Buffers::default();
    let mut next = Next::default();
    shared.act(|core, _, _| core.worker_idles());
    while let Ok(Message::Work(assignment)) = shared.queue().recv() {
        next.assignment = Some(assignment);
        while let Some(assignment) = next.assignment.take() {
            // Whatever happens over one job, the thread lives, and the job that it was given next is not lost.
            contain("a worker", || work(shared, *assignment, &mut buffers, &mut next));
        }
        if next.rests {
            next.rests = false;
            shared.pause(backoff::short(next.lacks, LONGEST_REST, &mut rand::rng()));
            contain("a worker", || shared.act(|core, _, _| core.worker_idles()));
        }
    }
    shared.with_core(|core| core.worker_left());
}

/// Works on one assignment, and finds the next one where there is one for this worker.
fn work(shared: &Arc<Shared>, assignment: Assignment, buffers: &mut attempt::Buffers, next: &mut Next) {
    let Assignment { job, lease, first_byte } = assignment;
    let mut flight = InFlight {
        shared,
        held: Some((job, lease)),
    };
    // Foreign code (a stream's callback, the event hook) is caught where it is called; what gets here is our own
    // mistake, and costs one job, not a thread.
    let attempted = caught(|| {
        let (job, lease) = flight.held.as_mut().expect("taken only when it is settled");
        attempt::run(shared, job, lease, first_byte, buffers)
    });
    buffers.tidy();
    let attempted = attempted.unwrap_or_else(|what| {
        log_panic("an attempt");
        Attempted::ended(Cause::Panicked(what))
    });
    flight.settle(attempted, next);
}

/// A job under way and the lease it travels on. Dropped without having been settled, it hands the lease back as
/// abandoned and ends the job: nothing leaks, and no endpoint is harmed.
struct InFlight<'a> {
    shared: &'a Arc<Shared>,
    held: Option<(Box<Job>, Lease)>,
}

impl InFlight<'_> {
    fn settle(mut self, attempted: Attempted, next: &mut Next) {
        let (job, lease) = self.held.take().expect("settled once");
        settle(self.shared, job, lease, attempted, next);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some((job, lease)) = self.held.take() {
            let cause = Cause::Panicked("a worker ended".to_owned());
            settle_for_others(self.shared, job, lease, cause);
        }
    }
}

/// Ends an assignment that no worker will take any more, as cancelled.
pub(crate) fn give_up(shared: &Shared, assignment: Assignment) {
    let Assignment { job, mut lease, .. } = assignment;
    lease.never_written();
    settle_for_others(shared, job, lease, Cause::Cancelled);
}

/// Settles what came to nothing, on a thread that takes no further assignment.
fn settle_for_others(shared: &Shared, job: Box<Job>, lease: Lease, cause: Cause) {
    let mut next = Next::default();
    settle(shared, job, lease, Attempted::ended(cause), &mut next);
    if let Some(next) = next.assignment {
        shared.hand_on(next);
    }
}

/// Hands the lease back and ends the job, or lets it wait again. Its handle is told before anything else is done.
#[inline(never)] // so that its frame is no part of the stack of those who wait for a reply
fn settle(shared: &Shared, mut job: Box<Job>, lease: Lease, attempted: Attempted, next: &mut Next) {
    let Attempted {
        outcome,
        told,
        reply,
        upstream,
        cause,
    } = attempted;
    if !told.is_empty() {
        // It may wait with a hundred thousand others.
        job.note_problem(told, upstream.as_ref().map(Upstream::brief));
    }
    next.lacks = match &outcome {
        Outcome::Failed {
            blame: Blame::Here,
            reason,
        } => {
            let workers = shared.with_core(|core| core.workers);
            shared.lack_warning.warn(reason, workers, clock::now());
            next.lacks.saturating_add(1)
        }
        _ => 0,
    };
    next.rests = next.lacks > 0;
    // Before it is settled: whoever waits for the last job to end, to close then, may do so at once.
    let cancelled = matches!(cause, Some(Cause::Cancelled)).then(|| match shared.with_core(|core| core.phase()) {
        Phase::Closed => Why::ShutDown,
        _ => Why::Cancelled,
    });
    let assignment = (!next.rests).then_some(&mut next.assignment);
    let (settled, rest) = shared.settle(job, lease, &outcome, clock::now(), assignment);
    match settled {
        Settled::Answered(mut job) => {
            let age = shared.age(&job);
            let ledger = job.take_ledger();
            let attempts = ledger.len();
            let result = match reply {
                Some(mut reply) => {
                    reply.set_ledger(ledger);
                    Ok(reply)
                }
                None => Err(Error::Panicked {
                    what: "an answer without a reply".to_owned(),
                    trail: Box::default(),
                }),
            };
            shared.finish(&mut job, age, attempts, result);
        }
        Settled::Waiting => {}
        Settled::Failed(mut job, why) => {
            job.note_upstream(upstream);
            match cancelled {
                Some(why) => shared.finish_ending(Ending { job, why }),
                None => fail(shared, job, why, cause),
            }
        }
        Settled::Ended(mut ending) => {
            ending.job.note_upstream(upstream);
            shared.finish_ending(ending);
        }
    }
    shared.perform(rest);
}

/// Ends a job whose last attempt brought no answer.
fn fail(shared: &Shared, mut job: Box<Job>, why: GiveUp, cause: Option<Cause>) {
    let age = shared.age(&job);
    let timeout = shared.timeout_of(&job);
    let handed_out = job.handed_out();
    let trail = job.take_trail("");
    let attempts = trail.ledger.len();
    let result = match (cause, why) {
        (Some(Cause::Stopped(mut partial)), _) => {
            partial.set_ledger(trail.ledger);
            Ok(Reply::Chat(partial))
        }
        (Some(Cause::Panicked(what)), _) => Err(Error::Panicked { what, trail }),
        (Some(Cause::TimedOut), _) => Err(Error::Timeout { timeout, trail }),
        (Some(Cause::Broken(partial)), _) => Err(Error::StreamBroken { partial, trail }),
        (_, GiveUp::Refused) => Err(Error::Refused(trail)),
        _ if handed_out => Err(Error::StreamBroken { partial: None, trail }),
        (_, GiveUp::ServerErrors) => Err(Error::ServerErrors(trail)),
        (_, GiveUp::TooLarge(most)) => Err(Error::TooLarge {
            tokens: job.request.size.total().into(),
            most,
            trail,
        }),
        (_, GiveUp::Attempts) => Err(Error::Exhausted(trail)),
        (_, GiveUp::Abandoned) => Err(Error::Cancelled(trail)),
    };
    shared.finish(&mut job, age, attempts, result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scenario::{Bench, CHAT, SECOND, Stage, limit, shared, sized};
    use crate::testing::Scripted;

    /// One job under way at an endpoint with a limit, and what threads share.
    fn under_way() -> (Arc<Shared>, Assignment) {
        let mut bench: Bench = Stage::of(1).workers(1).limit(0, limit(Some(60_000))).begin();
        bench.enter(
            "m",
            &CHAT,
            sized(1_000),
            crate::api::Priority::Normal,
            Some(60 * SECOND),
        );
        let sent = bench.next();
        (Arc::new(shared(bench.core, Scripted::answering("yes"), 1)), sent)
    }

    /// What is reserved, and how many requests are under way.
    fn books(shared: &Shared) -> (Vec<(u64, f64)>, u32) {
        shared.with_core(|core| {
            let [booked, _] = core.balancer.reserved([].into_iter(), clock::now());
            (booked, core.balancer.in_flight())
        })
    }

    #[test]
    fn a_flight_that_a_panic_ends_hands_its_lease_back() {
        let (shared, Assignment { job, lease, .. }) = under_way();
        assert_eq!(books(&shared), (vec![(1, 1_000.0)], 1));
        let cell = Arc::clone(&job.cell);
        let flight = InFlight {
            shared: &shared,
            held: Some((job, lease)),
        };
        let panics = std::panic::AssertUnwindSafe(|| {
            let _flight = flight;
            panic!("on purpose");
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(books(&shared), (vec![(0, 0.0)], 0));
        assert!(matches!(cell.slot.try_take(), Some(Ok(Err(Error::Panicked { .. })))));
    }

    #[test]
    fn what_no_worker_takes_any_more_hands_its_lease_back() {
        let (shared, sent) = under_way();
        let cell = Arc::clone(&sent.job.cell);
        give_up(&shared, sent);
        assert_eq!(books(&shared), (vec![(0, 0.0)], 0));
        assert!(matches!(cell.slot.try_take(), Some(Ok(Err(Error::Cancelled(_))))));
    }
}
