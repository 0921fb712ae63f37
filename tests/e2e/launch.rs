//! The main job: a consumer is created, the selected validators opt in, it launches and runs, its
//! owner removes it, and the provider deletes it.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::ContainerInspectResponse;
use ics_tests::process::Lifetime;
use ics_tests::provider::Profile;
use ics_tests::world::{Consumer, Member, World, WorldSpec};
use ics_tests::{Error, wait};
use serde_json::Value;

const MINUTE: Duration = Duration::from_secs(60);
/// Where a container's labels begin.
const LABEL: &str = "ics-monitor.";

#[tokio::test]
async fn the_selected_two_of_three_run_the_consumer_until_it_is_deleted() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let spec = WorldSpec {
        profile: Profile::Short,
        lifetime: Lifetime::Tied,
        name: "launch".into(),
    };
    let mut world = World::start(spec, folder.path()).await?;
    world.start_monitors(&["alice", "bob", "charlie"]).await?;
    let consumer = world
        .create_consumer("consumer-1", Some(Duration::from_secs(12)))
        .await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    for name in ["alice", "bob"] {
        world.wait_for_blocks(name, &consumer, 10).await?;
        let figure = world.monitor(name)?.wait_for_log("after_header_ms", MINUTE);
        eprintln!(
            "FIGURE from launch header to running container: {name}: {}",
            figure.await?
        );
    }
    validators_are_the_selected_with_fresh_keys(&world, &consumer).await?;
    genesis_is_the_owners_with_the_providers_part(&world, &consumer).await?;
    for name in ["alice", "bob"] {
        container_is_hardened_and_labelled(&world, name, &consumer).await?;
    }
    the_unselected_stays_out(&world, &consumer).await?;
    a_restarted_monitor_finds_its_node(&mut world, &consumer).await?;
    removal_stops_then_deletes_and_archives(&world, &consumer).await?;
    world.stop().await
}

/// The consumer's own set is what the provider has, and what the monitors assigned.
async fn validators_are_the_selected_with_fresh_keys(
    world: &World,
    consumer: &Consumer,
) -> Result<(), Error> {
    let members = world.members(consumer).await?;
    let strength = |member: &Member| (member.name.clone(), member.power);
    let strengths: Vec<_> = members.iter().map(strength).collect();
    assert_eq!(strengths, [("alice".into(), 500), ("bob".into(), 300)]);
    for member in &members {
        let opt_ins = world.opt_ins(&member.name, consumer).await?;
        assert_eq!(opt_ins.len(), 1, "{opt_ins:?}");
        assert_eq!(
            opt_ins[0].key, member.key,
            "the key in the set was assigned"
        );
        assert_ne!(member.key, world.chain.consensus_key(&member.name)?);
        let of_node = world.consumer_rpc(&member.name, consumer)?;
        let wanted: Vec<_> = members
            .iter()
            .map(|it| (it.key.clone(), it.power))
            .collect();
        assert_eq!(of_node.validator_keys(5).await?, wanted);
    }
    Ok(())
}

/// Every monitor built the same bytes: the owner's file but for `app_state.ccvconsumer`, and that
/// is what the provider's own command line prints.
async fn genesis_is_the_owners_with_the_providers_part(
    world: &World,
    consumer: &Consumer,
) -> Result<(), Error> {
    let mut files = Vec::new();
    for name in ["alice", "bob"] {
        let container = container(world, name, consumer).await?;
        let digest = label(&container, "genesis").to_owned();
        let path = world.folder().join(name).join("artifacts").join(&digest);
        files.push((
            digest,
            fs::read(&path).expect("the artifact that the label names"),
        ));
    }
    assert_eq!(files[0], files[1]);
    let mut built: Value = serde_json::from_slice(&files[0].1).expect("a genesis is JSON");
    let query = ["query", "provider", "consumer-genesis", &consumer.id];
    let of_provider = world.chain.query(&query).await?;
    assert!(of_provider["provider"]["initial_val_set"][1].is_object());
    assert_eq!(built["app_state"]["ccvconsumer"], of_provider);
    let mut owners = read_json(&consumer.made);
    assert_ne!(owners["app_state"]["ccvconsumer"], of_provider);
    for genesis in [&mut built, &mut owners] {
        genesis["app_state"]["ccvconsumer"].take();
    }
    assert_eq!(built, owners);
    Ok(())
}

async fn container_is_hardened_and_labelled(
    world: &World,
    name: &str,
    consumer: &Consumer,
) -> Result<(), Error> {
    let container = container(world, name, consumer).await?;
    let members = world.members(consumer).await?;
    let member = members.iter().find(|member| member.name == name);
    let key = &member.expect("a validator of the consumer").key;
    assert_eq!(label(&container, "instance"), world.instance(name));
    assert_eq!(label(&container, "consumer-id"), consumer.id);
    assert_eq!(label(&container, "chain-id"), consumer.chain_id);
    assert_eq!(label(&container, "consensus-key"), key);
    assert_eq!(label(&container, "signer"), format!("key {key}"));
    assert_eq!(
        label(&container, "p2p-port"),
        consumer.ports["p2p"].to_string()
    );
    assert!(!label(&container, "spec").is_empty());
    let user = container.config.and_then(|config| config.user);
    assert_eq!(user.as_deref(), Some("1000:1000"));
    let host = container.host_config.expect("every container has one");
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.privileged, Some(false));
    assert_eq!(host.cap_drop.as_deref(), Some(&["ALL".to_owned()][..]));
    let options = host.security_opt.unwrap_or_default();
    assert!(
        options
            .iter()
            .any(|option| option.starts_with("no-new-privileges"))
    );
    Ok(())
}

