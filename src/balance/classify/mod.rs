//! What a reply means: the one place where facts become an [`Outcome`].
//!
//! | sign | outcome |
//! |---|---|
//! | 429; a code that says so in a 503, a 200 or an error frame | throttled: costs nothing, the endpoint rests |
//! | 429 or 403 for want of money (`insufficient_quota`); 401, 402, 407, 410 with a code; 403 in the service's words | the deployment is unusable |
//! | 403 in other words; 401, 402, 407, 410 without a code (a page, nothing); any redirect | denied: the deployment's fault, or a firewall's that does not like the prompt |
//! | 404 `DeploymentNotFound`, "model does not exist" | the deployment is unusable |
//! | `OperationNotSupported`, an api-version that is refused | this operation is unusable on this deployment |
//! | 404 otherwise, 405 | the same, if it has never served; a firewall may read prompts |
//! | 404 for something that the request names (`previous_response_not_found`, …), 400, 411, 413, 414, 415, 422, 431, other 4xx, 424 for one of these of the model | the request is refused; no other endpoint would do better, unless it is a page that says so |
//! | 408, 409, 421, 424, 425, 502, 503, 504, other 5xx; no connection, timeout, cut reply | failed, the endpoint is to blame, or the request where it was written |
//! | a proxy that lets nobody through who asks like this (407, 403, …) | the deployment is unusable |
//! | no connection for want of files, ports or memory on this machine | failed, the endpoint has nothing to do with it |
//! | 500, 499, an empty or senseless 2xx, a reply too large | failed, nobody knows who is to blame |
//!
//! A 500 is unclear because Azure answers malformed bodies with it. A 503 that names a delay still counts as a
//! failure: a deployment that has died behind a gateway with a fixed `Retry-After` would otherwise hold its jobs for
//! ever. The header `x-should-retry`, which official SDKs heed, is ignored: it speaks of the same server, and whether
//! another one may serve the job is what is decided here.
//!
//! A reply is judged by what was received, and told without the secrets that its call carried. The outcome's own reason goes
//! into ledgers, reports and logs, and so is without what was asked; what whoever asked is told ([`Judged::told`]) is not.

use std::borrow::Cow;
use std::time::SystemTime;

use words::{Words, describe, head, holds_answer, redirect};

use super::outcome::{Blame, Outcome, Scope, Throttle};
use super::remedy;
use super::retry_after::{exhausted_axis, header_delay, named_wait};
use crate::api::error_object::{BODY_MAX, ErrorObject, clip, is_in_own_form};
use crate::api::withheld::Withheld;
use crate::api::{Headers, Operation};
use crate::error::BadReply;
use crate::error::fault::{Fault, FaultKind, Phase};

mod words;

/// Longest reason in an outcome, in characters: it stands in ledgers, which are kept by the thousand.
pub const REASON_MAX: usize = 300;

/// Longest name of an operation in it, and of what stands around that.
const OPERATION_MAX: usize = 60;
const AROUND_OPERATION: usize = " not served here: ".len();

/// A reply as it came, for [`classify`].
#[derive(Clone, Copy, Debug)]
pub struct ReplyFacts<'a> {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: &'a Headers,
    /// The body, or its first 64 KiB; empty where there is none.
    pub body: &'a [u8],
    /// What was asked.
    pub operation: &'a Operation,
    /// The time of day when the reply came, which dates in headers count from.
    pub wall: SystemTime,
}

/// What a reply means, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What it means, with a reason that may be recorded.
    pub outcome: Outcome,
    /// The reason for whoever asked.
    pub told: String,
}

/// What a reply means that is not a 2xx with the body that was asked for; who reads a good body judges it himself.
///
/// Never gives [`Outcome::Success`]: a 2xx that comes here is one whose body is empty, an error or not understood.
#[must_use]
pub fn classify(facts: &ReplyFacts<'_>, withheld: Withheld<'_>) -> Judged {
    let status = facts.status;
    match status {
        200..=299 => {
            let body = facts.body;
            let what = if body.trim_ascii().is_empty() {
                "with an empty body"
            } else {
                "with a body that is no answer"
            };
            classify_unreadable(
                facts,
                &BadReply::new(format!("{} {what}", head(status)), body),
                withheld,
            )
        }
        300..=399 => {
            let location = facts.headers.get("location").unwrap_or_default();
            let say = |location: Cow<'_, str>| {
                let redirect = format!("{} and redirects are not followed", redirect(status, &location));
                remedy::after(redirect, remedy::ENDPOINT, REASON_MAX)
            };
            let words = Words {
                recorded: say(withheld.recorded(location)),
                told: say(withheld.told(location)),
            };
            failed(Blame::Denied { lasts: true }, words)
        }
        _ => {
            let error = ErrorObject::parse(facts.body);
            // What has no form of an error is told as it stands, and may be an answer all the same.
            let withheld = match holds_answer(&error.message) {
                true => withheld.beside_an_answer(),
                false => withheld,
            };
            let words = Words::of(&error, withheld, |error| describe(&head(status), status, error));
            let mut judged = judge(status, &error, facts.headers, facts.wall, words);
            if let Outcome::Refused { own, .. }
            | Outcome::Unusable {
                scope: Scope::Path { own },
                ..
            } = &mut judged.outcome
            {
                *own = status == 424 || is_in_own_form(facts.body);
            }
            let Outcome::Unusable {
                scope: scope @ (Scope::Operation | Scope::Path { .. }),
                reason: recorded,
            } = judged.outcome
            else {
                return judged;
            };
            let operation = clip(facts.operation.to_string(), OPERATION_MAX);
            let words = Words {
                recorded,
                told: judged.told,
            };
            let words = words.map(|reason| format!("{operation} not served here: {reason}"));
            words.judged(|reason| Outcome::Unusable { scope, reason })
        }
    }
}

