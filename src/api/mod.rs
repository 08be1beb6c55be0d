//! Words: what is sent to the service and what comes back.

pub use headers::Headers;
pub use ledger::{Attempt, Ledger};
pub use operation::Operation;
pub use priority::Priority;
pub use report::{Condition, EndpointReport, Told, Totals};
pub use secret::Secret;

pub(crate) mod clip;
pub mod headers;
pub mod ledger;
pub mod operation;
pub mod priority;
pub mod report;
pub mod secret;
