//! Launches out of the ordinary: many at once, without an event, under one name, without an opt-in.

use ics_core::action::Level;
use ics_core::deploy::NodeSigner;
use ics_core::phase::Phase;
use ics_core::status::Stage;

use crate::world::chain::{Ask, Record};
use crate::world::setup::{denying_alice, policy};
use crate::world::{World, at, id, short};

fn alice() -> Record {
    Record::new("alice-1", "alice")
}

fn ends_well(world: &World) {
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn the_201st_of_one_block_launches_in_the_next_as_predicted_and_without_an_alarm() {
    let mut world = World::new(policy());
    for number in 0..200 {
        let record = Record::new("x-1", "nobody").spawning(at(300));
        world.ask(Ask::Create(id(number), Box::new(record)));
    }
    world.ask(Ask::Create(id(200), Box::new(alice().spawning(at(300)))));
    world.run_to(290);
    let prediction = world.status(200).prediction.expect("a spawn time");
    assert_eq!(prediction.blocks_late, 1);
    let told = prediction.to_string();
    assert!(told.contains("about 1 blocks late"), "{told}");
    let first = world.status(199).prediction.expect("a spawn time");
    assert_eq!(first.blocks_late, 0);

    // The block of 305 is the first whose time is not before 300.
    world.run_to(309);
    assert_eq!(world.status(199).phase, Some(Phase::Launched));
    let status = world.status(200);
    assert_eq!(status.phase, Some(Phase::Initialized));
    assert_eq!(
        (status.stage, status.alarms),
        (Stage::AwaitingLaunch, vec![])
    );
    world.run_to(311);
    let status = world.status(200);
    assert_eq!((status.stage, status.alarms), (Stage::Running, vec![]));
    assert_eq!(status.prediction, None);
    ends_well(&world);
}

#[test]
fn a_launch_over_a_reused_connection_has_no_event_and_is_run_in_the_same_block() {
    let mut record = alice().spawning(at(200));
    record.connection_id = "connection-0".into();
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(60);
    // No rule opts in to a changeover; the operator did so by hand.
    assert_eq!(world.status(0).stage, Stage::Watching);
    world.ask(Ask::OptIn(id(0), 0));
    world.run_to(200);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    world.run_to(206);
    let status = world.status(0);
    assert_eq!(
        (status.phase, status.stage),
        (Some(Phase::Launched), Stage::Running)
    );
    // Nothing on chain tells the height of such a launch.
    assert_eq!(status.launched_at, None);
    world.crash();
    world.run_to(230);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn two_of_ours_with_one_chain_id_are_told_of_by_both_ids_and_kept_apart() {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(200)))));
    world.ask(Ask::Create(id(1), Box::new(alice().spawning(at(200)))));
    let stranger = Record::new("alice-1", "nobody").spawning(at(200));
    world.ask(Ask::Create(id(2), Box::new(stranger)));
    world.run_to(300);
    for number in [0, 1] {
        let [alarm] = &world.status(number).alarms[..] else {
            panic!("{:?}", world.status(number).alarms);
        };
        let text = "consumers 0 and 1 have the same chain id, alice-1";
        assert!(alarm.text.starts_with(text), "{}", alarm.text);
    }
    // One that we have no part in is no matter.
    assert_eq!(world.status(2).alarms, []);
    let [first, second] = [0, 1].map(|number| &world.nodes.all[&id(number)]);
    assert_ne!(first.signer, second.signer);
    assert_ne!(first.p2p_port, second.p2p_port);
    assert!(world.nodes.runs(id(0)) && world.nodes.runs(id(1)));

    world.ask(Ask::Remove(id(1)));
    world.run_to(400);
    assert_eq!(world.status(0).alarms, []);
    ends_well(&world);
}

#[test]
fn one_renamed_to_the_chain_id_of_another_before_launch_is_told_of() {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(200)))));
    let other = Record::new("other-1", "alice").spawning(at(250));
    world.ask(Ask::Create(id(1), Box::new(other)));
    world.run_to(60);
    assert_eq!(world.status(1).alarms, []);
    world.ask(Ask::Update(id(1), |record| {
        record.chain_id = "alice-1".into()
    }));
    world.run_to(70);
    assert!(world.status(1).alarms[0].text.contains("consumers 0 and 1"));
    ends_well(&world);
}

