//! A configuration's way from text to values and back, as its users see it.

use std::time::Duration;

use proptest::prelude::*;

use super::keys::{self, DEPLOYMENT, Key, Standing, TOP};
use super::*;
use crate::api::Secret;
use crate::error::Problem;

const NO_ENV: &dyn Fn(&str) -> Option<String> = &|_| None;

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
    .auth(Auth::SignIn(SignIn::Default));
    assert_eq!(
        config,
        BlasterConfig::new([first, second]).num_workers(16).max_job_retry(5)
    );
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("tpm_limit") && warnings[0].contains("gpt-4o"));
    assert!(warnings[1].contains("gpt-4o-backup"));
}

#[test]
fn an_api_key_names_a_sign_in_in_any_letter_case_or_is_a_key() {
    let rows = [
        ("\"\"", Auth::SignIn(SignIn::Default)),
        ("\"default\"", Auth::SignIn(SignIn::Default)),
        ("\"AZ\"", Auth::SignIn(SignIn::Az)),
        ("\"Interactive\"", Auth::SignIn(SignIn::Interactive)),
        ("\"managed\"", Auth::SignIn(SignIn::Managed)),
        ("\"workload\"", Auth::SignIn(SignIn::Workload)),
        ("\"Client_Secret\"", Auth::SignIn(SignIn::ClientSecret)),
        ("\"azure\"", Auth::key("azure")),
        ("null", Auth::None),
    ];
    for (written, expected) in rows {
        let config = read(&file_with("", "").replace("\"canary-key\"", written));
        let auth = &config.deployments[0].auth;
        assert_eq!(*auth, expected, "{written}");
        let reason = auth.unavailable();
        assert_eq!(reason.is_some(), matches!(auth, Auth::SignIn(_)), "{written}");
        if let (Some(reason), Auth::SignIn(source)) = (reason, auth) {
            assert!(
                reason.contains(source.name()) && reason.contains("later release"),
                "{reason}"
            );
        }
    }
}

