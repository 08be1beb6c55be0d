//! A configuration's way from text to values and back, as its users see it. Here: what is accepted and what it
//! means.

use super::keys::{DEPLOYMENT, Key, TOP};
use super::*;
use crate::api::Operation;
use crate::auth::EntraCredential;
use crate::error::Problem;

mod credentials;
mod documented;
mod endpoints;
mod formats;
mod limits;
mod misplaced;
mod models;
mod refusals;
mod round_trip;

const NO_ENV: &dyn Fn(&str) -> Option<String> = &|_| None;

#[test]
fn a_file_of_the_python_original_works_unchanged() {
    let config = read(
        r#"{
  "strategy": "weighted",
  "num_workers": 16, "max_job_retry": 5, "worker_polling_interval": 0.5,
  "deployments": [
    {"name": "gpt-4o", "endpoint": "https://my-aoai-resource.openai.azure.com/", "api_key": "YOUR_KEY",
     "model": "gpt-4o", "weight": 2, "temperature": 0.2, "max_completion_tokens": 512,
     "api_version": "2024-10-21", "rpm_limit": null, "tpm_limit": 120000},
    {"name": "gpt-4o-backup", "endpoint": "https://my-aoai-resource-2.openai.azure.com/", "api_key": "Default",
     "model": "gpt-4o-mini", "weight": 1, "temperature": null, "max_completion_tokens": null}
  ]
}"#,
    );
    let first = DeploymentConfig::new("gpt-4o", "https://my-aoai-resource.openai.azure.com", "gpt-4o")
        .auth(Auth::key("YOUR_KEY"))
        .api_version("2024-10-21")
        .weight(2)
        .temperature(0.2)
        .max_completion_tokens(512)
        .tpm_limit(120_000);
    let second = DeploymentConfig::new(
        "gpt-4o-backup",
        "https://my-aoai-resource-2.openai.azure.com",
        "gpt-4o-mini",
    )
    .auth(Auth::Entra(EntraCredential::Default));
    assert_eq!(
        config,
        BlasterConfig::new([first, second]).num_workers(16).max_job_retry(5)
    );
    let warnings = config.warnings();
    assert_eq!(warnings.len(), usize::from(!cfg!(feature = "entra")), "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("gpt-4o-backup")));
}

#[test]
fn an_api_key_names_a_sign_in_in_any_letter_case_or_is_a_key() {
    let rows = [
        ("\"\"", Auth::Entra(EntraCredential::Default)),
        ("\"default\"", Auth::Entra(EntraCredential::Default)),
        ("\"AZ\"", Auth::Entra(EntraCredential::Az)),
        ("\"Interactive\"", Auth::Entra(EntraCredential::Interactive)),
        ("\"managed\"", Auth::Entra(EntraCredential::Managed)),
        ("\"workload\"", Auth::Entra(EntraCredential::Workload)),
        ("\"Client_Secret\"", Auth::Entra(EntraCredential::ClientSecret)),
        ("\"device_code\"", Auth::Entra(EntraCredential::DeviceCode)),
        ("\"azure\"", Auth::key("azure")),
        ("null", Auth::None),
    ];
    for (written, expected) in rows {
        let config = read(&file_with("", "").replace("\"canary-key\"", written));
        let auth = &config.deployments[0].auth;
        assert_eq!(*auth, expected, "{written}");
        if let (Some(reason), Auth::Entra(credential)) = (auth.unavailable(), auth) {
            let needed = reason.contains("`entra`") || reason.contains("`browser-login`");
            assert!(needed && reason.contains(credential.name()), "{reason}");
        }
    }
}

