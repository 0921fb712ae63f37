//! What people see of consumers is shared, and made anew only for those that changed.

use std::sync::Arc;
use std::time::Duration;

use ics_core::action::Input;
use ics_core::event::Event;
use ics_core::status::ConsumerStatus;
use ics_core::time::Height;

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id};

/// Three consumers that are not ours, all of them read.
fn world() -> World {
    let mut world = World::new(policy());
    for number in 0..3 {
        let record = Record::new(&format!("other-{number}"), "nobody").spawning(at(5000));
        world.ask(Ask::Create(id(number), Box::new(record)));
    }
    world.run_to(60);
    world
}

fn statuses(world: &World) -> Vec<Arc<ConsumerStatus>> {
    world.machine.consumers().collect()
}

#[test]
fn a_step_without_news_changes_no_status() {
    let mut world = world();
    world.feed(Input::Tick);
    assert_eq!(world.machine.changed().count(), 0);
}

#[test]
fn news_of_one_consumer_leave_the_statuses_of_all_others_as_they_are() {
    let mut world = world();
    let before = statuses(&world);
    world.ask(Ask::Update(id(1), |record| {
        record.chain_id = "renamed-1".into()
    }));
    world.run_to(70);
    let after = statuses(&world);
    let same: Vec<_> = before
        .iter()
        .zip(&after)
        .map(|(a, b)| Arc::ptr_eq(a, b))
        .collect();
    assert_eq!(same, [true, false, true]);
    let name = after[1].chain_id.as_ref().map(|chain_id| chain_id.as_str());
    assert_eq!(name, Some("renamed-1"));
}

#[test]
fn a_new_consumer_is_shown_before_it_is_read() {
    let mut world = world();
    world.feed(Input::Block {
        height: Height(world.chain.height.0 + 1),
        time: at(60),
        events: vec![Event::Touched(id(7))],
    });
    let changed: Vec<_> = world.machine.changed().collect();
    let [new] = changed.as_slice() else {
        panic!("one is new: {changed:?}");
    };
    assert_eq!((new.consumer_id, new.phase), (id(7), None));
}

#[test]
fn predictions_keep_pace_with_the_blocks_although_nothing_is_read() {
    let mut world = world();
    let last = |world: &World| {
        let prediction = world.status(2).prediction.expect("a spawn time");
        prediction.last_block.expect("a pace")
    };
    let (read_at, before) = (world.status(2).height, last(&world));
    // The chain goes five times as fast from now on.
    for number in 1..=300 {
        let (height, time) = (world.chain.height.0 + number, world.chain.time);
        world.feed(Input::Block {
            height: Height(height),
            time: time + Duration::from_secs(number),
            events: Vec::new(),
        });
    }
    assert_eq!(world.status(2).height, read_at);
    assert!(
        last(&world) > before,
        "{} is not after {before}",
        last(&world)
    );
}
