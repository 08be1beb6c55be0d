//! What a refusal teaches.
//!
//! | believed | refused | then |
//! |---|---|---|
//! | anything | for want of capacity, or alone | nothing is sent before the wait is over, and that is all |
//! | anything | for longer than a window | the same, and then one at a time |
//! | anything | a send of an earlier epoch, or from before the last refusal | the same; a quota measured in this window may shrink |
//! | nothing (quota unknown) | tokens | the wait tells the form, what was confirmed the quota |
//! | bucket | after a wait that no bucket names, and a sliding log does | **log**; never told: by the second in a row |
//! | bucket | after another wait that no bucket names | **window**, which ends when the wait does |
//! | bucket | a test, after a wait that a bucket names | the bucket is proven |
//! | bucket | where what was admitted since the last refusal contradicts a bucket | noise: what uncertain refusals taught is taken back |
//! | bucket | else | a surprise: one at a time, a test is due; from the second on the quota is doubtful |
//! | window, boundary unknown | tokens | as by another clock: **log**; else the boundary is known now |
//! | window | just after its boundary, for a moment | it opened later than told: the clock is shifted |
//! | window | a raise, by the same clock | not above this for a while |
//! | window | where the bucket had no room either, after a wait that it names | **bucket** |
//! | window | by the same clock, much used | the window is full, or the quota smaller than thought |
//! | window | the rest of a burst that found it full, a tenth of the quota or more | the quota is what was admitted |
//! | window | by another clock, after a wait that a log names | **log**, as above |
//! | window | else | every second time the clock is learnt anew |
//! | log | a raise, after a wait that a log names | not above this for a while |
//! | log | where the bucket had no room either, after a wait that it names | **bucket** |
//! | log | after a wait that a log names | its quota is what was sent in the last length, where that is less |
//! | log | else | every second time **bucket**, from its beginnings |
//! | provisioned | | its level is known now |
//!
//! A refusal for three seconds or less is doubted first, see [`doubts`](super::doubts): it teaches once it is known to be a limit.
//!
//! Where the service named no time, nothing is learnt about clocks: only the quantities above.

use std::collections::BTreeSet;

use super::belief::Form;
use super::charge::{Exhausted, Mode, Refusal, Reservation};
use super::limit::Limit;
use super::moment::Moment;
use super::quota::FullBucket;
use super::sku::Sku;
use super::window::Boundary;
use crate::balance::rules::Rule;

/// What was refused, as the rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) tokens: f64,
    pub(super) mode: Mode,
    pub(super) sent: Moment,
    pub(super) fits_bucket: bool,
    /// Sent in the present epoch and after the last refusal that was seen.
    pub(super) is_fresh: bool,
    /// Seconds that the service has named.
    pub(super) wait: Option<f64>,
    /// When the refusal came.
    pub(super) at: Moment,
    /// Until when the caller wants nothing sent: the service's time, or its own back-off.
    pub(super) until: Moment,
}

/// A refusal for no longer than so many seconds may be noise.
const SHORT: f64 = 3.0;
/// Seconds by which the whole-second wait of a bucket may exceed what is left to drain.
const ROUNDING: f64 = 1.0;
/// Least quota, in tokens a minute, that a window's first refusal may tell.
const LEAST_WINDOW: f64 = 2_000.0;
/// A window that has admitted less than this part of the quota is used by others too.
const ALONE: f64 = 0.9;
/// A window with this part of a trusted quota used is full: what is missing are late requests and rounding.
const FULL: f64 = 0.96;
/// A refusal by the same clock speaks of the quota where at least this part of it is used.
const MUCH: f64 = 0.5;
/// So soon after the boundary, and with a wait no longer than that, a refusal says that the window opened late.
const LATE: f64 = 3.0;
/// Seconds between two shifts of the clock.
const SHIFTS_APART: f64 = 10.0;
/// Trials at once after the first refusal of a bucket of unknown quota.
const FIRST_BUDGET: u32 = 4;
/// Surprises after which no further test is due, and the quota is doubtful.
const TESTED: u32 = 2;
/// A provisioned quota that is refused though it was doubtful shrinks by this part.
const PROVISIONED_STEP_DOWN: f64 = 0.99;
/// What a bucket must have had is believed to be at least this part of the quota.
const LEAST_PART: f64 = 1.0 / 16.0;

