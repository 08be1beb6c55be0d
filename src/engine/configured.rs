//! What a configuration means to the engine's parts: the balancer, the transport, the sources of tokens.

use std::sync::Arc;

use super::shared::EndpointInfo;
use super::sources;
use crate::api::RequestDefaults;
use crate::api::withheld::{Mask, secrets_of_header};
use crate::auth::{self, Keeper};
use crate::balance::EndpointSpec;
use crate::balance::limits::LimitSpec;
use crate::config::{Auth, BlasterConfig, DeploymentConfig, Kind, QuotaGroup, Sku, defaults};
use crate::error::{Error, Result};
use crate::transport::target::host_of;
#[cfg(feature = "entra")]
use crate::transport::wire::private::PrivateClient;
use crate::transport::wire::{EndpointWire, WireError, WireSettings};
use crate::transport::{self, Target, UreqTransport};

pub(super) fn spec(deployment: &DeploymentConfig, config: &BlasterConfig) -> EndpointSpec {
    let group = deployment
        .quota_group
        .as_ref()
        .and_then(|name| config.quota_groups.iter().position(|group| group.name == *name));
    // A member of a group that states no limit of its own has none: what it meets is the group's.
    let [quota_window, request_window] = match group {
        Some(index) => config.quota_groups[index].windows_of(deployment),
        None => [deployment.quota_window, deployment.request_window],
    };
    let has_own = group.is_none() || deployment.tpm_limit.is_some() || deployment.rpm_limit.is_some();
    EndpointSpec {
        tier: deployment.priority,
        limit: has_own.then(|| LimitSpec {
            sku: deployment.sku,
            tpm: deployment.tpm_limit.map(u64::from),
            rpm: deployment.rpm_limit.map(u64::from),
            quota_window,
            request_window,
        }),
        group,
        default_limit: deployment.max_completion_tokens,
        name: deployment.name.as_str().into(),
        host: host_of(&deployment.endpoint).unwrap_or_default().into(),
        weight: deployment.weight,
        serves: deployment
            .served_models()
            .iter()
            .map(|model| model.as_str().into())
            .collect(),
        max_in_flight: deployment
            .max_in_flight
            .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        unavailable: deployment.auth.unavailable(),
    }
}

pub(super) fn group(group: &QuotaGroup) -> LimitSpec {
    LimitSpec {
        sku: Sku::Standard,
        tpm: group.tpm_limit.map(u64::from),
        rpm: group.rpm_limit.map(u64::from),
        quota_window: group.quota_window.unwrap_or(defaults::QUOTA_WINDOW),
        request_window: group.request_window.unwrap_or(defaults::REQUEST_WINDOW),
    }
}

pub(super) fn info(deployment: &DeploymentConfig, proxys: &[String]) -> EndpointInfo {
    EndpointInfo {
        name: deployment.name.as_str().into(),
        model: deployment.model.as_str().into(),
        group: deployment.quota_group.as_deref().map(Into::into),
        defaults: RequestDefaults {
            temperature: deployment.temperature,
            max_completion_tokens: deployment.max_completion_tokens,
            send_stream_options: deployment.send_stream_options,
        },
        timeout: deployment.timeout,
        mask: mask(deployment, proxys),
    }
}

/// What each call to the deployment carries that must not show, a proxy's secrets among it.
fn mask(deployment: &DeploymentConfig, proxys: &[String]) -> Mask {
    let key = match &deployment.auth {
        Auth::Key(key) => Some(key.expose().to_owned()),
        // A token is hidden by whoever sends it.
        Auth::Entra(_) | Auth::Custom(_) | Auth::None => None,
    };
    let headers = deployment.headers.iter();
    let headers = headers.flat_map(|(name, value)| secrets_of_header(name, value.expose()));
    Mask::of(key.into_iter().chain(headers).chain(proxys.iter().cloned()))
}

/// The transport over HTTP to the configured deployments.
pub(super) fn wire(config: &BlasterConfig, workers: usize) -> Result<UreqTransport> {
    let setup = |deployment: &DeploymentConfig, problem: String| Error::Setup {
        message: format!("deployment {:?}: {problem}", deployment.name),
        source: None,
    };
    let endpoints = config.deployments.iter().map(|deployment| {
        let url = Target::new(
            deployment.kind,
            &deployment.endpoint,
            &deployment.model,
            &deployment.api_version,
        )
        .map_err(|problem| setup(deployment, problem))?;
        let mut headers = crate::api::Headers::new();
        for (name, value) in &deployment.headers {
            headers
                .insert_secret(name, value.expose())
                .map_err(|problem| setup(deployment, problem))?;
        }
        Ok(EndpointWire {
            name: deployment.name.as_str().into(),
            url,
            auth: auth(deployment),
            headers,
            max_connections: deployment.max_in_flight.unwrap_or(workers).min(workers),
        })
    });
    UreqTransport::new(endpoints.collect::<Result<_>>()?, &settings(config)).map_err(not_set_up)
}

fn not_set_up(error: WireError) -> Error {
    Error::Setup {
        message: error.to_string(),
        source: error.into_cause(),
    }
}

fn settings(config: &BlasterConfig) -> WireSettings {
    WireSettings {
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        ca_file: config.ca_file.clone(),
        ..WireSettings::default()
    }
}

/// The sources of tokens, where a deployment needs one.
#[cfg(feature = "entra")]
pub(super) fn keeper(
    config: &BlasterConfig,
    variables: Option<auth::entra::Variables>,
    limits: auth::entra::EntraLimits,
) -> Result<Option<Arc<Keeper>>> {
    use auth::entra::{EntraSettings, EntraSource};
    if !config.deployments.iter().any(sources::signs_in) {
        return Ok(None);
    }
    let client = PrivateClient::new(&settings(config)).map_err(not_set_up)?;
    let entra = Arc::new(EntraSettings {
        variables: variables.unwrap_or_else(|| Arc::new(|name: &str| std::env::var(name).ok())),
        client: Arc::new(client),
        limits,
    });
    let (plan, sources) = sources::of(config, |identity| {
        Box::new(EntraSource::new(identity, Arc::clone(&entra)))
    });
    Ok(Some(Keeper::new(plan, sources)))
}

/// The sources of tokens, where a deployment needs one. Of Entra ID this build has none, and such deployments are disabled.
#[cfg(not(feature = "entra"))]
pub(super) fn keeper(config: &BlasterConfig) -> Option<Arc<Keeper>> {
    let (plan, sources) = sources::of(config, |identity| Box::new(auth::Lacking::of(identity)));
    (!sources.is_empty()).then(|| Keeper::new(plan, sources))
}

fn auth(deployment: &DeploymentConfig) -> transport::Auth {
    match (&deployment.auth, deployment.kind) {
        (Auth::Key(key), Kind::OpenAi) => transport::Auth::Bearer(key.clone()),
        (Auth::Key(key), Kind::Azure) => transport::Auth::Key(key.clone()),
        (Auth::Entra(_) | Auth::Custom(_), _) => transport::Auth::Token,
        (Auth::None, _) => transport::Auth::None,
    }
}
