//! What a URL in a configuration may be, and how much of it may be shown.

use ureq::http::Uri;

use super::{DeploymentConfig, Kind};
use crate::api::Operation;
use crate::transport::Target;
use crate::transport::target::is_loopback;

/// Text for an URL that is none.
const NO_URL: &str = "be an absolute URL such as https://my-resource.openai.azure.com";

/// Longest base URL, in bytes: with the deployment and the operation behind it, it has to leave in one piece.
const MAX_BASE: usize = 2048;

/// Whether `text` can be a deployment's base URL.
///
/// # Errors
/// What it must do instead, to stand after "must".
pub(super) fn check_endpoint(text: &str, azure: bool, allow_http: bool) -> Result<(), &'static str> {
    // Asked of the text: in a path too, an `@` is more likely a slip in a password than meant.
    if text.contains('@') {
        return Err("hold no user name or password (`@`)");
    }
    let uri = absolute(text)?;
    // The URI parser drops a fragment silently, so the text is asked.
    if text.contains(['?', '#']) {
        return Err("be the base URL alone, without `?` or `#` and what follows");
    }
    if text.ends_with('/') {
        return Err("end without `/`");
    }
    if uri.path().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("have a path without `.` and `..`");
    }
    if azure && uri.path().contains("/openai/deployments/") {
        return Err("be the base URL alone: leave out /openai/deployments/ and what follows");
    }
    if uri.scheme_str() == Some("http") && !allow_http && !is_loopback(host(&uri).trim_matches(['[', ']'])) {
        return Err("begin with https:// (http:// is for this machine alone, unless `allow_http` is true)");
    }
    Ok(())
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

/// Whether a base URL is that of a Foundry resource or project.
pub(super) fn is_foundry(text: &str) -> bool {
    absolute(text).is_ok_and(|uri| host(&uri).to_ascii_lowercase().ends_with(".services.ai.azure.com"))
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
    check_endpoint(&deployment.endpoint, deployment.kind == Kind::Azure, true).ok()?;
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

    #[test]
    fn a_base_url_is_accepted_and_anything_else_told_what_is_missing() {
        let rows = [
            ("https://my-resource.openai.azure.com", None),
            ("https://my-resource.openai.azure.com/", Some("end without")),
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
            ("https://example.com?api-version=1", Some("base URL alone")),
            ("https://example.com/#x", Some("base URL alone")),
            ("https://example.com/a/../b", Some("without `.`")),
            ("https://example.com:0", Some("port")),
            ("https://example.com:99999", Some("port")),
            ("https://example.com:", Some("port")),
            ("https://9:99999", Some("port")),
            (
                "https://x.example/openai/deployments/m/chat/completions",
                Some("leave out"),
            ),
            ("http://example.com", Some("https://")),
            ("http://10.0.0.4", Some("https://")),
            ("http://127.0.0.1.example.com", Some("https://")),
            ("http://localhost.example.com", Some("https://")),
            ("http://127.1", Some("https://")),
        ];
        for (text, expected) in rows {
            match (check_endpoint(text, true, false), expected) {
                // What is accepted here must not come back as an error when the connection is set up.
                (Ok(()), None) => assert!(Target::new(Kind::Azure, text, "m", "v1").is_ok(), "{text:?}"),
                (Err(why), Some(part)) if why.contains(part) => {}
                (got, _) => panic!("{text:?}: {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn http_goes_anywhere_once_allowed_and_only_azure_has_deployments_in_its_path() {
        assert_eq!(check_endpoint("http://example.com", true, true), Ok(()));
        assert_eq!(
            check_endpoint("https://x.example/openai/deployments/m", false, false),
            Ok(())
        );
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
