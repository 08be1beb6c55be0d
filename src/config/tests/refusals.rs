//! What is refused, where, and in which words.

use std::time::Duration;

use super::*;
use crate::config::keys::{self, DEPLOYMENT, TOP};

#[test]
fn each_key_is_refused_where_its_value_is_wrong_and_the_message_says_why() {
    // Where, what is written, part of what must be said.
    let rows = [
        (
            "strategy",
            "\"fastest\"",
            "must be \"weighted\", \"round_robin\", \"priority\", \"failover\", \"least_loaded\" or \"two_choices\", got text of 7 characters",
        ),
        ("strategy", "\"Weighted\"", "got \"Weighted\""),
        ("strategy", "7", "or \"two_choices\", got 7"),
        ("num_workers", "0", "must be a whole number from 1 to 16384, got 0"),
        (
            "num_workers",
            "20000",
            "must be a whole number from 1 to 16384, got 20000",
        ),
        (
            "num_workers",
            "\"8\"",
            "a whole number from 1 to 16384, got text of 1 character",
        ),
        ("num_workers", "99999999999999999999", "got 99999999999999999999"),
        ("num_workers", "999999999999999999999", "got a number"),
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
        ("job_timeout_s", "\"60\"", "got text of 2 characters"),
        ("cooldown_max_s", "2678401", "at most 2678400"),
        ("proxy", "\"proxy:3128\"", "must be a URL such as"),
        (
            "proxy",
            "\"socks5://u:canary@proxy:1080\"",
            "proxy must be a URL such as http://proxy.example:8080",
        ),
        ("ca_file", "\"\"", "the path of a PEM file"),
        (
            "allow_http",
            "\"yes\"",
            "must be true or false, got text of 3 characters",
        ),
        ("worker_polling_interval", "-0.5", "got -0.5"),
        (
            "quota_groups",
            "[]",
            "must be an object of at most 10000 quota groups, each under its name, got a list",
        ),
        ("name", "\"\"", "text of 1 to 128 characters"),
        ("name", "\"a\\nb\"", "got text of 3 characters"),
        ("endpoint", "\"east.example\"", "must be an absolute URL such as"),
        ("endpoint", "\"http://east.example\"", "must begin with https://"),
        (
            "endpoint",
            "\"https://u:canary@east.example\"",
            "endpoint must hold no user name or password (`@`)",
        ),
        ("endpoint", "[\"canary\"]", "got a list"),
        ("api_key", "\"canary key\"", "the value is not shown"),
        ("api_key", "\"canary-\\u00e4\"", "the value is not shown"),
        ("api_key", "{\"canary\": 1}", "got an object"),
        ("api_key", "123456", "got a number"),
        (
            "api_key",
            "\"${UNSET}\"",
            "names the environment variable \"UNSET\", which is not set",
        ),
        (
            "api_key",
            "\"canary${oops\"",
            "must name an environment variable as ${NAME}",
        ),
        (
            "model",
            "\"..\"",
            "without `.` or `..` between slashes, got text of 2 characters",
        ),
        ("model", "\"../../admin\"", "without `.` or `..`"),
        ("model", "\"a\\\\..\\\\b\"", "without `.` or `..`"),
        ("api_version", "\"2025-13-01\"", "must be \"v1\" or a date"),
        ("api_version", "\"2025-01-32\"", "got text of 10 characters"),
        ("api_version", "\"2025-00-01\"", "got text of 10 characters"),
        ("api_version", "\"latest\"", "got text of 6 characters"),
        ("api_version", "\"2025-1-1\"", "got text of 8 characters"),
        (
            "kind",
            "\"anthropic\"",
            "must be \"azure\" or \"openai\", got text of 9 characters",
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
        ("headers", "{\"Keep-Alive\": \"x\"}", "must not set \"Keep-Alive\""),
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
        ("tpm_limit", "\"60k\"", "got text of 3 characters"),
        ("priority", "0", "must be a whole number from 1 to 4294967295, got 0"),
        ("priority", "-1", "got -1"),
        (
            "send_stream_options",
            "\"no\"",
            "must be \"auto\" or \"never\", got text of 2 characters",
        ),
        (
            "send_stream_options",
            "false",
            "must be \"auto\" or \"never\", got false",
        ),
        (
            "sku",
            "\"ptu\"",
            "must be \"standard\" or \"provisioned\", got text of 3 characters",
        ),
        ("quota_window_s", "0", "above 0 and at most 86400, got 0"),
        ("quota_window_s", "null", "got null"),
        ("request_window_s", "86401", "at most 86400, got 86401"),
        (
            "quota_group",
            "\"east\"",
            "must be the name of a quota group, got text of 4 characters; there are no `quota_groups`",
        ),
        ("quota_group", "7", "must be the name of a quota group, got 7"),
        (
            "tenant_id",
            "\"a tenant\"",
            "must be the id or domain of a tenant: letters, digits, `.` and `-`, got text of 8 characters",
        ),
        ("tenant_id", "\"$(reboot)\"", "must be the id or domain of a tenant"),
        (
            "client_id",
            "\"a_b\"",
            "must be an id of letters, digits and `-`, got text of 3 characters",
        ),
        (
            "object_id",
            "\"\"",
            "must be an id of letters, digits and `-`, got an empty text",
        ),
        (
            "resource_id",
            "\"/groups/x\"",
            "must be a resource id, /subscriptions/…, got text of 9 characters",
        ),
        ("client_secret", "\"can ary\"", "(the value is not shown)"),
        (
            "token_scope",
            "\"https://x/.default; reboot\"",
            "must be a scope such as",
        ),
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

#[test]
fn what_is_too_long_to_be_sent_is_refused_in_a_few_words() {
    let long = "canary".repeat(12_000);
    let open = "x".repeat(70_000);
    let half = "canary".repeat(1_500);
    let rows = [
        (
            "endpoint",
            format!("\"https://east.example/{open}\""),
            "must have at most 2048 bytes",
        ),
        (
            "proxy",
            format!("\"http://u:{long}@proxy:1\""),
            "must have at most 2048 bytes",
        ),
        (
            "api_key",
            format!("\"{long}\""),
            "a key of 1 to 8192 printable ASCII characters",
        ),
        ("model", format!("\"{open}\""), "text of 1 to 256 characters"),
        ("api_version", format!("\"{open}\""), "a date such as"),
        (
            "headers",
            format!("{{\"x-a\": \"{long}\"}}"),
            "must be smaller: header \"x-a\" has 72003 bytes, name and value together, of which 12000 can be sent",
        ),
        (
            "headers",
            format!("{{\"x-a\": \"{half}\", \"x-b\": \"{half}\", \"x-c\": \"{half}\", \"x-d\": \"{half}\"}}"),
            "must be smaller: the headers have 36028 bytes together, of which 32768 can be sent",
        ),
    ];
    for (name, written, part) in rows {
        let line = format!("\"{name}\": {written},");
        let text = match DEPLOYMENT.iter().any(|key| key.name == name) {
            true => without(&file_with("", &line), name),
            false => file_with(&line, ""),
        };
        let problem = problem_of(&text);
        assert!(problem.text.contains(part), "{name}: {}", problem.text);
        assert!(problem.text.len() < 500, "{name}: {}", problem.text);
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
        ("{ # settings\n}", "a comment begins with //"),
        ("{ /* settings\n}", "ends with */"),
        ("{\"deployments\": []} extra", "trailing characters"),
        ("{\"deployments\": [,]}", "not valid JSON"),
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
config.json:4:34: deployments[0] "east": endpoint must be an absolute URL such as https://my-resource.openai.azure.com
config.json:4:87: deployments[0] "east": weight must be a whole number from 1 to 1000, got 0
config.json:5:69: deployments[1] "west": api_key names the environment variable "UNSET", which is not set
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
fn the_problems_of_a_configuration_made_by_calls_come_in_the_order_of_its_parts() {
    let broken = |name| DeploymentConfig::new(name, "https://a.example", "m").weight(0);
    let config = BlasterConfig::new([broken("a"), broken("b")]).num_workers(0);
    let error = config.validate().unwrap_err();
    let subjects: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.subject.as_str())
        .collect();
    let expected = [
        "num_workers",
        "deployments[0] \"a\": weight",
        "deployments[1] \"b\": weight",
    ];
    assert_eq!(subjects, expected);
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
        }
    }
}
