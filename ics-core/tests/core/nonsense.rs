//! Answers that cannot be right: nothing is built on them.

use std::time::Duration;

use ics_core::action::{Action, Input, Level, Outcome};
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::key::PublicKey;
use ics_core::keystore::KeyRef;
use ics_core::phase::Phase;
use ics_core::status::Stage;
use ics_core::time::Height;

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id};

/// Runs until this is asked for, and answers it before the world does.
fn answer(world: &mut World, asked: &str, outcome: impl Fn(&Action) -> Outcome) {
    let action = world.run_until(asked);
    let (op, outcome) = (action.op().expect("an op"), outcome(&action));
    world.feed(Input::Done { op, outcome });
}

fn world() -> World {
    let mut world = World::new(policy());
    let record = Record::new("alice-1", "alice").spawning(at(300));
    world.ask(Ask::Create(id(0), Box::new(record)));
    world
}

fn critical(world: &World) -> String {
    let alarms = world.status(0).alarms;
    let critical = alarms.iter().filter(|alarm| alarm.level == Level::Critical);
    critical.map(|alarm| alarm.text.clone()).collect()
}

#[test]
fn a_key_of_another_consumer_is_never_assigned() {
    let mut world = world();
    let key = KeyRef {
        consumer_id: id(1),
        public_key: PublicKey::new([5; 32]),
    };
    answer(&mut world, "prepare key 0", |_| Outcome::Key(key));
    world.run_to(320);
    let assigned = world.chain.consumers[&id(0)].assigned[&0];
    assert_ne!(assigned, key.public_key);
    assert_eq!(world.status(0).stage, Stage::Running);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_node_of_another_consumer_is_not_taken_for_this_ones() {
    let mut world = world();
    answer(&mut world, "apply 0", |action| {
        let Action::Apply { spec, .. } = action else {
            panic!("not an apply: {action:?}");
        };
        Outcome::Applied(NodeStatus {
            consumer_id: id(1),
            state: NodeState::Running,
            spec: Some(spec.digest()),
            genesis: None,
            p2p_port: None,
            signer: NodeSigner::None,
        })
    });
    let why = critical(&world);
    assert!(why.contains("the answer is to another question"), "{why}");
    assert_eq!(world.status(0).node, None);
}

#[test]
fn a_chain_id_that_changes_after_launch_is_believed_by_nobody() {
    let mut world = world();
    world.run_to(320);
    let rename = |world: &mut World, change| {
        world.ask(Ask::Update(id(0), change));
        world.run_to(if critical(world).is_empty() { 400 } else { 480 });
    };
    rename(&mut world, |record| record.chain_id = "other-1".into());
    let why = critical(&world);
    assert!(
        why.contains("other-1, but alice-1 is final since launch"),
        "{why}"
    );
    assert!(world.nodes.runs(id(0)));
    assert_eq!(world.nodes.specs[&id(0)].chain_id.as_str(), "alice-1");
    rename(&mut world, |record| record.chain_id = "alice-1".into());
    assert_eq!(critical(&world), "");
    assert_eq!(world.status(0).stage, Stage::Running);
}

#[test]
fn the_last_heights_that_there_can_be_are_followed_and_delete_nothing_unsure() {
    for left in [18, 20, 40] {
        let mut world = World::new(policy());
        world.chain.height = Height(u64::MAX - left);
        world.chain.unbonding = Duration::from_secs(20);
        let record = Record::new("alice-1", "alice").spawning(at(20));
        world.ask(Ask::Create(id(0), Box::new(record)));
        world.unheard.insert("opt in 0 with key".into());
        world.run_to(36);
        world.ask(Ask::Remove(id(0)));
        world.run_to(5 * left + 4);
        assert_eq!(world.chain.height, Height(u64::MAX));
        assert_eq!(world.status(0).phase, Some(Phase::Deleted), "{left}");
        let deleted = world.nodes.deleted.contains(&id(0));
        assert_eq!(deleted, left == 40, "{left}: {}", world.status(0).why);
        assert_eq!(world.wrong(), Vec::<String>::new());
    }
}
