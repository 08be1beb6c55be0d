//! What an attempt came to, in the words that the balancer decides by.
//!
//! One function, `classify`, turns the facts of a reply (or of its absence) into an [`Outcome`]; everything
//! that reads a reply asks it, so that the engine, the streams and the simulation agree on what a reply means.

use std::time::Duration;

use crate::api::Usage;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A whole, good reply, and what it used.
    Success(Used),
    /// The service refused for want of quota or capacity; costs the job no attempt.
    Throttled(Throttle),
    /// The attempt failed, and another endpoint may serve the job.
    Failed {
        /// Whose fault it may be.
        blame: Blame,
        /// In words, for the ledger and the report.
        reason: String,
    },
    /// The endpoint cannot serve this at all: wrong key, no such deployment, no such operation.
    Unusable {
        /// What is taken out.
        scope: Scope,
        /// In words, for the ledger and the report.
        reason: String,
    },
    /// The service refused the request for its content; no other endpoint would do better, none is harmed.
    Refused {
        /// Whether it says so in its own form. What does not may be the word of something on the way, and is asked for once
        /// more elsewhere.
        own: bool,
        /// In words, for the ledger.
        reason: String,
    },
    /// There was no token for it, or the service refused the one that there was: a new one is being fetched, and the
    /// endpoint waits for it. Tells nothing about the endpoint, and costs the job nothing.
    Unsigned {
        /// In words, for the ledger and the report.
        reason: String,
    },
    /// The job's own time was over. What that says about the endpoint is for the balancer to decide.
    OutOfTime {
        /// Whether nothing had come of the reply.
        silent: bool,
    },
    /// Ended from our side (cancelled, shut down, the caller stopped reading, a panic): tells nothing about the endpoint.
    Abandoned,
}

/// Tokens that the service counted, as far as it told them. None for what is absent, zero or beyond all measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Of the prompt, cached ones included.
    pub prompt: Option<u32>,
    /// Of all answers together, hidden reasoning included.
    pub output: Option<u32>,
}

impl Outcome {
    /// A good reply that does not tell what it used.
    pub const SUCCESS: Outcome = Outcome::Success(Used::UNTOLD);

    /// Whether something has come from the endpoint for certain.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Outcome::Success(_) | Outcome::Throttled(_) | Outcome::Unusable { .. } | Outcome::Refused { .. } => true,
            Outcome::Failed { blame, .. } => !matches!(blame, Blame::Endpoint | Blame::Cut | Blame::Nobody),
            Outcome::Unsigned { .. } | Outcome::OutOfTime { .. } | Outcome::Abandoned => false,
        }
    }
}

impl Used {
    /// Nothing was told.
    pub const UNTOLD: Used = Used {
        prompt: None,
        output: None,
    };
}

impl From<Option<Usage>> for Used {
    fn from(usage: Option<Usage>) -> Self {
        let told = |count: u64| u32::try_from(count).ok().filter(|&count| count > 0);
        usage.map_or(Used::UNTOLD, |usage| Used {
            prompt: told(usage.prompt_tokens),
            output: told(usage.completion_tokens),
        })
    }
}

/// A refusal for want of quota or capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// The time that the service named: the largest of the named delay and the exhausted axis' reset.
    /// None where it named none (or zero), and the balancer's own back-off decides.
    pub wait: Option<Duration>,
    /// What ran out.
    pub axis: Axis,
    /// In words, for the ledger and the report.
    pub reason: String,
}

/// What ran out when the service throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Requests per time.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// The throughput of a provisioned deployment.
    Throughput,
    /// The service's own capacity, with quota left.
    Capacity,
    /// Not said.
    Unknown,
}

/// Whose fault a failure may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The endpoint's, of which nothing was heard, or no more: no connection, a timeout.
    Endpoint,
    /// The endpoint's, or the request's: the connection was closed when the request was written, or the reply was cut.
    Cut,
    /// The endpoint's, which is there to say so: 408, 409, 421, 424, 425, 501 to 599.
    ServerError,
    /// The endpoint's or the request's: 500, a reply that makes no sense. Decided by how the job fares elsewhere.
    Unclear,
    /// The endpoint's or the request's: it was denied in words that are not the service's own, as by a firewall that
    /// reads prompts. Decided by whether the endpoint has served, and how others fare there.
    Denied {
        /// Where it is the endpoint's, that lasts until somebody changes something.
        lasts: bool,
    },
    /// Nobody's: a reused connection that had been closed meanwhile.
    Nobody,
    /// This machine's: it lacked what a connection takes. The job is tried again after a short rest.
    Here,
}

/// What a reply takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The deployment.
    Deployment,
    /// This operation on this deployment.
    Operation,
    /// The same, by a status alone (404, 405), which a firewall may answer that reads prompts: believed of an operation that has
    /// never served, and of another when as many jobs in a row meet it as take an endpoint out.
    Path {
        /// Whether the service says so in its own form.
        own: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_cannot_be_is_not_told() {
        for (json, prompt, output) in [
            (r#"{"prompt_tokens":8,"completion_tokens":5}"#, Some(8), Some(5)),
            (r#"{"prompt_tokens":0,"completion_tokens":-5}"#, None, None),
            (
                r#"{"prompt_tokens":1000000000000000000,"completion_tokens":1e300}"#,
                None,
                None,
            ),
            (
                r#"{"prompt_tokens":4294967295,"completion_tokens":null}"#,
                Some(u32::MAX),
                None,
            ),
        ] {
            let usage: Usage = serde_json::from_str(json).unwrap();
            assert_eq!(Used::from(Some(usage)), Used { prompt, output }, "{json}");
        }
        assert_eq!(Used::from(None), Used::UNTOLD);
    }
}
