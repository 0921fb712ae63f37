//! Our provider key as the key of a consumer: where it signs, and where it must not.

use ics_core::deploy::NodeSigner;
use ics_core::key::PublicKey;
use ics_core::policy::{KeySource, Override, Policy};
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record, provider_key};
use crate::world::setup::{keyed, policy};
use crate::world::{World, at, id, short};

const OURS: NodeSigner = NodeSigner::Key(PublicKey::new([200; 32]));

fn asking() -> Policy {
    keyed(KeySource::Provider)
}

/// A consumer of this chain id, which launches at this second.
fn consumer(chain_id: &str, second: u64) -> Record {
    Record::new(chain_id, "alice").spawning(at(second))
}

/// A top N chain of nobody's that launches at this second, with our provider key in its set.
fn forced(chain_id: &str, second: u64) -> Record {
    let mut record = consumer(chain_id, second);
    record.top_n = 100;
    record
}

/// A world with these consumers, for each of which the store holds a copy of our provider key.
fn world(policy: Policy, consumers: Vec<Record>) -> World {
    let mut world = World::new(policy);
    for (number, record) in (0..).zip(consumers) {
        world.keys.bring(id(number), provider_key(0));
        world.ask(Ask::Create(id(number), record.into()));
    }
    world
}

fn signer(world: &World, number: u64) -> &NodeSigner {
    &world.nodes.all[&id(number)].signer
}

fn assigned(world: &World, number: u64) -> Option<PublicKey> {
    world.chain.consumers[&id(number)].assigned.get(&0).copied()
}

fn did(world: &mut World) -> Vec<String> {
    world.done().iter().map(short).collect()
}

#[track_caller]
fn alarms(world: &World, number: u64, words: &str) {
    let alarms = world.status(number).alarms;
    let told = alarms.iter().any(|alarm| alarm.text.contains(words));
    assert!(told, "no alarm says {words:?}: {alarms:?}");
}

#[track_caller]
fn ends_well(world: &World, number: u64) {
    assert_eq!(world.wrong(), Vec::<String>::new());
    assert_eq!(world.status(number).alarms, []);
    assert_eq!(world.status(number).stage, Stage::Running);
}

#[test]
fn a_rule_that_asks_for_it_opts_in_without_a_key_and_our_provider_key_signs() {
    let mut world = world(asking(), vec![consumer("alice-1", 200)]);
    world.run_to(100);
    assert_eq!(did(&mut world), ["check 0", "opt in 0", "check 0"]);
    assert_eq!(world.status(0).alarms, []);
    world.run_to(400);
    assert_eq!((assigned(&world, 0), signer(&world, 0)), (None, &OURS));
    ends_well(&world, 0);
    // It is left like any other.
    world.ask(Ask::OptOut(id(0), 0));
    world.run_to(600);
    assert_eq!(world.status(0).stage, Stage::Stopped);
}

#[test]
fn one_key_signs_on_two_chains_of_two_chain_ids() {
    let mut world = world(
        asking(),
        vec![consumer("one-1", 200), consumer("two-1", 200)],
    );
    world.run_to(400);
    assert_eq!((signer(&world, 0), signer(&world, 1)), (&OURS, &OURS));
    ends_well(&world, 0);
    ends_well(&world, 1);
}

#[test]
fn nothing_is_opted_in_to_before_the_store_holds_a_copy() {
    let mut world = World::new(asking());
    world.ask(Ask::Create(id(0), consumer("alice-1", 200).into()));
    world.run_to(100);
    let why = world.status(0).why;
    assert!(
        why.contains("not ready: the assigned key is not here"),
        "{why}"
    );
    world.keys.bring(id(0), provider_key(0));
    world.run_to(300);
    assert_eq!(signer(&world, 0), &OURS);
    ends_well(&world, 0);
}

#[test]
fn a_remote_signer_may_hold_it() {
    let (public_key, port) = (provider_key(0), 26_659);
    let policy = keyed(KeySource::Remote { public_key, port });
    let mut world = World::new(policy);
    world.ask(Ask::Create(id(0), consumer("alice-1", 200).into()));
    world.run_to(300);
    assert_eq!(assigned(&world, 0), None);
    assert_eq!(signer(&world, 0), &NodeSigner::Remote(public_key));
    ends_well(&world, 0);
}

