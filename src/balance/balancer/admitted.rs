//! What a reply's head tells, before its body has come.

use std::time::{Duration, Instant};

use super::Balancer;
use crate::api::Told;
use crate::balance::{EndpointId, Lease, Role};

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
        let silent = endpoint.heard(lease, head.admitted, now);
        let is_news = self.quotas.told(lease.endpoint, &head.told, now);
        // A word of the service ends a contradiction, too.
        self.note_limits(lease.endpoint);
        self.note_charge(lease, head);
        let endpoint = &mut self.endpoints[index];
        if !head.admitted {
            return silent || is_news;
        }
        let confirms = self.quotas.confirm(lease.endpoint, &lease.reserved, now);
        let ramps = endpoint.may_go_on(now);
        let changed = endpoint.opened(lease, now);
        self.note(index, changed);
        silent || is_news || confirms || ramps || lease.role != Role::Regular
    }

    /// Where one lone request has followed another, what is left of the quota has fallen by what it was charged.
    fn note_charge(&mut self, lease: &Lease, head: &ReplyHead) {
        let index = lease.endpoint.index();
        let left = head.told.remaining_tokens.filter(|&left| head.admitted && left >= 0);
        let is_alone = self.endpoints[index].in_flight() == 1;
        let Some(left) = left.filter(|_| is_alone) else {
            self.lone[index] = None;
            return;
        };
        let before = self.lone[index].replace((lease.number, left));
        if let Some((number, before)) = before
            && number + 1 == lease.number
            && before > left
        {
            self.estimators[index].observe_charge(&lease.size, (before - left) as f64);
            self.quotas.charges_change(lease.endpoint);
        }
    }

    /// The request whose lease has this [ticket](Lease::ticket) found no open connection and waits for a new one: until
    /// that stands, the service's silence means nothing. Heard again where the connection that it went out on proved
    /// stale.
    pub fn connecting(&mut self, endpoint: EndpointId, ticket: u64) {
        self.quotas.connecting(endpoint, ticket);
    }

    /// The connection that [`Balancer::connecting`] told of stands after `took`, and the request goes out now.
    pub fn connected(&mut self, endpoint: EndpointId, ticket: u64, took: Duration, now: Instant) {
        self.quotas.connected(endpoint, ticket, took, now);
    }
}
