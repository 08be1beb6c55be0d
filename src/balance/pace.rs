//! How long answers take.

use std::time::Duration;

use super::outcome::Used;

/// What an answer takes before its first token, counted in tokens.
const START: f64 = 20.0;
/// Weight of a new answer, at least.
const LEAST_WEIGHT: f64 = 0.03;
/// From so many answers on something is said.
const ENOUGH: u32 = 5;
/// Answers without usage are taken to be so long.
const UNTOLD: u32 = 250;

/// How long the answers of one endpoint take, by their lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    answers: u32,
    seconds_per_token: f64,
}

impl Pace {
    pub(super) fn learn(&mut self, took: Duration, used: Used) {
        self.answers = self.answers.saturating_add(1);
        let tokens = f64::from(used.output.unwrap_or(UNTOLD)) + START;
        let weight = LEAST_WEIGHT.max(1.0 / f64::from(self.answers));
        self.seconds_per_token += (took.as_secs_f64() / tokens - self.seconds_per_token) * weight;
    }

    /// Seconds for an answer of so many tokens; none while too little is known.
    pub(super) fn seconds_for(&self, tokens: f64) -> Option<f64> {
        (self.answers >= ENOUGH).then_some(self.seconds_per_token * (tokens + START))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_known_after_five_answers_and_follows_their_lengths() {
        let mut pace = Pace::default();
        for answer in 0..5u32 {
            assert_eq!(pace.seconds_for(80.0), None, "after {answer} answers");
            let output = 80 + 100 * answer;
            let used = Used {
                output: Some(output),
                ..Used::UNTOLD
            };
            pace.learn(Duration::from_millis(u64::from(output + 20) * 10), used);
        }
        let seconds = pace.seconds_for(180.0).unwrap();
        assert!((seconds - 2.0).abs() < 1e-9, "{seconds}");
    }
}
