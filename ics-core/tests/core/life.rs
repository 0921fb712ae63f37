//! The life of a consumer, told from our side: what is done, in order, and what the world then is.

use ics_core::action::Action;
use ics_core::deploy::NodeSigner;
use ics_core::node::Signer;
use ics_core::phase::Phase;
use ics_core::policy::Override;
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record, provider_key};
use crate::world::setup::{denying_alice, ordering, policy};
use crate::world::{World, at, id, short};

/// A world in which this consumer was created a minute ago.
fn world_with(record: Record) -> World {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    world
}

fn alice() -> Record {
    Record::new("alice-1", "alice")
}

fn did(world: &mut World) -> Vec<String> {
    let done = world.done();
    let done = done.iter().map(short);
    // Readiness is checked every minute while we wait: told once is enough.
    let mut told: Vec<String> = Vec::new();
    for action in done {
        if told.last() != Some(&action) {
            told.push(action);
        }
    }
    told
}

fn ends_well(world: &World) {
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_whole_life() {
    let mut world = world_with(alice().spawning(at(1000)));
    assert_eq!(world.status(0).stage, Stage::Watching);
    assert_eq!(did(&mut world), Vec::<String>::new());

    world.run_to(690);
    assert_eq!(did(&mut world), Vec::<String>::new());
    world.run_to(800);
    let opting = ["check 0", "prepare key 0", "opt in 0 with key", "check 0"];
    assert_eq!(did(&mut world), opting);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);

    world.run_to(1010);
    assert_eq!(did(&mut world), ["check 0", "build genesis 0", "apply 0"]);
    assert_eq!(world.status(0).stage, Stage::Running);
    assert!(world.status(0).alarms.is_empty());
    let key = world.keys.of(id(0))[0];
    assert_eq!(world.nodes.all[&id(0)].signer, NodeSigner::Key(key));
    assert_eq!(world.nodes.specs[&id(0)].persistent_peers.len(), 1);

    world.ask(Ask::Remove(id(0)));
    world.run_to(1030);
    assert_eq!(did(&mut world), ["stop 0"]);
    assert_eq!(world.status(0).stage, Stage::Stopped);

    // Deleted at 1140; confirmed ten blocks of five seconds later.
    world.run_to(1180);
    assert_eq!(world.status(0).phase, Some(Phase::Deleted));
    assert_eq!(world.status(0).stage, Stage::Deleting);
    assert_eq!(did(&mut world), Vec::<String>::new());
    world.run_to(1210);
    assert_eq!(did(&mut world), ["delete 0"]);
    assert_eq!(world.status(0).stage, Stage::Deleted);
    ends_well(&world);
}

