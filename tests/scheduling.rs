//! The world of `benches/scheduling`, in which the engine's decisions are judged: it must lose no job itself, and tell
//! the same story twice.

use std::time::Duration;

use azure_openai_blaster::sim::LimiterForm;
use world::bound::lower_bound;
use world::chance::Chance;
use world::conditions::{Conditions, Fault, FaultKind};
use world::events::World;
use world::fleet::Fleet;
use world::job;
use world::record::{End, Record};

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
