//! What is worth saying once, beside the conditions of endpoints.

use std::time::Duration;

use super::EndpointId;
use super::advice::WorkerAdvice;
use super::estimator::LimitAdvice;
use super::limits::Contradiction;
use super::outages::Absent;

/// Something for the log and the listeners; the caller tells them.
#[derive(Clone, Debug, PartialEq)]
pub enum Remark {
    /// A limit was told that the service does not keep.
    Contradicted {
        /// Where that showed.
        endpoint: EndpointId,
        /// It is the limit of the endpoint's group, not its own.
        is_groups: bool,
        /// What was told, and what is believed.
        limit: Contradiction,
    },
    /// Requests to an endpoint set a limit on answers that is far too high.
    Answers(EndpointId, LimitAdvice),
    /// So many of a hundred requests to an endpoint are refused whatever is sent.
    Noise(EndpointId, u32),
    /// A job has waited for so long, with others perhaps, and all that may serve it are out; here is why, and whether this
    /// machine seems to be offline.
    AllOut(Duration, Vec<Absent>, bool),
    /// An endpoint that serves others lacks an operation, as it said in these words.
    Lacks(EndpointId, String),
    /// There are fewer workers than the quotas could use.
    Workers(WorkerAdvice),
}
