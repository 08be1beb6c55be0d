//! A world in simulated time: deployments that count quotas as the service does, the engine's own decisions, and
//! nothing else. No thread, no socket, no sleep; one seed, one story.
//!
//! # Reading order
//! 1. [`conditions`]: what may disturb the peace
//! 2. [`job`], [`fleet`]: what there is to do, and who does it
//! 3. [`service`]: a deployment as the service counts
//! 4. [`client`]: the engine's decisions, and what they are told of all this
//! 5. [`events`]: what happens, in the order of time
//! 6. [`record`]: what has happened, for whoever judges it
//! 7. [`bound`], [`oracle`]: how well it could have gone

pub(crate) mod bound;
pub(crate) mod chance;
pub(crate) mod client;
pub(crate) mod conditions;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod job;
pub(crate) mod oracle;
pub(crate) mod record;
pub(crate) mod service;
