//! What a reply's head tells, before its body has come.

use std::time::Instant;

use super::Balancer;
use crate::api::Told;
use crate::balance::{Lease, Role};

/// A reply's head, as far as the balancer cares.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHead {
    /// Whether the request was admitted: a status of success, without a Retry-After.
    pub admitted: bool,
    /// The service's own figures.
    pub told: Told,
}

impl Balancer {
    /// Learns from a reply's head, before its body. True where others may go now that had to wait.
    pub fn admitted(&mut self, lease: &Lease, head: &ReplyHead, now: Instant) -> bool {
        let index = lease.endpoint.index();
        let endpoint = &mut self.endpoints[index];
        endpoint.tallies.told = head.told;
        endpoint.doubts.heard();
        self.quotas.told(lease.endpoint, &head.told, now);
        if !head.admitted {
            return false;
        }
        self.quotas.confirm(lease.endpoint, &lease.reserved, now);
        endpoint
            .tallies
            .first_byte
            .record(now.saturating_duration_since(lease.at));
        let changed = endpoint.opened(lease);
        self.note(index, changed);
        lease.role != Role::Regular
    }
}
