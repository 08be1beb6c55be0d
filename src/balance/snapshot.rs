//! What a report is made of.

use std::sync::Arc;
use std::time::Duration;

use super::Estimator;
use super::histogram::Histogram;
use crate::api::{AdviceKind, Condition, LimitReport, Told, Totals};

/// Raw material of an [`EndpointReport`](crate::api::EndpointReport).
#[derive(Clone, Debug)]
#[allow(missing_docs)] // field by field what the report says
pub struct Snapshot {
    pub name: Arc<str>,
    pub condition: Condition,
    pub reason: Option<String>,
    pub left: Option<Duration>,
    pub in_flight: u32,
    pub max_in_flight: u32,
    pub weight: u32,
    pub tier: u32,
    pub share: f64,
    pub totals: Totals,
    pub streak: u32,
    pub latency: Histogram,
    pub told: Told,
    pub limit: Option<LimitReport>,
    pub group_limit: Option<LimitReport>,
    pub estimator: Estimator,
    pub errors: Vec<String>,
    /// The operations that it lacks, and what to do about it.
    pub lacks: Vec<AdviceKind>,
    /// What is used is charged there, not what might have been.
    pub is_provisioned: bool,
}