#[test]
fn it_never_signs_under_the_providers_own_chain_id() {
    let mut world = world(asking(), vec![consumer("provider-1", 200)]);
    world.run_to(150);
    assert_eq!(did(&mut world), Vec::<String>::new());
    alarms(&world, 0, "under the provider's chain id: no opt-in");
    // Opted in by hand all the same, it gets a key of its own.
    world.ask(Ask::OptIn(id(0), 0));
    world.run_to(400);
    assert_eq!(signer(&world, 0), &NodeSigner::Key(world.keys.of(id(0))[1]));
    ends_well(&world, 0);
}

#[test]
fn of_two_with_one_chain_id_it_signs_for_one() {
    for second in [200, 300] {
        let both = vec![consumer("alice-1", 200), consumer("alice-1", second)];
        let mut world = world(asking(), both);
        world.run_to(150);
        assert!(world.status(0).opted_in && !world.status(1).opted_in);
        alarms(&world, 1, "it stands for consumer 0 too");
        // The chain, or the operator by hand, makes us validate the other one, too.
        world.ask(Ask::OptIn(id(1), 0));
        world.run_to(500);
        let own = world.keys.of(id(1))[1];
        assert_eq!(signer(&world, 1), &NodeSigner::Key(own), "{second}");
        assert_eq!(world.wrong(), Vec::<String>::new());
    }
}

#[test]
fn who_signs_with_it_goes_on_when_another_takes_its_chain_id() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = World::new(asking());
        for number in [first, second] {
            world.keys.bring(id(number), provider_key(0));
        }
        world.ask(Ask::Create(id(first), consumer("alice-1", 100).into()));
        world.run_to(200);
        world.ask(Ask::Create(id(second), forced("alice-1", 205).into()));
        world.run_to(230);
        assert_eq!(signer(&world, second), &NodeSigner::None);
        let barred = format!("it stands for consumer {first} too");
        let mut told = world.notices.iter().map(|notice| &notice.text);
        assert!(told.any(|text| text.contains(&barred) && text.contains("is being assigned")));
        alarms(
            &world,
            second,
            "the node misses blocks until another key is in the set",
        );
        for _ in 0..2 {
            world.run_to(400);
            assert_eq!(signer(&world, first), &OURS);
            let own = NodeSigner::Key(world.keys.of(id(second))[1]);
            assert_eq!(signer(&world, second), &own);
            assert_eq!(world.wrong(), Vec::<String>::new());
            world.crash();
        }
    }
}

#[test]
fn a_restart_finds_who_signs_with_it_before_another_may() {
    for second in 201..260 {
        let mut world = world(asking(), vec![consumer("alice-1", 100)]);
        world.run_to(200);
        world.keys.bring(id(1), provider_key(0));
        world.ask(Ask::Create(id(1), forced("alice-1", 205).into()));
        world.run_to(second);
        world.crash();
        world.run_to(500);
        assert_eq!(signer(&world, 0), &OURS, "{second}");
        let own = world.keys.of(id(1))[1];
        assert_eq!(signer(&world, 1), &NodeSigner::Key(own), "{second}");
        assert_eq!(world.wrong(), Vec::<String>::new());
    }
}

