//! How many requests may be under way where.

use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;
use crate::balance::{EndpointId, Role};

fn caps(world: &mut World, endpoints: usize) -> Vec<u32> {
    (0..endpoints)
        .map(|index| world.snapshot(EndpointId::at(index)).max_in_flight)
        .collect()
}

#[test]
fn the_most_under_way_follow_from_weights_and_workers() {
    // min(2 × share, workers − half the others' shares), at least 1; the table of the design, §3.
    for (weights, workers, most) in [
        (&[1][..], 64, &[64][..]),
        (&[1, 1], 64, &[48, 48]),
        (&[3, 1], 64, &[56, 32]),
        (&[1, 1, 1, 1], 64, &[32, 32, 32, 32]),
        (&[1000, 1], 8, &[7, 1]),
        (&[1, 1, 1], 1, &[1, 1, 1]),
    ] {
        let mut world = Scenario::of(weights.len()).weights(weights).workers(workers).begin();
        assert_eq!(caps(&mut world, weights.len()), most, "{weights:?}, {workers} workers");
    }
    let mut world = Scenario::of(2).weights(&[3, 1]).round_robin().begin();
    assert_eq!(caps(&mut world, 2), [48, 48], "round robin knows no weights");
    assert_eq!(world.snapshot(EAST).share, 0.5);
    assert_eq!(world.snapshot(EAST).weight, 3);
}

#[test]
fn one_hanging_endpoint_leaves_the_others_half_of_their_shares() {
    for weights in [[1, 1, 1], [8, 1, 1], [1, 5, 3]] {
        let workers = 60;
        let mut world = Scenario::of(3).weights(&weights).workers(workers).begin();
        // East answers nothing, the others at once: each worker takes a job, and east's never come back.
        let mut hanging = Vec::new();
        for _ in 0..10_000 {
            let job = world.job();
            let crate::balance::Pick::Send(lease) = world.pick(&job, &CHAT) else {
                break;
            };
            let sent = Sent { lease, job };
            if sent.lease.endpoint() == EAST {
                hanging.push(sent);
            } else {
                world.settle(sent, &Outcome::SUCCESS);
            }
        }
        let sum: u32 = weights.iter().sum();
        let others = f64::from(workers) * f64::from(weights[1] + weights[2]) / f64::from(sum);
        let left = f64::from(workers) - hanging.len() as f64;
        assert!(left >= others / 2.0, "{weights:?}: {left} workers left of {others}");
    }
}

#[test]
fn the_places_of_an_ejected_endpoint_go_to_the_others_and_back() {
    let mut world = Scenario::of(2).begin();
    world.eject(WEST);
    assert_eq!(world.snapshot(EAST).max_in_flight, 64);
    let left = world.left(WEST);
    let probe = world.pass(left).send();
    assert_eq!(probe.lease.endpoint(), WEST);
    world.settle(probe, &Outcome::SUCCESS);
    assert_eq!(caps(&mut world, 2), [48, 48]);
    world.balancer.set_workers(8);
    assert_eq!(caps(&mut world, 2), [6, 6]);
}

#[test]
fn a_configured_limit_holds_in_every_role() {
    let mut world = Scenario::of(1).max_in_flight(EAST, 2).begin();
    let sent = world.send_all();
    assert_eq!(sent.len(), 2);
    assert_eq!(world.wait(), Wait::Settle);

    world.balancer.disable(EAST, "maintenance".to_owned());
    let now = world.now();
    world.balancer.enable(EAST, now);
    assert_eq!(world.wait(), Wait::Settle, "the probe needs a place too");
    let mut sent = sent.into_iter();
    world.settle(sent.next().unwrap(), &Outcome::SUCCESS);
    assert_eq!(world.send().lease.role(), Role::Probe);
    world.settle(sent.next().unwrap(), &Outcome::SUCCESS);
}

#[test]
fn shares_hold_exactly_while_all_are_ready() {
    let weights = [5, 3, 2];
    let mut world = Scenario::of(3).weights(&weights).begin();
    let mut counts = [0i64; 3];
    for turn in 1..=200 {
        let sent = world.send();
        counts[sent.lease.endpoint().index()] += 1;
        world.settle(sent, &Outcome::SUCCESS);
        for (count, weight) in counts.iter().zip(weights) {
            assert!(
                (count * 10 - turn * i64::from(weight)).abs() <= 10,
                "turn {turn}: {counts:?}"
            );
        }
    }
}
