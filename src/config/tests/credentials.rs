//! How deployments sign in, as it is misspelt or said twice.

use super::*;

#[test]
fn a_credential_that_is_misspelt_is_no_key() {
    for (written, meant) in [
        ("defualt", "default"),
        ("Defaults", "default"),
        ("DefaultAzureCredential", "default"),
        ("managd", "managed"),
        ("managed_identity", "managed"),
        ("ManagedIdentity", "managed"),
        ("workload-identity", "workload"),
        ("azure-cli", "az"),
        ("client-secret", "client_secret"),
        ("devicecode", "device_code"),
        ("interactiv", "interactive"),
    ] {
        let text = file_with("", "").replace("canary-key", written);
        let said = parse(&text, None, NO_ENV).unwrap_err().to_string();
        assert!(
            said.contains(&format!(
                "api_key must be a key, or a credential by its name (the value is not shown); did you mean \"{meant}\"?"
            )),
            "{written}: {said}"
        );
    }
    for key in [
        "canary-key",
        "none",
        "EMPTY",
        "token",
        "secret",
        "7cAnArY0KEY1a2b3c4d5e6f7g8h9i0j",
    ] {
        let text = file_with("", "").replace("canary-key", key);
        assert!(parse(&text, None, NO_ENV).is_ok(), "{key}");
    }
}

#[test]
fn what_has_no_effect_with_a_credential_is_warned_of() {
    let all = DeploymentConfig::new("east", "https://east.example", "m")
        .tenant_id("t")
        .client_id("c")
        .object_id("o")
        .resource_id("/subscriptions/s")
        .client_secret("canary-secret")
        .token_scope("https://x.example/.default");
    let rows: [(Auth, &[&str]); 9] = [
        (
            Auth::api_key("canary-key"),
            &[
                "tenant_id",
                "client_id",
                "object_id",
                "resource_id",
                "client_secret",
                "token_scope",
            ],
        ),
        (
            Auth::None,
            &[
                "tenant_id",
                "client_id",
                "object_id",
                "resource_id",
                "client_secret",
                "token_scope",
            ],
        ),
        (Auth::entra(EntraCredential::Default), &[]),
        (
            Auth::entra(EntraCredential::Az),
            &["client_id", "object_id", "resource_id", "client_secret"],
        ),
        (Auth::entra(EntraCredential::Managed), &["tenant_id", "client_secret"]),
        (
            Auth::entra(EntraCredential::Workload),
            &["object_id", "resource_id", "client_secret"],
        ),
        (
            Auth::entra(EntraCredential::ClientSecret),
            &["object_id", "resource_id"],
        ),
        (
            Auth::entra(EntraCredential::Interactive),
            &["object_id", "resource_id", "client_secret"],
        ),
        (
            Auth::entra(EntraCredential::DeviceCode),
            &["object_id", "resource_id", "client_secret"],
        ),
    ];
    for (auth, idle) in rows {
        let warnings = BlasterConfig::new([all.clone().auth(auth.clone())]).warnings();
        let found: Vec<_> = warnings
            .iter()
            .filter_map(|warning| Some(warning.split_once(" has no effect with their api_key")?.0))
            .collect();
        assert_eq!(found, idle, "{auth:?}");
        assert!(!warnings.join(" ").contains("canary"));
    }
}
