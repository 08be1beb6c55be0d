//! Entra ID as whoever uses the command meets it: in processes of its own, for what it goes by is the process's environment.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet};
use fakes::*;

#[path = "shared/entra.rs"]
#[allow(dead_code)] // each test binary uses a part of it
mod fakes;

const DATED: &str = "https://cognitiveservices.azure.com";

/// A simulated deployment that takes tokens for this audience.
fn fleet(audience: &str) -> SimFleet {
    SimFleet::start(SimConfig::new([SimDeployment::new("gpt-4o").token_audience(audience)])).unwrap()
}

/// A folder with a configuration of one deployment in it, which signs in like this.
fn folder(fleet: &SimFleet, api_key: &str, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = fleet.blaster_config_json();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    let endpoint = written["deployments"][0]["endpoint"].as_str().unwrap();
    let config = format!(
        r#"{{{more} "deployments": [{{"name": "east", "endpoint": "{endpoint}", "api_key": "{api_key}", "model": "gpt-4o"}}]}}"#
    );
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

/// `blaster check` there, with these variables and no others.
fn check(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blaster"))
        .args(["check", "--config", "config.json"])
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What the command said on both, after it ended with this code.
#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    assert!(!all.contains("canary") && !all.contains("Y2FuYXJ5"), "{all}");
    all
}

#[test]
fn an_app_of_app_service_signs_in_by_the_service_beside_it() {
    let fleet = fleet(DATED);
    let service = Fake::plain(identity_token);
    let folder = folder(&fleet, "managed", "");
    let endpoint = format!("{}/msi/token", service.url);
    let output = check(
        folder.path(),
        &["--send"],
        &[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "canary-header")],
    );
    let all = said(&output, 0);
    for words in [
        "signs in with Entra ID (managed)",
        "tenant tenant-of-token, object object-of-token, audience https://cognitiveservices.azure.com",
        "sent     200 in ",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let asked = &service.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/msi/token"));
    assert_eq!(asked.headers["x-identity-header"], "canary-header");
    assert_eq!(asked.fields["api-version"], "2019-08-01");
    assert_eq!((fleet.totals().requests, fleet.totals().refused), (1, 0));

    let other = check(
        folder.path(),
        &[],
        &[
            ("IDENTITY_ENDPOINT", &endpoint),
            ("IMDS_ENDPOINT", "http://127.0.0.1:1"),
        ],
    );
    let all = said(&other, 1);
    assert!(all.contains("Azure Arc managed identity isn't supported"), "{all}");
}

#[test]
fn an_identity_service_is_never_asked_through_a_proxy() {
    let fleet = fleet(DATED);
    let service = Fake::secure(identity_token);
    let proxy = Fake::plain(|_| Answer::json(502, ""));
    let folder = folder(&fleet, "managed", &format!("\"ca_file\": {:?},", service.ca_file()));
    // An address of this machine for which proxies are asked.
    let endpoint = format!("{}/msi/token", service.url.replace("localhost", "0.0.0.0"));
    let variables = [
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", "canary-header"),
        ("HTTPS_PROXY", proxy.url.as_str()),
    ];
    // The certificate is for other names.
    let all = said(&check(folder.path(), &[], &variables), 1);
    assert!(all.contains("the identity service at 0.0.0.0 broke off"), "{all}");
    assert_eq!(proxy.asked().len(), 0);
}

#[test]
fn the_quick_start_of_the_python_original_works_after_az_login() {
    let fleet = fleet(DATED);
    let text = fleet.blaster_config_json();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    let endpoint = written["deployments"][0]["endpoint"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Its quick start, but for the endpoint, and a name and limits that the simulator has.
    let file = r#"{
  "strategy": "weighted",
  "num_workers": 16,
  "max_job_retry": 5,
  "worker_polling_interval": 0.5,
  "deployments": [
    {
      "name": "gpt-4o-backup",
      "endpoint": "ENDPOINT/",
      "api_key": "default",
      "api_version": "2025-01-01-preview",
      "model": "gpt-4o",
      "weight": 1
    }
  ]
}"#;
    fs::write(folder.path().join("config.json"), file.replace("ENDPOINT/", endpoint)).unwrap();
    let scope = format!("{DATED}/.default");
    let (_az, path) = command("az", &format!("echo '{}'", az_token(&scope, unix_now() + 3600)));
    let variables = [("PATH", path.as_str()), ("AZURE_TOKEN_CREDENTIALS", "dev")];
    let all = said(&check(folder.path(), &["--send"], &variables), 0);
    assert!(
        all.contains("signs in with Entra ID (default)")
            && all.contains("token    by az, until ")
            && all.contains("sent     200 in "),
        "{all}"
    );
    assert_eq!((fleet.totals().requests, fleet.totals().refused), (1, 0));
}

#[test]
fn a_credential_that_gives_no_token_ends_with_1_and_the_next_step_and_offline_asks_nobody() {
    let fleet = fleet(DATED);
    let folder = folder(&fleet, "az", "");
    let (_az, path) = command(
        "az",
        "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
    );
    let variables = [("PATH", path.as_str())];
    let all = said(&check(folder.path(), &[], &variables), 1);
    assert!(
        all.contains("token    none: az is not logged in; run `az login`"),
        "{all}"
    );
    let all = said(&check(folder.path(), &["--offline"], &variables), 0);
    assert!(!all.contains("token"), "{all}");
    let all = said(&check(folder.path(), &["--send"], &variables), 1);
    assert!(all.contains("sent     nothing, as there is no token"), "{all}");
    assert_eq!(fleet.totals().requests, 0);
    // A chain of credentials has a line for each.
    let folder = self::folder(&fleet, "default", "");
    let variables = [("PATH", path.as_str()), ("AZURE_TOKEN_CREDENTIALS", "dev")];
    let all = said(&check(folder.path(), &[], &variables), 1);
    let lines = "\n  token    none: no credential works\n           az: az is not logged in; run `az login`\n           azd: azd is not";
    assert!(all.contains(lines), "{all}");
}

#[test]
fn json_tells_a_program_the_same() {
    let fleet = fleet(DATED);
    let folder = folder(&fleet, "az", "");
    let scope = format!("{DATED}/.default");
    let (_az, path) = command("az", &format!("echo '{}'", az_token(&scope, unix_now() + 3600)));
    let output = check(folder.path(), &["--send", "--json"], &[("PATH", &path)]);
    said(&output, 0);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let credential = &told["credentials"][0];
    assert_eq!(credential["credential"], "az");
    assert_eq!(credential["scope"], scope);
    assert_eq!(credential["deployments"][0], "east");
    assert_eq!(credential["token"]["tenant"], "tenant-of-token");
    assert_eq!(credential["token"]["audience"], DATED);
    assert!(credential["token"]["expires"].as_u64().unwrap() > unix_now());
    assert_eq!(credential["problem"], serde_json::Value::Null);
    assert_eq!(
        credential["token"]["by"],
        serde_json::Value::Null,
        "it was the only one"
    );
    let sent = &told["sent"][0];
    assert_eq!((sent["ok"].as_bool(), sent["status"].as_u64()), (Some(true), Some(200)));
    assert!(sent["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(told["config"]["deployments"][0]["api_key"], "az");
}

#[test]
fn no_token_secret_or_assertion_is_logged_at_any_level() {
    let fleet = fleet(DATED);
    let entra = Fake::secure(|asked| match asked.path.rsplit('/').next() {
        Some("devicecode") => Answer::json(
            200,
            r#"{"user_code":"ABC","device_code":"canary","verification_uri":"https://x.example/","expires_in":900,"interval":1,"message":"m"}"#,
        ),
        _ if asked.fields.contains_key("device_code") => {
            let token = fresh(&format!("{DATED}/.default"));
            let body = format!(
                r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}","refresh_token":"canary"}}"#
            );
            Answer::json(200, body)
        }
        _ => issued(asked),
    });
    let ca_file = format!("\"ca_file\": {:?},", entra.ca_file());
    let assertion = tempfile::NamedTempFile::new().unwrap();
    fs::write(assertion.path(), "canary-assertion").unwrap();
    let service = Fake::plain(identity_token);
    let identity_endpoint = format!("{}/token", service.url);
    let scope = format!("{DATED}/.default");
    let (_az, path) = command("az", &format!("echo '{}'", az_token(&scope, unix_now() + 3600)));
    for (credential, own) in [
        ("client_secret", ("AZURE_CLIENT_SECRET", "canary-secret")),
        (
            "workload",
            ("AZURE_FEDERATED_TOKEN_FILE", assertion.path().to_str().unwrap()),
        ),
        ("managed", ("IDENTITY_ENDPOINT", identity_endpoint.as_str())),
        ("az", ("PATH", path.as_str())),
        ("device_code", ("PATH", path.as_str())),
    ] {
        let folder = folder(&fleet, credential, &ca_file);
        let variables = [
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "full"),
            ("AZURE_AUTHORITY_HOST", &entra.url),
            ("AZURE_TENANT_ID", "tenant-1"),
            ("AZURE_CLIENT_ID", "app-1"),
            ("IDENTITY_HEADER", "canary-header"),
            own,
        ];
        let all = said(&check(folder.path(), &["--send"], &variables), 0);
        assert!(all.contains("TRACE"), "{all}");
        // The HTTP client dumps bytes in rows of sixteen, hexadecimal and as text.
        assert!(
            !all.contains("6361 6e61 7279") && !all.contains("access_token") && !all.contains("client_secret="),
            "{all}"
        );
    }
}

/// A browser, started without a window by a script that stands in for the one of a desktop.
fn browser(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::var_os("PATH").and_then(|path| {
        let mut folders = std::env::split_paths(&path).collect::<Vec<_>>().into_iter();
        folders.find_map(|folder| names.iter().map(|name| folder.join(name)).find(|file| file.is_file()))
    });
    let chromium = found.expect("no Chromium on the PATH: scripts/test installs it, or `apt-get install chromium`");
    let script = folder.join("browser");
    let profile = folder.join("profile");
    let text = format!(
        "#!/bin/sh\nexport HOME={folder:?}\nexec {chromium:?} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
         --ignore-certificate-errors --no-proxy-server --user-data-dir={profile:?} --dump-dom \"$1\" > {page:?} 2> {log:?}\n",
        folder = folder,
        page = folder.join("page"),
        log = folder.join("log"),
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// Entra ID as a browser and a token endpoint meet it; the person agrees, or does not.
fn entra_for_browsers(agrees: bool) -> Fake {
    Fake::secure(move |asked| {
        if asked.path.ends_with("/authorize") {
            assert_eq!(asked.fields["response_type"], "code");
            assert_eq!(asked.fields["code_challenge_method"], "S256");
            assert_eq!(asked.fields["prompt"], "select_account");
            let (redirect, state) = (&asked.fields["redirect_uri"], &asked.fields["state"]);
            let answer = if agrees {
                format!("code=canary-code-{}", asked.fields["code_challenge"])
            } else {
                "error=access_denied&error_description=AADSTS65004%3a+User+declined+to+consent".to_owned()
            };
            let location = format!("{redirect}/?{answer}&state={state}");
            return Answer::json(302, "").header("location", &location);
        }
        if !asked.path.ends_with("/token") {
            return Answer::json(404, "");
        }
        let challenge = asked.fields["code"].trim_start_matches("canary-code-").to_owned();
        assert_eq!(asked.fields["grant_type"], "authorization_code");
        assert!(asked.fields["redirect_uri"].starts_with("http://localhost:"));
        assert!((43..=128).contains(&asked.fields["code_verifier"].len()) && challenge.len() == 43);
        let token = fresh(&format!("{DATED}/.default"));
        Answer::json(
            200,
            format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}","refresh_token":"canary"}}"#),
        )
    })
}

#[test]
fn a_person_signs_in_at_a_real_browser() {
    let fleet = fleet(DATED);
    let entra = entra_for_browsers(true);
    let folder = folder(&fleet, "interactive", &format!("\"ca_file\": {:?},", entra.ca_file()));
    let script = browser(folder.path());
    let path = std::env::var("PATH").unwrap();
    let variables = [
        ("BROWSER", script.to_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", entra.url.as_str()),
        ("PATH", path.as_str()),
        ("RUST_LOG", "trace"),
    ];
    // Neither its code nor its tokens are in there.
    let all = said(&check(folder.path(), &["--send"], &variables), 0);
    assert!(all.contains("TRACE") && !all.contains("6361 6e61 7279"), "{all}");
    assert!(all.contains("Sign in within 300 s at the browser"), "{all}");
    assert!(
        all.contains(&format!("{}/organizations/oauth2/v2.0/authorize?", entra.url)),
        "the address is printed: {all}"
    );
    assert!(all.contains("sent     200 in "), "{all}");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let page = || fs::read_to_string(folder.path().join("page")).unwrap_or_default();
    while !page().contains("You are signed in") {
        assert!(std::time::Instant::now() < until, "{}", page());
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_person_who_does_not_consent_is_told_and_not_asked_again() {
    let fleet = fleet(DATED);
    let entra = entra_for_browsers(false);
    let folder = folder(&fleet, "interactive", &format!("\"ca_file\": {:?},", entra.ca_file()));
    let script = browser(folder.path());
    let path = std::env::var("PATH").unwrap();
    let variables = [
        ("BROWSER", script.to_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", entra.url.as_str()),
        ("PATH", path.as_str()),
    ];
    let all = said(&check(folder.path(), &[], &variables), 1);
    for words in [
        "the sign-in was refused in the browser",
        "have an administrator",
        "AADSTS65004",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let asked = entra
        .asked()
        .iter()
        .filter(|asked| asked.path.ends_with("/token"))
        .count();
    assert_eq!(asked, 0);
}
