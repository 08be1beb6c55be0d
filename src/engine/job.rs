//! A job: what waits in the queue, and the part of it that its handle shares.

use std::sync::Arc;

use crate::api::{ChatCompletion, Embeddings, Headers, Ledger, Priority, RawReply, RequestBody, Secret};
use crate::balance::affinity::AffinityKey;
use crate::balance::{EndpointId, JobSize, JobState};
use crate::error::{Error, Trail, Upstream};
use crate::transport::{Gate, Method};

use super::event::contain;
use super::lanes::LaneId;
use super::moment::Moment;
use super::sink::Sink;
use super::slot::Slot;

/// The part of a job that its handle shares. A million of them wait, so both parts are kept small.
#[derive(Debug)]
pub(crate) struct JobCell {
    /// Position in the order of submission.
    pub(crate) id: u64,
    /// Where it waits while it waits.
    pub(crate) lane: LaneId,
    pub(crate) priority: Priority,
    /// Where its result comes.
    pub(crate) slot: Slot<Result<Reply, Error>>,
    /// Cancels what is under way.
    pub(crate) gate: Gate,
}

impl JobCell {
    fn new(priority: Priority) -> Self {
        JobCell {
            id: 0,
            lane: LaneId::default(),
            priority,
            slot: Slot::new(),
            gate: Gate::default(),
        }
    }
}

/// What a job is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    Chat(Box<ChatCompletion>),
    Embeddings(Box<Embeddings>),
    Raw(Box<RawReply>),
}

impl Reply {
    pub(crate) fn set_ledger(&mut self, ledger: Ledger) {
        match self {
            Reply::Chat(completion) => completion.set_ledger(ledger),
            Reply::Embeddings(embeddings) => embeddings.set_ledger(ledger),
            Reply::Raw(reply) => reply.set_ledger(ledger),
        }
    }
}

impl Reply {
    /// The attempts that it took.
    pub(crate) fn ledger(&self) -> &Ledger {
        match self {
            Reply::Chat(completion) => completion.ledger(),
            Reply::Embeddings(embeddings) => embeddings.ledger(),
            Reply::Raw(reply) => reply.ledger(),
        }
    }
}

/// A job as it waits, is sent, and waits again.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) cell: Arc<JobCell>,
    pub(crate) request: Request,
    pub(crate) submitted: Moment,
    /// When the job's own timeout runs out.
    pub(crate) deadline: Option<Moment>,
    /// What happened so far; none until something has.
    past: Option<Box<Past>>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) body: RequestBody,
    pub(crate) method: Method,
    pub(crate) reply: ReplyKind,
    pub(crate) size: JobSize,
    /// None where nothing in it is set, which is the rule.
    extras: Option<Box<Extras>>,
}

/// What few requests have.
#[derive(Debug, Default)]
struct Extras {
    headers: Option<Box<Headers>>,
    /// Who is handed the pieces of a stream.
    sink: Option<Sink>,
    /// By what it is kept at one place.
    affinity: Option<AffinityKey>,
}

impl Request {
    pub(crate) fn new(
        body: RequestBody,
        method: Method,
        reply: ReplyKind,
        size: JobSize,
        headers: Option<Box<Headers>>,
        sink: Option<Sink>,
    ) -> Self {
        let has_extras = headers.is_some() || sink.is_some();
        let affinity = None;
        Request {
            body,
            method,
            reply,
            size,
            extras: has_extras.then(|| {
                Box::new(Extras {
                    headers,
                    sink,
                    affinity,
                })
            }),
        }
    }

    /// The same, kept where others with this key have been.
    pub(crate) fn near(mut self, key: Option<AffinityKey>) -> Self {
        if key.is_some() {
            self.extras.get_or_insert_default().affinity = key;
        }
        self
    }

    /// By what it is kept at one place, if by anything.
    pub(crate) fn affinity(&self) -> Option<AffinityKey> {
        self.extras.as_ref()?.affinity
    }

    /// Headers that the caller adds.
    pub(crate) fn headers(&self) -> Option<&Headers> {
        self.extras.as_ref()?.headers.as_deref()
    }

    /// Whether the answer is handed out piece by piece.
    pub(crate) fn has_sink(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.sink.is_some())
    }

    /// Lets go of whoever is handed the pieces of a stream. What a callback has captured is the caller's, and may
    /// panic when it is dropped.
    pub(crate) fn drop_sink(&mut self) {
        if let Some(sink) = self.extras.as_mut().and_then(|extras| extras.sink.take()) {
            contain("what a stream's callback has captured", || drop(sink));
        }
    }

    /// Who is handed the pieces of a stream.
    pub(crate) fn sink(&mut self) -> Option<&mut Sink> {
        self.extras.as_mut()?.sink.as_mut()
    }
}

/// How a reply is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    /// As a chat completion, assembled where it is streamed.
    Chat,
    /// As vectors.
    Embeddings,
    /// As bytes.
    Raw,
}

#[derive(Debug)]
struct Past {
    state: JobState,
    ledger: Ledger,
    upstream: Option<Upstream>,
    reason: String,
    /// When the last attempt ended.
    ended: Moment,
    /// Part of the answer has been handed out, so that it cannot be tried again.
    handed_out: bool,
    /// A connection that was made for it, or had begun to answer, was cut.
    was_cut: bool,
    /// What its calls carried, each once.
    carried: Vec<Carried>,
}

