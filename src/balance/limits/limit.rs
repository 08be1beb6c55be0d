//! One quota: its state, and the calls.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::admission::Closed;
use super::belief::{Belief, Form};
use super::bucket::{Bucket, Vessel};
use super::charge::{Charge, Exhausted, Mode, Reservation, Settlement};
use super::doubts::Doubts;
use super::moment::Moment;
use super::quota::Quota;
use super::raises::Raises;
use super::requests::RequestPacer;
use super::round_trips::RoundTrips;
use super::sent_log::SentLog;
use super::sku::Sku;
use super::tuning::Tuning;
use super::unconfirmed::{Send, Unconfirmed};
use super::window::Window;
use crate::api::Told;

/// What is configured of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSpec {
    /// How the service counts.
    pub sku: Sku,
    /// Tokens a minute, where they are known.
    pub tpm: Option<u64>,
    /// Requests a minute, where they are known.
    pub rpm: Option<u64>,
    /// The window in which tokens are counted.
    pub quota_window: Duration,
    /// The window in which requests are counted at first; other ones are found out.
    pub request_window: Duration,
}

impl LimitSpec {
    /// The most tokens that are granted in a window; none where no limit is known, or whatever its size is admitted.
    pub fn grants(&self) -> Option<u64> {
        let minutes = self.quota_window.as_secs_f64() / MINUTE;
        let standard = self.tpm.filter(|_| self.sku == Sku::Standard);
        standard.map(|tpm| (tpm as f64 * minutes) as u64)
    }
}

/// What a settlement says beyond this limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// It was refused while nothing else of ours was charged: it is too large for the quota, or others use it.
    pub alone: bool,
    /// So it was, and is larger than this quota, in tokens a window, which is believed.
    pub exceeds: Option<u64>,
}

/// Limiter of one quota. Every call takes the time; a time that lies a little before an earlier one counts as that one.
#[derive(Clone, Debug)]
pub struct Limit {
    spec: LimitSpec,
    pub(super) sku: Sku,
    pub(super) tuning: Tuning,
    /// Seconds in a window of the quota.
    pub(super) length: f64,
    start: Instant,
    /// The latest time that was seen.
    pub(super) now: Moment,
    pub(super) quota: Quota,
    pub(super) bucket: Bucket,
    pub(super) window: Window,
    pub(super) sent: SentLog,
    pub(super) requests: RequestPacer,
    pub(super) belief: Belief,
    pub(super) raises: Raises,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) trips: RoundTrips,
    pub(super) doubts: Doubts,
    /// What was believed before refusals that may have been noise.
    pub(super) before: Option<Box<(Quota, Belief)>>,
    /// Nothing is sent before: the service's word.
    pub(super) block: Moment,
    /// When tokens were last refused.
    pub(super) tokens_refused: Moment,
    /// When requests were last refused.
    pub(super) requests_refused: Moment,
    /// Sliding log: seconds by which a send may come, and so leave, later than it was sent.
    pub(super) lag: f64,
    /// When the window's clock was last shifted.
    pub(super) shifted: Moment,
    /// When the newest of those was sent that are known to have been admitted.
    admitted: Moment,
    /// Refusals so far.
    pub(super) refusals: u64,
    /// Reservations that are not settled, and the tokens of all of them.
    pub(super) reserved: (u64, f64),
    /// Work is waiting: only then more is tried.
    pub(super) is_work_waiting: bool,
    /// The number of the next send.
    pub(super) next: u64,
    /// An answer that holds for every charge until something happens.
    pub(super) closed: Option<Closed>,
}

const MINUTE: f64 = 60.0;
/// Windows without a send after which the service's clock may have moved.
const IDLE_WINDOWS: u32 = 5;
/// Shortest window that is accepted; a shorter one is taken for this.
const SHORTEST: Duration = Duration::from_millis(100);
/// Seconds that a service may name as its window of tokens: up to a day.
const NAMED_WINDOWS: RangeInclusive<f64> = 1.0..=86_400.0;
/// Utilisation in percent above which the header makes no sense: bursts pass 100 only a little.
const UTILIZATION_MOST: f64 = 200.0;
/// Tokens above which a count of usage is none.
const USAGE_MOST: u64 = 1_000_000_000;

