//! Who is let in: headers, keys and api-versions, in the order in which Azure looks at them.

use std::time::{Duration, SystemTime};

use super::config::{SimDeployment, SimKey, SimOperation};
use super::reply::ErrorReply;
use super::request::{Head, MAX_CUSTOM_HEADERS, Route, Surface, Target};
use crate::auth::Claims;

/// The dated api-versions that are still served. Source: Microsoft, "API version lifecycle".
const API_VERSIONS: [&str; 18] = [
    "2022-12-01",
    "2023-05-15",
    "2024-02-01",
    "2024-02-15-preview",
    "2024-03-01-preview",
    "2024-04-01-preview",
    "2024-05-01-preview",
    "2024-06-01",
    "2024-07-01-preview",
    "2024-08-01-preview",
    "2024-09-01-preview",
    "2024-10-01-preview",
    "2024-10-21",
    "2024-12-01-preview",
    "2025-01-01-preview",
    "2025-02-01-preview",
    "2025-03-01-preview",
    "2025-04-01-preview",
];

/// The first dated api-version that has the Responses API; versions sort by their date.
const RESPONSES_SINCE: &str = "2025-03-01-preview";

/// Who is let in to a resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    keys: Vec<SimKey>,
    tokens: Vec<SimKey>,
    /// Of tokens that are looked into.
    audiences: Vec<String>,
    /// Empty: [`API_VERSIONS`].
    api_versions: Vec<String>,
}

impl Gate {
    pub(crate) fn new(api_versions: &[String]) -> Self {
        Gate {
            api_versions: api_versions.to_vec(),
            ..Gate::default()
        }
    }

    /// Accepts the keys and tokens of one more deployment.
    pub(crate) fn admit(&mut self, deployment: &SimDeployment) {
        self.keys.extend(deployment.keys.iter().cloned());
        self.tokens.extend(deployment.bearer_tokens.iter().cloned());
        self.audiences.extend(deployment.token_audiences.iter().cloned());
    }

    /// Why a request is turned away, if it is.
    pub(crate) fn denial(&self, head: &Head<'_>, route: &Route<'_>, unix_s: u64) -> Option<ErrorReply> {
        if head.custom > MAX_CUSTOM_HEADERS {
            return Some(ErrorReply::TooManyHeaders);
        }
        self.credentials(head, unix_s).or_else(|| self.api_version(route))
    }

    fn credentials(&self, head: &Head<'_>, unix_s: u64) -> Option<ErrorReply> {
        let among = |keys: &[SimKey], text: &str| keys.iter().any(|key| key.expose() == text);
        match (head.api_key, head.bearer) {
            (Some(_), _) if self.keys.is_empty() => Some(ErrorReply::KeysDisabled),
            (Some(key), _) => (!among(&self.keys, key)).then_some(ErrorReply::WrongKey),
            // A stock client of the v1 surface sends the key as a token.
            (None, Some(token)) => {
                let known = among(&self.tokens, token) || among(&self.keys, token) || self.lets_in(token, unix_s);
                (!known).then(|| ErrorReply::WrongToken(self.audiences.first().cloned()))
            }
            (None, None) => Some(ErrorReply::WrongKey),
        }
    }

    /// Whether a token is for this resource and has not expired.
    fn lets_in(&self, token: &str, unix_s: u64) -> bool {
        let Some(claims) = Claims::of(token) else { return false };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
        let is_for_us = claims
            .audience
            .as_ref()
            .is_some_and(|audience| self.audiences.contains(audience));
        is_for_us && claims.expires().is_some_and(|expires| now < expires)
    }

