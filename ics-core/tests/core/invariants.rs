//! The invariants of the core, on lives and faults that are drawn by chance.
//!
//! I2, I3, I4, I5, I8, I9, I10 and I12 are watched at every step of every world (`world/watch.rs`,
//! `world/nodes.rs`); here the worlds are drawn, and what must hold at their end is compared.

use std::time::Duration;

use ics_core::action::{Action, Level};
use ics_core::deploy::NodeState;
use ics_core::machine::Machine;
use ics_core::phase::Phase;
use ics_core::policy::Policy;
use ics_core::snapshot::Decimal;
use ics_core::status::{ConsumerStatus, Stage};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::world::chain::{Ask, Record, local};
use crate::world::faults::Faults;
use crate::world::setup::{denying_alice, policy};
use crate::world::{World, at, id};

/// When faults end, and when everything must have settled.
const CALM: u64 = 1500;
const END: u64 = CALM + 1200;

/// One consumer's life as its owner and the operator decide it, in seconds after the start.
#[derive(Clone, Debug)]
struct Life {
    owner: &'static str,
    created: u64,
    /// How long before spawn it is given its spawn time.
    notice: u64,
    spawn: u64,
    /// Nobody else opts in, so that it fails to launch unless we do.
    alone: bool,
    top_n: bool,
    harsh: bool,
    moved: Option<u64>,
    removed: Option<u64>,
    /// Opted out by our operator's own hand.
    left: Option<u64>,
}

#[derive(Clone, Debug)]
struct Story {
    lives: Vec<Life>,
    /// When the operator's rules turn to deny.
    denied: Option<u64>,
    seed: u64,
}

fn lives() -> impl Strategy<Value = Life> {
    let owners = prop_oneof![
        4 => Just("alice"),
        1 => Just("mallory"),
        1 => Just("nobody"),
    ];
    let times = (10..200_u64, 60..500_u64, 600..1000_u64);
    let flags = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
    );
    let ends = (
        prop::option::weighted(0.3, 20..200_u64),
        prop::option::weighted(0.4, 1010..1400_u64),
        prop::option::weighted(0.2, 1010..1400_u64),
    );
    (owners, times, flags, ends).prop_map(|(owner, times, flags, ends)| Life {
        owner,
        created: times.0,
        notice: times.1,
        spawn: times.2,
        alone: flags.0,
        top_n: flags.1,
        harsh: flags.2,
        moved: ends.0,
        removed: ends.1,
        left: ends.2,
    })
}

/// Stories whose end does not hang on whether an opt-in or a denial was first.
fn steady_stories() -> impl Strategy<Value = Story> {
    stories().prop_map(|story| Story {
        denied: None,
        ..story
    })
}

fn stories() -> impl Strategy<Value = Story> {
    let lives = prop::collection::vec(lives(), 1..5);
    let denied = prop::option::weighted(0.15, 300..1300_u64);
    (lives, denied, any::<u64>()).prop_map(|(lives, denied, seed)| Story {
        lives,
        denied,
        seed,
    })
}

impl Life {
    fn record(&self, number: u64) -> Record {
        // Every second one takes the chain id of the one before.
        let mut record = Record::new(&format!("chain-{}", number / 2 + 1), self.owner);
        if self.alone {
            record.opted_in.clear();
        }
        if self.top_n {
            record.top_n = 100;
        }
        if self.harsh {
            record.downtime_slash = Decimal::ONE;
        }
        record
    }

    fn asks(&self, number: u64) -> Vec<(u64, Ask)> {
        let consumer = id(number);
        let record = Box::new(self.record(number));
        let mut asks = vec![
            (self.created, Ask::Create(consumer, record)),
            (
                self.spawn - self.notice,
                Ask::Spawn(consumer, Some(at(self.spawn))),
            ),
        ];
        if let Some(by) = self.moved {
            let when = self.spawn - self.notice / 2;
            let spawn = at(self.spawn + by);
            asks.push((when, Ask::Spawn(consumer, Some(spawn))));
        }
        asks.extend(self.removed.map(|when| (when, Ask::Remove(consumer))));
        asks.extend(self.left.map(|when| (when, Ask::OptOut(consumer, 0))));
        asks
    }
}

impl Story {
    /// Plays the story to its end.
    fn play(&self, faults: Faults, change: fn(&mut World)) -> World {
        let mut world = World::with_faults(policy(), faults, self.seed);
        change(&mut world);
        let mut asks: Vec<_> = (0..)
            .zip(&self.lives)
            .flat_map(|(n, l)| l.asks(n))
            .collect();
        asks.sort_by_key(|(when, _)| *when);
        let mut denied = self.denied;
        for (when, ask) in asks {
            if let Some(at) = denied.filter(|at| *at <= when) {
                world.run_to(at);
                world.set_policy(denying_alice());
                denied = None;
            }
            world.run_to(when);
            world.ask(ask);
        }
        if let Some(at) = denied {
            world.run_to(at);
            world.set_policy(denying_alice());
        }
        world.run_to(END);
        world
    }
}

