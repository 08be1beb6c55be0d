//! Whatever happens, in whatever order: nothing panics, the books balance, and a promise is kept.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::api::Told;
use crate::balance::limits::Sku;
use crate::balance::limits::belief::Form;
use crate::balance::limits::charge::{Admission, Charge, Mode, Refusal, Reservation, Settlement, Wait};
use crate::balance::limits::limit::{Limit, LimitSpec};
use crate::balance::outcome::Axis;

/// What may happen to a limit. `which` picks one of the requests that are under way.
#[derive(Clone, Debug)]
enum Event {
    Pass { seconds: f64 },
    Back { micros: u64 },
    Send { charge: Charge },
    SendAnyhow { charge: Charge, mode: Mode },
    Connected { seconds: f64 },
    Dialing { which: usize },
    Written { which: usize },
    Confirm { which: usize },
    Settle { which: usize, end: Settlement },
    Told { told: Told },
    Backlog { waiting: bool },
}

/// Figures of all kinds: those that jobs have, and those that nobody should ever see.
fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..20_000.0,
        1 => prop::sample::select(vec![0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e18, f64::MAX, f64::MIN_POSITIVE]),
    ]
}

fn charge() -> impl Strategy<Value = Charge> {
    (figure(), figure(), figure()).prop_map(|(tokens, variance, prompt)| Charge {
        tokens,
        variance: variance * 10.0,
        prompt,
    })
}

/// Jobs as they are.
fn sane_charge() -> impl Strategy<Value = Charge> {
    (50.0..12_000.0, 0.0..0.1).prop_map(|(tokens, spread): (f64, f64)| Charge {
        tokens,
        variance: (tokens * spread).powi(2),
        prompt: tokens / 2.0,
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Sure, Mode::Trial, Mode::Test, Mode::Raise])
}

fn count() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0u64..20_000).prop_map(Some), Just(Some(u64::MAX))]
}

fn header() -> impl Strategy<Value = Option<i64>> {
    let odd = prop::sample::select(vec![-1, 0, 1, i64::MIN, i64::MAX, 1_000_000_000_000_000_000]);
    prop_oneof![3 => Just(None), 2 => (0i64..200_000).prop_map(Some), 1 => odd.prop_map(Some)]
}

fn wait() -> impl Strategy<Value = Wait> {
    let told = prop_oneof![6 => 0u64..62_000, 1 => Just(86_400_000), 1 => Just(u64::MAX)];
    let told = told.prop_map(|ms| Wait::Told(Duration::from_millis(ms)));
    prop_oneof![4 => told, 1 => (0u64..30_000).prop_map(|ms| Wait::Own(Duration::from_millis(ms)))]
}

fn settlement() -> impl Strategy<Value = Settlement> {
    let answered = (count(), count(), figure()).prop_map(|(prompt, output, charged_output)| Settlement::Answered {
        prompt,
        output,
        charged_output,
    });
    let axis = vec![
        Axis::Tokens,
        Axis::Requests,
        Axis::Throughput,
        Axis::Capacity,
        Axis::Unknown,
    ];
    let refused = (prop::sample::select(axis), wait(), header(), header());
    let refused = refused.prop_map(|(axis, wait, remaining_tokens, remaining_requests)| {
        Settlement::Refused(Refusal {
            axis,
            wait,
            remaining_tokens,
            remaining_requests,
        })
    });
    prop_oneof![4 => answered, 3 => refused, 1 => Just(Settlement::Kept), 1 => Just(Settlement::NeverWritten)]
}

