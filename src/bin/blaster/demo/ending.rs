//! How a run ended.

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Every prompt came to its end.
    Done,
    /// Ctrl-C came first.
    Interrupted,
}