/// What a 2xx means that its reader could not use: an error in place of an answer, or what its reader says.
#[must_use]
pub fn classify_unreadable(facts: &ReplyFacts<'_>, bad: &BadReply, withheld: Withheld<'_>) -> Judged {
    // Errors are short, and a large body would be larger still once it is read.
    let frame = Some(facts.body).filter(|body| body.len() <= BODY_MAX);
    let frame = frame.and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
    match frame.as_ref().and_then(ErrorObject::in_frame) {
        Some(error) => classify_error_frame(&error, facts.headers, facts.wall, withheld),
        None => bad_reply(bad.to_string()),
    }
}

/// What an error event means that came where content was expected: in a stream before its first content, or as the
/// body of a 200. Azure answers streams so instead of with a 429. `headers` are those of the reply's head.
#[must_use]
pub fn classify_error_frame(
    error: &ErrorObject,
    headers: &Headers,
    wall: SystemTime,
    withheld: Withheld<'_>,
) -> Judged {
    let withheld = withheld.beside_an_answer();
    let status = implied_status(error).unwrap_or_else(|| {
        // On a 200 only a refusal names a delay.
        if header_delay(headers, wall).is_some() {
            429
        } else {
            500
        }
    });
    let words = Words::of(error, withheld, |error| describe("error in place of content", 0, error));
    judge(status, error, headers, wall, words)
}

/// What a request means that brought no (whole) reply.
#[must_use]
pub fn classify_fault(fault: &Fault, withheld: Withheld<'_>) -> Judged {
    let blame = match fault.kind {
        FaultKind::Closed | FaultKind::Protocol if fault.phase > Phase::NotWritten => Blame::Cut,
        FaultKind::Dns
        | FaultKind::Refused
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::Timeout(_)
        | FaultKind::Closed
        | FaultKind::Protocol => Blame::Endpoint,
        FaultKind::TooLarge => Blame::Unclear,
        FaultKind::Stale => Blame::Nobody,
        FaultKind::Local => Blame::Here,
        FaultKind::Cancelled => {
            return Judged {
                outcome: Outcome::Abandoned,
                told: String::new(),
            };
        }
        FaultKind::ProxyRefused => return unusable(Scope::Deployment, remedy::PROXY, Words::of_fault(fault, withheld)),
    };
    failed(blame, Words::of_fault(fault, withheld))
}

/// What a 2xx means whose body makes no sense, e.g. JSON without choices. The reason says so without quoting it.
#[must_use]
pub fn bad_reply(reason: impl AsRef<str>) -> Judged {
    failed(Blame::Unclear, Words::harmless(reason.as_ref()))
}

/// A stream that ended too early, of which the reason says nothing else.
#[must_use]
pub fn cut_short(reason: impl AsRef<str>) -> Judged {
    failed(Blame::Cut, Words::harmless(reason.as_ref()))
}

/// The decision table for replies that are errors.
fn judge(status: u16, error: &ErrorObject, headers: &Headers, wall: SystemTime, words: Words) -> Judged {
    if status == 429 || status == 503 && error.is_any(&THROTTLED) {
        if error.is_any(&UNPAID) {
            return unusable(Scope::Deployment, remedy::BILLING, words);
        }
        let axis = exhausted_axis(headers, error);
        let wait = named_wait(headers, error, axis, wall);
        return words.judged(|reason| Outcome::Throttled(Throttle { wait, axis, reason }));
    }
    if (400..500).contains(&status) {
        // These say what is wrong more exactly than their status, which varies.
        let no_model = status == 404 && error.says("does not exist") && error.says("the model ");
        if names_no_deployment(error) || no_model {
            return unusable(Scope::Deployment, remedy::MODEL, words);
        }
        if error.is_any(&["OperationNotSupported"]) {
            return unusable(Scope::Operation, remedy::OTHER_MODEL, words);
        }
        if refuses_api_version(error) {
            return unusable(Scope::Operation, remedy::API_VERSION, words);
        }
    }
    match status {
        401 | 402 | 403 | 407 | 410 if error.is_any(&UNPAID) => unusable(Scope::Deployment, remedy::BILLING, words),
        401 | 402 | 403 | 407 | 410 if shuts_out(status, error) => {
            unusable(Scope::Deployment, remedy::of_denial(status), words)
        }
        401 | 402 | 403 | 407 | 410 => failed(Blame::Denied { lasts: false }, words),
        404 if names_missing_item(error) => refused(words),
        404 | 405 => unusable(Scope::Path { own: true }, remedy::URL, words),
        424 if refused_by_model(headers) => refused(words),
        408 | 409 | 421 | 424 | 425 => failed(Blame::ServerError, words),
        // A gateway that believes we have left; long requests bring it about as well as sick backends.
        499 | 500 => failed(Blame::Unclear, words),
        400..=498 => refused(words),
        501..=599 => failed(Blame::ServerError, words),
        _ => failed(Blame::Unclear, words),
    }
}