    fn api_version(&self, route: &Route<'_>) -> Option<ErrorReply> {
        match (route.surface, route.api_version) {
            (Surface::Dated, None) => Some(ErrorReply::ResourceNotFound),
            (Surface::Dated, Some(version)) => {
                let known = if self.api_versions.is_empty() {
                    API_VERSIONS.contains(&version)
                } else {
                    self.api_versions.iter().any(|known| known == version)
                };
                let responses = route.target == Target::Operation(SimOperation::Responses);
                let served = known && (!responses || version >= RESPONSES_SINCE);
                (!served).then_some(ErrorReply::UnknownApiVersion)
            }
            (Surface::V1, None | Some("v1" | "preview" | "latest")) => None,
            (Surface::V1, Some(_)) => Some(ErrorReply::UnknownApiVersion),
            (Surface::Project, Some(_)) => Some(ErrorReply::ApiVersionNotAllowed),
            (Surface::Project, None) | (Surface::Plain, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let mut gate = Gate::new(&[]);
        gate.admit(&SimDeployment::new("d").key("k").bearer_token("t"));
        gate
    }

    #[test]
    fn credentials_are_looked_at_as_azure_does() {
        let head = |api_key, bearer| Head {
            api_key,
            bearer,
            ..Head::default()
        };
        let rows = [
            (head(Some("k"), None), None),
            (head(None, Some("t")), None),
            (head(None, Some("k")), None),
            (head(Some("t"), None), Some(ErrorReply::WrongKey)),
            (head(Some("x"), Some("t")), Some(ErrorReply::WrongKey)),
            (head(None, Some("x")), Some(ErrorReply::WrongToken(None))),
            (head(None, Some("")), Some(ErrorReply::WrongToken(None))),
            (head(None, None), Some(ErrorReply::WrongKey)),
        ];
        for (head, denial) in rows {
            assert_eq!(gate().credentials(&head, 0), denial, "{head:?}");
        }
        assert_eq!(
            Gate::new(&[]).credentials(&head(Some("k"), None), 0),
            Some(ErrorReply::KeysDisabled)
        );
    }

    #[test]
    fn a_token_is_let_in_for_its_audience_until_it_expires() {
        let audience = "https://ai.azure.com";
        let mut gate = Gate::new(&[]);
        gate.admit(&SimDeployment::new("d").token_audience(audience));
        let refused = Some(ErrorReply::WrongToken(Some(audience.to_owned())));
        let ours = crate::auth::jwt(r#"{"aud":"https://ai.azure.com","exp":1000}"#);
        let other = crate::auth::jwt(r#"{"aud":"https://cognitiveservices.azure.com","exp":1000}"#);
        let endless = crate::auth::jwt(r#"{"aud":"https://ai.azure.com"}"#);
        let rows = [
            (&ours, 999, None),
            (&ours, 1000, refused.clone()),
            (&other, 999, refused.clone()),
            (&endless, 999, refused),
        ];
        for (token, unix_s, denial) in rows {
            let head = Head {
                bearer: Some(token),
                ..Head::default()
            };
            assert_eq!(gate.credentials(&head, unix_s), denial, "{unix_s}");
        }
    }

    #[test]
    fn api_versions_are_looked_at_as_each_surface_does() {
        let chat = "/openai/deployments/d/chat/completions";
        let rows = [
            (chat, "api-version=2025-01-01-preview", None),
            (chat, "api-version=2024-10-21", None),
            (chat, "api-version=2024-10-22", Some(ErrorReply::UnknownApiVersion)),
            (chat, "", Some(ErrorReply::ResourceNotFound)),
            (
                "/openai/responses",
                "api-version=2024-10-21",
                Some(ErrorReply::UnknownApiVersion),
            ),
            ("/openai/responses", "api-version=2025-03-01-preview", None),
            ("/openai/v1/responses", "", None),
            ("/openai/v1/responses", "api-version=preview", None),
            (
                "/openai/v1/responses",
                "api-version=2024-10-21",
                Some(ErrorReply::UnknownApiVersion),
            ),
            (
                "/api/projects/p/openai/v1/responses",
                "api-version=v1",
                Some(ErrorReply::ApiVersionNotAllowed),
            ),
            ("/api/projects/p/openai/v1/responses", "", None),
            ("/v1/chat/completions", "", None),
        ];
        for (path, query, denial) in rows {
            let route = Route::read("POST", path, query).unwrap();
            assert_eq!(gate().api_version(&route), denial, "{path}?{query}");
        }
        let only = Gate::new(&["2030-01-01".to_owned()]);
        let route = Route::read("POST", chat, "api-version=2030-01-01").unwrap();
        assert_eq!(only.api_version(&route), None);
        let route = Route::read("POST", chat, "api-version=2024-10-21").unwrap();
        assert_eq!(only.api_version(&route), Some(ErrorReply::UnknownApiVersion));
    }

    #[test]
    fn the_eleventh_custom_header_is_too_many() {
        let route = Route::read("POST", "/openai/v1/responses", "").unwrap();
        let head = |custom| Head {
            api_key: Some("k"),
            custom,
            ..Head::default()
        };
        assert_eq!(gate().denial(&head(10), &route, 0), None);
        assert_eq!(gate().denial(&head(11), &route, 0), Some(ErrorReply::TooManyHeaders));
    }
}
