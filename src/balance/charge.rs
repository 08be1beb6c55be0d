//! What a request is expected to be charged.

/// What a request is expected to be charged on admission, in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    /// The most likely charge: of the prompt as the deployment counts it, and of the output that it reserves.
    pub tokens: f64,
    /// How far that may be off, as a variance: all of it is the prompt's.
    pub variance: f64,
    /// The prompt's part by our own count, to which the learnt factor does not apply.
    pub prompt: f64,
}
