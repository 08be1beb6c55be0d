//! The identity service of a machine fails in every way in which the vendor's crate would retry, sleeping by tokio's clock;
//! on a thread without a runtime that panics.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use azure_openai_blaster::auth::EntraCredential;
use azure_openai_blaster::internals::EntraLimits;
use azure_openai_blaster::{Auth, Blaster, DeploymentConfig};

/// An identity service that answers so, its address, and what a credential says that is sent to it.
fn problem_of(
    credential: EntraCredential,
    status: Option<u16>,
    variables: &'static [(&'static str, &'static str)],
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let imds = format!("http://{}", listener.local_addr().unwrap());
    match status {
        Some(status) => drop(thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}").as_bytes());
            }
        })),
        None => drop(listener),
    }
    let limits = EntraLimits {
        imds,
        imds_pauses: vec![Duration::from_millis(1); 2],
        ..EntraLimits::default()
    };
    let deployment = DeploymentConfig::new("east", "https://east.example", "m").auth(Auth::entra(credential));
    let blaster = Blaster::builder()
        .deployment(deployment)
        .workers(1)
        .variables(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .entra_limits(limits)
        .build()
        .unwrap();
    let mut reports = blaster.await_credentials(Duration::from_secs(60));
    let problem = reports.remove(0).problem.expect("no token");
    assert!(!problem.contains("panicked"), "{problem}");
    problem
}

#[test]
fn an_identity_service_that_fails_is_told_and_nothing_panics() {
    for (status, words) in [
        (Some(400), "no identity of its own (400"),
        (Some(404), "not ready (404)"),
        (Some(410), "not ready (410)"),
        (Some(429), "asked too often (429)"),
        (Some(500), "trouble of its own (500)"),
        (Some(503), "trouble of its own (503)"),
        (None, "nothing answers at 169.254.169.254"),
    ] {
        let problem = problem_of(EntraCredential::Managed, status, &[]);
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn the_chain_and_az_run_without_a_runtime() {
    const NO_TOOLS: &[(&str, &str)] = &[("PATH", "/nonexistent")];
    let problem = problem_of(EntraCredential::Default, Some(404), NO_TOOLS);
    for words in ["managed: ", "az: az is not installed", "azd: azd is not installed"] {
        assert!(problem.contains(words), "{problem}");
    }
    const SECRET: &[(&str, &str)] = &[
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "a"),
        ("AZURE_CLIENT_SECRET", "s"),
        // Nobody listens there.
        ("AZURE_AUTHORITY_HOST", "https://127.0.0.1:1"),
    ];
    let problem = problem_of(EntraCredential::ClientSecret, None, SECRET);
    assert!(problem.contains("127.0.0.1 does not answer"), "{problem}");
}
