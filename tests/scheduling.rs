//! The world of `benches/scheduling`, in which the engine's decisions are judged: it must lose no job itself, and tell
//! the same story twice.

use std::ops::Range;
use std::time::Duration;

use azure_openai_blaster::sim::LimiterForm;
use world::bound::lower_bound;
use world::chance::Chance;
use world::conditions::{Conditions, Fault, FaultKind};
use world::events::World;
use world::fleet::Fleet;
use world::job;
use world::record::{End, Record, Sending};

#[allow(dead_code)] // the bench looks at more of it
#[path = "../benches/scheduling/world/mod.rs"]
mod world;

/// A backlog of three small deployments.
fn drain(seed: u64, form: LimiterForm, conditions: &Conditions) -> (Record, f64) {
    let plans = Fleet::Small3.plans(&mut Chance::new(seed, "fleet"), form);
    let jobs = job::backlog(&mut Chance::new(seed, "jobs"), 200);
    let bound = lower_bound(&plans, &jobs);
    let record = World::new(plans, jobs, conditions, seed).run(Duration::from_secs(3600));
    (record, bound)
}

/// Every job has ended, once; by an answer where it was answered, and then there was one of them.
fn assert_each_ended_once(record: &Record) {
    assert_eq!(record.flaws, [] as [String; 0]);
    let mut answers = vec![0; record.jobs.len()];
    for sending in &record.sendings {
        assert!(sending.end.is_some(), "{sending:?} has no end");
        if let Some((_, End::Answered)) = sending.end {
            answers[sending.job] += 1;
        }
    }
    for (job, end) in record.ends.iter().enumerate() {
        let end = end.unwrap_or_else(|| panic!("job {job} has not ended"));
        assert_eq!(answers[job], i32::from(end.answered), "answers of job {job}");
    }
}

#[test]
fn a_backlog_is_drained_and_no_sooner_than_quotas_allow() {
    for form in [LimiterForm::Window, LimiterForm::Bucket] {
        let (record, bound) = drain(1, form, &Conditions::PEACE);
        assert_each_ended_once(&record);
        assert_eq!(record.failed(), 0, "{form:?}");
        let ratio = record.drained() / bound;
        assert!((1.0..1.5).contains(&ratio), "{form:?}: {ratio}");
    }
}

#[test]
fn one_seed_tells_one_story_and_another_seed_another() {
    let disturbed = Conditions {
        jitter: 0.2,
        clients: 2,
        ..Conditions::PEACE
    };
    let story = |seed| drain(seed, LimiterForm::Window, &disturbed).0.to_string();
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn each_job_ends_once_though_an_endpoint_resets_or_hangs_for_a_while() {
    for kind in [FaultKind::Resets, FaultKind::Hangs] {
        let broken = Conditions {
            fault: Some(Fault {
                kind,
                from: 5.0,
                to: 60.0,
            }),
            first_byte: 30.0,
            ..Conditions::PEACE
        };
        let (record, _) = drain(1, LimiterForm::Window, &broken);
        assert_each_ended_once(&record);
        let harmed = |end| matches!(end, Some((_, End::Reset | End::TimedOut)));
        assert!(record.sendings.iter().any(|sending| harmed(sending.end)), "{kind:?}");
    }
}

/// Jobs that come for half of the quota of three equal deployments for ten minutes, the first of which hangs in the third
/// and the fourth.
fn hung_for_two_minutes(seed: u64, first_byte: f64) -> Record {
    let plans = Fleet::Equal3.plans(&mut Chance::new(seed, "fleet"), LimiterForm::Window);
    let quota = plans.iter().map(|plan| plan.tpm).sum();
    let jobs = job::stream(&mut Chance::new(seed, "jobs"), quota, 0.5, 10.0);
    let hung = Conditions {
        fault: Some(Fault {
            kind: FaultKind::Hangs,
            from: HUNG.start,
            to: HUNG.end,
        }),
        first_byte,
        ..Conditions::PEACE
    };
    World::new(plans, jobs, &hung, seed).run(Duration::from_secs(3600))
}

/// When it hangs, in seconds.
const HUNG: Range<f64> = 120.0..240.0;

#[test]
fn an_endpoint_that_hung_and_healed_is_asked_within_five_seconds_and_has_its_share_again() {
    for (seed, first_byte) in [(1, 30.0), (2, 30.0), (1, 600.0), (2, 600.0)] {
        let record = hung_for_two_minutes(seed, first_byte);
        assert_each_ended_once(&record);
        let there = || record.sendings.iter().filter(|sending| sending.service == 0);
        let healed = Duration::from_secs_f64(HUNG.end);
        let asked = there().find(|sending| sending.sent >= healed).unwrap();
        let waited = asked.sent - healed;
        assert!(waited <= Duration::from_secs(5), "seed {seed}: asked after {waited:?}");
        let served = |sending: &&Sending| (270.0..330.0).contains(&sending.sent.as_secs_f64());
        let share = there().filter(served).count() as f64 / record.sendings.iter().filter(served).count() as f64;
        assert!((0.31..0.36).contains(&share), "seed {seed}: a share of {share}");
    }
}

#[test]
fn no_job_loses_much_time_by_asking_an_endpoint_that_hangs_nor_does_so_twice() {
    for (seed, first_byte) in [(1, 30.0), (2, 600.0)] {
        let record = hung_for_two_minutes(seed, first_byte);
        let in_vain = |sending: &&Sending| sending.is_probe && matches!(sending.end, Some((_, End::TimedOut)));
        let mut jobs: Vec<usize> = Vec::new();
        for probe in record.sendings.iter().filter(in_vain) {
            let lost = probe.end.unwrap().0 - probe.sent;
            assert!(lost < Duration::from_secs(15), "job {} lost {lost:?}", probe.job);
            let before = record.sendings.iter().filter(|sending| {
                sending.job == probe.job && sending.service == probe.service && sending.sent < probe.sent
            });
            assert_eq!(before.count(), 0, "job {} was there before", probe.job);
            jobs.push(probe.job);
        }
        assert!(jobs.len() >= 20, "one each five seconds: {}", jobs.len());
    }
}

#[test]
fn a_sole_endpoint_that_becomes_thirty_times_slower_is_given_work_all_the_same() {
    for seed in 1..=3 {
        let mut plans = Fleet::Equal3.plans(&mut Chance::new(seed, "fleet"), LimiterForm::Window);
        plans.truncate(1);
        let jobs = job::stream(&mut Chance::new(seed, "jobs"), plans[0].tpm, 0.5, 6.0);
        let slow = Conditions {
            fault: Some(Fault {
                kind: FaultKind::Slows(30.0),
                from: 120.0,
                to: f64::INFINITY,
            }),
            ..Conditions::PEACE
        };
        let record = World::new(plans, jobs, &slow, seed).run(Duration::from_secs(7200));
        assert_each_ended_once(&record);
        assert_eq!(record.failed(), 0);
        let waited = |job: usize| record.admissions()[job].saturating_sub(record.jobs[job].submitted);
        let late: Vec<Duration> = (0..record.jobs.len())
            .map(waited)
            .filter(|waited| *waited > Duration::from_secs(10))
            .collect();
        assert!(late.is_empty(), "seed {seed}: waited for their admission: {late:?}");
    }
}
