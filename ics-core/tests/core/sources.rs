//! Where a consumer's key comes from, by its rule: imported, or held by a remote signer.

use ics_core::deploy::NodeSigner;
use ics_core::key::PublicKey;
use ics_core::node::Signer;
use ics_core::policy::{KeySource, Policy};
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record, provider_key};
use crate::world::setup::{keyed, policy};
use crate::world::{World, at, id, short};

const REMOTE: PublicKey = PublicKey::new([50; 32]);
const OTHER: PublicKey = PublicKey::new([51; 32]);

fn remote(public_key: PublicKey) -> Policy {
    let port = 26_659;
    keyed(KeySource::Remote { public_key, port })
}

/// A consumer that launches 200 s after the start, under these rules, at this second.
fn world_at(second: u64, policy: Policy) -> World {
    let mut world = World::new(policy);
    let record = Record::new("alice-1", "alice").spawning(at(200));
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(second);
    world
}

fn signer(world: &World) -> NodeSigner {
    world.nodes.all[&id(0)].signer.clone()
}

fn did(world: &mut World, what: &str) -> usize {
    let done = world.done();
    done.iter().filter(|action| short(action) == what).count()
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
fn an_imported_key_is_waited_for_and_no_other_is_made() {
    let mut world = world_at(100, keyed(KeySource::Imported));
    assert!(!world.status(0).opted_in);
    let why = world.status(0).why;
    assert!(why.contains("no key was imported"), "{why}");
    assert!(world.keys.of(id(0)).is_empty());
    let key = world.keys.import(id(0));
    world.run_to(300);
    assert_eq!(signer(&world), NodeSigner::Key(key));
    assert_eq!(world.keys.of(id(0)), [key]);
    ends_well(&world);
}

#[test]
fn a_rule_that_changes_its_source_before_the_opt_in_is_followed() {
    let mut world = world_at(1, policy());
    world.missing.insert(id(0), "the image is missing".into());
    world.keys.import(id(0));
    world.run_to(100);
    world.set_policy(remote(REMOTE));
    world.missing.clear();
    world.run_to(300);
    assert_eq!(signer(&world), NodeSigner::Remote(REMOTE));
    ends_well(&world);
}

#[test]
fn a_remote_key_is_assigned_and_nothing_of_it_is_ours() {
    let mut world = world_at(300, remote(REMOTE));
    assert_eq!(world.chain.consumers[&id(0)].assigned[&0], REMOTE);
    assert!(world.keys.of(id(0)).is_empty());
    let spec = &world.nodes.specs[&id(0)];
    assert_eq!(spec.signer.port(), Some(26_659));
    assert!(matches!(spec.signer, Signer::Remote { public_key, .. } if public_key == REMOTE));
    assert_eq!(signer(&world), NodeSigner::Remote(REMOTE));
    ends_well(&world);
    // It is left like any other.
    world.ask(Ask::OptOut(id(0), 0));
    world.run_to(500);
    assert_eq!(world.status(0).stage, Stage::Stopped);
}

#[test]
fn a_remote_key_takes_the_place_of_our_provider_key() {
    let mut world = world_at(100, policy());
    world.set_policy(remote(REMOTE));
    let mut record = Record::new("top-1", "alice").spawning(at(150));
    record.top_n = 100;
    world.ask(Ask::Create(id(1), Box::new(record)));
    world.ask(Ask::Update(id(0), |record| record.owner = "nobody".into()));
    world.run_to(400);
    assert_eq!(world.chain.consumers[&id(1)].assigned[&0], REMOTE);
    let node = &world.nodes.all[&id(1)];
    assert_eq!(node.signer, NodeSigner::Remote(REMOTE));
}

#[test]
fn our_provider_key_is_assigned_to_no_consumer() {
    let mut world = World::new(keyed(KeySource::Imported));
    world.keys.import_key(id(0), provider_key(0));
    let record = Record::new("alice-1", "alice").spawning(at(200));
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(100);
    alarms(&world, "the key that is to be assigned is our provider key");
    assert!(!world.status(0).opted_in);
}

#[test]
fn one_key_never_moves_between_our_store_and_a_remote_signer() {
    let mut world = world_at(300, policy());
    let key = world.keys.of(id(0))[0];
    world.done();
    world.set_policy(remote(key));
    world.run_to(400);
    alarms(&world, "two might sign");
    assert_eq!(signer(&world), NodeSigner::Key(key));
    world.set_policy(policy());
    world.run_to(450);
    ends_well(&world);

    let mut world = world_at(300, remote(REMOTE));
    world.done();
    world.keys.bring(id(0), REMOTE);
    world.set_policy(policy());
    world.run_to(400);
    alarms(&world, "two might sign");
    assert_eq!(signer(&world), NodeSigner::Remote(REMOTE));
    assert_eq!(did(&mut world, "apply 0"), 0);
    world.set_policy(remote(REMOTE));
    world.run_to(450);
    ends_well(&world);
}

#[test]
fn another_key_may_take_over_in_another_place() {
    for (before, assigned, after, expected) in [
        (policy(), REMOTE, remote(REMOTE), NodeSigner::Remote(REMOTE)),
        (
            remote(REMOTE),
            OTHER,
            remote(OTHER),
            NodeSigner::Remote(OTHER),
        ),
        (remote(REMOTE), OTHER, policy(), NodeSigner::Key(OTHER)),
    ] {
        let mut world = world_at(300, before);
        world.done();
        let old = signer(&world);
        if expected == NodeSigner::Key(OTHER) {
            world.keys.bring(id(0), OTHER);
        }
        world.set_policy(after);
        world.ask(Ask::Assign(id(0), assigned));
        world.run_to(320);
        assert_eq!(signer(&world), old);
        alarms(&world, "the old one signs until");
        world.run_to(500);
        assert_eq!(signer(&world), expected);
        assert_eq!(did(&mut world, "apply 0"), 1, "{expected:?}");
        ends_well(&world);
    }
}
