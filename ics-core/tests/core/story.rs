//! Lives of consumers as owners, strangers and our operator decide them, drawn by chance.

use ics_core::key::PublicKey;
use ics_core::policy::{KeySource, Override, Policy};
use ics_core::snapshot::Decimal;
use proptest::prelude::*;

use crate::world::chain::{Ask, Record, provider_key};
use crate::world::faults::Faults;
use crate::world::setup::{denying_alice, keyed, policy};
use crate::world::{World, at, id};

/// When faults end, and when everything must have settled, in seconds after the start.
pub(crate) const CALM: u64 = 1500;
const END: u64 = CALM + 1200;

/// One consumer's life, in seconds after the start.
#[derive(Clone, Debug)]
pub(crate) struct Life {
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
    /// The owner takes the spawn time back and gives it again 30 s later.
    reset: bool,
    removed: Option<u64>,
    /// Opted out by our operator's own hand.
    left: Option<u64>,
    /// Our operator assigns another key by their own hand.
    rekeyed: Option<(u64, NewKey)>,
    /// Our operator's order to the monitor.
    order: Option<(u64, Override)>,
    /// Something that an opt-in depends on is not there: from when, and for how long.
    missing: Option<(u64, u64)>,
}

/// A key that our operator assigns.
#[derive(Clone, Copy, Debug)]
enum NewKey {
    /// That another instance holds.
    Foreign,
    /// That they put into our store.
    Held,
    /// Our provider key.
    Provider,
}

#[derive(Clone, Debug)]
pub(crate) struct Story {
    lives: Vec<Life>,
    /// When the operator's rules turn to deny.
    denied: Option<u64>,
    /// Whether the rules ask for our provider key, of which the store holds a copy for each.
    provider_key: bool,
}

/// Something that happens at a second of a story.
enum Turn {
    Ask(Ask),
    Assign(u64, NewKey),
    Deny,
    Order(u64, Override),
    Missing(u64, bool),
}

prop_compose! {
    fn lives()(
        owner in prop_oneof![4 => Just("alice"), 1 => Just("mallory"), 1 => Just("nobody")],
        (created, notice, spawn) in (10..200_u64, 60..500_u64, 600..1000_u64),
        alone in prop::bool::weighted(0.2),
        top_n in prop::bool::weighted(0.15),
        harsh in prop::bool::weighted(0.1),
        (moved, reset) in (prop::option::weighted(0.3, 20..200_u64), prop::bool::weighted(0.1)),
        removed in prop::option::weighted(0.4, 1010..1400_u64),
        left in prop::option::weighted(0.2, 1010..1400_u64),
        rekeyed in prop::option::weighted(0.25, (1010..1400_u64, new_keys())),
        order in prop::option::weighted(0.15, (10..1400_u64, orders())),
        missing in prop::option::weighted(0.15, (10..1000_u64, 10..400_u64)),
    ) -> Life {
        Life {
            owner, created, notice, spawn, alone, top_n, harsh, moved, reset, removed, left, rekeyed, order,
            missing,
        }
    }
}

fn new_keys() -> impl Strategy<Value = NewKey> {
    prop_oneof![
        2 => Just(NewKey::Held),
        1 => Just(NewKey::Foreign),
        1 => Just(NewKey::Provider)
    ]
}

fn orders() -> impl Strategy<Value = Override> {
    prop_oneof![Just(Override::OptIn), Just(Override::OptOut)]
}

pub(crate) fn stories() -> impl Strategy<Value = Story> {
    let lives = prop::collection::vec(lives(), 1..5);
    let denied = prop::option::weighted(0.15, 300..1300_u64);
    let provider_key = prop::bool::weighted(0.2);
    (lives, denied, provider_key).prop_map(|(lives, denied, provider_key)| Story {
        lives,
        denied,
        provider_key,
    })
}

