//! What requests come to, for their endpoint.

use std::time::{Duration, Instant};

use rand::Rng;

use super::out::{DISABLED_PROBE, EJECTED_PROBE, Out};
use super::ramp::Ramp;
use super::refusals::Refusals;
use super::row::{Failed, Place, Row};
use super::scouts::Part;
use super::state::{After, State};
use super::{Endpoint, FailureRate};
use crate::api::Operation;
use crate::balance::outcome::Throttle;
use crate::balance::{HealthSettings, Lease, Role, backoff};

/// A failure that is an endpoint's own.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Failure<'a> {
    /// The epoch in which the request was given.
    pub(in crate::balance) epoch: u32,
    /// The number of the request's lease.
    pub(in crate::balance) number: u64,
    pub(in crate::balance) job: u64,
    /// Whether the request went first, and others wait for what it has found out.
    pub(in crate::balance) scout: bool,
    /// Whether it went first, when it was sent.
    pub(in crate::balance) went_first: bool,
    /// Where the endpoint was silent then, and the request was none that asked whether it is there: when it is asked next.
    pub(in crate::balance) silent: Option<Instant>,
    /// What was heard of the endpoint.
    pub(in crate::balance) sign: Sign,
    /// Whether its job may be at fault as well.
    pub(in crate::balance) is_doubt: bool,
    /// What a full row comes to of which it is the last.
    pub(in crate::balance) full: FullRow<'a>,
    pub(in crate::balance) reason: &'a str,
}

/// What was heard of an endpoint where a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum Sign {
    /// Nothing, for as long as was waited.
    Nothing,
    /// That it has closed the connection.
    Cut,
    /// It has answered, with an error: it is there.
    Answer,
}

/// What an endpoint is that has failed so often in a row as takes it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum FullRow<'a> {
    /// Ejected.
    Ejects,
    /// Disabled: it denies access.
    Disables,
    /// Without this operation.
    Lacks(&'a Operation),
}

impl Endpoint {
    /// A request is about to be sent in `role`; if it asks whether the endpoint is back, another may do so after `pause`.
    /// Returns its number.
    pub(in crate::balance) fn leave(
        &mut self,
        role: Role,
        operation: &Operation,
        pause: Duration,
        now: Instant,
    ) -> u64 {
        self.in_flight += 1;
        self.leases += 1;
        let number = self.leases;
        if role != Role::Regular {
            self.scouts.sent(number);
        }
        if role == Role::Probe {
            match &self.state {
                State::Out(out) | State::Probing(out) => self.state = State::Probing(out.probed_at(now + pause)),
                _ => self.silence.knocked(now + pause),
            }
        }
        self.lacks.ask(operation, now);
        self.silence.sent(number, now);
        if let Some(ramp) = &mut self.ramp {
            ramp.sent();
        }
        number
    }

    /// A request is over, `answered` where something has come of it. Returns what it was, and, where the endpoint was
    /// silent, when it would have been asked next.
    pub(in crate::balance) fn back(&mut self, lease: &Lease, answered: bool, now: Instant) -> (Part, Option<Instant>) {
        self.in_flight -= 1;
        if answered || lease.written {
            self.reach.reached();
        }
        self.tallies.totals.sent += u64::from(lease.sent);
        self.tallies.totals.not_sent += u64::from(lease.not_sent);
        let silent = self.silence.is_on(now).then(|| self.silence.knocks_at()).flatten();
        self.silence.back(lease.number, answered, now);
        if let Some(ramp) = &mut self.ramp {
            ramp.back(lease.number);
        }
        (self.scouts.take(lease.number), silent)
    }

    /// The head of a reply has come, whatever it is. True where others may go now that had to wait because nothing came.
    pub(in crate::balance) fn heard(&mut self, lease: &Lease, admitted: bool, now: Instant) -> bool {
        self.doubts.heard();
        let latency = now.saturating_duration_since(lease.at);
        if admitted {
            self.tallies.first_byte.record(latency);
        }
        self.silence.heard(lease.number, admitted.then_some(latency), now)
    }

