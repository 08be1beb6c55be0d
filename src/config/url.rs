//! What a URL in a configuration may be, and how much of it may be shown.

use std::borrow::Cow;

use ureq::http::Uri;

use super::complaint::found;
use super::{DeploymentConfig, Kind};
use crate::api::Operation;
use crate::transport::Target;
use crate::transport::place::{self, Place};
use crate::transport::target::{V1, dated, is_loopback};

/// Text for an URL that is none.
const NO_URL: &str = "be an absolute URL such as https://my-resource.openai.azure.com";

/// Longest base URL, in bytes: with the deployment and the operation behind it, it has to leave in one piece.
const MAX_BASE: usize = 2048;

/// `endpoint` as its base URL, and the version of the API that it names; untouched where it means nothing, or names
/// another deployment than `model`.
pub(super) fn taken_apart(kind: Kind, endpoint: String, model: &str) -> (String, Option<String>) {
    match Place::of(kind, &endpoint) {
        Ok(place) if place.deployment.as_deref().is_none_or(|named| named == model) => (place.base, place.api_version),
        _ => (endpoint, None),
    }
}

/// The deployment that an endpoint names in its path.
pub(super) fn deployment_in(kind: Kind, endpoint: &str) -> Option<String> {
    Place::of(kind, endpoint).ok()?.deployment
}

/// Whether the endpoint of `deployment` can be one.
///
/// # Errors
/// What it must do instead, to stand after "must".
pub(super) fn check_endpoint(deployment: &DeploymentConfig, allow_http: bool) -> Result<(), Cow<'static, str>> {
    let DeploymentConfig { endpoint, kind, .. } = deployment;
    let place = Place::of(*kind, endpoint)?;
    let uri = absolute(&place.base)?;
    if uri.path().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("have a path without `.` and `..`".into());
    }
    if *kind == Kind::Azure && place::is_at_vendor(&place.base) {
        return Err("be that of an Azure resource; for the vendor's own service set `kind` to \"openai\"".into());
    }
    if uri.scheme_str() == Some("http") && !allow_http && !is_loopback(host(&uri).trim_matches(['[', ']'])) {
        return Err("begin with https:// (http:// is for this machine alone, unless `allow_http` is true)".into());
    }
    if let Some(named) = place.deployment.filter(|named| *named != deployment.model) {
        let (named, model) = (found(&named), found(&deployment.model));
        return Err(format!(
            "name the deployment that `model` names, or none: it names {named}, and `model` is {model}"
        )
        .into());
    }
    match place.api_version.filter(|named| *named != deployment.api_version) {
        Some(named) => Err(other_version(&named, &deployment.api_version).into()),
        None => Ok(()),
    }
}

/// What an endpoint must do that names another version of the API, to stand after "must".
pub(super) fn other_version(named: &str, said: &str) -> String {
    // It is checked by itself, and may be anything.
    let said = match dated(said) {
        Ok(date) => date,
        Err(_) if said == V1 => V1,
        Err(_) => "something else",
    };
    format!("name the version that `api_version` names, or none: it names {named}, and `api_version` is {said}")
}

/// Whether `text` can be a proxy's URL.
///
/// # Errors
/// What it must do instead, to stand after "must".
pub(super) fn check_proxy(text: &str) -> Result<(), &'static str> {
    const NO_PROXY: &str = "be a URL such as http://proxy.example:8080";
    let uri = absolute(text).map_err(|needed| if needed == NO_URL { NO_PROXY } else { needed })?;
    if !matches!(uri.path(), "" | "/") || text.contains(['?', '#']) {
        return Err("end after host and port");
    }
    Ok(())
}

/// `text` without what may be secret in it: user name, password, query and fragment.
pub(super) fn shown(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // A password may itself hold any of `/?#@`: everything up to the last `@` is hidden, wherever that stands.
    let (hidden, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("(hidden)@", rest),
        None => ("", rest),
    };
    match rest.find(['?', '#']) {
        Some(end) => format!("{scheme}{hidden}{}(hidden)", &rest[..=end]),
        None => format!("{scheme}{hidden}{rest}"),
    }
}

/// Where a deployment's requests for `operation` go.
pub(super) fn of_operation(deployment: &DeploymentConfig, operation: &Operation) -> Option<String> {
    // A base that may hold a password is none that anything is sent to.
    check_endpoint(deployment, true).ok()?;
    let target = Target::new(
        deployment.kind,
        &deployment.endpoint,
        &deployment.model,
        &deployment.api_version,
    );
    Some(target.ok()?.url(operation))
}

