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
//! last out, or where two jobs in a row meet it (see `Doubts::denies`); else it is a suspicion, as a 500 is.
//!
//! A request that ends because its job's time is over is a failure where the endpoint was silent for longer than it
//! needs (see `let_down`), and otherwise tells nothing.
//!
//! Of the requests that go first (trials and probes) at most one is out at a time, whatever state the endpoint goes
//! through meanwhile: it is the endpoint's *scout*, from its lease to its head, or to its end where no good head comes.
//!
//! A rest once begun is kept in whatever comes after it: an endpoint that is ejected or disabled while it rests is
//! probed when the rest is over, at the earliest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use doubts::Doubts;
use lacks::Lacks;
use out::Out;
pub(super) use out::{DISABLED_PROBE, EJECTED_PROBE, PROBE_FIRST_BYTE};
use refusals::Refusals;
pub(super) use state::Readiness;
use state::State;
use tallies::Tallies;

use super::outcome::Throttle;
use super::{Change, HealthSettings, Lease, Role, backoff};
use crate::api::{Condition, Operation};

mod by_hand;
mod doubts;
mod lacks;
mod out;
mod refusals;
mod state;
mod tallies;

/// Health and counters of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    state: State,
    /// It cannot be used as it is configured: nothing brings it back.
    unavailable: bool,
    in_flight: u32,
    /// Raised by each counted failure, and when the endpoint is switched off or on.
    epoch: u32,
    /// The number of the lease that went first, while its head has not come.
    scout: Option<u64>,
    /// Failures in a row.
    streak: u32,
    first_of_streak: Option<String>,
    refusals: Refusals,
    pub(super) doubts: Doubts,
    pub(super) lacks: Lacks,
    pub(super) tallies: Tallies,
}