impl Limit {
    /// A limit of which nothing is known but the specification.
    pub fn new(spec: &LimitSpec, start: Instant) -> Self {
        Limit::with_tuning(spec, Tuning::default(), start)
    }

    /// The same with other constants, for experiments.
    pub fn with_tuning(spec: &LimitSpec, tuning: Tuning, start: Instant) -> Self {
        let now = Moment::of(start, start);
        let length = spec.quota_window.max(SHORTEST).as_secs_f64();
        let quota = Quota::new(spec.tpm, length / MINUTE);
        let span = spec.request_window.max(SHORTEST).as_secs_f64();
        Limit {
            spec: *spec,
            sku: spec.sku,
            tuning,
            length,
            start,
            now,
            bucket: Bucket::new(now),
            window: Window::new(),
            sent: SentLog::default(),
            requests: RequestPacer::new(spec.rpm, span, tuning.jitter),
            belief: Belief::new(),
            raises: Raises::new(),
            // An unknown quota times its share is no bound either.
            unconfirmed: Unconfirmed::new(quota.tokens() * tuning.share),
            quota,
            trips: RoundTrips::new(),
            doubts: Doubts::default(),
            before: None,
            block: now,
            tokens_refused: Moment::LONG_AGO,
            requests_refused: Moment::LONG_AGO,
            lag: tuning.jitter,
            shifted: Moment::LONG_AGO,
            admitted: Moment::LONG_AGO,
            refusals: 0,
            reserved: (0, 0.0),
            is_work_waiting: false,
            next: 0,
            closed: None,
        }
    }

    /// Somebody who knows better says that all is well: what refusals have taught is forgotten, and nothing is waited
    /// for any more. What was sent of late still counts.
    pub fn begin_anew(&mut self, now: Instant) {
        let now = self.advance(now);
        let fresh = Limit::with_tuning(&self.spec, self.tuning, self.start);
        let learnt = std::mem::replace(self, fresh);
        self.now = now;
        self.block = now;
        self.next = learnt.next;
        self.refusals = learnt.refusals;
        self.reserved = learnt.reserved;
        self.trips = learnt.trips;
        self.is_work_waiting = learnt.is_work_waiting;
        if learnt.quota.is_known() && self.quota.is_known() {
            self.bucket = learnt.bucket;
        } else {
            self.bucket = Bucket::new(now);
        }
        self.sent = learnt.sent;
    }

    /// What blocks it is not waited for any longer than until then: it is asked anew.
    pub fn block_at_most(&mut self, until: Instant, now: Instant) {
        self.advance(now);
        self.block = self.block.min(Moment::of(until, self.start));
    }

    /// A connection was made, which took so long: a refusal will take about as long to come.
    pub fn connected(&mut self, round_trip: Duration) {
        self.trips.record(round_trip.as_secs_f64());
        self.closed = None;
    }

    /// Whether work is waiting that could go here. Only then a limit that was lowered grows again.
    pub fn set_backlog(&mut self, is_waiting: bool) {
        if is_waiting && !self.is_work_waiting {
            self.closed = None;
        }
        self.is_work_waiting = is_waiting;
    }

