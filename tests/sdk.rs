//! The simulator's replies, judged by the types of the official `openai` SDK for Python, which asks for them. Installed by
//! `scripts/test`.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use azure_openai_blaster::sim::{
    FaultKind, FilterMode, Latency, RefusalFamily, RetryAfter, SimConfig, SimDeployment, SimFault, SimFleet,
    SimOperation,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The Python that has the SDK, which `scripts/test` puts beside what is built.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("sdk");
    let listed = fs::read(Path::new(ROOT).join("tests/sdk/requirements.txt")).unwrap();
    assert!(
        fs::read(home.join("installed.txt")).is_ok_and(|installed| installed == listed),
        "the openai SDK for Python, as tests/sdk/requirements.txt lists it, is not installed in {}: \
         run scripts/test, or `scripts/test sdk` for that step alone",
        home.display()
    );
    home.join("bin/python")
}

/// One resource that has a deployment for each kind of reply.
fn fleet() -> SimFleet {
    let of = |name: &str| SimDeployment::new(name).resource("r");
    let always = |name: &str, kind| of(name).fault(SimFault::always(kind));
    let mut deployments = vec![
        of("gpt"),
        of("thinker").model("gpt-5", "2025-08-07").reasoning(),
        of("async").filter(FilterMode::Asynchronous),
        of("bare").filter(FilterMode::Off).frame_tokens(7),
        of("embedder")
            .model("text-embedding-3-small", "1")
            .operations([SimOperation::Embeddings]),
        always("filter-down", FaultKind::FilterError),
        always("breaks", FaultKind::ErrorEvent { frames: 5 }),
        always("refuses", FaultKind::RefusedStream { retry_after_s: 1 }),
    ];
    for status in [403, 408, 500] {
        deployments.push(always(&format!("status-{status}"), FaultKind::Status { status }));
    }
    for (name, family) in [
        ("reached", RefusalFamily::Reached),
        ("operation", RefusalFamily::Operation),
        ("gateway", RefusalFamily::Gateway),
        ("exceeded", RefusalFamily::Exceeded),
        ("provisioned", RefusalFamily::Provisioned),
        ("no_capacity", RefusalFamily::NoCapacity),
    ] {
        let retry_after = RetryAfter::Honest;
        let wait_ms = 2_000;
        deployments.push(always(
            name,
            FaultKind::Throttle {
                family,
                retry_after,
                wait_ms,
            },
        ));
    }
    let at_once = |deployment: SimDeployment| deployment.latency(Latency::fixed(0.0));
    SimFleet::start(SimConfig::new(deployments.into_iter().map(at_once))).unwrap()
}

/// Asks for the replies of a surface, and fails with what is wrong with them.
fn judge(surface: &str) {
    let fleet = fleet();
    let script = Path::new(ROOT).join("tests/sdk/check.py");
    let output = Command::new(python())
        .arg("-B")
        .arg(script)
        .args([surface, fleet.url("gpt").unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().count();
    assert!(output.status.success(), "{count} faults of {surface}:\n{said}{error}");
}

#[test]
fn chats_are_what_the_official_sdk_says_they_are() {
    judge("chat");
}

#[test]
fn completions_are_what_the_official_sdk_says_they_are() {
    judge("completions");
}

#[test]
fn embeddings_are_what_the_official_sdk_says_they_are() {
    judge("embeddings");
}

#[test]
fn responses_are_what_the_official_sdk_says_they_are() {
    judge("responses");
}

#[test]
fn lists_of_models_are_what_the_official_sdk_says_they_are() {
    judge("models");
}

#[test]
fn errors_are_what_the_official_sdk_says_they_are() {
    judge("errors");
}
