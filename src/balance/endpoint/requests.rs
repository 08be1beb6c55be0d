//! What requests come to, for their endpoint.

use std::time::{Duration, Instant};

use super::lacks::Missing;
use super::out::{DISABLED_PROBE, Out};
use super::ramp::Ramp;
use super::refusals::Refusals;
use super::row::Row;
use super::scouts::Part;
use super::state::{After, State};
use super::{Endpoint, FailureRate};
use crate::api::Operation;
use crate::balance::outcome::Throttle;
use crate::balance::{HealthSettings, Lease, Role};

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
    pub(super) fn is_recent(&self, epoch: u32) -> bool {
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
        missing: Missing,
        now: Instant,
    ) -> bool {
        let before = self.condition();
        self.lacks.add(&lease.operation, reason, missing, now);
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
    pub(super) fn probed_on(&mut self, out: Out) -> bool {
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
        self.refusals.ends_after()
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

    /// Takes the endpoint out for what a request given in `epoch` met. True where the condition changed.
    pub(in crate::balance) fn unusable(&mut self, epoch: u32, scout: bool, reason: &str, now: Instant) -> bool {
        if epoch != self.epoch && !scout {
            return false;
        }
        let probe_at = self.after_rest(now + DISABLED_PROBE);
        self.disable(reason.to_owned(), Some(probe_at))
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
    pub(super) fn after_rest(&self, at: Instant) -> Instant {
        self.until().map_or(at, |until| at.max(until))
    }
}
