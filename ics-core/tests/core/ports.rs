//! The ports that all validators compute alike, whatever each of them runs.

use std::collections::{BTreeMap, BTreeSet};

use ics_core::id::{ChainId, ConsumerId};
use ics_core::policy::{Override, Policy};
use ics_core::ports::{Claim, Offset, Ports, allocate};
use ics_core::status::Stage;
use ics_core::time::Height;
use proptest::prelude::*;

use crate::world::chain::{Ask, Record};
use crate::world::setup::policy;
use crate::world::{World, at, id};

/// A consumer: when it launched, if that is known, and its chain id.
type Launch = (Option<u64>, ChainId);

fn chain_id(text: &str) -> ChainId {
    ChainId::new(text).expect("a chain id")
}

fn claims(launches: &[Launch]) -> Vec<Claim<'_>> {
    (0..)
        .zip(launches)
        .map(|(number, (launched, chain_id))| Claim {
            launched: launched.map(Height),
            consumer_id: ConsumerId::new(number),
            chain_id,
        })
        .collect()
}

fn all(ports: &Ports) -> [u16; 5] {
    [ports.p2p, ports.rpc, ports.grpc, ports.grpc_web, ports.rest]
}

/// Chain ids of which many share an offset, or have ones 66 apart.
fn colliding() -> Vec<ChainId> {
    let ids = (0..60_000).map(|number| chain_id(&format!("c{number}-1")));
    let near = |id: &ChainId| {
        matches!(
            Offset::of(id).ports().p2p,
            26_756 | 26_766 | 27_416 | 28_076
        )
    };
    ids.filter(near).take(60).collect()
}

fn launches(most: usize) -> impl Strategy<Value = Vec<Launch>> {
    let any_id = "[a-zA-Z/ é]{1,8}-1".prop_map(|text| chain_id(&text));
    let chain_id = prop_oneof![any_id, prop::sample::select(colliding())];
    let launched = prop::option::weighted(0.9, 1..40_u64);
    prop::collection::vec((launched, chain_id), 0..most)
}

proptest! {
    #[test]
    fn no_two_consumers_share_a_port_and_the_earlier_keeps_the_published_one(
        launches in launches(80),
    ) {
        let ports = allocate(claims(&launches));
        let used: Vec<_> = ports.values().flat_map(all).collect();
        prop_assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len());
        let first = claims(&launches);
        let first = first.iter().filter(|claim| claim.launched.is_some());
        if let Some(first) = first.min_by_key(|claim| (claim.launched, claim.consumer_id)) {
            let published = Offset::of(first.chain_id).ports();
            prop_assert_eq!(ports[&first.consumer_id], published);
        }
    }

    #[test]
    fn a_later_launch_moves_no_earlier_one(launches in launches(60), at in 1..40_u64) {
        let known: Vec<_> = launches.into_iter().filter(|(at, _)| at.is_some()).collect();
        let before: Vec<_> = claims(&known).into_iter().filter(|it| it.launched < Some(Height(at))).collect();
        let (before, after) = (allocate(before), allocate(claims(&known)));
        for (id, ports) in before {
            prop_assert_eq!(after[&id], ports);
        }
    }

    #[test]
    fn the_order_in_which_they_are_found_plays_no_part(
        launches in launches(60),
        shuffled in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let ports = allocate(claims(&launches));
        let claims = claims(&launches);
        let other_order = shuffled.into_iter().filter_map(|index| claims.get(index).copied());
        prop_assert_eq!(allocate(other_order), ports);
    }
}

#[test]
fn a_thousand_have_their_own_ports_and_those_beyond_share_the_published_ones() {
    // All begin at one offset: the longest search.
    let launches: Vec<_> = (1..=1200)
        .map(|height| (Some(height), chain_id("x-1")))
        .collect();
    let ports = allocate(claims(&launches));
    let (first, beyond): (Vec<_>, Vec<_>) = ports.iter().partition(|(id, _)| id.number() < 1000);
    let used: BTreeSet<_> = first.iter().flat_map(|(_, ports)| all(ports)).collect();
    assert_eq!(used.len(), 5000);
    let published = Offset::of(&chain_id("x-1")).ports();
    assert_eq!(beyond.len(), 200);
    assert!(beyond.iter().all(|(_, ports)| **ports == published));
}

#[test]
fn no_port_is_above_those_that_the_readme_names() {
    let ids = (0..20_000).map(|number| chain_id(&format!("c{number}-1")));
    let launches: Vec<_> = (1..).map(Some).zip(ids).collect();
    let ports = allocate(claims(&launches));
    let mut high = ports.values().flat_map(all).filter(|port| *port > 20_000);
    assert!(high.all(|port| (26_756..=37_409).contains(&port)));
}

/// The rules of a validator that runs only these consumers.
fn running(ours: &BTreeSet<u64>) -> Policy {
    Policy {
        rules: policy().rules,
        overrides: (0..12)
            .map(|number| match ours.contains(&number) {
                true => (id(number), Override::OptIn),
                false => (id(number), Override::OptOut),
            })
            .collect(),
        ..policy()
    }
}

/// The ports of the nodes of a validator that runs only these, started anew at this second.
fn nodes(
    ours: &BTreeSet<u64>,
    launches: &[(u64, ChainId, bool)],
    crash: u64,
) -> BTreeMap<ConsumerId, Ports> {
    let mut world = World::new(running(ours));
    for (number, (spawn, chain_id, reuses)) in (0..).zip(launches) {
        let mut record = Record::new(chain_id.as_str(), "alice").spawning(at(*spawn));
        if *reuses {
            record.connection_id = "connection-0".into();
        }
        world.ask(Ask::Create(id(number), Box::new(record)));
    }
    world.run_to(crash);
    world.crash();
    world.run_to(320);
    assert_eq!(world.wrong(), Vec::<String>::new());
    let runs = |(id, _): &(&ConsumerId, _)| world.nodes.runs(**id);
    let specs = world.nodes.specs.iter().filter(runs);
    specs.map(|(id, spec)| (*id, spec.ports)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn validators_that_run_different_consumers_agree_on_those_that_both_run(
        launches in prop::collection::vec(
            (20..250_u64, prop::sample::select(colliding()), prop::bool::weighted(0.1)),
            2..12,
        ),
        one in prop::collection::btree_set(0..12_u64, 0..12),
        other in prop::collection::btree_set(0..12_u64, 0..12),
        (first, second) in (10..300_u64, 10..300_u64),
    ) {
        let one = nodes(&one, &launches, first);
        let other = nodes(&other, &launches, second);
        for (id, ports) in &one {
            if let Some(others) = other.get(id) {
                prop_assert_eq!(ports, others, "consumer {}", id);
            }
        }
    }
}

#[test]
fn one_whose_published_port_is_ours_already_is_opted_in_to_at_the_next() {
    let mut world = World::new(policy());
    world.ask(Ask::Create(
        id(0),
        Box::new(Record::new("x-1", "alice").spawning(at(50))),
    ));
    world.run_to(100);
    world.ask(Ask::Create(
        id(1),
        Box::new(Record::new("x-1", "alice").spawning(at(200))),
    ));
    world.run_to(150);
    assert_eq!(
        world.status(1).stage,
        Stage::AwaitingLaunch,
        "{}",
        world.status(1).why
    );
    world.run_to(220);
    let [first, second] = [0, 1].map(|number| world.nodes.specs[&id(number)].ports);
    assert_eq!(second.p2p, first.p2p + 10);
    assert!(world.nodes.runs(id(0)) && world.nodes.runs(id(1)));
    assert_eq!(world.wrong(), Vec::<String>::new());
}