    /// Charges a request that goes now, as `mode` of the answer of `admits`.
    pub fn reserve(&mut self, charge: &Charge, mode: Mode, now: Instant) -> Reservation {
        let now = self.advance(now);
        let charge = charge.sane();
        let number = self.next;
        self.next += 1;
        let reservation = Reservation {
            number,
            charge,
            mode,
            sent: now,
            epoch: self.belief.epoch,
            fits_bucket: self.bucket_fits_at(&charge, now) <= now,
        };
        if mode == Mode::Test {
            self.belief.test_is_due = false;
        }
        self.unconfirmed.push(Send {
            number,
            at: now,
            tokens: charge.tokens,
            mode,
            epoch: self.belief.epoch,
        });
        self.reserved.0 += 1;
        self.reserved.1 += charge.tokens;
        self.bucket.add(charge.tokens, charge.variance);
        self.window.add(charge.tokens, charge.variance);
        self.sent.push(number, charge.tokens, charge.variance, now);
        self.requests.push(now);
        reservation
    }

    /// A new connection is being made for the request with this [number](Reservation::short_number): until it is written,
    /// silence says nothing.
    pub fn dialing(&mut self, number: u32) {
        self.unconfirmed.dialing(number);
        self.closed = None;
    }

    /// The connection that was being made for it stands, and it has been written.
    pub fn written(&mut self, number: u32, now: Instant) {
        let now = self.advance(now);
        self.unconfirmed.written(number, now);
    }

    /// The head of its reply has come, and it is no refusal: it has been admitted. True where others may go now that
    /// waited for that.
    pub fn confirm(&mut self, reservation: &Reservation, now: Instant) -> bool {
        self.advance(now);
        let risks_little = self.risks_little();
        self.confirm_number(reservation.number);
        risks_little
    }

    /// Whether the instant that [`Limit::admits`] names may be that of a confirmation, which can come at any time before.
    pub fn awaits_confirmation(&self) -> bool {
        self.block <= self.now && self.unconfirmed.numbers().next().is_some() && self.risks_little()
    }

    /// Whether something may have to wait until what is under way is confirmed.
    fn risks_little(&self) -> bool {
        let (trials, is_known) = (self.unconfirmed.trials(), self.quota.is_known());
        let is_trying = self.belief.evidence < self.tuning.proof || !self.quota.is_trusted();
        match self.sku {
            // All wait until it is known what a refusal was.
            _ if self.doubts.is_open() => true,
            _ if !is_known => u64::from(trials) >= self.slow_start(),
            Sku::Provisioned => false,
            Sku::Standard => self.unconfirmed.is_bounded() || trials > 0 && is_trying,
        }
    }

    /// Sends that may be unconfirmed while the quota is unknown.
    pub(super) fn slow_start(&self) -> u64 {
        u64::from(self.tuning.slow_start).max(self.unconfirmed.confirmed().div_ceil(4))
    }

    /// Whether anything that was sent between the two instants is known by now to have been admitted: it need not have been
    /// answered.
    pub fn has_admitted(&mut self, after: Instant, before: Instant, now: Instant) -> bool {
        self.advance(now);
        self.admitted > Moment::of(after, self.start) && self.admitted < Moment::of(before, self.start)
    }

    /// It has ended.
    pub fn settle(&mut self, reservation: Reservation, end: Settlement, now: Instant) -> Settled {
        let now = self.advance(now);
        let reserved = reservation.charge.tokens;
        let left = self.reserved.0.saturating_sub(1);
        // Exactly nothing where nothing is left, whatever the sums of fractions come to.
        self.reserved = (left, if left == 0 { 0.0 } else { self.reserved.1 - reserved });
        let mut alone = false;
        let mut exceeds = None;
        match end {
            Settlement::Answered {
                prompt,
                output,
                charged_output,
            } => {
                self.confirm_number(reservation.number);
                let charged = self.charged(&reservation.charge, prompt, output, charged_output);
                self.correct(&reservation, charged);
                if reservation.mode == Mode::Raise {
                    self.raise_answered(&reservation);
                }
            }
            Settlement::Kept => {
                self.end_untaught(&reservation);
                self.correct(&reservation, reserved);
            }
            Settlement::NeverWritten => {
                self.end_untaught(&reservation);
                self.correct(&reservation, 0.0);
                self.requests.release(reservation.sent);
            }
            Settlement::Refused(refusal) => {
                alone = self.refused(&reservation, &refusal, now);
                let is_tokens = self.sku == Sku::Standard && refusal.exhausted(reserved) == Exhausted::Tokens;
                let quota = Some(self.quota.tokens()).filter(|quota| alone && is_tokens && reserved > *quota);
                exceeds = quota.map(|quota| quota as u64);
            }
        }
        Settled { alone, exceeds }
    }

