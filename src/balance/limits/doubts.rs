//! Refusals that may have nothing to do with what was sent: want of capacity, an imprecise count, a flaky gateway.
//!
//! A true limit fills up: from some level on it refuses everything. Whoever refuses a request here and admits the next one
//! there has not met it. So a refusal for a short time teaches nothing until its *witnesses* are heard, the requests that
//! were sent after it and before it was known: the service's wait is kept, and that is all.
//!
//! | witnesses | then |
//! |---|---|
//! | most were admitted | noise: nothing is learnt. Were it two or more, what refusals without witnesses had taught is taken back |
//! | as many were refused | a limit |
//! | there are none, and the last ones said "a limit" | a limit; what it teaches may be taken back |
//! | there are none, and the last ones said "noise" | noise, until half of the latest eight requests are refused |

use super::moment::Moment;
use super::refusal::Refused;

/// The open case, and what the latest ones came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts {
    case: Option<Case>,
    /// The latest witnesses said that it was noise.
    is_noisy: bool,
    /// The latest requests, the newest in the lowest bit: set where refused.
    latest: u8,
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
pub(super) enum Finding {
    /// A limit was met: it teaches.
    Limit {
        refused: Refused,
        /// Others who were refused say so, too.
        is_witnessed: bool,
    },
    /// Nothing of ours.
    Noise {
        /// So many witnesses that what was learnt without any is noise, too.
        is_certain: bool,
    },
}

/// A witness was sent before this part of the wait was over: later ones may have been admitted since.
const PROMPTLY: f64 = 0.1;
/// Witnesses that make it certain.
const CERTAIN: u32 = 2;
/// With so many of the latest requests refused it is a limit, whatever was said before: half of them.
const MANY: u32 = u8::BITS / 2;

impl Doubts {
    /// Whether witnesses are still to be heard.
    pub(super) fn is_open(&self) -> bool {
        self.case.is_some()
    }

    /// The request with this number was refused for a short time, and `open` sends between it and `end` have not been heard.
    pub(super) fn refused(&mut self, first: Refused, number: u64, end: u64, open: u32) {
        match &mut self.case {
            Some(case) => case.refused += u32::from(number < case.end),
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

    /// A request was admitted, or refused for want of tokens.
    pub(super) fn heard(&mut self, number: u64, sent: Moment, is_refused: bool) {
        self.latest = self.latest << 1 | u8::from(is_refused);
        if let Some(case) = &mut self.case {
            let (first, after) = (&case.first, sent - case.first.sent);
            let is_prompt = first.wait.is_none_or(|wait| after <= PROMPTLY * wait);
            case.admitted += u32::from(!is_refused && is_prompt && case.is_witness(number));
        }
        self.left(number);
    }

    /// A request will not be heard of any more.
    pub(super) fn left(&mut self, number: u64) {
        if let Some(case) = self.case.as_mut().filter(|case| case.is_witness(number)) {
            case.open = case.open.saturating_sub(1);
        }
    }

    /// What the case has come to, once all its witnesses have been heard.
    pub(super) fn find(&mut self) -> Option<Finding> {
        let case = self.case.take_if(|case| case.open == 0)?;
        let is_witnessed = case.refused + case.admitted > 0;
        self.is_noisy = if is_witnessed {
            case.admitted > case.refused
        } else {
            self.is_noisy && self.latest.count_ones() < MANY
        };
        Some(if self.is_noisy {
            Finding::Noise {
                is_certain: case.admitted >= CERTAIN,
            }
        } else {
            Finding::Limit {
                refused: case.first,
                is_witnessed,
            }
        })
    }
}

impl Case {
    fn is_witness(&self, number: u64) -> bool {
        (self.number + 1..self.end).contains(&number)
    }
}
