//! What a deployment is seen to charge for requests that set no limit.

use std::time::Duration;

use crate::api::{Operation, Told};
use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::outcome::Outcome;
use crate::balance::{
    BalanceSettings, Balancer, EndpointSpec, HealthSettings, JobSize, JobState, Need, Output, Pick, ReplyHead, Strategy,
};
use crate::clock::{Clock, ManualClock};

const OPEN: Output = Output::Open {
    choices: 1,
    takes_default: true,
};

/// One endpoint of 10,000 tokens a minute, after lone requests of 100 tokens without limit, of whose replies these figures
/// were told. How many more go at once, then?
fn go_at_once(remaining: &[i64]) -> usize {
    let clock = ManualClock::new();
    let limit = LimitSpec {
        sku: Sku::Standard,
        tpm: Some(10_000),
        rpm: None,
        quota_window: Duration::from_secs(60),
        request_window: Duration::from_secs(10),
    };
    let spec = EndpointSpec {
        limit: Some(limit),
        ..EndpointSpec::new("east", vec!["m".into()])
    };
    let settings = BalanceSettings {
        strategy: Strategy::Weighted,
        workers: 64,
        max_attempts: 5,
        health: HealthSettings {
            threshold: 5,
            cooldown_max: Duration::from_secs(3600),
        },
        groups: Vec::new(),
        start: clock.now(),
        seed: 1,
    };
    let mut balancer = Balancer::new(vec![spec], settings);
    let set = balancer.set(Some("m")).unwrap();
    let mut job = JobState::new(1);
    let pick = |balancer: &mut Balancer, job: &JobState, now| {
        let need = Need {
            set,
            operation: &Operation::ChatCompletions,
            job,
            deadline: None,
            size: JobSize::new(100, OPEN),
            affinity: None,
        };
        balancer.pick(&need, now)
    };
    for &left in remaining {
        let Pick::Send(lease) = pick(&mut balancer, &job, clock.now()) else {
            panic!("there is room for it");
        };
        let told = Told {
            remaining_tokens: Some(left),
            ..Told::default()
        };
        let head = ReplyHead { admitted: true, told };
        balancer.admitted(&lease, &head, clock.now());
        balancer.settle(lease, &mut job, set, &Outcome::SUCCESS, clock.now());
        clock.advance(Duration::from_secs(120));
    }
    let sent = std::iter::from_fn(|| match pick(&mut balancer, &job, clock.now()) {
        Pick::Send(lease) => Some(lease),
        _ => None,
    });
    sent.take(64).count()
}

#[test]
fn what_a_lone_request_is_charged_is_reserved_for_those_that_follow() {
    let charged = |tokens: i64| go_at_once(&[5, 4, 3, 2, 1].map(|left| left * tokens));
    let (cheap, untold, dear) = (charged(116), go_at_once(&[-1; 5]), charged(2_000));
    assert!(cheap > untold && untold > dear, "{cheap} > {untold} > {dear}");
}

#[test]
fn figures_that_rise_or_make_no_sense_teach_nothing() {
    let alike = go_at_once(&[5_000, 5_000, 5_000]);
    for figures in [[5_000, 9_000, 9_500], [-1, -1, -1], [-27_689, -30_000, -1], [0, 0, 0]] {
        assert_eq!(go_at_once(&figures), alike, "{figures:?}");
    }
}
