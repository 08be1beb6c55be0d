//! Tiers: which endpoints are asked first, and when the next ones help out.
//!
//! A job goes to the lowest tier in which somebody can take it, so the next tier is used before the first refuses. An
//! endpoint whose quota was found full is left alone for a second then, unless nobody else can take the job: without
//! that, its drops of quota would draw single jobs back and forth between the tiers. Nothing of the quota is lost by it,
//! since what is not used in that second is there after it.

use std::time::{Duration, Instant};

use super::grade::Grade;
use super::limits::Sku;
use super::{EndpointId, EndpointSpec};

/// An endpoint of a lower tier is left alone for so long after it was found full.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// The tiers of all endpoints.
#[derive(Debug)]
pub(super) struct Tiers {
    /// By endpoint.
    standings: Vec<Grade>,
    /// By endpoint: until when it is left alone, if there is more than one tier.
    full_until: Vec<Option<Instant>>,
}

impl Tiers {
    pub(super) fn new(specs: &[EndpointSpec]) -> Self {
        let mut tiers: Vec<u32> = specs.iter().map(|spec| spec.tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        let standing = |spec: &EndpointSpec| {
            let tier = tiers.partition_point(|&tier| tier < spec.tier);
            Grade::standing(tier, !spec.is_provisioned())
        };
        Tiers {
            standings: specs.iter().map(standing).collect(),
            full_until: if tiers.len() > 1 {
                vec![None; specs.len()]
            } else {
                Vec::new()
            },
        }
    }

    /// How good a place the endpoint is, before anything is known of the job.
    #[inline]
    pub(super) fn standing(&self, endpoint: EndpointId, now: Instant) -> Grade {
        let standing = self.standings[endpoint.index()];
        match self.full_until.get(endpoint.index()) {
            Some(Some(until)) if now < *until => standing.lately_full(),
            _ => standing,
        }
    }

    /// The endpoint's quota has been found full.
    #[inline]
    pub(super) fn found_full(&mut self, endpoint: EndpointId, now: Instant) {
        if let Some(until) = self.full_until.get_mut(endpoint.index()) {
            *until = Some(now + LEFT_ALONE);
        }
    }
}

impl EndpointSpec {
    /// Whether its capacity is paid for, used or not.
    pub(super) fn is_provisioned(&self) -> bool {
        self.limit.is_some_and(|limit| limit.sku == Sku::Provisioned)
    }
}
