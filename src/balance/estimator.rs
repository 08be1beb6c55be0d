//! What a deployment charges for a request, as its answers have taught.
//!
//! Our count of a prompt is off by a factor that depends on the texts, the model's tokeniser and what the service adds; what
//! it was for past answers is what it will be, more or less, and both are learnt: the factor and how far single prompts
//! stray from it. The output's part is what the request sets as its limit, and is charged in full on admission whatever
//! comes of it. Where it sets none, what the service charges then is learnt from its headers; until it is, enough is
//! reserved for all but the longest answers.

use std::time::Duration;

use super::histogram::Histogram;
use super::limits::Charge;
use super::outcome::Used;
use super::{JobSize, Output};
use crate::api::{AdviceKind, PromptError};

/// Variance of actual ÷ estimated prompt tokens that is assumed before anything is known; its root is 6 %.
const FIRST_SPREAD: f64 = 0.0033;
/// Weight of a new value: one part in so many more than there were before …
const INERTIA: f64 = 20.0;
/// … but at least so much, for what is sent changes with time.
const LEAST_WEIGHT: f64 = 0.01;
/// The ratio of a prompt of fewer tokens counts for less: a handful of tokens that the service adds make a large ratio
/// there, which says nothing about long prompts.
const WHOLE_PROMPT: f64 = 100.0;
/// What no ratio exceeds. Models that charge images at many times the usual are within.
const MOST_RATIO: f64 = 50.0;
/// What no number of tokens that is told exceeds; the largest models take a million.
const MOST_TOKENS: u32 = 1 << 24;

/// Tokens reserved for an answer without limit before anything is known of the deployment: a page. Assumed are half as
/// many on average, with a standard deviation of a quarter …
pub const FIRST_OUTPUT: f64 = 500.0;
/// … as if so many answers had told it.
const OPEN_INERTIA: f64 = 4.0;
/// Part of its limit that an answer is assumed to use before anything is known.
const FIRST_USE: f64 = 0.25;
/// Weight of a new observation of what an answer without limit is charged.
const CHARGE_WEIGHT: f64 = 0.25;
/// Answers after which something is said about limits that are too high …
const ENOUGH_ANSWERS: u32 = 100;
/// … by this factor at least.
const TOO_HIGH: u32 = 2;

/// Learns what one deployment charges.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// The limit that the deployment's configuration adds to chats without one.
    default_limit: Option<u32>,
    /// Actual ÷ estimated tokens of prompts.
    ratio: Moments,
    /// Tokens of answers to requests without limit, for each choice.
    open: Moments,
    /// Tokens of answers to requests with a limit, by its power of two.
    limited: [Moments; 25],
    /// What was charged beyond the prompt for each choice without limit.
    open_charge: Option<f64>,
    limits: Limits,
}

/// A mean and a variance that follow what they are told.
#[derive(Clone, Copy, Debug)]
struct Moments {
    count: u32,
    mean: f64,
    variance: f64,
}

/// How answers fill the limit that most requests set.
#[derive(Clone, Debug, Default)]
struct Limits {
    limit: u32,
    /// How much more often it was set than others since it is thought to be the most frequent.
    lead: u32,
    answers: u32,
    /// Tokens of answers, a millisecond for each.
    used: Histogram,
}

/// That a limit on answers is much higher than they need: on a standard deployment all of it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitAdvice {
    /// What most requests set as `max_completion_tokens` (times `n`).
    pub limit: u32,
    /// What 99 % of their answers stay under.
    pub enough: u32,
    /// Answers that it was learnt from.
    pub answers: u32,
}

impl Estimator {
    /// For a deployment that adds `default_limit` to chats without a limit of their own.
    #[must_use]
    pub fn new(default_limit: Option<u32>) -> Self {
        Estimator {
            default_limit,
            ratio: Moments::new(1.0, FIRST_SPREAD),
            open: Moments::new(FIRST_OUTPUT / 2.0, (FIRST_OUTPUT / 4.0).powi(2)),
            limited: [Moments::new(0.0, 0.0); 25],
            open_charge: None,
            limits: Limits::default(),
        }
    }

    /// What a request is expected to be charged on admission.
    #[must_use]
    pub fn charge(&self, size: &JobSize) -> Charge {
        let prompt = f64::from(size.prompt());
        Charge {
            tokens: self.ratio.mean * prompt + self.output_charge(size),
            variance: self.ratio.variance * prompt * prompt,
            prompt,
        }
    }

    /// What stays charged for a request whose answer has told what it used: the prompt is corrected, while the output's
    /// part stands, however short the answer was.
    #[must_use]
    pub fn standing(&self, size: &JobSize, used: Used) -> f64 {
        let prompt = told(used.prompt).unwrap_or(self.ratio.mean * f64::from(size.prompt()));
        prompt + self.output_charge(size)
    }

