//! The states of one endpoint.
//!
//! ```text
//! | state    | event                                     | next                                            |
//! |----------|-------------------------------------------|-------------------------------------------------|
//! | Ready    | 429, wait named or backed off             | Cooling until then, never shortened             |
//! | Ready    | failure                                   | Cooling for 1, 2, 4 … 30 s, jittered            |
//! | Ready    | error or cut while 9 of 10 succeed        | Ready: it is spared (see `spares`)              |
//! | Ready    | denial, 3xx, 404, 405 where it has served | Ready: it is counted                            |
//! | Ready    | silence of 12 gaps between heads          | Ready, and given only knocks (see `Silence`)    |
//! | Ready    | a request that is no knock times out then | Out (ejected), probed as it was knocked at      |
//! | Ready    | 404, 405 where it has never served        | Ready without the operation for 60 s            |
//! | Ready    |   … for one job, in nobody's words        | the same, and asked at once if it is all there is |
//! | Cooling  | its time has come                         | Ready; after a failure: Trial                   |
//! | Cooling  | its failures are taken back               | Ready                                           |
//! | Trial    | the one request's head has come           | Ready                                           |
//! | Trial    | failure / 429                             | Cooling, longer / until then                    |
//! | any      | a row of failures ≥ threshold (see `Row`) | Out (ejected), probed every 5 s                 |
//! | any      |   … of which the last is a denial         | Out (disabled), probed every 60 s               |
//! | any      |   … of which the last is a 404, 405       | the same state, without the operation           |
//! | any      | failure, half of 20 in 30 s have failed   | Out (ejected), probed every 5 s                 |
//! | any      | 401, 403, 404, named wait > cooldown_max  | Out (disabled), probed every 60 s               |
//! | any      |   … for one job, in nobody's words        | the same, and asked at once if it is all there is |
//! | any      | failures on the way for 30 s (`Reach`)    | Out (disabled), probed every 5 s                |
//! | any      | no token                                  | the same, and given no work until there is one  |
//! | any      | `disable(reason)`                         | Out (disabled), not probed                      |
//! | (start)  | unavailable as it is configured           | Out (disabled), for good                        |
//! | Out      | its probe is due, or `enable()`           | Probing, with the next request                  |
//! | Out      | 429 of an older request, `cool_down`      | Out, probed not before then                     |
//! | Probing  | head of a good reply, or a refused request | Ready, with a `Ramp`                           |
//! | Probing  | 429                                       | Cooling until then, Trial after it, then a ramp |
//! | Probing  | 5 s (see `patience`)                      | Probing, with one more request, up to three     |
//! | Probing  | failure, and no other probe is out        | Out, until the next probe                       |
//! ```
//!
//! A failure after the request was written may be its job's fault. It is taken back when what was sent later is answered well, and
//! counts in the rate when its job is answered, wherever that is (see `failures`).
//!
//! Failures of requests that were under way together count once: a lease remembers the *epoch* in which it was
//! given, each failure that costs a rest begins a new one, and what comes from an older epoch neither counts as a failure
//! nor disables the endpoint: it tells about a time before the last thing known.
//!
//! The rate of failures (see `FailureRate`) is looked at only where one is counted, and leaves out the second in which most
//! failed: what happens at one instant ejects nobody.
//!
//! A *ramp* lets an endpoint that was out have one request under way, then twice as many with each second and each round of
//! answers, up to its places. A *knock* is a request that finds out, as a probe does, whether a silent endpoint is there:
//! 10 s after it has fallen silent, and every 5 s from then on. A knock that fails without an answer tells no more
//! than the silence does, and changes nothing; any head ends the silence. Requests that hang may fill its share of the
//! workers: knocks exceed it, by an eighth and three at most. Where nobody else is at work, work goes on to half of its
//! places.
//!
//! A request that ends because its job's time is over is a failure where the endpoint was silent for longer than it
//! needs (see `let_down`), and otherwise tells nothing.
//!
//! Requests that go first are the endpoint's *scouts*, each from its lease to its head, or to its end where no good head
//! comes. Of trials one is out at a time. While a probe or a knock is unanswered a further one follows every 5 s, up to
//! three, each with a limit for its first byte (see `patience`). The first good head brings the endpoint back and
//! *overtakes* those that are still out: that they fail says nothing more. So does a rest that begins meanwhile. Which fails
//! while another is out leaves the decision to that one.
//!
//! A rest once begun is kept in whatever comes after it: an endpoint that is ejected or disabled while it rests is
//! probed when the rest is over, at the earliest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use answers::Answers;
use doubts::Doubts;
use failure_rate::FailureRate;
pub(super) use failures::{Failure, FullRow, Sign};
use lacks::Lacks;
pub(super) use lacks::Missing;
#[cfg(test)]
pub(super) use out::EJECTED_PROBE;
use out::Out;
pub(super) use out::{DISABLED_PROBE, PROBE_FIRST_BYTE};
pub(super) use patience::{Patience, Prospect};
use ramp::Ramp;
use reach::Reach;
use refusals::Refusals;

