//! How many tokens the service grants in a window, as far as that is known.

use super::moment::Moment;
use super::sent_log::SentLog;
use crate::balance::rules::Rule;

/// The quota that is believed, between a floor and what was told.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    /// Tokens a window; infinite while unknown.
    tokens: f64,
    /// Tokens a window by the configuration; infinite where it says nothing.
    configured: f64,
    /// The least of what configuration and service have told: never exceeded.
    ceiling: f64,
    /// Never believed to be less, so that a wrong conclusion can be found out.
    floor: f64,
    /// It was told, and nothing has contradicted it since.
    trusted: bool,
    /// When it last changed; from there on it is tried whether there is more.
    grown: Moment,
    /// When two refusals last lowered it.
    lowered: Moment,
    /// An earlier refusal at a full bucket.
    full: Option<FullBucket>,
}

/// A refusal that a bucket explains: it was full then.
#[derive(Clone, Copy, Debug)]
pub(super) struct FullBucket {
    /// When the refusal came.
    pub(super) at: Moment,
    /// When what it refused was sent.
    pub(super) sent: Moment,
    /// How many seconds it asked to wait.
    pub(super) wait: f64,
    /// What was refused.
    pub(super) tokens: f64,
}

/// The floor, as a part of what was told.
const FLOOR: f64 = 1.0 / 16.0;
/// Tokens a minute below which no quota is believed where nothing was told.
const LEAST: f64 = 1_000.0;
/// Tokens a minute above which a figure is no quota.
const ABSURD: f64 = 1e12;
/// Seconds between two steps of growth.
const STEP: f64 = 10.0;
/// Each such step adds this part of the quota …
const GROWTH: f64 = 0.0025;
/// … doubled for every so many seconds without a refusal …
const QUIET: f64 = 20.0;
/// … so many times at most.
const DOUBLINGS: f64 = 6.0;
/// Seconds between two refusals that tell a rate, and between two steps down.
const APART: f64 = 5.0;
/// Seconds after which the earlier of two refusals is replaced.
const OLD: f64 = 30.0;
/// Seconds after which it says nothing more.
const TOO_OLD: f64 = 300.0;
/// Seconds by which a wait in whole seconds may exceed what it is rounded from.
const ROUNDING: f64 = 1.0;
/// What is left of the quota after one step down.
const STEP_DOWN: f64 = 0.7;

impl Quota {
    /// `minutes`: length of the quota's window.
    pub(super) fn new(per_minute: Option<u64>, minutes: f64) -> Self {
        let told = per_minute.map(|tokens| tokens as f64);
        let told = told.filter(|tokens| is_sane(*tokens)).map(|tokens| tokens * minutes);
        let tokens = told.unwrap_or(f64::INFINITY);
        Quota {
            tokens,
            configured: tokens,
            ceiling: tokens,
            floor: told.map_or(LEAST * minutes, |told| told * FLOOR),
            trusted: told.is_some(),
            grown: Moment::LONG_AGO,
            lowered: Moment::LONG_AGO,
            full: None,
        }
    }

    /// Tokens a window; infinite while unknown.
    pub(super) fn tokens(&self) -> f64 {
        self.tokens
    }

    pub(super) fn is_known(&self) -> bool {
        self.tokens.is_finite()
    }

    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Tokens a window by the configuration, where it says so.
    pub(super) fn configured(&self) -> Option<f64> {
        Some(self.configured).filter(|tokens| tokens.is_finite())
    }

    /// The most that it may be.
    pub(super) fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// What was learnt, kept between floor and ceiling.
    pub(super) fn learn(&mut self, tokens: f64) {
        self.tokens = tokens.clamp(self.floor, self.ceiling.max(self.floor));
    }

    /// Something has contradicted it.
    pub(super) fn distrust(&mut self) {
        self.trusted = false;
    }

    /// A refusal has just taught something: growth starts anew.
    pub(super) fn rest(&mut self, now: Moment) {
        self.grown = now;
    }

