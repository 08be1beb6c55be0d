//! The head of a request: what is ours, what is the deployment's, what is the call's.

use std::sync::Arc;

use ureq::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};

use crate::api::headers::deployment_may_set;
use crate::api::{Headers, Operation, Secret};
use crate::transport::auth::Auth;

/// What this client calls itself.
pub(crate) const AGENT_NAME: &str = concat!("azure-openai-blaster/", env!("CARGO_PKG_VERSION"));

/// The headers of a request, apart from those that the HTTP client adds (`host`, `content-length`).
#[derive(Clone)]
pub(super) struct Head {
    /// What the client is given.
    pub(super) open: HeaderMap,
    /// Lines that are added below the client. At level trace it logs each byte that it is given, so no value that is
    /// marked sensitive may reach it.
    pub(super) sealed: Arc<[u8]>,
}

/// The headers that all calls of an operation to a deployment have in common.
#[derive(Clone)]
pub(super) struct Template {
    all: HeaderMap,
    head: Head,
}

impl Template {
    /// # Errors
    /// A message (without values) where the deployment's headers or its credential cannot be sent.
    pub(super) fn new(operation: &Operation, auth: &Auth, of_deployment: &Headers) -> Result<Template, String> {
        let mut all = HeaderMap::with_capacity(8 + of_deployment.len());
        all.insert(USER_AGENT, HeaderValue::from_static(AGENT_NAME));
        all.insert(ACCEPT, HeaderValue::from_static(accepted(operation)));
        // Set here, the client need not work it out for every call; it decompresses what it finds compressed.
        all.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let credential = auth.header()?;
        for (name, _) in of_deployment.as_map() {
            if !deployment_may_set(name.as_str(), auth.is_some()) {
                return Err(format!("headers: \"{name}\" is set by the transport"));
            }
        }
        overlay(&mut all, of_deployment);
        all.extend(credential.map(|(name, value)| (Some(name), value)));
        let head = Head::of(all.clone());
        Ok(Template { all, head })
    }

    /// The head of one call. Its headers replace those of the same name; what is reserved is left out.
    pub(super) fn head(&self, of_call: &Headers) -> Head {
        let of_call = &*of_call.sendable();
        let is_sealed = |name| self.all.get(name).is_some_and(HeaderValue::is_sensitive);
        let mut lines = of_call.as_map().iter();
        if lines.any(|(name, value)| value.is_sensitive() || is_sealed(name)) {
            let mut all = self.all.clone();
            overlay(&mut all, of_call);
            return Head::of(all);
        }
        let mut head = self.head.clone();
        overlay(&mut head.open, of_call);
        head
    }
}

impl Head {
    fn of(all: HeaderMap) -> Head {
        let mut open = HeaderMap::with_capacity(all.len());
        let mut sealed = Vec::new();
        for (name, value) in &all {
            // The client would add its own where it sees none.
            let is_open = *name == USER_AGENT || *name == ACCEPT;
            if value.is_sensitive() && !is_open {
                sealed.extend_from_slice(name.as_str().as_bytes());
                sealed.extend_from_slice(b": ");
                sealed.extend_from_slice(value.as_bytes());
                sealed.extend_from_slice(b"\r\n");
            } else {
                open.append(name, value.clone());
            }
        }
        Head {
            open,
            sealed: sealed.into(),
        }
    }

    /// Adds the token of the call.
    ///
    /// # Errors
    /// A message (which does not repeat the token) where no header may hold it.
    pub(super) fn sign(&mut self, token: &Secret) -> Result<(), &'static str> {
        let text = token.expose();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token is empty or holds characters that no HTTP header may hold");
        }
        self.sealed = [&self.sealed[..], b"authorization: Bearer ", text.as_bytes(), b"\r\n"]
            .concat()
            .into();
        Ok(())
    }

    /// Takes the body's headers away, for a request without a body.
    pub(super) fn without_body(&mut self) {
        self.open.remove(CONTENT_TYPE);
    }
}