#[test]
fn of_two_that_are_forced_on_us_at_once_the_first_created_has_it() {
    let both = vec![forced("top-1", 200), forced("top-1", 200)];
    let mut world = world(asking(), both);
    world.run_to(400);
    assert_eq!(signer(&world, 0), &OURS);
    assert_eq!(signer(&world, 1), &NodeSigner::Key(world.keys.of(id(1))[1]));
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn renamed_to_the_chain_id_of_another_it_gets_a_key_of_its_own() {
    let both = vec![consumer("alice-1", 200), consumer("bob-1", 300)];
    let mut world = world(asking(), both);
    world.run_to(250);
    assert!(world.status(1).opted_in);
    world.ask(Ask::Update(id(1), |record| {
        record.chain_id = "alice-1".into()
    }));
    world.run_to(500);
    assert_eq!(signer(&world, 0), &OURS);
    assert_eq!(signer(&world, 1), &NodeSigner::Key(world.keys.of(id(1))[1]));
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_assigned_later_takes_over_as_any_other() {
    let mut world = world(asking(), vec![consumer("alice-1", 200)]);
    world.run_to(260);
    let second = world.keys.import(id(0));
    world.ask(Ask::Assign(id(0), second));
    world.run_to(270);
    assert_eq!(signer(&world, 0), &OURS);
    alarms(
        &world,
        0,
        "the old one signs until the consumer's own set has the new one",
    );
    world.run_to(500);
    assert_eq!(signer(&world, 0), &NodeSigner::Key(second));
    ends_well(&world, 0);
    // And back: once another was assigned, the provider takes its own key again.
    world.ask(Ask::Assign(id(0), provider_key(0)));
    world.run_to(700);
    assert_eq!(signer(&world, 0), &OURS);
    ends_well(&world, 0);
}

#[test]
fn a_rule_that_asks_for_it_no_longer_lets_it_sign_until_a_fresh_key_counts() {
    let mut world = world(asking(), vec![consumer("alice-1", 200)]);
    world.run_to(260);
    world.set_policy(policy());
    world.run_to(280);
    assert_eq!(signer(&world, 0), &OURS);
    world.run_to(500);
    assert_eq!(signer(&world, 0), &NodeSigner::Key(world.keys.of(id(0))[1]));
    ends_well(&world, 0);
}

#[test]
fn an_order_does_not_stand_above_it() {
    let mut policy = asking();
    policy.overrides.insert(id(1), Override::OptIn);
    let both = vec![consumer("alice-1", 200), consumer("alice-1", 300)];
    let mut world = world(policy, both);
    world.run_to(150);
    let opted_in = [0, 1].map(|number| world.status(number).opted_in);
    assert_eq!(opted_in.iter().filter(|it| **it).count(), 1, "{opted_in:?}");
    assert_eq!(world.wrong(), Vec::<String>::new());
}

/// Two consumers of one chain id: our provider key signs for the first, and the rule asks for it on the
/// second too, which launches later.
fn one_signs() -> World {
    let both = vec![consumer("alice-1", 200), consumer("alice-1", 900)];
    let mut world = world(asking(), both);
    world.run_to(260);
    assert_eq!(signer(&world, 0), &OURS);
    world
}

/// The first is out of the way. The second is not opted in to; where we must validate it all the same,
/// it runs without our key.
#[track_caller]
fn it_never_signs_for_the_second(mut world: World, must: bool) {
    let status = world.status(1);
    assert!(
        !status.opted_in && status.why.contains("not ready"),
        "{}",
        status.why
    );
    if must {
        world.ask(Ask::OptIn(id(1), 0));
    }
    for second in [1200, 1400] {
        world.run_to(second);
        let node = world.nodes.all.get(&id(1));
        assert_eq!(node.is_some(), must);
        assert!(node.is_none_or(|node| matches!(node.signer, NodeSigner::Withheld(_))));
        assert_eq!(world.wrong(), Vec::<String>::new());
        world.crash();
    }
}

#[test]
fn it_signs_for_no_second_consumer_once_another_key_took_its_place_on_the_first() {
    for must in [false, true] {
        let mut world = one_signs();
        let own = world.keys.import(id(0));
        world.ask(Ask::Assign(id(0), own));
        world.run_to(700);
        assert_eq!(signer(&world, 0), &NodeSigner::Key(own));
        it_never_signs_for_the_second(world, must);
    }
}

#[test]
fn it_signs_for_no_second_consumer_once_the_first_is_deleted() {
    for must in [false, true] {
        let mut world = one_signs();
        world.ask(Ask::Remove(id(0)));
        world.run_to(800);
        assert!(!world.nodes.all.contains_key(&id(0)));
        it_never_signs_for_the_second(world, must);
    }
}

#[test]
fn it_signs_for_no_second_consumer_once_only_the_data_of_the_first_are_left() {
    for must in [false, true] {
        let mut world = one_signs();
        world.ask(Ask::OptOut(id(0), 0));
        world.run_to(600);
        let node = world.nodes.all.get_mut(&id(0)).expect("its data");
        (node.signer, node.spec) = (NodeSigner::None, None);
        world.crash();
        world.run_to(800);
        it_never_signs_for_the_second(world, must);
    }
}
