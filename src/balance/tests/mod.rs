//! The balancer as a whole: a test for each row of the endpoint table (`endpoint/mod.rs`), and the
//! properties that hold in whatever order things happen.
//!
//! 1. [`resting`]: refusals, failures and the request that goes first afterwards
//! 2. [`out`]: ejected and disabled endpoints, probes, `enable`, `disable`, `cool_down`
//! 3. [`back`]: how endpoints come back, and what else takes them out
//! 4. [`silent`]: endpoints that fall silent
//! 5. [`blame`]: whose fault a failure is, and what becomes of its job
//! 6. [`places`]: who may have how many requests under way
//! 7. [`home`]: conversations that stay where they are, and responses that are stored in one place
//! 8. [`strategies`]: the order in which endpoints are tried
//! 9. [`contradicted`]: limits that the service does not keep
//! 10. [`stuck`]: what must keep nobody waiting
//! 11. [`any_order`]: the properties
//! 12. [`watched`]: what need not be asked for
//! 13. [`signing`]: endpoints that have no token
//! 14. [`suspects`]: failures of which the endpoint may be to blame or the job
//! 15. [`reached`]: endpoints that are never reached

mod any_order;
mod back;
mod blame;
mod charged;
mod contradicted;
mod home;
mod out;
mod places;
mod reached;
mod resting;
mod signing;
mod silent;
mod strategies;
mod stuck;
mod suspects;
mod watched;
