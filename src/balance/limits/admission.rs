//! May a request go now, and if not, when?

use std::time::Instant;

use super::belief::Form;
use super::bucket::{Vessel, needed};
use super::charge::{Admission, Charge, Mode};
use super::limit::Limit;
use super::moment::Moment;
use super::sku::Sku;
use crate::balance::rules::Rule;

/// The last "not now", so that asking a closed limit again costs next to nothing. Forgotten with every event.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Closed {
    /// The answer.
    until: Instant,
    /// From here on it must be asked anew: by then something may have grown, or been confirmed by silence.
    valid: Instant,
    /// The charge for which it holds, and for every larger one; none where it holds for every one.
    charge: Option<Charge>,
}

impl Closed {
    /// When to ask again.
    pub(in crate::balance) fn until(&self) -> Instant {
        self.until
    }

    /// From then on it says nothing more.
    pub(in crate::balance) fn valid(&self) -> Instant {
        self.valid
    }

    /// Whether it holds for every charge whatever.
    pub(in crate::balance) fn is_for_every(&self) -> bool {
        self.charge.is_none()
    }

    /// Whether it holds for this one.
    pub(in crate::balance) fn is_for(&self, charge: &Charge) -> bool {
        let is_no_smaller = |asked: Charge| charge.tokens >= asked.tokens && charge.variance >= asked.variance;
        self.charge.is_none_or(is_no_smaller)
    }
}

/// Not now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct No {
    /// When to ask again.
    pub(super) at: Moment,
    pub(super) holds: Holds,
}

/// For whom a "not now" holds until its moment has come, should nothing happen before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    /// For every charge whatever.
    Every,
    /// For the one that was asked for, and for those that are larger: they may have to wait for longer, which is found
    /// out when the time of this one has come.
    Larger,
    /// For none: a model may have room earlier, or for a larger one.
    None,
}

/// How long the next answer is waited for where none is under way.
const SOON: f64 = 1e-4;
/// The unit in which time is counted.
const MICROSECOND: f64 = 1e-6;
/// A test must be this part of its own size above what a bucket would hold.
const CLEARLY: f64 = 0.3;

impl Limit {
    /// Whether a request may go now, and as what; or when to ask again.
    ///
    /// In this order: the service's word and the requests, how much is risked unconfirmed, whether both models have room,
    /// whether the believed one has, and whether there is something to be found out.
    pub fn admits(&mut self, charge: &Charge, now: Instant) -> Admission {
        // What cannot be counts as nothing, and so it must where charges are compared.
        let charge = &charge.sane();
        if let Some(closed) = self.closed(now).filter(|closed| closed.is_for(charge)) {
            return Admission::At(closed.until);
        }
        let now = self.advance(now);
        match self.judge(charge, now) {
            Ok(mode) => Admission::Now(mode),
            Err(no) => {
                let until = self.instant(no.at);
                if no.holds != Holds::None {
                    let changes = self.changes_at(no.holds, now);
                    self.closed = Some(Closed {
                        until,
                        valid: changes.map_or(until, |changes| self.instant(changes).min(until)),
                        charge: (no.holds == Holds::Larger).then_some(*charge),
                    });
                }
                Admission::At(until)
            }
        }
    }

    /// The next answer is found out afresh.
    #[cfg(test)]
    pub fn forget_answer(&mut self) {
        self.closed = None;
    }

    /// What it remembers of having said "not now". While there is that, asking changes nothing.
    #[inline]
    pub(in crate::balance) fn closed(&self, now: Instant) -> Option<Closed> {
        self.closed.filter(|closed| now < closed.valid)
    }

    /// Whether nothing whatever may go now, by the service's word or the pace of requests.
    pub fn is_gated(&self, now: Instant) -> bool {
        let now = self.moment(now);
        self.gate(now) > now
    }

    /// Whether a bucket is believed, and one request is to tell it from a window.
    pub fn is_test_due(&self) -> bool {
        Rule::Test.is_on() && self.belief.form == Form::Bucket && self.belief.test_is_due
    }

    /// Whether the service is believed to count in windows whose boundary is known.
    #[inline]
    pub fn is_in_windows(&self) -> bool {
        self.belief.form == Form::Window && self.window.boundary().is_some()
    }

    /// Tokens that still fit into the present window, where a window with a known boundary is believed: to be filled with
    /// the largest job that fits. Where nothing whatever may go now, when to ask again.
    pub fn room(&mut self, now: Instant) -> Option<Result<f64, Instant>> {
        if self.closed(now).is_none() {
            self.advance(now);
        }
        self.room_as_known(now)
    }

