//! What happened to a job: one entry for each request that left the machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Operation;

/// The attempts of one job, in the order in which they were made.
///
/// The number of [attempts](Ledger::attempts) is the number of requests that left the machine for this job,
/// always. What failed before a byte was written (connection refused, name not resolved) is kept
/// [apart](Ledger::not_sent). An answer has its ledger (`completion.ledger()`), and so has an error
/// ([`Error::ledger`](crate::Error::ledger)). `Display` gives one line for each attempt.
///
/// ```
/// use azure_openai_blaster::Blaster;
/// use azure_openai_blaster::testing::{Scripted, ScriptedReply};
///
/// // The first call is answered 503, the next ones "yes".
/// let service = Scripted::answering("yes").script("scripted", [ScriptedReply::status(503)]);
/// let blaster = Blaster::builder().transport(service).build()?;
/// let completion = blaster.chat("Is it up?")?;
/// println!("{}", completion.ledger()); // +0.000s scripted chat/completions (0.001s) 503: …
/// let statuses: Vec<_> = completion.ledger().attempts().iter().map(|attempt| attempt.status).collect();
/// assert_eq!(statuses, [Some(503), Some(200)]);
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ledger {
    attempts: Vec<Attempt>,
    /// Attempts beyond [`Ledger::KEPT`], counted but not kept.
    dropped: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_sent: Vec<Attempt>,
}

/// One request that left the machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Name of the deployment that was asked.
    pub endpoint: Arc<str>,
    /// What it was asked for.
    pub operation: Operation,
    /// Time from the job's submission to the start of this attempt.
    #[serde(rename = "offset_s", serialize_with = "seconds")]
    pub offset: Duration,
    /// Time that the job waited before this attempt, since its submission or its last attempt.
    #[serde(rename = "wait_s", serialize_with = "seconds")]
    pub wait: Duration,
    /// Time from the start of the attempt to its end.
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub duration: Duration,
    /// HTTP status, where a reply's head was received.
    pub status: Option<u16>,
    /// The reply's `x-ms-region`.
    pub region: Option<Box<str>>,
    /// The reply's `apim-request-id`, which Azure support asks for.
    pub request_id: Option<Box<str>>,
    /// Whether this attempt was an endpoint's probe, which costs its job no attempt.
    pub probe: bool,
    /// Why the job was tried again or ended; none for the attempt that answered it. Of the service's message only what does
    /// not stand in the request too, so that it may be recorded.
    pub problem: Option<Box<str>>,
}

impl Ledger {
    /// Most attempts kept; later ones are counted only. A job that waits for hours behind throttled endpoints
    /// would otherwise grow without bound.
    pub const KEPT: usize = 64;

    /// The attempts, oldest first (at most [`Ledger::KEPT`]).
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// How many requests left the machine.
    #[must_use]
    pub fn len(&self) -> usize {
        self.attempts.len() + self.dropped as usize
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// The latest attempt that left the machine.
    #[must_use]
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Attempts that failed before anything left the machine, oldest first (at most [`Ledger::KEPT`]).
    #[must_use]
    pub fn not_sent(&self) -> &[Attempt] {
        &self.not_sent
    }

    pub(crate) fn push_not_sent(&mut self, attempt: Attempt) {
        if self.not_sent.len() < Self::KEPT {
            self.not_sent.push(attempt);
        }
    }

    pub(crate) fn push(&mut self, attempt: Attempt) {
        if self.attempts.len() < Self::KEPT {
            if self.attempts.is_empty() {
                // Nearly always it stays the only one, and answers are kept.
                self.attempts.reserve_exact(1);
            }
            self.attempts.push(attempt);
        } else {
            // The first ones tell how it began, the last one how it ended.
            self.dropped += 1;
            self.attempts[Self::KEPT - 1] = attempt;
        }
    }
}

impl fmt::Display for Ledger {
    /// One line per attempt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<&Attempt> = self.attempts.iter().chain(&self.not_sent).collect();
        all.sort_by_key(|attempt| attempt.offset);
        for (index, attempt) in all.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{attempt}")?;
        }
        if self.dropped > 0 {
            write!(f, "\n({} more attempts before the last are not listed)", self.dropped)?;
        }
        Ok(())
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "+{:.3}s {} {} ({:.3}s)",
            self.offset.as_secs_f64(),
            self.endpoint,
            self.operation,
            self.duration.as_secs_f64()
        )?;
        match self.status {
            Some(status) => write!(f, " {status}")?,
            None => write!(f, " no reply")?,
        }
        if let Some(problem) = &self.problem {
            write!(f, ": {problem}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [{id}]")?;
        }
        Ok(())
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