fn absolute(text: &str) -> Result<Uri, &'static str> {
    if text.len() > MAX_BASE {
        return Err("have at most 2048 bytes");
    }
    let uri: Uri = text.parse().map_err(|_| NO_URL)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || host(&uri).is_empty() {
        return Err(NO_URL);
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let names_port = host_and_port
        .strip_prefix(host(&uri))
        .is_some_and(|rest| rest.starts_with(':'));
    if names_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("have a port from 1 to 65535");
    }
    Ok(uri)
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Model `m` at that endpoint, which was set after the deployment was made.
    fn asks(kind: Kind, endpoint: &str) -> DeploymentConfig {
        let mut deployment = DeploymentConfig::new("a", "", "m").kind(kind);
        deployment.endpoint = endpoint.to_owned();
        deployment
    }

    #[test]
    fn a_base_url_is_accepted_and_anything_else_told_what_is_missing() {
        let rows = [
            ("https://my-resource.openai.azure.com", None),
            ("https://my-resource.openai.azure.com/", None),
            ("HTTPS://EXAMPLE.COM", None),
            ("https://example.services.ai.azure.com/api/projects/p", None),
            ("https://gateway.example/team-a/openai", None),
            ("https://my-resource.openai.azure.com/openai/v1", None),
            ("https://10.0.0.4:8443/x", None),
            ("https://[2001:db8::1]:8443", None),
            ("http://127.0.0.1:8080", None),
            ("http://127.9.9.9", None),
            ("http://localhost:1", None),
            ("http://LocalHost", None),
            ("http://[::1]:8080", None),
            ("", Some("absolute URL")),
            ("my-resource.openai.azure.com", Some("absolute URL")),
            ("/openai", Some("absolute URL")),
            ("ftp://example.com", Some("absolute URL")),
            ("https://", Some("absolute URL")),
            ("https:///path", Some("absolute URL")),
            ("https://exa mple.com", Some("absolute URL")),
            ("https://example.com\n", Some("absolute URL")),
            ("https://user:canary@example.com", Some("user name")),
            ("https://user@example.com", Some("user name")),
            ("https://example.com/a@b", Some("user name")),
            ("https://u:can/?#ary@example.com", Some("user name")),
            ("https://example.com?key=canary", Some("one api-version")),
            (
                "https://example.com?api-version=canary",
                Some("a date as its api-version"),
            ),
            ("https://example.com/#x", Some("without `#`")),
            ("https://x.services.ai.azure.com/models", Some("in place of /models")),
            ("https://x.openai.azure.com/canary", Some("end after the host")),
            ("https://api.openai.com/v1", Some("set `kind` to \"openai\"")),
            ("https://example.com/a/../b", Some("without `.`")),
            ("https://example.com:0", Some("port")),
            ("https://example.com:99999", Some("port")),
            ("https://example.com:", Some("port")),
            ("https://9:99999", Some("port")),
            ("https://x.example/openai/deployments/m/chat/completions", None),
            (
                "https://x.example/openai/deployments/other/chat/completions",
                Some("it names text of 5 characters, and `model` is text of 1 character"),
            ),
            (
                "https://x.example/openai/deployments/m/chat/completions?api-version=2024-10-21",
                Some("it names 2024-10-21, and `api_version` is 2025-01-01-preview"),
            ),
            ("http://example.com", Some("https://")),
            ("http://10.0.0.4", Some("https://")),
            ("http://127.0.0.1.example.com", Some("https://")),
            ("http://localhost.example.com", Some("https://")),
            ("http://127.1", Some("https://")),
        ];
        for (text, expected) in rows {
            match (check_endpoint(&asks(Kind::Azure, text), false), expected) {
                // What is accepted here must not come back as an error when the connection is set up.
                (Ok(()), None) => assert!(Target::new(Kind::Azure, text, "m", "v1").is_ok(), "{text:?}"),
                (Err(why), Some(part)) if why.contains(part) && !why.contains("canary") => {}
                (got, _) => panic!("{text:?}: {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn http_goes_anywhere_once_allowed_and_only_azure_has_deployments_in_its_path() {
        assert_eq!(check_endpoint(&asks(Kind::Azure, "http://example.com"), true), Ok(()));
        for url in [
            "https://x.example/openai/deployments/other",
            "https://api.openai.com/v1",
        ] {
            assert_eq!(check_endpoint(&asks(Kind::OpenAi, url), false), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_proxy_is_scheme_host_and_port_and_may_hold_a_password() {
        for good in ["http://proxy:3128", "https://u:p@proxy.example:443/", "http://[::1]:1"] {
            assert_eq!(check_proxy(good), Ok(()), "{good}");
        }
        for bad in [
            "proxy:3128",
            "socks5://proxy:1080",
            "http://proxy:3128/x",
            "http://proxy?x",
            "http://:1",
        ] {
            assert!(check_proxy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        let rows = [
            ("https://a.example/b", "https://a.example/b"),
            ("https://u:canary@a.example/b", "https://(hidden)@a.example/b"),
            ("https://u:can/?#ary@a.example/b", "https://(hidden)@a.example/b"),
            ("https://a.example?key=canary", "https://a.example?(hidden)"),
            ("u:canary@host", "(hidden)@host"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), expected);
        }
    }
}