/// What it is.
impl Endpoint {
    pub(super) fn new(unavailable: Option<String>) -> Self {
        Endpoint {
            unavailable: unavailable.is_some(),
            state: match unavailable {
                Some(reason) => State::Out(Out::disabled(reason, None)),
                None => State::Ready,
            },
            in_flight: 0,
            epoch: 0,
            scout: None,
            streak: 0,
            first_of_streak: None,
            refusals: Refusals::default(),
            doubts: Doubts::default(),
            lacks: Lacks::default(),
            tallies: Tallies::default(),
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn streak(&self) -> u32 {
        self.streak
    }

    /// Whether it is ejected or disabled (being probed counts).
    pub(super) fn is_out(&self) -> bool {
        self.state.is_out()
    }

    /// Whether there is a request that it would turn away: it is out, or lacks an operation.
    pub(super) fn is_choosy(&self) -> bool {
        self.is_out() || !self.lacks.is_empty()
    }

    /// Whether it serves `operation`, now or after a rest.
    pub(super) fn serves(&self, operation: &Operation, now: Instant) -> bool {
        !self.is_out() && self.lacks.of(operation).is_none_or(|lack| lack.retry_at <= now)
    }

    pub(super) fn condition(&self) -> Condition {
        self.state.condition()
    }

    pub(super) fn reason(&self) -> Option<&str> {
        self.state.reason()
    }

    /// When it is given work, or tried, again.
    pub(super) fn until(&self) -> Option<Instant> {
        self.state.until()
    }

    /// What it is now, as news.
    pub(super) fn change(&self, name: &Arc<str>) -> Change {
        Change {
            endpoint: Arc::clone(name),
            condition: self.condition(),
            reason: self.reason().map(str::to_owned),
            until: self.until(),
        }
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
        let readiness = self
            .state
            .readiness(self.in_flight < max_in_flight, self.scout.is_none(), now);
        match self.lacks.of(operation).map(|lack| lack.retry_at) {
            Some(retry_at) if now < retry_at => Readiness::Refuses(match readiness {
                Readiness::Now(_) | Readiness::OnSettle => Some(retry_at),
                Readiness::At(at) => Some(retry_at.max(at)),
                Readiness::Refuses(at) => at.map(|at| retry_at.max(at)),
            }),
            _ => readiness,
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
        match (self.state.out(), self.lacks.of(operation)) {
            (Some(out), _) => out.reason.clone(),
            (None, Some(lack)) => lack.reason.clone(),
            (None, None) => String::new(),
        }
    }

    /// Longest wait for a probe's first byte.
    pub(super) fn probe_first_byte(&self) -> Duration {
        let failed = self.state.out().map_or(0, |out| out.failed_probes);
        out::probe_first_byte(failed).max(self.patience())
    }

    /// Silence that is longer than this tells against the endpoint, whatever it was asked.
    fn patience(&self) -> Duration {
        let usual = self.tallies.first_byte.quantile(0.99);
        PROBE_FIRST_BYTE.max(usual.unwrap_or_default())
    }
}

/// What requests come to.
impl Endpoint {
    /// A request is about to be sent in `role`. Returns its number.
    pub(super) fn leave(&mut self, role: Role, operation: &Operation, now: Instant) -> u64 {
        self.in_flight += 1;
        self.tallies.totals.sent += 1;
        let number = self.tallies.totals.sent;
        if role != Role::Regular {
            self.scout = Some(number);
        }
        if let (Role::Probe, State::Out(out)) = (role, &self.state) {
            self.state = State::Probing(out.clone());
        }
        self.lacks.ask(operation, now);
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
                self.end_streak();
                self.refusals = Refusals::default();
                self.doubts.is_back();
                true
            }
            State::Ready | State::Cooling { .. } | State::Out(_) => false,
        }
    }

    /// A whole good reply. True where the condition changed.
    pub(super) fn succeeded(&mut self, lease: &Lease, scout: bool) -> bool {
        // What was sent before the last failure, or refusal, does not tell that it is over.
        if lease.epoch == self.epoch {
            self.end_streak();
            self.doubts.proved();
        }
        self.refusals.served(lease.at);
        self.doubts.succeeded();
        self.answered(lease, scout)
    }

    /// The endpoint refused the request for what it holds, and is not to blame: that it is there is good news for
    /// a trial or a probe, and that it knows the operation for one that it lacked. True where the condition changed.
    pub(super) fn answered(&mut self, lease: &Lease, scout: bool) -> bool {
        self.lacks.remove(&lease.operation);
        scout && self.open()
    }

    /// It has been found again that this deployment lacks the operation of `lease`. True where the condition changed.
    pub(super) fn lacks(&mut self, lease: &Lease, scout: bool, reason: &str, now: Instant) -> bool {
        self.lacks.add(&lease.operation, reason, now);
        scout && self.open()
    }

    fn end_streak(&mut self) {
        self.streak = 0;
        self.first_of_streak = None;
    }

    /// Nothing was learnt: another request may take the place of one that went first. True where the condition
    /// changed.
    pub(super) fn abandoned(&mut self, lease: &Lease, scout: bool, now: Instant) -> bool {
        self.lacks.unknown(lease, now);
        if let (true, State::Probing(out)) = (scout, &self.state) {
            self.state = State::Out(out.probed_at(now));
            return true;
        }
        false
    }

    /// A request has ended with its job's time, after it had `waited`. True where that is the endpoint's fault and not
    /// the job's haste: it has been silent for longer than it needs, or to so many jobs in a row as take it out, or to
    /// one that went first, which another would follow in vain.
    pub(super) fn let_down(&mut self, scout: bool, silent: bool, waited: Duration, settings: &HealthSettings) -> bool {
        let silences = self.doubts.out_of_time(silent);
        scout || silent && (waited >= self.patience() || silences >= settings.threshold)
    }

    /// When the last of a row of refusals came.
    pub(super) fn refused_at(&self) -> Option<Instant> {
        self.refusals.last()
    }

    /// Something has been admitted since the last refusal: a further one begins a row of its own.
    pub(super) fn has_admitted(&mut self) {
        self.refusals = Refusals::default();
    }

    /// A refusal for want of quota. True where the condition changed.
    pub(super) fn throttled(
        &mut self,
        sent_at: Instant,
        throttle: &Throttle,
        settings: &HealthSettings,
        now: Instant,
    ) -> bool {
        let Throttle { wait, axis, reason } = throttle;
        self.refusals.add(sent_at, now);
        // The service's wait alone decides: our own back-off is short, and what it adds is no reason to give up.
        if let Some(named) = *wait
            && named > settings.cooldown_max
        {
            let reason = format!("asked to wait {} s: {reason}", named.as_secs());
            return self.disable(reason, Some(self.after_rest(now + DISABLED_PROBE)));
        }
        self.rest(now + self.refusals.rest(*wait, *axis), false, reason.clone())
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
            self.state = State::Out(out.probe_failed(now));
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
            self.doubts.taken_out();
            self.state = State::Out(Out::ejected(reason, self.after_rest(now + EJECTED_PROBE)));
            return true;
        }
        let until = now + backoff::jittered(self.streak, rng);
        self.rest(until, true, reason.to_owned())
    }

    /// Takes the endpoint out for what a request given in `epoch` met. True where the condition changed.
    pub(super) fn unusable(&mut self, epoch: u32, scout: bool, reason: &str, now: Instant) -> bool {
        if epoch != self.epoch && !scout {
            return false;
        }
        let probe_at = self.after_rest(now + DISABLED_PROBE);
        self.disable(reason.to_owned(), Some(probe_at))
    }

    /// Rests until `until`, or longer where it rests longer already. True where the condition changed.
    fn rest(&mut self, until: Instant, after_failure: bool, reason: String) -> bool {
        self.state = self.state.rested(until, after_failure, reason);
        !self.is_out()
    }

    /// `at`, or, where the endpoint is to be left alone for longer, then.
    fn after_rest(&self, at: Instant) -> Instant {
        self.until().map_or(at, |until| at.max(until))
    }
}
