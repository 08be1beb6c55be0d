//! What becomes of a job after an attempt.

use std::time::Instant;

use rand::Rng;

use super::backoff;
use super::job::JobState;

/// Attempts answered by 500 (or senselessly) after which a job is given up, whatever `max_job_retry` says: by
/// then it is the job that is at fault, or everything is.
const MOST_UNCLEAR: usize = 3;

/// What becomes of the job after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Answered.
    Done,
    /// It is tried again, not before this instant.
    RetryAt(Instant),
    /// It ends with the error of this attempt.
    GiveUp(GiveUp),
}

/// Why a job is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The service refused the request for what it holds.
    Refused,
    /// As many attempts failed as `max_job_retry` allows.
    Attempts,
    /// Every endpoint that could be asked, or three, answered 500 or senselessly.
    ServerErrors,
    /// Every endpoint has refused it, alone, as larger than its quota: the largest of those grants so many tokens a window.
    TooLarge(u64),
    /// Ended from our side, or with the job's time.
    Abandoned,
}

/// After a failure that was the endpoint's, as far as is known. The job `rests` where it has failed at all that are ready and
/// would go again at once: what all endpoints meet at one moment would cost it all of its attempts.
pub(super) fn after_failure(
    job: &mut JobState,
    max_attempts: u32,
    rests: bool,
    rng: &mut impl Rng,
    now: Instant,
) -> Verdict {
    if job.failures() >= max_attempts {
        Verdict::GiveUp(GiveUp::Attempts)
    } else if rests {
        Verdict::RetryAt(now + backoff::short(job.note_rest(), backoff::SHORT_CAP, rng))
    } else {
        Verdict::RetryAt(now)
    }
}

/// After a 500, or a senseless reply: whether it came to a probe, and whether nobody is left who has not been asked.
pub(super) fn after_unclear(
    job: &mut JobState,
    max_attempts: u32,
    probe: bool,
    asked_all: bool,
    rng: &mut impl Rng,
    now: Instant,
) -> Verdict {
    let met = job.unclear().count();
    if job.suspected_endpoints() >= MOST_UNCLEAR {
        return Verdict::GiveUp(GiveUp::ServerErrors);
    }
    if probe {
        // It costs nothing; but a job that is all there is to probe with must not be tried for ever.
        let hopeless = asked_all && met >= MOST_UNCLEAR;
        return if hopeless {
            Verdict::GiveUp(GiveUp::ServerErrors)
        } else {
            Verdict::RetryAt(now)
        };
    }
    // One endpoint alone may have had a bad moment: it is asked twice.
    if asked_all && met >= 2 {
        return Verdict::GiveUp(GiveUp::ServerErrors);
    }
    match after_failure(job, max_attempts, false, rng, now) {
        Verdict::RetryAt(now) if asked_all => Verdict::RetryAt(now + backoff::jittered(met as u32, rng)),
        verdict => verdict,
    }
}
