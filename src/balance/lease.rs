//! The right to send one request to one endpoint.

use std::time::{Duration, Instant};

use super::quotas::Reserved;
use super::{EndpointId, JobSize};
use crate::api::Operation;

/// Permission to send one request to one endpoint, given by `pick` and handed back to `settle`.
///
/// A plain token: whoever holds it must hand it back, or the endpoint's place in flight is lost. The engine
/// wraps it so that even a panic hands it back.
#[must_use = "a lease that is not settled keeps its endpoint's place occupied for ever"]
#[derive(Debug)]
pub struct Lease {
    pub(super) endpoint: EndpointId,
    pub(super) role: Role,
    /// Which of its endpoint's leases it is.
    pub(super) number: u64,
    /// The endpoint's epoch when the lease was given: failures of one epoch count once.
    pub(super) epoch: u32,
    pub(super) operation: Operation,
    pub(super) at: Instant,
    /// Longest wait for its first byte, where that is less than the configured one.
    pub(super) first_byte: Option<Duration>,
    pub(super) size: JobSize,
    pub(super) reserved: Reserved,
    /// Whether a byte of the request may have left the machine.
    pub(super) written: bool,
    /// Requests that left the machine on it; a stale connection makes them two.
    pub(super) sent: u32,
    /// Tries of which nothing left.
    pub(super) not_sent: u32,
}

/// What a request is to its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of many.
    Regular,
    /// The one request that goes first after a failure's cooldown.
    Trial,
    /// Finds out whether an ejected or disabled endpoint is back; costs its job no attempt.
    Probe,
}

impl Lease {
    /// Where the request goes.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// What is asked.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Longest wait for the first byte of what it allows; none where the configured one holds.
    pub fn first_byte(&self) -> Option<Duration> {
        self.first_byte
    }

    /// What the request is to its endpoint.
    pub fn role(&self) -> Role {
        self.role
    }

    /// When the lease was given.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// What [`Balancer::connecting`](super::Balancer::connecting) finds it by while its request is under way.
    pub fn ticket(&self) -> u64 {
        self.reserved.ticket()
    }

    /// Whether the service may have seen anything of the request: so unless the opposite is known.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// A try on it is over, and is in its job's ledger: among what was sent, or apart.
    pub fn tried(&mut self, sent: bool) {
        if sent {
            self.sent += 1;
        } else {
            self.not_sent += 1;
        }
    }

    /// Nothing of the request has left the machine, or nothing of its last try: the service cannot have counted it.
    pub fn never_written(&mut self) {
        self.written = false;
    }
}
