//! Refusals that may have nothing to do with what was sent: want of capacity, an imprecise count, a flaky gateway.
//!
//! A true limit fills up: from some level on it refuses everything. Whoever refuses a request here and admits the next one
//! there has not met it. So a refusal for a short time teaches nothing until its *witnesses* are heard, the requests that
//! were sent after it and before it was known: the service's wait is kept, and that is all.
//!
//! | witnesses | then |
//! |---|---|
//! | most were admitted | noise: nothing is learnt. Were it two or more, what uncertain refusals had taught is taken back |
//! | two more were refused than admitted | a limit, for certain |
//! | as many were refused as admitted, or one more | a limit; what it teaches may be taken back |
//! | there are none, and the last ones said "a limit" | the same |
//! | there are none, and the last ones said "noise" | noise, until half of the latest sixteen requests are refused |
//! | not most were admitted, and a standard deployment names a few milliseconds | noise, until all of the latest sixteen are refused |
//!
//! A small request may fit where a large one does not, so a witness is one of about the same size: not less than a third
//! of it where it was admitted, not more than three times as much where it was refused.
//!
//! A deployment that has room for one request at a time, as a full bucket does, has no witnesses. There two refusals tell a
//! rate, and what was admitted between them must fit a bucket of that rate. Where it does not, one of the two was noise, and
//! what uncertain refusals had taught is taken back as well.

use super::limit::Limit;
use super::moment::Moment;
use super::refusal::Refused;
use super::sku::Sku;
use crate::balance::rules::Rule;

/// The open case, and what the latest ones came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts {
    case: Option<Case>,
    /// The latest witnesses said that it was noise.
    is_noisy: bool,
    /// The latest requests, the newest in the lowest bit: set where refused.
    latest: u16,
    /// Of so many of the latest requests it is known whether they were admitted …
    heard: u32,
    /// … and so many were refused by noise.
    noise: u32,
    /// The share of those in percent that was told last.
    told: u32,
}

/// A refusal that is not believed yet, and what became of those that were under way with it.
#[derive(Clone, Copy, Debug)]
struct Case {
    first: Refused,
    /// Its number; the witnesses are those after it …
    number: u64,
    /// … and before this.
    end: u64,
    /// How many of them have not been heard.
    open: u32,
    refused: u32,
    admitted: u32,
}

/// What a case has come to.
#[derive(Clone, Copy, Debug)]
enum Finding {
    /// A limit was met: it teaches.
    Limit {
        refused: Refused,
        /// So many more witnesses were refused than admitted that it will not be taken back.
        is_certain: bool,
    },
    /// Nothing of ours.
    Noise {
        /// So many witnesses that what was learnt without any is noise, too.
        is_certain: bool,
    },
}

/// A witness was sent before this part of the wait was over: later ones may have been admitted since.
const PROMPTLY: f64 = 0.1;
/// Or within so many seconds: a limit that names a wait of milliseconds may admit one more in that time, but not most.
const AT_ONCE: f64 = 0.02;
/// A witness that was admitted is at least this part of what was refused, and one that was refused at most its inverse.
const COMPARABLE: f64 = 1.0 / 3.0;
/// Witnesses that make it certain.
const CERTAIN: u32 = 2;
/// A standard deployment that has room again in less than so many seconds is hardly full: one that is names more, but by
/// chance.
const BRIEF: f64 = 0.01;
/// With so many of the latest requests refused it is a limit, whatever was said before: half of them.
const MANY: u32 = u16::BITS / 2;

/// So many refusals by noise are worth a word.
const WORTH_A_WORD: u32 = 8;
/// With so many heard the counts are halved: the recent past counts.
const MANY_HEARD: u32 = 1024;

impl Doubts {
    /// How many of a hundred recent requests were refused by noise, where that is worth a word.
    pub(super) fn noise_percent(&self) -> Option<u32> {
        let percent = (100 * self.noise).div_ceil(self.heard.max(1)).min(100);
        (self.noise >= WORTH_A_WORD).then_some(percent)
    }

    /// The same where it is news: nothing was said before, or half as much.
    pub(super) fn noise_news(&self) -> Option<u32> {
        self.noise_percent()
            .filter(|&percent| self.told == 0 || percent >= 2 * self.told)
    }

    /// This was told.
    pub(super) fn noise_told(&mut self, percent: u32) {
        self.told = percent;
    }

    /// Whether witnesses are still to be heard.
    pub(super) fn is_open(&self) -> bool {
        self.case.is_some()
    }

    /// The request with this number was refused for a short time, and `open` sends between it and `end` have not been heard.
    pub(super) fn refused(&mut self, first: Refused, number: u64, end: u64, open: u32) {
        match &mut self.case {
            Some(case) => {
                let is_comparable = is_comparable(case.first.tokens, first.tokens);
                case.refused += u32::from(number < case.end && is_comparable);
            }
            None => {
                self.case = Some(Case {
                    first,
                    number,
                    end,
                    open,
                    refused: 0,
                    admitted: 0,
                });
            }
        }
    }

    /// A request of so many tokens was admitted, or refused for want of them.
    pub(super) fn heard(&mut self, number: u64, tokens: f64, sent: Moment, is_refused: bool) {
        self.latest = self.latest << 1 | u16::from(is_refused);
        self.heard += 1;
        if self.heard >= MANY_HEARD {
            self.heard /= 2;
            self.noise /= 2;
        }
        if let Some(case) = &mut self.case {
            let (first, after) = (&case.first, sent - case.first.sent);
            let is_prompt = first.wait.is_none_or(|wait| after <= AT_ONCE.max(PROMPTLY * wait));
            let is_comparable = is_comparable(tokens, first.tokens);
            case.admitted += u32::from(!is_refused && is_prompt && is_comparable && case.is_witness(number));
        }
        self.left(number);
    }

