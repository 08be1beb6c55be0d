//! A key where it does not belong: whatever is said of it, it is not repeated.

use super::*;

/// Kinds of keys that services and people make, none of them like the others.
const KEYS: [&str; 7] = [
    "7cAnArY0KEY1a2b3c4d5e6f7g8h9i0jAAAAAAAACOGw3LtPqZ1x2v3b4n5m6J7Q8R9S0T1U2V3W4X5Y6Z7A8",
    "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456",
    "sk-proj-canary-correct-horse-battery-staple",
    "correcthorsebatterystaplecorrecthorsebattery",
    "c2VjcmV0+canary/7cAnArYc2VjcmV0c2Vj+mV0cg==",
    r#"ca"nary\u0041{%41}&amp;/c'anary-ca"nary\u00"#,
    "h0rse!",
];

/// What is said of a configuration, in each of the ways.
fn said(text: &str) -> String {
    match parse(text, Some("config.json"), NO_ENV) {
        Ok(config) => config.warnings().join("\n"),
        Err(error) => format!("{error}\n{error:?}\n{:?}", error.problems()),
    }
}

fn assert_silent(key: &str, text: &str) {
    let said = said(text).to_lowercase();
    let json = serde_json::to_string(key).unwrap().to_lowercase();
    for form in [key.to_lowercase(), json[1..json.len() - 1].to_owned()] {
        assert!(!said.contains(&form), "{text}\n{said}");
    }
}

#[test]
fn a_key_that_stands_at_another_key_is_not_repeated() {
    for key in KEYS {
        let json = serde_json::to_string(key).unwrap();
        for (keys, of_deployment) in [(TOP, false), (DEPLOYMENT, true)] {
            for other in keys
                .iter()
                .filter(|other| other.name != "name" && other.name != "deployments")
            {
                for value in [
                    json.clone(),
                    format!("[{json}]"),
                    format!("{{{json}:{json}}}"),
                    format!("\"https://{}\"", &json[1..json.len() - 1]),
                    format!("\"https://a.example/{}\"", &json[1..json.len() - 1]),
                    format!("\"http://u:{}@proxy:1/x\"", &json[1..json.len() - 1]),
                ] {
                    let line = format!("\"{}\": {value},", other.name);
                    let text = match of_deployment {
                        // Something else is wrong too, so that there is an error.
                        true => without(&file_with("\"max_job_retry\": 0,", &line), other.name),
                        false => file_with(&line, "\"weight\": 0,"),
                    };
                    assert!(parse(&text, None, NO_ENV).is_err(), "{text}");
                    // Short ones are names like others.
                    if key.len() > 31 || !value.starts_with('{') {
                        assert_silent(key, &text);
                    }
                }
            }
        }
    }
}

#[test]
fn a_key_in_place_of_a_name_is_not_repeated() {
    for key in KEYS.into_iter().filter(|key| key.len() > 31) {
        let json = serde_json::to_string(key).unwrap();
        let named = without(&file_with("", &format!("\"name\": {json}, \"weight\": 0,")), "name");
        assert!(said(&named).contains("deployments[0]"), "{}", said(&named));
        assert_silent(key, &named);
        assert_silent(key, &file_with("", &format!("{json}: 1,")));
        assert_silent(key, &file_with(&format!("{json}: 1,"), ""));
        assert_silent(
            key,
            &file_with(&format!("\"quota_groups\": {{{json}: {{\"rpm_limit\": 0}}}},"), ""),
        );
        assert_silent(key, &file_with("", &format!("\"headers\": {{{json}: 7}},")));
        assert_silent(
            key,
            &file_with("", &format!("\"headers\": {{{json}: \"a\", {json}: \"b\"}},")),
        );
        assert_silent(
            key,
            &file_with("", "").replace("canary-key", &format!("${{{}}}", &json[1..json.len() - 1])),
        );
    }
}

#[test]
fn a_deployment_whose_names_hold_its_own_key_is_refused() {
    let rows = [
        ("name", "", "deployments[0]: name must not hold the deployment's key"),
        (
            "endpoint",
            "https://a.example/",
            "\"east\": endpoint must not hold the deployment's key",
        ),
        ("model", "", "\"east\": model must not hold the deployment's key"),
    ];
    for key in ["5a7e1c3b-90d2-4f68-8b1a-c0ffee123456", "canary-key"] {
        for (name, before, expected) in rows {
            let text = file_with("", &format!("\"{name}\": \"{before}{key}\","))
                .replace("\"canary-key\"", &format!("\"{key}\""));
            let text = without(&text, name);
            assert!(said(&text).contains(expected), "{text}\n{}", said(&text));
            assert_silent(key, &text);
        }
        let serving = file_with("", &format!("\"serves\": [\"gpt\", \"{key}\"],"))
            .replace("\"canary-key\"", &format!("\"{key}\""));
        assert!(said(&serving).contains("serves must not hold"), "{}", said(&serving));
    }
    // One as short as a word may be part of one.
    let text = file_with("", "\"model\": \"gpt-key\",").replace("\"canary-key\"", "\"key\"");
    assert!(parse(&without(&text, "model"), None, NO_ENV).is_ok());
}

#[test]
fn a_key_so_short_that_it_can_be_a_word_is_warned_of() {
    let config = |key: &str| read(&file_with("", "").replace("canary-key", key));
    assert_eq!(
        config("hunter2").warnings(),
        ["an api_key of fewer than 8 characters is hidden only where it is a word of its own (deployments: east)"]
    );
    assert!(config("hunter23").warnings().is_empty());
}
