//! A key that changes after launch: which one the node signs with, and from when on.

use ics_core::deploy::NodeSigner;
use ics_core::key::PublicKey;
use ics_core::status::Stage;

use crate::world::chain::{Ask, EPOCH, Record, provider_key};
use crate::world::setup::policy;
use crate::world::{World, id, short};

/// A consumer that we have validated for a minute, with a fresh key.
fn running() -> (World, PublicKey) {
    let mut world = World::new(policy());
    let record = Record::new("alice-1", "alice").spawning(crate::world::at(200));
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(260);
    assert_eq!(world.status(0).stage, Stage::Running);
    world.done();
    let first = world.keys.of(id(0))[0];
    assert_eq!(signer(&world), NodeSigner::Key(first));
    (world, first)
}

fn signer(world: &World) -> NodeSigner {
    world.nodes.all[&id(0)].signer.clone()
}

fn own_set(world: &World) -> &[PublicKey] {
    &world.chain.consumers[&id(0)].own_set
}

fn did(world: &mut World) -> Vec<String> {
    world.done().iter().map(short).collect()
}

/// Runs on, second by second, until this holds; returns that second.
#[track_caller]
fn run_until(world: &mut World, holds: impl Fn(&World) -> bool) -> u64 {
    let found = (260..1000).find(|second| {
        world.run_to(*second);
        holds(world)
    });
    found.expect("it holds some time")
}

#[track_caller]
fn alarms(world: &World, words: &str) {
    let alarms = world.status(0).alarms;
    let told = alarms.iter().any(|alarm| alarm.text.contains(words));
    assert!(told, "no alarm says {words:?}: {alarms:?}");
}

#[track_caller]
fn ends_well(world: &World) {
    assert_eq!(world.wrong(), Vec::<String>::new());
    assert_eq!(world.status(0).alarms, []);
    assert_eq!(world.status(0).stage, Stage::Running);
}

#[test]
fn a_new_key_takes_over_once_the_consumers_own_set_has_it_and_not_the_old_one() {
    let (mut world, first) = running();
    let second = world.keys.import(id(0));
    world.ask(Ask::Assign(id(0), second));
    world.run_to(270);
    alarms(
        &world,
        "the old one signs until the consumer's own set has the new one",
    );
    let changed = run_until(&mut world, |world| own_set(world).contains(&second));
    assert!(!own_set(&world).contains(&first));
    assert_eq!(signer(&world), NodeSigner::Key(first));
    let switched = run_until(&mut world, |world| signer(world) == NodeSigner::Key(second));
    assert!(switched <= changed + 11, "{changed} {switched}");
    world.run_to(switched + 60);
    assert_eq!(did(&mut world), ["apply 0"]);
    ends_well(&world);
}

#[test]
fn the_own_node_is_asked_only_after_the_epoch_in_which_the_key_changed() {
    let (mut world, first) = running();
    let second = world.keys.import(id(0));
    world.mute = true;
    world.ask(Ask::Assign(id(0), second));
    let epoch = |world: &World| world.chain.height.0.is_multiple_of(EPOCH);
    let epoch = run_until(&mut world, epoch);
    assert!(!world.status(0).alarms[0].text.contains("no node answers"));
    // Nobody can tell whether the consumer's set has changed: the old key stays.
    world.run_to(epoch + 200);
    assert!(own_set(&world).contains(&second));
    assert_eq!(signer(&world), NodeSigner::Key(first));
    alarms(&world, "no node answers");
    world.mute = false;
    world.run_to(epoch + 300);
    assert_eq!(signer(&world), NodeSigner::Key(second));
    ends_well(&world);
}

#[test]
fn while_the_consumers_own_set_has_both_keys_the_old_one_signs() {
    let (mut world, first) = running();
    let second = world.keys.import(id(0));
    world.ask(Ask::Assign(id(0), second));
    let in_set = |world: &World| {
        let set = &world.chain.consumers[&id(0)].set;
        set.contains(&(0, second))
    };
    let epoch = run_until(&mut world, in_set);
    world.ask(Ask::Update(id(0), |record| {
        record.own_set.extend(record.assigned.get(&0));
    }));
    world.run_to(epoch + 30);
    assert!(own_set(&world).contains(&first) && own_set(&world).contains(&second));
    assert_eq!(signer(&world), NodeSigner::Key(first));
    world.run_to(epoch + 90);
    assert_eq!(signer(&world), NodeSigner::Key(second));
    ends_well(&world);
}

#[test]
fn a_key_that_we_do_not_hold_never_takes_over() {
    let (mut world, first) = running();
    let foreign = PublicKey::new([100; 32]);
    world.ask(Ask::Assign(id(0), foreign));
    world.run_to(270);
    alarms(&world, "this instance does not hold it");
    world.run_to(500);
    assert!(own_set(&world).contains(&foreign));
    assert_eq!(signer(&world), NodeSigner::Key(first));
    alarms(&world, "this instance does not hold it");
    assert_eq!(did(&mut world), Vec::<String>::new());
    // It is brought here.
    world.keys.bring(id(0), foreign);
    world.run_to(530);
    assert_eq!(signer(&world), NodeSigner::Key(foreign));
    ends_well(&world);
}

#[test]
fn our_provider_key_gives_way_to_a_fresh_key_at_once() {
    let (mut world, first) = running();
    world.ask(Ask::Assign(id(0), provider_key(0)));
    world.run_to(280);
    assert_eq!(did(&mut world), ["prepare key 0", "assign key 0"]);
    let second = world.keys.of(id(0))[1];
    assert_ne!(second, first);
    world.run_to(400);
    assert_eq!(signer(&world), NodeSigner::Key(second));
    assert_eq!(did(&mut world), ["apply 0"]);
    ends_well(&world);
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    for second in (265..400).step_by(5) {
        let (mut world, _) = running();
        let new = world.keys.import(id(0));
        world.ask(Ask::Assign(id(0), new));
        world.run_to(second);
        world.crash();
        world.run_to(500);
        assert_eq!(signer(&world), NodeSigner::Key(new), "{second}");
        ends_well(&world);
    }
}