#[test]
fn a_launch_is_answered_within_the_block() {
    let mut world = world_with(alice().spawning(at(300)));
    world.deaf = true;
    // Block time lags a second behind, so the first block at or after 300 is that of 305.
    world.run_to(304);
    assert_eq!(world.status(0).phase, Some(Phase::Initialized));
    world.run_to(306);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn a_failed_launch_is_followed_to_the_next_one() {
    let mut record = alice().spawning(at(200));
    record.opted_in.clear();
    let mut world = World::new(denying_alice());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(220);
    assert_eq!(world.status(0).phase, Some(Phase::Registered));
    let told = world
        .notices
        .iter()
        .any(|n| n.text.contains("the launch failed"));
    assert!(told);

    world.set_policy(policy());
    world.ask(Ask::Spawn(id(0), Some(at(400))));
    world.run_to(420);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn we_stay_opted_in_when_the_owner_withdraws_the_spawn_time() {
    let mut world = world_with(alice().spawning(at(300)));
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    world.ask(Ask::Spawn(id(0), None));
    world.run_to(70);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    assert_eq!(world.status(0).why, "opted in; it has no spawn time");
    world.ask(Ask::Spawn(id(0), Some(at(200))));
    world.run_to(220);
    assert_eq!(world.status(0).stage, Stage::Running);
    assert_eq!(world.chain.opt_ins[&id(0)], 1);
    ends_well(&world);
}

#[test]
fn a_chain_renamed_before_launch_runs_under_its_last_name() {
    let mut world = world_with(alice().spawning(at(300)));
    world.ask(Ask::Update(id(0), |record| {
        record.chain_id = "renamed-1".into()
    }));
    world.run_to(320);
    assert_eq!(world.nodes.specs[&id(0)].chain_id.as_str(), "renamed-1");
    ends_well(&world);
}

#[test]
fn a_spawn_time_set_late_is_enough() {
    let mut world = world_with(alice());
    assert_eq!(world.status(0).stage, Stage::Watching);
    world.ask(Ask::Spawn(id(0), Some(at(110))));
    world.run_to(130);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn a_spawn_time_in_the_past_is_joined_late() {
    let mut world = world_with(alice().spawning(at(0)));
    assert_eq!(world.status(0).phase, Some(Phase::Launched));
    assert_eq!(world.status(0).stage, Stage::Running);
    assert_eq!(world.chain.consumers[&id(0)].own_set.len(), 1);
    world.run_to(150);
    assert_eq!(world.chain.consumers[&id(0)].own_set.len(), 2);
    ends_well(&world);
}

#[test]
fn what_launched_without_us_is_left_to_the_operator() {
    let world = launched_without_us();
    let status = world.status(0);
    assert_eq!(status.stage, Stage::Watching);
    assert!(status.why.contains("opt-in 0 joins it"), "{}", status.why);
    ends_well(&world);
}

/// An allowed consumer that launched while we were not ready.
fn launched_without_us() -> World {
    let mut world = World::new(policy());
    world.missing.insert(id(0), "no image".into());
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(50)))));
    world.run_to(60);
    world.missing.clear();
    world.run_to(100);
    world
}

#[test]
fn two_consumers_with_one_chain_id_get_two_ports_and_two_keys() {
    let mut world = world_with(alice().spawning(at(200)));
    world.ask(Ask::Create(id(1), Box::new(alice().spawning(at(250)))));
    world.run_to(300);
    let (first, second) = (&world.nodes.all[&id(0)], &world.nodes.all[&id(1)]);
    assert_eq!(second.p2p_port, first.p2p_port.map(|port| port + 10));
    assert_ne!(first.signer, second.signer);
    ends_well(&world);
}

