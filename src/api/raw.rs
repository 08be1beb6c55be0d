//! Any operation, as bytes and headers.

use serde::Deserialize;

use super::body::RequestBody;
use super::options::option_methods;
use super::{Headers, Ledger, Method, Operation, Options, Prepared};
use crate::error::RequestError;

/// A request of any operation, whose body passes through as it is.
///
/// Of a JSON object only the top-level `model` is read: it picks the deployment, whose own name takes its place,
/// at the end. All other members keep their bytes and their order. To a chat request a deployment's configured defaults are
/// added where the body leaves them open. A stream brings its usage only where the body asks for it by `stream_options`,
/// which are taken out for a deployment whose `send_stream_options` is `never`.
///
/// What the Responses API stores belongs to one resource. A request whose `previous_response_id` came from this blaster,
/// and one for `responses/{id}`, waits for the deployment that answered then, and fails at once where that one is
/// disabled. The last 16,384 responses at least are remembered. An id that is not known, or known of a deployment that
/// does not serve the model asked for, goes to any that does. Such a tie is no matter of preference: no
/// [`session`](Self::session), strategy or priority changes it.
///
/// ```
/// use azure_openai_blaster::api::{Operation, RawRequest};
///
/// let request = RawRequest::post(Operation::Responses, r#"{"model": "gpt-5", "input": "Hello"}"#);
/// assert!(request.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct RawRequest {
    operation: Operation,
    method: Method,
    body: Vec<u8>,
    content_type: Option<String>,
    options: Options,
    problem: Option<RequestError>,
}

impl RawRequest {
    /// A request with a body: JSON, unless [`content_type`](Self::content_type) says otherwise.
    pub fn post(operation: Operation, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::Post, operation, body.into())
    }

    /// A request to read something, such as `responses/{id}`.
    #[must_use]
    pub fn get(operation: Operation) -> Self {
        Self::new(Method::Get, operation, Vec::new())
    }

    /// A request to delete something.
    #[must_use]
    pub fn delete(operation: Operation) -> Self {
        Self::new(Method::Delete, operation, Vec::new())
    }

    fn new(method: Method, operation: Operation, body: Vec<u8>) -> Self {
        RawRequest {
            operation,
            method,
            body,
            content_type: None,
            options: Options::default(),
            problem: None,
        }
    }

    /// What the body is, such as `multipart/form-data; boundary=…`. Anything but JSON is sent untouched, and its
    /// model must be told by [`model`](Self::model).
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    option_methods!("The model that picks the deployment, in place of the body's own.");

    /// Requests with the same key prefer the same deployment, whose prompt cache knows how they begin. Never sent.
    ///
    /// Without one a JSON body's `prompt_cache_key` serves as the key, else its `user`, of chats, completions and
    /// responses. A deployment that rests, has no quota left, or has more than its share of what is under way is passed
    /// over; the conversation then stays where it has gone. An empty key leaves the request free to go anywhere. The
    /// strategy `failover` knows no such preference.
    #[must_use]
    pub fn session(mut self, key: impl Into<String>) -> Self {
        self.options.session = Some(key.into().into());
        self
    }

    fn fail(&mut self, problem: RequestError) {
        self.problem.get_or_insert(problem);
    }

    /// What is asked.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Whether the request can be sent; the same check is made when it is submitted.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), RequestError> {
        self.prepare().map(drop)
    }

    /// Checks the request and brings it into the form in which it waits.
    pub(crate) fn prepare(&self) -> Result<Prepared, RequestError> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let mut options = self.options.clone();
        let body = match &self.content_type {
            Some(content_type) if !is_json(content_type) => {
                options.content_type(content_type)?;
                RequestBody::opaque(self.body.clone())
            }
            _ => {
                let (body, model) = RequestBody::from_json(&self.operation, &self.body)?;
                options.model = options.model.or(model.map(Into::into));
                body
            }
        };
        Ok(Prepared {
            operation: self.operation.clone(),
            method: self.method,
            body,
            options,
        })
    }
}

/// Whether a content type is JSON.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A reply as received.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RawReply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Headers,
    /// The body, whole.
    pub body: Vec<u8>,
    ledger: Ledger,
}

impl RawReply {
    pub(crate) fn new(status: u16, headers: Headers, body: Vec<u8>) -> Self {
        RawReply {
            status,
            headers,
            body,
            ledger: Ledger::default(),
        }
    }

    pub(crate) fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// Where it is not JSON, or not of the type `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The attempts that it took.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body::Defaults;

    fn sent(request: &RawRequest) -> (Option<String>, Vec<u8>) {
        let prepared = request.prepare().unwrap();
        let mut out = Vec::new();
        prepared.body.render(Some("east"), Defaults::default(), &mut out);
        (prepared.options.model.map(String::from), out)
    }

    #[test]
    fn the_model_of_a_json_body_picks_the_deployment() {
        let request = RawRequest::post(Operation::Responses, r#"{"model":"gpt-5","input":"x"}"#);
        let body = br#"{"input":"x","model":"east"}"#.to_vec();
        assert_eq!(sent(&request), (Some("gpt-5".to_owned()), body.clone()));
        assert_eq!(sent(&request.model("other")), (Some("other".to_owned()), body));
    }

    #[test]
    fn what_is_not_json_is_sent_untouched_with_its_content_type() {
        let request = RawRequest::post(Operation::Responses, r#"{"model":"m"}"#).content_type("text/plain");
        assert_eq!(sent(&request), (None, br#"{"model":"m"}"#.to_vec()));
        let options = request.prepare().unwrap().options;
        assert_eq!(
            options.headers().and_then(|headers| headers.get("content-type")),
            Some("text/plain")
        );
    }

    #[test]
    fn json_by_any_spelling_is_json() {
        let request = RawRequest::post(Operation::Responses, r#"{"model":"m"}"#);
        for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
            let prepared = request.clone().content_type(content_type).prepare().unwrap();
            assert_eq!(prepared.options.model.as_deref(), Some("m"), "{content_type}");
            assert!(prepared.options.headers().is_none(), "{content_type}");
        }
    }

    #[test]
    fn a_request_without_a_body_has_none() {
        let request = RawRequest::get(Operation::other("responses/resp_1").unwrap());
        assert_eq!(sent(&request), (None, Vec::new()));
        assert_eq!(request.prepare().unwrap().method, Method::Get);
    }

    #[test]
    fn mistakes_are_reported_on_submission() {
        let post = |body: &str| RawRequest::post(Operation::Responses, body);
        assert!(matches!(post("{").check(), Err(RequestError::BadBody { .. })));
        assert!(matches!(
            post("{}").header("Authorization", "x").check(),
            Err(RequestError::Header { .. })
        ));
        assert!(matches!(
            post("").content_type("a\r\nb: c").check(),
            Err(RequestError::Header { .. })
        ));
    }
}
