use proptest::prelude::*;

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What happened to a request, in a form that tables can hold: `Ok`, or the axis and the wait in milliseconds.
fn asked(limiter: &mut Limiter, tokens: u64, at_s: f64) -> Result<(), (LimitAxis, u64)> {
    let verdict = limiter.admit(tokens, s(at_s));
    verdict
        .map(|admitted| assert_eq!(admitted.tokens, tokens))
        .map_err(|refused| (refused.axis, refused.wait.as_millis() as u64))
}

type Row = (f64, u64, Result<(), (LimitAxis, u64)>);

fn check(limiter: &mut Limiter, rows: &[Row]) {
    for (at_s, tokens, expected) in rows {
        assert_eq!(asked(limiter, *tokens, *at_s), *expected, "{tokens} tokens at {at_s} s");
    }
}

use LimitAxis::{Requests, Throughput, Tokens as TokenAxis};

#[test]
fn a_window_admits_its_quota_and_starts_anew_at_its_phase() {
    let limits = Limits::new().tpm(10_000).phase_s(25.0);
    check(
        &mut Limiter::standard(&limits, Duration::ZERO),
        &[
            (0.0, 6000, Ok(())),
            (1.0, 4000, Ok(())),
            (1.0, 1, Err((TokenAxis, 24_000))),
            (24.9, 1, Err((TokenAxis, 100))),
            (25.0, 10_000, Ok(())),
            (84.5, 1, Err((TokenAxis, 500))),
            (85.0, 1, Ok(())),
            // More than the whole quota never fits, and is told of the next window all the same.
            (200.0, 10_001, Err((TokenAxis, 5000))),
        ],
    );
}

#[test]
fn a_bucket_drains_all_the_time() {
    let limits = Limits::new().tpm(60_000).form(LimiterForm::Bucket);
    check(
        &mut Limiter::standard(&limits, Duration::ZERO),
        &[
            (0.0, 60_000, Ok(())),
            (0.0, 1000, Err((TokenAxis, 1000))),
            (0.5, 1000, Err((TokenAxis, 500))),
            (1.0, 1000, Ok(())),
            (31.0, 30_001, Err((TokenAxis, 1))),
            (31.0, 30_000, Ok(())),
        ],
    );
}

#[test]
fn what_a_log_was_charged_comes_back_a_window_later_all_at_once() {
    let limits = Limits::new().tpm(60_000).form(LimiterForm::Log);
    check(
        &mut Limiter::standard(&limits, Duration::ZERO),
        &[
            (0.0, 40_000, Ok(())),
            (10.0, 10_000, Ok(())),
            (30.0, 10_000, Ok(())),
            // The first charge makes room for a small one, a large one needs the second to be over, too.
            (30.5, 1, Err((TokenAxis, 29_500))),
            (30.5, 45_000, Err((TokenAxis, 39_500))),
            (59.5, 40_000, Err((TokenAxis, 500))),
            (60.0, 40_001, Err((TokenAxis, 10_000))),
            (60.0, 40_000, Ok(())),
            // More than the whole quota never fits, and is told when nothing is left that counts.
            (61.0, 60_001, Err((TokenAxis, 59_000))),
        ],
    );
}

#[test]
fn requests_are_counted_in_windows_of_their_own_and_always_admit_one() {
    let ten = Limits::new().rpm(60).phase_s(0.0);
    let mut limiter = Limiter::standard(&ten, Duration::ZERO);
    for _ in 0..10 {
        assert_eq!(asked(&mut limiter, 1, 0.0), Ok(()));
    }
    check(&mut limiter, &[(3.0, 1, Err((Requests, 7000))), (10.0, 1, Ok(()))]);
    let one_second = Limits::new().rpm(6).request_window_s(1.0).phase_s(0.0);
    check(
        &mut Limiter::standard(&one_second, Duration::ZERO),
        &[(0.0, 1, Ok(())), (0.2, 1, Err((Requests, 800))), (1.0, 1, Ok(()))],
    );
}

#[test]
fn where_both_axes_are_exhausted_the_longer_wait_is_told() {
    let limits = Limits::new().tpm(60_000).rpm(12);
    let rows = [
        // Requests come back after 4 s, tokens with the minute or, in a bucket, as they drain.
        (limits.clone().phase_s(24.0), 60_000, (TokenAxis, 24_000)),
        (
            limits.clone().form(LimiterForm::Bucket).phase_s(4.0),
            3000,
            (Requests, 4000),
        ),
        (limits.form(LimiterForm::Bucket).phase_s(4.0), 7000, (TokenAxis, 7000)),
    ];
    for (limits, tokens, refused) in rows {
        let mut limiter = Limiter::standard(&limits, Duration::ZERO);
        check(
            &mut limiter,
            &[(0.0, 60_000 - 1, Ok(())), (0.0, 1, Ok(())), (0.0, tokens, Err(refused))],
        );
        let wait = Duration::from_millis(refused.1);
        assert_eq!(limiter.judge(tokens, wait), Ok(()), "{limits:?}");
    }
}