fn event(charge: impl Strategy<Value = Charge> + 'static) -> impl Strategy<Value = Event> {
    let charge = charge.boxed();
    let pass = prop_oneof![8 => 0.0..1.0, 3 => 0.0..20.0, 1 => 0.0..400.0];
    prop_oneof![
        8 => pass.prop_map(|seconds| Event::Pass { seconds }),
        1 => (0u64..2_000).prop_map(|micros| Event::Back { micros }),
        12 => charge.clone().prop_map(|charge| Event::Send { charge }),
        1 => (charge, mode()).prop_map(|(charge, mode)| Event::SendAnyhow { charge, mode }),
        1 => (0.0..3.0).prop_map(|seconds| Event::Connected { seconds }),
        1 => any::<usize>().prop_map(|which| Event::Dialing { which }),
        1 => any::<usize>().prop_map(|which| Event::Written { which }),
        2 => any::<usize>().prop_map(|which| Event::Confirm { which }),
        8 => (any::<usize>(), settlement()).prop_map(|(which, end)| Event::Settle { which, end }),
        1 => told().prop_map(|told| Event::Told { told }),
        1 => any::<bool>().prop_map(|waiting| Event::Backlog { waiting }),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    let utilization = prop_oneof![Just(None), figure().prop_map(|figure| Some(figure / 100.0))];
    let windows = (header(), header());
    (header(), header(), windows, utilization).prop_map(|(limit_requests, limit_tokens, windows, utilization)| Told {
        renewal_requests: windows.0,
        renewal_tokens: windows.1,
        limit_requests,
        limit_tokens,
        utilization,
        ..Told::default()
    })
}

fn spec() -> impl Strategy<Value = LimitSpec> {
    let tpm = prop_oneof![
        Just(None),
        Just(Some(0)),
        (1_000u64..200_000).prop_map(Some),
        Just(Some(u64::MAX))
    ];
    let rpm = prop_oneof![2 => Just(None), 3 => (1u64..2_000).prop_map(Some), 1 => Just(Some(u64::MAX))];
    let windows = prop::sample::select(vec![(60, 10), (60, 1), (60, 60), (10, 10), (0, 0), (600, 300)]);
    (prop::bool::weighted(0.3), tpm, rpm, windows).prop_map(|(provisioned, tpm, rpm, (quota, request))| LimitSpec {
        sku: if provisioned { Sku::Provisioned } else { Sku::Standard },
        tpm,
        rpm,
        quota_window: Duration::from_secs(quota),
        request_window: Duration::from_secs(request),
    })
}

/// A limit, and the requests under way.
struct Play {
    limit: Limit,
    now: Instant,
    under_way: Vec<Reservation>,
}

impl Play {
    fn new(spec: &LimitSpec) -> Self {
        let now = Instant::now();
        let mut limit = Limit::new(spec, now);
        limit.set_backlog(true);
        Play {
            limit,
            now,
            under_way: Vec::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass { seconds } => self.now += Duration::from_secs_f64(*seconds),
            Event::Back { micros } => {
                // Another thread had read the clock before.
                let before = self.now.checked_sub(Duration::from_micros(*micros)).unwrap_or(self.now);
                self.limit.admits(
                    &Charge {
                        tokens: 1.0,
                        variance: 0.0,
                        prompt: 1.0,
                    },
                    before,
                );
            }
            Event::Send { charge } => {
                if let Admission::Now(mode) = self.limit.admits(charge, self.now) {
                    self.check_mode(charge, mode);
                    self.under_way.push(self.limit.reserve(charge, mode, self.now));
                }
            }
            Event::SendAnyhow { charge, mode } => {
                self.under_way.push(self.limit.reserve(charge, *mode, self.now));
            }
            Event::Connected { seconds } => self.limit.connected(Duration::from_secs_f64(*seconds)),
            Event::Dialing { which } | Event::Written { which } | Event::Confirm { which } => {
                let Some(index) = which.checked_rem(self.under_way.len()) else {
                    return;
                };
                let reservation = &self.under_way[index];
                match event {
                    Event::Dialing { .. } => self.limit.dialing(reservation.short_number()),
                    Event::Written { .. } => self.limit.written(reservation.short_number(), self.now),
                    _ => {
                        let _ = self.limit.confirm(reservation, self.now);
                    }
                }
            }
            Event::Settle { which, end } => {
                if let Some(index) = which.checked_rem(self.under_way.len()) {
                    let reservation = self.under_way.swap_remove(index);
                    self.limit.settle(reservation, *end, self.now);
                }
            }
            Event::Told { told } => {
                let _ = self.limit.told(told, self.now);
            }
            Event::Backlog { waiting } => self.limit.set_backlog(*waiting),
        }
    }

    /// What an admission as this promises of the models.
    fn check_mode(&self, charge: &Charge, mode: Mode) {
        let charge = &charge.sane();
        let limit = &self.limit;
        let quota = limit.quota.tokens();
        if !limit.quota.is_known() || limit.sku == Sku::Provisioned {
            return;
        }
        // A job larger than a quota counts as a part of it.
        if charge.tokens + 3.0 * limit.bucket.deviation(charge.variance) > 0.9 * quota {
            return;
        }
        let usable = 0.999 * quota;
        let in_bucket = limit.bucket.level() + charge.tokens + 3.0 * limit.bucket.deviation(charge.variance);
        let in_window = match limit.window.boundary() {
            Some(_) => limit.window.used() + charge.tokens + 2.0 * limit.window.deviation(charge.variance),
            None => limit.sent.tokens() + charge.tokens + 2.0 * limit.bucket.deviation(charge.variance),
        };
        let in_log = limit
            .sent
            .tokens_but_for_those_until(limit.now - (limit.length + limit.lag))
            + charge.tokens
            + 2.0 * limit.bucket.deviation(charge.variance);
        let fits = (in_bucket <= usable + 1e-6, in_window <= usable + 1e-6);
        let is_seeking = limit.belief.form == Form::Window && limit.window.boundary().is_none();
        match (mode, limit.belief.form) {
            (Mode::Sure, Form::Log) => assert!(in_log <= usable + 1e-6, "{charge:?} {limit:?}"),
            (Mode::Trial, Form::Log) => panic!("a log needs no trials: {charge:?} {limit:?}"),
            (Mode::Sure, _) => assert_eq!(fits, (true, true), "{charge:?} {limit:?}"),
            (Mode::Trial, Form::Bucket) => assert!(fits.0, "{charge:?} {limit:?}"),
            (Mode::Trial, Form::Window) => assert!(fits.1 || is_seeking, "{charge:?} {limit:?}"),
            (Mode::Raise | Mode::Test, form) => {
                assert_eq!(form != Form::Bucket, mode == Mode::Raise);
                let others = if mode == Mode::Raise {
                    limit.tuning.seekers - 1
                } else {
                    0
                };
                assert!(limit.unconfirmed.trials() <= others, "{limit:?}");
            }
        }
    }

    fn check_books(&self) {
        let limit = &self.limit;
        let share = limit.used_share(self.now);
        assert!(
            limit.bucket.level() >= 0.0 && limit.bucket.level().is_finite(),
            "{limit:?}"
        );
        assert!(
            limit.window.used() >= 0.0 && limit.window.used().is_finite(),
            "{limit:?}"
        );
        assert!(
            limit.bucket.deviation(0.0).is_finite() && limit.window.deviation(0.0).is_finite(),
            "{limit:?}"
        );
        assert!(
            share.is_none_or(|share| share >= 0.0 && share.is_finite()),
            "{share:?} {limit:?}"
        );
        let quota = limit.quota.tokens();
        let ceiling = limit.quota.ceiling();
        assert!(
            quota <= ceiling && (quota.is_infinite() || quota >= ceiling.min(1e15) / 16.0 || ceiling.is_infinite()),
            "{limit:?}"
        );
        let limit = limit.requests.limit();
        assert!(limit.is_none_or(|limit| limit >= 1.0), "{limit:?}");
    }
}

/// What is named is rounded up, and by so much at least.
const JUST_BEFORE: Duration = Duration::from_micros(100);

proptest! {
    #[test]
    fn nothing_panics_and_no_figure_leaves_its_range(
        spec in spec(), events in prop::collection::vec(event(charge()), 1..200),
    ) {
        let mut play = Play::new(&spec);
        for event in &events {
            play.happen(event);
            play.check_books();
            play.limit.snapshot(play.now);
        }
    }

    #[test]
    fn what_is_promised_for_an_instant_is_refused_before_and_admitted_then(
        spec in spec(), events in prop::collection::vec(event(sane_charge()), 1..120), charge in sane_charge(), part in 0.0..1.0,
    ) {
        let mut play = Play::new(&spec);
        for event in &events {
            play.happen(event);
        }
        // A connection that is still being made is waited for, however long that takes.
        for reservation in &play.under_way {
            play.limit.written(reservation.short_number(), play.now);
        }
        play.limit.set_backlog(true);
        let mut asked = 0;
        while let Admission::At(until) = play.limit.admits(&charge, play.now) {
            prop_assert!(until > play.now, "{until:?} has come at {:?}", play.now);
            // Nobody has to wait for less than a ten-thousandth of a second.
            let length = until.saturating_duration_since(play.now + 2 * JUST_BEFORE);
            let mut same = play.limit.clone();
            // What grows does so with every look, and what silence confirms is not waited for any longer.
            for part in [0.25 * part, part, 1.0] {
                let between = play.now + length.mul_f64(part);
                same.forget_answer();
                if let Admission::Now(mode) = same.admits(&charge, between) {
                    prop_assert!(between >= until || length.is_zero(), "{mode:?} {:?} before {:?}", until - between, play.limit);
                }
            }
            play.now = until;
            asked += 1;
            // The service's word, the pace of requests, each unconfirmed send, the model, and each step that it may grow by.
            prop_assert!(asked < 200 + play.under_way.len(), "never admitted: {charge:?} {:?}", play.limit);
        }
    }

    #[test]
    fn what_has_ended_leaves_nothing_behind(
        spec in spec(), events in prop::collection::vec(event(charge()), 1..200), ends in prop::collection::vec(settlement(), 1..8),
    ) {
        let mut play = Play::new(&spec);
        for event in &events {
            play.happen(event);
        }
        for (reservation, end) in play.under_way.drain(..).zip(ends.iter().cycle()) {
            play.limit.settle(reservation, *end, play.now);
        }
        prop_assert_eq!(play.limit.unconfirmed.numbers().count(), 0);
        prop_assert_eq!(play.limit.unconfirmed.trials(), 0);
        prop_assert!(play.limit.unconfirmed.may_risk(1e9), "{:?}", play.limit);
        prop_assert!(play.limit.bucket.deviation(0.0) < 1.0, "{:?}", play.limit.bucket);
    }
}
