//! A limit under a clock that stands still until it is told otherwise; all times are seconds since the start.

use std::time::{Duration, Instant};

use crate::api::Told;
use crate::balance::limits::Sku;
use crate::balance::limits::belief::Form;
use crate::balance::limits::charge::{Admission, Charge, Mode, Refusal, Reservation, Settlement, Wait};
use crate::balance::limits::limit::{Limit, LimitSpec, Settled};
use crate::balance::limits::moment::Moment;
use crate::balance::outcome::Axis;

pub(super) const STANDARD: LimitSpec = LimitSpec {
    sku: Sku::Standard,
    tpm: Some(60_000),
    rpm: None,
    quota_window: Duration::from_secs(60),
    request_window: Duration::from_secs(10),
};
pub(super) const PROVISIONED: LimitSpec = LimitSpec {
    sku: Sku::Provisioned,
    tpm: Some(600_000),
    ..STANDARD
};
pub(super) const UNKNOWN: LimitSpec = LimitSpec { tpm: None, ..STANDARD };

pub(super) struct Scenario {
    pub(super) limit: Limit,
    start: Instant,
}

/// The answer to "may it go?", in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Now(Mode),
    At(f64),
}

pub(super) fn tokens(tokens: f64) -> Charge {
    Charge {
        tokens,
        variance: 0.0,
        prompt: tokens,
    }
}

pub(super) fn refusal(axis: Axis, wait: f64) -> Refusal {
    Refusal {
        axis,
        wait: Wait::Told(Duration::from_secs_f64(wait)),
        remaining_tokens: None,
        remaining_requests: None,
    }
}

impl Scenario {
    pub(super) fn new(spec: &LimitSpec) -> Self {
        let start = Instant::now();
        let mut limit = Limit::new(spec, start);
        limit.set_backlog(true);
        Scenario { limit, start }
    }

    pub(super) fn standard(tpm: u64) -> Self {
        Scenario::new(&LimitSpec {
            tpm: Some(tpm),
            ..STANDARD
        })
    }

    pub(super) fn instant(&self, at: f64) -> Instant {
        self.start + Duration::from_secs_f64(at)
    }

    pub(super) fn moment(&self, at: f64) -> Moment {
        Moment::of(self.instant(at), self.start)
    }

    pub(super) fn ask_charge(&mut self, charge: &Charge, at: f64) -> Answer {
        match self.limit.admits(charge, self.instant(at)) {
            Admission::Now(mode) => Answer::Now(mode),
            Admission::At(instant) => Answer::At(instant.duration_since(self.start).as_secs_f64()),
        }
    }

    pub(super) fn ask(&mut self, size: f64, at: f64) -> Answer {
        self.ask_charge(&tokens(size), at)
    }

    /// Sends it whatever the limit says of it.
    pub(super) fn force(&mut self, size: f64, mode: Mode, at: f64) -> Reservation {
        let at = self.instant(at);
        self.limit.reserve(&tokens(size), mode, at)
    }

    pub(super) fn send(&mut self, size: f64, at: f64) -> Reservation {
        match self.ask(size, at) {
            Answer::Now(mode) => self.force(size, mode, at),
            Answer::At(until) => panic!("{size} tokens may not go at {at}, only at {until}: {:?}", self.limit),
        }
    }

    /// Sends jobs of this size for as long as they may go; the answer is the reservations and when the next may.
    pub(super) fn burst(&mut self, size: f64, at: f64) -> (Vec<Reservation>, f64) {
        let mut sent = Vec::new();
        loop {
            match self.ask(size, at) {
                Answer::Now(mode) => sent.push(self.force(size, mode, at)),
                Answer::At(until) => return (sent, until),
            }
            assert!(sent.len() < 10_000, "there is no end");
        }
    }

    /// Sends so many and has each answered at once.
    pub(super) fn admitted(&mut self, count: usize, size: f64, at: f64) {
        for _ in 0..count {
            let reservation = self.send(size, at);
            self.answer(reservation, at);
        }
    }

    /// Answered, and charged what was estimated.
    pub(super) fn answer(&mut self, reservation: Reservation, at: f64) {
        let prompt = reservation.charge().tokens as u64;
        let end = Settlement::Answered {
            prompt: Some(prompt),
            output: Some(0),
            charged_output: 0.0,
        };
        self.settle(reservation, end, at);
    }

    /// Tokens are refused, with so many seconds to wait.
    pub(super) fn refuse(&mut self, reservation: Reservation, wait: f64, at: f64) -> Settled {
        self.settle(reservation, Settlement::Refused(refusal(Axis::Tokens, wait)), at)
    }

    pub(super) fn settle(&mut self, reservation: Reservation, end: Settlement, at: f64) -> Settled {
        let at = self.instant(at);
        self.limit.settle(reservation, end, at)
    }

    pub(super) fn told(&mut self, told: &Told, at: f64) {
        let at = self.instant(at);
        self.limit.told(told, at);
    }

    /// A window is believed, with this interval for its end, and so many confirmations.
    pub(super) fn believes_window(&mut self, earliest: f64, reset: f64, evidence: u32) {
        let boundary = crate::balance::limits::window::Boundary {
            earliest: self.moment(earliest),
            reset: self.moment(reset),
        };
        self.limit.belief.form = Form::Window;
        self.limit.belief.evidence = evidence;
        self.limit.window.begin(Some(boundary), 0);
    }

    pub(super) fn quota(&self) -> f64 {
        self.limit.quota.tokens()
    }

    pub(super) fn level(&self) -> f64 {
        self.limit.bucket.level()
    }

    pub(super) fn used(&self) -> f64 {
        self.limit.window.used()
    }

    pub(super) fn is_trusted(&self) -> bool {
        self.limit.quota.is_trusted()
    }

    pub(super) fn form(&self) -> Form {
        self.limit.belief.form
    }

    /// Earliest and latest end of the window.
    pub(super) fn boundary(&self) -> Option<(f64, f64)> {
        let zero = self.moment(0.0);
        self.limit
            .window
            .boundary()
            .map(|b| (b.earliest - zero, b.reset - zero))
    }

    /// Until when nothing is sent, by the service's word.
    pub(super) fn block(&self) -> f64 {
        self.limit.block - self.moment(0.0)
    }

    /// Quota and trust in one, for tables.
    pub(super) fn belief(&self) -> (Form, f64, bool) {
        (self.form(), self.quota(), self.is_trusted())
    }
}