fn overlay(map: &mut HeaderMap, headers: &Headers) {
    for name in headers.as_map().keys() {
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

    fn values<'a>(head: &'a Head, name: &str) -> Vec<&'a str> {
        head.open
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    fn sealed(head: &Head) -> &str {
        std::str::from_utf8(&head.sealed).unwrap()
    }

    #[test]
    fn the_calls_headers_go_before_the_deployments_and_those_before_ours() {
        let deployment = headers(&[("user-agent", "d"), ("accept", "d"), ("x-d", "1"), ("x-d", "2")]);
        let template = Template::new(&Operation::ChatCompletions, &Auth::Key("k".into()), &deployment).unwrap();
        let head = template.head(&headers(&[("accept", "c"), ("X-D", "3"), ("x-c", "4"), ("x-c", "5")]));
        assert_eq!(values(&head, "user-agent"), ["d"]);
        assert_eq!(values(&head, "accept"), ["c"]);
        assert_eq!(values(&head, "x-d"), ["3"]);
        assert_eq!(values(&head, "x-c"), ["4", "5"]);
        assert_eq!(values(&head, "content-type"), ["application/json"]);
        assert_eq!(sealed(&head), "api-key: k\r\n");
    }

    #[test]
    fn what_is_sensitive_is_not_given_to_the_client() {
        let deployment = headers(&[("ocp-apim-subscription-key", "canary-1"), ("cookie", "canary-2")]);
        let template = Template::new(&Operation::Embeddings, &Auth::Bearer("canary-3".into()), &deployment).unwrap();
        let check = |of_call: &[(&str, &str)], subscription: &str| {
            let head = template.head(&headers(of_call));
            assert!(
                head.open.values().all(|value| !value.as_bytes().starts_with(b"canary")),
                "{:?}",
                head.open
            );
            for line in [subscription, "authorization: Bearer canary-3", "cookie: canary-2"] {
                assert_eq!(sealed(&head).matches(&format!("{line}\r\n")).count(), 1, "{line}");
            }
            assert_eq!(sealed(&head).lines().count(), 3);
        };
        check(&[], "ocp-apim-subscription-key: canary-1");
        check(&[("x-a", "b")], "ocp-apim-subscription-key: canary-1");
        let own = [("ocp-apim-subscription-key", "canary-4"), ("cookie", "canary-5")];
        check(&own, "ocp-apim-subscription-key: canary-4");
    }

    #[test]
    fn a_calls_header_replaces_a_secret_one_of_the_deployment() {
        let mut deployment = Headers::new();
        for name in ["x-gateway", "x-other", "user-agent"] {
            deployment.insert_secret(name, "canary").unwrap();
        }
        let template = Template::new(&Operation::Embeddings, &Auth::None, &deployment).unwrap();
        let head = template.head(&Headers::new());
        assert_eq!(sealed(&head).lines().count(), 2, "{}", sealed(&head));
        assert_eq!(
            values(&head, "user-agent"),
            ["canary"],
            "it names nobody who may come in"
        );
        let head = template.head(&headers(&[("X-Gateway", "mine")]));
        assert_eq!(
            (sealed(&head), values(&head, "x-gateway")),
            ("x-other: canary\r\n", vec!["mine"])
        );
    }

    #[test]
    fn a_call_cannot_change_who_asks_whom_nor_the_framing() {
        let auth = Auth::Bearer("k".into());
        let template = Template::new(&Operation::Embeddings, &auth, &Headers::new()).unwrap();
        let before = template.head(&Headers::new());
        for name in [
            "api-key",
            "Authorization",
            "cookie",
            "Host",
            "content-length",
            "te",
            "accept-encoding",
        ] {
            let head = template.head(&headers(&[(name, "canary")]));
            assert_eq!((&head.open, &head.sealed), (&before.open, &before.sealed), "{name}");
        }
    }

    #[test]
    fn a_deployment_may_bring_a_credential_only_where_it_has_no_key() {
        let gateway = headers(&[("authorization", "Basic canary")]);
        let template = Template::new(&Operation::Embeddings, &Auth::None, &gateway).unwrap();
        assert_eq!(
            sealed(&template.head(&Headers::new())),
            "authorization: Basic canary\r\n"
        );
        let refused =
            |auth: Auth, headers: &Headers| Template::new(&Operation::Embeddings, &auth, headers).err().unwrap();
        let message = refused(Auth::Key("k".into()), &gateway);
        assert!(
            message.contains("authorization") && !message.contains("canary"),
            "{message}"
        );
        assert!(refused(Auth::None, &headers(&[("host", "x")])).contains("host"));
    }
}
