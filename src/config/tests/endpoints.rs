//! What a file's endpoint leads to, with the keys beside it.

use super::*;

/// A file with one deployment of these keys beside its name and its key.
fn file_of(keys: &str) -> String {
    format!("{{\"deployments\": [{{\n{keys},\n\"name\": \"east\", \"api_key\": \"canary-key\"}}]}}")
}

#[test]
fn an_endpoint_leads_where_it_is_meant_to_lead() {
    let rows = [
        (
            r#""endpoint": "https://x.openai.azure.com/", "model": "d", "api_version": "2029-12-31-preview""#,
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2029-12-31-preview",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21""#,
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
        (
            r#""endpoint": "https://x.cognitiveservices.azure.com/openai/deployments/d/embeddings?api-version=2024-10-21",
               "model": "d", "api_version": "2024-10-21""#,
            "https://x.cognitiveservices.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com/openai/deployments/d/chat/completions", "api_version": "v1""#,
            "https://x.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com/openai/responses?api-version=2025-04-01-preview", "model": "d""#,
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-04-01-preview",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com/OpenAI/V1", "model": "d", "api_version": "2024-10-21""#,
            "https://x.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            r#""endpoint": "https://gate.example/a/OpenAI/V1/", "model": "d""#,
            "https://gate.example/a/openai/v1/chat/completions",
        ),
        (
            r#""endpoint": "https://x.services.ai.azure.com/api/projects/p", "model": "d""#,
            "https://x.services.ai.azure.com/api/projects/p/openai/v1/chat/completions",
        ),
        (
            r#""endpoint": "https://api.openai.com", "kind": "openai", "model": "gpt-4o""#,
            "https://api.openai.com/v1/chat/completions",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com", "kind": "openai", "model": "d""#,
            "https://x.openai.azure.com/openai/v1/chat/completions",
        ),
    ];
    for (keys, url) in rows {
        let config = read(&file_of(keys));
        let deployment = &config.deployments[0];
        assert_eq!(
            deployment.url(&Operation::ChatCompletions).as_deref(),
            Some(url),
            "{keys}"
        );
        assert!(!deployment.endpoint.contains("deployments/"), "{deployment:?}");
        // What is written out again means the same, with every key in its place.
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&written.replace("(hidden)", "canary-key")), config, "{keys}");
    }
}

#[test]
fn an_endpoint_that_is_none_or_contradicts_the_keys_beside_it_is_refused() {
    let rows = [
        (
            r#""endpoint": "https://x.openai.azure.com/openai/deployments/canary", "model": "canary-2""#,
            "must name the deployment that `model` names, or none: it names text of 6 characters, and `model` is text of 8",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21", "api_version": "v1""#,
            "must name the version that `api_version` names, or none: it names 2024-10-21, and `api_version` is v1",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com?api-version=2024-13-21", "model": "d""#,
            "must name a date as its api-version",
        ),
        (
            r#""endpoint": "https://x.openai.azure.com?code=canary", "model": "d""#,
            "must have nothing behind `?` but one api-version",
        ),
        (
            r#""endpoint": "https://x.services.ai.azure.com/models", "model": "d""#,
            "must lead to /openai/v1 in place of /models",
        ),
        (
            r#""endpoint": "https://api.openai.com/v1", "model": "gpt-4o""#,
            "for the vendor's own service set `kind` to \"openai\"",
        ),
    ];
    for (keys, part) in rows {
        let problem = problem_of(&file_of(keys));
        assert!(problem.text.contains(part), "{keys}: {}", problem.text);
        assert_eq!(
            (problem.subject.as_str(), problem.position),
            ("deployments[0] \"east\": endpoint", Some((2, 13)))
        );
    }
}

#[test]
fn an_endpoint_by_calls_is_taken_apart_as_that_of_a_file() {
    let uri = "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21";
    let made = DeploymentConfig::new("east", uri, "d");
    assert_eq!(
        (&*made.endpoint, &*made.api_version),
        ("https://x.openai.azure.com", "2024-10-21")
    );
    // What is said afterwards counts.
    assert_eq!(made.api_version("v1").api_version, "v1");
    let other = DeploymentConfig::new("east", uri, "e");
    let error = BlasterConfig::new([other]).validate().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("must name the deployment that `model` names"),
        "{error}"
    );
}
