//! How soon after its header the monitor knows of a launch, a failed launch, a stop and a deletion.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "embedded/mod.rs"]
mod embedded;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ics_core::id::ChainId;
use ics_core::node::{Moniker, NodeSettings};
use ics_core::phase::Phase;
use ics_core::policy::Policy;
use ics_core::snapshot::LocalValidator;
use ics_fixtures::cast::Cast;
use ics_fixtures::chain::Params;
use ics_fixtures::local::{InProcess, LocalDeployer, LocalSettings};
use ics_monitor::artifacts::FileArtifacts;
use ics_monitor::effects::Backends;
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::monitor::{Monitor, Statuses};
use ics_monitor::provider::Provider;
use ics_monitor::rpc::Rpc;
use tokio::sync::watch;

use crate::embedded::{Embedded, now};

/// How many consumers launch, and as many fail to.
const CONSUMERS: u64 = 100;
/// How often a block is made.
const BLOCK: Duration = Duration::from_millis(200);
/// How long after its stop a consumer is deleted.
const UNBONDING: Duration = Duration::from_secs(5);
/// How many are created in one block.
const AT_ONCE: u64 = 1000;

/// When each consumer came into each phase, on chain or in what the monitor shows.
type Moments = Arc<Mutex<BTreeMap<(u64, Phase), Instant>>>;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let params = Params {
        unbonding: UNBONDING,
        ..Params::default()
    };
    let mut embedded = Embedded::start(params).await;
    // Those with an even number have a validator, the others have none and fail to launch.
    let first = now() + Duration::from_secs(8);
    let spawn = |number| first + BLOCK * u32::try_from(number / 2).expect("few");
    let creates = (0..2 * CONSUMERS).map(|number| embedded.create(number, Some(spawn(number))));
    embedded.send("owner", creates.collect()).await;
    let joins = (0..CONSUMERS).map(|number| embedded.opt_in("bob", 2 * number));
    embedded.send("bob", joins.collect()).await;

    let (real, seen) = (Moments::default(), Moments::default());
    let monitor = monitor(&embedded).await;
    tokio::spawn(watch(monitor.statuses(), Arc::clone(&seen)));
    let monitor = tokio::spawn(monitor.run(std::future::pending()));
    let mut known = BTreeMap::new();
    let chain = Arc::clone(&embedded.node);
    let changes = Arc::clone(&real);
    embedded.pace(BLOCK, move |_, told| {
        for (id, phase) in chain.with(|chain| chain.state().consumers()) {
            let id: u64 = id.parse().expect("a number");
            if known.insert(id, phase) != Some(phase) {
                let mut changes = changes.lock().expect("no panic holds it");
                changes.entry((id, phase)).or_insert(told);
            }
        }
    });
    let mut stopped = 0;
    while stopped < CONSUMERS {
        let next = 2 * stopped;
        if embedded
            .node
            .with(|chain| chain.state().phase(&next.to_string()))
            == Some(Phase::Launched)
        {
            embedded.send("owner", vec![embedded.remove(next)]).await;
            stopped += 1;
        } else {
            tokio::time::sleep(BLOCK).await;
        }
    }
    while embedded.count(Phase::Deleted) < CONSUMERS as usize {
        tokio::time::sleep(BLOCK).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (real_now, seen_now) = (
        real.lock().expect("held by nobody").clone(),
        seen.lock().expect("held by nobody").clone(),
    );
    let kinds = [
        ("a launch", Phase::Launched),
        ("a failed launch", Phase::Registered),
        ("a stop", Phase::Stopped),
        ("a deletion", Phase::Deleted),
    ];
    for (what, phase) in kinds {
        let mut latencies: Vec<Duration> = real_now
            .iter()
            .filter(|((_, it), _)| *it == phase)
            .filter_map(|(key, real)| Some(seen_now.get(key)?.saturating_duration_since(*real)))
            .collect();
        latencies.sort();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share).ceil() as usize;
            latencies[index.clamp(1, latencies.len()) - 1].as_secs_f64() * 1e3
        };
        let (half, most, all) = (at(0.5), at(0.99), latencies.len());
        assert_eq!(all, CONSUMERS as usize, "{what} was not noticed each time");
        println!(
            "| notice of {what}, {all} times: p50 / p99 after the header | {half:.1} / {most:.1} ms * | goal: p99 at most 100 ms | {:.2} |",
            most / 100.0
        );
    }

    let before = embedded.count(Phase::Registered);
    let creates = (0..AT_ONCE)
        .map(|number| embedded.create(number, None))
        .collect();
    embedded
        .sender("owner")
        .send(creates, "")
        .await
        .expect("it is taken");
    assert_eq!(embedded.count(Phase::Registered) - before, AT_ONCE as usize);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (real, seen) = (
        real.lock().expect("held by nobody"),
        seen.lock().expect("held by nobody"),
    );
    let created = (2 * CONSUMERS..2 * CONSUMERS + AT_ONCE).map(|id| (id, Phase::Registered));
    let taken = created.map(|key| Some(seen.get(&key)?.saturating_duration_since(real[&key])));
    let taken: Vec<_> = taken.collect();
    let within = taken
        .iter()
        .flatten()
        .filter(|it| **it <= Duration::from_secs(1))
        .count();
    let last = taken
        .iter()
        .flatten()
        .max()
        .expect("some are seen")
        .as_secs_f64();
    println!(
        "| {AT_ONCE} created in one block, read within 1 s | {within} (the last after {last:.2} s) * | goal: all | {:.2} |",
        within as f64 / AT_ONCE as f64
    );
    monitor.abort();
}

/// A monitor of alice, who is allowed nothing.
async fn monitor(embedded: &Embedded) -> Monitor {
    let folder = embedded.folder.path();
    let sender = embedded.sender("alice");
    let local = LocalValidator {
        operator: sender.account().address().clone(),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: Cast::provider_public_key("alice"),
        node_id: ics_core::peers::NodeId::new([1; 20]),
    };
    let keys = Arc::new(FileKeyStore::open(folder.join("keys")).expect("a key store"));
    let artifacts = Arc::new(FileArtifacts::open(folder.join("artifacts")).expect("a store"));
    let settings = LocalSettings {
        root: folder.join("nodes"),
        instance: "bench".parse().expect("an instance"),
        address: Ipv4Addr::LOCALHOST.into(),
        stop_timeout: Duration::from_secs(1),
    };
    let processes = Arc::new(InProcess::default());
    let deployer = LocalDeployer::open(settings, keys.clone(), artifacts.clone(), processes);
    let backends = Backends {
        provider: Provider::new(Rpc::new(&embedded.node.url()).expect("an address")),
        sender,
        deployer: Arc::new(deployer.expect("a folder")),
        keys,
        artifacts,
        node_rpc: Ipv4Addr::LOCALHOST.into(),
    };
    Monitor::new(
        local,
        Policy::new(NodeSettings::named(Moniker::new("alice").expect("a name"))),
        folder,
        backends,
    )
    .expect("no overrides")
}

/// Notes when the monitor first shows each phase.
async fn watch(mut statuses: watch::Receiver<Statuses>, seen: Moments) {
    let mut known = BTreeMap::new();
    while statuses.changed().await.is_ok() {
        let (all, at) = (statuses.borrow_and_update().clone(), Instant::now());
        for (id, status) in all {
            let Some(phase) = status.phase else { continue };
            if known.insert(id, phase) != Some(phase) {
                let mut seen = seen.lock().expect("no panic holds it");
                seen.entry((id.number(), phase)).or_insert(at);
            }
        }
    }
}