use row::Row;
pub(super) use scouts::Part;
use scouts::{MOST_PROBES, Scouts};
pub use signing::SignedIn;
use signing::Unsigned;
use silence::Silence;
pub(super) use state::Readiness;
use state::{After, State};
use tallies::Tallies;
pub(super) use word::Word;

use super::{Change, Role};
use crate::api::{Condition, Operation};

mod answers;
mod by_hand;
mod doubts;
mod failure_rate;
mod failures;
mod lacks;
mod out;
mod patience;
mod ramp;
mod reach;
mod refusals;
mod requests;
mod row;
mod scouts;
mod signing;
mod silence;
mod state;
mod tallies;
mod word;

/// Those who ask a silent endpoint may exceed its share of the workers, by so small a part of it.
const BEYOND: u32 = 8;

/// Health and counters of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    state: State,
    /// It cannot be used as it is configured: nothing brings it back.
    unavailable: bool,
    /// It needs a token, and has none.
    unsigned: Option<Unsigned>,
    /// The number of the last message about that.
    signing: u64,
    /// Its places are its share of the workers, and no number that somebody has set.
    shares: bool,
    in_flight: u32,
    /// Until when it was asked to rest by hand; who asked may think better of it.
    rests_by_hand_until: Option<Instant>,
    /// Raised by each counted failure, and when the endpoint is switched off or on.
    epoch: u32,
    scouts: Scouts,
    /// Leases given so far; the newest has this number.
    leases: u64,
    row: Row,
    pub(super) answers: Answers,
    pub(super) reach: Reach,
    /// The epoch since which it is no longer out.
    back_since: u32,
    rate: FailureRate,
    /// Where it was out not long ago.
    ramp: Option<Ramp>,
    silence: Silence,
    refusals: Refusals,
    pub(super) doubts: Doubts,
    pub(super) lacks: Lacks,
    pub(super) tallies: Tallies,
}

