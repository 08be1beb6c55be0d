//! What a URL means that was given as a deployment's endpoint: people paste what the portal shows, which is more than a
//! base URL.
//!
//! ```text
//! https://x.openai.azure.com/openai/deployments/D/chat/completions?api-version=V   base, deployment and version
//! https://x.openai.azure.com/openai/responses?api-version=V                         base and version
//! https://x.openai.azure.com/openai/v1/chat/completions                             base of the v1 surface
//! https://x.services.ai.azure.com/api/projects/P                                    base of the project's v1 surface
//! ```
//! Source: the service's REST reference, and the target URIs of the portal's pages of deployments.

use super::target::{V1, dated};
use crate::api::kind::Kind;
use path::{OPENAI, Path};

mod path;

/// A base URL, and what else the URL said that it was taken out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Scheme, host, port and path prefix, without a slash at the end. One that was taken out of a URL is a place whose
    /// base is itself.
    pub base: String,
    /// The deployment in its path.
    pub deployment: Option<String>,
    /// The `api-version` of its query, unless it is without effect there.
    pub api_version: Option<String>,
}

/// Hosts of the service: every resource has a name of its own below one of them.
const HOSTS: [&str; 4] = [
    ".openai.azure.com",
    ".openai.azure.us",
    ".cognitiveservices.azure.com",
    FOUNDRY,
];
const FOUNDRY: &str = ".services.ai.azure.com";
const VENDOR: &str = "api.openai.com";

impl Place {
    /// Takes a URL apart. Whether there can be such a host, and whether it may be asked, is not looked at.
    ///
    /// # Errors
    /// What the URL must do instead, to stand after "must". It repeats nothing, for a key may be in the wrong place.
    pub(crate) fn of(kind: Kind, url: &str) -> Result<Place, &'static str> {
        // Asked of the text: in a path too, an `@` is more likely a slip in a password than meant.
        if url.contains('@') {
            return Err("hold no user name or password (`@`); the key goes into api_key");
        }
        if url.contains('#') {
            return Err("be without `#` and what follows");
        }
        let (address, query) = url
            .split_once('?')
            .map_or((url, None), |(address, query)| (address, Some(query)));
        let api_version = query.map(version_of).transpose()?.flatten();
        let (origin, path) = split(address);
        let host = host_of(origin);
        let is_service = HOSTS.iter().any(|end| host.ends_with(end));
        let mut path = Path::new(path);
        // To others that speak the vendor's API such a path is a prefix like any.
        let deployment = match is_service || kind == Kind::Azure {
            true => path.take_deployment()?,
            false => None,
        };
        if deployment.is_none() {
            path.drop_operation(is_service);
        }
        if is_service {
            path.settle_at_service(&host)?;
            if kind == Kind::OpenAi && path.is_empty() {
                path.append(&[OPENAI, V1]);
            }
        } else if is_vendor(&host) && path.is_empty() {
            path.append(&[V1]);
        }
        // There a version has no effect, or is refused.
        let api_version = api_version.filter(|_| !path.ends_with(&[OPENAI, V1]));
        if kind == Kind::OpenAi && api_version.is_some() {
            return Err("have nothing behind `?`: to an endpoint of kind openai no api-version is sent");
        }
        if api_version.is_some_and(|version| version != V1 && dated(version).is_err()) {
            return Err("name a date as its api-version, such as 2024-10-21 or 2025-01-01-preview, or none");
        }
        Ok(Place {
            base: path.below(origin),
            deployment,
            api_version: api_version.map(str::to_owned),
        })
    }
}

/// Whether the host of `url` is one of Foundry.
pub(crate) fn is_foundry(url: &str) -> bool {
    host_of(split(url).0).ends_with(FOUNDRY)
}

/// Whether `url` leads to the vendor of the models itself.
pub(crate) fn is_at_vendor(url: &str) -> bool {
    is_vendor(&host_of(split(url).0))
}

/// `base` without the `/openai/v1` at its end, in any letter case; none where it has none.
pub(crate) fn v1_root(base: &str) -> Option<&str> {
    without_end(base, "/openai/v1")
}

/// `base` without the `/openai` at its end; none where it has none.
pub(crate) fn openai_root(base: &str) -> Option<&str> {
    without_end(base, "/openai")
}

