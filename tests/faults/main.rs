//! Seeded runs of the real monitor against the embedded provider, with everything that can go wrong
//! going wrong, checked by an observer who does not ask the monitor.
//!
//! `FAULT_RUNS=10000` plays so many, `FAULT_SEED=7` plays one again.

mod counts;
mod dice;
mod kill;
mod lie;
mod lives;
mod network;
mod observer;
mod own_sets;
mod provider;
mod run;
mod seams;
mod sigkill;
mod story;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::counts::Counts;

/// How many seeds are played where nobody says.
const RUNS: u64 = 300;
/// How many are played at once: they mostly wait.
const AT_ONCE: usize = 30;

/// What goes wrong, each of which must.
const KINDS: [&str; 24] = [
    "a call that failed",
    "a call that never arrived",
    "a call to a node that is away",
    "a cancelled subscription",
    "a cut socket",
    "a death at a boundary",
    "a death at a broadcast",
    "a death at any time",
    "a deployer that could not look",
    "a deployer that did it and failed",
    "a deployer that failed for good",
    "a deployer that hung",
    "a deployer that refused",
    "a folder of artifacts that is gone",
    "a full disk",
    "a header that got lost",
    "a late answer",
    "a lie",
    "a node's data that were lost",
    "a restart of the provider",
    "an account without funds, then funded",
    "an answer of before",
    "an answer that got lost",
    "another client on the account",
];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: give a number")),
    )
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what one wants to see")]
fn whatever_goes_wrong_each_key_runs_once_none_is_lost_and_the_end_is_the_same() {
    // An action that panics is a failure of unknown effect to the monitor, and a defect to us.
    let panics = count_panics();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let seeds = match number("FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FAULT_RUNS").unwrap_or(RUNS),
    };
    let runs = seeds.end - seeds.start;
    let mut sum = BTreeMap::new();
    let failed = runtime.block_on(play(seeds, &mut sum));
    println!("{runs} runs in {:.0} s", began.elapsed().as_secs_f64());
    for (kind, count) in &sum {
        println!("{count:8} {kind}");
    }
    println!("10,000 runs: make faults");
    if runs >= RUNS {
        let missing: Vec<_> = KINDS
            .iter()
            .filter(|kind| !sum.contains_key(*kind))
            .collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed: see above");
    assert_eq!(panics.load(Ordering::Relaxed), 0, "panics: see above");
}

/// Counts all panics of this process from now on.
fn count_panics() -> Arc<AtomicUsize> {
    let count = Arc::<AtomicUsize>::default();
    let (counts, tell) = (Arc::clone(&count), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        counts.fetch_add(1, Ordering::Relaxed);
        tell(panic);
    }));
    count
}

/// Plays all of these seeds and sums up what went wrong. Returns those that failed.
#[expect(clippy::print_stdout, reason = "a failed run is told when it failed")]
async fn play(seeds: Range<u64>, sum: &mut BTreeMap<&'static str, u64>) -> Vec<u64> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for seed in seeds {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire_owned().await.expect("it is never closed");
            let counts = Arc::<Counts>::default();
            let wrong = run::run(seed, Arc::clone(&counts)).await;
            (seed, wrong, counts)
        });
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (seed, wrong, counts) = ended.expect("a run that ends");
        counts.add_to(sum);
        if wrong.is_empty() {
            continue;
        }
        println!(
            "seed {seed} failed; to play it again: FAULT_SEED={seed} cargo test -p ics-tests \
             --test faults -- --nocapture"
        );
        for text in wrong {
            println!("  {text}");
        }
        for (millis, kind) in counts.all() {
            println!("  {millis:6} ms: {kind}");
        }
        failed.push(seed);
    }
    failed.sort_unstable();
    failed
}
