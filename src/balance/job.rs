//! What the balancer remembers of a job between its attempts.

use super::EndpointId;
use super::grade::Record;

/// Refusals as too large that are remembered of one endpoint.
const MOST_TOO_LARGE: usize = 2;
/// Failures of a kind that are remembered: with that many of them the oldest say nothing new.
const MOST_KEPT: usize = 32;

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
    /// Times that it rested for a moment.
    rests: u32,
    /// Where it failed.
    failed_at: Vec<EndpointId>,
    /// Attempts of which the endpoint may be to blame or the job: that shows when the job, or another one, succeeds.
    suspects: Vec<Suspect>,
    /// Where it has asked in vain whether an endpoint is back, and the numbers of these requests.
    probes: Vec<(EndpointId, u64)>,
    /// It was refused in words that are not the service's own.
    was_refused: bool,
    /// Some of these have been counted as attempts.
    has_probed: bool,
    /// Where it was refused although nothing else was charged, each time with the quota that it is larger than.
    too_large: Vec<(EndpointId, u64)>,
}

/// An endpoint at which a job failed in a way that may be the endpoint's fault or the job's.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) endpoint: EndpointId,
    /// The endpoint's epoch when the request was given.
    pub(super) epoch: u32,
    /// The request's number.
    pub(super) number: u64,
    /// What speaks against the job.
    pub(super) charge: Charge,
    pub(super) reason: String,
}

/// What a failure of which the job may be to blame has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// It counts against the endpoint already; the job is tried on as for any failure.
    Failed,
    /// It counts against the endpoint already, and the job ends when it is met everywhere.
    Denied,
    /// It counts against nobody yet, and the job ends when it is met everywhere: a 500, or a senseless reply.
    Unclear,
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

    /// How much it has met: of two jobs the one with less has failed less often.
    pub fn troubles(&self) -> usize {
        let troubles = |it: &History| it.failures as usize + it.suspects.len() + it.probes.len();
        self.history.as_deref().map_or(0, troubles)
    }

    /// Whether `endpoint` answered it with a 500, or senselessly.
    pub(super) fn suspects_endpoint(&self, endpoint: EndpointId) -> bool {
        self.unclear().any(|suspect| suspect.endpoint == endpoint)
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
        let suspects: Vec<_> = self.unclear().collect();
        let first = |index: usize| {
            suspects[..index]
                .iter()
                .all(|other| other.endpoint != suspects[index].endpoint)
        };
        (0..suspects.len()).filter(|&index| first(index)).count()
    }

    /// It rests for a moment. Returns how many times that is by now.
    pub(super) fn note_rest(&mut self) -> u32 {
        let history = self.history.get_or_insert_default();
        history.rests = history.rests.saturating_add(1);
        history.rests
    }

    pub(super) fn note_failure(&mut self, endpoint: EndpointId, counts: bool) {
        let history = self.history.get_or_insert_default();
        history.failures += u32::from(counts);
        if !history.failed_at.contains(&endpoint) {
            history.failed_at.push(endpoint);
        }
    }

    /// It is refused in words that are not the service's own. True where that is the first time.
    pub(super) fn note_refusal(&mut self) -> bool {
        !std::mem::replace(&mut self.history.get_or_insert_default().was_refused, true)
    }

    /// It has asked in vain whether an endpoint is back, by the request with this number.
    pub(super) fn note_probe(&mut self, endpoint: EndpointId, number: u64) {
        let probes = &mut self.history.get_or_insert_default().probes;
        if probes.len() == MOST_KEPT {
            probes.remove(0);
        }
        probes.push((endpoint, number));
    }

    /// Counts those of its failed probes as attempts of which it is known by now that the job may be to blame.
    pub(super) fn count_probes(&mut self, is_known: impl Fn(EndpointId, u64) -> bool) {
        if let Some(history) = &mut self.history {
            let all = history.probes.len();
            history.probes.retain(|&(endpoint, number)| !is_known(endpoint, number));
            history.failures += (all - history.probes.len()) as u32;
            history.has_probed |= history.probes.len() < all;
        }
    }

    /// Whether it has done its part in asking whether endpoints are back.
    pub(super) fn has_probed(&self) -> bool {
        let has_probed = |history: &History| history.has_probed || !history.probes.is_empty();
        self.history.as_deref().is_some_and(has_probed)
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
        let suspects = &mut self.history.get_or_insert_default().suspects;
        if suspects.len() == MOST_KEPT {
            suspects.remove(0);
        }
        suspects.push(suspect);
    }

    /// All of its failures of which it may be to blame.
    pub(super) fn suspects(&self) -> &[Suspect] {
        self.history.as_ref().map_or(&[], |history| &history.suspects)
    }

    /// Those with which it ends when it meets them everywhere.
    pub(super) fn unclear(&self) -> impl Iterator<Item = &Suspect> {
        let suspects = self.suspects().iter();
        suspects.filter(|suspect| suspect.charge != Charge::Failed)
    }

    pub(super) fn take_suspects(&mut self) -> Vec<Suspect> {
        self.history
            .as_mut()
            .map(|history| std::mem::take(&mut history.suspects))
            .unwrap_or_default()
    }
}