/// What it is.
impl Endpoint {
    /// `shares` where its places are its share of the workers, and no number that somebody has set.
    pub(super) fn new(unavailable: Option<String>, shares: bool) -> Self {
        Endpoint {
            unavailable: unavailable.is_some(),
            unsigned: None,
            signing: 0,
            shares,
            state: match unavailable {
                Some(reason) => State::Out(Out {
                    lasts: true,
                    ..Out::disabled(reason, None)
                }),
                None => State::Ready,
            },
            in_flight: 0,
            rests_by_hand_until: None,
            epoch: 0,
            scouts: Scouts::default(),
            leases: 0,
            row: Row::default(),
            answers: Answers::default(),
            reach: Reach::default(),
            back_since: 0,
            rate: FailureRate::default(),
            ramp: None,
            silence: Silence::default(),
            refusals: Refusals::default(),
            doubts: Doubts::default(),
            lacks: Lacks::default(),
            tallies: Tallies::default(),
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn streak(&self) -> u32 {
        self.row.length()
    }

    /// Whether it is ejected or disabled (being probed counts), or has no token.
    pub(super) fn is_out(&self) -> bool {
        self.state.is_out() || self.unsigned.is_some()
    }

    /// Whether it is disabled on the word of one job, and another finds out where nobody else is there; before long one finds
    /// out in any case.
    pub(super) fn is_doubtful(&self, now: Instant) -> bool {
        self.state.is_doubtful() && self.until().is_some_and(|at| now < at)
    }

    /// Whether there is a request that it would turn away: it is out, or lacks an operation.
    pub(super) fn is_choosy(&self) -> bool {
        self.is_out() || !self.lacks.is_empty()
    }

    /// Whether it serves `operation`, now or after a rest.
    pub(super) fn serves(&self, operation: &Operation, now: Instant) -> bool {
        !self.is_out() && self.lacks.of(operation).is_none_or(|lack| lack.retry_at <= now)
    }

    pub(super) fn condition(&self) -> Condition {
        let condition = self.state.condition();
        match &self.unsigned {
            Some(unsigned) if condition != Condition::Disabled => unsigned.condition(),
            None if condition == Condition::Ready && self.lacks.are_all() => Condition::Misconfigured,
            _ => condition,
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match (&self.unsigned, self.condition()) {
            (_, Condition::Misconfigured) => self.lacks.path_reason(),
            (Some(unsigned), _) if self.state.condition() != Condition::Disabled => Some(unsigned.reason()),
            _ => self.state.reason(),
        }
    }

    /// Whether it is given work, as far as its places, its quota and the operation allow it.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready) && self.unsigned.is_none()
    }

    /// Whether it was asked to rest, so that the end of its rest is not certain.
    pub(super) fn rests_by_hand(&self, now: Instant) -> bool {
        self.rests_by_hand_until.is_some_and(|until| now < until)
    }

    /// When it is given work, or tried, again.
    pub(super) fn until(&self) -> Option<Instant> {
        self.state.until()
    }

    /// What it is now, as news.
    pub(super) fn change(&self, name: &Arc<str>) -> Change {
        Change {
            endpoint: Arc::clone(name),
            condition: self.condition(),
            reason: self.reason().map(str::to_owned),
            until: self.until(),
        }
    }

    /// Why it is given no work although it is ready, if so.
    pub(super) fn silence(&self, now: Instant) -> Option<String> {
        (matches!(self.state, State::Ready) && self.unsigned.is_none())
            .then(|| self.silence.describe(now))
            .flatten()
    }

    /// Lets time pass: a cooldown that is over ends, and who came back has room for more. True where the condition changed.
    #[inline]
    pub(super) fn refresh(&mut self, max_in_flight: u32, now: Instant) -> bool {
        self.ramp.take_if(|ramp| ramp.is_over(max_in_flight, now));
        match self.state {
            State::Cooling { until, after, .. } if until <= now => {
                self.state = after.rested();
                true
            }
            _ => false,
        }
    }

    /// Whether something under way may let requests go sooner than the instant that [`Endpoint::readiness`] names.
    pub(super) fn may_go_on(&self, now: Instant) -> bool {
        match self.state {
            State::Ready => self.ramp.is_some() || self.silence.is_on(now) || self.lacks.is_any_doubtful(now),
            State::Cooling { .. } => self.ramp.is_some(),
            State::Probing(_) => true,
            State::Out(_) => self.state.is_doubtful(),
            _ => false,
        }
    }

    /// Whether it is given work as ever, but for what rests and quotas keep from it.
    pub(super) fn is_at_work(&self, now: Instant) -> bool {
        match self.state {
            _ if self.unsigned.is_some() => false,
            State::Ready => !self.silence.is_on(now),
            State::Trial => true,
            _ => false,
        }
    }

    /// When it is silent if nothing is heard from it, if ever.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        match self.state {
            State::Ready => self.silence.at(),
            _ => None,
        }
    }

    /// Whether it has fallen silent, and could be given work all the same if nobody else were there: it may merely have
    /// become slow. Half of its places are kept for those who ask whether it is there, for it may as well hang.
    pub(super) fn is_worth_a_try(&self, max_in_flight: u32, now: Instant) -> bool {
        self.worth_a_try_at(max_in_flight).is_some_and(|at| at <= now) && matches!(self.state, State::Ready)
    }

    /// When it is [worth a try](Endpoint::is_worth_a_try), if nothing happens before. That asks neither whether it is still
    /// given work little by little nor for the end of a backlog, and so may come before what they name.
    pub(super) fn worth_a_try_at(&self, max_in_flight: u32) -> Option<Instant> {
        let has_room = self.in_flight < max_in_flight / 2 && self.unsigned.is_none();
        let silent_at = self.silence.at().filter(|_| has_room)?;
        match self.state {
            State::Ready => Some(silent_at),
            State::Cooling {
                until,
                after: After::Refusal,
                ..
            } => Some(silent_at.max(until)),
            _ => None,
        }
    }

