//! Operations that a deployment lacks.

use std::time::Instant;

use super::out::DISABLED_PROBE;
use crate::api::Operation;
use crate::balance::Lease;

/// Most operations remembered as lacking; users may invent them without end, and one that is forgotten is merely
/// asked for again.
const MOST_LACKS: usize = 64;

/// Operations this deployment lacks, until when, and how it said so.
#[derive(Debug, Default)]
pub(in crate::balance) struct Lacks {
    lacks: Vec<Lack>,
    /// Operations that it has served, the latest that were new last.
    served: Vec<Operation>,
}

#[derive(Debug)]
pub(super) struct Lack {
    operation: Operation,
    pub(super) retry_at: Instant,
    pub(super) reason: String,
    /// There is nothing at its path.
    is_path: bool,
    /// One job alone has been told so, by what may be a firewall, and nobody else is there: another job finds out at once.
    is_doubtful: bool,
}

/// How it is known that an operation is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum Missing {
    /// The deployment says that it does not know it.
    Unknown,
    /// There is nothing at its path.
    Path,
    /// So it says to one job, in words that are not its own, and nobody else is there to compare with.
    PathForOne,
}

impl Missing {
    /// Whether there is nothing at its path.
    pub(super) fn is_path(self) -> bool {
        self != Missing::Unknown
    }
}

impl Lack {
    /// Whether it is not certain; before long it is asked for in any case.
    pub(super) fn is_doubtful(&self, now: Instant) -> bool {
        self.is_doubtful && now < self.retry_at
    }
}

impl Lacks {
    pub(super) fn is_empty(&self) -> bool {
        self.lacks.is_empty()
    }

    /// Whether it is not certain of one that it is missing.
    pub(super) fn is_any_doubtful(&self, now: Instant) -> bool {
        self.lacks.iter().any(|lack| lack.is_doubtful(now))
    }

    /// Whether there is nothing at any path that was asked for.
    pub(super) fn are_all(&self) -> bool {
        self.served.is_empty() && self.lacks.iter().any(|lack| lack.is_path)
    }

    /// How it said that there is nothing at a path.
    pub(super) fn path_reason(&self) -> Option<&str> {
        let lack = self.lacks.iter().find(|lack| lack.is_path)?;
        Some(&lack.reason)
    }

    /// What it lacks, and how it said so.
    pub(in crate::balance) fn reasons(&self) -> impl Iterator<Item = (&Operation, &str)> {
        self.lacks.iter().map(|lack| (&lack.operation, lack.reason.as_str()))
    }

    /// Whether it is not known to lack `operation`.
    pub(in crate::balance) fn is_news(&self, operation: &Operation) -> bool {
        self.of(operation).is_none()
    }

    pub(super) fn of(&self, operation: &Operation) -> Option<&Lack> {
        self.lacks.iter().find(|lack| lack.operation == *operation)
    }

    /// A request for `operation` has been answered well.
    pub(super) fn served(&mut self, operation: &Operation) {
        if !self.served.contains(operation) {
            if self.served.len() == MOST_LACKS {
                self.served.remove(0);
            }
            self.served.push(operation.clone());
        }
    }

    /// Whether it has served `operation`, as far as is remembered.
    pub(in crate::balance) fn has_served(&self, operation: &Operation) -> bool {
        self.served.contains(operation)
    }

    /// It has been found (again) that `operation` is missing.
    pub(super) fn add(&mut self, operation: &Operation, reason: &str, missing: Missing, now: Instant) {
        let is_doubtful = missing == Missing::PathForOne && self.is_news(operation);
        self.served.retain(|served| served != operation);
        self.lacks
            .retain(|lack| lack.operation != *operation && lack.retry_at > now);
        if self.lacks.len() == MOST_LACKS {
            self.lacks.remove(0);
        }
        self.lacks.push(Lack {
            operation: operation.clone(),
            retry_at: now + DISABLED_PROBE,
            reason: reason.to_owned(),
            is_path: missing.is_path(),
            is_doubtful,
        });
    }

    /// A request for `operation` is about to be sent: where it was missing, this first request after the pause finds
    /// out, and the others go on without this endpoint until it has.
    pub(super) fn ask(&mut self, operation: &Operation, now: Instant) {
        let is_asked = |lack: &&mut Lack| lack.operation == *operation && !lack.is_doubtful(now);
        if let Some(lack) = self.lacks.iter_mut().find(is_asked) {
            lack.retry_at = now + DISABLED_PROBE;
        }
    }

    /// The attempt has not shown whether the deployment still lacks its operation: where it was the one to find out,
    /// the next one does.
    pub(in crate::balance) fn unknown(&mut self, lease: &Lease, now: Instant) {
        let found_out = |lack: &&mut Lack| {
            lack.operation == lease.operation && lack.retry_at == lease.at + DISABLED_PROBE && !lack.is_doubtful(now)
        };
        if let Some(lack) = self.lacks.iter_mut().find(found_out) {
            lack.retry_at = now;
        }
    }

    /// The deployment knows `operation`.
    pub(super) fn remove(&mut self, operation: &Operation) {
        self.lacks.retain(|lack| lack.operation != *operation);
    }

    pub(super) fn clear(&mut self) {
        self.lacks.clear();
    }
}
