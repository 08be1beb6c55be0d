//! Conversations that stay where they are, and responses that are stored in one place.

use crate::balance::outcome::Outcome;
use crate::balance::responses::ResponseKey;
use crate::balance::scenario::*;
use crate::balance::{EndpointId, JobSize, Need, Opening, Output, Pick, Role, Target, Unavailable};

/// Where the next job of a conversation goes, which is answered at once.
fn turn(world: &mut World, conversation: u64) -> EndpointId {
    let sent = world.send_of(conversation);
    let endpoint = sent.lease.endpoint();
    world.settle(sent, &Outcome::SUCCESS);
    endpoint
}

/// The first conversation that is at home there.
fn at_home(world: &mut World, endpoint: EndpointId) -> u64 {
    (0..).find(|&number| turn(world, number) == endpoint).unwrap()
}

#[test]
fn each_conversation_keeps_its_place_and_all_places_are_used() {
    let mut world = Scenario::of(3).begin();
    let homes: Vec<_> = (0..30).map(|number| turn(&mut world, number)).collect();
    for _ in 0..4 {
        for (number, &home) in homes.iter().enumerate() {
            // Others that belong nowhere go on taking turns.
            let sent = world.send();
            world.settle(sent, &Outcome::SUCCESS);
            assert_eq!(turn(&mut world, number as u64), home);
        }
    }
    for endpoint in [EAST, WEST, NORTH] {
        assert!(homes.contains(&endpoint), "{homes:?}");
    }
}

#[test]
fn a_conversation_whose_place_rests_moves_and_does_not_return() {
    let mut world = Scenario::of(3).begin();
    let conversation = at_home(&mut world, EAST);
    let other = at_home(&mut world, WEST);
    let sent = world.send_of(conversation);
    let (_, job) = world.settle(sent, &throttled(10 * SECOND));
    let again = world.send_again_of(conversation, job);
    let new = again.lease.endpoint();
    assert_ne!(new, EAST);
    world.settle(again, &Outcome::SUCCESS);
    assert_eq!(turn(&mut world, other), WEST, "it has nothing to do with that");
    world.at(11 * SECOND);
    for _ in 0..3 {
        assert_eq!(turn(&mut world, conversation), new, "its prompt is cached there now");
    }
    assert!(
        (100..120).any(|number| turn(&mut world, number) == EAST),
        "others are at home here"
    );
}

#[test]
fn a_conversation_moves_from_where_its_job_has_failed() {
    let mut world = Scenario::of(2).begin();
    let conversation = at_home(&mut world, EAST);
    let sent = world.send_of(conversation);
    let (_, job) = world.settle(sent, &server_error());
    let again = world.send_again_of(conversation, job);
    assert_eq!(again.lease.endpoint(), WEST);
    world.settle(again, &Outcome::SUCCESS);
    assert_eq!(turn(&mut world, conversation), WEST);
}

#[test]
fn a_probe_moves_nobody() {
    let mut world = Scenario::of(2).begin();
    let conversation = at_home(&mut world, WEST);
    world.eject(EAST);
    let left = world.left(EAST);
    let probe = world.pass(left).send_of(conversation);
    assert_eq!((probe.lease.endpoint(), probe.lease.role()), (EAST, Role::Probe));
    world.settle(probe, &Outcome::SUCCESS);
    assert_eq!(turn(&mut world, conversation), WEST);
}

#[test]
fn one_busy_conversation_takes_no_more_than_a_quarter_above_its_share_of_any_place() {
    let mut world = Scenario::of(3).begin();
    let mut counts = [0; 3];
    // None is settled.
    for _ in 0..60 {
        counts[world.send_of(7).lease.endpoint().index()] += 1;
    }
    assert!(counts.iter().all(|&count| count <= 25), "{counts:?}: 1.25 × 20");
}

#[test]
fn the_first_that_is_ready_takes_all_where_that_is_the_strategy() {
    let mut world = Scenario::of(3).failover().begin();
    for number in 0..20 {
        assert_eq!(turn(&mut world, number), EAST);
    }
}

#[test]
fn a_conversation_with_two_models_has_a_place_for_each() {
    let mut world = Scenario::of(3).serves(EAST, "x").serves(WEST, "x").begin();
    let (all, two) = (world.set, world.balancer.set(Some("x")).unwrap());
    let conversation = at_home(&mut world, NORTH);
    world.set = two;
    let place = turn(&mut world, conversation);
    // Away from the first of its order, so that it has to be remembered.
    let sent = world.send_of(conversation);
    let _ = world.settle(sent, &throttled(SECOND));
    let moved = turn(&mut world, conversation);
    assert_ne!(moved, place);
    world.at(2 * SECOND);
    for _ in 0..3 {
        world.set = all;
        assert_eq!(turn(&mut world, conversation), NORTH);
        world.set = two;
        assert_eq!(turn(&mut world, conversation), moved);
    }
}

#[test]
fn a_job_fills_no_gap_elsewhere_while_its_home_can_take_it() {
    let mut world = Scenario::of(2).begin();
    let conversation = at_home(&mut world, EAST);
    let job = world.job();
    let need = Need {
        set: world.set,
        operation: &CHAT,
        job: &job,
        deadline: None,
        size: JobSize::new(1, Output::AtMost(1)),
        affinity: Some(key(conversation)),
    };
    let at = |endpoint| Target {
        endpoint,
        role: Role::Regular,
    };
    let now = world.now();
    assert_eq!(world.balancer.fits(at(EAST), &need, now), Opening::Now);
    assert_eq!(world.balancer.fits(at(WEST), &need, now), Opening::Never);
    world.balancer.cool_down(EAST, now + SECOND);
    assert_eq!(world.balancer.fits(at(WEST), &need, now), Opening::Now);
}

#[test]
fn what_is_stored_at_an_endpoint_is_served_by_that_one_alone() {
    let mut world = Scenario::of(3).begin();
    let everybody = world.set;
    let response = ResponseKey::new(b"resp_1");
    assert_eq!(world.balancer.set_for(response, everybody), everybody);
    world.balancer.stored(response, WEST);
    let west = world.balancer.set_for(response, everybody);
    assert_ne!(west, everybody);
    assert_eq!(
        world.balancer.set_for(response, everybody),
        west,
        "no set is made twice"
    );
    world.set = west;
    for sent in world.send_all() {
        assert_eq!(sent.lease.endpoint(), WEST);
        world.settle(sent, &Outcome::SUCCESS);
    }
    world.balancer.cool_down(WEST, world.t0 + 5 * SECOND);
    assert_eq!(world.wait(), Wait::Until(5 * SECOND), "though others are idle");
    world.balancer.disable(WEST, "maintenance".to_owned());
    let job = world.job();
    match world.pick(&job, &CHAT) {
        Pick::Never(Unavailable { reasons, .. }) => {
            assert_eq!(reasons.len(), 1);
            assert_eq!((reasons[0].0.as_ref(), reasons[0].1.as_str()), ("west", "maintenance"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_response_whose_holder_does_not_serve_the_model_goes_to_those_that_do() {
    let mut world = Scenario::of(2).serves(EAST, "x").begin();
    let east = world.balancer.set(Some("x")).unwrap();
    let response = ResponseKey::new(b"resp_1");
    world.balancer.stored(response, WEST);
    assert_eq!(world.balancer.set_for(response, east), east);
}
