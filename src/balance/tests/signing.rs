//! Endpoints that sign in with tokens, and have none.

use crate::api::Condition;
use crate::balance::SignedIn;
use crate::balance::outcome::Outcome;
use crate::balance::scenario::*;

fn awaited() -> SignedIn {
    SignedIn::Awaited("waits for a token from az".to_owned())
}

#[test]
fn of_two_messages_the_one_with_the_larger_number_holds_whichever_comes_first() {
    let mut world = Scenario::of(1).begin();
    world.balancer.signed_in(EAST, 2, SignedIn::Yes);
    world.balancer.signed_in(EAST, 1, awaited());
    assert_eq!(world.condition(EAST), Condition::Ready);
    world.balancer.signed_in(EAST, 3, awaited());
    assert_eq!(world.condition(EAST), Condition::SigningIn);
}

#[test]
fn what_an_endpoint_rests_for_is_kept_while_it_has_no_token_and_holds_when_it_has_one() {
    let mut world = Scenario::of(1).begin();
    let sent = world.send();
    world.settle(sent, &throttled(60 * SECOND));
    world.balancer.signed_in(EAST, 1, awaited());
    assert_eq!(world.condition(EAST), Condition::SigningIn);
    world.at(30 * SECOND);
    world.balancer.signed_in(EAST, 2, SignedIn::Yes);
    assert_eq!(world.condition(EAST), Condition::CoolingDown);
    world.at(60 * SECOND);
    let sent = world.send();
    world.settle(sent, &Outcome::SUCCESS);
}

#[test]
fn who_has_no_token_leaves_its_workers_to_the_others() {
    let mut world = Scenario::of(2).workers(8).begin();
    world.balancer.signed_in(EAST, 1, awaited());
    for _ in 0..8 {
        let sent = world.send();
        assert_eq!(sent.lease.endpoint(), WEST);
    }
}