    /// A request will not be heard of any more.
    pub(super) fn left(&mut self, number: u64) {
        if let Some(case) = self.case.as_mut().filter(|case| case.is_witness(number)) {
            case.open = case.open.saturating_sub(1);
        }
    }

    /// Of two refusals that were taken for a limit one was none.
    fn contradicted(&mut self) {
        self.is_noisy = true;
        self.noise += 1;
    }

    /// What the case has come to, once all its witnesses have been heard.
    fn find(&mut self, sku: Sku) -> Option<Finding> {
        let case = self.case.take_if(|case| case.open == 0)?;
        let is_witnessed = case.refused + case.admitted > 0;
        let most_admitted = case.admitted > case.refused;
        self.is_noisy = if case.is_brief(sku) {
            most_admitted || self.latest != u16::MAX
        } else if is_witnessed {
            most_admitted
        } else {
            self.is_noisy && self.latest.count_ones() < MANY
        };
        if self.is_noisy {
            self.noise += 1 + case.refused;
        }
        Some(if self.is_noisy {
            Finding::Noise {
                is_certain: most_admitted && case.admitted >= CERTAIN,
            }
        } else {
            Finding::Limit {
                refused: case.first,
                is_certain: case.refused >= CERTAIN + case.admitted,
            }
        })
    }
}

impl Limit {
    /// Learns from a refusal that was doubted, once it is known what it was.
    pub(super) fn conclude(&mut self) {
        match self.doubts.find(self.sku) {
            Some(Finding::Limit { refused, is_certain }) => {
                let before = self.before.take();
                let now = || Box::new((self.quota.clone(), self.belief.clone()));
                self.before = (!is_certain).then(|| before.unwrap_or_else(now));
                self.limit_met(&refused);
                // It may have named the end of a window that is over by now.
                let turns = self.window.turn(self.length, self.next, self.now);
                self.raises.skip(turns);
            }
            Some(Finding::Noise { is_certain: true }) => self.take_back(),
            Some(Finding::Noise { is_certain: false }) | None => {}
        }
    }

    /// What refusals have taught that were not certain was noise, too.
    fn take_back(&mut self) {
        let Some(before) = self.before.take() else {
            return;
        };
        let epoch = self.belief.epoch + 1;
        (self.quota, self.belief) = *before;
        self.belief.epoch = epoch;
        self.unconfirmed.allow_all();
    }

    /// What was taken for two meetings with a limit contradicts itself: one of them was noise, or both.
    pub(super) fn refusals_contradict(&mut self) {
        self.doubts.contradicted();
        self.take_back();
    }
}

/// Whether a request of so many tokens says something about a larger one.
fn is_comparable(tokens: f64, larger: f64) -> bool {
    !Rule::WitnessSize.is_on() || tokens >= COMPARABLE * larger
}

impl Case {
    /// Whether its wait is too short for a limit; provisioned deployments name such waits, too.
    fn is_brief(&self, sku: Sku) -> bool {
        Rule::BriefWaits.is_on() && sku == Sku::Standard && self.first.wait.is_some_and(|wait| wait < BRIEF)
    }

    fn is_witness(&self, number: u64) -> bool {
        (self.number + 1..self.end).contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::balance::limits::charge::Mode;

    fn refused(at: Moment) -> Refused {
        Refused {
            tokens: 3_000.0,
            mode: Mode::Sure,
            sent: at,
            fits_bucket: true,
            is_fresh: true,
            wait: Some(1.0),
            at,
            until: at + 1.0,
        }
    }

    #[test]
    fn after_noise_a_lone_refusal_is_noise_until_half_of_the_latest_sixteen_are_refused() {
        let start = Instant::now();
        let at = Moment::of(start, start);
        let mut doubts = Doubts::default();
        let lone = |doubts: &mut Doubts, number| {
            doubts.heard(number, 3_000.0, at, true);
            doubts.refused(refused(at), number, number + 1, 0);
            matches!(doubts.find(Sku::Standard), Some(Finding::Limit { .. }))
        };
        assert!(lone(&mut doubts, 0), "nothing has shown noise");
        doubts.contradicted();
        (1..17).for_each(|number| doubts.heard(number, 3_000.0, at, false));
        let limits: Vec<bool> = (17..28).map(|number| lone(&mut doubts, number)).collect();
        assert_eq!(limits.iter().position(|&is_limit| is_limit), Some(7), "{limits:?}");
        assert!(limits[7..].iter().all(|&is_limit| is_limit), "{limits:?}");
    }

    #[test]
    fn the_share_of_noise_is_told_from_eight_on_and_again_when_it_has_doubled() {
        let start = Instant::now();
        let at = Moment::of(start, start);
        let mut doubts = Doubts::default();
        let mut said = Vec::new();
        for number in 0..3_000 {
            // One of twenty, later one of five.
            let is_noise = number % if number < 2_000 { 20 } else { 5 } == 0;
            doubts.heard(number, 3_000.0, at, is_noise);
            if is_noise {
                doubts.contradicted();
            }
            if let Some(percent) = doubts.noise_news() {
                doubts.noise_told(percent);
                said.push((number, percent));
            }
        }
        assert_eq!(said, [(140, 6), (2_350, 12)]);
    }
}
