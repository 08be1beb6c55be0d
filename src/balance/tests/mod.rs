//! The balancer as a whole: a test for each row of the endpoint table (`endpoint/mod.rs`), and the
//! properties that hold in whatever order things happen.
//!
//! 1. [`resting`]: refusals, failures and the request that goes first afterwards
//! 2. [`out`]: ejected and disabled endpoints, probes, `enable`, `disable`, `cool_down`
//! 3. [`blame`]: whose fault a failure is, and what becomes of its job
//! 4. [`places`]: who may have how many requests under way
//! 5. [`strategies`]: the order in which endpoints are tried
//! 6. [`contradicted`]: limits that the service does not keep
//! 7. [`any_order`]: the properties

mod any_order;
mod blame;
mod contradicted;
mod out;
mod places;
mod resting;
mod strategies;
