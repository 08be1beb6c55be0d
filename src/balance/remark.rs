//! What is worth saying once, beside the conditions of endpoints.

use super::EndpointId;
use super::advice::WorkerAdvice;
use super::estimator::LimitAdvice;
use super::limits::Contradiction;

/// Something for the log and the listeners; the caller tells them.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// There are fewer workers than the quotas could use.
    Workers(WorkerAdvice),
}
