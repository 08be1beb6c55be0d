//! What is said of limits that the service does not keep, and of answers and workers.

use std::time::Duration;

use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::{Outcome, Used};
use crate::balance::scenario::{EAST, SECOND, Scenario, World, throttled};
use crate::balance::{EndpointId, Remark};

fn limit(tpm: u64) -> LimitSpec {
    LimitSpec {
        sku: Sku::Standard,
        tpm: Some(tpm),
        rpm: None,
        quota_window: Duration::from_secs(60),
        request_window: 10 * SECOND,
    }
}

/// Lets so many jobs of 2,000 tokens through in each window of a minute, and refuses the others, for some minutes.
/// Returns what was remarked.
fn minutes(world: &mut World, minutes: u32, granted: usize) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for minute in 0..minutes {
        let begin = minute * 60 * SECOND;
        let mut admitted = 0;
        for second in 0..60 {
            world.at(begin + second * SECOND);
            let sent = world.send_all();
            for sent in sent {
                if admitted < granted {
                    admitted += 1;
                    world.head(&sent);
                    let used = Used {
                        prompt: Some(1000),
                        output: Some(100),
                    };
                    let _ = world.settle(sent, &Outcome::Success(used));
                } else {
                    let _ = world.settle(sent, &throttled((60 - second) * SECOND));
                }
            }
            remarks.extend(world.balancer.take_remarks());
        }
    }
    remarks
}

#[test]
fn a_quota_that_was_told_too_high_is_remarked_and_reported_with_both_figures() {
    let mut world = Scenario::of(1).workers(4).limit(EAST, limit(100_000)).begin();
    let remarks = minutes(&mut world, 4, 20);
    let told: Vec<(f64, f64)> = remarks
        .iter()
        .map(|remark| match remark {
            Remark::Contradicted {
                endpoint,
                is_groups: false,
                limit,
            } if *endpoint == EAST => (limit.told, limit.believed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!((1..=4).contains(&told.len()), "not again and again: {told:?}");
    assert!(
        told.iter()
            .all(|(told, believed)| *told == 100_000.0 && *believed < 95_000.0),
        "{told:?}"
    );
    let report = world.snapshot(EAST).limit.unwrap();
    assert_eq!(
        (report.configured_tpm, report.contradicted_tpm),
        (Some(100_000), Some(100_000)),
        "{report}"
    );
    let believed = report.quota_tpm.unwrap();
    assert!((30_000..=60_000).contains(&believed), "40,000 are granted: {report}");
    assert!(report.refusals > 0, "{report}");
}

#[test]
fn a_quota_that_is_kept_is_no_news() {
    let mut world = Scenario::of(1).workers(4).limit(EAST, limit(40_000)).begin();
    assert_eq!(minutes(&mut world, 5, 21), []);
    let report = world.snapshot(EAST).limit.unwrap();
    assert_eq!(
        (report.quota_tpm, report.contradicted_tpm),
        (Some(40_000), None),
        "{report}"
    );
    // It takes one to tell windows from a bucket.
    assert!(report.refusals <= 1, "{report}");
}

#[test]
fn what_a_member_meets_is_remarked_as_the_groups() {
    let mut world = Scenario::of(2).workers(4).group(2, limit(100_000)).begin();
    let remarks = minutes(&mut world, 3, 20);
    assert!(!remarks.is_empty());
    let of_group = |remark: &Remark| matches!(remark, Remark::Contradicted { is_groups: true, .. });
    assert!(remarks.iter().all(of_group), "{remarks:?}");
    for endpoint in [EAST, EndpointId(1)] {
        let snapshot = world.snapshot(endpoint);
        assert!(snapshot.limit.is_none(), "it has none of its own");
        assert_eq!(snapshot.group_limit.unwrap().contradicted_tpm, Some(100_000));
    }
}

#[test]
fn limits_on_answers_that_are_far_too_high_are_remarked_once() {
    let mut world = Scenario::of(1).workers(4).begin();
    let mut remarks = Vec::new();
    for _ in 0..2_000 {
        // Each sets a limit of 1,000 tokens.
        let used = Used {
            prompt: Some(1000),
            output: Some(100),
        };
        let _ = world.run(EAST, &Outcome::Success(used));
        remarks.extend(world.balancer.take_remarks());
    }
    let [Remark::Answers(EAST, advice)] = remarks[..] else {
        panic!("{remarks:?}")
    };
    assert_eq!(advice.limit, 1000);
    assert!((100..=110).contains(&advice.enough), "{advice:?}");
}
