//! What the tests against the simulator share.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use azure_openai_blaster::api::{ChatCompletion, ChatMessage, ChatRequest, Condition, Ledger};
use azure_openai_blaster::config::BlasterConfig;
use azure_openai_blaster::error::Result;
use azure_openai_blaster::sim::{FleetSettings, JournalEntry, OutputLength, SimConfig, SimDeployment, SimFleet};
use azure_openai_blaster::{Blaster, EndpointState, Event, JobHandle};

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
pub(crate) fn await_requests(fleet: &SimFleet, requests: u64) {
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

/// A running fleet of these deployments whose journal keeps the requests' bodies.
pub(crate) fn fleet_with_bodies(deployments: impl IntoIterator<Item = SimDeployment>) -> SimFleet {
    let settings = FleetSettings::new().keep_body(1 << 20);
    SimFleet::start_with(SimConfig::new(deployments), &settings).unwrap()
}

/// The requests that arrived at a deployment, oldest first.
pub(crate) fn arrived(fleet: &SimFleet, deployment: &str) -> Vec<JournalEntry> {
    let mut entries = fleet.journal();
    entries.retain(|entry| entry.deployment.as_deref() == Some(deployment));
    entries
}

/// How many requests left the machine for a job, however it ended.
pub(crate) fn attempts(result: &Result<ChatCompletion>) -> usize {
    match result {
        Ok(completion) => completion.ledger().len(),
        Err(error) => error.ledger().map_or(0, Ledger::len),
    }
}

/// Waits for all jobs; they are looked at in the order of their submission.
pub(crate) fn wait_all(handles: impl IntoIterator<Item = JobHandle<ChatCompletion>>) -> Vec<Result<ChatCompletion>> {
    handles.into_iter().map(wait).collect()
}

/// Waits for a job, though not for ever.
pub(crate) fn wait<T>(mut handle: JobHandle<T>) -> Result<T> {
    let result = handle.wait_timeout(PATIENCE);
    result.unwrap_or_else(|| panic!("job {} has not ended after {PATIENCE:?}", handle.id()))
}

/// The state of an endpoint.
pub(crate) fn state(blaster: &Blaster, name: &str) -> EndpointState {
    let mut states = blaster.states();
    states.retain(|state| state.name() == name);
    states.pop().unwrap()
}

/// What a blaster told its listener, as it comes.
pub(crate) struct Told(Receiver<Event>);

/// Builds a blaster that is listened to.
pub(crate) fn listened(config: BlasterConfig) -> (Blaster, Told) {
    let (tell, told) = mpsc::channel();
    let hook = move |event: &Event| drop(tell.send(event.clone()));
    let blaster = Blaster::builder()
        .config(config)
        .seed(1)
        .on_event(hook)
        .build()
        .unwrap();
    (blaster, Told(told))
}

impl Told {
    /// Waits until something is told for which `find` finds something.
    pub(crate) fn until<T>(&self, mut find: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.0.recv_timeout(left).expect("told before patience ends");
            if let Some(found) = find(&event) {
                return found;
            }
        }
    }

    /// What `find` finds in what has been told and not been looked at.
    pub(crate) fn so_far<T>(&self, find: impl FnMut(Event) -> Option<T>) -> Vec<T> {
        self.0.try_iter().filter_map(find).collect()
    }

    /// Waits until an endpoint comes into this condition, and returns the reason.
    pub(crate) fn until_condition(&self, name: &str, wanted: Condition) -> Option<String> {
        self.until(|event| match event {
            Event::EndpointChanged {
                endpoint,
                condition,
                reason,
                ..
            } if endpoint.as_ref() == name && *condition == wanted => Some(reason.clone()),
            _ => None,
        })
    }

    /// The conditions that endpoints came into, of what has been told and not been looked at.
    pub(crate) fn conditions(&self) -> Vec<(Arc<str>, Condition)> {
        self.so_far(|event| match event {
            Event::EndpointChanged {
                endpoint, condition, ..
            } => Some((endpoint, condition)),
            _ => None,
        })
    }
}
