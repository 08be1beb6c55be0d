//! What the tests against the simulator share.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatMessage, ChatRequest};
use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::sim::{OutputLength, SimConfig, SimDeployment, SimFleet};

/// Longest time that a test waits for what must happen; only reached where something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; for what nobody tells of.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come to pass");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Whether `text` answers [`ask`] of exactly this id: a prefix would take the answer of 12 for that of 1.
pub(crate) fn is_answer(text: Option<&str>, id: impl std::fmt::Display) -> bool {
    text.and_then(|text| text.split_whitespace().next()) == Some(echo(id).as_str())
}

/// A deployment whose answers have three tokens, for tests that count requests and not words.
pub(crate) fn terse(name: impl Into<String>) -> SimDeployment {
    SimDeployment::new(name).output(OutputLength::exactly(3))
}

/// Runs one test of this binary again, in a process of its own, with `CHILD` set to `role`, by way of `sh -c` where
/// a limit is to be set before it starts (`before`, which may be empty). Its standard input is open until it is dropped.
pub(crate) fn child(test: &str, role: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let run = r#"exec "$0" --exact "$1" --nocapture --quiet --test-threads=1"#;
    command
        .args(["-c", &format!("{before}\n{run}")])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env("CHILD", role)
        .env_remove("RUST_TEST_THREADS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// The role of this process where it is a [`child`], with what its parent has to tell.
pub(crate) fn role() -> Option<String> {
    std::env::var("CHILD").ok()
}

/// A child's line to its parent.
pub(crate) fn tell(key: &str, value: impl std::fmt::Display) {
    println!("tell:{key}={value}");
}

/// What a child tells of `key`; whatever else it prints before that is passed over.
pub(crate) fn told(lines: &mut impl Iterator<Item = std::io::Result<String>>, key: &str) -> String {
    let start = format!("tell:{key}=");
    lines
        .find_map(|line| Some(line.unwrap().split_once(&start)?.1.to_owned()))
        .unwrap_or_else(|| panic!("the child says nothing of {key}"))
}

/// A running fleet of these deployments.
pub(crate) fn fleet(deployments: impl IntoIterator<Item = SimDeployment>) -> SimFleet {
    SimFleet::start(SimConfig::new(deployments)).unwrap()
}

/// The configuration of a client of this fleet.
pub(crate) fn config(fleet: &SimFleet) -> BlasterConfig {
    BlasterConfig::from_json(&fleet.blaster_config_json())
        .unwrap()
        .num_workers(16)
}

/// A client of this fleet with sixteen workers.
pub(crate) fn blaster(fleet: &SimFleet) -> Blaster {
    Blaster::builder().config(config(fleet)).seed(1).build().unwrap()
}

/// A client of this fleet with so many workers.
pub(crate) fn pool(fleet: &SimFleet, workers: usize) -> Blaster {
    let config = config(fleet).num_workers(workers);
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// Waits until so many requests have come to the simulator since its start.
pub(crate) fn arrived(fleet: &SimFleet, requests: u64) {
    assert!(fleet.wait_for(PATIENCE, |view| view.totals().requests >= requests));
}

/// A request that the simulator answers with a text that begins with `id:<id>`.
pub(crate) fn ask(id: impl std::fmt::Display) -> ChatRequest {
    ChatRequest::new([ChatMessage::user(format!("id:{id} Say something."))])
}

/// The text that begins the answer to [`ask`].
pub(crate) fn echo(id: impl std::fmt::Display) -> String {
    format!("id:{id}")
}