#[test]
fn the_example_is_read_and_has_nothing_to_warn_of() {
    let text = include_str!("../../../config.example.json");
    let config = parse(text, None, &|name| Some(format!("key-of-{name}"))).unwrap();
    assert_eq!(config.deployments.len(), 3);
    assert_eq!(config.deployments[0].auth, Auth::key("key-of-AZURE_OPENAI_KEY_SWEDEN"));
    assert_eq!(config.deployments[1].served_models(), ["gpt-4o"]);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn the_smallest_file_of_the_docs_is_read() {
    let docs = include_str!("../../../docs/CONFIG.md");
    let (_, rest) = docs.split_once("```json\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let config = parse(text, None, &|_| Some("key".to_owned())).unwrap();
    let east = DeploymentConfig::new("east", "https://my-resource.openai.azure.com", "gpt-4o").auth(Auth::key("key"));
    assert_eq!(config, BlasterConfig::new([east]));
}

#[test]
fn values_at_the_ends_of_their_ranges_are_accepted() {
    let rows = [
        ("num_workers", "16384"),
        ("num_workers", "null"),
        ("max_job_retry", "100"),
        ("queue_capacity", "10000000"),
        ("auto_disable_threshold", "1000"),
        ("connect_timeout_s", "0.001"),
        ("idle_timeout_s", "86400"),
        ("job_timeout_s", "null"),
        ("cooldown_max_s", "2678400"),
        ("proxy", "\"http://u:p@proxy.example:3128\""),
        ("worker_polling_interval", "0"),
        ("api_version", "\"v1\""),
        ("weight", "1000"),
        ("temperature", "0"),
        ("temperature", "2"),
        ("max_completion_tokens", "4294967295"),
        ("rpm_limit", "1"),
        ("rpm_limit", "null"),
        ("tpm_limit", "4294967295"),
        ("priority", "1"),
        ("priority", "4294967295"),
        ("sku", "\"provisioned\""),
        ("send_stream_options", "\"never\""),
        ("quota_window_s", "86400"),
        ("request_window_s", "0.5"),
        ("quota_group", "null"),
        ("quota_groups", "{}"),
        ("max_in_flight", "null"),
        ("headers", "{}"),
    ];
    for (name, written) in rows {
        let line = format!("\"{name}\": {written},");
        if DEPLOYMENT.iter().any(|key| key.name == name) {
            read(&file_with("", &line));
        } else {
            read(&file_with(&line, ""));
        }
    }
}

#[test]
fn the_environment_fills_in_every_text() {
    let text = file_with(
        "\"ca_file\": \"${DIR}/ca.pem\", \"proxy\": \"http://${HOST}:1\",",
        "\"serves\": [\"${MODEL}\"], \"headers\": {\"x-a\": \"${MODEL}\"},",
    );
    let text = text
        .replace("canary-key", "$${literal}")
        .replace("\"gpt-4o\"", "\"${MODEL}-x\"")
        .replace("east.example", "${HOST}");
    let env = |name: &str| match name {
        "DIR" => Some("certs".to_owned()),
        "HOST" => Some("host.example".to_owned()),
        "MODEL" => Some("m1".to_owned()),
        _ => None,
    };
    let east = DeploymentConfig::new("east", "https://host.example", "m1-x")
        .auth(Auth::key("${literal}"))
        .serves(["m1"])
        .header("x-a", "m1");
    let expected = BlasterConfig::new([east])
        .ca_file("certs/ca.pem")
        .proxy("http://host.example:1");
    assert_eq!(parse(&text, None, &env).unwrap(), expected);
}

#[test]
fn http_needs_to_be_allowed_for_other_machines() {
    let text = file_with("\"allow_http\": true,", "").replace("https://east", "http://east");
    assert_eq!(read(&text).deployments[0].endpoint, "http://east.example");
    read(&file_with("", "").replace("https://east.example", "http://127.0.0.1:8080/"));
}

#[test]
fn workers_follow_the_deployments_unless_told() {
    let one = DeploymentConfig::new("a", "https://a.example", "m");
    let of = |count| BlasterConfig::new(vec![one.clone(); count]);
    let rows = [
        (of(1), 64),
        (of(3), 192),
        (of(16), 1024),
        (of(17), 1024),
        (of(17).num_workers(5), 5),
    ];
    for (config, expected) in rows {
        assert_eq!(config.workers(), expected);
    }
}

#[test]
fn nothing_secret_shows_in_a_configuration() {
    let text = file_with(
        "\"proxy\": \"http://u:canary@proxy:1\",",
        "\"headers\": {\"x-a\": \"canary\"},",
    );
    let config = read(&text);
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        serde_json::to_string(&config).unwrap(),
    ] {
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("(hidden)"), "{shown}");
    }
}

