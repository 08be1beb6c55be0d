//! Deployments that are of no use as they are configured: the error says what is to be changed, and that another try is in
//! vain until then.

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{AdviceKind, Condition, Operation, RawRequest};
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::Error;

use crate::canned::Canned;
use crate::support::{ask, listened, state};

/// A client of the server as its sole deployment.
fn client(server: &Canned) -> Blaster {
    let deployment = DeploymentConfig::new("east", &server.url, "gpt-4o").auth(Auth::key("canary"));
    build([deployment])
}

fn build(deployments: impl IntoIterator<Item = DeploymentConfig>) -> Blaster {
    let config = BlasterConfig::new(deployments).num_workers(2);
    Blaster::builder().config(config).build().unwrap()
}

/// Checks that a job ends because nobody can serve it, for a reason that ends with the `remedy` and lasts.
fn check(origin: &str, error: &Error, said: &str, remedy: &str) {
    let Error::NoEndpoint { endpoints, lasting, .. } = error else {
        panic!("{origin}: {error}")
    };
    assert!(lasting & !error.is_retryable(), "{origin}: {error}");
    let reason = &endpoints[0].1;
    assert!(reason.contains(said) && reason.ends_with(remedy), "{origin}: {reason}");
    assert!(error.to_string().contains(remedy), "{error}");
}

const MODEL: &str = "; set model to the name of a deployment of this resource";
const VERSION: &str = "; set api_version to v1";

