//! Requests, which the service counts apart from tokens, in short windows.

use std::collections::VecDeque;

use super::moment::Moment;
use crate::balance::rules::Rule;

/// Paces requests so that no window of the service, wherever it begins, holds more than the limit.
#[derive(Clone, Debug)]
pub(super) struct RequestPacer {
    /// Requests a minute as configured; infinite where nothing was said.
    configured: f64,
    /// Requests a minute as last told by configuration or service.
    told: f64,
    /// Requests a window that are believed to be admitted; fractions are for growing.
    limit: f64,
    /// The window's length in seconds.
    span: f64,
    /// Seconds by which an arrival may move against a boundary.
    jitter: f64,
    /// What was sent in the last minute, oldest first. Bounded: see [`MOST`].
    sends: VecDeque<Moment>,
    /// How many of those are too old to count in the present window.
    past: usize,
    growth: Option<Growth>,
    /// Seconds to wait after a refusal before the limit grows again.
    pause: f64,
}

/// After a refusal it is tried again and again whether there is more.
#[derive(Clone, Copy, Debug)]
struct Growth {
    /// The last step up or down.
    last: Moment,
    /// Steps up since the last refusal.
    steps: u32,
}

impl Growth {
    /// What follows a step at this moment.
    fn next(self, now: Moment) -> Self {
        Growth {
            last: now,
            steps: DOUBLINGS.min(self.steps + 1),
        }
    }
}

/// Sends that are remembered: half a megabyte, and more requests a minute than any deployment has.
const MOST: usize = 65_536;
/// Seconds for which sends are remembered: the longest window, and the second by which a wait is rounded up.
const REMEMBERED: f64 = 61.0;
const MINUTE: f64 = 60.0;
/// The windows that the service is known to count in.
const SHORT: f64 = 1.0;
const MEDIUM: f64 = 10.0;
const LONG: f64 = 60.0;
/// Requests a minute above which a figure is no limit.
const ABSURD: f64 = 1e9;
/// A limit that was refused though nothing less was admitted shrinks by this part.
const STEP_DOWN: f64 = 0.97;
/// A step up adds this part and one request, doubled with each further step …
const STEP_UP: f64 = 0.02;
/// … so many times at most.
const DOUBLINGS: u32 = 5;
/// First and longest pause, in seconds; it doubles with every refusal.
const PAUSE: f64 = 30.0;
const LONGEST_PAUSE: f64 = 120.0;
/// So much more than a window's share may have been sent in a second that still looks paced.
const BURST: f64 = 1.5;
/// A window of a second refuses nothing before its share has been sent within one; half of it, as the network may have
/// moved some.
const PACED: f64 = 0.5;

impl RequestPacer {
    pub(super) fn new(per_minute: Option<u64>, span: f64, jitter: f64) -> Self {
        let told = per_minute.map(|requests| requests as f64);
        let told = told.filter(|requests| is_sane(*requests)).unwrap_or(f64::INFINITY);
        let span = holding_one(told, span);
        let mut pacer = RequestPacer {
            configured: told,
            told,
            limit: f64::INFINITY,
            span,
            jitter,
            sends: VecDeque::new(),
            past: 0,
            growth: None,
            pause: PAUSE,
        };
        pacer.limit = pacer.told_for(span);
        pacer
    }

    /// Requests a window; none while unknown.
    pub(super) fn limit(&self) -> Option<f64> {
        Some(self.limit.floor()).filter(|limit| limit.is_finite())
    }

    /// The window's length in seconds.
    pub(super) fn span(&self) -> f64 {
        self.span
    }

    /// The service says in which window it counts, in seconds. One that makes no sense is passed over. Whether that is
    /// news.
    pub(super) fn counted_every(&mut self, span: f64) -> bool {
        if !(SHORT..=LONG).contains(&span) || span == self.span {
            return false;
        }
        self.limit = self.told_for(span).min(self.limit * span / self.span).max(1.0);
        self.span = span;
        // The next look at the time finds out which sends are in the new window.
        self.past = 0;
        true
    }

    /// The longest window in which requests may be counted, in seconds.
    pub(super) fn longest_span(&self) -> f64 {
        LONG.max(self.span)
    }

    /// What was told makes so many requests in a window of `span` seconds, at least one.
    fn told_for(&self, span: f64) -> f64 {
        (self.told * span / MINUTE).floor().max(1.0)
    }

    pub(super) fn push(&mut self, now: Moment) {
        if self.sends.len() >= MOST {
            self.sends.pop_front();
            self.past = self.past.saturating_sub(1);
        }
        self.sends.push_back(now);
    }

    /// One that was sent at this moment does not count.
    pub(super) fn release(&mut self, sent: Moment) {
        if let Ok(index) = self.sends.binary_search(&sent) {
            self.sends.remove(index);
            self.past -= usize::from(index < self.past);
        }
    }

    /// Time passes; the limit grows where work is waiting.
    pub(super) fn advance(&mut self, is_work_waiting: bool, now: Moment) {
        let remembered = REMEMBERED.max(self.span + 1.0);
        while self.sends.front().is_some_and(|&oldest| oldest < now - remembered) {
            self.sends.pop_front();
            self.past = self.past.saturating_sub(1);
        }
        while self
            .sends
            .get(self.past)
            .is_some_and(|&send| now >= self.leaves_at(send))
        {
            self.past += 1;
        }
        if let Some(growth) = self
            .growth
            .filter(|growth| is_work_waiting && now >= growth.last + self.pause)
        {
            self.limit = self.grown(self.limit, growth.steps);
            self.growth = Some(growth.next(now));
        }
    }