/// Codes and types of throttling, in all six families of Azure's 429 and the OpenAI vendor's.
const THROTTLED: [&str; 6] = [
    "429",
    "RateLimitReached",
    "rate_limit_exceeded",
    "rate_limit_reached",
    "too_many_requests",
    "NoCapacity",
];

/// Codes of an account that cannot pay: waiting does not help.
const UNPAID: [&str; 3] = ["insufficient_quota", "billing_not_active", "billing_hard_limit_reached"];

/// The status that a reply with this error would have had, had it not come inside a 200.
fn implied_status(error: &ErrorObject) -> Option<u16> {
    if error.is_any(&THROTTLED) || error.is_any(&UNPAID) {
        return Some(429);
    }
    let code = error.code.as_deref().unwrap_or_default();
    if let Some(status) = code.parse().ok().filter(|status| (400..600).contains(status)) {
        return Some(status);
    }
    match code {
        "Timeout" => return Some(408),
        "PermissionDenied" | "AuthenticationTypeDisabled" | "invalid_api_key" => return Some(401),
        "ServiceUnavailable" | "service_unavailable" => return Some(503),
        "server_error" | "InternalServerError" => return Some(500),
        _ => {}
    }
    let refused = error.filtered
        || names_no_deployment(error)
        || refuses_api_version(error)
        || error.is_any(&[
            "invalid_request_error",
            "OperationNotSupported",
            "context_length_exceeded",
            "BadRequest",
        ])
        || code.starts_with("invalid_")
        || code.starts_with("unsupported_");
    refused.then_some(400)
}

/// Whether the deployment (or, at the OpenAI vendor, the model) does not exist.
fn names_no_deployment(error: &ErrorObject) -> bool {
    error.is_any(&["DeploymentNotFound", "model_not_found"])
        || error.says("could not find an existing deployment")
        || error.says("the api deployment for this resource does not exist")
}

/// Whether it is the service that denies access, and not something on the way that may have read the prompt. A code
/// will do, but where it is a 403: firewalls answer so, some of them in JSON.
fn shuts_out(status: u16, error: &ErrorObject) -> bool {
    let own = error.is_any(&[
        "AccessDenied",
        "AuthenticationTypeDisabled",
        "PermissionDenied",
        "invalid_api_key",
    ]) || error.says("access denied due to")
        || error.says("public access is disabled");
    error.code.is_some() && (own || status != 403)
}

/// Whether the configured api-version is the trouble. An older one may know chats and not the responses, so this tells
/// nothing about the deployment's other operations.
fn refuses_api_version(error: &ErrorObject) -> bool {
    error.says("api version not supported")
        || error.says("api-version query parameter is not allowed")
        || error.says("unsupported api version")
        || error.says("enabled only for api-version")
}

/// Whether the model behind a 424 has refused the request: the serving layer passes its status on in a header.
fn refused_by_model(headers: &Headers) -> bool {
    let status = headers.get("ms-azureml-model-error-statuscode");
    matches!(
        status.and_then(|status| status.trim().parse().ok()),
        Some(400u16 | 413 | 415 | 422)
    )
}

/// Whether a 404 is about something that the request names, a stored response or a file, and not about the path.
fn names_missing_item(error: &ErrorObject) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    error.param.is_some() || code.ends_with("_not_found") || error.says(" with id ")
}

/// Taken out for a reason that lasts until somebody does what the `remedy` says.
fn unusable(scope: Scope, remedy: &str, words: Words) -> Judged {
    let max = match scope {
        Scope::Deployment => REASON_MAX,
        // The operation is named in front of it.
        Scope::Operation | Scope::Path { .. } => REASON_MAX - OPERATION_MAX - AROUND_OPERATION,
    };
    let words = words.map(|reason| remedy::after(reason, remedy, max));
    words.judged(|reason| Outcome::Unusable { scope, reason })
}

fn failed(blame: Blame, words: Words) -> Judged {
    words.judged(|reason| Outcome::Failed { blame, reason })
}

fn refused(words: Words) -> Judged {
    words.judged(|reason| Outcome::Refused { own: true, reason })
}

