//! The states of one endpoint.
//!
//! ```text
//! | state    | event                                     | next                                            |
//! |----------|-------------------------------------------|-------------------------------------------------|
//! | Ready    | 429, wait named or backed off             | Cooling until then, never shortened             |
//! | Ready    | failure                                   | Cooling for 1, 2, 4 … 30 s, jittered            |
//! | Cooling  | its time has come                         | Ready; after a failure: Trial                   |
//! | Trial    | the one request's head has come           | Ready                                           |
//! | Trial    | failure / 429                             | Cooling, longer / until then                    |
//! | any      | failures in a row ≥ threshold             | Out (ejected), probed every 5 s                 |
//! | any      | 401, 403, 404, named wait > cooldown_max  | Out (disabled), probed every 60 s               |
//! | any      | `disable(reason)`                         | Out (disabled), not probed                      |
//! | (start)  | unavailable as it is configured           | Out (disabled), for good                        |
//! | Out      | its probe is due, or `enable()`           | Probing, with the next request                  |
//! | Out      | 429 of an older request, `cool_down`      | Out, probed not before then                     |
//! | Probing  | head of a good reply, or a refused request | Ready                                          |
//! | Probing  | 429                                       | Cooling until then, Trial after it              |
//! | Probing  | failure                                   | Out, until the next probe                       |
//! ```
//!
//! Failures of requests that were under way together count once: a lease remembers the *epoch* in which it was
//! given, each counted failure begins a new one, and what comes from an older epoch neither counts as a failure,
//! nor ends a row of failures, nor disables the endpoint: it tells about a time before the last thing known.
//!
//! A denial (401, 403, …) that is not in the service's own words is the endpoint's where it has not served since it was
//! last out, or where two jobs in a row meet it (see `denies`); else it is a suspicion, as a 500 is.
//!
//! A request that ends because its job's time is over is a failure where the endpoint was silent for longer than it
//! needs (see `let_down`), and otherwise tells nothing.
//!
//! Of the requests that go first (trials and probes) at most one is out at a time, whatever state the endpoint goes
//! through meanwhile: it is the endpoint's *scout*, from its lease to its head, or to its end where no good head comes.
//!
//! A rest once begun is kept in whatever comes after it: an endpoint that is ejected or disabled while it rests is
//! probed when the rest is over, at the earliest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use super::backoff;
use super::histogram::Histogram;
use super::lease::{Lease, Role};
use crate::api::clip::clip;
use crate::api::{Condition, Operation, Told, Totals};

/// Time between probes of an ejected endpoint.
pub const EJECTED_PROBE: Duration = Duration::from_secs(5);
/// Time between probes of a disabled endpoint, and before an operation it lacked is tried again.
pub const DISABLED_PROBE: Duration = Duration::from_secs(60);
/// A probe's first byte must come within this, or within what 99 of 100 answers have needed, if that is longer.
pub const PROBE_FIRST_BYTE: Duration = Duration::from_secs(5);
/// Error samples kept.
const SAMPLES: usize = 8;
/// Longest error sample, in bytes.
const SAMPLE_LENGTH: usize = 300;
/// From this refusal of a row on, the service's own wait has not been enough, and the back-off is added to it.
const ESCALATE_FROM: u32 = 3;
/// Most operations remembered as lacking; users may invent them without end, and one that is forgotten is merely
/// asked for again.
const MOST_LACKS: usize = 64;
/// A probe holds its job no longer than this, unless answers are known to take longer.
const PROBE_FIRST_BYTE_MAX: Duration = Duration::from_secs(30);

/// Health and counters of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    state: State,
    /// It cannot be used as it is configured: nothing brings it back.
    unavailable: bool,
    pub(super) in_flight: u32,
    /// Raised by each counted failure, and when the endpoint is switched off or on.
    epoch: u32,
    /// The number of the lease that went first, while its head has not come.
    scout: Option<u64>,
    /// Failures in a row.
    streak: u32,
    first_of_streak: Option<String>,
    /// Refusals (429) in a row, those under way together counted once.
    refusals: u32,
    last_refusal: Option<Instant>,
    /// Requests in a row whose job's time was over before anything came.
    silences: u32,
    /// Whether a whole good reply has come since it was last out.
    proven: bool,
    /// The job that was denied latest, where no success came since.
    denied: Option<u64>,
    /// The job of the latest 500, where no success came since.
    unclear: Option<u64>,
    /// Operations this deployment lacks, until when, and how it said so.
    lacks: Vec<Lack>,
    pub(super) told: Told,
    pub(super) totals: Totals,
    pub(super) latency: Histogram,
    pub(super) first_byte: Histogram,
    errors: VecDeque<String>,
}

