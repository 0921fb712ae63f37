//! Every way a consumer changes on the provider, or we do, as our side sees it in snapshots.

use ics_core::phase::Phase;
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record};
use crate::world::setup::{ordering, policy};
use crate::world::{World, at, id};

/// A consumer that our rules allow, created a minute ago.
fn world_with(record: Record) -> World {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    world
}

fn alice() -> Record {
    Record::new("alice-1", "alice")
}

fn ends_well(world: &World) {
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[track_caller]
fn alarms(world: &World, words: &str) {
    let alarms = world.status(0).alarms;
    let told = alarms.iter().any(|alarm| alarm.text.contains(words));
    assert!(told, "no alarm says {words:?}: {alarms:?}");
}

#[test]
fn a_jailed_validator_is_opted_in_to_nothing_by_rule_until_it_is_bonded_again() {
    let mut world = World::new(policy());
    world.ask(Ask::Jail(0, true));
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(300)))));
    world.run_to(100);
    let status = world.status(0);
    assert_eq!(status.stage, Stage::Watching);
    assert!(status.why.contains("jailed"), "{}", status.why);
    assert!(!status.opted_in);
    // Nothing tells of the unjailing: it is found out in time all the same.
    world.ask(Ask::Jail(0, false));
    world.run_to(150);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    world.run_to(320);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn an_order_opts_in_a_jailed_validator_with_a_warning() {
    let mut world = World::new(ordering(0, ics_core::policy::Override::OptIn));
    world.ask(Ask::Jail(0, true));
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(300)))));
    world.run_to(100);
    assert!(world.status(0).opted_in);
    alarms(&world, "jailed");
    world.ask(Ask::Jail(0, false));
    world.run_to(320);
    assert_eq!(world.status(0).stage, Stage::Running);
    assert_eq!(world.status(0).alarms, []);
    ends_well(&world);
}

#[test]
fn a_validator_jailed_after_launch_keeps_its_node_and_comes_back() {
    let mut world = world_with(alice().spawning(at(200)));
    world.run_to(220);
    world.ask(Ask::Jail(0, true));
    world.run_to(400);
    // The next epoch has dropped us; the opt-in stands.
    assert_eq!(world.chain.consumers[&id(0)].own_set.len(), 1);
    assert!(world.nodes.runs(id(0)));
    assert_eq!(world.status(0).stage, Stage::Running);
    alarms(&world, "jailed");
    world.ask(Ask::Jail(0, false));
    world.run_to(600);
    assert_eq!(world.chain.consumers[&id(0)].own_set.len(), 2);
    assert_eq!(world.status(0).alarms, []);
    ends_well(&world);
}

#[test]
fn a_consumer_whose_denylist_names_us_is_not_opted_in_to() {
    let mut record = alice().spawning(at(200));
    record.denied.insert(0);
    let mut world = world_with(record);
    let status = world.status(0);
    assert!(status.why.contains("denylist"), "{}", status.why);
    assert!(!status.opted_in);
    world.ask(Ask::Update(id(0), |record| record.denied.clear()));
    world.run_to(220);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn one_put_on_the_denylist_after_its_opt_in_is_told_and_keeps_its_node() {
    let mut world = world_with(alice().spawning(at(200)));
    world.ask(Ask::Update(id(0), |record| {
        record.denied.insert(0);
    }));
    world.run_to(70);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    alarms(&world, "denylist");
    // We are opted in, so the next epoch may count on us.
    world.run_to(320);
    assert!(world.nodes.runs(id(0)));
    assert_eq!(world.status(0).stage, Stage::Running);
    let why = world.status(0).why;
    assert!(why.contains("without us"), "{why}");
    ends_well(&world);
}

#[test]
fn an_owner_whom_no_rule_allows_is_left_after_launch() {
    let mut world = world_with(alice().spawning(at(200)));
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    world.ask(Ask::Update(id(0), |record| record.owner = "mallory".into()));
    world.run_to(80);
    alarms(&world, "cannot opt out before launch");
    world.run_to(500);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    ends_well(&world);
}

#[test]
fn a_stop_without_an_event_is_noticed_within_an_epoch() {
    let mut world = world_with(alice().spawning(at(200)));
    world.run_to(220);
    assert_eq!(world.status(0).stage, Stage::Running);
    world.deaf = true;
    world.ask(Ask::Remove(id(0)));
    world.run_to(280);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    assert_eq!(world.status(0).phase, Some(Phase::Stopped));
    ends_well(&world);
}