#[test]
#[rustfmt::skip] // a table
fn what_lasts_until_somebody_changes_something_is_not_worth_another_try() {
    let long = "word ".repeat(200);
    let long = format!(r#"{{"error":{{"code":"DeploymentNotFound","message":"{long}"}}}}"#);
    let rows = [
        ("a wrong key", "401 Unauthorized", r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#, "invalid subscription key", "; set api_key to a key of this resource"),
        ("a gateway's key", "401 Unauthorized", r#"{"statusCode":401,"message":"Access denied due to missing subscription key."}"#, "missing subscription key", "; set api_key to a key of this resource"),
        ("no rights", "403 Forbidden", r#"{"error":{"code":"PermissionDenied","message":"The principal lacks the required data action."}}"#, "data action", "; give this key and this machine access to the resource"),
        ("a closed network", "403 Forbidden", r#"{"error":{"code":"403","message":"Public access is disabled. Please configure private endpoint."}}"#, "Public access", "; give this key and this machine access to the resource"),
        ("no deployment", "404 Not Found", r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, "does not exist", MODEL),
        ("no deployment, at length", "404 Not Found", long.as_str(), "word word", MODEL),
        ("no model", "404 Not Found", r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#, "does not exist", MODEL),
        ("an unknown version", "400 Bad Request", r#"{"error":{"code":"BadRequest","message":"API version not supported"}}"#, "chat/completions not served here: 400 BadRequest: API version not supported", VERSION),
        ("a version too many", "400 Bad Request", r#"{"error":{"code":"BadRequest","message":"api-version query parameter is not allowed when using /v1 path"}}"#, "not allowed", VERSION),
        ("no such path", "404 Not Found", r#"{"error":{"code":"404","message": "Resource not found"}}"#, "Resource not found", "; set endpoint to the resource's base URL, or api_version to v1"),
        ("another method", "405 Method Not Allowed", "", "405", "; set endpoint to the resource's base URL, or api_version to v1"),
        ("no chats", "400 Bad Request", r#"{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model, X."}}"#, "OperationNotSupported", "; set model to a deployment whose model has this operation"),
        ("elsewhere", "302 Found\r\nlocation: https://login.example/x", "", "login.example", "; set endpoint to the service's own base URL"),
        ("no money", "429 Too Many Requests", r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#, "exceeded", "; see to the account's billing"),
        ("no money", "403 Forbidden", r#"{"error":{"code":"billing_not_active","message":"m"}}"#, "billing_not_active", "; see to the account's billing"),
        ("a retired model", "410 Gone", r#"{"error":{"code":"ServiceModelDeprecated","message":"m"}}"#, "Deprecated", "; set model to a deployment that is not retired"),
    ];
    for (origin, head, body, said, remedy) in rows {
        let server = Canned::start(head, body);
        let blaster = client(&server);
        check(origin, &blaster.chat(ask(0)).unwrap_err(), said, remedy);
        // Known by now.
        check(origin, &blaster.chat(ask(1)).unwrap_err(), said, remedy);
        // What is not in the service's own words is asked for once more.
        let asked = if ["another method", "elsewhere"].contains(&origin) { 2 } else { 1 };
        assert_eq!(server.received().len(), asked, "{origin}");
    }
}

#[test]
fn a_version_that_is_too_old_for_an_operation_is_named_even_where_its_name_is_long() {
    let body = r#"{"error":{"code":"BadRequest","message":"Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"}}"#;
    let server = Canned::start("400 Bad Request", body);
    let blaster = client(&server);
    let long = Operation::other(&format!("responses/{}", "x".repeat(100))).unwrap();
    for (operation, said) in [
        (Operation::Responses, "responses not served here: 400 BadRequest: "),
        (long, "xxx… not served here: 400 BadRequest: "),
    ] {
        let handle = blaster.submit_raw(RawRequest::post(operation, "{}")).unwrap();
        check(said, &handle.wait().unwrap_err(), said, VERSION);
    }
}

/// One of them is back when somebody says so.
#[test]
fn where_one_of_them_may_be_back_by_itself_another_try_may_help() {
    let server = Canned::start("401 Unauthorized", r#"{"error":{"code":"401","message":"m"}}"#);
    let east = DeploymentConfig::new("east", &server.url, "gpt-4o").auth(Auth::key("canary"));
    let west = DeploymentConfig::new("west", &server.url, "gpt-4o").auth(Auth::key("canary"));
    let blaster = build([east, west]);
    state(&blaster, "west").disable("maintenance");
    let error = blaster.chat(ask(0)).unwrap_err();
    assert!(matches!(error, Error::NoEndpoint { lasting: false, .. }), "{error}");
    assert!(error.is_retryable());
    // A page without the service's words is no proof of a wrong key.
    let server = Canned::start("401 Unauthorized", "<title>Sign in</title>");
    assert!(client(&server).chat(ask(0)).unwrap_err().is_retryable());
}

#[test]
fn deployments_with_a_wrong_base_beside_a_right_one_are_seen() {
    let answer = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;
    let right = Canned::start("200 OK", answer);
    let pages = [
        "{\"error\":{\"code\":\"404\",\"message\":\"Resource not found\"}}",
        "<title>404 Not Found</title>",
    ];
    let wrong = pages.map(|page| Canned::start("404 Not Found", page));
    let urls = [&right.url, &wrong[0].url, &wrong[1].url];
    let deployments = ["right", "west", "north"]
        .into_iter()
        .zip(urls)
        .map(|(name, url)| DeploymentConfig::new(name, url, "gpt-4o").auth(Auth::key("canary")));
    let (blaster, told) = listened(BlasterConfig::new(deployments).num_workers(1));
    for id in 0..20 {
        blaster.chat(ask(id)).unwrap();
    }
    let told = told.conditions();
    let advice = blaster.advice();
    for name in ["west", "north"] {
        let report = state(&blaster, name).report();
        assert_eq!(report.condition, Condition::Misconfigured, "{report}");
        let reason = report.reason.unwrap();
        assert!(reason.starts_with("chat/completions not served here: 404"), "{reason}");
        assert!(told.contains(&(name.into(), Condition::Misconfigured)), "{told:?}");
        assert!(
            advice.iter().any(|one| {
                one.endpoint.as_deref() == Some(name)
                    && matches!(&one.kind, AdviceKind::LacksOperation { operation: Operation::ChatCompletions, reason }
                        if reason.contains("set endpoint"))
            }),
            "{advice:?}"
        );
    }
    assert_eq!(state(&blaster, "right").report().condition, Condition::Ready);
    // That a page says so is not believed of a job that has met it before.
    assert!(wrong.iter().all(|server| server.received().len() <= 2));
}

#[test]
fn a_page_that_refuses_what_another_deployment_serves_ends_no_job_be_it_in_json() {
    let answer = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;
    for head in [
        "400 Bad Request",
        "411 Length Required",
        "415 Unsupported Media Type",
        "431 Request Header Fields Too Large",
        "451 Unavailable For Legal Reasons",
    ] {
        for page in [
            "<html><title>no</title></html>",
            r#"{"message":"Bad Request"}"#,
            r#"{"timestamp":"2026-01-01T00:00:00Z","status":400,"error":"Bad Request","path":"/"}"#,
            "",
        ] {
            let right = Canned::start("200 OK", answer);
            let wrong = Canned::start(head, page);
            let deployments = [("right", &right.url), ("wrong", &wrong.url)]
                .map(|(name, url)| DeploymentConfig::new(name, url, "gpt-4o").auth(Auth::key("canary")));
            let blaster = build(deployments);
            for id in 0..20 {
                blaster.chat(ask(id)).unwrap();
            }
            assert!(!wrong.received().is_empty(), "{head} {page}");
        }
    }
}
