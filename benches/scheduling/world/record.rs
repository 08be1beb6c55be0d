//! What has happened.

use std::fmt;
use std::time::Duration;

use super::fleet::Plan;
use super::job::Job;
use super::service::Refusal;

/// A world's story.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) plans: Vec<Plan>,
    pub(crate) jobs: Vec<Job>,
    /// What was sent, in that order.
    pub(crate) sendings: Vec<Sending>,
    /// How each job has ended, if it has.
    pub(crate) ends: Vec<Option<JobEnd>>,
    /// What must not happen.
    pub(crate) flaws: Vec<String>,
    /// When it was over.
    pub(crate) over: Duration,
}

/// A request on its way, or after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sending {
    pub(crate) job: usize,
    pub(crate) client: usize,
    pub(crate) service: usize,
    pub(crate) is_probe: bool,
    /// When the client sent it.
    pub(crate) sent: Duration,
    /// When the service admitted it.
    pub(crate) admitted: Option<Duration>,
    /// When the client learnt its end, and which.
    pub(crate) end: Option<(Duration, End)>,
}

/// How a request ends for its client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Answered,
    Refused(Refusal),
    Reset,
    /// No byte came in time.
    TimedOut,
}

/// How a job has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct JobEnd {
    pub(crate) at: Duration,
    pub(crate) answered: bool,
}

impl Record {
    /// Refusals for each job.
    pub(crate) fn refusals(&self) -> f64 {
        let refused = |sending: &&Sending| matches!(sending.end, Some((_, End::Refused(_))));
        self.sendings.iter().filter(refused).count() as f64 / self.jobs.len() as f64
    }

    /// Jobs that have ended without an answer.
    pub(crate) fn failed(&self) -> usize {
        self.ends.iter().flatten().filter(|end| !end.answered).count()
    }

    /// When the last job ended, in seconds; infinity where one has not.
    pub(crate) fn drained(&self) -> f64 {
        let at = |end: &Option<JobEnd>| end.map_or(f64::INFINITY, |end| end.at.as_secs_f64());
        self.ends.iter().map(at).fold(0.0, f64::max)
    }

    /// When each job was admitted, in the order of the jobs; the world's end for those that were not.
    pub(crate) fn admissions(&self) -> Vec<Duration> {
        let mut admissions = vec![self.over; self.jobs.len()];
        for sending in &self.sendings {
            if let Some(at) = sending.admitted {
                admissions[sending.job] = at;
            }
        }
        admissions
    }
}

impl fmt::Display for Record {
    /// One line for each request, in the order in which they were sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "     sent  client     job  charge  expected  to        admitted        end"
        )?;
        for sending in &self.sendings {
            let job = &self.jobs[sending.job];
            write!(
                f,
                "{:9.3}  {:6}  {:6}  {:6}  {:8}  {:<8}",
                sending.sent.as_secs_f64(),
                sending.client,
                sending.job,
                job.charge(),
                job.expected_charge(),
                self.plans[sending.service].name
            )?;
            match sending.admitted {
                Some(at) => write!(f, "  {:8.3}", at.as_secs_f64())?,
                None => write!(f, "         –")?,
            }
            match sending.end {
                Some((at, end)) => write!(f, "  {:9.3}  ", at.as_secs_f64()).and_then(|()| match end {
                    End::Answered => write!(f, "answered"),
                    End::Refused(Refusal { wait, axis }) => write!(f, "refused for {wait:?}, {axis:?}"),
                    End::Reset => write!(f, "reset"),
                    End::TimedOut => write!(f, "timed out"),
                })?,
                None => write!(f, "          –")?,
            }
            writeln!(f, "{}", if sending.is_probe { ", a probe" } else { "" })?;
        }
        Ok(())
    }
}
