//! What is predicted of a launch, and that the prediction is what then happens.

use std::time::Duration;

use ics_core::phase::Phase;
use ics_core::predict::{Obstacle, Place, Prediction};

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id};

/// A consumer that nobody's rule is about, a minute after its creation.
fn world_with(change: impl Fn(&mut Record)) -> World {
    let mut record = Record::new("other-1", "nobody").spawning(at(200));
    change(&mut record);
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    world
}

fn prediction(world: &World) -> Prediction {
    world.status(0).prediction.expect("a spawn time")
}

/// That the launch fails or succeeds as predicted.
fn comes_true(mut world: World) {
    let fails = !prediction(&world).obstacles.is_empty();
    world.run_to(220);
    let launched = world.status(0).phase == Some(Phase::Launched);
    assert_eq!(launched, !fails);
    assert_eq!(world.status(0).prediction, None);
}

#[test]
fn a_launch_with_a_validator_would_succeed() {
    let world = world_with(|_| {});
    let prediction = prediction(&world);
    assert_eq!(prediction.obstacles, []);
    assert_eq!((prediction.validators, prediction.place), (1, None));
    assert_eq!(prediction.spawn_time, at(200));
    let text = prediction.to_string();
    assert!(
        text.starts_with("would launch with 1 validators, without us"),
        "{text}"
    );
    comes_true(world);
}

#[test]
fn the_last_block_to_opt_in_is_the_one_before_the_launch() {
    let mut world = world_with(|_| {});
    let last = prediction(&world).last_block.expect("a pace");
    world.run_to(220);
    assert_eq!(world.status(0).launched_at.map(|at| at.0), Some(last.0 + 1));
}

#[test]
fn an_empty_set_fails() {
    let world = world_with(|record| record.opted_in.clear());
    assert_eq!(prediction(&world).obstacles, [Obstacle::EmptySet]);
    comes_true(world);
}

#[test]
fn a_set_without_an_active_validator_fails() {
    let world = world_with(|record| record.inactive.extend([1]));
    assert_eq!(prediction(&world).obstacles, [Obstacle::NoActiveMember]);
    comes_true(world);
}

#[test]
fn a_revision_that_is_not_the_chain_ids_fails() {
    let world = world_with(|record| record.chain_id = "other-2".into());
    let expected = Obstacle::Revision {
        initial: 1,
        chain_id: 2,
    };
    assert_eq!(prediction(&world).obstacles, [expected]);
    comes_true(world);
}

#[test]
fn an_unbonding_period_too_short_to_trust_fails() {
    let world = world_with(|record| record.unbonding = Duration::from_nanos(1));
    let expected = Obstacle::TrustingPeriod {
        trusting: Duration::ZERO,
        unbonding: Duration::from_nanos(1),
    };
    assert_eq!(prediction(&world).obstacles, [expected]);
    comes_true(world);
}

#[test]
fn a_reused_connection_has_its_client_already() {
    let world = world_with(|record| {
        record.connection_id = "connection-0".into();
        record.chain_id = "other-2".into();
        record.unbonding = Duration::ZERO;
    });
    let prediction = prediction(&world);
    assert_eq!(prediction.obstacles, []);
    assert!(prediction.to_string().contains("not seen from here"));
    comes_true(world);
}

#[test]
fn our_place_is_told_and_a_failure_alarms_only_once_we_are_in() {
    let mut world = world_with(|record| {
        record.chain_id = "other-2".into();
        record.owner = "alice".into();
    });
    world.run_to(70);
    let status = world.status(0);
    let prediction = status.prediction.expect("a spawn time");
    let place = Place { rank: 1, power: 1 };
    assert_eq!((prediction.place, prediction.total_power), (Some(place), 2));
    assert!(
        prediction
            .to_string()
            .contains("rank 1 with power 1 (50.00 %)")
    );
    assert!(
        status.alarms[0].text.contains("revision"),
        "{:?}",
        status.alarms
    );
}