    /// What a request is likely to use in fact, which is what a provisioned deployment charges in the end.
    #[must_use]
    pub fn likely_use(&self, size: &JobSize) -> f64 {
        self.ratio.mean * f64::from(size.prompt()) + self.likely_answer(size)
    }

    /// Tokens that the answer is likely to have.
    #[must_use]
    pub fn likely_answer(&self, size: &JobSize) -> f64 {
        match (self.limit(size), size.output()) {
            (Some(limit), _) => self.likely_output(limit),
            (None, Output::Open { choices, .. }) => self.open.mean * f64::from(choices),
            (None, _) => 0.0,
        }
    }

    /// Learns from an answer.
    pub fn learn(&mut self, size: &JobSize, used: Used) {
        let estimated = f64::from(size.prompt());
        if let Some(actual) = told(used.prompt).filter(|_| estimated > 0.0) {
            let ratio = (actual / estimated).clamp(1.0 / MOST_RATIO, MOST_RATIO);
            self.ratio.learn(ratio, (estimated / WHOLE_PROMPT).min(1.0), INERTIA);
        }
        let Some(output) = told(used.output) else { return };
        match (self.limit(size), size.output()) {
            (Some(limit), _) => {
                self.limited[power(limit)].learn(output, 1.0, 0.0);
                self.limits.learn(limit, output);
            }
            (None, Output::Open { choices, .. }) => self.open.learn(output / f64::from(choices), 1.0, OPEN_INERTIA),
            (None, _) => {}
        }
    }

    /// Learns what was charged for a request that was sent while no other was under way: by how much
    /// `x-ratelimit-remaining-tokens` fell. Tells something where the request sets no limit.
    pub fn observe_charge(&mut self, size: &JobSize, charged: f64) {
        let (None, Output::Open { choices, .. }) = (self.limit(size), size.output()) else {
            return;
        };
        if !(charged > 0.0 && charged <= f64::from(MOST_TOKENS)) {
            return;
        }
        let beyond = (charged - self.ratio.mean * f64::from(size.prompt())).max(0.0) / f64::from(choices);
        let seen = self.open_charge.get_or_insert(beyond);
        *seen += (beyond - *seen) * CHARGE_WEIGHT;
    }

    /// How far the estimates of prompts were off; none before the first answer.
    #[must_use]
    pub fn prompt_error(&self) -> Option<PromptError> {
        (self.ratio.count > 0).then(|| PromptError {
            ratio: self.ratio.mean,
            deviation: self.ratio.variance.sqrt(),
            answers: self.ratio.count,
        })
    }

    /// Whether the limit that most requests set is much higher than their answers need.
    #[must_use]
    pub fn limit_advice(&self) -> Option<LimitAdvice> {
        let Limits { limit, answers, .. } = self.limits;
        // More than what they use: a fraction of a token is none.
        let enough = self.limits.used.quantile(0.99)?.as_millis() + 1;
        let enough = u32::try_from(enough).unwrap_or(u32::MAX);
        let is_worth_it = answers >= ENOUGH_ANSWERS && enough.saturating_mul(TOO_HIGH) <= limit;
        is_worth_it.then_some(LimitAdvice { limit, enough, answers })
    }

    /// Whether it is worth the time to look for advice: with the first answers that suffice, then with ever more.
    #[must_use]
    pub fn is_time_for_advice(&self) -> bool {
        self.limits.answers >= ENOUGH_ANSWERS
            && (self.limits.answers / ENOUGH_ANSWERS).is_power_of_two()
            && self.limits.answers.is_multiple_of(ENOUGH_ANSWERS)
    }

    /// Most tokens of the answer, if there is a limit.
    fn limit(&self, size: &JobSize) -> Option<u32> {
        match size.output() {
            Output::AtMost(limit) => Some(limit),
            Output::Open {
                choices,
                takes_default: true,
            } => self.default_limit.map(|limit| limit.saturating_mul(choices.into())),
            Output::None | Output::Open { .. } => None,
        }
    }

    /// Tokens that are charged on admission for the answer.
    #[must_use]
    pub fn output_charge(&self, size: &JobSize) -> f64 {
        match (self.limit(size), size.output()) {
            (Some(limit), _) => f64::from(limit),
            (None, Output::Open { choices, .. }) => {
                let long = self.open.mean + 2.0 * self.open.variance.sqrt();
                self.open_charge.unwrap_or(long) * f64::from(choices)
            }
            (None, _) => 0.0,
        }
    }