#[test]
fn a_top_n_chain_is_validated_without_an_opt_in_and_cannot_be_left() {
    let mut record = alice().spawning(at(200));
    record.top_n = 100;
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(206);
    let status = world.status(0);
    assert_eq!((status.stage, status.alarms), (Stage::Running, vec![]));
    assert!(world.chain.opt_ins.is_empty());
    let key = world.keys.of(id(0))[0];
    assert_eq!(world.nodes.all[&id(0)].signer, NodeSigner::Key(key));
    // The provider refuses to let us go.
    world.ask(Ask::OptOut(id(0), 0));
    world.run_to(400);
    assert_eq!(world.status(0).stage, Stage::Running);
    ends_well(&world);
}

#[test]
fn an_opt_out_that_the_top_n_forbids_is_sent_again_only_when_the_powers_have_changed() {
    let mut record = alice().spawning(at(100));
    record.top_n = 100;
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(record)));
    world.run_to(200);
    world.set_policy(denying_alice());
    let opt_outs = |world: &mut World| {
        let done = world.done();
        done.iter().filter(|it| short(it) == "opt out 0").count()
    };
    world.run_to(900);
    assert_eq!(opt_outs(&mut world), 1);
    let status = world.status(0);
    let told = &status.alarms[0];
    assert_eq!(told.level, Level::Critical);
    let words = "our validator is among the top 100% and cannot opt out";
    assert!(told.text.contains(words), "{told:?}");
    assert_eq!(status.stage, Stage::Running);
    // Another validator is jailed, and returns.
    for jailed in [true, false] {
        world.ask(Ask::Jail(2, jailed));
        world.run_to(if jailed { 1200 } else { 1500 });
        assert_eq!(opt_outs(&mut world), 1);
    }
    world.ask(Ask::Update(id(0), |record| record.top_n = 0));
    world.run_to(1900);
    assert_eq!(opt_outs(&mut world), 1);
    assert_eq!(world.status(0).stage, Stage::Stopped);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn a_validator_that_loses_its_bond_keeps_its_nodes_and_opts_in_to_nothing_new() {
    let mut world = World::new(policy());
    world.ask(Ask::Create(id(0), Box::new(alice().spawning(at(200)))));
    world.run_to(220);
    world.ask(Ask::Bond(0, false));
    world.ask(Ask::Create(
        id(1),
        Box::new(Record::new("b-1", "alice").spawning(at(400))),
    ));
    world.run_to(390);
    assert!(world.nodes.runs(id(0)));
    assert_eq!(world.status(0).stage, Stage::Running);
    assert!(world.status(0).alarms[0].text.contains("not bonded"));
    let why = world.status(1).why;
    assert!(why.contains("not bonded"), "{why}");
    assert!(!world.status(1).opted_in);
    world.ask(Ask::Spawn(id(1), Some(at(600))));
    world.ask(Ask::Bond(0, true));
    world.run_to(620);
    assert_eq!(
        [0, 1].map(|number| world.status(number).stage),
        [Stage::Running; 2]
    );
    assert_eq!(world.status(0).alarms, []);
    ends_well(&world);
}

#[test]
fn peers_that_are_broken_or_all_the_same_keep_no_node_from_being_deployed() {
    for (details, peers) in [
        ("", 0),
        ("p2p=$(reboot)", 0),
        ("p2p=a.example p2p=b.example", 0),
        ("p2p.0=:0 p2p=a.example", 0),
        // One name, one host: one node id, which is dialled once.
        ("p2p=a.example", 1),
        ("p2p=1111111111111111111111111111111111111111@a.example", 1),
    ] {
        let mut record = alice().spawning(at(100));
        record.details = Some(details);
        record.opted_in.insert(2);
        let mut world = World::new(policy());
        world.ask(Ask::Create(id(0), Box::new(record)));
        world.run_to(120);
        assert_eq!(world.status(0).stage, Stage::Running, "{details}");
        assert_eq!(
            world.nodes.specs[&id(0)].persistent_peers.len(),
            peers,
            "{details}"
        );
        let alarms = world.status(0).alarms;
        assert!(
            alarms.iter().any(|alarm| alarm.text.contains("no peer")),
            "{alarms:?}"
        );
        ends_well(&world);
    }
}
