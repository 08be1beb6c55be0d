//! What a request used.

/// What a request used, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    /// Of those, cached.
    pub(crate) cached: u64,
    /// With the hidden ones.
    pub(crate) completion: u64,
    /// Of those, hidden.
    pub(crate) reasoning: u64,
}

impl Usage {
    pub(crate) fn total(&self) -> u64 {
        self.prompt + self.completion
    }
}
