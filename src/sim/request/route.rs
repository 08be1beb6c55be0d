//! Where a URL leads.

use std::borrow::Cow;

use crate::sim::config::SimOperation;

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) surface: Surface,
    /// The deployment in the path, decoded; none where the body names it.
    pub(crate) deployment: Option<Cow<'a, str>>,
    pub(crate) target: Target,
    /// Whether a conversation is to be compacted instead of answered: an operation of the Responses API.
    pub(crate) compacts: bool,
    /// The query's `api-version`.
    pub(crate) api_version: Option<&'a str>,
}

/// Which of the service's faces a URL belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// `/openai/…?api-version=2024-10-21`
    Dated,
    /// `/openai/v1/…`
    V1,
    /// `/api/projects/{project}/openai/v1/…`, which allows no api-version.
    Project,
    /// `/v1/…`, as other vendors serve it.
    Plain,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Operation(SimOperation),
    /// The list of models.
    Models,
}

impl<'a> Route<'a> {
    /// Where a request leads; none: nowhere.
    pub(crate) fn read(method: &str, path: &'a str, query: &'a str) -> Option<Self> {
        let api_version = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("api-version="))
            .filter(|version| !version.is_empty());
        let (surface, deployment, rest) = split(path)?;
        let (rest, compacts) = match rest {
            "responses/compact" => ("responses", true),
            rest => (rest, false),
        };
        let target = match (method, rest) {
            ("POST", operation) => Target::Operation(*SimOperation::ALL.iter().find(|one| one.path() == operation)?),
            ("GET", "models") if deployment.is_none() => Target::Models,
            _ => return None,
        };
        // The dated surface has its Responses API, and nothing else, beside the deployments.
        let named_in_path = deployment.is_some();
        let fits = match (surface, target) {
            (Surface::Dated, Target::Operation(SimOperation::Responses)) => !named_in_path,
            (Surface::Dated, Target::Operation(_)) => named_in_path,
            _ => true,
        };
        fits.then_some(Route {
            surface,
            deployment,
            target,
            compacts,
            api_version,
        })
    }
}

/// The surface, the deployment in the path, and what follows.
fn split(path: &str) -> Option<(Surface, Option<Cow<'_, str>>, &str)> {
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let (deployment, rest) = rest.split_once('/')?;
        return Some((Surface::Dated, Some(decode(deployment)?), rest));
    }
    if let Some(rest) = path.strip_prefix("/openai/v1/") {
        return Some((Surface::V1, None, rest));
    }
    if let Some(rest) = path.strip_prefix("/openai/") {
        return Some((Surface::Dated, None, rest));
    }
    if let Some(rest) = path.strip_prefix("/v1/") {
        return Some((Surface::Plain, None, rest));
    }
    let (_project, rest) = path.strip_prefix("/api/projects/")?.split_once('/')?;
    Some((Surface::Project, None, rest.strip_prefix("openai/v1/")?))
}

/// Undoes percent-encoding; none where it is broken.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_where_azure_leads_them() {
        use SimOperation::{Chat, Completions, Embeddings, Responses};
        use Surface::{Dated, Plain, Project, V1};
        let rows = [
            (
                "/openai/deployments/gpt/chat/completions",
                Some((Dated, Some("gpt"), Chat)),
            ),
            (
                "/openai/deployments/a%20b%2Fc/embeddings",
                Some((Dated, Some("a b/c"), Embeddings)),
            ),
            (
                "/openai/deployments/gpt/completions",
                Some((Dated, Some("gpt"), Completions)),
            ),
            ("/openai/responses", Some((Dated, None, Responses))),
            ("/openai/v1/chat/completions", Some((V1, None, Chat))),
            ("/openai/v1/responses", Some((V1, None, Responses))),
            ("/v1/chat/completions", Some((Plain, None, Chat))),
            ("/api/projects/p/openai/v1/responses", Some((Project, None, Responses))),
            ("/openai/v1/responses/compact", Some((V1, None, Responses))),
            ("/openai/responses/compact", Some((Dated, None, Responses))),
            ("/openai/v1/responses/compact/x", None),
            ("/openai/chat/completions", None),
            ("/openai/deployments/gpt/responses", None),
            ("/openai/deployments/gpt/images/generations", None),
            ("/openai/deployments/%zz/chat/completions", None),
            ("/openai/deployments/%e4/chat/completions", None),
            ("/openai/deployments/gpt", None),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in rows {
            let route = Route::read("POST", path, "");
            let got = route.as_ref().map(|r| (r.surface, r.deployment.as_deref(), r.target));
            let expected = expected.map(|(surface, name, operation)| (surface, name, Target::Operation(operation)));
            assert_eq!(got, expected, "{path}");
            let compacts = route.is_some_and(|route| route.compacts);
            assert_eq!(compacts, path.ends_with("/compact"), "{path}");
        }
        assert!(Route::read("GET", "/openai/deployments/gpt/chat/completions", "").is_none());
        let models = Route::read("GET", "/openai/models", "api-version=2024-10-21").unwrap();
        assert_eq!(
            (models.target, models.api_version),
            (Target::Models, Some("2024-10-21"))
        );
    }

    #[test]
    fn the_api_version_is_found_anywhere_in_the_query() {
        for (query, version) in [
            ("api-version=1", Some("1")),
            ("a=b&api-version=2&c", Some("2")),
            ("api-version=", None),
            ("", None),
        ] {
            let route = Route::read("POST", "/openai/v1/responses", query).unwrap();
            assert_eq!(route.api_version, version, "{query}");
        }
    }
}
