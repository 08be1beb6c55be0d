//! What the balancer remembers of a job between its attempts.

use super::EndpointId;
use super::grade::Record;

/// Refusals as too large that are remembered of one endpoint.
const MOST_TOO_LARGE: usize = 2;

/// A job's history as far as decisions need it; empty until an attempt fails.
#[derive(Debug)]
pub struct JobState {
    id: u64,
    history: Option<Box<History>>,
}

#[derive(Debug, Default)]
struct History {
    /// Failed attempts that count against `max_job_retry`.
    failures: u32,
    /// Times that this machine lacked a connection for it.
    lacks: u32,
    /// Whether it has asked in vain whether an endpoint is back.
    has_probed: bool,
    /// Where it failed.
    failed_at: Vec<EndpointId>,
    /// Attempts answered by a 500 or a senseless reply, with the epoch of the endpoint then: whose fault it was
    /// shows when the job succeeds elsewhere.
    unclear: Vec<Suspect>,
    /// Where it was refused although nothing else was charged, each time with the quota that it is larger than.
    too_large: Vec<(EndpointId, u64)>,
}

/// An endpoint that answered a job in a way that may be the endpoint's fault or the job's.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) endpoint: EndpointId,
    pub(super) epoch: u32,
    pub(super) reason: String,
}

impl JobState {
    /// A job that has not been tried. `id` tells it from others.
    pub fn new(id: u64) -> Self {
        JobState { id, history: None }
    }

    /// What was given to [`JobState::new`].
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Failed attempts so far, waits for quota and failed probes not counted.
    pub fn failures(&self) -> u32 {
        self.history.as_ref().map_or(0, |history| history.failures)
    }

    /// Whether nothing has gone wrong with it.
    pub(super) fn is_untried(&self) -> bool {
        self.history.is_none()
    }

    pub(super) fn has_failed_at(&self, endpoint: EndpointId) -> bool {
        self.history
            .as_ref()
            .is_some_and(|history| history.failed_at.contains(&endpoint))
    }

    /// Whether `endpoint` answered it with a 500, or senselessly.
    pub(super) fn suspects_endpoint(&self, endpoint: EndpointId) -> bool {
        self.suspects().iter().any(|suspect| suspect.endpoint == endpoint)
    }

    /// How it has fared at `endpoint`.
    #[inline]
    pub(super) fn record_at(&self, endpoint: EndpointId) -> Record {
        match &self.history {
            None => Record::Clean,
            Some(_) if self.suspects_endpoint(endpoint) => Record::Suspect,
            Some(_) if self.has_failed_at(endpoint) => Record::Failed,
            Some(_) => Record::Clean,
        }
    }

    /// How many endpoints answered it with a 500, or senselessly.
    pub(super) fn suspected_endpoints(&self) -> usize {
        let suspects = self.suspects();
        let first = |index: usize| {
            suspects[..index]
                .iter()
                .all(|other| other.endpoint != suspects[index].endpoint)
        };
        (0..suspects.len()).filter(|&index| first(index)).count()
    }

    /// This machine had no connection for it. Returns how many times that is by now.
    pub(super) fn note_lack(&mut self) -> u32 {
        let history = self.history.get_or_insert_default();
        history.lacks = history.lacks.saturating_add(1);
        history.lacks
    }

    pub(super) fn note_failure(&mut self, endpoint: EndpointId, counts: bool) {
        let history = self.history.get_or_insert_default();
        history.failures += u32::from(counts);
        if !history.failed_at.contains(&endpoint) {
            history.failed_at.push(endpoint);
        }
    }

    /// It has asked in vain whether an endpoint is back.
    pub(super) fn note_probe(&mut self) {
        self.history.get_or_insert_default().has_probed = true;
    }

    /// Whether it has done its part.
    pub(super) fn has_probed(&self) -> bool {
        self.history.as_ref().is_some_and(|history| history.has_probed)
    }

    /// `endpoint` has refused it alone, and it is larger than the `quota` there.
    pub(super) fn note_too_large(&mut self, endpoint: EndpointId, quota: u64) {
        // It may come a few times from one while another has not been asked; more than that tells nothing.
        if self.times_too_large(endpoint) < MOST_TOO_LARGE {
            self.history.get_or_insert_default().too_large.push((endpoint, quota));
        }
    }

    pub(super) fn times_too_large(&self, endpoint: EndpointId) -> usize {
        self.too_large().iter().filter(|(other, _)| *other == endpoint).count()
    }

    /// The largest quota that it is larger than.
    pub(super) fn largest_quota(&self) -> u64 {
        self.too_large()
            .iter()
            .map(|(_, quota)| *quota)
            .max()
            .unwrap_or_default()
    }

    fn too_large(&self) -> &[(EndpointId, u64)] {
        self.history.as_ref().map_or(&[], |history| &history.too_large)
    }

    pub(super) fn suspect(&mut self, suspect: Suspect) {
        self.history.get_or_insert_default().unclear.push(suspect);
    }

    pub(super) fn suspects(&self) -> &[Suspect] {
        self.history.as_ref().map_or(&[], |history| &history.unclear)
    }

    pub(super) fn take_suspects(&mut self) -> Vec<Suspect> {
        self.history
            .as_mut()
            .map(|history| std::mem::take(&mut history.unclear))
            .unwrap_or_default()
    }
}