    /// The same, where it is [closed](Limit::closed): nothing has changed since that was found out.
    pub(in crate::balance) fn room_as_known(&self, now: Instant) -> Option<Result<f64, Instant>> {
        if !self.has_rooms() {
            return None;
        }
        if let Some(closed) = self.closed(now).filter(Closed::is_for_every) {
            return Some(Err(closed.until));
        }
        let now = self.moment(now);
        let gate = self.gate(now);
        if gate > now {
            return Some(Err(self.instant(gate)));
        }
        let kept_free = self.tuning.window_margin * self.window.deviation(0.0);
        Some(Ok((self.usable() - self.window.used() - kept_free).max(0.0)))
    }

    /// When more fits than is left of the present window: a new one begins then.
    pub fn turns_at(&self) -> Option<Instant> {
        self.window.boundary().map(|boundary| self.instant(boundary.reset))
    }

    fn has_rooms(&self) -> bool {
        self.sku != Sku::Provisioned && self.is_in_windows() && self.quota.is_known()
    }

    /// Use of the present minute as a share of the quota, 0 and up; none while the quota is unknown.
    pub fn used_share(&self, now: Instant) -> Option<f64> {
        if !self.quota.is_known() {
            return None;
        }
        let now = self.moment(now);
        let is_over = self.window.boundary().is_some_and(|boundary| now >= boundary.reset);
        let used = if is_over { 0.0 } else { self.window.used() };
        Some(used.min(self.sent.tokens()) / self.quota.tokens())
    }

    /// When anything may go: the service's word, and the pace of requests.
    pub(super) fn gate(&self, now: Moment) -> Moment {
        let requests = self.requests.ready_at(self.is_work_waiting, now);
        now.max(self.block).max(requests)
    }

    fn judge(&self, charge: &Charge, now: Moment) -> Result<Mode, No> {
        let gate = self.gate(now);
        if gate > now {
            return Err(No::to_every(gate));
        }
        if self.doubts.is_open() && self.unconfirmed.is_any_written() {
            // It is about to be known what a refusal was.
            return Err(No {
                at: self.unconfirmed.next_at(self.silence(), now),
                holds: Holds::None,
            });
        }
        let by_bucket = self.bucket_fits_at(charge, now);
        if self.sku == Sku::Provisioned && self.quota.is_known() {
            return if by_bucket <= now {
                Ok(Mode::Sure)
            } else {
                Err(No::to_every(self.or_grown(by_bucket, charge, now)))
            };
        }
        let next_confirmed = self.unconfirmed.next_at(self.silence(), now);
        let trials = u64::from(self.unconfirmed.trials());
        let when_confirmed = |holds| No {
            at: next_confirmed,
            holds,
        };
        let trial = |budget: u64| {
            if trials < budget {
                Ok(Mode::Trial)
            } else {
                Err(when_confirmed(Holds::None))
            }
        };
        if !self.quota.is_known() {
            return trial(self.slow_start()).map_err(|_| when_confirmed(Holds::Every));
        }
        if !self.unconfirmed.may_risk(charge.tokens) {
            let is_spent = self.unconfirmed.is_spent();
            return Err(when_confirmed(if is_spent { Holds::Every } else { Holds::Larger }));
        }
        if self.belief.form == Form::Log {
            return self.judge_by_log(charge, now);
        }
        let by_window = self.window_fits_at(charge, now);
        let fits_window = by_window.is_some_and(|at| at <= now);
        let is_window = self.belief.form == Form::Window;
        let knows_boundary = self.window.boundary().is_some();
        if is_window && self.belief.clock_is_new && knows_boundary && fits_window {
            return trial(1);
        }
        let fits_believed = if is_window { fits_window } else { by_bucket <= now };
        // A trial is none any more when the other model has room, too.
        let by_other = if is_window && (knows_boundary || fits_window) {
            Some(by_bucket)
        } else {
            by_window.or(self.forgets_at())
        };
        let by_other = by_other.filter(|&at| at > now);
        let or_sooner = |no: No| No {
            at: by_other.into_iter().chain(self.grows_at()).fold(no.at, Moment::min),
            ..no
        };
        match (by_bucket <= now && fits_window, fits_believed) {
            (true, _) => return Ok(Mode::Sure),
            (_, true) if self.belief.evidence >= self.tuning.proof => return Ok(Mode::Trial),
            (_, true) => return trial(self.belief.budget.into()).map_err(or_sooner),
            (_, false) => {}
        }
        if is_window && !knows_boundary {
            return trial(self.belief.budget.min(self.tuning.seekers).into()).map_err(or_sooner);
        }
        let finds_out = if self.may_raise(charge) {
            Some(Mode::Raise)
        } else {
            self.may_test(charge).then_some(Mode::Test)
        };
        match finds_out {
            Some(mode) if trials == 0 => return Ok(mode),
            _ => {}
        }
        let believed = match by_window {
            Some(at) if is_window => at,
            _ => self.or_grown(by_bucket, charge, now),
        };
        // Silence may confirm the last trial, so that the next can be made, or a test, which changes the belief.
        let is_tested = !is_window && self.unconfirmed.is_testing(self.belief.epoch);
        let after_trial =
            (finds_out.is_some() || is_tested).then(|| self.unconfirmed.next_trial_at(self.silence(), now));
        Err(No {
            at: after_trial.map_or(believed, |at| at.min(believed)).max(now + SOON),
            // A larger one may be a test where a smaller one is none.
            holds: if self.belief.test_is_due {
                Holds::None
            } else {
                Holds::Larger
            },
        })
    }

