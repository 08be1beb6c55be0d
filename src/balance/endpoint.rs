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
//! | any      | 401, 403, 404, wait > cooldown_max        | Out (disabled), probed every 60 s               |
//! | any      | `disable(reason)`                         | Out (disabled), not probed                      |
//! | Out      | its probe is due, or `enable()`           | Probing, with the next request                  |
//! | Probing  | head of a good reply, or a refused request | Ready                                          |
//! | Probing  | 429                                       | Cooling until then, Trial after it              |
//! | Probing  | failure                                   | Out, until the next probe                       |
//! ```
//!
//! Failures of requests that were under way together count once: a lease remembers the *epoch* in which it was
//! given, each counted failure begins a new one, and what comes from an older epoch is not counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use super::backoff;
use super::histogram::Histogram;
use super::lease::Role;
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

/// Health and counters of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    state: State,
    pub(super) in_flight: u32,
    /// Raised by each counted failure.
    epoch: u32,
    /// Failures in a row.
    streak: u32,
    first_of_streak: Option<String>,
    /// Refusals (429) in a row, those under way together counted once.
    refusals: u32,
    last_refusal: Option<Instant>,
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
    Trial {
        taken: bool,
    },
    Out(Out),
    Probing(Out),
}

/// Why an endpoint is out, and when it is tried again.
#[derive(Clone, Debug)]
struct Out {
    disabled: bool,
    /// None: only `enable()` brings it back.
    probe_at: Option<Instant>,
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
    /// It is disabled; work does not wait for it.
    Never,
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
        let state = match unavailable {
            Some(reason) => State::Out(Out {
                disabled: true,
                probe_at: None,
                reason,
            }),
            None => State::Ready,
        };
        Endpoint {
            state,
            in_flight: 0,
            epoch: 0,
            streak: 0,
            first_of_streak: None,
            refusals: 0,
            last_refusal: None,
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

    pub(super) fn condition(&self) -> Condition {
        match &self.state {
            State::Ready | State::Trial { .. } => Condition::Ready,
            State::Cooling { .. } => Condition::CoolingDown,
            State::Out(out) if out.disabled => Condition::Disabled,
            State::Out(_) => Condition::Ejected,
            State::Probing(_) => Condition::Probing,
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match &self.state {
            State::Ready | State::Trial { .. } => None,
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
    pub(super) fn refresh(&mut self, now: Instant) -> bool {
        match self.state {
            State::Cooling {
                until, after_failure, ..
            } if until <= now => {
                self.state = if after_failure {
                    State::Trial { taken: false }
                } else {
                    State::Ready
                };
                true
            }
            _ => false,
        }
    }

    /// Whether a request for `operation` can go now. Call [`Endpoint::refresh`] first.
    pub(super) fn readiness(&self, operation: &Operation, max_in_flight: u32, now: Instant) -> Readiness {
        if let Some(lack) = self.lack(operation)
            && now < lack.retry_at
        {
            return Readiness::Never;
        }
        match &self.state {
            State::Ready if self.in_flight < max_in_flight => Readiness::Now(Role::Regular),
            State::Trial { taken: false } if self.in_flight < max_in_flight => Readiness::Now(Role::Trial),
            State::Ready | State::Trial { .. } => Readiness::OnSettle,
            State::Cooling { until, .. } => Readiness::At(*until),
            State::Out(Out { probe_at: Some(at), .. }) if *at <= now => Readiness::Now(Role::Probe),
            State::Out(Out {
                probe_at: Some(at),
                disabled: false,
                ..
            }) => Readiness::At(*at),
            State::Out(_) => Readiness::Never,
            State::Probing(out) if out.disabled => Readiness::Never,
            State::Probing(_) => Readiness::OnSettle,
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

    /// A request is about to be sent in `role`.
    pub(super) fn leave(&mut self, role: Role, operation: &Operation, now: Instant) {
        self.in_flight += 1;
        self.totals.sent += 1;
        match (role, &mut self.state) {
            (Role::Trial, State::Trial { taken }) => *taken = true,
            (Role::Probe, State::Out(out)) => self.state = State::Probing(out.clone()),
            _ => {}
        }
        // The first request after the pause finds out; the others go on without this endpoint until it has.
        if let Some(lack) = self.lacks.iter_mut().find(|lack| lack.operation == *operation) {
            lack.retry_at = now + DISABLED_PROBE;
        }
    }

    /// A good reply's head has come: one that went first lets the others follow. True where the condition changed.
    pub(super) fn opened(&mut self, role: Role) -> bool {
        match (role, &self.state) {
            (Role::Trial, State::Trial { .. }) => {
                self.state = State::Ready;
                false
            }
            (Role::Probe, State::Probing(_)) => {
                self.state = State::Ready;
                self.clear();
                true
            }
            _ => false,
        }
    }

    /// A whole good reply. True where the condition changed.
    pub(super) fn succeeded(&mut self, role: Role, operation: &Operation) -> bool {
        self.clear();
        self.lacks.retain(|lack| lack.operation != *operation);
        self.opened(role)
    }

    /// The endpoint answered, though not with success, and is not to blame: that it is there is good news for
    /// a trial or a probe. True where the condition changed.
    pub(super) fn answered(&mut self, role: Role) -> bool {
        self.opened(role)
    }

    fn clear(&mut self) {
        self.streak = 0;
        self.first_of_streak = None;
        self.refusals = 0;
        self.last_refusal = None;
        self.unclear = None;
    }

    /// Nothing was learnt: another request may take the place of one that went first.
    pub(super) fn abandoned(&mut self, role: Role, now: Instant) -> bool {
        match (role, &mut self.state) {
            (Role::Trial, State::Trial { taken }) => *taken = false,
            (Role::Probe, State::Probing(out)) => {
                let out = Out {
                    probe_at: Some(now),
                    ..out.clone()
                };
                self.state = State::Out(out);
                return true;
            }
            _ => {}
        }
        false
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
        let wait = match wait {
            Some(named) if self.refusals < ESCALATE_FROM => named,
            Some(named) => named + backoff::doubled(self.refusals - ESCALATE_FROM + 1),
            None => backoff::doubled(self.refusals),
        };
        if wait > settings.cooldown_max {
            let reason = format!("asked to wait {} s: {reason}", wait.as_secs());
            return self.disable(reason, Some(now + DISABLED_PROBE));
        }
        self.rest(now + wait, false, reason.to_owned())
    }

    /// Rests until `until`, or longer where it rests longer already. True where the condition changed.
    pub(super) fn rest(&mut self, until: Instant, after_failure: bool, reason: String) -> bool {
        let next = match &self.state {
            State::Out(_) => return false,
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
            State::Trial { .. } | State::Probing(_) => State::Cooling {
                until,
                after_failure: true,
                reason,
            },
        };
        self.state = next;
        true
    }

    /// A failure that is this endpoint's own. True where the condition changed.
    pub(super) fn failed(
        &mut self,
        epoch: u32,
        role: Role,
        reason: &str,
        settings: &HealthSettings,
        rng: &mut impl Rng,
        now: Instant,
    ) -> bool {
        if let (Role::Probe, State::Probing(out)) = (role, &self.state) {
            let pause = if out.disabled { DISABLED_PROBE } else { EJECTED_PROBE };
            self.state = State::Out(Out {
                probe_at: Some(now + pause),
                ..out.clone()
            });
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
            self.state = State::Out(Out {
                disabled: false,
                probe_at: Some(now + EJECTED_PROBE),
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

    /// Takes the endpoint out. True where the condition changed.
    pub(super) fn disable(&mut self, reason: String, probe_at: Option<Instant>) -> bool {
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
        self.state = State::Out(Out {
            disabled: true,
            probe_at,
            reason,
        });
        self.epoch = self.epoch.wrapping_add(1);
        true
    }

    /// Lets the next request find out whether the endpoint is back; until then work waits for it.
    pub(super) fn enable(&mut self, now: Instant) -> bool {
        self.lacks.clear();
        match &self.state {
            State::Out(out) | State::Probing(out) => {
                self.state = State::Out(Out {
                    disabled: false,
                    probe_at: Some(now),
                    reason: out.reason.clone(),
                });
                self.streak = 0;
                true
            }
            State::Cooling { .. } => {
                self.state = State::Ready;
                true
            }
            State::Ready | State::Trial { .. } => false,
        }
    }

    /// Notes that this deployment lacks `operation`.
    pub(super) fn lacks(&mut self, operation: &Operation, reason: &str, now: Instant) {
        self.lacks
            .retain(|lack| lack.operation != *operation && lack.retry_at > now);
        let retry_at = now + DISABLED_PROBE;
        self.lacks.push(Lack {
            operation: operation.clone(),
            retry_at,
            reason: reason.to_owned(),
        });
    }

    /// Keeps `reason` among the newest errors.
    pub(super) fn note_error(&mut self, reason: &str) {
        if self.errors.len() == SAMPLES {
            self.errors.pop_front();
        }
        self.errors.push_back(clip(reason, SAMPLE_LENGTH).to_owned());
    }

    /// Longest wait for a probe's first byte.
    pub(super) fn probe_first_byte(&self) -> Duration {
        PROBE_FIRST_BYTE.max(self.first_byte.quantile(0.99).unwrap_or_default())
    }
}
