//! Caps: how many consumers rules opt in to, and who is never held back.

use std::time::Duration;

use ics_core::phase::Phase;
use ics_core::policy::{Caps, OptInFrom, Override, Policy};
use ics_core::status::Stage;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::invariants::cases;
use crate::world::chain::{Ask, Record};
use crate::world::faults::Faults;
use crate::world::setup::{ordering, policy};
use crate::world::{World, at, id};

fn awaiting(cap: u32) -> Caps {
    Caps {
        awaiting: Some(cap),
        ..Caps::default()
    }
}

fn consumers(cap: u32) -> Caps {
    Caps {
        consumers: Some(cap),
        ..Caps::default()
    }
}

fn capped(caps: Caps) -> Policy {
    Policy { caps, ..policy() }
}

/// A world in which each of alice's consumers launches after so many seconds.
fn world(policy: Policy, spawns: &[u64]) -> World {
    let mut world = World::new(policy);
    for (number, spawn) in (0..).zip(spawns) {
        let chain_id = format!("alice-{}", number + 1);
        let record = Record::new(&chain_id, "alice").spawning(at(*spawn));
        world.ask(Ask::Create(id(number), record.into()));
    }
    world
}

fn stages<const N: usize>(world: &World) -> [Stage; N] {
    std::array::from_fn(|number| world.status(number as u64).stage)
}

#[track_caller]
fn is_held(world: &World, number: u64, by: &str) {
    let status = world.status(number);
    assert_eq!(status.stage, Stage::Watching, "{}", status.why);
    assert!(status.why.contains(by), "{}", status.why);
    assert!(!status.opted_in);
}

