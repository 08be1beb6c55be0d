//! Which deployments share which tokens.

use crate::auth::{self, Ask, CachePlan, Identity, Plan, Source};
use crate::config::{Auth, BlasterConfig, DeploymentConfig, defaults};

/// The sources of tokens that a configuration names, and who uses them; nothing where nobody does.
pub(super) fn of(config: &BlasterConfig, build: impl Fn(&Identity) -> Box<dyn Ask>) -> (Plan, Vec<Source>) {
    let mut plan = Plan::default();
    let mut sources: Vec<(&DeploymentConfig, Source)> = Vec::new();
    for deployment in &config.deployments {
        let uses = signs_in(deployment).then(|| {
            let known = sources.iter().position(|(first, _)| is_same(first, deployment));
            let source = known.unwrap_or_else(|| {
                let provider: Box<dyn Ask> = match &deployment.auth {
                    Auth::Custom(provider) => Box::new(provider.clone()),
                    _ => build(&identity(deployment)),
                };
                let caches = Vec::new();
                sources.push((deployment, Source { provider, caches }));
                sources.len() - 1
            });
            let (first, source) = &mut sources[source];
            let mut cache = |scope: &str| {
                let is_it = |&&cache: &&usize| plan.caches[cache].scope == scope;
                if let Some(&cache) = source.caches.iter().find(is_it) {
                    return cache;
                }
                plan.caches.push(CachePlan {
                    source: name(first),
                    scope: scope.to_owned(),
                });
                source.caches.push(plan.caches.len() - 1);
                plan.caches.len() - 1
            };
            let scope = deployment.scope();
            let other = if scope == defaults::SCOPE {
                defaults::DATED_SCOPE
            } else {
                defaults::SCOPE
            };
            let other = deployment.token_scope.is_none().then_some(other);
            (cache(scope), other.map(cache))
        });
        plan.endpoints.push(uses);
    }
    (plan, sources.into_iter().map(|(_, source)| source).collect())
}

/// Whether a deployment signs in with tokens, as far as this build can.
pub(super) fn signs_in(deployment: &DeploymentConfig) -> bool {
    matches!(deployment.auth, Auth::Entra(_) | Auth::Custom(_)) && deployment.auth.unavailable().is_none()
}

/// Whether two deployments sign in as the same.
fn is_same(one: &DeploymentConfig, other: &DeploymentConfig) -> bool {
    one.auth == other.auth && (matches!(one.auth, Auth::Custom(_)) || identity(one) == identity(other))
}

fn identity(deployment: &DeploymentConfig) -> Identity {
    Identity {
        credential: match deployment.auth {
            Auth::Entra(credential) => credential,
            _ => auth::EntraCredential::Default,
        },
        tenant_id: deployment.tenant_id.clone(),
        client_id: deployment.client_id.clone(),
        object_id: deployment.object_id.clone(),
        resource_id: deployment.resource_id.clone(),
        client_secret: deployment.client_secret.clone(),
    }
}

/// What logs and reports call the source of a deployment's tokens.
fn name(deployment: &DeploymentConfig) -> String {
    match deployment.auth {
        Auth::Custom(_) => "the provider of tokens".to_owned(),
        _ => identity(deployment).name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AccessToken, EntraCredential, TokenError};

    fn no_token(_: &str) -> Result<AccessToken, TokenError> {
        Err(TokenError::passing("none"))
    }

    #[test]
    fn deployments_that_sign_in_as_the_same_share_tokens_by_scope() {
        let one = Auth::custom(no_token);
        let deployment =
            |name: &str, auth: &Auth| DeploymentConfig::new(name, "https://x.example", "m").auth(auth.clone());
        let config = BlasterConfig::new([
            deployment("dated", &one),
            deployment("key", &Auth::key("k")),
            deployment("twin", &one),
            deployment("v1", &one).api_version("v1"),
            deployment("own scope", &one).token_scope("https://x.example/.default"),
            deployment("other", &Auth::custom(no_token)),
        ]);
        let (plan, sources) = of(&config, |_| unreachable!("all are custom"));
        let scopes: Vec<_> = plan.caches.iter().map(|cache| cache.scope.as_str()).collect();
        let (dated, v1, own) = (defaults::DATED_SCOPE, defaults::SCOPE, "https://x.example/.default");
        assert_eq!(scopes, [dated, v1, own, dated, v1]);
        let uses = [
            Some((0, Some(1))),
            None,
            Some((0, Some(1))),
            Some((1, Some(0))),
            Some((2, None)),
            Some((3, Some(4))),
        ];
        assert_eq!(plan.endpoints, uses);
        let filled: Vec<_> = sources.iter().map(|source| source.caches.clone()).collect();
        assert_eq!(filled, [vec![0, 1, 2], vec![3, 4]]);
    }

    #[test]
    fn the_scope_goes_with_the_surface_unless_it_is_given() {
        let at = |endpoint: &str| DeploymentConfig::new("d", endpoint, "m").auth(Auth::entra(EntraCredential::Az));
        let rows = [
            (
                at("https://r.openai.azure.com"),
                "https://cognitiveservices.azure.com/.default",
            ),
            (
                at("https://r.openai.azure.com").api_version("v1"),
                "https://ai.azure.com/.default",
            ),
            (
                at("https://r.openai.azure.com/openai/v1"),
                "https://ai.azure.com/.default",
            ),
            (at("https://r.services.ai.azure.com"), "https://ai.azure.com/.default"),
            (
                at("https://r.services.ai.azure.com/api/projects/p"),
                "https://ai.azure.com/.default",
            ),
            (
                at("https://services.ai.azure.com.example"),
                "https://cognitiveservices.azure.com/.default",
            ),
            (
                at("https://r.openai.azure.us").token_scope("https://x/.default"),
                "https://x/.default",
            ),
        ];
        for (deployment, scope) in rows {
            assert_eq!(deployment.scope(), scope, "{}", deployment.endpoint);
        }
    }
}
