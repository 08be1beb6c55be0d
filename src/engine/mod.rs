//! The queue, the worker threads and the handles.
//!
//! Jobs wait in lanes under one lock. After every change a *pump* hands jobs, each with the endpoint picked for it, to
//! idle workers through a channel, for as long as there is an idle worker and a lane that admits. One timer thread sleeps
//! until the next moment at which something is due. Nothing polls.
//!
//! # Reading order
//! 1. `core`: everything under the lock, and the decisions about it: its *pump* hands jobs out, its *settle* takes them back
//! 2. `shared`: the lock itself, and what is done when it is free
//! 3. `worker` and `attempt`: the life of a worker, and of one request; `connections`: what its transport tells meanwhile
//! 4. `slot` and [`handle`]: how a result comes to whoever waits
//! 5. [`blaster`] and [`builder`]: the face

pub use blaster::Blaster;
pub use builder::Builder;
pub use drain::DrainReport;
pub use event::Event;
pub use handle::{Canceller, JobHandle};
pub use job_set::JobSet;
pub use run_all::RunAll;
pub use setup::SetupReport;
pub use state::EndpointState;
pub use stream::{ChatStream, NextPiece, RawStream};

mod actions;
mod attempt;
mod attempted;
mod best_fit;
mod blaster;
mod builder;
mod by_id;
mod by_size;
mod configured;
mod connections;
mod core;
#[cfg(feature = "internals")]
pub(crate) mod decisions;
mod drain;
mod event;
mod handle;
mod job;
mod job_set;
mod lanes;
mod line;
mod local_limits;
#[cfg(all(test, model_check))]
mod model;
mod moment;
mod news;
mod pool;
mod queue;
mod raw_events;
mod raw_look;
mod run_all;
#[cfg(test)]
mod scenario;
mod scout;
mod setup;
mod shared;
mod signing;
mod sink;
mod slot;
mod sources;
mod state;
mod stored;
mod stream;
mod streamed;
mod sync;
mod tail;
#[cfg(test)]
mod tests;
mod ties;
mod whole;
mod worker;
