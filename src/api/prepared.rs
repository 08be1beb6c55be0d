//! A request, checked and ready to wait for its turn.

use super::body::RequestBody;
use super::{Method, Operation, Options};

/// A request of any kind in the form in which the engine takes it.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// What is asked.
    pub(crate) operation: Operation,
    /// How.
    pub(crate) method: Method,
    /// The body, without its model.
    pub(crate) body: RequestBody,
    /// What is said to the engine.
    pub(crate) options: Options,
}
