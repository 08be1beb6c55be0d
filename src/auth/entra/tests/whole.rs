//! From the credential to the simulator, which looks at audience and end of what it is sent.

use super::*;
use crate::api::ChatRequest;
use crate::config::{Auth, BlasterConfig};
use crate::engine::Blaster;
use crate::sim::{SimConfig, SimDeployment, SimFleet};

/// Asks three times; the simulator has refused nothing.
fn reaches_the_simulator(credential: EntraCredential, around: &Around) {
    let audience = SCOPE.trim_end_matches("/.default");
    let fleet = SimFleet::start(SimConfig::new([SimDeployment::new("east").token_audience(audience)])).unwrap();
    let mut config = BlasterConfig::from_json(&fleet.blaster_config_json()).unwrap();
    config.deployments[0].auth = Auth::entra(credential);
    config.ca_file.clone_from(&around.ca_file);
    let variables = around.variables.clone();
    let blaster = Blaster::builder()
        .config(config)
        .workers(2)
        .variables(move |name| variables.get(name).cloned())
        .entra_limits(around.limits.clone())
        .build()
        .unwrap();
    let report = blaster.await_credentials(Duration::from_secs(60));
    let token = report[0].token.as_ref().unwrap_or_else(|| panic!("{}", report[0]));
    assert_eq!(token.tenant.as_deref(), Some("tenant-of-token"));
    assert_eq!(token.object.as_deref(), Some("object-of-token"));
    assert_eq!(token.audience.as_deref(), Some(audience));
    for _ in 0..3 {
        blaster.chat_completion(ChatRequest::from("hello")).unwrap();
    }
    assert_eq!((fleet.totals().requests, fleet.totals().refused), (3, 0));
    let shown = format!("{blaster:?} {report:?} {}", report[0]);
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn the_token_of_a_client_secret_reaches_the_service() {
    let entra = Fake::secure(issued);
    let around = Around::nothing().authority(&entra).with(&[
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "a"),
        ("AZURE_CLIENT_SECRET", "canary"),
    ]);
    reaches_the_simulator(EntraCredential::ClientSecret, &around);
    reaches_the_simulator(EntraCredential::Default, &around);
}

#[test]
fn the_token_of_a_workload_identity_reaches_the_service() {
    let entra = Fake::secure(issued);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "canary").unwrap();
    let around = Around::nothing().authority(&entra).with(&[
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "a"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.path().to_str().unwrap()),
    ]);
    reaches_the_simulator(EntraCredential::Workload, &around);
}

#[test]
fn the_token_of_a_managed_identity_reaches_the_service() {
    let service = Fake::plain(identity_token);
    reaches_the_simulator(EntraCredential::Managed, &Around::nothing().imds(&service));
}

#[cfg(unix)]
#[test]
fn the_token_of_az_reaches_the_service() {
    let (_folder, path) = command("az", &format!("echo '{}'", az_token(SCOPE, unix_now() + 3600)));
    reaches_the_simulator(EntraCredential::Az, &Around::nothing().with(&[("PATH", &path)]));
}

#[cfg(unix)]
#[test]
fn the_token_of_azd_reaches_the_service() {
    let answer = format!(r#"{{"token":"{}","expiresOn":"2099-01-02T03:04:05Z"}}"#, fresh(SCOPE));
    let (_folder, path) = command("azd", &format!("echo '{answer}'"));
    let around = Around::nothing().with(&[
        ("PATH", &path),
        ("AZURE_TOKEN_CREDENTIALS", "AzureDeveloperCliCredential"),
    ]);
    reaches_the_simulator(EntraCredential::Default, &around);
}

#[cfg(feature = "browser-login")]
#[test]
fn the_token_of_a_device_code_reaches_the_service() {
    let entra = Fake::secure(|asked| {
        if asked.path.ends_with("/devicecode") {
            return Answer::json(
                200,
                r#"{"user_code":"ABC-123","device_code":"canary","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":1,"message":"m"}"#,
            );
        }
        let token = fresh(SCOPE);
        Answer::json(
            200,
            format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#),
        )
    });
    reaches_the_simulator(EntraCredential::DeviceCode, &Around::nothing().authority(&entra));
}
