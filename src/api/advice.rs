//! What would make better use of deployments, as told to people and programs.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::Operation;

/// Something in the configuration, or in the requests, that could be better. Its text is its `Display`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// `name` of the deployment that it is about; none where it is about the blaster as a whole.
    pub endpoint: Option<Arc<str>>,
    /// What it is.
    #[serde(flatten)]
    pub kind: AdviceKind,
}

/// What is advised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdviceKind {
    /// More worker threads: jobs wait for one while the quotas have room.
    MoreWorkers {
        /// Threads in the pool.
        workers: u32,
        /// Requests that would be under way if the quotas were used up: so many threads would use them up.
        needed: u32,
    },
    /// A lower `max_completion_tokens`: a standard deployment charges all of it on admission.
    LowerLimit {
        /// Tokens that most requests ask for: their `max_completion_tokens`, times their `n`.
        limit: u32,
        /// Tokens that 99 % of their answers stay under.
        enough: u32,
    },
    /// Another region or processing tier, more capacity, or less for others: a part of the requests is refused whatever is
    /// sent.
    RefusedByNoLimit {
        /// So many of a hundred recent requests.
        percent: u32,
    },
    /// Another configuration of the deployment: it lacks what it was asked for.
    LacksOperation {
        /// What it lacks.
        operation: Operation,
        /// How it said so, and what to change.
        reason: String,
    },
}

impl Advice {
    pub(crate) fn of_endpoint(name: &Arc<str>, kind: impl Into<AdviceKind>) -> Self {
        Advice {
            endpoint: Some(Arc::clone(name)),
            kind: kind.into(),
        }
    }

    pub(crate) fn of_all(kind: impl Into<AdviceKind>) -> Self {
        Advice {
            endpoint: None,
            kind: kind.into(),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(endpoint) = &self.endpoint {
            write!(f, "{endpoint}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for AdviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdviceKind::MoreWorkers { workers, needed } => {
                let (plural, binds) = if *workers == 1 { ("", "binds") } else { ("s", "bind") };
                write!(
                    f,
                    "{workers} worker{plural} {binds} before the quotas do: {needed} would not"
                )
            }
            AdviceKind::LowerLimit { limit, enough } => {
                write!(f, "max_completion_tokens {limit}, 99 % of answers use under {enough}")
            }
            AdviceKind::RefusedByNoLimit { percent } => {
                write!(
                    f,
                    "{percent} % of requests are refused though the quota has room: the service lacks capacity, or others use \
                     the quota"
                )
            }
            AdviceKind::LacksOperation { reason, .. } => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_text_for_people_and_fields_for_programs() {
        let lacks = AdviceKind::LacksOperation {
            operation: Operation::Embeddings,
            reason: "404 for embeddings: look at base_url".to_owned(),
        };
        let lower = AdviceKind::LowerLimit {
            limit: 4096,
            enough: 310,
        };
        let more = |workers| AdviceKind::MoreWorkers { workers, needed: 190 };
        for (advice, text, json) in [
            (
                Advice::of_all(more(64)),
                "64 workers bind before the quotas do: 190 would not",
                r#"{"endpoint":null,"kind":"more_workers","workers":64,"needed":190}"#,
            ),
            (
                Advice::of_all(more(1)),
                "1 worker binds before the quotas do: 190 would not",
                r#"{"endpoint":null,"kind":"more_workers","workers":1,"needed":190}"#,
            ),
            (
                Advice::of_endpoint(&"east".into(), lower),
                "east: max_completion_tokens 4096, 99 % of answers use under 310",
                r#"{"endpoint":"east","kind":"lower_limit","limit":4096,"enough":310}"#,
            ),
            (
                Advice::of_endpoint(&"east".into(), lacks),
                "east: 404 for embeddings: look at base_url",
                r#"{"endpoint":"east","kind":"lacks_operation","operation":"embeddings","reason":"404 for embeddings: look at base_url"}"#,
            ),
        ] {
            assert_eq!(advice.to_string(), text);
            assert_eq!(serde_json::to_string(&advice).unwrap(), json);
        }
    }
}
