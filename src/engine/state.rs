//! A live view of one endpoint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Advice, AdviceKind, EndpointReport};
use crate::balance::EndpointId;

use super::shared::Shared;

/// A live handle on one endpoint: look at it, take it out, bring it back. Clones see the same endpoint.
///
/// ```
/// use azure_openai_blaster::Blaster;
/// use azure_openai_blaster::api::Condition;
/// use azure_openai_blaster::testing::Scripted;
///
/// let blaster = Blaster::builder().transport(Scripted::answering("yes")).build()?;
/// blaster.chat_text("Are you there?")?;
/// let state = &blaster.states()[0];
/// println!("{}", state.report()); // a line for people; its fields are for programs
/// assert_eq!(state.report().totals.succeeded, 1);
///
/// state.disable("maintenance");
/// assert_eq!(state.report().condition, Condition::Disabled);
/// assert!(blaster.chat_text("And now?").is_err());
///
/// state.enable(); // the next request finds out whether it is well
/// blaster.chat_text("And now?")?;
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone)]
pub struct EndpointState {
    shared: Arc<Shared>,
    id: EndpointId,
}

impl EndpointState {
    pub(crate) fn new(shared: Arc<Shared>, id: EndpointId) -> Self {
        EndpointState { shared, id }
    }

    /// `name` of the deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.endpoints[self.id.index()].name
    }

    /// What it is doing, and how it has fared.
    #[must_use]
    pub fn report(&self) -> EndpointReport {
        let snapshot = self.shared.snapshot(self.id);
        // Percentiles and texts are made here, not under the lock.
        let limit = snapshot.estimator.limit_advice().filter(|_| !snapshot.is_provisioned);
        let limits = [&snapshot.limit, &snapshot.group_limit].into_iter().flatten();
        let noise = limits.filter_map(|limit| limit.noise_percent).max();
        let noise = noise.map(|percent| AdviceKind::RefusedByNoLimit { percent });
        let kinds = snapshot
            .lacks
            .into_iter()
            .chain(limit.map(AdviceKind::from))
            .chain(noise);
        let advice: Vec<Advice> = kinds.map(|kind| Advice::of_endpoint(&snapshot.name, kind)).collect();
        EndpointReport {
            name: snapshot.name,
            model: Arc::clone(&self.shared.endpoints[self.id.index()].model),
            condition: snapshot.condition,
            reason: snapshot.reason,
            left: snapshot.left,
            in_flight: snapshot.in_flight,
            max_in_flight: snapshot.max_in_flight,
            weight: snapshot.weight,
            tier: snapshot.tier,
            share: snapshot.share,
            totals: snapshot.totals,
            failure_streak: snapshot.streak,
            latency_p50: snapshot.latency.quantile(0.5),
            latency_p99: snapshot.latency.quantile(0.99),
            told: snapshot.told,
            limit: snapshot.limit,
            group_limit: snapshot.group_limit,
            prompt_error: snapshot.estimator.prompt_error(),
            advice,
            errors: snapshot.errors,
        }
    }

    /// Brings the endpoint back: ends its cooldown, or, where it is ejected or disabled, lets the next request find
    /// out whether it is well. Jobs wait for that request, instead of failing because all are disabled.
    /// Where it has no token, its source is asked once more; a deployment that cannot be used as it is configured (this build
    /// lacks what its `api_key` needs) stays out.
    pub fn enable(&self) {
        if let Some(keeper) = &self.shared.keeper {
            keeper.request(self.id.index());
        }
        self.shared.act(|core, now, _| core.balancer.enable(self.id, now));
    }

    /// Takes the endpoint out until [`EndpointState::enable`] is called. What is under way there goes on.
    pub fn disable(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.shared.act(|core, _, _| core.balancer.disable(self.id, reason));
    }

    /// Gives the endpoint no work for `rest`; a longer rest that it has already stays. More than a hundred years,
    /// [`Duration::MAX`] among them, are a hundred years.
    pub fn cool_down(&self, rest: Duration) {
        // What every clock can count.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
        self.shared.act(|core, now, _| {
            core.balancer.cool_down(self.id, now + rest.min(LONGEST));
        });
    }
}

impl fmt::Debug for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointState")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