impl Limit {
    /// A send was refused. Whether nothing else of ours was charged.
    pub(super) fn refused(&mut self, reservation: &Reservation, refusal: &Refusal, now: Moment) -> bool {
        self.refusals += 1;
        let written = self
            .unconfirmed
            .remove(reservation.number)
            .map_or(reservation.sent, |send| send.at);
        self.trips.record(now - written);
        self.correct(reservation, 0.0);
        let refused = Refused {
            tokens: reservation.charge.tokens,
            mode: reservation.mode,
            sent: reservation.sent,
            fits_bucket: reservation.fits_bucket,
            is_fresh: reservation.epoch == self.belief.epoch
                && reservation.sent >= self.tokens_refused.max(self.requests_refused),
            wait: refusal.wait.named(),
            at: now,
            until: now + refusal.wait.seconds(),
        };
        let alone = !self.sent.is_charged();
        let exhausted = refusal.exhausted(refused.tokens);
        let longest = match exhausted {
            Exhausted::Requests => self.requests.longest_span(),
            Exhausted::Tokens | Exhausted::Capacity => self.length,
        };
        let is_too_long = refused.wait.is_some_and(|wait| wait > longest);
        let is_doubtful =
            Rule::Doubts.is_on() && refused.mode != Mode::Test && refused.wait.is_none_or(|wait| wait <= SHORT);
        match exhausted {
            Exhausted::Tokens => self.doubts.heard(reservation.number, refused.tokens, written, true),
            Exhausted::Requests | Exhausted::Capacity => self.doubts.left(reservation.number),
        }
        match exhausted {
            Exhausted::Requests if self.sku == Sku::Standard => {
                self.requests.release(reservation.sent);
                self.block_until(refused.until);
                let says_nothing = is_too_long || alone && self.requests.is_alone(now);
                if !says_nothing {
                    self.requests_refused(&refused);
                }
            }
            Exhausted::Capacity => self.block_until(refused.until),
            _ if alone || is_too_long => {
                self.tokens_refused = now;
                self.window.refused = true;
                // Whoever asks to wait for so long has no room for a burst afterwards either.
                if !alone {
                    self.unconfirmed.one_at_a_time();
                }
                self.block_until(refused.until);
            }
            _ if is_doubtful => {
                self.block_until(refused.until);
                let open = self.unconfirmed.written_after(reservation.number);
                self.doubts.refused(refused, reservation.number, self.next, open);
            }
            _ => {
                self.before = None;
                self.limit_met(&refused);
            }
        }
        self.conclude();
        alone
    }

    /// What was refused has met a limit of ours.
    pub(super) fn limit_met(&mut self, refused: &Refused) {
        let newest = self.tokens_refused.max(self.requests_refused);
        let refused = &Refused {
            is_fresh: refused.is_fresh && refused.sent >= newest,
            ..*refused
        };
        if self.sku == Sku::Provisioned {
            self.provisioned_refused(refused);
        } else {
            self.tokens_refused(refused);
        }
    }

    pub(super) fn block_until(&mut self, until: Moment) {
        self.block = self.block.max(until);
    }

    fn requests_refused(&mut self, refused: &Refused) {
        self.requests_refused = refused.at;
        if let Some(wait) = refused.wait {
            self.requests.refused(refused.sent, wait, refused.is_fresh, refused.at);
        }
    }

    fn provisioned_refused(&mut self, refused: &Refused) {
        let wait = refused.wait.unwrap_or(0.0);
        self.block_until(refused.until);
        if !self.quota.is_known() {
            let admitted = self.sent.admitted(0.5, self.length, refused.at, |_| false);
            self.quota.learn(admitted.quota);
            // Until now nothing has drained: its level says nothing.
            self.bucket.set_level(0.0);
        } else if refused.is_fresh && self.quota.is_trusted() {
            self.quota.distrust();
        } else if refused.is_fresh {
            self.quota.learn(PROVISIONED_STEP_DOWN * self.quota.tokens());
        }
        self.quota.rest(refused.at);
        let vessel = self.vessel();
        let kept_free = self.tuning.bucket_margin * self.bucket.deviation(0.0);
        let level = vessel.capacity + wait * vessel.rate - kept_free;
        self.bucket.set_level(self.bucket.level().max(level));
        self.tokens_refused = refused.at;
    }

    fn tokens_refused(&mut self, refused: &Refused) {
        self.tokens_refused = refused.at;
        let was_refused = std::mem::replace(&mut self.window.refused, true);
        if !self.quota.is_known() {
            self.first_refused(refused);
        } else if refused.mode == Mode::Raise && self.names_known_boundary(refused) {
            // Of several under way at once the first tells.
            if !was_refused {
                self.raises.refused(self.window.used());
            }
            self.block_until(refused.until);
        } else if !refused.is_fresh {
            self.block_until(refused.until);
            self.rest_of_burst_refused(refused);
        } else {
            match (self.belief.form, self.window.boundary(), refused.wait) {
                (Form::Log, ..) => self.log_refused(refused),
                (Form::Bucket, _, wait) => self.bucket_refused(refused, wait),
                (Form::Window, None, Some(wait)) if self.believes_log(refused, wait) => {}
                (Form::Window, None, Some(wait)) => self.learn_window(refused, wait),
                (Form::Window, Some(_), Some(wait)) => self.window_refused(refused, wait),
                (Form::Window, _, None) => self.window_refused_untimed(refused),
            }
        }
    }