    /// Mean output where that is the limit. Where none like it has been answered, as much of it as of the nearest one.
    fn likely_output(&self, limit: u32) -> f64 {
        let power = power(limit);
        let seen = self.limited.iter().enumerate().filter(|(_, seen)| seen.count > 0);
        let nearest = seen.min_by_key(|(other, _)| other.abs_diff(power));
        let output = match nearest {
            Some((other, seen)) if other <= power => seen.mean,
            Some((other, seen)) => seen.mean * 0.5_f64.powi((other - power) as i32),
            None => f64::from(limit) * FIRST_USE,
        };
        output.min(f64::from(limit))
    }
}

/// A number of tokens that may be.
fn told(tokens: Option<u32>) -> Option<f64> {
    tokens
        .filter(|&tokens| tokens > 0 && tokens < MOST_TOKENS)
        .map(f64::from)
}

/// The power of two that `limit` has reached.
fn power(limit: u32) -> usize {
    limit.max(1).ilog2().min(24) as usize
}

impl Moments {
    fn new(mean: f64, variance: f64) -> Self {
        Moments {
            count: 0,
            mean,
            variance,
        }
    }

    /// Takes a value, as if there had been `inertia` before the first one; it counts as the part `weight` of one.
    fn learn(&mut self, value: f64, weight: f64, inertia: f64) {
        self.count = self.count.saturating_add(1);
        let part = weight * (1.0 / (f64::from(self.count) + inertia)).max(LEAST_WEIGHT);
        let off = value - self.mean;
        self.mean += off * part;
        // As the mean has moved, what is left of the distance is less than it was.
        self.variance += (off * (value - self.mean) - self.variance) * part;
    }
}

impl Limits {
    fn learn(&mut self, limit: u32, output: f64) {
        if limit != self.limit {
            if self.lead > 0 {
                self.lead -= 1;
                return;
            }
            *self = Limits {
                limit,
                ..Limits::default()
            };
        }
        self.lead = self.lead.saturating_add(1).min(1_000);
        self.answers = self.answers.saturating_add(1);
        self.used.record(Duration::from_secs_f64(output / 1_000.0));
    }
}

impl From<LimitAdvice> for AdviceKind {
    fn from(LimitAdvice { limit, enough, .. }: LimitAdvice) -> Self {
        AdviceKind::LowerLimit { limit, enough }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(prompt: u32, max: u32) -> JobSize {
        JobSize::new(prompt, Output::AtMost(max))
    }

    fn open(prompt: u32, choices: u8) -> JobSize {
        let takes_default = true;
        JobSize::new(prompt, Output::Open { choices, takes_default })
    }

    fn used(prompt: u32, output: u32) -> Used {
        Used {
            prompt: Some(prompt),
            output: Some(output),
        }
    }

    #[track_caller]
    fn about(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 0.01, "{found} instead of {expected}");
    }

    #[test]
    fn before_the_first_answer_the_own_count_is_believed() {
        let estimator = Estimator::new(None);
        let charge = estimator.charge(&size(1000, 300));
        assert_eq!((charge.tokens, charge.prompt), (1300.0, 1000.0));
        about(charge.variance.sqrt(), 57.4);
        assert_eq!(estimator.charge(&JobSize::new(1000, Output::None)).tokens, 1000.0);
        assert_eq!(estimator.charge(&open(1000, 1)).tokens, 1000.0 + FIRST_OUTPUT);
        assert_eq!(estimator.charge(&open(1000, 3)).tokens, 1000.0 + 3.0 * FIRST_OUTPUT);
        assert_eq!(estimator.likely_use(&size(1000, 400)), 1100.0);
        assert_eq!((estimator.prompt_error(), estimator.limit_advice()), (None, None));
    }

    #[test]
    fn the_factor_and_its_spread_are_learnt() {
        let mut estimator = Estimator::new(None);
        for number in 0..2_000 {
            let actual = if number % 2 == 0 { 1100 } else { 1300 };
            estimator.learn(&size(1000, 300), used(actual, 10));
        }
        let charge = estimator.charge(&size(2000, 300));
        about(charge.tokens, 2700.0);
        about(charge.variance.sqrt(), 200.0);
        let error = estimator.prompt_error().unwrap();
        assert_eq!(error.answers, 2_000);
        assert_eq!(error.to_string(), "prompt estimates 17 % low ± 8 %");
        // The first answers move it by one part in 21, 22, …
        let mut estimator = Estimator::new(None);
        estimator.learn(&size(1000, 300), used(2000, 10));
        about(estimator.charge(&size(1000, 0)).tokens, 1000.0 * (1.0 + 1.0 / 21.0));
    }

