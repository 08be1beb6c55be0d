//! What tests, benches and fuzz targets need of the inside. No promise of stability.

pub use crate::api::assembler::{Assembler, Step, read_whole_within};
pub use crate::api::withheld::Withheld;
#[cfg(feature = "entra")]
pub use crate::auth::entra::EntraLimits;
pub use crate::balance::classify::{
    Judged, REASON_MAX, ReplyFacts, bad_reply, classify, classify_error_frame, classify_fault,
};
pub use crate::balance::outcome::{Axis, Blame, Outcome, Scope, Throttle, Used};
pub use crate::balance::retry_after::WAIT_MAX;
pub use crate::balance::ring::Ring;
pub use crate::balance::rules::Rule;
pub use crate::balance::*;
pub use crate::clock::{Clock, ManualClock, SystemClock};
pub use crate::config::parse;
pub use crate::engine::decisions::{Decisions, Entrant, Fate, Rest, Sent};

#[cfg(feature = "sim")]
pub use crate::sim::{RequestsRead, read_requests};

/// The parser of event streams.
pub mod sse {
    pub use crate::transport::sse::*;
}
