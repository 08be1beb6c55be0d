//! Behaviour through the public API. Each module says what belongs in it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

/// Conversations that stay where their prompt is cached, and responses where they are stored.
#[cfg(feature = "sim")]
mod affinity;
/// A callback or an event hook that panics, or that waits for its own worker.
#[cfg(feature = "sim")]
mod callbacks;
/// The calls and what they return, against a scripted service.
mod calls;
/// Jobs that are cancelled in the queue, under way, between two attempts and too late.
#[cfg(feature = "sim")]
mod cancel;
/// A server that answers with given bytes.
#[cfg(feature = "sim")]
mod canned;
/// The test binary as a process of its own.
#[cfg(all(feature = "sim", target_os = "linux"))]
mod child;
/// How a blaster ends: closed, drained or dropped, whatever is under way.
#[cfg(feature = "sim")]
mod closing;
/// A server whose conversations a test writes.
#[cfg(feature = "sim")]
mod conversing;
/// Refusals for want of quota.
#[cfg(feature = "sim")]
mod cooldowns;
/// Endpoints that fail in every known way.
#[cfg(feature = "sim")]
mod failures;
/// Endpoints that fail, hang and die, and come back.
#[cfg(feature = "sim")]
mod health;
/// Replies that are odd, and paid for.
#[cfg(feature = "sim")]
mod lenient;
/// Quotas: who waits for them, who does not, and what is said of them.
#[cfg(feature = "sim")]
mod limits;
/// Tens of thousands of jobs among endpoints that fail at random, audited against the journal.
#[cfg(feature = "sim")]
mod load;
/// A machine that lacks what connections take.
#[cfg(all(feature = "sim", target_os = "linux"))]
mod local_limits;
/// What must not grow, however long it goes on.
#[cfg(feature = "sim")]
mod memory;
/// Deployments that are of no use as they are configured.
#[cfg(feature = "sim")]
mod misconfigured;
/// Which job goes next, job timeouts, and the ways to take results.
#[cfg(feature = "sim")]
mod order;
/// Requests that every endpoint answers with an error.
#[cfg(feature = "sim")]
mod poison;
/// Connections by way of a proxy.
#[cfg(all(feature = "sim", target_os = "linux"))]
mod proxies;
/// Endpoints that fail often though not always, or fall silent, and how they come back.
#[cfg(feature = "sim")]
mod recovery;
/// When an answer has begun and when it is whole, on connections that say otherwise.
#[cfg(feature = "sim")]
mod replies;
/// Which deployment a request goes to, and what a deployment is held to.
#[cfg(feature = "sim")]
mod routing;
/// Very many endpoints and workers, very few, too many for the system, and none of them busy.
#[cfg(all(feature = "sim", target_os = "linux"))]
mod scale;
/// Where a key may go.
#[cfg(feature = "sim")]
mod security;
/// Answers that come as streams.
#[cfg(feature = "sim")]
mod streaming;
/// What the tests against the simulator share.
#[cfg(feature = "sim")]
mod support;
/// Deployments that sign in with tokens.
#[cfg(feature = "sim")]
mod tokens;
/// What reaches the wire, and what comes back of it.
#[cfg(feature = "sim")]
mod wire_fields;