    /// A good reply's head has come: one that went first lets the others follow. True where the condition changed.
    pub(in crate::balance) fn opened(&mut self, lease: &Lease, now: Instant) -> bool {
        if let Some(ramp) = &mut self.ramp {
            ramp.heard(lease.number);
        }
        if self.scouts.take(lease.number) != Part::Leads {
            return false;
        }
        if lease.role == Role::Probe && matches!(self.state, State::Ready) {
            // It has asked an endpoint that was silent.
            self.ramp = Some(Ramp::new(self.leases, now));
            self.scouts.overtake();
        }
        self.open(now)
    }

    fn open(&mut self, now: Instant) -> bool {
        match &self.state {
            State::Trial => {
                self.state = State::Ready;
                if self.ramp.is_some() {
                    // What was under way when it failed again tells nothing about what it bears now.
                    self.ramp = Some(Ramp::new(self.leases, now));
                }
                false
            }
            State::Probing(_)
            | State::Out(Out {
                disabled: false,
                was_asked: true,
                ..
            }) => {
                self.state = State::Ready;
                self.end_streak();
                self.refusals = Refusals::default();
                self.doubts.is_back();
                self.is_back(now);
                true
            }
            State::Ready | State::Cooling { .. } | State::Out(_) => false,
        }
    }

    /// It is no longer out: what was sent before says nothing more about it, and it is given work little by little.
    fn is_back(&mut self, now: Instant) {
        self.back_since = self.epoch;
        self.scouts.overtake();
        self.rate = FailureRate::default();
        self.ramp = Some(Ramp::new(self.leases, now));
        self.silence.forget(now);
    }

    /// Whether a request given in `epoch` was sent since the endpoint was last out.
    fn is_recent(&self, epoch: u32) -> bool {
        // Epochs wrap around: the older of two is the one that the other is less than half of all before.
        epoch.wrapping_sub(self.back_since) < u32::MAX / 2
    }

    /// A whole good reply to `job`. True where the condition changed.
    pub(in crate::balance) fn succeeded(&mut self, lease: &Lease, job: u64, scout: bool, now: Instant) -> bool {
        if self.is_recent(lease.epoch) {
            self.rate.succeeded(now);
        }
        if lease.epoch == self.epoch {
            self.doubts.proved();
        }
        self.answers.add(lease.number, job);
        self.lacks.served(&lease.operation);
        self.refusals.served(lease.at);
        self.doubts.succeeded();
        let is_cleared = self.clear(lease.number, now);
        self.answered(lease, scout, now) || is_cleared
    }

    /// The request with this number has been answered well, which takes failures back. True where the condition changed.
    fn clear(&mut self, number: u64, now: Instant) -> bool {
        if self.row.ends(number) {
            self.end_streak();
            if let State::Cooling {
                after: After::Doubt, ..
            } = self.state
            {
                self.state = State::Ready;
                return true;
            }
        }
        if self.state.is_doubtful() {
            self.state = State::Ready;
            self.is_back(now);
            return true;
        }
        false
    }

    /// The endpoint refused the request for what it holds, and is not to blame: that it is there is good news for
    /// a trial or a probe, and that it knows the operation for one that it lacked. True where the condition changed.
    pub(in crate::balance) fn answered(&mut self, lease: &Lease, scout: bool, now: Instant) -> bool {
        let before = self.condition();
        self.lacks.remove(&lease.operation);
        scout && self.open(now) || self.condition() != before
    }

    /// It has been found that this deployment lacks the operation of `lease`. True where the condition changed, or is another
    /// by that.
    pub(in crate::balance) fn lacks(
        &mut self,
        lease: &Lease,
        scout: bool,
        reason: &str,
        is_path: bool,
        now: Instant,
    ) -> bool {
        let before = self.condition();
        self.lacks.add(&lease.operation, reason, is_path, now);
        scout && self.open(now) || self.condition() != before
    }

    pub(super) fn end_streak(&mut self) {
        self.row = Row::default();
    }

    /// Nothing was learnt: another request may take the place of one that went first. True where the condition
    /// changed.
    pub(in crate::balance) fn abandoned(&mut self, lease: &Lease, scout: bool, now: Instant) -> bool {
        self.lacks.unknown(lease, now);
        if let (true, State::Probing(out)) = (scout, &self.state) {
            let next = if self.scouts.is_newest(lease.number) {
                out.probed_at(now)
            } else {
                out.clone()
            };
            return self.probed_on(next);
        }
        if scout
            && lease.role == Role::Probe
            && matches!(self.state, State::Ready)
            && self.scouts.is_newest(lease.number)
        {
            self.silence.knocked(now);
        }
        false
    }