    /// One job above the learnt quota of a window finds out whether there is more.
    fn may_raise(&self, charge: &Charge) -> bool {
        Rule::Raise.is_on()
            && self.belief.form == Form::Window
            && !self.quota.is_trusted()
            && self.window.used() + charge.tokens < self.quota.ceiling()
            && !self.window.refused
            && self.raises.is_due()
    }

    /// One job that a bucket would refuse and a window admit tells which it is.
    fn may_test(&self, charge: &Charge) -> bool {
        let least =
            self.bucket.level() + charge.tokens - self.tuning.window_margin * self.bucket.deviation(charge.variance);
        self.is_test_due() && !self.belief.bucket_is_proven && least > self.vessel().capacity + CLEARLY * charge.tokens
    }

    /// When the bucket has room; now while nothing is known of it.
    pub(super) fn bucket_fits_at(&self, charge: &Charge, now: Moment) -> Moment {
        self.vessel_fits_at(self.vessel(), charge, now)
    }

    /// When the bucket has room for a request that would be a [test](Mode::Test) until then.
    pub fn is_no_test_at(&self, charge: &Charge, now: Instant) -> Instant {
        let (charge, now) = (charge.sane(), self.moment(now));
        self.instant(self.or_grown(self.bucket_fits_at(&charge, now), &charge, now))
    }

    fn vessel_fits_at(&self, vessel: Vessel, charge: &Charge, now: Moment) -> Moment {
        let margin = self.tuning.bucket_margin;
        match self.sku {
            _ if !self.quota.is_known() => now,
            Sku::Provisioned => self.bucket.under_brim_at(vessel, margin, now),
            Sku::Standard => self.bucket.fits_at(charge.tokens, charge.variance, vessel, margin, now),
        }
    }

    /// The bucket has room at `by_now` as it is now: when it may have at the earliest, should the quota grow meanwhile.
    fn or_grown(&self, by_now: Moment, charge: &Charge, now: Moment) -> Moment {
        let mut earliest = by_now;
        if self.grows_at().is_none() {
            return earliest;
        }
        for (at, tokens) in self.quota.steps_to_come(self.tokens_refused) {
            if at >= earliest {
                break;
            }
            let grown = self.vessel_fits_at(self.vessel_of(tokens), charge, now);
            earliest = earliest.min(grown.max(at));
        }
        earliest
    }

    /// When the window has room. While its boundary is unknown, the last minute is taken for it, and none is named.
    fn window_fits_at(&self, charge: &Charge, now: Moment) -> Option<Moment> {
        let (room, margin) = (self.usable(), self.tuning.window_margin);
        if self.window.boundary().is_some() {
            return self.window.fits_at(charge.tokens, charge.variance, room, margin, now);
        }
        let needed = needed(charge.tokens, margin * self.bucket.deviation(charge.variance), room);
        (self.sent.tokens() + needed <= room).then_some(now)
    }

    /// When the oldest send is too old to count in a window whose boundary is unknown.
    fn forgets_at(&self) -> Option<Moment> {
        self.sent
            .oldest()
            .map(|oldest| oldest + (self.length + 1.0) + MICROSECOND)
    }

    /// When the quota grows next, if nothing happens before.
    fn grows_at(&self) -> Option<Moment> {
        let may_grow = self.is_work_waiting && self.belief.form == Form::Bucket;
        self.quota.grows_at().filter(|_| may_grow)
    }

    /// When time alone changes an answer: something grows or, where the answer depends on that, is confirmed by silence, or
    /// a window begins.
    fn changes_at(&self, holds: Holds, now: Moment) -> Option<Moment> {
        let requests = self.requests.grows_at().filter(|_| self.is_work_waiting);
        // What does not depend on the charge does not depend on the window either.
        let turns = self.window.boundary().filter(|_| holds == Holds::Larger);
        let turns = turns.map(|boundary| boundary.reset);
        let grows = self.grows_at().into_iter().chain(requests).chain(turns);
        let is_under_way = holds == Holds::Larger && self.unconfirmed.is_any_written();
        let confirmed = is_under_way.then(|| self.unconfirmed.next_at(self.silence(), now));
        grows.chain(confirmed).min()
    }
}

impl No {
    fn to_every(at: Moment) -> Self {
        No {
            at,
            holds: Holds::Every,
        }
    }
}