#[test]
fn a_refused_request_counts_only_where_it_is_said_to() {
    for (counts, expected) in [(false, Ok(())), (true, Err((Requests, 10_000)))] {
        let limits = Limits {
            count_refused: counts,
            ..Limits::new().rpm(12).tpm(1000).phase_s(0.0)
        };
        let mut limiter = Limiter::standard(&limits, Duration::ZERO);
        assert_eq!(asked(&mut limiter, 1001, 0.0), Err((TokenAxis, 60_000)));
        assert_eq!(asked(&mut limiter, 10, 0.0), Ok(()));
        assert_eq!(asked(&mut limiter, 10, 0.0), expected, "counts: {counts}");
    }
}

#[test]
fn a_provisioned_deployment_admits_below_its_brim_whatever_the_size_and_is_corrected() {
    let mut limiter = Limiter::provisioned(&Limits::new().tpm(60_000));
    // The brim is at 30,000.
    check(
        &mut limiter,
        &[
            (0.0, 29_999, Ok(())),
            (0.0, 50_000, Ok(())),
            (0.0, 1, Err((Throughput, 50_000))),
        ],
    );
    limiter.settle(Admitted { tokens: 50_000 }, 10_000, s(1.0));
    assert_eq!(asked(&mut limiter, 1, 1.0), Err((Throughput, 9000)));
    assert_eq!(asked(&mut limiter, 1, 9.999), Err((Throughput, 1)));
    assert_eq!(asked(&mut limiter, 1, 10.0), Ok(()));
}

#[test]
fn a_standard_charge_stands_whatever_was_used() {
    for form in [LimiterForm::Window, LimiterForm::Bucket, LimiterForm::Log] {
        let limits = Limits::new().tpm(1000).form(form).phase_s(0.0);
        let mut limiter = Limiter::standard(&limits, Duration::ZERO);
        let admitted = limiter.admit(1000, Duration::ZERO).unwrap();
        limiter.settle(admitted, 1, Duration::ZERO);
        assert!(limiter.admit(1, Duration::ZERO).is_err(), "{form:?}");
    }
}

#[test]
fn a_lowered_limit_holds_from_and_to_its_times() {
    let window = Limits::new().tpm(1000).phase_s(0.0).lowered(60.0, 120.0, 0.5);
    check(
        &mut Limiter::standard(&window, Duration::ZERO),
        &[
            (59.0, 1000, Ok(())),
            (60.0, 501, Err((TokenAxis, 60_000))),
            (60.0, 500, Ok(())),
            (120.0, 1000, Ok(())),
        ],
    );
    // A bucket drains at half its speed meanwhile: 20 s at 1,000 tokens a second count for 15.
    let bucket = Limits::new()
        .tpm(60_000)
        .form(LimiterForm::Bucket)
        .lowered(10.0, 20.0, 0.5);
    check(
        &mut Limiter::standard(&bucket, Duration::ZERO),
        &[
            (0.0, 60_000, Ok(())),
            (20.0, 15_001, Err((TokenAxis, 1))),
            (20.0, 15_000, Ok(())),
        ],
    );
}

#[test]
fn a_window_of_another_length_allows_in_proportion() {
    let limits = Limits::new().tpm(60_000).window_s(2.0).phase_s(0.0);
    check(
        &mut Limiter::standard(&limits, Duration::ZERO),
        &[
            (0.0, 2000, Ok(())),
            (0.0, 1, Err((TokenAxis, 2000))),
            (2.0, 2000, Ok(())),
        ],
    );
}

#[test]
fn standing_tells_what_is_left_and_when_all_of_it_is_back() {
    let limits = Limits::new().tpm(60_000).rpm(600).phase_s(30.0);
    let mut limiter = Limiter::standard(&limits, Duration::ZERO);
    let untouched = limiter.standing(s(1.0));
    assert_eq!(untouched.tokens.unwrap().reset, Duration::ZERO);
    let _ = limiter.admit(15_000, s(1.0));
    let standing = limiter.standing(s(2.0));
    let tokens = standing.tokens.unwrap();
    assert_eq!(
        (tokens.limit, tokens.remaining, tokens.reset, tokens.period),
        (60_000, 45_000, s(28.0), s(60.0))
    );
    let requests = standing.requests.unwrap();
    assert_eq!(
        (requests.limit, requests.remaining, requests.reset, requests.period),
        (600, 99, s(8.0), s(10.0))
    );
    let mut provisioned = Limiter::provisioned(&Limits::new().tpm(60_000));
    let _ = provisioned.admit(15_000, Duration::ZERO);
    let standing = provisioned.standing(Duration::ZERO);
    assert_eq!((standing.tokens, standing.utilisation), (None, Some(0.5)));
    let free = Limiter::standard(&Limits::new(), Duration::ZERO).standing(Duration::ZERO);
    assert_eq!((free.tokens, free.requests), (None, None));
}