#[test]
fn who_is_held_back_opts_in_when_another_has_launched() {
    let mut world = world(capped(awaiting(1)), &[100, 300]);
    world.run_to(80);
    assert_eq!(world.status(0).stage, Stage::AwaitingLaunch);
    is_held(
        &world,
        1,
        "held back by max_awaiting = 1: 1 are opted in to and not launched",
    );
    is_held(&world, 1, "ics-monitor opt-in 1 stands above that");
    // Who has a place is not in its own way.
    let of_first = world
        .notices
        .iter()
        .filter(|n| n.consumer_id == Some(id(0)));
    let held = of_first.filter(|notice| notice.text.contains("by max_awaiting"));
    assert_eq!(held.count(), 0);
    world.run_to(140);
    assert_eq!(stages(&world), [Stage::Running, Stage::AwaitingLaunch]);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

#[test]
fn what_runs_takes_a_place_until_its_node_is_stopped() {
    let mut world = world(capped(consumers(1)), &[100, 400]);
    world.run_to(200);
    assert_eq!(world.status(0).stage, Stage::Running);
    is_held(
        &world,
        1,
        "by max_consumers = 1: 1 are run, 0 opted in to and not launched",
    );
    world.ask(Ask::Remove(id(0)));
    // Nothing happens to consumer 1, and its next reading would be minutes away.
    world.run_to(215);
    assert_eq!(stages(&world), [Stage::Stopped, Stage::AwaitingLaunch]);
}

#[test]
fn what_awaits_launch_counts_as_what_will_run() {
    let mut world = world(capped(consumers(2)), &[200, 200, 200]);
    world.run_to(80);
    let watching = (0..3).filter(|n| world.status(*n).stage == Stage::Watching);
    assert_eq!(watching.count(), 1);
    world.run_to(260);
    let launched_without_us = (0..3).filter(|n| world.status(*n).stage == Stage::Watching);
    assert_eq!(launched_without_us.count(), 1);
}

#[test]
fn a_cap_that_is_raised_lets_the_next_in() {
    let mut world = world(capped(awaiting(1)), &[300, 300]);
    world.run_to(60);
    is_held(&world, 1, "max_awaiting");
    world.set_policy(capped(awaiting(2)));
    world.run_to(75);
    assert_eq!(stages(&world), [Stage::AwaitingLaunch; 2]);
}

#[test]
fn orders_and_what_the_chain_forces_count_but_are_never_held_back() {
    let ordered = Policy {
        caps: awaiting(1),
        ..ordering(1, Override::OptIn)
    };
    let mut world = world(ordered, &[300]);
    world.run_to(40);
    let mut forced = Record::new("hub-1", "nobody").spawning(at(300));
    forced.top_n = 50;
    world.ask(Ask::Create(id(2), forced.into()));
    for number in [1, 3] {
        let another = Record::new("alice-9", "alice").spawning(at(300));
        world.ask(Ask::Create(id(number), another.into()));
    }
    world.run_to(80);
    assert_eq!(stages(&world), [Stage::AwaitingLaunch; 3]);
    is_held(&world, 3, "max_awaiting = 1: 3 are opted in");
}

#[test]
fn nothing_is_opted_in_to_before_all_that_there_is_has_been_counted() {
    let mut world = World::new(capped(awaiting(1)));
    let create = |world: &mut World, number, owner: &str| {
        let record = Record::new("chain-1", owner).spawning(at(300));
        world.ask(Ask::Create(id(number), record.into()));
    };
    create(&mut world, 0, "alice");
    for number in 1..600 {
        create(&mut world, number, "nobody");
    }
    // We opted in to the last one by hand; it is read last.
    world.ask(Ask::OptIn(id(599), 0));
    world.run_to(80);
    is_held(&world, 0, "max_awaiting = 1: 1 are opted in");
    assert!(!world.chain.opt_ins.contains_key(&id(0)));
}

#[test]
fn rules_that_opt_in_from_registration_on_wait_for_no_spawn_time() {
    let mut world = World::new(Policy {
        opt_in: OptInFrom::Registered,
        caps: awaiting(1),
        ..policy()
    });
    for (number, owner) in [(0, "mallory"), (1, "alice"), (2, "alice")] {
        world.ask(Ask::Create(id(number), Record::new("a-1", owner).into()));
    }
    world.run_to(60);
    assert_eq!(world.status(0).stage, Stage::Ignored);
    assert_eq!(world.status(1).stage, Stage::AwaitingLaunch);
    is_held(&world, 2, "max_awaiting = 1");
    world.ask(Ask::Spawn(id(1), Some(at(120))));
    // Far outside of the default time before spawn.
    world.ask(Ask::Spawn(id(2), Some(at(9000))));
    world.run_to(200);
    assert_eq!(world.status(1).stage, Stage::Running);
    assert_eq!(world.status(2).stage, Stage::AwaitingLaunch);
    assert_eq!(world.wrong(), Vec::<String>::new());
}

fn faults() -> Faults {
    Faults {
        last: Duration::from_secs(250),
        events_lost: 200,
        blocks_lost: 50,
        transient: 100,
        permanent: 20,
        unknown: 100,
        lost: 30,
        doubled: 30,
        slow: 100,
        ..Faults::default()
    }
}

/// The world of this seed never exceeds a cap of so many that await launch, and one more in all.
fn keeps_its_caps(faults: Faults, seed: u64, cap: u32) -> Result<(), TestCaseError> {
    let caps = Caps {
        consumers: Some(cap + 1),
        awaiting: Some(cap),
    };
    let mut world = World::with_faults(capped(caps), faults, seed);
    for number in 0..8 {
        let record = Record::new("alice-1", "alice").spawning(at(60 + 40 * (number % 5)));
        world.ask(Ask::Create(id(number), record.into()));
    }
    for second in (0..500).step_by(2) {
        world.run_to(second);
        let ours = world.chain.consumers.values().filter(|r| r.counts_on_us());
        let (awaiting, rest): (Vec<_>, Vec<_>) = ours.partition(|r| r.phase.is_prelaunch());
        let running = rest.iter().filter(|r| r.phase == Phase::Launched).count();
        prop_assert!(
            awaiting.len() <= cap as usize,
            "{} await launch at {second}",
            awaiting.len()
        );
        prop_assert!(
            awaiting.len() + running <= cap as usize + 1,
            "{running} run"
        );
    }
    prop_assert_eq!(world.wrong(), Vec::<String>::new());
    Ok(())
}

proptest! {
    #![proptest_config(cases(Config::with_cases(24)))]

    #[test]
    fn no_cap_is_ever_exceeded_by_rules(seed: u64, cap in 1..3_u32, silent: bool, late: bool) {
        let (silences, behind) = (20 * u64::from(silent), 100 * u64::from(late));
        keeps_its_caps(Faults { silences, behind, ..faults() }, seed, cap)?;
    }
}

#[test]
fn an_opt_in_of_unknown_fate_keeps_its_place_while_headers_stop() {
    // Two blocks are not shown, and the transaction is in the one after them.
    keeps_its_caps(faults(), 5_663_043_646_753_929_498, 1).expect("no cap is exceeded");
}
