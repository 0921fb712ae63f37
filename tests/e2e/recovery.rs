//! Crashes: monitors and provider nodes end at bad moments, and nothing ends differently.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::time::{Duration, Instant};

use ics_tests::process::Lifetime;
use ics_tests::provider::Profile;
use ics_tests::world::{Consumer, World, WorldSpec};
use ics_tests::{Error, wait};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn crashes_of_monitor_and_provider_node_change_nothing() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let spec = WorldSpec {
        profile: Profile::Long,
        lifetime: Lifetime::Tied,
        name: "recover".into(),
    };
    let mut world = World::start(spec, folder.path()).await?;
    world.start_monitors(&["alice", "bob"]).await?;
    let consumers = [
        killed_at_every_step(&mut world).await?,
        dead_over_the_launch(&mut world).await?,
        provider_node_down_over_creation_and_launch(&mut world).await?,
    ];
    for consumer in &consumers {
        ended_as_without_the_crashes(&world, consumer).await?;
    }
    let mut containers = world.containers().await?;
    containers.sort();
    let mut wanted: Vec<_> = consumers
        .iter()
        .flat_map(|consumer| {
            ["alice", "bob"].map(|name| format!("/{}", world.object_name(name, consumer)))
        })
        .collect();
    wanted.sort();
    assert_eq!(containers, wanted, "one container for each");
    world.stop().await
}

/// Alice's monitor is killed at each step that it tells of, from the opt-in to the deployment.
async fn killed_at_every_step(world: &mut World) -> Result<Consumer, Error> {
    let consumer = world
        .create_consumer("killed-1", Some(Duration::from_secs(12)))
        .await?;
    kill_at(world, &consumer, "opting-in: ").await?;
    world.monitor_mut("alice")?.restart()?;
    // The opt-in is on its way, and nobody is there to hear what became of it.
    wait::until("the opt-in in the mempool or a block", MINUTE, async || {
        let pending = world.chain.rpc("alice")?.get("num_unconfirmed_txs").await?;
        let sent = pending["n_txs"] != "0" || !world.opt_ins("alice", &consumer).await?.is_empty();
        Ok(sent.then_some(()))
    })
    .await?;
    kill(world, "once the opt-in was sent").await?;
    for step in [
        "awaiting-launch: launches at",
        "LAUNCHED at height",
        "deploying: ",
        "started the node's container",
    ] {
        world.monitor_mut("alice")?.restart()?;
        kill_at(world, &consumer, step).await?;
    }
    world.restart_monitor("alice").await?;
    Ok(consumer)
}

/// Alice's monitor dies after its opt-in and comes back when the consumer has launched.
async fn dead_over_the_launch(world: &mut World) -> Result<Consumer, Error> {
    let consumer = world
        .create_consumer("dead-1", Some(Duration::from_secs(8)))
        .await?;
    kill_at(world, &consumer, "awaiting-launch: launches at").await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    assert!(world.container("alice", &consumer).await?.is_none());
    world.restart_monitor("alice").await?;
    Ok(consumer)
}

/// Bob's monitor hears of nothing while his own provider node is down: once ended in good order
/// while a consumer is created, once killed while it launches.
async fn provider_node_down_over_creation_and_launch(world: &mut World) -> Result<Consumer, Error> {
    let monitor = world.monitor("bob")?.pid();
    world.chain.stop_node("bob").await?;
    let consumer = world
        .create_consumer("silent-1", Some(Duration::from_secs(20)))
        .await?;
    world
        .wait_for_members(&consumer, &["alice"], MINUTE)
        .await?;
    world.chain.start_node("bob")?;
    let back = Instant::now();
    world
        .wait_for_members(&consumer, &["alice", "bob"], MINUTE)
        .await?;
    eprintln!(
        "bob opted in {:.1?} after the start of his node",
        back.elapsed()
    );

    world
        .notice("bob", &consumer, "awaiting-launch: launches at", MINUTE)
        .await?;
    world.chain.kill_node("bob").await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    assert!(world.container("bob", &consumer).await?.is_none());
    world.chain.start_node("bob")?;
    let back = Instant::now();
    world
        .notice("bob", &consumer, "running: the node runs", MINUTE)
        .await?;
    eprintln!(
        "bob's node ran {:.1?} after the start of his provider node",
        back.elapsed()
    );
    assert_eq!(world.monitor("bob")?.pid(), monitor);
    Ok(consumer)
}

/// The consumer makes blocks with one key for each validator: the only one ever assigned.
async fn ended_as_without_the_crashes(world: &World, consumer: &Consumer) -> Result<(), Error> {
    let members = world.members(consumer).await?;
    let names: Vec<_> = members.iter().map(|member| &member.name).collect();
    assert_eq!(names, ["alice", "bob"]);
    for member in members {
        // Both are needed for a block.
        world.wait_for_blocks(&member.name, consumer, 3).await?;
        let opt_ins = world.opt_ins(&member.name, consumer).await?;
        let keys: Vec<_> = opt_ins.iter().map(|opt_in| &opt_in.key).collect();
        assert_eq!(keys, [&member.key], "one opt-in with the key that signs");
        let container = world.container(&member.name, consumer).await?;
        let labels = container.and_then(|it| it.config).and_then(|it| it.labels);
        let signer = labels.and_then(|mut labels| labels.remove("ics-monitor.signer"));
        assert_eq!(signer, Some(format!("key {}", member.key)));
    }
    Ok(())
}

/// Kills alice's monitor as soon as it has told `step` of a consumer.
async fn kill_at(world: &mut World, consumer: &Consumer, step: &str) -> Result<(), Error> {
    let monitor = world.monitor("alice")?;
    // The two parts of the program name a consumer in their own ways.
    wait::until(&format!("{step:?} of alice"), MINUTE, async || {
        let log = monitor.log()?;
        let about = |line: &&str| line.contains(step) && is_about(line, consumer);
        Ok(log.lines().any(|line| about(&line)).then_some(()))
    })
    .await?;
    kill(world, step).await
}

fn is_about(line: &str, consumer: &Consumer) -> bool {
    let id = &consumer.id;
    line.contains(&format!("consumer=\"{id}\"")) || line.contains(&format!("consumer_id={id} "))
}

async fn kill(world: &mut World, step: &str) -> Result<(), Error> {
    let monitor = world.monitor_mut("alice")?;
    monitor.kill().await?;
    let log = monitor.log()?;
    let last = log.lines().last().unwrap_or_default();
    eprintln!("killed at {step:?}; its last words: {last}");
    Ok(())
}