#[test]
fn no_request_and_no_time_is_too_large() {
    let limits = Limits::new().tpm(1).rpm(1).lowered(0.0, 1e9, 1e-6);
    for mut limiter in [
        Limiter::standard(&limits, Duration::ZERO),
        Limiter::standard(&limits.clone().form(LimiterForm::Bucket), Duration::ZERO),
        Limiter::standard(&limits.clone().form(LimiterForm::Log), Duration::ZERO),
        Limiter::provisioned(&limits),
    ] {
        for now in [Duration::ZERO, s(1e8), Duration::MAX] {
            for _ in 0..2 {
                let verdict = limiter.admit(u64::MAX, now);
                assert!(verdict.is_ok_and(|_| true) || verdict.is_err_and(|refused| refused.wait <= s(31_536_000.0)));
                let _ = limiter.standing(now);
            }
        }
    }
}

/// Times between requests in milliseconds, and their tokens.
fn traffic() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0..4000u64, 1..6000u64), 1..120)
}

fn any_limits() -> impl Strategy<Value = (Limits, bool)> {
    let form = prop::sample::select(vec![LimiterForm::Window, LimiterForm::Bucket, LimiterForm::Log]);
    (
        form,
        0.0..60.0f64,
        prop_oneof![Just(1.0), Just(10.0), Just(60.0)],
        any::<bool>(),
    )
        .prop_map(|(form, phase, request_window, provisioned)| {
            let limits = Limits::new()
                .tpm(30_000)
                .rpm(30)
                .form(form)
                .phase_s(phase)
                .request_window_s(request_window);
            (limits, provisioned)
        })
}

proptest! {
    /// The strongest promise of a refusal: nothing before its wait, and the same request at its end.
    #[test]
    fn refused_until_the_promised_moment_and_admitted_at_it((limits, provisioned) in any_limits(), traffic in traffic()) {
        let mut limiter = if provisioned {
            Limiter::provisioned(&limits)
        } else {
            Limiter::standard(&limits, Duration::ZERO)
        };
        let mut now = Duration::ZERO;
        for (pause_ms, tokens) in traffic {
            now += Duration::from_millis(pause_ms);
            if let Err(refused) = limiter.admit(tokens, now) {
                let just_before = now + refused.wait.mul_f64(0.999).saturating_sub(Duration::from_millis(2));
                if just_before > now {
                    prop_assert!(limiter.judge(tokens, just_before).is_err());
                }
                prop_assert_eq!(limiter.judge(tokens, now + refused.wait + Duration::from_micros(1)), Ok(()));
            }
        }
    }

    /// Counted again by the definition: no window ever holds more than its quota.
    #[test]
    fn no_window_is_ever_overfull(phase in 0.0..60.0f64, traffic in traffic()) {
        let limits = Limits::new().tpm(20_000).rpm(30).phase_s(phase);
        let mut limiter = Limiter::standard(&limits, Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut admitted = Vec::new();
        for (pause_ms, tokens) in traffic {
            now += Duration::from_millis(pause_ms);
            if limiter.admit(tokens, now).is_ok() {
                admitted.push((now.as_secs_f64(), tokens));
            }
        }
        let window = |at: f64, length: f64| ((at - phase % length) / length).floor() as i64;
        for (at, _) in &admitted {
            let tokens: u64 = admitted.iter().filter(|(t, _)| window(*t, 60.0) == window(*at, 60.0)).map(|(_, n)| n).sum();
            prop_assert!(tokens <= 20_000);
            let requests = admitted.iter().filter(|(t, _)| window(*t, 10.0) == window(*at, 10.0)).count();
            prop_assert!(requests <= 5);
        }
    }

    /// The same of a log: wherever a window begins, it is not overfull.
    #[test]
    fn no_minute_of_a_log_is_ever_overfull(traffic in traffic()) {
        let mut limiter = Limiter::standard(&Limits::new().tpm(20_000).form(LimiterForm::Log), Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut admitted: Vec<(Duration, u64)> = Vec::new();
        for (pause_ms, tokens) in traffic {
            now += Duration::from_millis(pause_ms);
            let counts = admitted.iter().filter(|(at, _)| *at + s(60.0) > now);
            let fits = counts.map(|(_, n)| n).sum::<u64>() + tokens <= 20_000;
            prop_assert_eq!(limiter.admit(tokens, now).is_ok(), fits);
            if fits {
                admitted.push((now, tokens));
            }
        }
    }

    /// Asking changes nothing but what it admits: a bucket that was judged in between is as full as one that was not.
    #[test]
    fn a_judgement_leaves_no_trace((limits, provisioned) in any_limits(), traffic in traffic()) {
        let new = || if provisioned { Limiter::provisioned(&limits) } else { Limiter::standard(&limits, Duration::ZERO) };
        let (mut plain, mut judged) = (new(), new());
        let mut now = Duration::ZERO;
        for (pause_ms, tokens) in traffic {
            let _ = judged.judge(tokens, now + Duration::from_millis(pause_ms / 2));
            now += Duration::from_millis(pause_ms);
            prop_assert_eq!(plain.admit(tokens, now), judged.admit(tokens, now));
        }
    }
}