    /// The quota was unknown until now: the wait tells which form it has, and what was confirmed how large it is.
    fn first_refused(&mut self, refused: &Refused) {
        let unconfirmed: BTreeSet<u64> = self.unconfirmed.numbers().collect();
        let admitted = self
            .sent
            .admitted(1.0, self.length, refused.at, |send| unconfirmed.contains(&send));
        self.belief.epoch += 1;
        self.quota.rest(refused.at);
        self.unconfirmed.one_at_a_time();
        self.block_until(refused.until);
        if admitted.quota <= 0.0 {
            return;
        }
        let longest = (self.length * refused.tokens / admitted.quota).ceil() + ROUNDING;
        match refused.wait {
            Some(wait) if wait > longest && self.believes_log(refused, wait) => {}
            Some(wait) if wait > longest => {
                self.begin_window(Boundary::named(refused.sent, wait, refused.at));
                self.window.measured = true;
                let least = LEAST_WINDOW * self.length / 60.0;
                self.quota.learn(self.window.used().max(least));
                self.bucket.set_level(self.quota.tokens().min(admitted.total));
            }
            wait => {
                self.quota.learn(admitted.quota);
                self.belief.change(Form::Bucket, FIRST_BUDGET);
                self.belief.test_is_due = true;
                let drains = wait.unwrap_or(0.0) * admitted.quota / self.length;
                self.bucket
                    .set_level(admitted.quota - (refused.tokens - drains).max(0.0));
            }
        }
    }

    fn bucket_refused(&mut self, refused: &Refused, wait: Option<f64>) {
        let is_test = refused.mode == Mode::Test;
        if let Some(wait) = wait.filter(|&wait| wait > self.longest_bucket_wait(refused, is_test)) {
            if !self.believes_log(refused, wait) {
                self.learn_window(refused, wait);
            }
            return;
        }
        self.block_until(refused.until);
        if is_test {
            self.belief.evidence = self.tuning.proof;
            self.belief.bucket_is_proven = true;
            return;
        }
        // A short wait although there should have been room: too late, too much, or a quota that is smaller or shared.
        self.belief.change(Form::Bucket, 1);
        self.belief.test_is_due = self.belief.surprises < TESTED;
        self.belief.bucket_is_proven = false;
        self.belief.surprises += 1;
        self.unconfirmed.one_at_a_time();
        let full = FullBucket {
            at: refused.at,
            sent: refused.sent,
            wait: wait.unwrap_or(0.0),
            tokens: refused.tokens,
        };
        let open: BTreeSet<u64> = self.unconfirmed.numbers().collect();
        let is_open = |number| open.contains(&number);
        if !self.quota.refused_at_full(full, self.length, &self.sent, is_open) {
            self.refusals_contradict();
        }
        if self.belief.surprises >= TESTED {
            self.quota.distrust();
        }
        self.quota.rest(refused.at);
        let vessel = self.vessel();
        self.bucket
            .set_level(vessel.capacity - refused.tokens + full.wait * vessel.rate);
    }

    /// The longest wait that a bucket would name. One whose quota is trusted names what its own level says; it is asked
    /// so only where nothing else can have filled it, by a test.
    pub(super) fn longest_bucket_wait(&self, refused: &Refused, is_test: bool) -> f64 {
        let quota = self.quota.tokens();
        if is_test && self.quota.is_trusted() {
            let vessel = self.vessel();
            let over = (self.bucket.level() + refused.tokens - vessel.capacity).max(1e-3);
            return (over / vessel.rate).ceil() + ROUNDING;
        }
        let admitted = self.sent.admitted(1.0, self.length, refused.at, |_| false).quota;
        let quota = quota.min(admitted.max(LEAST_PART * quota));
        (self.length * refused.tokens / quota).ceil() + ROUNDING
    }

    /// Believes in windows, of which the present one ends when the wait does.
    fn learn_window(&mut self, refused: &Refused, wait: f64) {
        let named = Boundary::named(refused.sent, wait, refused.at);
        let (_, in_window, _) = self.sent.since(named.earliest - self.length);
        let others_use_it = in_window + refused.tokens < ALONE * self.quota.tokens();
        self.begin_window(named);
        if others_use_it {
            self.window.measured = true;
            self.quota.distrust();
            self.quota.learn((0.5 * self.quota.tokens()).max(self.window.used()));
            self.unconfirmed.one_at_a_time();
        }
        self.block_until(named.reset);
    }