/// Whose secrets a call carried, and the token that it was signed with, if it was.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) endpoint: EndpointId,
    pub(crate) token: Option<Arc<Secret>>,
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        let token = |carried: &Self| carried.token.as_ref().map(Arc::as_ptr);
        self.endpoint == other.endpoint && token(self) == token(other)
    }
}

impl Job {
    /// A job that has not been taken yet: its number, place and times are given to it by [`Job::enter`]. Made apart,
    /// so that memory is not set aside under the lock.
    pub(crate) fn new(request: Request, priority: Priority) -> Box<Self> {
        Box::new(Job {
            cell: Arc::new(JobCell::new(priority)),
            request,
            submitted: Moment::START,
            deadline: None,
            past: None,
        })
    }

    /// The job has been taken.
    pub(crate) fn enter(&mut self, id: u64, lane: LaneId, submitted: Moment, deadline: Option<Moment>) {
        let cell = Arc::get_mut(&mut self.cell).expect("the handle is made after the job has been taken");
        cell.id = id;
        cell.lane = lane;
        self.submitted = submitted;
        self.deadline = deadline;
    }

    pub(crate) fn id(&self) -> u64 {
        self.cell.id
    }

    fn past(&mut self) -> &mut Past {
        let (id, submitted) = (self.cell.id, self.submitted);
        self.past.get_or_insert_with(|| {
            Box::new(Past {
                state: JobState::new(id),
                ledger: Ledger::default(),
                upstream: None,
                reason: String::new(),
                ended: submitted,
                handed_out: false,
                was_cut: false,
                carried: Vec::new(),
            })
        })
    }

    /// What the balancer remembers of the job.
    pub(crate) fn state(&mut self) -> &mut JobState {
        &mut self.past().state
    }

    /// What the balancer remembers of the job, where there is anything.
    pub(crate) fn known_state(&self) -> Option<&JobState> {
        self.past.as_ref().map(|past| &past.state)
    }

    /// Since when the job has been waiting.
    pub(crate) fn waiting_since(&self) -> Moment {
        self.past.as_ref().map_or(self.submitted, |past| past.ended)
    }

    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.past().ledger
    }

    /// Whether a request of its was cut off by more than a pooled connection that had been closed before.
    pub(crate) fn was_cut(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.was_cut)
    }

    pub(crate) fn note_cut(&mut self) {
        self.past().was_cut = true;
    }

    /// What its calls have carried so far.
    pub(crate) fn carried(&self) -> &[Carried] {
        self.past.as_ref().map_or(&[], |past| &past.carried)
    }

    /// A call has left that carried this.
    pub(crate) fn note_carried(&mut self, carried: Carried) {
        let past = self.past();
        if !past.carried.contains(&carried) {
            // Nearly always it stays the only one.
            past.carried.reserve_exact(1);
            past.carried.push(carried);
        }
    }

    /// An attempt has ended without an answer.
    pub(crate) fn note_problem(&mut self, reason: String, upstream: Option<Upstream>) {
        self.past().reason = reason;
        self.note_upstream(upstream);
    }

    /// What the service has said last, where it has said anything.
    pub(crate) fn note_upstream(&mut self, upstream: Option<Upstream>) {
        if upstream.is_some() {
            self.past().upstream = upstream;
        }
    }

    pub(crate) fn note_end(&mut self, now: Moment) {
        self.past().ended = now;
    }

    pub(crate) fn note_handed_out(&mut self) {
        self.past().handed_out = true;
    }

    pub(crate) fn handed_out(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.handed_out)
    }

    /// Takes what was tried, for the job's error. `reason` replaces the last problem where there was none.
    pub(crate) fn take_trail(&mut self, reason: &str) -> Box<Trail> {
        let mut trail = Box::<Trail>::default();
        if let Some(past) = self.past.take() {
            trail.failures = past.state.failures();
            trail.ledger = past.ledger;
            trail.upstream = past.upstream;
            trail.reason = past.reason;
        }
        if trail.reason.is_empty() {
            reason.clone_into(&mut trail.reason);
        }
        trail
    }

    /// Takes the ledger, for the job's answer.
    pub(crate) fn take_ledger(&mut self) -> Ledger {
        self.past.take().map(|past| past.ledger).unwrap_or_default()
    }
}

impl Drop for Job {
    /// Whoever waits for a job learns that it is over, even where a panic in the engine has lost it.
    fn drop(&mut self) {
        self.request.drop_sink();
        // Without another owner nobody waits: it was answered and taken, or never accepted.
        if Arc::strong_count(&self.cell) > 1 && !self.cell.slot.is_filled() {
            let what = "the job was lost in a panic of the engine".to_owned();
            let trail = self.take_trail("");
            self.cell.slot.fill(Err(Error::Panicked { what, trail }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_job_is_small() {
        // With what the allocator adds they take 80 and, counters of the `Arc` included, 112 bytes at most.
        assert!(size_of::<Job>() <= 72, "{} bytes", size_of::<Job>());
        assert!(size_of::<JobCell>() <= 72, "{} bytes", size_of::<JobCell>());
    }
}