fn without_end<'b>(base: &'b str, end: &str) -> Option<&'b str> {
    let (root, tail) = base.split_at_checked(base.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(root)
}

/// The regional hosts too, `eu.api.openai.com`.
fn is_vendor(host: &str) -> bool {
    host.strip_suffix(VENDOR)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Scheme and authority, and the path.
fn split(address: &str) -> (&str, &str) {
    let authority = address.find("://").map_or(0, |at| at + 3);
    let path = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    address.split_at(path)
}

/// In lower case, without the port.
fn host_of(origin: &str) -> String {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

/// The version that a query names, which may name nothing else.
fn version_of(query: &str) -> Result<Option<&str>, &'static str> {
    let mut version = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("api-version") && version.is_none() => {
                version = Some(value)
            }
            _ => return Err("have nothing behind `?` but one api-version"),
        }
    }
    Ok(version.filter(|version| !version.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base: &str, deployment: Option<&str>, api_version: Option<&str>) -> Place {
        Place {
            base: base.to_owned(),
            deployment: deployment.map(str::to_owned),
            api_version: api_version.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_pasted_is_taken_apart_into_base_deployment_and_version() {
        const X: &str = "https://x.openai.azure.com";
        const X_V1: &str = "https://x.openai.azure.com/openai/v1";
        const F: &str = "https://x.services.ai.azure.com";
        const P: &str = "https://x.services.ai.azure.com/api/projects/p/openai/v1";
        let dated = Some("2025-01-01-preview");
        let rows = [
            // Base URLs.
            (X, X, None, None),
            ("https://x.openai.azure.com/", X, None, None),
            ("https://x.openai.azure.com//", X, None, None),
            ("https://x.openai.azure.com/openai", X, None, None),
            ("https://x.openai.azure.com/openai/", X, None, None),
            (
                "https://x.openai.azure.com/?api-version=2025-01-01-preview",
                X,
                None,
                dated,
            ),
            (
                "https://x.openai.azure.us/openai/",
                "https://x.openai.azure.us",
                None,
                None,
            ),
            (
                "https://gate.example:8443/team-a/",
                "https://gate.example:8443/team-a",
                None,
                None,
            ),
            ("https://gate.example/v1", "https://gate.example/v1", None, None),
            ("https://gate.example/models", "https://gate.example/models", None, None),
            // The v1 surface, however it is written.
            (X_V1, X_V1, None, None),
            ("https://x.openai.azure.com/openai/v1/", X_V1, None, None),
            ("https://x.openai.azure.com/v1", X_V1, None, None),
            ("https://x.openai.azure.com/OpenAI/V1", X_V1, None, None),
            (
                "https://x.openai.azure.com/openai/v1/chat/completions",
                X_V1,
                None,
                None,
            ),
            (
                "https://x.openai.azure.com/openai/v1/responses?api-version=preview",
                X_V1,
                None,
                None,
            ),
            ("https://x.openai.azure.com/openai/v1/models", X_V1, None, None),
            (
                "https://x.services.ai.azure.com/openai/v1/embeddings",
                "https://x.services.ai.azure.com/openai/v1",
                None,
                None,
            ),
            // Projects of Foundry.
            ("https://x.services.ai.azure.com/api/projects/p", P, None, None),
            ("https://x.services.ai.azure.com/api/projects/p/", P, None, None),
            (
                "https://x.services.ai.azure.com/API/projects/p/openai/v1/chat/completions",
                P,
                None,
                None,
            ),
            // Target URIs as the portal shows them.
            (
                "https://x.openai.azure.com/openai/deployments/my-4o/chat/completions?api-version=2025-01-01-preview",
                X,
                Some("my-4o"),
                dated,
            ),
            (
                "https://x.cognitiveservices.azure.com/openai/deployments/d/embeddings?api-version=2025-01-01-preview",
                "https://x.cognitiveservices.azure.com",
                Some("d"),
                dated,
            ),
            (
                "https://x.openai.azure.com/openai/deployments/a%20b%2Fc",
                X,
                Some("a b/c"),
                None,
            ),
            (
                "https://x.openai.azure.com/openai/responses?api-version=2025-01-01-preview",
                X,
                None,
                dated,
            ),
            (
                "https://x.services.ai.azure.com/openai/deployments/d/chat/completions?api-version=2025-01-01-preview",
                F,
                Some("d"),
                dated,
            ),
            (
                "https://gate.example/team-a/openai/deployments/d/chat/completions?api-version=2027-03-01",
                "https://gate.example/team-a",
                Some("d"),
                Some("2027-03-01"),
            ),
            (
                "https://gate.example/v1/openai/deployments/d/chat/completions?api-version=2024-10-21",
                "https://gate.example/v1",
                Some("d"),
                Some("2024-10-21"),
            ),
            // The vendor, and others with its API.
            ("https://api.openai.com", "https://api.openai.com/v1", None, None),
            ("https://eu.api.openai.com/", "https://eu.api.openai.com/v1", None, None),
            (
                "https://api.openai.com/v1/chat/completions",
                "https://api.openai.com/v1",
                None,
                None,
            ),
            (
                "http://127.0.0.1:8000/v1/embeddings",
                "http://127.0.0.1:8000/v1",
                None,
                None,
            ),
            ("http://[::1]:9/v1/completions", "http://[::1]:9/v1", None, None),
        ];
        for (url, base, deployment, api_version) in rows {
            assert_eq!(
                Place::of(Kind::Azure, url),
                Ok(place(base, deployment, api_version)),
                "{url}"
            );
            assert_eq!(
                Place::of(Kind::Azure, base),
                Ok(place(base, None, None)),
                "{base} is no base"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_the_fix_is_named() {
        let rows = [
            (
                "https://x.services.ai.azure.com/models",
                "/openai/v1 in place of /models",
            ),
            (
                "https://x.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
                "/openai/v1 in place of /models",
            ),
            ("https://x.openai.azure.com/team-a", "end after the host"),
            ("https://x.openai.azure.com/api/projects/p", "end after the host"),
            ("https://x.services.ai.azure.com/api/projects", "end after the host"),
            ("https://x.openai.azure.com/openai/deployments", "name a deployment"),
            (
                "https://x.openai.azure.com/openai/deployments//chat/completions",
                "name a deployment",
            ),
            (
                "https://x.openai.azure.com/openai/deployments/%FF/chat/completions",
                "name a deployment",
            ),
            ("https://x.openai.azure.com/?key=canary", "one api-version"),
            (
                "https://x.openai.azure.com/?api-version=2024-10-21&api-version=canary",
                "one api-version",
            ),
            (
                "https://x.openai.azure.com/?api-version=canary",
                "a date as its api-version",
            ),
            ("https://x.openai.azure.com/#canary", "`#`"),
            ("https://user:canary@x.openai.azure.com", "user name"),
        ];
        for (url, part) in rows {
            let needed = Place::of(Kind::Azure, url).unwrap_err();
            assert!(needed.contains(part) && !needed.contains("canary"), "{url}: {needed}");
        }
    }

    #[test]
    fn a_service_asked_by_the_vendors_api_is_asked_where_it_speaks_it() {
        let rows = [
            (
                "https://x.openai.azure.com",
                "https://x.openai.azure.com/openai/v1",
                None,
            ),
            (
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                "https://x.openai.azure.com/openai/v1",
                Some("d"),
            ),
            // Of others nothing is known.
            (
                "https://gate.example/openai/deployments/d",
                "https://gate.example/openai/deployments/d",
                None,
            ),
            (
                "https://gate.example/OpenAI/V1/",
                "https://gate.example/OpenAI/V1",
                None,
            ),
        ];
        for (url, base, deployment) in rows {
            assert_eq!(Place::of(Kind::OpenAi, url), Ok(place(base, deployment, None)), "{url}");
        }
    }

    #[test]
    fn the_vendor_and_foundry_are_known_by_their_hosts_alone() {
        for (url, vendor, foundry) in [
            ("https://api.openai.com/v1", true, false),
            ("https://API.OpenAI.com:443", true, false),
            ("https://notapi.openai.com", false, false),
            ("https://api.openai.com.example", false, false),
            ("https://x.services.ai.azure.com/openai/v1", false, true),
            ("https://gate.example/x.services.ai.azure.com", false, false),
        ] {
            assert_eq!((is_at_vendor(url), is_foundry(url)), (vendor, foundry), "{url}");
        }
    }
}
