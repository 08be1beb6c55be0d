//! What failures come to, for their endpoint.

use std::time::Instant;

use rand::Rng;

use super::Endpoint;
use super::lacks::Missing;
use super::out::{DISABLED_PROBE, EJECTED_PROBE, Out};
use super::row::{Failed, Place};
use super::state::{After, State};
use crate::api::Operation;
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
            self.lacks.add(operation, reason, Missing::Path, now);
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
}