#[test]
fn the_example_is_read_and_has_nothing_to_warn_of() {
    let text = include_str!("../../config.example.json");
    let config = parse(text, None, &|name| Some(format!("key-of-{name}"))).unwrap();
    assert_eq!(config.deployments.len(), 3);
    assert_eq!(config.deployments[0].auth, Auth::key("key-of-AZURE_OPENAI_KEY_SWEDEN"));
    assert_eq!(config.deployments[1].served_models(), ["gpt-4o"]);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn each_key_is_refused_where_its_value_is_wrong_and_the_message_says_why() {
    // Where, what is written, part of what must be said.
    let rows = [
        (
            "strategy",
            "\"fastest\"",
            "must be \"weighted\" or \"round_robin\", got \"fastest\"",
        ),
        (
            "strategy",
            "\"least_loaded\"",
            "comes with a later release; allowed now: \"weighted\" or \"round_robin\"",
        ),
        ("strategy", "7", "must be \"weighted\" or \"round_robin\", got 7"),
        ("num_workers", "0", "must be a whole number from 1 to 16384, got 0"),
        (
            "num_workers",
            "20000",
            "must be a whole number from 1 to 16384, got 20000",
        ),
        ("num_workers", "\"8\"", "a whole number from 1 to 16384, got \"8\""),
        ("num_workers", "99999999999999999999", "got 99999999999999999999"),
        ("max_job_retry", "0", "from 1 to 100, got 0"),
        ("max_job_retry", "101", "from 1 to 100, got 101"),
        ("queue_capacity", "10000001", "from 1 to 10000000"),
        ("queue_capacity", "null", "got null"),
        ("auto_disable_threshold", "0", "from 1 to 1000"),
        ("connect_timeout_s", "0", "seconds above 0 and at most 86400, got 0"),
        ("connect_timeout_s", "-1", "got -1"),
        ("first_byte_timeout_s", "1e-12", "above 0"),
        ("idle_timeout_s", "86401", "at most 86400, got 86401"),
        ("attempt_timeout_s", "1e400", "got 1e400"),
        ("job_timeout_s", "\"60\"", "got \"60\""),
        ("cooldown_max_s", "2678401", "at most 2678400"),
        ("proxy", "\"proxy:3128\"", "must be a URL such as"),
        (
            "proxy",
            "\"socks5://u:canary@proxy:1080\"",
            "got \"socks5://(hidden)@proxy:1080\"",
        ),
        ("ca_file", "\"\"", "the path of a PEM file"),
        ("allow_http", "\"yes\"", "must be true or false, got \"yes\""),
        ("worker_polling_interval", "-0.5", "got -0.5"),
        ("quota_groups", "{}", "comes with a later release"),
        ("name", "\"\"", "text of 1 to 128 characters"),
        ("name", "\"a\\nb\"", "got \"a\\nb\""),
        ("endpoint", "\"east.example\"", "must be an absolute URL such as"),
        ("endpoint", "\"http://east.example\"", "must begin with https://"),
        (
            "endpoint",
            "\"https://u:canary@east.example\"",
            "no user name or password, got \"https://(hidden)@east.example\"",
        ),
        ("endpoint", "[\"canary\"]", "got a list"),
        ("api_key", "\"canary key\"", "the value is not shown"),
        ("api_key", "\"canary-\\u00e4\"", "the value is not shown"),
        ("api_key", "{\"canary\": 1}", "got an object"),
        ("api_key", "123456", "got a number"),
        (
            "api_key",
            "\"${UNSET}\"",
            "names the environment variable UNSET, which is not set",
        ),
        (
            "api_key",
            "\"canary${oops\"",
            "must name an environment variable as ${NAME}",
        ),
        ("model", "\"..\"", "without `.` or `..` between slashes, got \"..\""),
        ("model", "\"../../admin\"", "without `.` or `..`"),
        ("model", "\"a\\\\..\\\\b\"", "without `.` or `..`"),
        ("api_version", "\"2025-13-01\"", "must be \"v1\" or a date"),
        ("api_version", "\"latest\"", "got \"latest\""),
        ("api_version", "\"2025-1-1\"", "got \"2025-1-1\""),
        (
            "kind",
            "\"anthropic\"",
            "must be \"azure\" or \"openai\", got \"anthropic\"",
        ),
        ("weight", "0", "must be a whole number from 1 to 1000, got 0"),
        ("weight", "-3", "must be a whole number from 1 to 1000, got -3"),
        ("weight", "2.5", "must be a whole number from 1 to 1000, got 2.5"),
        ("weight", "1001", "got 1001"),
        ("serves", "[]", "a list of 1 or more model names"),
        ("serves", "\"gpt-4o\"", "a list of 1 or more model names"),
        ("serves", "[\"a\", 7]", "got 7 in it"),
        ("serves", "[\"a\", \"\"]", "got \"\" in it"),
        ("serves", "[\"${UNSET}\"]", "UNSET"),
        ("max_in_flight", "16385", "from 1 to 16384"),
        ("timeout_s", "0", "above 0"),
        ("headers", "[]", "an object of at most 8 headers"),
        (
            "headers",
            "{\"x-a\": [\"canary\"]}",
            "must have text for \"x-a\", got a list",
        ),
        ("headers", "{\"Api-Key\": \"canary\"}", "must not set \"Api-Key\""),
        (
            "headers",
            "{\"authorization\": \"canary\"}",
            "must not set \"authorization\"",
        ),
        ("headers", "{\"host\": \"x\"}", "must not set \"host\""),
        (
            "headers",
            "{\"x-a\": \"1\", \"X-A\": \"canary\"}",
            "must not set \"X-A\" twice",
        ),
        ("headers", "{\"x a\": \"canary\"}", "no header name"),
        ("headers", "{\"x-a\": \"canary\\r\\nx-b: 1\"}", "no header may hold"),
        (
            "headers",
            "{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\",\"f\":\"\",\"g\":\"\",\"h\":\"\",\"i\":\"\"}",
            "at most 8 headers with text values, got 9",
        ),
        ("temperature", "2.1", "must be a number from 0 to 2, got 2.1"),
        ("temperature", "-0.1", "got -0.1"),
        ("max_completion_tokens", "0", "got 0"),
        ("rpm_limit", "0", "got 0"),
        ("tpm_limit", "\"60k\"", "got \"60k\""),
        ("priority", "1", "comes with a later release"),
        ("sku", "\"provisioned\"", "comes with a later release"),
        ("tenant_id", "\"t\"", "comes with a later release"),
    ];
    for (name, written, part) in rows {
        let of_deployment = DEPLOYMENT.iter().any(|key| key.name == name);
        let line = format!("\"{name}\": {written},");
        let text = if of_deployment {
            without(&file_with("", &line), name)
        } else {
            file_with(&line, "")
        };
        let problem = problem_of(&text);
        assert!(problem.text.contains(part), "{name}: {written}: {}", problem.text);
        assert!(problem.subject.ends_with(name), "{}", problem.subject);
        assert!(problem.text.starts_with(&problem.subject), "{}", problem.text);
        let expected_line = if of_deployment { 4 } else { 2 };
        assert_eq!(problem.position.map(|(line, _)| line), Some(expected_line), "{text}");
    }
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
fn what_is_missing_is_told_at_the_object_that_lacks_it() {
    for name in ["name", "endpoint", "api_key", "model"] {
        let problem = problem_of(&without(&file_with("", ""), name));
        assert!(
            problem.text.contains(&format!("{name} is required")),
            "{}",
            problem.text
        );
        assert_eq!(problem.position, Some((3, 17)));
    }
    let rows = [
        ("{}", "deployments is required: a list of 1 to 10000 deployments"),
        (
            "{\"deployments\": []}",
            "deployments must be a list of 1 to 10000 deployments, got 0",
        ),
        (
            "{\"deployments\": {}}",
            "deployments must be a list of 1 to 10000 deployments, got an object",
        ),
        (
            "{\"deployments\": [7]}",
            "deployments[0]: must be an object, got a number",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(problem_of(text).text, expected);
    }
}

#[test]
fn a_file_that_is_no_object_of_settings_is_told_so() {
    let rows = [
        ("", "the file is empty"),
        ("\u{feff} ", "the file is empty"),
        (
            "[{\"name\": \"a\"}]",
            "must be an object, got a list (a list of deployments stands in",
        ),
        ("\"text\"", "must be an object, got text"),
        ("deployments:\n  - name: a", "YAML"),
        ("{ // settings\n}", "JSON has no comments"),
        ("{\"deployments\": []} extra", "trailing characters"),
        ("{\"deployments\": [],}", "no comma may follow"),
    ];
    for (text, part) in rows {
        let problem = problem_of(text);
        assert!(problem.text.contains(part), "{text}: {}", problem.text);
    }
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    let rows = [
        (
            "max_job_retrys",
            "",
            "unknown key \"max_job_retrys\"; did you mean \"max_job_retry\"?",
        ),
        ("weight", "", "unknown key \"weight\"; it belongs into a deployment"),
        (
            "colour",
            "",
            "unknown key \"colour\"; known here: deployments, strategy",
        ),
        (
            "",
            "wieght",
            "deployments[0] \"east\": unknown key \"wieght\"; did you mean \"weight\"?",
        ),
        (
            "",
            "apiKey",
            "deployments[0] \"east\": unknown key \"apiKey\"; did you mean \"api_key\"?",
        ),
        (
            "",
            "num_workers",
            "unknown key \"num_workers\"; it belongs beside `deployments`",
        ),
        ("", "\\ud800", "unknown key"),
    ];
    for (top, of_deployment, part) in rows {
        let line = |name: &str| match name {
            "" => String::new(),
            name => format!("   \"{name}\": \"canary\","),
        };
        let problem = problem_of(&file_with(&line(top), &line(of_deployment)));
        assert!(problem.text.contains(part), "{}", problem.text);
        let line = if top.is_empty() { 4 } else { 2 };
        assert_eq!(problem.position, Some((line, 4)));
    }
}

#[test]
fn a_key_given_twice_is_an_error() {
    let problem = problem_of(&file_with("\"max_job_retry\": 5,\n\"max_job_retr\\u0079\": 6,", ""));
    assert_eq!(problem.text, "key \"max_job_retry\" is given twice");
    assert_eq!(problem.position, Some((3, 1)));
}

#[test]
fn two_deployments_of_one_name_are_an_error_at_the_second() {
    let one = r#"{"name": "east", "endpoint": "https://east.example", "api_key": "k", "model": "m"}"#;
    let problem = problem_of(&format!("{{\"deployments\": [{one},\n{one}]}}"));
    assert_eq!(
        problem.text,
        "deployments[1] \"east\": name must be unique, and deployments[0] has it already"
    );
    assert_eq!(problem.position, Some((2, 10)));
}

#[test]
fn more_deployments_than_allowed_are_refused() {
    let one =
        |index| format!(r#"{{"name": "d{index}", "endpoint": "https://a.example", "api_key": "k", "model": "m"}}"#);
    let file = |count| {
        let all: Vec<_> = (0..count).map(one).collect();
        format!("{{\"deployments\": [{}]}}", all.join(","))
    };
    assert_eq!(read(&file(keys::DEPLOYMENTS_MAX)).workers(), 1024);
    let problem = problem_of(&file(keys::DEPLOYMENTS_MAX + 1));
    assert!(problem.text.contains("got 10001"), "{}", problem.text);
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let text = r#"{
  "num_worker": 8,
  "deployments": [
    {"name": "east", "endpoint": "east", "api_key": "canary", "model": "m", "weight": 0},
    {"name": "west", "endpoint": "https://west.example", "api_key": "${UNSET}", "model": 7}
  ],
  "max_job_retry": 0
}"#;
    let error = parse(text, Some("config.json"), NO_ENV).unwrap_err();
    let expected = r#"config.json:2:3: unknown key "num_worker"; did you mean "num_workers"?
config.json:4:34: deployments[0] "east": endpoint must be an absolute URL such as https://my-resource.openai.azure.com, got "east"
config.json:4:87: deployments[0] "east": weight must be a whole number from 1 to 1000, got 0
config.json:5:69: deployments[1] "west": api_key names the environment variable UNSET, which is not set
config.json:5:90: deployments[1] "west": model must be text of 1 to 256 characters, without control characters and without `.` or `..` between slashes, got 7
config.json:7:20: max_job_retry must be a whole number from 1 to 100, got 0"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn problems_beyond_the_first_twenty_are_counted() {
    let unknown: String = (0..1000).map(|index| format!("\"zz{index}\": 1,\n")).collect();
    let error = parse(&file_with(&unknown, ""), None, NO_ENV).unwrap_err();
    let lines: Vec<_> = error.problems().iter().filter_map(|problem| problem.position).collect();
    assert_eq!(lines, (2..22).map(|line| (line, 1)).collect::<Vec<_>>());
    assert!(error.to_string().ends_with("\n… and 980 more"), "{error}");
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
fn an_empty_variable_is_no_request_to_sign_in() {
    let text = file_with("", "").replace("canary-key", "${EMPTY}");
    let error = parse(&text, None, &|_| Some(String::new())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("api_key names an environment variable that is empty"),
        "{error}"
    );
}

#[test]
fn a_configuration_made_by_calls_keeps_the_same_rules() {
    let east = || DeploymentConfig::new("east", "https://east.example", "m").auth(Auth::key("k"));
    assert_eq!(BlasterConfig::new([east()]).validate(), Ok(()));
    let rows = [
        (BlasterConfig::new([]), "deployments must be"),
        (
            BlasterConfig::new([east(), east()]),
            "deployments[1] \"east\": name must be unique",
        ),
        (
            BlasterConfig::new([east().weight(0)]),
            "weight must be a whole number from 1 to 1000, got 0",
        ),
        (BlasterConfig::new([east().auth(Auth::key(""))]), "api_key must be"),
        (
            BlasterConfig::new([east().temperature(f64::NAN)]),
            "temperature must be",
        ),
        (
            BlasterConfig::new([east()]).idle_timeout(Duration::ZERO),
            "idle_timeout_s must be",
        ),
        (
            BlasterConfig::new([east()]).cooldown_max(Duration::MAX),
            "cooldown_max_s must be",
        ),
    ];
    for (config, part) in rows {
        let error = config.validate().unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.problems()[0].position, None);
    }
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
fn a_text_beyond_the_bound_is_refused() {
    let text = file_with("", "") + &" ".repeat(BlasterConfig::FILE_MAX);
    assert!(problem_of(&text).text.contains("16777216 bytes"));
}

#[test]
fn the_reader_knows_every_key_of_the_table() {
    // No key takes a list of an object with a nameless value; one that the reader overlooked would be accepted.
    let wrong = "[{\"\": 1}]";
    for (keys, of_deployment) in [(TOP, false), (DEPLOYMENT, true)] {
        for key in keys.iter().filter(|key| key.name != keys::DEPLOYMENTS.name) {
            let line = format!("\"{}\": {wrong},", key.name);
            let text = match of_deployment {
                true => without(&file_with("", &line), key.name),
                false => file_with(&line, ""),
            };
            let problem = problem_of(&text);
            assert!(problem.subject.ends_with(key.name), "{}", problem.text);
            let is_later = problem.text.ends_with("comes with a later release");
            assert_eq!(is_later, key.standing == Standing::Later, "{}", problem.text);
        }
    }
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
                assert_eq!(key.default, "required", "{name}");
            } else {
                assert_eq!(key.default, value.to_string(), "{name}");
            }
        }
        let unwritten = keys.iter().filter(|key| written.get(key.name).is_none());
        for key in unwritten.filter(|key| key.standing != Standing::Later) {
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

fn any_time(most: Duration) -> impl Strategy_<Value = Duration> {
    (1..=most.as_nanos() as u64).prop_map(Duration::from_nanos)
}

/// proptest's strategy, which shares its name with ours.
use proptest::strategy::Strategy as Strategy_;

prop_compose! {
    fn any_deployment()(
        model in "[a-z${}/]{0,6}[a-z]", weight in 1..=1000u32, kind in 0..2usize, auth in 0..8usize,
        serves in proptest::collection::vec("[a-z$\\{\\}\"\\\\ß]{1,9}", 0..3),
        max_in_flight in proptest::option::of(1..=16384usize),
        timeout in proptest::option::of(any_time(Duration::from_secs(86_400))),
        headers in proptest::collection::btree_set("x-[a-z]{1,5}", 0..4),
        temperature in proptest::option::of(0.0..=2.0f64),
        counts in proptest::array::uniform3(proptest::option::of(1..=u32::MAX)),
        version in prop_oneof![Just("v1"), Just("2024-10-21"), Just("2025-01-01-preview")],
    ) -> DeploymentConfig {
        let mut config = DeploymentConfig::new("", "https://a.example/x", format!("m{model}"))
            .weight(weight).kind(Kind::ALL[kind]).api_version(version).serves(serves);
        config.auth = match auth {
            0 => Auth::None,
            1 => Auth::key("(hidden)"),
            other => Auth::SignIn(SignIn::ALL[other - 2]),
        };
        config.headers = headers.into_iter().map(|name| (name, Secret::from("(hidden)"))).collect();
        config.max_in_flight = max_in_flight;
        config.timeout = timeout;
        config.temperature = temperature;
        [config.max_completion_tokens, config.rpm_limit, config.tpm_limit] = counts;
        config
    }
}

prop_compose! {
    fn any_config()(
        deployments in proptest::collection::vec(any_deployment(), 1..4),
        strategy in 0..2usize, num_workers in proptest::option::of(1..=16384usize),
        max_job_retry in 1..=100u32, queue_capacity in 1..=10_000_000usize, threshold in 1..=1000u32,
        times in proptest::array::uniform4(any_time(Duration::from_secs(86_400))),
        job_timeout in proptest::option::of(any_time(Duration::from_secs(86_400))),
        cooldown_max in any_time(Duration::from_secs(31 * 86_400)),
        proxy in proptest::option::of("http://[a-z]{1,9}:[1-9]"),
        ca_file in proptest::option::of("[a-z${}/ ß]{1,12}"), allow_http: bool,
    ) -> BlasterConfig {
        let mut config = BlasterConfig::new(deployments)
            .strategy(super::Strategy::ALL[strategy]).max_job_retry(max_job_retry).queue_capacity(queue_capacity)
            .auto_disable_threshold(threshold).cooldown_max(cooldown_max).allow_http(allow_http);
        for (index, deployment) in config.deployments.iter_mut().enumerate() {
            deployment.name = format!("${{{index}}} \"\\");
        }
        [config.connect_timeout, config.first_byte_timeout, config.idle_timeout, config.attempt_timeout] = times;
        config.num_workers = num_workers;
        config.job_timeout = job_timeout;
        config.proxy = proxy.map(ProxyUrl::from);
        config.ca_file = ca_file.map(Into::into);
        config
    }
}

/// JSON that looks like a configuration and is mostly wrong.
fn any_json() -> impl Strategy_<Value = String> {
    let names: Vec<_> = TOP.iter().chain(DEPLOYMENT).map(|key| key.name).collect();
    let name = prop_oneof![proptest::sample::select(names).prop_map(String::from), "[a-z_]{0,9}"];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>()
            .prop_filter("no JSON", |f| f.is_finite())
            .prop_map(|f| f.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        "[a-z:/.@?#${}\\\\ß]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name.clone(), inner), 0..8).prop_map(|entries| {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":\n{value}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_configuration_written_and_read_is_the_same(config in any_config()) {
        prop_assert_eq!(config.validate(), Ok(()));
        let text = serde_json::to_string_pretty(&config).unwrap();
        prop_assert_eq!(parse(&text, None, NO_ENV), Ok(config));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), None, NO_ENV);
    }

    #[test]
    fn json_of_any_shape_is_read_or_refused_in_its_place(value in any_json(), deployments: bool) {
        let text = if deployments { format!("{{\"deployments\": [{value}]}}") } else { value };
        match parse(&text, None, &|name| (name.len() < 3).then(|| "x".to_owned())) {
            Ok(config) => prop_assert_eq!(config.validate(), Ok(())),
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                let lines = text.lines().count();
                for problem in error.problems() {
                    let (line, column) = problem.position.unwrap();
                    prop_assert!((1..=lines).contains(&line) && column >= 1);
                }
            }
        }
    }
}
