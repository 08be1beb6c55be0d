//! What the blaster noticed, and when: its event hook, with a time at each event.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use azure_openai_blaster::Event;
use azure_openai_blaster::api::Condition;

use super::stopwatch::Stopwatch;

/// Something that the blaster noticed about an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// Since the start.
    pub(super) at: Duration,
    /// The endpoint's name.
    pub(super) endpoint: Arc<str>,
    pub(super) what: What,
}

/// What was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It has become this, for this reason.
    Became(Condition, Option<String>),
    /// It has answered a request well.
    Answered,
}

/// A hook for the builder, and where to find what it saw. The hook runs on the workers' threads, so it only passes on.
pub(super) fn watch(stopwatch: Stopwatch) -> (impl Fn(&Event) + Send + Sync, Receiver<Sighting>) {
    let (sender, sightings) = mpsc::channel();
    let hook = move |event: &Event| {
        let (endpoint, what) = match event {
            Event::EndpointChanged {
                endpoint,
                condition,
                reason,
                ..
            } => (endpoint, What::Became(*condition, reason.clone())),
            Event::AttemptEnded { attempt, .. } if attempt.problem.is_none() => (&attempt.endpoint, What::Answered),
            _ => return,
        };
        // Late events of a run that is over find nobody.
        let _ = sender.send(Sighting {
            at: stopwatch.read(),
            endpoint: Arc::clone(endpoint),
            what,
        });
    };
    (hook, sightings)
}