/// See the module's table.
#[derive(Debug)]
enum State {
    Ready,
    Cooling {
        until: Instant,
        after_failure: bool,
        reason: String,
    },
    Trial,
    Out(Out),
    Probing(Out),
}

/// Why an endpoint is out, and when it is tried again.
#[derive(Clone, Debug)]
struct Out {
    disabled: bool,
    /// None: only `enable()` brings it back.
    probe_at: Option<Instant>,
    /// Probes in a row that have failed.
    failed_probes: u32,
    reason: String,
}

#[derive(Debug)]
struct Lack {
    operation: Operation,
    retry_at: Instant,
    reason: String,
}

/// Whether an endpoint can take a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It can, in this role.
    Now(Role),
    /// Not before that.
    At(Instant),
    /// Not before something under way ends.
    OnSettle,
    /// It is disabled, or lacks the operation. Work does not wait for it; what waits for another endpoint tries
    /// this one at that instant, if there is one.
    Refuses(Option<Instant>),
}

/// What changed, for the log and the listeners; the caller tells them.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// What it is now.
    pub condition: Condition,
    /// Why.
    pub reason: Option<String>,
    /// Until when, where that is known.
    pub until: Option<Instant>,
}

/// What limits an endpoint's patience.
#[derive(Clone, Copy, Debug)]
pub struct HealthSettings {
    /// Failures in a row that take an endpoint out.
    pub threshold: u32,
    /// A longer wait named by the service disables the endpoint.
    pub cooldown_max: Duration,
}