#[test]
fn a_file_is_read_and_its_name_stands_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let name = path.display().to_string();

    let error = BlasterConfig::from_file(&path).unwrap_err();
    assert!(matches!(
        &error,
        ConfigError::Unreadable {
            kind: std::io::ErrorKind::NotFound,
            ..
        }
    ));
    assert!(error.to_string().starts_with(&format!("reading {name}: ")), "{error}");

    std::fs::write(&path, format!("\u{feff}{}", file_with("", ""))).unwrap();
    assert_eq!(BlasterConfig::from_file(&path), Ok(read(&file_with("", ""))));

    std::fs::write(&path, file_with("\"num_workers\": 0,", "")).unwrap();
    let error = BlasterConfig::from_file(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{name}:2:16: num_workers must be")),
        "{error}"
    );

    std::fs::write(&path, b"{\n\"name\": \"\xff\"}").unwrap();
    let error = BlasterConfig::from_file(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{name}:2:10: the file must be UTF-8"));

    std::fs::write(&path, vec![b' '; BlasterConfig::FILE_MAX + 1]).unwrap();
    let error = BlasterConfig::from_file(&path).unwrap_err();
    assert!(error.to_string().contains("16777216 bytes"), "{error}");
}

#[test]
fn a_gateway_may_be_given_a_credential_of_its_own_in_place_of_a_key() {
    let with_key = file_with("", r#""headers": {"Authorization": "Basic canary"},"#);
    assert!(problem_of(&with_key).to_string().contains("must not set"), "{with_key}");
    let gateway = with_key.replace("\"canary-key\"", "null");
    assert_eq!(read(&gateway).deployments[0].headers[0].0, "Authorization");
}

#[test]
fn the_table_tells_the_defaults_that_hold() {
    let config = read(&file_with("", ""));
    let written = serde_json::to_value(&config).unwrap();
    let given = ["deployments", "name", "endpoint", "api_key", "model"];
    let check = |keys: &[&Key], written: &serde_json::Value| {
        for (name, value) in written.as_object().unwrap() {
            let key = keys.iter().find(|key| key.name == name).unwrap();
            if given.contains(&name.as_str()) {
                assert!(key.default.starts_with("required"), "{name}");
            } else {
                assert_eq!(key.default, value.to_string(), "{name}");
            }
        }
        let unwritten = keys.iter().filter(|key| written.get(key.name).is_none());
        for key in unwritten {
            assert!(
                serde_json::from_str::<serde_json::Value>(key.default).is_err(),
                "{}",
                key.name
            );
        }
    };
    check(TOP, &written);
    check(DEPLOYMENT, &written["deployments"][0]);
}

#[test]
fn a_deployment_tells_where_its_requests_go() {
    let at = |endpoint: &str| DeploymentConfig::new("a", endpoint, "my 4o").api_version("2024-10-21");
    let chat = Operation::ChatCompletions;
    let rows = [
        (
            at("https://a.example"),
            Some("https://a.example/openai/deployments/my%204o/chat/completions?api-version=2024-10-21"),
        ),
        (
            at("https://a.example").api_version("v1"),
            Some("https://a.example/openai/v1/chat/completions"),
        ),
        (
            at("https://a.example/v1").kind(Kind::OpenAi),
            Some("https://a.example/v1/chat/completions"),
        ),
        (at("a.example"), None),
        (at("https://u:canary@a.example"), None),
        (at("https://a.example").api_version("latest"), None),
    ];
    for (deployment, expected) in rows {
        assert_eq!(deployment.url(&chat).as_deref(), expected, "{deployment:?}");
    }
}

/// A file with one deployment: `top` stands beside `deployments`, `of_deployment` among its keys, each with a comma
/// at its end where it is not empty.
fn file_with(top: &str, of_deployment: &str) -> String {
    format!(
        r#"{{
{top}
"deployments": [{{
{of_deployment}
"name": "east", "endpoint": "https://east.example", "api_key": "canary-key", "model": "gpt-4o"
}}]}}"#
    )
}

fn read(text: &str) -> BlasterConfig {
    parse(text, None, NO_ENV).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The problems of a text that must not be accepted; none of them may repeat what is secret.
fn problems_of(text: &str) -> Vec<Problem> {
    let error = parse(text, None, NO_ENV).expect_err(text);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error.problems().to_vec()
}

/// The one problem of such a text.
fn problem_of(text: &str) -> Problem {
    let problems = problems_of(text);
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    problems[0].clone()
}

/// `text` without the entry of that name among those that every deployment of [`file_with`] has.
fn without(text: &str, name: &str) -> String {
    let (head, tail) = text.rsplit_once("\n\"name\"").unwrap();
    let line = format!("\"name\"{}", tail.strip_suffix("\n}]}").unwrap());
    let kept: Vec<_> = line
        .split(", ")
        .filter(|entry| !entry.starts_with(&format!("\"{name}\"")))
        .collect();
    format!("{head}\n{}\n}}]}}", kept.join(", "))
}
