//! Deployments that sign in with tokens: what the sources of tokens tell the balancer, and what a refused token means.

use std::sync::{Arc, Weak};

use crate::api::error_object::ErrorObject;
use crate::api::withheld::Withheld;
use crate::auth::{Availability, Listener, News, OnRefusal, Pass, Refusal};
use crate::balance::classify::{Judged, classify_token_refusal};
use crate::balance::outcome::{Outcome, Scope};
use crate::balance::{EndpointId, Lease, SignedIn};

use super::attempted::{Attempted, judged};
use super::shared::Shared;

/// Tells the balancer of one blaster.
pub(crate) struct SignIns {
    /// The blaster owns the sources, and these own this.
    shared: Weak<Shared>,
}

impl SignIns {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        SignIns {
            shared: Arc::downgrade(shared),
        }
    }
}

impl Listener for SignIns {
    fn begun(&self) {
        // A provider of the user's that asked this blaster for something, and waited for it, would wait for its own token.
        if let Some(shared) = self.shared.upgrade() {
            shared.mark_worker();
        }
    }

    fn signed_in(&self, news: News) {
        let Some(shared) = self.shared.upgrade() else { return };
        let signed_in = match news.availability {
            Availability::SignedIn => SignedIn::Yes,
            Availability::Awaited(reason) => SignedIn::Awaited(reason),
            Availability::Lacking(reason) => SignedIn::Lacking(reason),
        };
        let id = EndpointId::at(news.endpoint);
        // The thread of a source, or a worker, or one of the user's that asks for another try: what the user's hook calls there
        // must not wait for the blaster.
        shared.as_worker(|| shared.act(|core, _, _| core.balancer.signed_in(id, news.number, signed_in)));
    }
}

/// There was no token when the request was to be sent.
pub(super) fn unsigned() -> Attempted {
    let reason = "its token had ended, and there was no new one".to_owned();
    let told = reason.clone();
    let outcome = Outcome::Unsigned { reason };
    judged(Judged { outcome, told }, None)
}

/// What a 401 to a request with a token comes to; `what` is what it would be for a key.
pub(super) fn refused(
    shared: &Shared,
    lease: &Lease,
    pass: &Pass,
    body: &[u8],
    withheld: Withheld<'_>,
    what: Judged,
) -> Judged {
    let Some(keeper) = &shared.keeper else {
        return what;
    };
    let error = ErrorObject::parse(body);
    let text = error.message.to_lowercase();
    let lacks_role = error.is_any(&["PermissionDenied"]) || error.says("does not have access to api/operation");
    let refusal = Refusal {
        pass: pass.id(),
        operation: lease.operation(),
        audience: named_audience(&text),
        lacks_role,
    };
    let name = &shared.endpoints[lease.endpoint().index()].name;
    let follows = keeper.refused(lease.endpoint().index(), &refusal);
    if let (OnRefusal::OtherAudience, Some(audience)) = (follows, refusal.audience) {
        log::warn!(
            "endpoint {name} asks for tokens of another audience, {}: one is tried; where that works, say so with `token_scope`",
            withheld.recorded(audience)
        );
    }
    classify_token_refusal(&error, lacks_role, withheld, |reason| match follows {
        OnRefusal::Again | OnRefusal::OtherAudience => Outcome::Unsigned { reason },
        OnRefusal::Operation => Outcome::Unusable {
            scope: Scope::Operation,
            reason: format!("no {} here with tokens: {reason}", lease.operation()),
        },
        OnRefusal::Deployment => Outcome::Unusable {
            scope: Scope::Deployment,
            reason,
        },
    })
}

/// The audience that a refusal names: `… audience is incorrect (https://cognitiveservices.azure.com), or …`.
fn named_audience(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("audience is incorrect (")?;
    let (audience, _) = rest.split_once(')')?;
    Some(audience.trim()).filter(|audience| audience.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_audience_that_it_wants_or_none() {
        let rows = [
            (
                "access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.",
                Some("https://cognitiveservices.azure.com"),
            ),
            (
                "access token is missing, invalid, audience is incorrect, or have expired.",
                None,
            ),
            ("audience is incorrect (", None),
            ("audience is incorrect (x)", None),
            ("", None),
        ];
        for (text, audience) in rows {
            assert_eq!(named_audience(text), audience, "{text}");
        }
    }
}
