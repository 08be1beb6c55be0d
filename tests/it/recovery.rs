//! Endpoints that fail often though not always, or fall silent, and how they come back.

use std::cell::RefCell;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::Condition;
use azure_openai_blaster::sim::{FaultKind, Latency, SimDeployment, SimFault, SimFleet};

use crate::health::check_one_first;
use crate::support::{Told, arrived, ask, config, eventually, fleet, listened, state, wait_all};

const ERROR: FaultKind = FaultKind::Status { status: 500 };

/// Requests at these positions of ten are answered with a 500.
fn fails_at(positions: &[u64]) -> SimFault {
    SimFault::at((0..10_000).filter(|turn| positions.contains(&(turn % 10))), ERROR)
}

/// Two endpoints with latencies of 50 ms.
fn shaky_and_sound(fault: SimFault) -> SimFleet {
    let endpoint = |name: &str| SimDeployment::new(name).latency(Latency::fixed(50.0));
    fleet([endpoint("shaky").fault(fault), endpoint("sound")])
}

/// So many jobs, all of which succeed.
fn succeed(blaster: &Blaster, jobs: usize) {
    let handles: Vec<_> = (0..jobs).map(|id| blaster.submit(ask(id)).unwrap()).collect();
    let results = wait_all(handles);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn an_endpoint_that_fails_three_of_ten_stays_in() {
    let fleet = shaky_and_sound(fails_at(&[0, 4, 7]));
    let (blaster, told) = listened(config(&fleet).auto_disable_threshold(100));
    while arrived(&fleet, "shaky").len() < 60 {
        succeed(&blaster, 20);
    }
    let conditions = told.conditions();
    assert!(
        !conditions.iter().any(|(_, condition)| *condition == Condition::Ejected),
        "{conditions:?}"
    );
    let report = state(&blaster, "shaky").report();
    assert!(report.totals.failed >= 18, "{report}");
}

#[test]
fn an_endpoint_that_fails_seven_of_ten_goes_out_and_comes_back_little_by_little() {
    let fleet = shaky_and_sound(fails_at(&[0, 1, 3, 4, 6, 7, 9]));
    // The failures in a row alone would not do it.
    let (blaster, told) = listened(config(&fleet).auto_disable_threshold(100));
    let shaky = state(&blaster, "shaky");
    while shaky.report().condition != Condition::Ejected {
        succeed(&blaster, 20);
    }
    let reason = told.until_condition("shaky", Condition::Ejected).unwrap();
    assert!(reason.contains("attempts failed in 30 s"), "{reason}");
    fleet.clear_faults("shaky").unwrap();
    let before = arrived(&fleet, "shaky").len();
    while arrived(&fleet, "shaky").len() < before + 20 {
        succeed(&blaster, 20);
    }
    let after = &arrived(&fleet, "shaky")[before..];
    assert!(after.iter().all(|entry| entry.status == Some(200)));
    check_one_first(after);
    // The second comes alone too, and only its answer makes room for more.
    check_one_first(&after[1..]);
    assert_eq!(shaky.report().condition, Condition::Ready);
}

/// Three that have answered often enough for a silence to be noticed; from now on one of them hangs.
fn one_of_three_hangs() -> (SimFleet, Blaster, Told) {
    let endpoint = |name: &str| SimDeployment::new(name).latency(Latency::fixed(20.0));
    let fleet = fleet(["hung", "a", "b"].map(endpoint));
    let (blaster, told) = listened(config(&fleet).num_workers(30));
    succeed(&blaster, 90);
    fleet.inject("hung", SimFault::always(FaultKind::Hang)).unwrap();
    (fleet, blaster, told)
}

#[test]
fn an_endpoint_that_falls_silent_is_given_nothing_more_and_the_others_serve() {
    let (fleet, blaster, told) = one_of_three_hangs();
    let before = arrived(&fleet, "hung").len();
    let held = || arrived(&fleet, "hung").len() - before;
    let mut others = Vec::new();
    while held() < 3 {
        others.push(blaster.submit(ask(others.len())).unwrap());
        eventually("a place for the next job", || blaster.waiting() == 0);
    }
    let hung = state(&blaster, "hung");
    eventually("silence", || hung.report().reason.is_some());
    let report = hung.report();
    assert_eq!(report.condition, Condition::Ready, "{report}");
    assert!(report.reason.as_deref().unwrap().starts_with("silent for"), "{report}");
    let held_then = held();
    succeed(&blaster, 60);
    assert_eq!(held(), held_then);
    assert_eq!(told.conditions(), [], "nobody is out, and no news is made of it");

    // One request finds out whether it is there, and with its answer the endpoint serves again.
    fleet.clear_faults("hung").unwrap();
    while held() == held_then {
        succeed(&blaster, 1);
    }
    eventually("an end of the silence", || hung.report().reason.is_none());
    blaster.close();
    drop(others);
}

#[test]
fn an_endpoint_that_hung_and_is_well_again_has_its_share_again() {
    let (fleet, blaster, told) = one_of_three_hangs();
    let before = arrived(&fleet, "hung").len();
    let held = || arrived(&fleet, "hung").len() - before;
    // Sends jobs one after the other, each when the one before is answered or has come to the endpoint.
    let lost = RefCell::new(Vec::new());
    let send_until_held = |most: usize| {
        while held() < most {
            let then = held();
            let job = blaster.submit(ask(0)).unwrap();
            eventually("an end of the job", || job.is_finished() || held() > then);
            lost.borrow_mut().push(job);
        }
    };
    // Three find out that it is silent, and a fourth asks it.
    send_until_held(3);
    let hung = state(&blaster, "hung");
    eventually("silence", || hung.report().reason.is_some());
    send_until_held(4);
    assert!(hung.report().reason.is_some());
    fleet.clear_faults("hung").unwrap();
    send_until_held(5);
    eventually("an end of the silence", || hung.report().reason.is_none());
    eventually("its share", || {
        let before = held();
        succeed(&blaster, 30);
        (8..=12).contains(&(held() - before))
    });
    assert_eq!(told.conditions(), [], "it was never out");
    let lost = lost.into_inner();
    eventually("an end of all but those that hang", || {
        lost.iter().filter(|job| !job.is_finished()).count() == 3
    });
    assert_eq!(hung.report().condition, Condition::Ready);
    blaster.close();
}