    fn grown(&self, limit: f64, steps: u32) -> f64 {
        let step = (STEP_UP * limit + 1.0) * f64::from(1u32 << steps);
        self.told_for(self.span).min(limit + step)
    }

    /// When the limit grows next, if nothing happens before.
    pub(super) fn grows_at(&self) -> Option<Moment> {
        self.growth.map(|growth| growth.last + self.pause)
    }

    /// When one more request may go, at the earliest: others leave the window, and where work is waiting the limit grows.
    pub(super) fn ready_at(&self, is_work_waiting: bool, now: Moment) -> Moment {
        let mut ready = self.has_room_at(self.limit, now);
        let (mut limit, mut growth) = (self.limit, self.growth.filter(|_| is_work_waiting));
        while let Some(step) = growth
            && let grows = step.last + self.pause
            && grows < ready
        {
            limit = self.grown(limit, step.steps);
            ready = ready.min(self.has_room_at(limit, now).max(grows));
            growth = Some(step.next(grows));
        }
        ready
    }

    /// When a window of so many requests has room for one more.
    fn has_room_at(&self, limit: f64, now: Moment) -> Moment {
        if (self.counted() as f64) < limit.floor() {
            return now;
        }
        // The limit is finite here, and at least one: as many must leave as make room for one more.
        let leaves = self.sends.len() - limit as usize;
        self.sends.get(leaves).map_or(now, |&send| self.leaves_at(send))
    }

    /// When a send counts no longer, wherever the service's windows begin.
    fn leaves_at(&self, send: Moment) -> Moment {
        send + (self.span + self.jitter)
    }

    pub(super) fn counted(&self) -> usize {
        self.sends.len() - self.past
    }

    fn sent_after(&self, moment: Moment) -> usize {
        self.sends.len() - self.sends.partition_point(|&send| send <= moment)
    }

    /// Whether nothing of ours can have been counted with what was refused now.
    pub(super) fn is_alone(&self, now: Moment) -> bool {
        self.sent_after(now - (self.span + 1.0)) == 0
    }

    /// Requests were refused: one that was sent at `sent`, with so many seconds to wait. `is_fresh`: nothing was refused
    /// between.
    pub(super) fn refused(&mut self, sent: Moment, wait: f64, is_fresh: bool, now: Moment) {
        let span = self.span_named(sent, wait);
        if span != self.span {
            let told = self.told_for(span);
            let scaled = self.limit * span / self.span;
            self.limit = if span == SHORT { told } else { told.min(scaled) };
            self.span = span;
            self.past = self.sends.partition_point(|&send| now >= self.leaves_at(send));
        }
        let admitted = self.sent_after(now + (wait - span - 1.0)) as f64;
        if admitted < self.limit {
            self.limit = admitted.max(1.0);
        } else if is_fresh {
            self.limit = (STEP_DOWN * self.limit).floor().max(1.0);
        }
        if is_fresh || self.growth.is_none() {
            self.growth = Rule::RequestGrowth.is_on().then_some(Growth { last: now, steps: 0 });
            self.pause = LONGEST_PAUSE.min(2.0 * self.pause);
        }
    }

    /// Only a long window asks for a long wait, and only a short one refuses what was paced well for a longer one.
    fn span_named(&self, sent: Moment, wait: f64) -> f64 {
        if wait > (self.span + 1.0).max(MEDIUM + 1.0) {
            LONG
        } else if wait > SHORT {
            self.span.max(MEDIUM)
        } else if self.span < LONG && self.may_be_short(sent) {
            SHORT
        } else {
            self.span
        }
    }

    /// Whether a window of a second may have refused what was sent at `sent`: no more was sent in the second before than
    /// looks paced, and no less than makes such a window refuse.
    fn may_be_short(&self, sent: Moment) -> bool {
        let share = if self.told.is_finite() {
            self.told_for(SHORT)
        } else {
            (self.limit * SHORT / self.span).max(1.0)
        };
        let sends = self.sent_after(sent - SHORT) as f64;
        share.is_infinite() || (PACED * share..=BURST * share).contains(&sends)
    }

    /// The service names its limit, in requests a minute. Whether that is news.
    ///
    /// Some name what they admit in one window instead: a figure that is just the window's share is no new limit.
    pub(super) fn told(&mut self, per_minute: f64) -> bool {
        let told = self.configured.min(per_minute);
        let is_windows_share = self.told.is_finite() && (per_minute - self.told_for(self.span)).abs() <= 1.0;
        if !is_sane(per_minute) || is_windows_share || told == self.told {
            return false;
        }
        self.told = told;
        let span = holding_one(told, self.span);
        if span != self.span {
            self.span = span;
            self.past = 0;
        }
        self.limit = self.told_for(self.span);
        self.growth = None;
        true
    }
}

/// The window of at least `span` seconds that holds one of so many requests a minute: a request in each shorter one would
/// be more than that.
fn holding_one(per_minute: f64, span: f64) -> f64 {
    span.max((MINUTE / per_minute).min(LONG))
}

fn is_sane(per_minute: f64) -> bool {
    (1.0..=ABSURD).contains(&per_minute)
}