async fn the_unselected_stays_out(world: &World, consumer: &Consumer) -> Result<(), Error> {
    let told = world.notice("charlie", consumer, "not selected", MINUTE);
    eprintln!("charlie: {}", told.await?);
    assert_eq!(world.opt_ins("charlie", consumer).await?, []);
    assert!(world.container("charlie", consumer).await?.is_none());
    assert!(!world.has_volume("charlie", consumer).await?);
    Ok(())
}

async fn a_restarted_monitor_finds_its_node(
    world: &mut World,
    consumer: &Consumer,
) -> Result<(), Error> {
    let before = life(world, "alice", consumer).await?;
    let (status, took) = world.monitor_mut("alice")?.terminate().await?;
    eprintln!("SIGTERM ended the monitor after {took:.1?}: {status}");
    assert_eq!(status.code(), Some(0));
    assert_eq!(life(world, "alice", consumer).await?, before, "it runs on");
    world.restart_monitor("alice").await?;
    world
        .notice("alice", consumer, "running: the node runs", MINUTE)
        .await?;
    let log = world.monitor("alice")?.log()?;
    assert!(!log.contains("started the node's container"), "{log}");
    assert_eq!(
        life(world, "alice", consumer).await?,
        before,
        "it was left alone"
    );
    Ok(())
}

async fn removal_stops_then_deletes_and_archives(
    world: &World,
    consumer: &Consumer,
) -> Result<(), Error> {
    let members = world.members(consumer).await?;
    world.remove(consumer).await?;
    let removal = Instant::now();
    for name in ["alice", "bob"] {
        wait::until("a stopped container", MINUTE, async || {
            let state = container(world, name, consumer).await?.state;
            Ok((state.and_then(|state| state.running) == Some(false)).then_some(()))
        })
        .await?;
        eprintln!(
            "{name}'s node stopped {:.1?} after the removal",
            removal.elapsed()
        );
        assert!(world.has_volume(name, consumer).await?, "its data are kept");
    }
    assert_eq!(world.show(consumer).await?["phase"], "STOPPED");
    world.wait_for_phase(consumer, "DELETED", MINUTE).await?;
    let deletion = Instant::now();
    for name in ["alice", "bob"] {
        wait::until("nothing left of the node", MINUTE, async || {
            let left = world.container(name, consumer).await?.is_some()
                || world.has_volume(name, consumer).await?;
            Ok((!left).then_some(()))
        })
        .await?;
        eprintln!(
            "{name}'s node gone {:.1?} after the deletion",
            deletion.elapsed()
        );
    }
    for member in members {
        key_is_archived_with_its_state(world, consumer, &member);
    }
    assert_eq!(world.containers().await?, [""; 0]);
    Ok(())
}

fn key_is_archived_with_its_state(world: &World, consumer: &Consumer, member: &Member) {
    let keys = world.folder().join(&member.name).join("keys");
    let archived = only_entry(&keys.join("archive").join(&consumer.id));
    let key = read_json(&archived.join("priv_validator_key.json"));
    assert_eq!(key["pub_key"]["value"], member.key);
    assert!(key["priv_key"]["value"].is_string());
    let state = read_json(&archived.join("priv_validator_state.json"));
    let height: u64 = state["height"]
        .as_str()
        .and_then(|height| height.parse().ok())
        .expect("a signer state has a height");
    eprintln!("{}'s key was archived at height {height}", member.name);
    assert!(height >= 10);
    let in_use = keys.join("consumers").join(&consumer.id);
    let left = fs::read_dir(&in_use).expect("the folder of a consumer stays");
    assert_eq!(left.count(), 0, "no key of it is in use");
}

async fn container(
    world: &World,
    name: &str,
    consumer: &Consumer,
) -> Result<ContainerInspectResponse, Error> {
    let found = world.container(name, consumer).await?;
    found.ok_or_else(|| Error::Reply(format!("{name} has no container of {}", consumer.id)))
}

/// What tells one run of one container from any other.
async fn life(
    world: &World,
    name: &str,
    consumer: &Consumer,
) -> Result<(Option<String>, Option<String>, Option<bool>), Error> {
    let container = container(world, name, consumer).await?;
    let state = container.state.unwrap_or_default();
    Ok((container.id, state.started_at, state.running))
}

fn label<'a>(container: &'a ContainerInspectResponse, name: &str) -> &'a str {
    let labels = container.config.as_ref().and_then(|it| it.labels.as_ref());
    let label = labels.and_then(|labels| labels.get(&format!("{LABEL}{name}")));
    label.map(String::as_str).unwrap_or_default()
}

fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).expect("a file that the monitor or the owner wrote");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn only_entry(folder: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(folder).expect("a folder with one entry");
    let mut entries: Vec<_> = entries.map(|it| it.expect("readable").path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}
