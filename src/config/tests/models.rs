//! Several models in one entry.

use super::*;

fn file_of(entry: &str) -> String {
    format!(
        r#"{{"deployments": [{{"name": "first", "endpoint": "https://first.example", "api_key": "canary-key", "model": "m"}},
{{"name": "east", "endpoint": "https://east.example", "api_key": "canary-key", {entry}}}]}}"#
    )
}

#[test]
fn an_entry_with_models_is_a_deployment_of_each() {
    let config = read(&file_of(
        r#""weight": 3, "models": [{"name": "gpt-4o", "tpm": 100, "rpm": 10}, {"name": "gpt-4o-mini", "tpm": 0, "rpm": null}]"#,
    ));
    let at = |name: &str, model: &str| {
        DeploymentConfig::new(name, "https://east.example", model)
            .auth(Auth::key("canary-key"))
            .weight(3)
    };
    let expected = [
        at("east/gpt-4o", "gpt-4o").tpm_limit(100).rpm_limit(10),
        at("east/gpt-4o-mini", "gpt-4o-mini"),
    ];
    assert_eq!(config.deployments[1..], expected);
    let config = read(&file_of(r#""models": [{"name": "gpt-4o"}]"#));
    assert_eq!(config.deployments[1].name, "east");
}

#[test]
fn what_is_wrong_with_such_an_entry_is_told_of_the_entry() {
    let two = r#""models": [{"name": "a"}, {"name": "b"}]"#;
    let rows = [
        (
            format!(r#"{two}, "weight": 0"#),
            r#"deployments[1] "east": weight must be a whole"#,
        ),
        (
            format!(r#"{two}, "model": "c""#),
            r#""east": model must not be given beside `models`"#,
        ),
        (
            format!(r#"{two}, "tpm_limit": 1"#),
            r#""east": tpm_limit must not be given beside `models`"#,
        ),
        (
            r#""models": []"#.to_owned(),
            "models must be a list of 1 or more models, each",
        ),
        (r#""models": ["canary"]"#.to_owned(), "got text of 6 characters in it"),
        (r#""models": [{"tpm": 1}]"#.to_owned(), "got one without a name"),
        (
            r#""models": [{"name": ""}]"#.to_owned(),
            "models must have for \"name\" text of 1 to 256",
        ),
        (
            r#""models": [{"name": "a", "tpm": -1}]"#.to_owned(),
            "models must have for \"tpm\" a whole number from 0 to",
        ),
        (
            r#""models": [{"name": "a", "tpm_limit": 1}]"#.to_owned(),
            "the keys name, tpm and rpm, got the key \"tpm_limit\" in it",
        ),
        (
            r#""models": [{"name": "a", "name": "b"}]"#.to_owned(),
            "got \"name\" twice",
        ),
        (
            r#""models": [{"name": "a"}, {"name": "a"}]"#.to_owned(),
            "must name each model once",
        ),
        (
            r#""model": "m", "name": "first""#.to_owned(),
            r#"key "name" is given twice"#,
        ),
    ];
    for (entry, part) in rows {
        let problem = problem_of(&file_of(&entry));
        assert!(problem.text.contains(part), "{entry}: {}", problem.text);
        assert_eq!(problem.position.map(|(line, _)| line), Some(2), "{entry}");
    }
    let text = file_of(two).replace("\"first\"", "\"east/a\"");
    let problem = problem_of(&text);
    assert_eq!(
        problem.text,
        r#"deployments[1] "east": name must be unique, and deployments[0] has it already"#
    );
}

#[test]
fn what_others_call_a_key_is_answered_with_its_name() {
    let rows = [
        ("api_base", "\"https://east.example\"", "endpoint"),
        ("azure_endpoint", "\"https://east.example\"", "endpoint"),
        ("azure_deployment", "\"m\"", "model"),
        ("deployment", "\"m\"", "model"),
        ("tpm", "1000", "tpm_limit"),
        ("rpm", "10", "rpm_limit"),
        ("max_tokens", "512", "max_completion_tokens"),
    ];
    for (called, value, name) in rows {
        let text = file_with("", &format!("\"{called}\": {value},"));
        // The key that is meant is not missed as well.
        for text in [text.clone(), without(&text, name)] {
            let problem = problem_of(&text);
            assert_eq!(
                problem.text,
                format!("deployments[0] \"east\": {name} is what \"{called}\" is called here")
            );
            assert_eq!(problem.position, Some((4, 1)));
        }
    }
    let group = file_with("\"quota_groups\": {\"g\": {\"tpm\": 1}},", "\"quota_group\": \"g\",");
    assert!(
        problem_of(&group)
            .text
            .contains("tpm_limit is what \"tpm\" is called here")
    );
    let top = file_with("\"workers\": 8,", "");
    assert!(
        problem_of(&top)
            .text
            .contains("num_workers is what \"workers\" is called here")
    );
}