/// Stories whose end does not hang on whether an opt-in or something else was first.
pub(crate) fn steady_stories() -> impl Strategy<Value = Story> {
    stories().prop_map(|mut story| {
        story.denied = None;
        // Of two with one chain id it signs for the one that was first.
        story.provider_key &= story.lives.len() == 1;
        for life in &mut story.lives {
            life.missing = None;
            // All launches are over by then, and no end comes before the new key has taken over.
            let ends = [life.removed, life.left];
            life.rekeyed = life.rekeyed.take().filter(|(when, _)| {
                let amid = |end: u64| (*when..*when + 200).contains(&end);
                *when > 1210 && !ends.into_iter().flatten().any(amid)
            });
            // Rules opt in 300 s before spawn at the earliest.
            life.order = life.order.take().filter(|(when, _)| *when < 250);
        }
        story
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

    fn turns(&self, number: u64) -> Vec<(u64, Turn)> {
        let consumer = id(number);
        let record = Box::new(self.record(number));
        let spawns = |when| Turn::Ask(Ask::Spawn(consumer, Some(at(when))));
        let mut turns = vec![
            (self.created, Turn::Ask(Ask::Create(consumer, record))),
            (self.spawn - self.notice, spawns(self.spawn)),
        ];
        let half = self.spawn - self.notice / 2;
        if self.reset {
            turns.push((half - 30, Turn::Ask(Ask::Spawn(consumer, None))));
            turns.push((half, spawns(self.spawn)));
        }
        if let Some(by) = self.moved {
            turns.push((half, spawns(self.spawn + by)));
        }
        let removes = |when| (when, Turn::Ask(Ask::Remove(consumer)));
        turns.extend(self.removed.map(removes));
        let leaves = |when| (when, Turn::Ask(Ask::OptOut(consumer, 0)));
        turns.extend(self.left.map(leaves));
        let rekeyed = self.rekeyed;
        turns.extend(rekeyed.map(|(when, key)| (when, Turn::Assign(number, key))));
        let order = self
            .order
            .map(|(when, order)| (when, Turn::Order(number, order)));
        turns.extend(order);
        if let Some((from, long)) = self.missing {
            turns.push((from, Turn::Missing(number, true)));
            turns.push((from + long, Turn::Missing(number, false)));
        }
        turns
    }
}

impl Story {
    /// Plays the story to its end.
    pub(crate) fn play(&self, faults: Faults, seed: u64, change: fn(&mut World)) -> World {
        let policy = if self.provider_key {
            keyed(KeySource::Provider)
        } else {
            policy()
        };
        let mut world = World::with_faults(policy, faults, seed);
        change(&mut world);
        if self.provider_key {
            for (number, _) in (0..).zip(&self.lives) {
                world.keys.bring(id(number), provider_key(0));
            }
        }
        let lives = (0..).zip(&self.lives);
        let mut turns: Vec<_> = lives.flat_map(|(n, life)| life.turns(n)).collect();
        turns.extend(self.denied.map(|when| (when, Turn::Deny)));
        turns.sort_by_key(|(when, _)| *when);
        for (when, turn) in turns {
            world.run_to(when);
            match turn {
                Turn::Ask(ask) => world.ask(ask),
                Turn::Assign(number, key) => {
                    let key = match key {
                        NewKey::Foreign => PublicKey::new([100; 32]),
                        NewKey::Held => world.keys.import(id(number)),
                        NewKey::Provider => provider_key(0),
                    };
                    world.ask(Ask::Assign(id(number), key));
                }
                Turn::Deny => {
                    let overrides = world.policy.overrides.clone();
                    world.set_policy(Policy {
                        overrides,
                        ..denying_alice()
                    });
                }
                Turn::Order(number, order) => {
                    let mut policy = world.policy.clone();
                    policy.overrides.insert(id(number), order);
                    world.set_policy(policy);
                }
                Turn::Missing(number, true) => {
                    world
                        .missing
                        .insert(id(number), "the image is missing".into());
                }
                Turn::Missing(number, false) => {
                    world.missing.remove(&id(number));
                }
            }
        }
        world.run_to(END);
        world
    }
}