    /// The rate-limit headers of a reply. Figures that cannot be are passed over. True where a limit is another now.
    pub fn told(&mut self, told: &Told, now: Instant) -> bool {
        let now = self.advance(now);
        let mut is_news = false;
        if let Some(seconds) = told.renewal_tokens {
            is_news |= self.counted_every(seconds as f64);
        }
        if let Some(limit) = told.limit_tokens {
            is_news |= self.told_tokens(limit as f64, now);
        }
        if let Some(seconds) = told.renewal_requests {
            is_news |= self.requests.counted_every(seconds as f64);
        }
        if let Some(limit) = told.limit_requests {
            is_news |= self.requests.told(limit as f64);
        }
        let utilization = told
            .utilization
            .filter(|percent| (0.0..=UTILIZATION_MOST).contains(percent));
        if let (Sku::Provisioned, Some(percent), true) = (self.sku, utilization, self.quota.is_known()) {
            let level = percent / 100.0 * self.vessel().capacity;
            self.bucket.set_level(self.bucket.level().max(level));
        }
        is_news
    }

    /// The service says in which window it counts tokens, in seconds. Whether that is news: one that makes no sense is
    /// passed over, and so is one that whole seconds may name for the one that is known.
    fn counted_every(&mut self, seconds: f64) -> bool {
        let is_same = (seconds - self.length).abs() < 1.0;
        if self.sku != Sku::Standard || is_same || !NAMED_WINDOWS.contains(&seconds) {
            return false;
        }
        self.quota.counted_in(seconds / self.length);
        self.length = seconds;
        self.window.forget_boundary();
        self.belief.fade();
        self.unconfirmed.allow_at_most(self.quota.tokens() * self.tuning.share);
        true
    }

    fn told_tokens(&mut self, per_minute: f64, now: Moment) -> bool {
        let before = self.quota.tokens();
        if !self.quota.told(per_minute, self.length / MINUTE) {
            return false;
        }
        if before.is_infinite() {
            // Until now nothing has drained.
            self.bucket.set_level(self.sent.level(self.vessel().rate, now));
        }
        if self.quota.tokens() < before {
            self.unconfirmed.allow_at_most(self.quota.tokens() * self.tuning.share);
        }
        true
    }

    /// What was above the learnt quota has been answered: so much is granted.
    fn raise_answered(&mut self, reservation: &Reservation) {
        let (in_window, used) = (self.window.holds(reservation.number), self.window.used());
        if self.belief.form == Form::Log {
            self.raise_answered_by_log(reservation.sent);
        } else if in_window && used > self.quota.tokens() {
            self.quota.learn(used);
        }
    }

    /// What the service has charged for a request that was answered.
    fn charged(&self, charge: &Charge, prompt: Option<u64>, output: Option<u64>, charged_output: f64) -> f64 {
        let count = |tokens: Option<u64>| tokens.filter(|&count| count <= USAGE_MOST).map(|count| count as f64);
        let charged_output = Some(charged_output).filter(|tokens| (0.0..=USAGE_MOST as f64).contains(tokens));
        match (self.sku, count(prompt), count(output), charged_output) {
            (Sku::Provisioned, prompt, Some(output), _) => prompt.unwrap_or(charge.prompt) + output,
            (_, Some(prompt), _, Some(charged_output)) => prompt + charged_output,
            _ => charge.tokens,
        }
    }