    /// Whether a request for `operation` can go now. Call [`Endpoint::refresh`] first.
    #[inline]
    pub(super) fn readiness(&self, operation: &Operation, max_in_flight: u32, now: Instant) -> Readiness {
        if let Some(unsigned) = &self.unsigned {
            return unsigned.readiness();
        }
        let room = self.in_flight < max_in_flight;
        let readiness = match self.state.readiness(room, &self.scouts, now) {
            // What is under way there finds out whether it is shut.
            Readiness::Now(Role::Probe) if self.is_doubtful(now) && self.in_flight > 0 => {
                self.until().map_or(Readiness::OnSettle, Readiness::At)
            }
            Readiness::Now(Role::Regular) => self.regular(now),
            // Those that hang keep nobody from asking whether it is there.
            Readiness::OnSettle if self.knock_at(max_in_flight).is_some() && self.silence.is_on(now) => {
                self.regular(now)
            }
            // It rests, and has no room when that is over.
            Readiness::At(at) if self.state.is_well() => Readiness::At(
                self.ramp
                    .as_ref()
                    .and_then(Ramp::full_until)
                    .map_or(at, |full| at.max(full)),
            ),
            readiness => readiness,
        };
        match (self.lacks.of(operation), readiness) {
            // What is under way there finds out whether it is missing, or else the next one.
            (Some(lack), Readiness::Now(Role::Regular)) if lack.is_doubtful(now) => match self.in_flight {
                0 => Readiness::Now(Role::Trial),
                _ => Readiness::At(lack.retry_at),
            },
            (Some(lack), _) if !lack.is_doubtful(now) && now < lack.retry_at => Readiness::Refuses(match readiness {
                Readiness::Now(_) | Readiness::OnSettle => Some(lack.retry_at),
                Readiness::At(at) => Some(lack.retry_at.max(at)),
                Readiness::Refuses(at) => at.map(|at| lack.retry_at.max(at)),
            }),
            _ => readiness,
        }
    }

    /// Whether one of many can go where the state and the places allow it.
    fn regular(&self, now: Instant) -> Readiness {
        if self.silence.is_on(now) {
            return match self.silence.knocks_at().filter(|_| self.scouts.has_room()) {
                Some(at) if at <= now => Readiness::Now(Role::Probe),
                Some(at) => Readiness::At(at),
                None => Readiness::OnSettle,
            };
        }
        match self.ramp.as_ref().and_then(Ramp::full_until) {
            Some(at) => Readiness::At(at),
            None => Readiness::Now(Role::Regular),
        }
    }

    /// When one request finds out whether it is there, should nothing be heard from it until then.
    #[inline]
    pub(super) fn knock_at(&self, max_in_flight: u32) -> Option<Instant> {
        let beyond = if self.shares {
            (max_in_flight / BEYOND).min(MOST_PROBES)
        } else {
            0
        };
        let has_room = self.in_flight < max_in_flight.saturating_add(beyond) && self.scouts.has_room();
        let may_knock = has_room && matches!(self.state, State::Ready) && self.unsigned.is_none();
        self.silence.knocks_at().filter(|_| may_knock)
    }

    /// What the next request for `operation` is to the endpoint, where it is not a probe.
    pub(super) fn role(&self, operation: &Operation, now: Instant) -> Role {
        match self.state {
            State::Trial => Role::Trial,
            _ if self.lacks.of(operation).is_some_and(|lack| lack.is_doubtful(now)) => Role::Trial,
            _ => Role::Regular,
        }
    }

    /// Why a request for `operation` cannot go here, where work does not wait for it.
    pub(super) fn refusal(&self, operation: &Operation) -> String {
        let lack = self.lacks.of(operation).map(|lack| lack.reason.as_str());
        let reason = match self.state.out() {
            Some(out) if out.disabled => Some(out.reason.as_str()),
            out => self.awaits_token().or(out.map(|out| out.reason.as_str())).or(lack),
        };
        reason.unwrap_or_default().to_owned()
    }

    /// Whether what keeps a request for `operation` from here lasts until somebody changes something.
    pub(super) fn refuses_lastingly(&self, operation: &Operation) -> bool {
        match self.state.out() {
            Some(out) => out.lasts,
            None => self.unsigned.as_ref().is_some_and(Unsigned::lasts) || self.lacks.of(operation).is_some(),
        }
    }

    /// How long one that asks whether it is back may wait.
    pub(super) fn patience_with(&self, prospect: Prospect) -> Patience {
        let in_vain = self.state.out().map_or(self.silence.knocks(), |out| out.failed_probes);
        let overlaps = self.scouts.is_led();
        Prospect {
            in_vain,
            overlaps,
            ..prospect
        }
        .patience()
    }

    /// Silence that is longer than this tells against the endpoint, whatever it was asked.
    fn patience(&self) -> Duration {
        let usual = self.tallies.first_byte.quantile(0.99);
        PROBE_FIRST_BYTE.max(usual.unwrap_or_default())
    }
}
