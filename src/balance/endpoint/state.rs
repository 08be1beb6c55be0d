//! The state that an endpoint is in, and what it says to a request.

use std::time::Instant;

use super::out::Out;
use super::scouts::Scouts;
use crate::api::Condition;
use crate::balance::Role;

/// See the table of the [endpoint](super).
#[derive(Debug)]
pub(super) enum State {
    Ready,
    Cooling {
        until: Instant,
        after: After,
        reason: String,
    },
    Trial,
    Out(Out),
    Probing(Out),
}

/// What an endpoint rests after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It was asked to rest.
    Refusal,
    /// A failure. When the rest is over one request goes first.
    Failure,
    /// A failure that may be its job's fault, and nothing else: the rest ends where that is taken back.
    Doubt,
}

/// Whether an endpoint can take a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::balance) enum Readiness {
    /// It can, in this role.
    Now(Role),
    /// Not before that.
    At(Instant),
    /// Not before something under way ends.
    OnSettle,
    /// It is disabled, or lacks the operation. Work does not wait for it; what waits for another endpoint tries
    /// this one at that instant, if there is one.
    Refuses(Option<Instant>),
}

impl After {
    /// What the endpoint is when the rest is over.
    pub(super) fn rested(self) -> State {
        match self {
            After::Refusal => State::Ready,
            After::Failure | After::Doubt => State::Trial,
        }
    }
}

impl State {
    /// Whether a request can go now, where there is `room` for one, and beside those that have gone first.
    #[inline]
    pub(super) fn readiness(&self, room: bool, scouts: &Scouts, now: Instant) -> Readiness {
        match self {
            State::Ready if room => Readiness::Now(Role::Regular),
            State::Trial if room && !scouts.is_led() => Readiness::Now(Role::Trial),
            State::Ready | State::Trial => Readiness::OnSettle,
            State::Cooling { until, .. } => Readiness::At(*until),
            State::Out(Out { is_doubtful: true, .. }) if room && scouts.has_room() => Readiness::Now(Role::Probe),
            State::Out(Out {
                probe_at: Some(at),
                disabled,
                ..
            }) => match (*at <= now, disabled) {
                (true, _) if room && scouts.has_room() => Readiness::Now(Role::Probe),
                (true, false) => Readiness::OnSettle,
                (true, true) => Readiness::Refuses(None),
                (false, false) => Readiness::At(*at),
                (false, true) => Readiness::Refuses(Some(*at)),
            },
            State::Out(_) => Readiness::Refuses(None),
            State::Probing(out) if out.disabled && !out.is_doubtful => Readiness::Refuses(None),
            State::Probing(out) => match out.probe_at.filter(|_| room && scouts.has_room()) {
                Some(at) if at <= now => Readiness::Now(Role::Probe),
                Some(at) => Readiness::At(at),
                None => Readiness::OnSettle,
            },
        }
    }

    /// Whether it does not come from a failure: it is ready, or rests because it was asked to.
    pub(super) fn is_well(&self) -> bool {
        match self {
            State::Ready => true,
            State::Cooling { after, .. } => *after == After::Refusal,
            State::Trial | State::Out(_) | State::Probing(_) => false,
        }
    }

    /// Whether it is ejected or disabled (being probed counts).
    pub(super) fn is_out(&self) -> bool {
        self.out().is_some()
    }

    /// Whether it was disabled on the word of one job.
    pub(super) fn is_doubtful(&self) -> bool {
        self.out().is_some_and(|out| out.is_doubtful)
    }

    /// Why it is out, if it is.
    pub(super) fn out(&self) -> Option<&Out> {
        match self {
            State::Out(out) | State::Probing(out) => Some(out),
            State::Ready | State::Cooling { .. } | State::Trial => None,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        match self {
            State::Ready | State::Trial => Condition::Ready,
            State::Cooling { .. } => Condition::CoolingDown,
            State::Out(out) if out.disabled => Condition::Disabled,
            State::Out(_) => Condition::Ejected,
            State::Probing(_) => Condition::Probing,
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            State::Ready | State::Trial => None,
            State::Cooling { reason, .. } => Some(reason),
            State::Out(out) | State::Probing(out) => Some(&out.reason),
        }
    }

    /// When it is given work, or tried, again.
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            State::Cooling { until, .. } => Some(*until),
            State::Out(out) => out.probe_at,
            _ => None,
        }
    }

    /// What comes of a rest until `until`, or longer where it rests longer already.
    pub(super) fn rested(&self, until: Instant, after: After, reason: String) -> State {
        match self {
            State::Out(out) => State::Out(Out {
                probe_at: out.probe_at.map(|at| at.max(until)),
                was_asked: false,
                is_doubtful: false,
                ..out.clone()
            }),
            State::Cooling {
                until: longer,
                after: before,
                reason: first,
            } => State::Cooling {
                until: until.max(*longer),
                after: if after == *before { after } else { After::Failure },
                reason: if until > *longer { reason } else { first.clone() },
            },
            State::Ready => State::Cooling { until, after, reason },
            // What has not proved itself since its last failure goes on one by one.
            State::Trial | State::Probing(_) => State::Cooling {
                until,
                after: After::Failure,
                reason,
            },
        }
    }
}
