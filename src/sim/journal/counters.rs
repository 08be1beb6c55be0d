//! Totals of a deployment and of the fleet.

use serde::Serialize;

use super::End;

/// Totals of one deployment since the fleet's start; clearing the journal does not touch them.
///
/// `requests = in_flight + completed + client_left + broken`, at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Requests received whole.
    pub requests: u64,
    /// Requests whose exchange is not over.
    pub in_flight: u64,
    /// The most that was in flight at once.
    pub most_in_flight: u64,
    /// Replies that went out whole, of any status.
    pub completed: u64,
    /// Exchanges that the client left before the reply was complete.
    pub client_left: u64,
    /// Exchanges that the server broke off: reset, cut, garbage, killed.
    pub broken: u64,
    /// Replies with a status of 200 to 399 whose head went out.
    pub succeeded: u64,
    /// Replies with status 429.
    pub throttled: u64,
    /// Replies with another status of 400 to 499.
    pub client_errors: u64,
    /// Replies with a status of 500 and above.
    pub server_errors: u64,
    /// Exchanges in which a fault was played.
    pub faults: u64,
    /// Tokens charged on admission.
    pub charged: u64,
}

impl Counters {
    /// The counter that an exchange in this state is part of.
    pub(super) fn of(&mut self, end: End) -> &mut u64 {
        match end {
            End::Open => &mut self.in_flight,
            End::Complete => &mut self.completed,
            End::ClientLeft => &mut self.client_left,
            End::Reset | End::Cut | End::Garbage | End::Killed => &mut self.broken,
        }
    }

    pub(super) fn answered(&mut self, status: u16) {
        *match status {
            429 => &mut self.throttled,
            400..=499 => &mut self.client_errors,
            500.. => &mut self.server_errors,
            _ => &mut self.succeeded,
        } += 1;
    }
}

/// Totals of the whole fleet since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests received whole, those that named no deployment included.
    pub requests: u64,
    /// Requests refused for their form (400, 413, 431, 501) before any deployment saw them; not among `requests`.
    pub refused: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// The most connections that were open at once.
    pub most_connections_open: u64,
    /// Journal entries that were dropped because the journal was full.
    pub forgotten: u64,
}
