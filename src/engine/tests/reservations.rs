//! What is reserved of a quota for a request is settled once, whatever becomes of the request.

use std::sync::mpsc;

use proptest::prelude::*;

use super::fleets::{Play, fleet, outcome, step};
use crate::engine::blaster::Blaster;
use crate::engine::event::Event;
use crate::error::{ErrorKind, Result};
use crate::testing::{Scripted, ScriptedReply};
use crate::{DeploymentConfig, JobHandle};

/// The books of the limits are what the requests under way have reserved.
fn check(play: &Play) {
    let leases = play.under_way.iter().map(|sent| &sent.lease);
    let [booked, held] = play.bench.core.balancer.reserved(leases, play.bench.now);
    let is_near = |(a, b): (&(u64, f64), &(u64, f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-3;
    assert!(
        booked.iter().zip(&held).all(is_near),
        "{:?} after the beginning {booked:?} are booked and {held:?} held",
        play.age()
    );
}

proptest! {
    #[test]
    fn what_is_reserved_is_what_the_requests_under_way_have_reserved(
        fleet in fleet(),
        steps in prop::collection::vec(step(), 1..100),
        ends in prop::collection::vec(outcome(), 1..8),
    ) {
        let mut play = Play::new(&fleet);
        for step in &steps {
            play.take(step, |_| ());
            check(&play);
        }
        let ended = play.bench.core.close();
        prop_assert!(ended.is_some());
        for (sent, end) in std::mem::take(&mut play.under_way).into_iter().zip(ends.iter().cycle()) {
            play.bench.settle(sent, end);
        }
        check(&play);
        let [booked, _] = play.bench.core.balancer.reserved([].into_iter(), play.bench.now);
        prop_assert!(booked.iter().all(|booked| *booked == (0, 0.0)), "{:?}", booked);
    }
}

/// A blaster of one deployment with a limit.
fn limited(service: Scripted, hook: impl Fn(&Event) + Send + Sync + 'static) -> Blaster {
    let mut east = DeploymentConfig::new("east", "https://east.example", "gpt-4o");
    east.tpm_limit = Some(100_000);
    Blaster::builder()
        .deployment(east)
        .transport(service)
        .on_event(hook)
        .workers(2)
        .build()
        .unwrap()
}

/// What is reserved of the quota: how many requests, and tokens.
fn reserved(blaster: &Blaster) -> Vec<(u64, f64)> {
    let now = crate::clock::now();
    blaster.shared().with_core(|core| {
        let [booked, _] = core.balancer.reserved([].into_iter(), now);
        booked
    })
}

/// A job panics three times over: each time the reservation is settled, and what was sent stays charged.
fn check_panics<T>(blaster: &Blaster, submit: impl Fn(&Blaster) -> JobHandle<T>) {
    assert_eq!(reserved(blaster), [(0, 0.0)]);
    let mut used = 0;
    for _ in 0..3 {
        let ended: Result<T> = submit(blaster).wait();
        assert_eq!(ended.err().map(|error| error.kind()), Some(ErrorKind::Panicked));
        assert_eq!(reserved(blaster), [(0, 0.0)], "settled before its handle is told");
        let report = blaster.states()[0].report();
        assert_eq!(report.in_flight, 0);
        let now_used = report.limit.expect("it has one").used_tokens;
        assert!(now_used > used, "the request may have been sent, and stays charged");
        used = now_used;
    }
    assert_eq!(blaster.shared().with_core(|core| core.balancer.in_flight()), 0);
}

#[test]
fn a_panic_in_the_transport_settles_what_was_reserved() {
    let service = Scripted::new(|_| panic!("on purpose"));
    check_panics(&limited(service, |_| ()), |blaster| blaster.submit("x").unwrap());
}

#[test]
fn a_panic_in_a_callback_settles_what_was_reserved() {
    let blaster = limited(Scripted::answering("yes"), |_| ());
    check_panics(&blaster, |blaster| {
        blaster.submit_streaming("x", |_| panic!("on purpose")).unwrap()
    });
    assert!(blaster.submit("x").unwrap().wait().is_ok(), "its worker lives");
}

#[test]
fn a_panic_in_an_event_hook_settles_what_was_reserved() {
    for is_it in [
        |event: &Event| matches!(event, Event::AttemptEnded { .. }),
        |event: &Event| matches!(event, Event::JobEnded { .. }),
    ] {
        let blaster = limited(Scripted::answering("yes"), move |event| {
            assert!(!is_it(event), "on purpose");
        });
        check_panics(&blaster, |blaster| blaster.submit("x").unwrap());
    }
}

#[test]
fn while_a_request_is_under_way_its_reservation_is_held() {
    let (arrived, arrivals) = mpsc::channel();
    let service = Scripted::new(move |_| {
        arrived.send(()).expect("somebody waits for it");
        ScriptedReply::hang()
    });
    let blaster = limited(service, |_| ());
    let handle = blaster.submit("x").unwrap();
    arrivals.recv().unwrap();
    assert_eq!(reserved(&blaster)[0].0, 1);
    blaster.close();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(reserved(&blaster), [(0, 0.0)]);
}