    /// The service names its limit in tokens a minute. Whether that is news.
    ///
    /// A figure below the floor is no limit that anybody could work with: it is not believed, as no absurd one is.
    pub(super) fn told(&mut self, per_minute: f64, minutes: f64) -> bool {
        let ceiling = self.configured.min(per_minute * minutes);
        let is_news = (ceiling - self.ceiling).abs() > 0.5;
        let least = self.configured().map_or(LEAST * minutes, |told| told * FLOOR);
        if !is_sane(per_minute) || ceiling < least || !is_news {
            return false;
        }
        self.ceiling = ceiling;
        self.floor = ceiling * FLOOR;
        self.tokens = ceiling;
        self.trusted = true;
        self.full = None;
        true
    }

    /// The service counts in another window, so many times as long: what it grants in one is as much more.
    pub(super) fn counted_in(&mut self, times: f64) {
        for tokens in [
            &mut self.tokens,
            &mut self.configured,
            &mut self.ceiling,
            &mut self.floor,
        ] {
            *tokens *= times;
        }
        self.full = None;
    }

    /// When it may grow next, if nothing happens before.
    pub(super) fn grows_at(&self) -> Option<Moment> {
        (Rule::Growth.is_on() && self.is_known() && !self.trusted && self.tokens < self.ceiling)
            .then(|| self.grown + STEP)
    }

    /// A little more is tried, the longer nothing was refused the more.
    pub(super) fn grow(&mut self, refused: Moment, now: Moment) {
        if self.grows_at().is_some_and(|due| now >= due) {
            self.step_up(refused, now);
            self.grown = now;
        }
    }

    fn step_up(&mut self, refused: Moment, now: Moment) {
        let doublings = ((now - refused) / QUIET).floor().clamp(0.0, DOUBLINGS);
        self.learn(self.tokens + GROWTH * doublings.exp2() * self.tokens.max(4.0 * self.floor));
    }

    /// The most that it can have grown to after each of the steps to come, with the time of the step: when they are made
    /// depends on who asks when, so each is taken to be as large as it would be one step later.
    pub(super) fn steps_to_come(&self, refused: Moment) -> impl Iterator<Item = (Moment, f64)> {
        let mut quota = self.clone();
        std::iter::from_fn(move || {
            let at = quota.grows_at()?;
            quota.grown = at;
            quota.step_up(refused, at + STEP);
            Some((at, quota.tokens))
        })
    }

    /// Refused at a bucket that should have had room: two such refusals tell the rate at which the service drains. False
    /// where a bucket of that rate would not have admitted what was sent in between: one of the two was not full.
    ///
    /// `length` are the window's seconds; of which sends it is not known yet whether they were admitted, `is_open` says.
    pub(super) fn refused_at_full(
        &mut self,
        full: FullBucket,
        length: f64,
        sent: &SentLog,
        is_open: impl Fn(u64) -> bool,
    ) -> bool {
        let apart = |earlier: FullBucket| full.at - earlier.at + full.wait - earlier.wait;
        let earlier = self.full.map(|earlier| (earlier, apart(earlier)));
        let Some((earlier, apart)) = earlier.filter(|&(_, apart)| apart <= TOO_OLD) else {
            self.full = Some(full);
            return true;
        };
        if apart < APART || full.at - self.lowered < APART {
            return true;
        }
        let drained = sent.tokens_after(earlier.sent) + full.tokens - earlier.tokens;
        // Waits are whole seconds, rounded up: the time between may be one less.
        let rate = drained / (apart - ROUNDING);
        let least = sent.least_rate(earlier.sent, earlier.tokens, ROUNDING - earlier.wait, is_open);
        if Rule::Contradiction.is_on() && least > rate {
            self.full = Some(full);
            return false;
        }
        self.lowered = full.at;
        self.learn(self.tokens.min(length * rate).max(STEP_DOWN * self.tokens));
        if full.at - earlier.at > OLD {
            self.full = Some(full);
        }
        true
    }
}

fn is_sane(per_minute: f64) -> bool {
    (1.0..=ABSURD).contains(&per_minute)
}