/// What a 401 to a token comes to, and what it says, with what helps where another token does not.
pub(crate) fn classify_token_refusal(
    error: &ErrorObject,
    lacks_role: bool,
    withheld: Withheld<'_>,
    outcome: impl FnOnce(String) -> Outcome,
) -> Judged {
    let remedy = if lacks_role { remedy::ROLE } else { remedy::TOKEN };
    let words = Words::of(error, withheld, |error| describe(&head(401), 401, error));
    words
        .map(|reason| remedy::after(reason, remedy, REASON_MAX))
        .judged(outcome)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::api::withheld::Mask;
    use crate::balance::outcome::Axis;
    use crate::balance::retry_after::WAIT_MAX;
    use crate::error::fault::TimeoutKind;

    const WALL: SystemTime = SystemTime::UNIX_EPOCH;

    /// Names and values of headers.
    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// What a row expects, without the wording.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kind {
        Throttled(Axis, Option<u64>),
        Blamed(Blame),
        Unusable(Scope),
        Refused,
        Abandoned,
    }
    use Kind::{Abandoned, Blamed, Refused, Throttled};

    const DEPLOYMENT: Kind = Kind::Unusable(Scope::Deployment);
    const OPERATION: Kind = Kind::Unusable(Scope::Operation);
    const PATH: Kind = Kind::Unusable(Scope::Path { own: true });
    const PAGE: Kind = Kind::Unusable(Scope::Path { own: false });

    /// The kind of an outcome, and its reason.
    fn kind(judged: Judged) -> (Kind, String) {
        match judged.outcome {
            Outcome::Throttled(throttle) => {
                let ms = throttle.wait.map(|wait| wait.as_millis() as u64);
                (Throttled(throttle.axis, ms), throttle.reason)
            }
            Outcome::Failed { blame, reason } => (Blamed(blame), reason),
            Outcome::Unusable { scope, reason } => (Kind::Unusable(scope), reason),
            Outcome::Refused { reason, .. } => (Refused, reason),
            Outcome::Abandoned => (Abandoned, String::new()),
            Outcome::Success(_) | Outcome::Unsigned { .. } | Outcome::OutOfTime { .. } => {
                panic!("no reply is classified so")
            }
        }
    }

    fn headers(pairs: Pairs<'_>) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.insert(name, value).unwrap();
        }
        headers
    }

    fn reply(status: u16, pairs: Pairs<'_>, body: &str) -> (Kind, String) {
        kind(judge_reply(status, pairs, body, Withheld::default()))
    }

    fn judge_reply(status: u16, pairs: Pairs<'_>, body: &str, withheld: Withheld<'_>) -> Judged {
        let facts = ReplyFacts {
            status,
            headers: &headers(pairs),
            body: body.as_bytes(),
            operation: &Operation::ChatCompletions,
            wall: WALL,
        };
        classify(&facts, withheld)
    }

    fn check(origin: &str, status: u16, pairs: Pairs<'_>, body: &str, expected: Kind, words: &str) {
        let (kind, reason) = reply(status, pairs, body);
        assert_eq!(kind, expected, "{origin}: {status} {body}");
        assert!(reason.contains(words), "{origin}: {reason:?} does not say {words:?}");
        assert!(
            reason.starts_with(&status.to_string()) || matches!(kind, OPERATION | PATH | PAGE),
            "{origin}: {reason:?}"
        );
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_request_that_is_at_fault_is_refused_and_harms_no_endpoint() {
        let rows: &[(&str, u16, &str, &str)] = &[
            ("wire 4.2", 400, r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#, "400 content_filter (prompt): The response was filtered"),
            ("wire 4.2", 400, r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#, "context_length_exceeded"),
            ("wire 4.2", 400, r#"{"error":{"message":"Unsupported value: 'temperature'","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#, "unsupported_value"),
            ("a 400 without a body", 400, "", "400 Bad Request"),
            ("a missing model is told by 404 alone", 400, r#"{"error":{"message":"the file that the model needs does not exist","code":null}}"#, "400 Bad Request"),
            ("needs a length", 411, "", "411 Length Required"),
            ("wire 4.4", 413, r#"{"error":{"code":"tokens_limits_reached","message":"Request body too large"}}"#, "413 tokens_limits_reached"),
            ("wire 4.8", 414, "", ""),
            ("wire 4.8", 415, "", ""),
            ("wire 4.8", 422, r#"{"detail":[{"msg":"field required"}]}"#, "field required"),
            ("wire 4.4", 431, "<html><title>Request Header Fields Too Large</title></html>", "431 Request Header Fields Too Large"),
            ("unknown 4xx", 418, "", ""),
            ("unknown 4xx", 451, "", ""),
            ("unknown 4xx", 498, "", "498"),
            ("an item that the request names", 404, r#"{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#, "previous_response_not_found"),
            ("an item that the request names", 404, r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":null,"code":null}}"#, "resp_1"),
        ];
        for (origin, status, body, words) in rows {
            check(origin, *status, &[], body, Refused, words);
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_deployment_that_is_configured_wrongly_is_taken_out() {
        let rows: &[(&str, u16, Pairs<'_>, &str, &str)] = &[
            ("wire 4.3", 401, &[], r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#, "401 Unauthorized: Access denied"),
            ("wire 4.3", 401, &[], r#"{"statusCode":401,"message":"Unauthorized. Access token is missing"}"#, "Access token is missing"),
            ("wire 4.3", 401, &[], r#"{"error":{"code":"PermissionDenied","message":"Principal does not have access to API/Operation."}}"#, "PermissionDenied"),
            ("wire 4.3", 403, &[], r#"{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}"#, "Firewall"),
            ("wire 4.3", 403, &[], r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#, "AuthenticationTypeDisabled"),
            ("wire 4.4", 404, &[], r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, "DeploymentNotFound"),
            ("OpenAI vendor", 404, &[], r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#, "model_not_found"),
            ("vLLM", 404, &[], r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}"#, "does not exist"),
            ("wire 3.4", 400, &[], r#"{"error":{"type":"invalid_request_error","message":"Could not find an existing deployment to match the model in the request"}}"#, "existing deployment"),
            ("OpenAI vendor", 429, &[("retry-after", "1")], r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#, "insufficient_quota"),
        ];
        for (origin, status, pairs, body, words) in rows {
            check(origin, *status, pairs, body, DEPLOYMENT, words);
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_redirect_tells_the_host_and_may_be_meant_for_the_prompt() {
        let rows: &[(&str, u16, Pairs<'_>, &str)] = &[
            ("a page to sign in", 302, &[("location", "https://login.example.com/a?token=canary")], "302 Found to login.example.com and redirects"),
            ("redirect", 307, &[("location", "//u:canary@h.example:8443?x=canary")], "to h.example:8443 and"),
            ("redirect", 308, &[("location", "/canary")], "to another path"),
            ("redirect without a target", 301, &[], "301 Moved Permanently and"),
        ];
        for (origin, status, pairs, words) in rows {
            check(origin, *status, pairs, "", Blamed(Blame::Denied { lasts: true }), words);
            let (_, reason) = reply(*status, pairs, "");
            assert!(!reason.contains("canary"), "{reason}");
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn an_operation_that_a_deployment_does_not_know_leaves_its_others_alone() {
        let rows: &[(&str, u16, &str, Kind, &str)] = &[
            ("wire 4.4", 404, r#"{"error":{"code":"404","message": "Resource not found"}}"#, PATH, "chat/completions not served here: 404 Not Found: Resource not found"),
            ("nginx", 404, "<html><head><title>404 Not Found</title></head></html>", PAGE, "404 Not Found"),
            ("empty", 404, "", PAGE, "404 Not Found"),
            ("OpenAI vendor", 404, r#"{"error":{"message":"Invalid URL (POST /v1/foo)","type":"invalid_request_error","param":null,"code":null}}"#, PATH, "Invalid URL"),
            ("wire 4.8", 405, "", PAGE, "405 Method Not Allowed"),
            ("wire 4.2", 400, r#"{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model, X."}}"#, OPERATION, "OperationNotSupported"),
            ("wire 4.2", 400, r#"{"error":{"code":"BadRequest","message":"API version not supported"}}"#, OPERATION, "API version not supported"),
            ("wire 1.1", 400, r#"{"error":{"code":"BadRequest","message":"api-version query parameter is not allowed when using /v1 path"}}"#, OPERATION, "not allowed"),
            ("Aider-AI/aider#4029", 400, r#"{"error":{"code":"BadRequest","message":"Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"}}"#, OPERATION, "2025-03-01-preview"),
        ];
        for (origin, status, body, expected, words) in rows {
            check(origin, *status, &[], body, *expected, words);
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_failure_is_blamed_on_the_endpoint_only_where_the_request_can_not_be_its_cause() {
        let rows: &[(&str, u16, &str, Blame, &str)] = &[
            ("wire 4.4", 408, r#"{"error":{"code":"Timeout","message":"The operation was timeout."}}"#, Blame::ServerError, "408 Timeout: The operation was timeout."),
            ("wire 4.8", 409, "", Blame::ServerError, "409 Conflict"),
            ("misdirected", 421, "", Blame::ServerError, ""),
            ("wire 4.4", 424, r#"{"error":{"code":"model_error","message":"m"}}"#, Blame::ServerError, "model_error"),
            ("too early", 425, "", Blame::ServerError, ""),
            ("wire 4.8, as a gateway sees it", 499, "", Blame::Unclear, "499"),
            ("wire 4.4", 500, r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#, Blame::Unclear, "500 server_error: The server"),
            ("wire 4.4", 500, r#"{"error":{"code":"InternalServerError","message":"m"}}"#, Blame::Unclear, "InternalServerError"),
            ("wire 4.1 variety 4", 502, "<html><title>502 Bad Gateway</title></html>", Blame::ServerError, "502 Bad Gateway"),
            ("wire 4.1 variety 4", 503, "no healthy upstream", Blame::ServerError, "503 Service Unavailable: no healthy upstream"),
            ("wire 4.8", 504, "", Blame::ServerError, "504 Gateway Timeout"),
            ("other 5xx", 501, "", Blame::ServerError, ""),
            ("other 5xx", 529, "", Blame::ServerError, "529"),
            ("no status of HTTP", 600, "", Blame::Unclear, "600"),
            ("wire 4.6", 503, r#"{"error":{"code":"ServiceUnavailable","message":"Retry after 5 seconds"}}"#, Blame::ServerError, ""),
            ("peers", 204, "", Blame::Unclear, "204 No Content with an empty body"),
            ("peers", 200, " \n", Blame::Unclear, "200 OK with an empty body"),
            ("peers", 200, "<html><title>Sign in</title></html>", Blame::Unclear, "with a body that is no answer, in a page of 35 bytes"),
            ("unexpected 2xx", 202, r#"{"id":"x"}"#, Blame::Unclear, "202 Accepted"),
        ];
        for (origin, status, body, blame, words) in rows {
            check(origin, *status, &[], body, Blamed(*blame), words);
        }
        // The answer of a dead deployment behind a gateway is no reason to wait for ever.
        check(
            "503 with a delay",
            503,
            &[("retry-after", "30")],
            "",
            Blamed(Blame::ServerError),
            "503",
        );
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_denial_in_words_that_are_not_the_services_may_be_meant_for_the_prompt() {
        let rows: &[(&str, u16, &str, &str)] = &[
            ("a firewall's page", 403, "<html><title>Access denied due to policy</title></html>", "due to policy"),
            ("a firewall's JSON", 403, r#"{"code":"Forbidden","message":"blocked"}"#, "403 Forbidden: blocked"),
            ("nothing said", 403, "", "403 Forbidden"),
            ("a page", 401, "<html><title>Sign in</title></html>", "401 Unauthorized: Sign in"),
            ("no money", 402, "", "402 Payment Required"),
            ("a proxy between", 407, "", "407"),
            ("a retired model", 410, "", "410 Gone"),
        ];
        for (origin, status, body, words) in rows {
            check(origin, *status, &[], body, Blamed(Blame::Denied { lasts: false }), words);
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn all_six_families_of_429_throttle() {
        const A: &str = r#"{"error":{"code":"RateLimitReached","message":"Your requests to d for gpt-4o in Sweden Central have exceeded the token rate limit for your current OpenAI S0 pricing tier. This request was for ChatCompletions_Create under Azure OpenAI API version 2025-01-01-preview. Please retry after 2 seconds. To increase your default rate limit, visit: https://aka.ms/oai/quotaincrease."}}"#;
        const B: &str = r#"{"error":{"code":"429","message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-15-preview have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 86400 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}"#;
        const C: &str = r#"{"error":{"code":"429","message": "Rate limit is exceeded. Try again in 2 seconds."}}"#;
        const D: &str = r#"{ "error": { "type":"too_many_requests", "code":"rate_limit_exceeded", "message":"Your requests to x for y in z have exceeded token rate limit.", "param":null } }"#;
        const E: &str = r#"{"error":{"type":"too_many_requests","code":"rate_limit_reached","message":"Requests have exceeded the throughput limit on your Provisioned-Managed deployment."}}"#;
        const F: &str = r#"{"error":{"code":"NoCapacity","message":"The system is currently experiencing high demand and cannot process your request. Please retry after 20 seconds."}}"#;
        let rows: &[(&str, u16, Pairs<'_>, &str, Kind, &str)] = &[
            ("wire 4.5 a", 429, &[("retry-after", "2")], A, Throttled(Axis::Tokens, Some(2_000)), "429 RateLimitReached: Your requests to d"),
            ("wire 4.5 b", 429, &[], B, Throttled(Axis::Requests, Some(86_400_000)), "429 Too Many Requests: Requests to the"),
            ("wire 4.5 c", 429, &[], C, Throttled(Axis::Unknown, Some(2_000)), "Rate limit is exceeded"),
            ("wire 4.5 d", 429, &[("retry-after", "1"), ("retry-after-ms", "0")], D, Throttled(Axis::Tokens, Some(1_000)), "429 rate_limit_exceeded"),
            ("wire 4.5 e", 429, &[("retry-after-ms", "1234")], E, Throttled(Axis::Throughput, Some(1_234)), "rate_limit_reached"),
            ("wire 4.5 f", 429, &[], F, Throttled(Axis::Capacity, Some(20_000)), "NoCapacity"),
            ("f as 503", 503, &[], F, Throttled(Axis::Capacity, Some(20_000)), "503 NoCapacity"),
            ("nothing said", 429, &[], "", Throttled(Axis::Unknown, None), "429 Too Many Requests"),
            ("a page", 429, &[], "<html><title>Slow down</title></html>", Throttled(Axis::Unknown, None), "Slow down"),
        ];
        for (origin, status, pairs, body, expected, words) in rows {
            check(origin, *status, pairs, body, *expected, words);
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn an_error_in_place_of_content_means_what_its_own_status_would_have_meant() {
        let rows: &[(&str, Pairs<'_>, &str, Kind)] = &[
            ("wire 3.4", &[("retry-after", "7")], r#"{"type":"error","error":{"type":"too_many_requests","code":"rate_limit_exceeded","message":"Your requests to m for m in r have exceeded token rate limit.","param":null}}"#, Throttled(Axis::Tokens, Some(7_000))),
            ("wire 3.4, details null", &[("retry-after", "7")], r#"{"type":"response.failed","response":{"error":null}}"#, Throttled(Axis::Unknown, Some(7_000))),
            ("wire 3.4, no delay", &[], r#"{"type":"response.failed","response":{"error":null}}"#, Blamed(Blame::Unclear)),
            ("wire 3.4", &[], r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#, Blamed(Blame::Unclear)),
            ("wire 3.4", &[("retry-after", "7")], r#"{"type":"error","error":{"type":"invalid_request_error","message":"Could not find an existing deployment to match the model in the request"}}"#, DEPLOYMENT),
            ("a text", &[], r#"{"error":"upstream died"}"#, Blamed(Blame::Unclear)),
            ("refused", &[], r#"{"error":{"code":"content_filter","message":"m"}}"#, Refused),
            ("refused", &[], r#"{"error":{"code":"context_length_exceeded","message":"m"}}"#, Refused),
            ("refused", &[], r#"{"error":{"code":null,"type":"invalid_request_error","message":"m"}}"#, Refused),
            ("refused", &[], r#"{"error":{"code":"invalid_prompt","message":"m"}}"#, Refused),
            ("a status as code", &[], r#"{"error":{"code":503,"message":"m"}}"#, Blamed(Blame::ServerError)),
            ("a status as code", &[], r#"{"error":{"code":"401","message":"m"}}"#, DEPLOYMENT),
            ("no key", &[], r#"{"error":{"code":"invalid_api_key","message":"m"}}"#, DEPLOYMENT),
            ("timeout", &[], r#"{"error":{"code":"Timeout","message":"m"}}"#, Blamed(Blame::ServerError)),
            ("no operation", &[], r#"{"error":{"code":"OperationNotSupported","message":"m"}}"#, OPERATION),
            ("no money", &[], r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, DEPLOYMENT),
            ("no capacity", &[], r#"{"error":{"code":"NoCapacity","message":"m"}}"#, Throttled(Axis::Capacity, None)),
        ];
        for (origin, pairs, frame, expected) in rows {
            let error = ErrorObject::in_frame(&serde_json::from_str(frame).unwrap()).unwrap();
            let (in_stream, reason) = kind(classify_error_frame(&error, &headers(pairs), WALL, Withheld::default()));
            assert_eq!(in_stream, *expected, "{origin}: {frame}");
            assert!(reason.starts_with("error in place of content"), "{reason}");
            assert_eq!(
                reply(200, pairs, frame).0,
                *expected,
                "{origin} as a whole body: {frame}"
            );
        }
    }

    #[test]
    fn a_request_without_a_reply_is_blamed_by_how_it_failed() {
        let rows = [
            (FaultKind::Dns, Blamed(Blame::Endpoint)),
            (FaultKind::Refused, Blamed(Blame::Endpoint)),
            (FaultKind::Connect, Blamed(Blame::Endpoint)),
            (FaultKind::Tls, Blamed(Blame::Endpoint)),
            (FaultKind::Timeout(TimeoutKind::FirstByte), Blamed(Blame::Endpoint)),
            (FaultKind::Closed, Blamed(Blame::Cut)),
            (FaultKind::Protocol, Blamed(Blame::Cut)),
            (FaultKind::TooLarge, Blamed(Blame::Unclear)),
            (FaultKind::Stale, Blamed(Blame::Nobody)),
            (FaultKind::Local, Blamed(Blame::Here)),
            (FaultKind::Cancelled, Abandoned),
        ];
        for (fault, expected) in rows {
            let (kind, reason) = kind(classify_fault(
                &Fault::new(fault, Phase::Written, "while talking"),
                Withheld::default(),
            ));
            assert_eq!(kind, expected, "{fault:?}");
            if kind != Abandoned {
                assert_eq!(reason, format!("{fault}: while talking"));
            }
        }
        for fault in [FaultKind::Closed, FaultKind::Protocol] {
            let fault = Fault::new(fault, Phase::NotWritten, "while talking");
            let judged = classify_fault(&fault, Withheld::default());
            assert_eq!(kind(judged).0, Blamed(Blame::Endpoint), "nobody has read it: {fault:?}");
        }
        let fault = Fault::new(FaultKind::ProxyRefused, Phase::NotWritten, "it answered 407");
        let mask = Mask::default();
        let (kind, reason) = kind(classify_fault(&fault, Withheld::new(&mask, b"")));
        assert_eq!(kind, DEPLOYMENT);
        assert!(
            reason.starts_with("refused by the proxy: it answered 407; set proxy"),
            "{reason}"
        );
    }

    const KEY: &str = "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456";

    #[test]
    fn no_reason_shows_a_secret_that_the_call_carried_or_grows_beyond_its_bound() {
        let mask = Mask::of([KEY]);
        let withheld = Withheld::new(&mask, b"");
        let location = format!("https://{KEY}.example/?k={KEY}");
        let said = format!(
            r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. Find it.","code":"{KEY}","type":"{KEY}","param":"{KEY}"}}}}"#
        );
        let page = format!("<html><title>No {KEY}</title></html>");
        for (status, pairs, body, told) in [
            (
                401,
                &[][..],
                &said,
                "401 (hidden) ((hidden)): Incorrect API key provided: (hidden). Find it; set api_key to a key of this resource",
            ),
            (502, &[], &page, "502 Bad Gateway: No (hidden)"),
            (502, &[], &KEY.to_uppercase(), "502 Bad Gateway: (hidden)"),
            (
                302,
                &[("location", &*location)],
                &String::new(),
                "302 Found to (hidden).example and redirects are not followed; set endpoint to the service's own base URL",
            ),
            (
                200,
                &[],
                &said,
                "error in place of content: (hidden) ((hidden)): Incorrect API key provided: (hidden). Find it.",
            ),
            (
                200,
                &[],
                &KEY.to_owned(),
                "200 OK with a body that is no answer, in a text of 36 bytes",
            ),
        ] {
            let judged = judge_reply(status, pairs, body, withheld);
            assert_eq!(judged.told, told, "{status} {body}");
            // With the status of a success, only the service's own words are recorded.
            let recorded = match told.split_once(": Incorrect") {
                Some((start, _)) if status == 200 => format!("{start}: …"),
                _ => told.to_owned(),
            };
            assert_eq!(kind(judged).1, recorded, "{status} {body}");
        }
        let fault = Fault::new(FaultKind::Tls, Phase::NotWritten, format!("not for {KEY}\n").repeat(99));
        let judged = classify_fault(&fault, withheld);
        let (_, reason) = kind(judged.clone());
        assert!(reason.starts_with("TLS failed: not for (hidden) not for"), "{reason}");
        for text in [&reason, &judged.told] {
            assert!(text.chars().count() == REASON_MAX + 1 && !text.contains('\n'), "{text}");
        }
        let long = format!(r#"{{"error":{{"message":"{}","code":"x"}}}}"#, "word ".repeat(2_000));
        assert_eq!(reply(400, &[], &long).1.chars().count(), REASON_MAX + 1);
    }

    #[test]
    fn what_was_asked_is_told_to_whoever_asked_and_not_recorded() {
        const PROMPT: &str = "Dear doctor, my left knee has been swollen since Tuesday.";
        let asked = format!(r#"{{"messages":[{{"role":"user","content":"{PROMPT}"}}],"max_completion_tokens":9}}"#);
        let mask = Mask::of([KEY]);
        let withheld = Withheld::new(&mask, asked.as_bytes());
        let flagged = format!(
            r#"{{"error":{{"message":"Invalid prompt: '{PROMPT}' by {KEY}","code":"invalid_prompt","type":"{PROMPT}","param":"max_completion_tokens"}}}}"#
        );
        let known = r#"{"error":{"message":"Unsupported parameter: 'max_completion_tokens' is not supported with this model.","type":"invalid_request_error","param":"max_completion_tokens","code":"unsupported_parameter"}}"#;
        let known_said = "400 unsupported_parameter (invalid_request_error, max_completion_tokens): Unsupported parameter: \
                          'max_completion_tokens' is not supported with this model.";
        for (status, body, told, recorded) in [
            (
                400,
                &*flagged,
                format!("400 invalid_prompt ({PROMPT}, max_completion_tokens): Invalid prompt: '{PROMPT}' by (hidden)"),
                "400 invalid_prompt (…, max_completion_tokens): Invalid prompt: '…' by (hidden)",
            ),
            (
                200,
                &*flagged,
                format!(
                    "error in place of content: invalid_prompt ({PROMPT}, max_completion_tokens): Invalid prompt: '{PROMPT}' by (hidden)"
                ),
                "error in place of content: invalid_prompt (…, max_completion_tokens): …",
            ),
            (
                500,
                PROMPT,
                format!("500 Internal Server Error: {PROMPT}"),
                "500 Internal Server Error: …",
            ),
            (
                200,
                PROMPT,
                "200 OK with a body that is no answer, in a text of 57 bytes".to_owned(),
                "200 OK with a body that is no answer, in a text of 57 bytes",
            ),
            (400, known, known_said.to_owned(), known_said),
        ] {
            let judged = judge_reply(status, &[], body, withheld);
            assert_eq!(judged.told, told);
            assert_eq!(kind(judged).1, recorded);
        }
        let fault = Fault::new(FaultKind::Protocol, Phase::HeadReceived, format!("bad header {PROMPT}"));
        let judged = classify_fault(&fault, withheld);
        assert_eq!(judged.told, format!("not HTTP: bad header {PROMPT}"));
        assert_eq!(kind(judged).1, "not HTTP: bad header …");
    }

    #[test]
    fn a_reply_is_judged_by_what_was_received_whatever_is_withheld() {
        // A header of the deployment's may be called, or hold, anything.
        let mask = Mask::of(["7", "error", "message", "429", "\"", "rate_limit_exceeded"]);
        let withheld = Withheld::new(&mask, b"");
        let body = r#"{"error":{"code":"rate_limit_exceeded","message":"Please retry after 7 seconds"}}"#;
        let judged = judge_reply(429, &[], body, withheld);
        assert_eq!(judged.told, "429 (hidden): Please retry after (hidden) seconds");
        assert_eq!(kind(judged).0, Throttled(Axis::Unknown, Some(7_000)));
    }

    /// Bodies near the real ones, and anything at all.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let words =
            "(429|500|DeploymentNotFound|NoCapacity|server_error|content_filter|rate_limit_exceeded|[a-z_]{0,20})";
        let text = "(Please retry after [0-9]{1,30} seconds|does not exist|sk-[a-z]{1,9}|\\PC{0,40})";
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            (words, words, text).prop_map(|(code, kind, message)| {
                let error = serde_json::json!({"error": {"code": code, "type": kind, "message": message}});
                error.to_string().into_bytes()
            }),
            (words, text)
                .prop_map(|(code, message)| format!("{{\"code\":{code},\"message\":\"{message}\"").into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn any_reply_is_classified_and_every_wait_and_reason_is_bounded(
            status in any::<u16>(),
            names in proptest::collection::vec(0usize..6, 0..5),
            value in "[ -~]{0,24}|[0-9]{1,30}|-[0-9]{1,5}",
            body in body(),
        ) {
            const NAMES: [&str; 6] = [
                "retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
                "x-ratelimit-type", "location",
            ];
            let pairs: Vec<_> = names.iter().map(|&name| (NAMES[name], value.as_str())).collect();
            let headers = headers(&pairs);
            let facts = ReplyFacts { status, headers: &headers, body: &body, operation: &Operation::Embeddings, wall: WALL };
            let judged = classify(&facts, Withheld::default());
            if let Outcome::Throttled(throttle) = &judged.outcome {
                prop_assert!(throttle.wait.is_none_or(|wait| wait > Duration::ZERO && wait <= WAIT_MAX));
            }
            let told = judged.told.clone();
            let (kind, reason) = kind(judged);
            prop_assert!(kind != Abandoned);
            for text in [reason, told] {
                prop_assert!(!text.is_empty() && text.chars().count() <= REASON_MAX + 1, "{}", text);
                prop_assert!(!text.contains(|c: char| c.is_control()), "{:?}", text);
            }
        }
    }
}