    /// A probe has found nothing. True where the condition changed: no other probe is out.
    fn probed_on(&mut self, out: Out) -> bool {
        let is_led = self.scouts.is_led();
        self.state = if is_led { State::Probing(out) } else { State::Out(out) };
        !is_led
    }

    /// A request has ended with its job's time, after it had `waited`. True where that is the endpoint's fault and not
    /// the job's haste: it has been silent for longer than it needs, or to so many jobs in a row as take it out, or to
    /// one that went first, which another would follow in vain.
    pub(in crate::balance) fn let_down(
        &mut self,
        scout: bool,
        silent: bool,
        waited: Duration,
        settings: &HealthSettings,
    ) -> bool {
        let silences = self.doubts.out_of_time(silent);
        scout || silent && (waited >= self.patience() || silences >= settings.threshold)
    }

    /// When the last of a row of refusals came.
    pub(in crate::balance) fn refused_at(&self) -> Option<Instant> {
        self.refusals.last()
    }

    /// Something has been admitted since the last refusal: a further one begins a row of its own.
    pub(in crate::balance) fn has_admitted(&mut self) {
        self.refusals = Refusals::default();
    }

    /// A refusal for want of quota. True where the condition changed.
    pub(in crate::balance) fn throttled(
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
        if matches!(self.state, State::Probing(_)) {
            // It is there, if only to refuse.
            self.is_back(now);
        }
        self.rest(now + self.refusals.rest(*wait, *axis), After::Refusal, reason.clone())
    }

    /// Its own failure. True where the condition changed.
    pub(in crate::balance) fn failed(
        &mut self,
        failure: &Failure<'_>,
        settings: &HealthSettings,
        rng: &mut impl Rng,
        now: Instant,
    ) -> bool {
        let Failure {
            epoch, scout, reason, ..
        } = *failure;
        if let (true, State::Probing(out)) = (scout, &self.state) {
            let next = out.probe_failed(self.scouts.is_newest(failure.number), now);
            self.epoch = self.epoch.wrapping_add(1);
            return self.probed_on(next);
        }
        if self.state.is_out() {
            return false;
        }
        if !failure.is_doubt && self.is_recent(epoch) {
            self.rate.failed(reason, now);
        }
        if let Some(ramp) = &mut self.ramp {
            ramp.failed(now);
        }
        if epoch != self.epoch {
            // Under way together with a failure that was counted. A trial cannot be: it is of the newest epoch.
            return false;
        }
        if failure.is_doubt && !scout && self.answers.any_later(failure.number, failure.job) {
            // It is taken back already.
            return false;
        }
        if failure.sign != Sign::Answer
            && let Some(next) = failure.silent
        {
            self.epoch = self.epoch.wrapping_add(1);
            // Nothing has come of any, and this one has waited as long as it may.
            self.doubts.taken_out();
            let reason = format!("silent, then: {reason}");
            self.state = State::Out(Out {
                was_asked: self.until().is_none(),
                ..Out::ejected(reason, self.after_rest(next.max(now)))
            });
            return true;
        }
        let alone = failure.went_first || self.in_flight == 0 && failure.number == self.row.newest() + 1;
        let failed = Failed {
            number: failure.number,
            job: failure.job,
            alone,
            reason,
        };
        match self.row.add(failed, self.leases) {
            Place::Again => return false,
            Place::New if self.row.length() < settings.threshold && self.spares(failure, settings, now) => {
                self.row.spare();
                return false;
            }
            Place::New | Place::Alone => {}
        }
        self.row.cost();
        self.epoch = self.epoch.wrapping_add(1);
        let is_full = self.row.length() >= settings.threshold;
        if is_full && let FullRow::Lacks(operation) = failure.full {
            let before = self.condition();
            self.end_streak();
            self.lacks.add(operation, reason, true, now);
            return self.condition() != before;
        }
        let why = if is_full {
            Some(self.row.describe(reason))
        } else {
            self.rate.verdict(reason, now)
        };
        let Some(why) = why else {
            let until = now + backoff::jittered(self.row.length(), rng);
            let after = if failure.is_doubt { After::Doubt } else { After::Failure };
            return self.rest(until, after, reason.to_owned());
        };
        if is_full && failure.full == FullRow::Disables {
            let probe_at = self.after_rest(now + DISABLED_PROBE);
            return self.disable(why, Some(probe_at));
        }
        self.eject(why, now);
        true
    }