/// What the world is like at the end, without what only timing decides.
fn outcome(world: &World) -> Vec<String> {
    let consumers = world.chain.consumers.iter();
    let told = consumers.map(|(id, record)| {
        let status = world.machine.consumers().find(|c| c.consumer_id == *id);
        // What was deleted before a restart is never read again.
        let stage = match status.map(|status| status.stage) {
            None if record.phase == Phase::Deleted => Some(Stage::Deleted),
            stage => stage,
        };
        let node = world.nodes.all.get(id);
        let node = node.map(|node| (&node.state, &node.signer));
        let ours = record.opted_in.contains(&0);
        format!("{id}: {} {ours} {stage:?} {node:?}", record.phase)
    });
    told.collect()
}

/// Whether our stage is one that fits the provider's phase and our part in it.
fn fits(world: &World, status: &ConsumerStatus, record: &Record) -> bool {
    let runs = world.nodes.runs(status.consumer_id);
    let critical = status.alarms.iter().any(|a| a.level == Level::Critical);
    let takes_part = record.opted_in.contains(&0) || record.top_n > 0;
    match record.phase {
        Phase::Registered | Phase::Initialized if takes_part => {
            status.stage == Stage::AwaitingLaunch
        }
        Phase::Registered | Phase::Initialized => {
            matches!(status.stage, Stage::Ignored | Stage::Watching)
        }
        // I11: our key in the set means a node, or someone is told what to do.
        Phase::Launched if record.counts_on_us() => {
            (runs && status.stage == Stage::Running) || critical
        }
        Phase::Launched => {
            !runs
                && matches!(
                    status.stage,
                    Stage::Ignored | Stage::Watching | Stage::Stopped
                )
        }
        Phase::Stopped => !runs && status.stage == Stage::Stopped,
        Phase::Deleted => {
            status.stage == Stage::Deleted && !world.nodes.all.contains_key(&status.consumer_id)
        }
    }
}

/// What must hold at the end of every story. I7: faults are over, so stage matches phase.
#[track_caller]
fn ended_well(world: &World) -> Result<(), TestCaseError> {
    prop_assert_eq!(world.wrong(), Vec::<String>::new());
    for (id, record) in &world.chain.consumers {
        let status = world.machine.consumers().find(|c| c.consumer_id == *id);
        if status.is_none() && record.phase == Phase::Deleted {
            prop_assert!(!world.nodes.all.contains_key(id));
            continue;
        }
        let status = status.expect("every consumer is found");
        prop_assert!(fits(world, &status, record), "{status:#?}\n{record:#?}");
    }
    Ok(())
}

/// Plays the same inputs into a new machine.
fn replay(world: &World, policy: &Policy) -> Vec<Vec<Action>> {
    let mut machine = Machine::new(local(), policy.clone());
    let inputs = world.inputs.iter();
    inputs
        .map(|(now, input)| machine.step(*now, input.clone()))
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many cases are drawn is no decision of the core"
)]
fn config(share: u32) -> Config {
    let default = Config::default();
    // PROPTEST_CASES asks for that many of each; without it each has a share of the time.
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if asked { default.cases } else { share };
    Config { cases, ..default }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn calm_worlds_end_well(story in stories()) {
        let world = story.play(Faults::default(), |_| ());
        ended_well(&world)?;
        // I1: the same inputs give the same actions.
        let first = replay(&world, &policy());
        prop_assert_eq!(first, replay(&world, &policy()));
    }

    #[test]
    fn events_change_only_how_soon(story in steady_stories()) {
        let heard = story.play(Faults::default(), |_| ());
        let deaf = story.play(Faults::default(), |world| world.deaf = true);
        ended_well(&deaf)?;
        prop_assert_eq!(outcome(&heard), outcome(&deaf));
    }

    #[test]
    fn crashes_change_nothing(story in steady_stories()) {
        let whole = story.play(Faults::default(), |_| ());
        let last = Duration::from_secs(CALM);
        let faults = Faults { last, crashes: 10, ..Faults::default() };
        let crashed = story.play(faults, |_| ());
        ended_well(&crashed)?;
        prop_assert_eq!(outcome(&whole), outcome(&crashed));
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn after_all_faults_stages_match_phases(story in stories()) {
        let world = story.play(Faults::all(Duration::from_secs(CALM)), |_| ());
        ended_well(&world)?;
        for node in world.nodes.all.values() {
            prop_assert!(!matches!(node.state, NodeState::Failing(_)));
        }
    }
}