    /// Replaces the estimate by the charge.
    pub(super) fn correct(&mut self, reservation: &Reservation, charged: f64) {
        let more = charged - reservation.charge.tokens;
        let variance = reservation.charge.variance;
        self.bucket.correct(more, variance);
        self.window.correct(reservation.number, more, variance);
        self.sent.correct(reservation.number, more, variance);
    }

    /// It has ended in a way that says nothing about the quota. A test is still to be made then.
    fn end_untaught(&mut self, reservation: &Reservation) {
        let ended = self.unconfirmed.remove(reservation.number);
        self.doubts.left(reservation.number);
        self.conclude();
        if ended.is_some_and(|send| send.mode == Mode::Test && send.epoch == self.belief.epoch) {
            self.belief.test_is_due = true;
        }
    }

    fn confirm_number(&mut self, number: u64) {
        if let Some(send) = self.unconfirmed.remove(number) {
            self.confirmed(&send);
            self.conclude();
        }
    }

    /// A send has been admitted: its reply's head has come, or no refusal for long enough.
    fn confirmed(&mut self, send: &Send) {
        self.admitted = self.admitted.max(send.at);
        self.doubts.heard(send.number, send.tokens, send.at, false);
        let counts = send.epoch == self.belief.epoch;
        self.unconfirmed.confirm(send, counts, self.quota.tokens());
        if !counts {
            return;
        }
        match send.mode {
            Mode::Sure => {}
            Mode::Trial | Mode::Raise => self.belief.confirm(),
            // No bucket admits that: the quota was renewed at some moment, so there are windows. When do they begin?
            Mode::Test if self.belief.form == Form::Bucket => {
                self.belief.change(Form::Window, 2);
                self.window.forget_boundary();
            }
            Mode::Test => {}
        }
    }

    /// Time passes for every part, and what was known for every charge is to be asked anew.
    pub(super) fn advance(&mut self, now: Instant) -> Moment {
        let now = self.moment(now);
        self.closed = None;
        self.now = now;
        let rate = self.quota.is_known().then(|| self.vessel().rate);
        self.bucket.drain(rate, now);
        if self.is_work_waiting && self.belief.form == Form::Bucket {
            self.quota.grow(self.tokens_refused, now);
        }
        self.requests.advance(self.is_work_waiting, now);
        // A second more than the waits of a window reach back; an unknown quota is measured over two.
        let windows = if self.quota.is_known() { 1.0 } else { 2.0 };
        self.sent.forget_before(now - (windows * self.length + 1.0));
        let turns = self.window.turn(self.length, self.next, now);
        self.raises.skip(turns);
        if turns > IDLE_WINDOWS {
            self.window.forget_boundary();
            self.belief.fade();
            self.unconfirmed.allow_at_most(self.quota.tokens() * self.tuning.share);
        }
        let silence = self.silence();
        while let Some(send) = self.unconfirmed.next_silent(silence, now) {
            self.confirmed(&send);
        }
        self.conclude();
        now
    }

    /// The time as this limit counts it; never before what it has seen.
    pub(super) fn moment(&self, now: Instant) -> Moment {
        Moment::of(now, self.start).max(self.now)
    }

    pub(super) fn instant(&self, moment: Moment) -> Instant {
        moment.instant(self.start)
    }

    /// The bucket's size and speed by the quota that is believed.
    pub(super) fn vessel(&self) -> Vessel {
        self.vessel_of(self.quota.tokens())
    }

    /// The same by a quota of so many tokens a window.
    pub(super) fn vessel_of(&self, tokens: f64) -> Vessel {
        let windows = match self.sku {
            Sku::Standard => 1.0,
            Sku::Provisioned => 0.5,
        };
        Vessel {
            capacity: windows * tokens * (1.0 - self.tuning.slack),
            rate: tokens / self.length,
        }
    }

    /// Tokens a window that may be used.
    pub(super) fn usable(&self) -> f64 {
        self.quota.tokens() * (1.0 - self.tuning.slack)
    }

    pub(super) fn silence(&self) -> f64 {
        self.trips.silence(self.tuning.silence)
    }
}
