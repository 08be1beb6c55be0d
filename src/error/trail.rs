//! What was tried for a job.

use super::Upstream;
use crate::api::Ledger;

/// What was tried for a job, and what the service said last.
///
/// Most variants of [`Error`](super::Error) hold one. [`Error::ledger`](super::Error::ledger) and
/// [`Error::upstream`](super::Error::upstream) give its parts whatever the variant:
///
/// ```
/// use azure_openai_blaster::testing::{Scripted, ScriptedReply};
/// use azure_openai_blaster::{Blaster, Error};
///
/// let service = Scripted::new(|_| ScriptedReply::status(400).body("too long"));
/// let blaster = Blaster::builder().transport(service).build()?;
/// let error = blaster.chat_text("A very long prompt.").unwrap_err();
/// if let Error::Refused(trail) = &error {
///     println!("{}, after {} attempts:\n{}", trail.reason, trail.ledger.len(), trail.ledger);
/// }
/// assert_eq!(error.upstream().map(|reply| reply.status), Some(400));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Trail {
    /// Each attempt of the job.
    pub ledger: Ledger,
    /// The service's last reply that was no success.
    pub upstream: Option<Upstream>,
    /// The last problem, in words: those of the service where it said anything, which may repeat what was asked.
    pub reason: String,
    /// Failed attempts that counted against `max_job_retry`.
    pub failures: u32,
}
