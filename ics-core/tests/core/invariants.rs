//! The invariants of the core, in worlds whose lives and faults are drawn by chance.
//!
//! I1 to I5, I8, I9, I10 and I12 are watched at every step of every world (`world/watch.rs`,
//! `world/nodes.rs`); I6, I7 and I11 are what is compared at its end. `PROPTEST_CASES` draws more
//! worlds or fewer.

use std::time::Duration;

use ics_core::phase::Phase;
use ics_core::status::Stage;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use crate::ends::ended_well;
use crate::story::{CALM, Story, steady_stories, stories};
use crate::world::World;
use crate::world::faults::Faults;

/// How many worlds are drawn where nobody says.
const CASES: u32 = 10_000;

/// Where nobody says, they are the same worlds each time, so that a change is judged by nothing but
/// itself. `make test-long` draws new ones.
const SEED: RngSeed = RngSeed::Fixed(7);

/// A story, and what goes wrong in it.
#[derive(Clone, Debug)]
enum Trial {
    /// No event ever arrives.
    Deaf(Story),
    /// The machine is thrown away and built anew, this often in a thousand steps.
    Crashing(Story, u64, u64),
    /// Anything goes wrong, by seed.
    Faulty(Story, Faults, u64),
}

fn trials() -> impl Strategy<Value = Trial> {
    let seed = any::<u64>().no_shrink();
    let crashing = (steady_stories(), 1..40_u64, seed);
    let seed = any::<u64>().no_shrink();
    let faulty = (stories(), faults(), seed);
    prop_oneof![
        1 => steady_stories().prop_map(Trial::Deaf),
        1 => crashing.prop_map(|(story, often, seed)| Trial::Crashing(story, often, seed)),
        3 => faulty.prop_map(|(story, faults, seed)| Trial::Faulty(story, faults, seed)),
    ]
}

/// Often (in thousandths), or never: what plays no part in a failure shrinks away.
fn often(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 2 => 0..=most]
}

prop_compose! {
    fn faults()(
        (events_lost, blocks_lost, silences, repeats) in
            (often(300), often(150), often(15), often(150)),
        (behind, transient, permanent, unknown) in
            (often(300), often(250), often(30), often(250)),
        (lost, doubled, slow) in (often(60), often(150), often(300)),
        (crashes, jumps) in (often(15), often(6)),
    ) -> Faults {
        Faults {
            last: Duration::from_secs(CALM),
            events_lost, blocks_lost, silences, repeats, behind, transient, permanent, unknown,
            lost, doubled, slow, crashes, jumps,
        }
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

fn passed(world: &World) -> Result<(), TestCaseError> {
    ended_well(world).map_err(TestCaseError::fail)
}

impl Trial {
    fn passes(&self) -> Result<(), TestCaseError> {
        let calm = |story: &Story| story.play(Faults::default(), 0, |_| ());
        match self {
            // I7: events change only how soon.
            Self::Deaf(story) => {
                let deaf = story.play(Faults::default(), 0, |world| world.deaf = true);
                passed(&deaf)?;
                prop_assert_eq!(outcome(&calm(story)), outcome(&deaf));
            }
            // I6: crashes change nothing.
            Self::Crashing(story, crashes, seed) => {
                let faults = Faults {
                    last: Duration::from_secs(CALM),
                    crashes: *crashes,
                    ..Faults::default()
                };
                let crashed = story.play(faults, *seed, |_| ());
                passed(&crashed)?;
                prop_assert_eq!(outcome(&calm(story)), outcome(&crashed));
            }
            Self::Faulty(story, faults, seed) => {
                passed(&story.play(faults.clone(), *seed, |_| ()))?;
            }
        }
        Ok(())
    }
}

/// As many worlds as `PROPTEST_CASES` says, or what is given.
#[expect(
    clippy::disallowed_methods,
    reason = "how many cases are drawn is no decision of the core"
)]
pub(crate) fn cases(otherwise: Config) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return Config::default();
    }
    otherwise
}

proptest! {
    #![proptest_config(cases(Config {
        cases: CASES,
        rng_seed: SEED,
        ..Config::default()
    }))]

    #[test]
    fn every_world_keeps_every_invariant(trial in trials()) {
        trial.passes()?;
    }
}
