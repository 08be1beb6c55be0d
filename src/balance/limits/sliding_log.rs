//! The third model, which needs no state of its own: a sliding log, in which the charges of the last window's length and
//! the new one must fit.
//!
//! Microsoft's own simulator, API Management's policies and most limiters on Redis count so. What a burst has used comes
//! back one length later, all at once, and that is what a refusal names: the moment at which a send of ours has become old
//! enough to make room.

use super::Mode;
use super::admission::{Holds, No};
use super::belief::Form;
use super::bucket::needed;
use super::charge::Charge;
use super::limit::Limit;
use super::moment::Moment;
use super::refusal::Refused;
use crate::balance::rules::Rule;

/// Seconds by which a named wait may exceed, in whole seconds, what is left until a send is old enough …
const LATER: f64 = 1.25;
/// … and fall short of it.
const EARLIER: f64 = 0.25;
/// A log of which less than this part is used when it refuses is smaller than was thought.
const FULL: f64 = 0.97;
/// A longer wait says more than that a send came late, in seconds.
const LATE: f64 = 3.0;
/// Most seconds by which a send may come later than it was sent: so much more than a length is remembered.
const LONGEST_LAG: f64 = 1.0;
/// Most that is tried, as a multiple of what was learnt.
const MOST: f64 = 4.0;
/// Where no quota was told, so many refusals in a row that only a log explains make it believed.
const VOTES: u32 = 2;
/// What an answered raise adds at least.
const RAISED: f64 = 1.01;

impl Limit {
    /// Whether a request may go where a log is believed.
    pub(super) fn judge_by_log(&self, charge: &Charge, now: Moment) -> Result<Mode, No> {
        let fits = self.log_fits_at(charge, self.usable(), now);
        let raises = self.raises_log_at(charge, now);
        if fits <= now {
            Ok(Mode::Sure)
        } else if raises.is_some_and(|at| at <= now) {
            Ok(Mode::Raise)
        } else {
            Err(No {
                at: raises.into_iter().fold(fits, Moment::min),
                holds: Holds::Larger,
            })
        }
    }

    /// When a log that holds so much has room.
    fn log_fits_at(&self, charge: &Charge, room: f64, now: Moment) -> Moment {
        let counts_for = self.length + self.lag;
        let kept_free = self.tuning.window_margin * self.bucket.deviation(charge.variance);
        let counted = self.sent.tokens_but_for_those_until(now - counts_for);
        let over = counted + needed(charge.tokens, kept_free, room) - room;
        if over <= 0.0 {
            return now;
        }
        let sent = self.sent.reaches(over, now - counts_for);
        sent.map_or(now, |sent| sent) + counts_for
    }

    /// When one job above the learnt quota may find out whether there is more; never while what was told is trusted.
    fn raises_log_at(&self, charge: &Charge, now: Moment) -> Option<Moment> {
        if self.quota.is_trusted() || !Rule::Raise.is_on() {
            return None;
        }
        let most = self.quota.ceiling().min(MOST * self.quota.tokens());
        let at = self.log_fits_at(charge, most, now).max(self.raises.due_at());
        let is_trying = self.unconfirmed.trials() > 0;
        let confirmed = is_trying.then(|| self.unconfirmed.next_trial_at(self.silence(), now));
        Some(confirmed.map_or(at, |confirmed| at.max(confirmed)))
    }

    /// Tokens that a log held when it refused.
    fn logged(&self, refused: &Refused) -> f64 {
        self.sent.tokens_after(refused.sent - self.length)
    }

    /// Whether what became old enough within the last second would have been missing: it may not have left yet.
    fn was_just_left(&self, refused: &Refused) -> bool {
        let held = self.sent.tokens_after(refused.sent - (self.length + LONGEST_LAG));
        held > self.logged(refused) && held + refused.tokens >= FULL * self.quota.tokens()
    }

    /// Whether a log would have named this wait: it ends when a send of ours is old enough to make room for what was
    /// refused, or for what of it exceeds the quota. That is never more than all of it: whoever admitted more than the
    /// quota in the length before does not count by a log.
    pub(super) fn is_log_like(&self, refused: &Refused, wait: f64) -> bool {
        let since = refused.sent - self.length;
        let short = self.logged(refused) + refused.tokens - self.quota.tokens();
        let needs = [refused.tokens, short.clamp(0.0, refused.tokens)];
        needs.into_iter().filter(|&need| need > 0.0).any(|need| {
            let sent = self.sent.reaches(need, since);
            let left = sent.map(|sent| self.length - (refused.sent - sent));
            left.is_some_and(|left| (wait - LATER..=wait + EARLIER).contains(&left))
        })
    }

    /// What is believed does not explain a refusal. Where a log does, it is believed from now on: at once where limits were
    /// told, by the second refusal in a row where they were not.
    pub(super) fn believes_log(&mut self, refused: &Refused, wait: f64) -> bool {
        if !Rule::SlidingLog.is_on() || !self.is_log_like(refused, wait) {
            self.belief.votes_for_log = 0;
            return false;
        }
        self.belief.votes_for_log += 1;
        let is_shown = self.quota.ceiling().is_finite() || self.belief.votes_for_log >= VOTES;
        if is_shown {
            self.believe_log(refused);
        }
        is_shown
    }

    fn believe_log(&mut self, refused: &Refused) {
        self.belief.change(Form::Log, 1);
        self.belief.surprises = 0;
        self.window.forget_boundary();
        self.block_until(refused.until);
        let logged = self.logged(refused);
        if logged + refused.tokens < FULL * self.quota.tokens() {
            self.quota.distrust();
            self.quota.learn(logged);
            self.quota.rest(refused.at);
            self.unconfirmed.one_at_a_time();
        }
    }

    /// A log is believed, and has refused what was sent after the last refusal that was seen.
    pub(super) fn log_refused(&mut self, refused: &Refused) {
        let Some(wait) = refused.wait else {
            self.block_until(refused.until);
            self.unconfirmed.one_at_a_time();
            return;
        };
        let is_log_like = self.is_log_like(refused, wait);
        if self.quota.is_trusted() && wait <= LATE && self.was_just_left(refused) {
            // What should have left had come later than it was sent. That is no less of a quota.
            self.lag = LONGEST_LAG.min(2.0 * self.lag);
            self.block_until(refused.until);
        } else if is_log_like && refused.mode == Mode::Raise {
            self.raises.refused_by_log(refused.at);
            self.block_until(refused.until);
        } else if !refused.fits_bucket && wait <= self.longest_bucket_wait(refused, false) {
            self.believe_bucket(refused, wait);
        } else if is_log_like {
            self.believe_log(refused);
        } else {
            self.block_until(refused.until);
            self.belief.surprises += 1;
            if self.belief.surprises >= VOTES {
                self.belief.change(Form::Bucket, 1);
                self.belief.surprises = 0;
            }
        }
    }

    /// The rest of a burst that a log has refused: it holds no more than was admitted.
    pub(super) fn rest_of_burst_refused_by_log(&mut self, refused: &Refused) {
        let is_log_like = refused.wait.is_some_and(|wait| self.is_log_like(refused, wait));
        if is_log_like && !self.quota.is_trusted() {
            self.quota.learn(self.quota.tokens().min(self.logged(refused)));
        }
    }

    /// A raise was answered: a log that holds it holds all that was sent in the length before.
    pub(super) fn raise_answered_by_log(&mut self, sent: Moment) {
        let logged = self.sent.tokens_after(sent - self.length);
        self.quota.learn(logged.max(RAISED * self.quota.tokens()));
        self.raises.answered_by_log();
    }
}
