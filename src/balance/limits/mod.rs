//! Keeps the quota of a deployment, or of a group of deployments, full without being refused.
//!
//! The service charges an estimate of each request against a quota of tokens, and counts requests apart. It does not say
//! how: in *windows* that begin anew every minute, at a phase of their own, in a *bucket* that drains all the time, or in a
//! sliding *log* of the last minute. So a [`Limit`] runs all models of the same sends, believes one of them, and learns
//! which it is, when windows begin and how large the quota is, mostly from refusals, of which it wants as few as possible.
//!
//! ```text
//!            admits(charge)                     settle(reservation)
//!                 │                                    │
//!      RequestPacer, block                  Answered, Kept  Refused, Told
//!      Unconfirmed: how much is risked?          │             │  the time it names tells which model is right,
//!      Bucket, Window: is there room?            │             │  the tokens that were admitted how large the quota
//!      Belief: is a trial worth it?              ▼             ▼
//!                 │                         the estimate    Belief, Quota, Window, Bucket
//!                 ▼                         becomes the     learn; nothing is sent
//!        Now(mode) or At(instant)           charge          before the wait is over
//! ```
//!
//! Reading order: `charge` (the words), `limit` (the calls), `admission` (may it go?), `doubts` (does a refusal say
//! anything?), `refusal` (what it teaches),
//! then the parts: `bucket`, `window`, `sliding_log` and its `sent_log`, `requests`, `quota`, `belief`, `raises`,
//! `unconfirmed`.

pub use belief::Form;
pub use charge::{Admission, Charge, Mode, Refusal, Reservation, Settlement, Wait};
pub use limit::{Limit, LimitSpec, Settled};
pub use sku::Sku;
pub use snapshot::{Contradiction, LimitSnapshot};
pub use tuning::Tuning;

mod admission;
mod belief;
mod bucket;
mod charge;
mod doubts;
mod limit;
mod moment;
mod quota;
mod raises;
mod refusal;
mod requests;
mod round_trips;
mod sent_log;
mod sku;
mod sliding_log;
mod snapshot;
#[cfg(test)]
mod tests;
mod tuning;
mod unconfirmed;
mod window;