    fn eject(&mut self, why: String, now: Instant) {
        self.doubts.taken_out();
        self.state = State::Out(Out::ejected(why, self.after_rest(now + EJECTED_PROBE)));
    }

    /// A failure that was given in `epoch` and has counted as a doubt was its own: the job has been answered since. True where
    /// the condition changed.
    pub(in crate::balance) fn convicted(&mut self, epoch: u32, reason: &str, now: Instant) -> bool {
        if self.state.is_out() || !self.is_recent(epoch) {
            return false;
        }
        self.rate.failed(reason, now);
        let Some(why) = self.rate.verdict(reason, now) else {
            return false;
        };
        self.epoch = self.epoch.wrapping_add(1);
        self.eject(why, now);
        true
    }

    /// Whether a failure costs no rest. One of the few that every service has does not: so while nine of ten requests are
    /// answered well, what was taken back left out, and until so many jobs have failed without a good answer between as take
    /// the endpoint out. Nor does a denial, which no rest helps.
    fn spares(&mut self, failure: &Failure<'_>, settings: &HealthSettings, now: Instant) -> bool {
        let spared = self.row.spared() + 1;
        if matches!(self.state, State::Trial) || spared >= settings.threshold {
            return false;
        }
        if failure.full != FullRow::Ejects {
            return true;
        }
        // What hangs costs a place for a long time.
        let may_be = failure.sign == Sign::Answer || failure.is_doubt && failure.sign == Sign::Cut;
        let pending = if failure.is_doubt { spared } else { 0 };
        may_be && self.rate.is_good(pending, now)
    }

    /// Who asked a silent endpoint whether it is there has had no answer. True where it was such a request; it tells no
    /// more than the silence does.
    pub(in crate::balance) fn knocked_in_vain(&mut self, lease: &Lease, scout: bool, now: Instant) -> bool {
        let asked = scout && lease.role == Role::Probe && matches!(self.state, State::Ready);
        if asked && self.silence.is_on(now) {
            self.silence.knocked_in_vain(self.scouts.is_newest(lease.number), now);
        }
        asked
    }

    /// Takes the endpoint out for what a request given in `epoch` met. True where the condition changed.
    pub(in crate::balance) fn unusable(&mut self, epoch: u32, scout: bool, reason: &str, now: Instant) -> bool {
        if epoch != self.epoch && !scout {
            return false;
        }
        let probe_at = self.after_rest(now + DISABLED_PROBE);
        self.disable(reason.to_owned(), Some(probe_at))
    }

    /// It was never reached, so that nobody is to wait for it any more. True where the condition changed.
    pub(in crate::balance) fn never_reached(&mut self, reason: &str, now: Instant) -> bool {
        if self.state.out().is_some_and(|out| out.disabled) {
            return false;
        }
        let probe_at = self.after_rest(now + EJECTED_PROBE);
        let changed = self.disable(format!("never reached: {reason}"), Some(probe_at));
        if let (true, State::Out(out)) = (changed, &mut self.state) {
            out.pause = EJECTED_PROBE;
        }
        changed
    }

    /// What took it out just now may be the job's fault.
    pub(in crate::balance) fn is_out_doubtfully(&mut self, now: Instant) {
        if let State::Out(out) = &mut self.state {
            out.is_doubtful = true;
            out.probe_at = Some(now + EJECTED_PROBE);
        }
    }

    /// Rests until `until`, or longer where it rests longer already. True where the condition changed.
    pub(super) fn rest(&mut self, until: Instant, after: After, reason: String) -> bool {
        if self.state.is_out() || matches!(self.state, State::Ready) {
            // Whoever asks whether it is there must not end the rest before its time, nor keep the trial after it from
            // being made.
            self.scouts.overtake();
        }
        self.state = self.state.rested(until, after, reason);
        !self.state.is_out()
    }

    /// `at`, or, where the endpoint is to be left alone for longer, then.
    fn after_rest(&self, at: Instant) -> Instant {
        self.until().map_or(at, |until| at.max(until))
    }
}
