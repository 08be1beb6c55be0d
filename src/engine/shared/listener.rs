//! What the listener and the log are told.

use std::sync::Arc;

use crate::api::AdviceKind;
use crate::balance::{Change, EndpointId, Remark};
use crate::clock;
use crate::engine::event::{self, Event};

use super::Shared;

impl Shared {
    pub(super) fn announce(&self, change: Change) {
        let left = change.until.map(|until| until.saturating_duration_since(clock::now()));
        event::log_change(&change, left);
        let Change {
            endpoint,
            condition,
            reason,
            ..
        } = change;
        self.tell_listener(&Event::EndpointChanged {
            endpoint,
            condition,
            reason,
            left,
        });
    }

    pub(super) fn remark(&self, remark: Remark) {
        let of = |id: EndpointId| &self.endpoints[id.index()];
        match remark {
            Remark::Contradicted {
                endpoint,
                is_groups,
                limit,
            } => {
                let endpoint = of(endpoint);
                // Tokens a minute, which no cast can spoil.
                let contradicted = Event::LimitContradicted {
                    endpoint: Arc::clone(&endpoint.name),
                    group: endpoint.group.clone().filter(|_| is_groups),
                    told_tpm: limit.told.round() as u64,
                    believed_tpm: limit.believed.round() as u64,
                };
                event::log_contradiction(&contradicted);
                self.tell_listener(&contradicted);
            }
            Remark::Answers(endpoint, advice) => log::info!(
                "advice for endpoint {}: {}",
                of(endpoint).name,
                AdviceKind::from(advice)
            ),
            Remark::Noise(endpoint, percent) => log::info!(
                "advice for endpoint {}: {}",
                of(endpoint).name,
                AdviceKind::RefusedByNoLimit { percent }
            ),
            Remark::AllOut(waited, absent, is_offline) => event::log_all_out(waited, &absent, is_offline),
            Remark::Lacks(endpoint, reason) => log::warn!("endpoint {}: {reason}", of(endpoint).name),
            Remark::Workers(advice) => log::info!("advice: {}", AdviceKind::from(advice)),
        }
    }

    /// Tells the listener, if there is one, of what concerns no job: its panic ends none.
    fn tell_listener(&self, event: &Event) {
        if let Some(hook) = &self.hook
            && event::tell(hook, event).is_err()
        {
            event::log_panic("the event hook");
        }
    }

    /// Tells the listener, if there is one. Its panic is returned in words.
    pub(crate) fn tell(&self, make: impl FnOnce() -> Event) -> Result<(), String> {
        self.hook.as_ref().map_or(Ok(()), |hook| event::tell(hook, &make()))
    }
}
