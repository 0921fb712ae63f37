//! `make devnet`: the main job on real parts, told step by step; `make devnet-down` ends it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells a story"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ics_tests::bridge::Bridge;
use ics_tests::engine::Engine;
use ics_tests::process::{Lifetime, stop_recorded};
use ics_tests::program::Program;
use ics_tests::provider::Profile;
use ics_tests::world::{Consumer, World, WorldSpec};
use ics_tests::{Daemons, Error, cache, leftovers, wait};
use serde_json::Value;

const NAME: &str = "devnet";
const VALIDATORS: [&str; 3] = ["alice", "bob", "charlie"];
/// Time for the three monitors to see the consumer and to opt in.
const SPAWN_IN: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let told = match std::env::args().nth(1).as_deref() {
        Some("up") => up().await,
        Some("down") => down().await,
        _ => Err(Error::Setup("usage: devnet up|down".into())),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devnet: {error}");
            eprintln!("devnet: what still runs is ended by make devnet-down");
            ExitCode::FAILURE
        }
    }
}

/// Says what happens, with the seconds since the builds were done.
struct Story(Instant);

impl Story {
    fn tell(&self, text: &str) {
        println!("{:6.1} s  {text}", self.0.elapsed().as_secs_f64());
    }
}

fn folder() -> Result<PathBuf, Error> {
    Ok(cache::folder()?.join(NAME))
}

async fn up() -> Result<(), Error> {
    down().await?;
    let folder = folder()?;
    println!("building what is not built: the daemons take some minutes, the first time only");
    let spec = WorldSpec {
        profile: Profile::Short,
        lifetime: Lifetime::Detached,
        name: NAME.into(),
    };
    futures::try_join!(Daemons::build(), Program::build())?;
    let story = Story(Instant::now());
    let mut world = World::start(spec, &folder).await?;
    story.tell("the provider chain makes blocks: alice 50%, bob 30%, charlie 20% of the stake");
    world.start_monitors(&VALIDATORS).await?;
    story.tell("three monitors follow it, each for one validator; any owner is allowed here");
    let consumer = launch(&world, &story).await?;
    show_blocks(&world, &consumer, &story).await?;
    remove(&world, &consumer, &story).await?;
    println!("\nThe provider and the monitors run on. To play with them:");
    let (program, owner) = (
        world.program().path().display(),
        world.folder().join("owner.toml"),
    );
    println!("  {program} consumer list --config {}", owner.display());
    println!("  logs: {}/*.log", world.folder().display());
    println!("  end:  make devnet-down");
    Ok(())
}

async fn launch(world: &World, story: &Story) -> Result<Consumer, Error> {
    let consumer = world.create_consumer("consumer-1", Some(SPAWN_IN)).await?;
    let (id, chain_id) = (&consumer.id, &consumer.chain_id);
    story.tell(&format!(
        "consumer {id} was created: chain {chain_id}, launches in {SPAWN_IN:?}"
    ));
    wait::until("two opt-ins", MINUTE, async || {
        let members = members(&world.show(&consumer).await?);
        Ok((members.len() == 2).then_some(()))
    })
    .await?;
    story.tell("alice and bob opted in, each with a fresh key; charlie was not selected");
    let shown = world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    story.tell(&format!(
        "it launched at provider height {}",
        shown["launched_at"]
    ));
    Ok(consumer)
}

async fn show_blocks(world: &World, consumer: &Consumer, story: &Story) -> Result<(), Error> {
    for name in ["alice", "bob"] {
        let rpc = world.consumer_rpc(name, consumer)?;
        wait::until("block 5 of the consumer", MINUTE, async || {
            Ok((rpc.height().await? >= 5).then_some(()))
        })
        .await?;
        let container = world.object_name(name, consumer);
        story.tell(&format!(
            "{name}'s container {container} is at consumer height 5"
        ));
    }
    let rpc = world.consumer_rpc("alice", consumer)?;
    // The signatures under block 5 stand in block 6.
    wait::until("block 6 of the consumer", MINUTE, async || {
        Ok((rpc.height().await? >= 6).then_some(()))
    })
    .await?;
    let signers = signers(&rpc.block(6).await?);
    for (address, power) in rpc.validators(5).await? {
        let word = if signers.contains(&address) {
            "signed"
        } else {
            "not signed"
        };
        story.tell(&format!(
            "  block 5 was {word} by {address} with power {power}"
        ));
    }
    for (name, key) in members(&world.show(consumer).await?) {
        story.tell(&format!(
            "  the provider's set: {name} with consumer key {key}"
        ));
    }
    let containers = world.containers().await?;
    story.tell(&format!("containers: {}", containers.join(" ")));
    Ok(())
}

async fn remove(world: &World, consumer: &Consumer, story: &Story) -> Result<(), Error> {
    world.owner(&["consumer", "remove", &consumer.id]).await?;
    story.tell("its owner removed the consumer");
    wait::until("stopped containers", MINUTE, async || {
        for name in ["alice", "bob"] {
            let container = world.container(name, consumer).await?;
            let state = container.and_then(|container| container.state);
            if state.and_then(|state| state.running) != Some(false) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    story.tell("STOPPED: both containers are stopped, volumes and keys kept");
    world
        .wait_for_phase(consumer, "DELETED", 2 * MINUTE)
        .await?;
    story.tell("DELETED by the provider, after its unbonding time of 40 s");
    wait::until("removed volumes", MINUTE, async || {
        let left = [
            world.has_volume("alice", consumer).await?,
            world.has_volume("bob", consumer).await?,
        ];
        Ok((left == [false, false] && world.containers().await?.is_empty()).then_some(()))
    })
    .await?;
    story.tell("a second reading agreed: containers and volumes are gone, keys are archived");
    Ok(())
}

/// The addresses that signed the block before this one.
fn signers(block: &Value) -> Vec<String> {
    /// `BlockIDFlagCommit` of CometBFT: signed, and for this block.
    const COMMIT: u64 = 2;
    let all = block["last_commit"]["signatures"].as_array();
    let signed = all
        .into_iter()
        .flatten()
        .filter(|it| it["block_id_flag"] == COMMIT);
    signed
        .map(|it| {
            it["validator_address"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

/// The name and key of each validator of a consumer.
fn members(shown: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = shown["validators"].as_array().into_iter().flatten();
    all.map(|member| (text(&member["moniker"]), text(&member["consumer_key"])))
        .collect()
}

async fn down() -> Result<(), Error> {
    let folder = folder()?;
    if !folder.exists() {
        return Ok(());
    }
    for processes in [folder.clone(), folder.join("provider")] {
        if processes.exists() {
            for name in stop_recorded(&processes, MINUTE).await? {
                println!("ended {name}");
            }
        }
    }
    let engine = Engine::find_or_start(Lifetime::Tied).await?;
    for validator in VALIDATORS {
        leftovers::remove(&engine, &format!("{NAME}-{validator}")).await?;
    }
    drop(engine);
    Engine::stop_detached().await?;
    remove_bridge(&folder.join("bridge")).await?;
    fs::remove_dir_all(&folder)
        .map_err(|e| Error::Setup(format!("cannot remove {}: {e}", folder.display())))
}

async fn remove_bridge(record: &Path) -> Result<(), Error> {
    match fs::read_to_string(record) {
        Ok(name) => Bridge::remove(&name).await,
        Err(_) => Ok(()),
    }
}
