//! What headers teach: limits and utilization.

use super::scenario::{PROVISIONED, STANDARD, Scenario, UNKNOWN};
use crate::api::Told;
use crate::balance::limits::limit::LimitSpec;

#[test]
fn the_limit_that_a_header_names_is_followed_when_it_changes() {
    let header = |limit_tokens| Told {
        limit_tokens: Some(limit_tokens),
        ..Told::default()
    };
    // Configured, headers in their order → quota, trusted. It is not trusted at first.
    let rows: [(Option<u64>, &[i64], f64, bool); 10] = [
        (Some(60_000), &[60_000], 50_000.0, false),
        (Some(60_000), &[120_000], 50_000.0, false),
        (Some(60_000), &[40_000], 40_000.0, true),
        (Some(60_000), &[40_000, 55_000], 55_000.0, true),
        (Some(60_000), &[40_000, 120_000], 60_000.0, true),
        (Some(60_000), &[-1, 0, i64::MIN, i64::MAX], 50_000.0, false),
        (Some(60_000), &[1], 50_000.0, false),
        (None, &[40_000], 40_000.0, true),
        (None, &[40_000, 80_000], 80_000.0, true),
        (None, &[-1, 0, 5, i64::MAX], f64::INFINITY, false),
    ];
    for (tpm, headers, quota, trusted) in rows {
        let mut s = Scenario::new(&LimitSpec { tpm, ..STANDARD });
        s.limit.set_backlog(false);
        s.limit.quota.distrust();
        if tpm.is_some() {
            s.limit.quota.learn(50_000.0);
        }
        for &limit in headers {
            s.told(&header(limit), 0.0);
        }
        assert_eq!((s.quota(), s.is_trusted()), (quota, trusted), "{tpm:?} {headers:?}");
    }
}

#[test]
fn a_header_that_repeats_a_contradicted_limit_is_not_believed_again() {
    let mut s = Scenario::new(&UNKNOWN);
    s.limit.set_backlog(false);
    let told = Told {
        limit_tokens: Some(40_000),
        ..Told::default()
    };
    s.told(&told, 0.0);
    s.limit.quota.distrust();
    s.limit.quota.learn(30_000.0);
    s.told(&told, 1.0);
    assert_eq!((s.quota(), s.is_trusted()), (30_000.0, false));
    let contradicted = s
        .limit
        .snapshot(s.instant(1.0))
        .contradicted
        .expect("it is contradicted");
    assert_eq!((contradicted.told, contradicted.believed), (40_000.0, 30_000.0));
}

#[test]
fn a_quota_that_a_header_names_at_last_counts_what_was_sent_before() {
    let mut s = Scenario::new(&UNKNOWN);
    s.admitted(10, 3_000.0, 0.0);
    s.told(
        &Told {
            limit_tokens: Some(60_000),
            ..Told::default()
        },
        10.0,
    );
    assert_eq!((s.level(), s.limit.used_share(s.instant(10.0))), (20_000.0, Some(0.5)));
    assert_eq!(s.burst(3_000.0, 10.0).0.len(), 5, "a quarter is risked");
}

#[test]
fn the_request_limit_that_a_header_names_is_a_minutes() {
    // Configured, headers → requests in ten seconds
    let rows: [(Option<u64>, &[i64], Option<f64>); 7] = [
        (Some(600), &[300], Some(50.0)),
        (Some(600), &[300, 6_000], Some(100.0)),
        (Some(600), &[100], Some(100.0)),
        (Some(600), &[-1, 0, i64::MAX], Some(100.0)),
        (None, &[300], Some(50.0)),
        (None, &[300, 600], Some(100.0)),
        (None, &[-1, 0, i64::MIN], None),
    ];
    for (rpm, headers, expected) in rows {
        let mut s = Scenario::new(&LimitSpec { rpm, ..STANDARD });
        for &limit in headers {
            s.told(
                &Told {
                    limit_requests: Some(limit),
                    ..Told::default()
                },
                0.0,
            );
        }
        assert_eq!(s.limit.requests.limit(), expected, "{rpm:?} {headers:?}");
    }
}

#[test]
fn utilization_raises_the_level_of_a_provisioned_deployment_and_of_no_other() {
    let rows = [
        (PROVISIONED, 50.0, 149_850.0),
        (PROVISIONED, 0.0, 3_000.0),
        (PROVISIONED, 104.0, 1.04 * 299_700.0),
        (PROVISIONED, -1.0, 3_000.0),
        (PROVISIONED, 1e18, 3_000.0),
        (PROVISIONED, f64::NAN, 3_000.0),
        (STANDARD, 50.0, 3_000.0),
    ];
    for (spec, utilization, level) in rows {
        let mut s = Scenario::new(&spec);
        s.admitted(1, 3_000.0, 0.0);
        s.told(
            &Told {
                utilization: Some(utilization),
                ..Told::default()
            },
            0.0,
        );
        assert_eq!(s.level(), level, "{utilization}");
    }
}
