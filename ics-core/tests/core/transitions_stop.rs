//! The ways in which a consumer ends, and what stays of it.

use ics_core::deploy::NodeState;
use ics_core::event::Event;
use ics_core::phase::Phase;
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id, short};

/// A consumer that we have run since second 105.
fn running() -> World {
    let mut world = World::new(policy());
    let record = Record::new("alice-1", "alice").spawning(at(100));
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(146);
    assert_eq!(world.status(0).stage, Stage::Running);
    world.done();
    world
}

fn did(world: &mut World) -> Vec<String> {
    world.done().iter().map(short).collect()
}

#[track_caller]
fn warns(world: &World, words: &str) {
    let alarms = world.status(0).alarms;
    let told = alarms.iter().any(|alarm| alarm.text.contains(words));
    assert!(told, "no alarm says {words:?}: {alarms:?}");
}

#[test]
fn the_four_ways_to_be_stopped_stop_the_node_in_the_same_block_and_keep_its_data() {
    let hints = [
        Event::read("remove_consumer", [("consumer_id", "0")]),
        // A VSC packet timed out, or was refused by the consumer.
        Event::read("timeout", [("module", "provider")]),
        Event::read("ccv_packet", [("error", "ABCI code: 1")]),
    ];
    assert!(hints.iter().all(Option::is_some));
    // Sending a VSC packet failed: that has no event, and happens where an epoch ends.
    let silent = [None];
    for event in hints.into_iter().chain(silent) {
        let mut world = running();
        world.ask(Ask::Stop(id(0), event.clone()));
        world.run_to(151);
        assert_eq!(world.status(0).stage, Stage::Stopped, "{event:?}");
        assert_eq!(did(&mut world), ["stop 0"], "{event:?}");
        assert_eq!(world.nodes.all[&id(0)].state, NodeState::Stopped);
        assert!(world.nodes.deleted.is_empty());
        assert_eq!(world.wrong(), Vec::<String>::new());
    }
}

#[test]
fn a_node_that_ended_by_itself_is_started_again_and_how_it_ended_is_told() {
    let mut world = running();
    let node = world.nodes.all.get_mut(&id(0)).expect("a node");
    node.state = NodeState::Ended("exit status 3".into());
    world.run_to(170);
    assert_eq!(did(&mut world), ["apply 0"]);
    assert_eq!(world.nodes.all[&id(0)].state, NodeState::Running);
    assert_eq!(world.status(0).stage, Stage::Running);
    assert_eq!(world.status(0).alarms, []);
    let how = "ended by itself: exit status 3";
    let told = world.notices.iter().any(|notice| notice.text.contains(how));
    assert!(told, "{:?}", world.notices);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn one_whose_deletion_failed_stays_stopped_for_ever() {
    let mut world = running();
    world.ask(Ask::Remove(id(0)));
    world.run_to(160);
    // The provider takes it out of its queue, fails to delete it, and never tries again.
    world.ask(Ask::Update(id(0), |record| record.removal = None));
    world.run_to(5000);
    assert_eq!(world.status(0).phase, Some(Phase::Stopped));
    world.crash();
    world.run_to(9000);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    assert_eq!(did(&mut world), ["stop 0"]);
    assert_eq!(world.nodes.all[&id(0)].state, NodeState::Stopped);
    assert!(world.nodes.deleted.is_empty());
    assert_eq!(world.status(0).alarms, []);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_chain_whose_validators_are_all_jailed_halts_and_that_is_told() {
    let mut world = running();
    for index in [0, 1] {
        world.ask(Ask::Jail(index, true));
    }
    world.run_to(300);
    assert_eq!(world.status(0).phase, Some(Phase::Launched));
    assert!(world.nodes.runs(id(0)));
    warns(&world, "no validator is left in its set");
    for index in [0, 1] {
        world.ask(Ask::Jail(index, false));
    }
    world.run_to(500);
    assert_eq!(world.status(0).alarms, []);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_chain_that_all_have_left_is_ours_until_its_owner_ends_it() {
    let mut world = running();
    for index in [0, 1] {
        world.ask(Ask::OptOut(id(0), index));
    }
    world.run_to(900);
    // Its own set can never be without our key.
    assert_eq!(world.status(0).stage, Stage::Leaving);
    assert!(world.nodes.runs(id(0)));
    warns(&world, "only its owner can end it");
    world.ask(Ask::Remove(id(0)));
    world.run_to(910);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    assert_eq!(world.status(0).alarms, []);
    assert_eq!(did(&mut world), ["stop 0"]);
    assert_eq!(world.wrong(), Vec::<String>::new());
}
