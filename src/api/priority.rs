//! How urgent a job is.

use serde::{Deserialize, Serialize};

/// The class of a job: a worker that becomes free takes the oldest job of the most urgent class that may go.
///
/// Lower classes do not starve: once the oldest job of a class has waited for 30 s it takes every sixteenth
/// turn, whatever waits above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Priority {
    /// Somebody is waiting for the answer.
    Interactive,
    /// The usual case.
    #[default]
    Normal,
    /// A backlog that may wait for everything else.
    Batch,
}

impl Priority {
    /// All classes, most urgent first.
    pub const ALL: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Batch];

    /// Position in [`Priority::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
