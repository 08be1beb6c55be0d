//! Refusals for want of quota, and how long they make an endpoint rest.

use std::time::{Duration, Instant};

use crate::balance::backoff;
use crate::balance::outcome::Axis;
use crate::balance::rules::Rule;

/// From this refusal of a row on, the service's own wait has not been enough, and a back-off is added to it.
const ESCALATE_FROM: u32 = 3;
/// The least that it begins with.
const LEAST: Duration = Duration::from_millis(1);

/// Refusals (429) in a row, those under way together counted once.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    row: u32,
    last: Option<Instant>,
    /// When the last one came of those before, which were not under way together with these.
    earlier: Option<Instant>,
}

impl Refusals {
    /// A request that was sent at `sent_at` is refused now.
    pub(super) fn add(&mut self, sent_at: Instant, now: Instant) {
        // Requests under way together are refused together; only one that was sent after a refusal is a further one.
        if self.last.is_none_or(|last| sent_at > last) {
            self.row += 1;
            self.earlier = self.last;
        }
        self.last = Some(now);
    }

    /// Whatever was sent after this moment and was admitted ends the row: it went with the latest refusals, or later.
    pub(super) fn ends_after(&self) -> Option<Instant> {
        self.earlier.or(self.last)
    }

    /// A request that was sent at `sent_at` has been served: one from before the last refusal tells nothing about it.
    pub(super) fn served(&mut self, sent_at: Instant) {
        if self.last.is_some_and(|last| sent_at > last) {
            *self = Refusals::default();
        }
    }

    /// The rest after the latest of the row, for which the service has `named` a time or none. Provisioned deployments
    /// name theirs to the millisecond, by a level that is known. Who names milliseconds hears from us again in milliseconds:
    /// of a thousand refusals a second that have nothing to do with what was sent, a few are three in a row.
    pub(super) fn rest(&self, named: Option<Duration>, axis: Axis) -> Duration {
        match named {
            Some(named) if !Rule::Escalation.is_on() || self.row < ESCALATE_FROM || axis == Axis::Throughput => named,
            Some(named) => {
                named + backoff::doubled_from(named.clamp(LEAST, backoff::BASE), self.row - ESCALATE_FROM + 1)
            }
            None => backoff::doubled(self.row),
        }
    }
}