    #[test]
    fn a_tiny_prompt_says_little_about_long_ones() {
        let mut estimator = Estimator::new(None);
        (0..1_000).for_each(|number| {
            estimator.learn(&size(2, 10), used(9, 10));
            estimator.learn(
                &size(10_000, 10),
                used(if number % 2 == 0 { 9_900 } else { 10_100 }, 10),
            );
        });
        let charge = estimator.charge(&size(10_000, 0));
        assert!(charge.tokens < 11_000.0, "{charge:?}");
        assert!(charge.variance.sqrt() < 6_000.0, "{charge:?}");
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        let mut estimator = Estimator::new(None);
        let (learnt, untold) = (size(1000, 300), Used::UNTOLD);
        estimator.learn(&learnt, used(1100, 100));
        estimator.observe_charge(&open(1000, 1), 1500.0);
        let before = format!("{estimator:?}");
        for odd in [
            untold,
            used(0, 0),
            used(u32::MAX, u32::MAX),
            used(MOST_TOKENS, MOST_TOKENS),
        ] {
            estimator.learn(&learnt, odd);
            estimator.learn(&open(1000, 1), odd);
        }
        for odd in [f64::NAN, 0.0, -5.0, 1e18, f64::INFINITY, f64::NEG_INFINITY] {
            estimator.observe_charge(&open(1000, 1), odd);
        }
        // A request with a limit tells nothing about those without.
        estimator.observe_charge(&learnt, 900_000.0);
        assert_eq!(format!("{estimator:?}"), before);
        // An empty prompt has no ratio.
        estimator.learn(&size(0, 300), used(50, 0));
        assert_eq!(format!("{estimator:?}"), before);
    }

    #[test]
    fn an_answer_without_a_limit_reserves_what_the_deployment_was_seen_to_charge() {
        let mut estimator = Estimator::new(None);
        (0..500).for_each(|number| estimator.learn(&open(100, 2), used(100, if number % 2 == 0 { 400 } else { 800 })));
        // Each of two choices: 300 on average, with a deviation of 100.
        about(estimator.charge(&open(100, 1)).tokens, 100.0 + 300.0 + 200.0);
        about(estimator.likely_use(&open(100, 2)), 100.0 + 600.0);
        estimator.observe_charge(&open(100, 1), 116.0);
        about(estimator.charge(&open(1000, 2)).tokens, 1000.0 + 2.0 * 16.0);
        // A prompt that is not counted at all.
        estimator.observe_charge(&open(100_000, 1), 16.0);
        about(estimator.charge(&open(1000, 1)).tokens, 1000.0 + 12.0);
    }

    #[test]
    fn a_limit_of_the_deployment_counts_as_the_request_s_own() {
        let estimator = Estimator::new(Some(200));
        assert_eq!(estimator.charge(&open(100, 3)).tokens, 700.0);
        assert_eq!(estimator.charge(&size(100, 50)).tokens, 150.0);
        let takes_default = false;
        let response = JobSize::new(
            100,
            Output::Open {
                choices: 1,
                takes_default,
            },
        );
        assert_eq!(estimator.charge(&response).tokens, 100.0 + FIRST_OUTPUT);
    }

    #[test]
    fn the_prompt_is_corrected_and_the_output_stands() {
        let estimator = Estimator::new(None);
        assert_eq!(estimator.standing(&size(100, 50), used(120, 3)), 170.0);
        assert_eq!(estimator.standing(&size(100, 50), Used::UNTOLD), 150.0);
        assert_eq!(estimator.standing(&JobSize::new(100, Output::None), used(90, 0)), 90.0);
    }

    #[test]
    fn likely_use_follows_the_answers_to_such_limits() {
        let mut estimator = Estimator::new(None);
        (0..50).for_each(|_| {
            estimator.learn(&size(100, 4000), used(100, 300));
            estimator.learn(&size(100, 500), used(100, 80));
        });
        for (limit, expected) in [
            (4000, 300.0),
            (2048, 300.0),
            (500, 80.0),
            (300, 80.0),
            (64, 20.0),
            (10, 2.5),
        ] {
            let found = estimator.likely_use(&size(1000, limit)) - 1000.0;
            assert!((found - expected).abs() < 1e-9, "{limit}: {found}");
        }
    }

    #[test]
    fn advice_is_given_where_limits_are_far_too_high() {
        let mut estimator = Estimator::new(None);
        for number in 0..1_000 {
            // Some set another limit, and fill it.
            let (limit, output) = if number % 10 == 0 {
                (100, 100)
            } else {
                (4096, 200 + number % 100)
            };
            estimator.learn(&size(100, limit), used(100, output));
        }
        let advice = estimator.limit_advice().unwrap();
        assert_eq!(advice.limit, 4096);
        assert!((299..330).contains(&advice.enough), "{advice:?}");
        // Another limit becomes the rule, and is used.
        (0..3_000).for_each(|_| estimator.learn(&size(100, 320), used(100, 300)));
        assert_eq!(estimator.limit_advice(), None);
        assert_eq!(estimator.limits.limit, 320);
    }
}
