//! What a request costs, and what became of it: the words that the limiter is spoken to in.

use std::time::{Duration, Instant};

use super::moment::Moment;
use crate::balance::outcome::Axis;

/// What a request is expected to be charged, in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    /// All of it: the prompt, and the output that is charged on admission.
    pub tokens: f64,
    /// Variance of that estimate.
    pub variance: f64,
    /// The prompt's part.
    pub prompt: f64,
}

/// Tokens above which a figure is none: a thousand times the longest context.
const ABSURD: f64 = 1e9;

impl Charge {
    /// The same without what cannot be: a part that is no number, negative or absurd counts as nothing. An estimate may be
    /// off by more than all of it; that counts as all of it, so that whatever is larger needs no less room.
    pub(super) fn sane(&self) -> Self {
        let sane = |value: f64, most: f64| if (0.0..=most).contains(&value) { value } else { 0.0 };
        let tokens = sane(self.tokens, ABSURD);
        Charge {
            tokens,
            variance: self.variance.max(0.0).min(tokens * tokens),
            prompt: sane(self.prompt, tokens),
        }
    }
}

/// As what a request is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Both models have room.
    Sure,
    /// Only the believed one has room, or it looks for the end of a window; its admission is evidence.
    Trial,
    /// A bucket would refuse it and a window admit: decides between the two.
    Test,
    /// Above the learnt quota of a window: finds out whether there is more.
    Raise,
}

/// The answer to "may this request go now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes, as this.
    Now(Mode),
    /// Not before this instant. Ask again then, or after any other event.
    At(Instant),
}

/// The right to send one request, given by `reserve` and handed back to `settle`.
///
/// A plain token: whoever holds it must hand it back.
#[must_use = "a reservation that is not settled keeps its estimate's variance for ever"]
#[derive(Debug)]
pub struct Reservation {
    /// Its number among the sends of its limit.
    pub(super) number: u64,
    pub(super) charge: Charge,
    pub(super) mode: Mode,
    pub(super) sent: Moment,
    /// The belief's epoch when it was given.
    pub(super) epoch: u32,
    /// The bucket had room for it.
    pub(super) fits_bucket: bool,
}

impl Reservation {
    /// Tells it from every other that is under way together with it.
    pub fn short_number(&self) -> u32 {
        self.number as u32
    }

    /// As what the request goes.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What was reserved.
    pub fn charge(&self) -> Charge {
        self.charge
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Settlement {
    /// Answered in full.
    Answered {
        /// Tokens of the prompt as the answer tells.
        prompt: Option<u64>,
        /// Tokens of the output as the answer tells.
        output: Option<u64>,
        /// Tokens that standard deployments charge for the output whatever becomes of it.
        charged_output: f64,
    },
    /// Written, and neither answered nor throttled: 400, timeout, reset, 5xx, cancelled. What it was charged stays.
    Kept,
    /// Never reached the service.
    NeverWritten,
    /// 429, or a 200 that says the same.
    Refused(Refusal),
}

/// A refusal for want of quota or capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal {
    /// What ran out.
    pub axis: Axis,
    /// For how long nothing is sent.
    pub wait: Wait,
    /// `x-ratelimit-remaining-tokens` of the refusal.
    pub remaining_tokens: Option<i64>,
    /// `x-ratelimit-remaining-requests` of the refusal.
    pub remaining_requests: Option<i64>,
}

/// For how long nothing is sent after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As long as the service says: evidence of how it counts. Zero is treated as unsaid.
    Told(Duration),
    /// As long as our own back-off says, as the service named no time.
    Own(Duration),
}

/// What a refusal ran out of, once all signs are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Tokens,
    Requests,
    /// Nothing of ours.
    Capacity,
}

impl Refusal {
    /// The axis that is named, else the one of which too little remains, else tokens. −1 stands for "unknown".
    ///
    /// "Call rate limit" is said of tokens, too: where less remains than the `charged` tokens, and requests do, it means
    /// those.
    pub(super) fn exhausted(&self, charged: f64) -> Exhausted {
        let is_short = |remaining: Option<i64>, least: f64| {
            let known = remaining.filter(|&left| left != -1);
            known.is_some_and(|left| (left as f64) < least)
        };
        let of_tokens = is_short(self.remaining_tokens, charged);
        let of_requests = is_short(self.remaining_requests, 1.0);
        let has_requests = self.remaining_requests.is_some_and(|left| left > 0);
        match self.axis {
            Axis::Capacity => Exhausted::Capacity,
            Axis::Requests if of_tokens && has_requests => Exhausted::Tokens,
            Axis::Requests => Exhausted::Requests,
            Axis::Unknown if of_requests && !of_tokens => Exhausted::Requests,
            Axis::Tokens | Axis::Throughput | Axis::Unknown => Exhausted::Tokens,
        }
    }
}

impl Wait {
    /// Its length in seconds.
    pub(super) fn seconds(self) -> f64 {
        match self {
            Wait::Told(wait) | Wait::Own(wait) => wait.as_secs_f64(),
        }
    }

    /// What the service itself has named.
    pub(super) fn named(self) -> Option<f64> {
        match self {
            Wait::Told(wait) if !wait.is_zero() => Some(wait.as_secs_f64()),
            Wait::Told(_) | Wait::Own(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_may_be_off_by_more_than_all_of_it_counts_as_off_by_all_of_it() {
        for (variance, counts) in [
            (99.0, 99.0),
            (101.0, 100.0),
            (f64::INFINITY, 100.0),
            (-1.0, 0.0),
            (f64::NAN, 0.0),
        ] {
            let charge = Charge {
                tokens: 10.0,
                variance,
                prompt: 5.0,
            };
            assert_eq!(charge.sane().variance, counts, "{variance}");
        }
    }
}
