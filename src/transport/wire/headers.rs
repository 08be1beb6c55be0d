//! The head of a request: what is ours, what is the deployment's, what is the call's.

use ureq::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

use crate::api::{Headers, Operation};
use crate::transport::auth::{API_KEY, Auth};

/// What this client calls itself.
pub const AGENT_NAME: &str = concat!("azure-openai-blaster/", env!("CARGO_PKG_VERSION"));

/// Headers that frame a message or name its destination, or that only the client can honour.
const FRAMING: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
];

/// Headers that prove who sends a request.
const CREDENTIALS: [&str; 2] = ["api-key", "authorization"];

/// Whether a header of this name belongs to the transport, so that no request may set it.
///
/// Those who take headers from a user refuse such a name; the transport leaves it out.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    FRAMING
        .iter()
        .chain(&CREDENTIALS)
        .any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// The headers that all calls of an operation to a deployment have in common.
///
/// # Errors
/// A message (without values) where the deployment's headers or its credential cannot be sent.
pub(super) fn template(operation: &Operation, auth: &Auth, of_deployment: &Headers) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(8 + of_deployment.len());
    map.insert(USER_AGENT, HeaderValue::from_static(AGENT_NAME));
    map.insert(ACCEPT, HeaderValue::from_static(accepted(operation)));
    // Set here, the client need not work it out for every call; it decompresses what it finds compressed.
    map.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let credential = auth.header()?;
    for (name, _) in of_deployment.as_map() {
        let is_credential = *name == API_KEY || *name == AUTHORIZATION;
        if FRAMING.contains(&name.as_str()) || (is_credential && credential.is_some()) {
            return Err(format!("headers: {name:?} is set by the transport"));
        }
    }
    overlay(&mut map, of_deployment, |_| true);
    map.extend(credential.map(|(name, value)| (Some(name), value)));
    Ok(map)
}

/// Adds the headers of one call, which replace those of the same name, except what [`is_reserved`].
pub(super) fn add_call(map: &mut HeaderMap, of_call: &Headers) {
    overlay(map, of_call, |name| !is_reserved(name.as_str()));
}

/// Takes the body's headers away, for a request without a body.
pub(super) fn without_body(map: &mut HeaderMap) {
    map.remove(CONTENT_TYPE);
}

fn overlay(map: &mut HeaderMap, headers: &Headers, may: impl Fn(&HeaderName) -> bool) {
    for name in headers.as_map().keys().filter(|name| may(name)) {
        map.remove(name);
        for value in headers.as_map().get_all(name) {
            map.append(name, value.clone());
        }
    }
}

/// Like the official SDK, which asks for JSON also where it asks for a stream in the body.
fn accepted(operation: &Operation) -> &'static str {
    match operation {
        Operation::Other(_) => "*/*",
        _ => "application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.insert(name, value).unwrap();
        }
        headers
    }

    fn values<'a>(map: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        map.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn the_calls_headers_go_before_the_deployments_and_those_before_ours() {
        let deployment = headers(&[("user-agent", "d"), ("accept", "d"), ("x-d", "1"), ("x-d", "2")]);
        let mut map = template(&Operation::ChatCompletions, &Auth::Key("k".into()), &deployment).unwrap();
        add_call(
            &mut map,
            &headers(&[("accept", "c"), ("X-D", "3"), ("x-c", "4"), ("x-c", "5")]),
        );
        assert_eq!(values(&map, "user-agent"), ["d"]);
        assert_eq!(values(&map, "accept"), ["c"]);
        assert_eq!(values(&map, "x-d"), ["3"]);
        assert_eq!(values(&map, "x-c"), ["4", "5"]);
        assert_eq!(values(&map, "content-type"), ["application/json"]);
        assert_eq!(values(&map, "api-key"), ["k"]);
    }

    #[test]
    fn a_call_cannot_change_who_asks_whom_nor_the_framing() {
        let auth = Auth::Bearer("k".into());
        let mut map = template(&Operation::Embeddings, &auth, &Headers::new()).unwrap();
        let before = map.clone();
        for name in FRAMING.iter().chain(&CREDENTIALS) {
            assert!(is_reserved(name));
            assert!(is_reserved(&name.to_uppercase()));
            add_call(&mut map, &headers(&[(name, "canary")]));
        }
        assert_eq!(map, before);
        assert!(!is_reserved("x-ms-client-request-id"));
    }

    #[test]
    fn a_deployment_may_bring_a_credential_only_where_it_has_no_key() {
        let gateway = headers(&[("authorization", "Basic canary")]);
        let map = template(&Operation::Embeddings, &Auth::None, &gateway).unwrap();
        assert_eq!(values(&map, "authorization"), ["Basic canary"]);
        assert!(!format!("{map:?}").contains("canary"));
        let message = template(&Operation::Embeddings, &Auth::Key("k".into()), &gateway).unwrap_err();
        assert!(
            message.contains("authorization") && !message.contains("canary"),
            "{message}"
        );
        assert!(template(&Operation::Embeddings, &Auth::None, &headers(&[("host", "x")])).is_err());
    }
}
