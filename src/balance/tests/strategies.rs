//! The order in which each strategy tries endpoints that are all ready, and what moves it.

use std::time::Duration;

use crate::balance::limits::{LimitSpec, Sku};
use crate::balance::scenario::{EAST, NORTH, Scenario, World, throttled};
use crate::balance::scenario::{NAMES, SECOND};
use crate::balance::{EndpointId, Strategy};

const MINUTE: Duration = Duration::from_secs(60);

fn limit(sku: Sku, tpm: u64) -> LimitSpec {
    LimitSpec {
        sku,
        tpm: Some(tpm),
        rpm: None,
        quota_window: MINUTE,
        request_window: 10 * SECOND,
    }
}

/// Where the next `count` jobs of 2,000 tokens each go, by the initials of their endpoints, while none of them ends.
fn order(world: &mut World, count: usize) -> String {
    let initials = (0..count).map(|_| {
        let sent = world.send();
        let initial = NAMES[sent.lease.endpoint().index()].chars().next().unwrap();
        // It stays under way.
        std::mem::forget(sent);
        initial
    });
    initials.collect()
}

#[test]
fn weighted_spreads_each_share_evenly() {
    let mut world = Scenario::of(2).weights(&[3, 1]).begin();
    let order = order(&mut world, 16);
    assert_eq!(order.matches('w').count(), 4, "{order}");
    for four in order.as_bytes().chunks(4) {
        assert_eq!(four.iter().filter(|&&to| to == b'w').count(), 1, "{order}");
    }
}

#[test]
fn round_robin_gives_each_its_turn_whatever_its_weight() {
    let mut world = Scenario::of(3)
        .strategy(Strategy::RoundRobin)
        .weights(&[9, 1, 1])
        .begin();
    let order = order(&mut world, 12);
    for three in order.as_bytes().chunks(3) {
        let mut three = three.to_vec();
        three.sort_unstable();
        assert_eq!(three, b"enw", "{order}");
    }
}

#[test]
fn priority_goes_by_tier_and_inside_a_tier_by_weight() {
    let mut world = Scenario::of(3)
        .strategy(Strategy::Priority)
        .tiers(&[2, 1, 1])
        .weights(&[9, 1, 3])
        .begin();
    let first = order(&mut world, 8);
    assert_eq!(
        (first.matches('n').count(), first.matches('w').count()),
        (6, 2),
        "{first}"
    );
}

#[test]
fn failover_takes_the_first_that_is_ready() {
    let mut world = Scenario::of(3)
        .strategy(Strategy::Failover)
        .tiers(&[2, 1, 1])
        .weights(&[9, 1, 3])
        .begin();
    assert_eq!(order(&mut world, 5), "wwwww");
    let sent = world.send();
    let _ = world.settle(sent, &throttled(7 * SECOND));
    assert_eq!(order(&mut world, 5), "nnnnn");
    let sent = world.send();
    let _ = world.settle(sent, &throttled(9 * SECOND));
    assert_eq!(order(&mut world, 3), "eee");
    // Back to the best as soon as it is back.
    world.at(7 * SECOND);
    assert_eq!(order(&mut world, 3), "www");
}

#[test]
fn least_loaded_evens_out_the_used_parts_of_quotas() {
    let mut world = Scenario::of(3)
        .strategy(Strategy::LeastLoaded)
        .limit(EAST, limit(Sku::Standard, 200_000))
        .limit(EndpointId(1), limit(Sku::Standard, 100_000))
        .limit(NORTH, limit(Sku::Standard, 100_000))
        .begin();
    let order = order(&mut world, 16);
    assert_eq!(&order[..3], "ewn", "each in turn where they are equal");
    let to = |initial| order.matches(initial).count();
    assert_eq!((to('e'), to('w'), to('n')), (8, 4, 4), "{order}");
}

#[test]
fn least_loaded_without_known_quotas_evens_out_the_used_places() {
    let mut world = Scenario::of(2)
        .strategy(Strategy::LeastLoaded)
        .max_in_flight(EAST, 30)
        .max_in_flight(EndpointId(1), 10)
        .begin();
    let order = order(&mut world, 16);
    assert_eq!(order.matches('e').count(), 12, "{order}");
}

#[test]
fn two_choices_never_takes_the_fuller_of_two_and_spreads_over_all() {
    // Of two endpoints both are drawn each time, so the emptier one is found.
    let mut world = Scenario::of(2)
        .strategy(Strategy::TwoChoices)
        .limit(EAST, limit(Sku::Standard, 300_000))
        .limit(EndpointId(1), limit(Sku::Standard, 100_000))
        .begin();
    let found = order(&mut world, 16);
    assert_eq!(found.matches('e').count(), 12, "{found}");
    // Of five, the fullest is never taken.
    let mut world = Scenario::of(5).strategy(Strategy::TwoChoices).begin();
    let found = order(&mut world, 50);
    for name in &NAMES {
        let taken = found.matches(&name[..1]).count();
        assert!((8..=12).contains(&taken), "{name}: {taken} of {found}");
    }
}

#[test]
fn a_provisioned_endpoint_is_used_before_others_of_its_tier_and_spills_before_it_refuses() {
    for strategy in [Strategy::Weighted, Strategy::Priority, Strategy::LeastLoaded] {
        // Half a minute of 40,000 tokens a minute: ten jobs of 2,000.
        let mut world = Scenario::of(2)
            .strategy(strategy)
            .limit(EndpointId(1), limit(Sku::Provisioned, 40_000))
            .limit(EAST, limit(Sku::Standard, 400_000))
            .begin();
        let order = order(&mut world, 20);
        let before = order.find('e').unwrap();
        assert!((8..=10).contains(&before), "{strategy:?}: {order}");
        assert!(order[before..].bytes().all(|to| to == b'e'), "{strategy:?}: {order}");
    }
}
