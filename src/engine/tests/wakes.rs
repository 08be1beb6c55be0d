//! No worker waits while something is admissible: who goes on when a quota has room again.

use crate::api::{Priority, Told};
use crate::engine::actions::Assignment;
use crate::engine::scenario::*;

/// One endpoint with a quota of 60,000 tokens of its own.
fn sole() -> Bench {
    Stage::of(1).limit(0, limit(Some(60_000))).begin()
}

fn jobs(sent: &[Assignment]) -> Vec<u64> {
    sent.iter().map(|sent| sent.job.id()).collect()
}

/// What a head says of the quota.
fn told(limit_tokens: i64) -> Told {
    Told {
        limit_tokens: Some(limit_tokens),
        ..Told::default()
    }
}

#[test]
fn a_small_interactive_job_does_not_wait_for_the_place_of_a_large_one_of_a_lower_class() {
    let mut bench = sole();
    bench.use_up("m", 4, 12_000);
    bench.submit_sized("m", 30_000, Priority::Batch);
    assert_eq!(bench.pump().len(), 0, "no room for it");
    let small = bench.submit_sized("m", 1_000, Priority::Interactive);
    assert_eq!(jobs(&bench.go_on()), [small]);
}

#[test]
fn what_a_member_of_a_group_gives_back_lets_another_member_go_on() {
    let mut bench = Stage::of(2).group(limit(Some(60_000)), [0, 1]).begin();
    let mut sent = bench.use_up("m0", 4, 14_000);
    let other = bench.submit_sized("m1", 12_000, Priority::Normal);
    assert_eq!(bench.pump().len(), 0, "no room for it");
    bench.settle(sent.remove(0), &hardly_used());
    bench.settle(sent.remove(0), &hardly_used());
    assert_eq!(jobs(&bench.go_on()), [other]);
}

#[test]
fn a_quota_that_a_head_names_higher_lets_others_go_at_once() {
    let mut bench = Stage::of(1).limit(0, limit(None)).begin();
    let first = bench.use_up("m", 1, 2_000).remove(0);
    bench.head(&first, told(10_000));
    for _ in 0..10 {
        bench.submit_sized("m", 2_000, Priority::Normal);
        bench.pump();
        bench.pass(SECOND / 2);
    }
    assert!(bench.core.waiting() > 0);
    assert!(bench.head(&first, told(100_000)), "a pump should follow");
}

#[test]
fn a_head_that_confirms_lets_those_go_that_waited_for_silence() {
    let mut bench = sole();
    for _ in 0..6 {
        bench.submit_sized("m", 3_000, Priority::Normal);
    }
    let sent = bench.pump();
    assert_eq!(sent.len(), 5, "a quarter of the quota may be unconfirmed");
    assert!(bench.head(&sent[0], Told::default()), "a pump should follow");
}

#[test]
fn a_job_is_not_too_late_for_a_send_that_a_head_may_confirm_in_its_time() {
    let mut bench = sole();
    for _ in 0..5 {
        bench.submit_sized("m", 3_000, Priority::Normal);
    }
    assert_eq!(bench.pump().len(), 5, "a quarter of the quota may be unconfirmed");
    bench.submit_as("m", &CHAT, Priority::Normal, Some(SECOND / 5));
    bench.submit_urgent("m", 3_000, SECOND / 5);
    bench.pump();
    assert_eq!(bench.ended, []);
}

#[test]
fn a_job_is_not_too_late_while_what_is_under_way_may_give_room_back_in_its_time() {
    let mut bench = sole();
    let mut sent = bench.use_up("m", 4, 14_000);
    let id = bench.submit_urgent("m", 12_000, 3 * SECOND);
    assert_eq!(bench.pump().len(), 0, "no room for it");
    bench.settle(sent.remove(0), &hardly_used());
    bench.settle(sent.remove(0), &hardly_used());
    assert_eq!(bench.ended, []);
    assert_eq!(jobs(&bench.go_on()), [id]);
}

#[test]
fn what_stood_behind_a_cancelled_job_goes_at_once() {
    let mut bench = sole();
    bench.use_up("m", 4, 12_000);
    let large = bench.enter("m", &CHAT, sized(30_000), Priority::Normal, None);
    let small = bench.submit_sized("m", 1_000, Priority::Normal);
    assert_eq!(bench.go_on().len(), 0, "no room for the first");
    assert!(bench.cancel(&large));
    assert_eq!(jobs(&bench.go_on()), [small]);
}