#[test]
fn the_operator_joins_a_launched_chain_and_leaves_it_again() {
    let mut world = world_with(Record::new("other-1", "nobody").spawning(at(50)));
    assert_eq!(world.status(0).stage, Stage::Ignored);

    let mut join = ordering(0, Override::OptIn);
    join.rules.push(crate::world::setup::rule(
        "nobody",
        ics_core::policy::Verdict::Deny,
    ));
    world.set_policy(join.clone());
    world.run_to(70);
    assert_eq!(
        did(&mut world),
        [
            "check 0",
            "prepare key 0",
            "opt in 0 with key",
            "build genesis 0",
            "apply 0"
        ]
    );
    world.run_to(200);
    assert!(world.chain.consumers[&id(0)].own_set.len() == 2);

    let mut leave = join.clone();
    leave.overrides.insert(id(0), Override::OptOut);
    world.set_policy(leave);
    world.run_to(230);
    assert_eq!(did(&mut world), ["opt out 0"]);
    assert!(world.nodes.runs(id(0)));
    world.run_to(400);
    assert_eq!(did(&mut world), ["stop 0"]);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    assert!(world.nodes.deleted.is_empty());

    // The key is still assigned: the provider would refuse to be given it again.
    world.set_policy(join);
    world.run_to(430);
    assert_eq!(did(&mut world), ["check 0", "opt in 0", "apply 0"]);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn the_node_stays_until_the_consumers_own_set_is_without_our_key() {
    let mut world = world_with(alice().spawning(at(200)));
    world.run_to(250);
    world.ask(Ask::OptOut(id(0), 0));
    let mut left = false;
    for seconds in 251..400 {
        world.run_to(seconds);
        let counts = world.chain.consumers[&id(0)].own_set.len() == 2;
        assert!(world.nodes.runs(id(0)) || !counts, "stopped at {seconds}");
        left |= world.status(0).stage == Stage::Leaving;
    }
    assert!(left);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    ends_well(&world);
}

#[test]
fn a_rule_that_turns_to_deny_leaves_after_launch() {
    let mut world = world_with(alice().spawning(at(300)));
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    world.set_policy(denying_alice());
    let alarm = &world.status(0).alarms[0];
    assert!(alarm.text.contains("cannot opt out before launch"));
    world.done();
    world.run_to(312);
    assert_eq!(
        did(&mut world),
        ["check 0", "opt out 0", "build genesis 0", "apply 0"]
    );
    assert!(world.nodes.runs(id(0)));
    world.run_to(450);
    assert_eq!(did(&mut world), ["stop 0"]);
    ends_well(&world);
}

#[test]
fn a_top_n_chain_gets_a_fresh_key_without_a_rule() {
    let mut record = Record::new("top-1", "nobody").spawning(at(300));
    record.top_n = 100;
    let mut world = world_with(record);
    assert_eq!(did(&mut world), ["prepare key 0", "assign key 0"]);
    let status = world.status(0);
    assert!(
        status.alarms[0]
            .text
            .contains("add a rule for consumer_id 0")
    );
    world.set_policy(ordering(0, Override::OptOut));
    world.run_to(320);
    assert!(!world.status(0).alarms.is_empty());
    assert_eq!(
        world.chain.consumers[&id(0)].assigned[&0],
        world.keys.of(id(0))[0]
    );
    ends_well(&world);
}

#[test]
fn a_set_with_our_provider_key_gets_a_keyless_node_until_it_has_another() {
    let mut world = launched_without_us();
    // Someone opts our validator in by hand, without a key.
    world.ask(Ask::OptIn(id(0), 0));
    world.run_to(107);
    assert_eq!(world.nodes.all[&id(0)].signer, NodeSigner::None);
    assert_eq!(world.nodes.specs[&id(0)].signer, Signer::None);
    world.run_to(250);
    let key = world.keys.of(id(0))[0];
    assert_ne!(key, provider_key(0));
    assert_eq!(world.nodes.all[&id(0)].signer, NodeSigner::Key(key));
    assert_eq!(world.status(0).alarms, []);
    ends_well(&world);
}

#[test]
fn a_node_that_was_stopped_by_hand_is_started_again() {
    let mut world = world_with(alice().spawning(at(200)));
    world.run_to(220);
    world.done();
    world.nodes.stop(id(0));
    world.run_to(235);
    assert_eq!(did(&mut world), ["apply 0"]);
    assert!(world.nodes.runs(id(0)));
    ends_well(&world);
}

#[test]
fn a_restart_finds_everything_as_it_was() {
    let mut world = world_with(alice().spawning(at(200)));
    world.run_to(220);
    let before = world.nodes.all.clone();
    world.done();
    world.crash();
    world.run_to(240);
    assert_eq!(did(&mut world), ["build genesis 0", "apply 0"]);
    assert_eq!(world.nodes.all, before);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn our_provider_key_is_given_to_no_node() {
    let mut record = alice().spawning(at(0));
    record.top_n = 100;
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    let Action::Apply { spec, .. } = world.run_until("apply 0") else {
        panic!("not an apply");
    };
    assert_eq!(spec.signer, Signer::None);
    world.run_to(200);
    let fresh = world.keys.of(id(0))[0];
    assert_eq!(world.nodes.all[&id(0)].signer, NodeSigner::Key(fresh));
    ends_well(&world);
}