impl Endpoint {
    pub(super) fn new(unavailable: Option<String>) -> Self {
        let is_unavailable = unavailable.is_some();
        let state = match unavailable {
            Some(reason) => State::Out(Out {
                disabled: true,
                probe_at: None,
                failed_probes: 0,
                reason,
            }),
            None => State::Ready,
        };
        Endpoint {
            state,
            unavailable: is_unavailable,
            in_flight: 0,
            epoch: 0,
            scout: None,
            streak: 0,
            first_of_streak: None,
            refusals: 0,
            last_refusal: None,
            silences: 0,
            proven: false,
            denied: None,
            unclear: None,
            lacks: Vec::new(),
            told: Told::default(),
            totals: Totals::default(),
            latency: Histogram::default(),
            first_byte: Histogram::default(),
            errors: VecDeque::new(),
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn streak(&self) -> u32 {
        self.streak
    }

    /// Whether it is ejected or disabled (being probed counts).
    pub(super) fn is_out(&self) -> bool {
        matches!(self.state, State::Out(_) | State::Probing(_))
    }

    /// Whether there is a request that it would turn away: it is out, or lacks an operation.
    pub(super) fn is_choosy(&self) -> bool {
        self.is_out() || !self.lacks.is_empty()
    }

    /// Whether it serves `operation`, now or after a rest.
    pub(super) fn serves(&self, operation: &Operation, now: Instant) -> bool {
        !self.is_out() && self.lack(operation).is_none_or(|lack| lack.retry_at <= now)
    }

    pub(super) fn condition(&self) -> Condition {
        match &self.state {
            State::Ready | State::Trial => Condition::Ready,
            State::Cooling { .. } => Condition::CoolingDown,
            State::Out(out) if out.disabled => Condition::Disabled,
            State::Out(_) => Condition::Ejected,
            State::Probing(_) => Condition::Probing,
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match &self.state {
            State::Ready | State::Trial => None,
            State::Cooling { reason, .. } => Some(reason),
            State::Out(out) | State::Probing(out) => Some(&out.reason),
        }
    }

    /// When it is given work, or tried, again.
    pub(super) fn until(&self) -> Option<Instant> {
        match &self.state {
            State::Cooling { until, .. } => Some(*until),
            State::Out(out) => out.probe_at,
            _ => None,
        }
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = &String> {
        self.errors.iter()
    }

    /// Lets time pass: a cooldown that is over ends. True where the condition changed.
    #[inline]
    pub(super) fn refresh(&mut self, now: Instant) -> bool {
        match self.state {
            State::Cooling {
                until, after_failure, ..
            } if until <= now => {
                self.state = if after_failure { State::Trial } else { State::Ready };
                true
            }
            _ => false,
        }
    }

    /// Whether any request can go now, as a regular one: [`Endpoint::readiness`] for the endpoint that has nothing.
    #[inline]
    pub(super) fn is_at_ease(&self, max_in_flight: u32) -> bool {
        matches!(self.state, State::Ready) && self.in_flight < max_in_flight && self.lacks.is_empty()
    }

    /// Whether a request for `operation` can go now. Call [`Endpoint::refresh`] first.
    #[inline]
    pub(super) fn readiness(&self, operation: &Operation, max_in_flight: u32, now: Instant) -> Readiness {
        let readiness = self.state_readiness(max_in_flight, now);
        match self.lack(operation).map(|lack| lack.retry_at) {
            Some(retry_at) if now < retry_at => Readiness::Refuses(match readiness {
                Readiness::Now(_) | Readiness::OnSettle => Some(retry_at),
                Readiness::At(at) => Some(retry_at.max(at)),
                Readiness::Refuses(at) => at.map(|at| retry_at.max(at)),
            }),
            _ => readiness,
        }
    }

    #[inline]
    fn state_readiness(&self, max_in_flight: u32, now: Instant) -> Readiness {
        let room = self.in_flight < max_in_flight;
        match &self.state {
            State::Ready if room => Readiness::Now(Role::Regular),
            State::Trial if room && self.scout.is_none() => Readiness::Now(Role::Trial),
            State::Ready | State::Trial => Readiness::OnSettle,
            State::Cooling { until, .. } => Readiness::At(*until),
            State::Out(Out {
                probe_at: Some(at),
                disabled,
                ..
            }) => match (*at <= now, disabled) {
                (true, _) if room && self.scout.is_none() => Readiness::Now(Role::Probe),
                (true, false) => Readiness::OnSettle,
                (true, true) => Readiness::Refuses(None),
                (false, false) => Readiness::At(*at),
                (false, true) => Readiness::Refuses(Some(*at)),
            },
            State::Out(_) => Readiness::Refuses(None),
            State::Probing(out) if out.disabled => Readiness::Refuses(None),
            State::Probing(_) => Readiness::OnSettle,
        }
    }

    /// What the next request is to the endpoint, where it is not a probe.
    pub(super) fn role(&self) -> Role {
        match self.state {
            State::Trial => Role::Trial,
            _ => Role::Regular,
        }
    }

    /// Why a request for `operation` cannot go here, where work does not wait for it.
    pub(super) fn refusal(&self, operation: &Operation) -> String {
        match (&self.state, self.lack(operation)) {
            (State::Out(out) | State::Probing(out), _) => out.reason.clone(),
            (_, Some(lack)) => lack.reason.clone(),
            _ => String::new(),
        }
    }

    fn lack(&self, operation: &Operation) -> Option<&Lack> {
        self.lacks.iter().find(|lack| lack.operation == *operation)
    }

    /// A request is about to be sent in `role`. Returns its number.
    pub(super) fn leave(&mut self, role: Role, operation: &Operation, now: Instant) -> u64 {
        self.in_flight += 1;
        self.totals.sent += 1;
        let number = self.totals.sent;
        if role != Role::Regular {
            self.scout = Some(number);
        }
        if let (Role::Probe, State::Out(out)) = (role, &self.state) {
            self.state = State::Probing(out.clone());
        }
        // The first request after the pause finds out; the others go on without this endpoint until it has.
        if let Some(lack) = self.lacks.iter_mut().find(|lack| lack.operation == *operation) {
            lack.retry_at = now + DISABLED_PROBE;
        }
        number
    }

    /// A request is over. True where it went first and the others wait for what it found out.
    pub(super) fn back(&mut self, lease: &Lease) -> bool {
        self.in_flight -= 1;
        self.take_scout(lease)
    }

    fn take_scout(&mut self, lease: &Lease) -> bool {
        self.scout.take_if(|number| *number == lease.number).is_some()
    }

    /// A good reply's head has come: one that went first lets the others follow. True where the condition changed.
    pub(super) fn opened(&mut self, lease: &Lease) -> bool {
        self.take_scout(lease) && self.open()
    }

    fn open(&mut self) -> bool {
        match &self.state {
            State::Trial => {
                self.state = State::Ready;
                false
            }
            State::Probing(_) => {
                self.state = State::Ready;
                self.clear();
                true
            }
            State::Ready | State::Cooling { .. } | State::Out(_) => false,
        }
    }

    /// A whole good reply. True where the condition changed.
    pub(super) fn succeeded(&mut self, lease: &Lease, scout: bool) -> bool {
        // What was sent before the last failure, or refusal, does not tell that it is over.
        if lease.epoch == self.epoch {
            self.streak = 0;
            self.first_of_streak = None;
            self.proven = true;
        }
        if self.last_refusal.is_some_and(|last| lease.at > last) {
            self.refusals = 0;
            self.last_refusal = None;
        }
        self.unclear = None;
        self.denied = None;
        self.heard();
        self.lacks.retain(|lack| lack.operation != lease.operation);
        scout && self.open()
    }

    /// The endpoint refused the request for what it holds, and is not to blame: that it is there is good news for
    /// a trial or a probe, and that it knows the operation for one that it lacked. True where the condition changed.
    pub(super) fn answered(&mut self, lease: &Lease, scout: bool) -> bool {
        self.lacks.retain(|lack| lack.operation != lease.operation);
        scout && self.open()
    }

    /// It has been found again that this deployment lacks the operation of `lease`. True where the condition changed.
    pub(super) fn lacks(&mut self, lease: &Lease, scout: bool, reason: &str, now: Instant) -> bool {
        self.lacks
            .retain(|lack| lack.operation != lease.operation && lack.retry_at > now);
        if self.lacks.len() == MOST_LACKS {
            self.lacks.remove(0);
        }
        self.lacks.push(Lack {
            operation: lease.operation.clone(),
            retry_at: now + DISABLED_PROBE,
            reason: reason.to_owned(),
        });
        scout && self.open()
    }

    fn clear(&mut self) {
        self.streak = 0;
        self.first_of_streak = None;
        self.refusals = 0;
        self.last_refusal = None;
        self.unclear = None;
    }

    /// Nothing was learnt: another request may take the place of one that went first. True where the condition
    /// changed.
    pub(super) fn abandoned(&mut self, lease: &Lease, scout: bool, now: Instant) -> bool {
        self.operation_unknown(lease, now);
        if let (true, State::Probing(out)) = (scout, &self.state) {
            self.state = State::Out(Out {
                probe_at: Some(now),
                ..out.clone()
            });
            return true;
        }
        false
    }

    /// The attempt has not shown whether the deployment still lacks its operation: where it was the one to find out,
    /// the next one does.
    pub(super) fn operation_unknown(&mut self, lease: &Lease, now: Instant) {
        let found_out =
            |lack: &&mut Lack| lack.operation == lease.operation && lack.retry_at == lease.at + DISABLED_PROBE;
        if let Some(lack) = self.lacks.iter_mut().find(found_out) {
            lack.retry_at = now;
        }
    }

    /// A reply has begun: the endpoint does not hang.
    pub(super) fn heard(&mut self) {
        self.silences = 0;
    }

    /// A request has ended with its job's time, after it had `waited`. True where that is the endpoint's fault and not
    /// the job's haste: it has been silent for longer than it needs, or to so many jobs in a row as take it out, or to
    /// one that went first, which another would follow in vain.
    pub(super) fn let_down(&mut self, scout: bool, silent: bool, waited: Duration, settings: &HealthSettings) -> bool {
        self.silences = self.silences.saturating_add(u32::from(silent));
        scout || silent && (waited >= self.patience() || self.silences >= settings.threshold)
    }

    /// A refusal for want of quota. True where the condition changed.
    pub(super) fn throttled(
        &mut self,
        sent_at: Instant,
        wait: Option<Duration>,
        reason: &str,
        settings: &HealthSettings,
        now: Instant,
    ) -> bool {
        // Requests under way together are refused together; only one that was sent after a refusal is a further one.
        if self.last_refusal.is_none_or(|last| sent_at > last) {
            self.refusals += 1;
        }
        self.last_refusal = Some(now);
        // The service's wait alone decides: our own back-off is short, and what it adds is no reason to give up.
        if let Some(named) = wait
            && named > settings.cooldown_max
        {
            let reason = format!("asked to wait {} s: {reason}", named.as_secs());
            return self.disable(reason, Some(self.after_rest(now + DISABLED_PROBE)));
        }
        let wait = match wait {
            Some(named) if self.refusals < ESCALATE_FROM => named,
            Some(named) => named + backoff::doubled(self.refusals - ESCALATE_FROM + 1),
            None => backoff::doubled(self.refusals),
        };
        self.rest(now + wait, false, reason.to_owned())
    }

    /// Rests until `until`, or longer where it rests longer already. True where the condition changed.
    pub(super) fn rest(&mut self, until: Instant, after_failure: bool, reason: String) -> bool {
        let next = match &self.state {
            State::Out(out) => {
                self.state = State::Out(Out {
                    probe_at: out.probe_at.map(|at| at.max(until)),
                    ..out.clone()
                });
                return false;
            }
            State::Cooling {
                until: longer,
                after_failure: failed,
                reason: first,
            } => State::Cooling {
                until: until.max(*longer),
                after_failure: after_failure || *failed,
                reason: if until > *longer { reason } else { first.clone() },
            },
            State::Ready => State::Cooling {
                until,
                after_failure,
                reason,
            },
            // What has not proved itself since its last failure goes on one by one.
            State::Trial | State::Probing(_) => State::Cooling {
                until,
                after_failure: true,
                reason,
            },
        };
        self.state = next;
        true
    }

    /// Rests until `until` because somebody asked for it. True where the condition changed.
    pub(super) fn cool_down(&mut self, until: Instant) -> bool {
        // A probe under way must not end the rest before its time.
        if let State::Probing(out) = &self.state {
            self.state = State::Out(Out {
                probe_at: Some(until),
                ..out.clone()
            });
            return true;
        }
        self.rest(until, false, "asked to cool down".to_owned())
    }

    /// A failure that is this endpoint's own, of a request given in `epoch`. True where the condition changed.
    pub(super) fn failed(
        &mut self,
        epoch: u32,
        scout: bool,
        reason: &str,
        settings: &HealthSettings,
        rng: &mut impl Rng,
        now: Instant,
    ) -> bool {
        if let (true, State::Probing(out)) = (scout, &self.state) {
            let pause = if out.disabled { DISABLED_PROBE } else { EJECTED_PROBE };
            self.state = State::Out(Out {
                probe_at: Some(now + pause),
                failed_probes: out.failed_probes + 1,
                ..out.clone()
            });
            self.epoch = self.epoch.wrapping_add(1);
            return true;
        }
        if epoch != self.epoch || self.is_out() {
            // Under way together with a failure that was counted. A trial cannot be: it is of the newest epoch.
            return false;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.streak += 1;
        let first = self.first_of_streak.get_or_insert_with(|| reason.to_owned());
        if self.streak >= settings.threshold {
            let reason = if *first == reason {
                format!("{} failures in a row: {reason}", self.streak)
            } else {
                format!("{} failures in a row; first: {first}; last: {reason}", self.streak)
            };
            self.proven = false;
            self.state = State::Out(Out {
                disabled: false,
                probe_at: Some(self.after_rest(now + EJECTED_PROBE)),
                failed_probes: 0,
                reason,
            });
            return true;
        }
        let until = now + backoff::jittered(self.streak, rng);
        self.rest(until, true, reason.to_owned())
    }

    /// A 500 or a senseless reply for `job`, with no other endpoint to compare with: true where another job in
    /// a row met the same here, so that it is the endpoint's fault after all.
    pub(super) fn unclear_again(&mut self, job: u64) -> bool {
        self.unclear.replace(job).is_some_and(|other| other != job)
    }

    /// `job` was denied by who knows whom. True where it is the endpoint that is shut: it has not served since it was
    /// last out, or another job in a row met the same.
    pub(super) fn denies(&mut self, lease: &Lease, job: u64) -> bool {
        let again = self.denied.replace(job).is_some_and(|other| other != job);
        lease.role == Role::Probe || !self.proven || again
    }

    /// `at`, or, where the endpoint is to be left alone for longer, then.
    fn after_rest(&self, at: Instant) -> Instant {
        match &self.state {
            State::Cooling { until, .. } => at.max(*until),
            State::Out(Out {
                probe_at: Some(until), ..
            }) => at.max(*until),
            _ => at,
        }
    }

    /// Takes the endpoint out for what a request given in `epoch` met. True where the condition changed.
    pub(super) fn unusable(&mut self, epoch: u32, scout: bool, reason: &str, now: Instant) -> bool {
        if epoch != self.epoch && !scout {
            return false;
        }
        let probe_at = self.after_rest(now + DISABLED_PROBE);
        self.disable(reason.to_owned(), Some(probe_at))
    }

    /// Takes the endpoint out. True where the condition changed.
    pub(super) fn disable(&mut self, reason: String, probe_at: Option<Instant>) -> bool {
        if self.unavailable {
            return false;
        }
        // What was switched off by hand stays so.
        if let State::Out(Out {
            disabled: true,
            probe_at: None,
            ..
        }) = self.state
            && probe_at.is_some()
        {
            return false;
        }
        let failed_probes = match &self.state {
            State::Probing(out) => out.failed_probes + 1,
            State::Out(out) => out.failed_probes,
            _ => 0,
        };
        self.proven = false;
        self.state = State::Out(Out {
            disabled: true,
            probe_at,
            failed_probes,
            reason,
        });
        self.epoch = self.epoch.wrapping_add(1);
        true
    }

    /// Lets the next request find out whether the endpoint is back; until then work waits for it. One that is
    /// unavailable as it is configured stays out. True where the condition changed.
    pub(super) fn enable(&mut self, now: Instant) -> bool {
        if self.unavailable {
            return false;
        }
        self.lacks.clear();
        match &mut self.state {
            State::Out(out) => {
                out.disabled = false;
                out.probe_at = Some(now);
                out.failed_probes = 0;
                self.streak = 0;
                // What was sent before tells nothing about what was mended since.
                self.epoch = self.epoch.wrapping_add(1);
                true
            }
            State::Probing(out) => {
                // The probe under way finds out.
                out.disabled = false;
                false
            }
            State::Cooling { after_failure, .. } => {
                self.state = if *after_failure { State::Trial } else { State::Ready };
                true
            }
            State::Ready | State::Trial => false,
        }
    }

    /// Keeps `reason` among the newest errors.
    pub(super) fn note_error(&mut self, reason: &str) {
        if self.errors.len() == SAMPLES {
            self.errors.pop_front();
        }
        self.errors.push_back(clip(reason, SAMPLE_LENGTH).to_owned());
    }

    /// Longest wait for a probe's first byte. Doubles with each probe that fails, within bounds: where nothing has been
    /// learnt yet, requests that take longer than [`PROBE_FIRST_BYTE`] by their nature would keep a healthy endpoint
    /// out, but an endpoint that hangs must not hold each probe's job for longer and longer.
    pub(super) fn probe_first_byte(&self) -> Duration {
        let failed = match &self.state {
            State::Out(out) | State::Probing(out) => out.failed_probes,
            _ => 0,
        };
        let doubled = PROBE_FIRST_BYTE.saturating_mul(2u32.saturating_pow(failed));
        doubled.min(PROBE_FIRST_BYTE_MAX).max(self.patience())
    }

    /// Silence that is longer than this tells against the endpoint, whatever it was asked.
    fn patience(&self) -> Duration {
        PROBE_FIRST_BYTE.max(self.first_byte.quantile(0.99).unwrap_or_default())
    }
}