    /// A window with this end, in which all counts that was sent within one window before.
    fn begin_window(&mut self, named: Boundary) {
        self.belief.window_with_new_clock();
        self.window.begin(Some(named), self.next);
        if let (Some(first), tokens, variance) = self.sent.since(named.reset - self.length) {
            self.window.recount(first, tokens, variance);
        }
    }

    fn window_refused(&mut self, refused: &Refused, wait: f64) {
        let named = Boundary::named(refused.sent, wait, refused.at);
        let same_clock = self.window.agrees(named, self.length);
        let much_used = self.window.used() >= MUCH * self.quota.tokens();
        let is_proven = self.belief.evidence >= self.tuning.proof && same_clock && much_used;
        if wait <= LATE && Rule::ClockShift.is_on() && self.has_just_opened(refused) {
            self.shift_clock(refused, named);
        } else if !refused.fits_bucket && !is_proven && wait <= self.longest_bucket_wait(refused, false) {
            self.believe_bucket(refused, wait);
        } else if same_clock && much_used {
            self.window.narrow(named, self.length);
            self.block_until(self.window.boundary().map_or(refused.until, |boundary| boundary.reset));
            self.window_is_full(refused);
        } else if same_clock || !self.believes_log(refused, wait) {
            self.block_until(refused.until);
            self.belief.surprises += 1;
            if self.belief.surprises.is_multiple_of(2) {
                self.learn_window(refused, wait);
            }
        }
    }

    /// The same where no time was named.
    fn window_refused_untimed(&mut self, refused: &Refused) {
        self.block_until(refused.until);
        let is_known = self.window.boundary().is_some();
        if is_known && self.window.used() >= MUCH * self.quota.tokens() {
            self.window_is_full(refused);
        } else {
            self.unconfirmed.one_at_a_time();
        }
    }

    /// The rest of a burst that found its window full: what it admitted is the quota.
    fn rest_of_burst_refused(&mut self, refused: &Refused) {
        if !Rule::RestOfBurst.is_on() {
            return;
        }
        if self.belief.form == Form::Log {
            self.rest_of_burst_refused_by_log(refused);
            return;
        }
        let used = self.window.used();
        // A few late or badly estimated requests are no reason to doubt what was told; a tenth of the quota is.
        if self.quota.is_trusted() && self.window.filled && used < ALONE * self.quota.tokens() {
            self.quota_is_smaller();
        } else if self.belief.form == Form::Window && self.window.measured && used < self.quota.tokens() {
            self.quota.learn(used);
        }
    }

    fn window_is_full(&mut self, refused: &Refused) {
        self.belief.waver();
        let quota = self.quota.tokens();
        if self.quota.is_trusted() && self.window.used() + refused.tokens >= FULL * quota {
            self.window.fill(quota);
            return;
        }
        self.quota_is_smaller();
    }

    /// Than was thought: it is what the present window has admitted.
    fn quota_is_smaller(&mut self) {
        self.quota.distrust();
        self.quota.learn(self.quota.tokens().min(self.window.used()));
        self.window.measured = true;
        self.unconfirmed.one_at_a_time();
        self.raises.restart();
    }

    pub(super) fn believe_bucket(&mut self, refused: &Refused, wait: f64) {
        self.belief.change(Form::Bucket, 1);
        self.belief.test_is_due = false;
        self.block_until(refused.until);
        let admitted = self.sent.admitted(1.0, self.length, refused.at, |_| false).quota;
        self.quota.learn(self.quota.tokens().max(admitted));
        let vessel = self.vessel();
        let told = vessel.capacity - refused.tokens + wait * vessel.rate;
        self.bucket.set_level(self.bucket.level().min(told));
    }

    /// Whether it was sent just after the window's boundary, as far as that was known.
    fn has_just_opened(&self, refused: &Refused) -> bool {
        let opened = self.window.boundary().map(|boundary| boundary.reset - self.length);
        let after = opened.map(|opened| refused.sent - opened);
        after.is_some_and(|after| after > -0.2 && after < LATE) && refused.at - self.shifted > SHIFTS_APART
    }

    fn shift_clock(&mut self, refused: &Refused, named: Boundary) {
        self.shifted = refused.at;
        self.belief.window_with_new_clock();
        let boundary = Boundary {
            earliest: named.reset - 1.0,
            reset: named.reset,
        };
        self.window.begin(Some(boundary), self.next);
        self.block_until(named.reset);
    }

    fn names_known_boundary(&self, refused: &Refused) -> bool {
        let named = refused.wait.map(|wait| Boundary::named(refused.sent, wait, refused.at));
        named.is_some_and(|named| self.window.agrees(named, self.length))
    }
}
