//! Cancels one call from another thread. (Placeholder until the transport lands.)

/// The cancel switch of one job.
#[derive(Debug, Default)]
pub struct Gate(());
