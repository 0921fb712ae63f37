//! A node that is applied, replaced, stopped and listed.

use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptionsBuilder;
use ics_core::deploy::{Deployer as _, NodeState, NodeStatus};

use crate::world::{CONSUMER, IMAGE, World, eventually, moniker, run};
use crate::{key_path, signs};

#[tokio::test]
async fn apply_runs_a_node_and_repeating_it_changes_nothing() {
    let world = World::new().await;
    let spec = world.spec();
    let first = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        first,
        NodeStatus {
            consumer_id: CONSUMER,
            state: NodeState::Running,
            spec: Some(spec.digest()),
            genesis: Some(spec.genesis.digest),
            p2p_port: Some(spec.ports.p2p),
            signer: signs(&spec),
        }
    );
    let container = world.inspect().await;
    assert_eq!(world.deployer.apply(&spec).await, Ok(first.clone()));
    let again = world.inspect().await;
    assert_eq!(again.id, container.id);
    let started = |it: bollard::models::ContainerInspectResponse| it.state?.started_at;
    assert_eq!(started(again), started(container));
    assert_eq!(world.deployer.list().await, Ok(vec![first]));
}

#[tokio::test]
async fn the_container_is_hardened_and_holds_no_secret() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let container = world.inspect().await;
    let text = format!("{container:?}");
    let key = world.file(&key_path(&spec)).await.expect("a key").text;
    let secret: serde_json::Value = serde_json::from_str(&key).expect("JSON");
    let secret = secret["priv_key"]["value"].as_str().expect("a secret");
    assert!(!text.contains(&secret[..40]), "the key is in the container");

    let config = container.config.expect("a config");
    assert_eq!(config.user.as_deref(), Some("1000:1000"));
    let entrypoint = config.entrypoint.expect("an entrypoint");
    assert_eq!(entrypoint[entrypoint.len() - 2..], ["--home", "/data/node"]);
    let env = config.env.expect("an environment");
    assert!(env.contains(&"HOME=/data/node".to_owned()), "{env:?}");
    let chain_id = &config.labels.expect("labels")["ics-monitor.chain-id"];
    assert!(!chain_id.contains('\n'), "{chain_id:?}");

    let host = container.host_config.expect("a host config");
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.privileged, Some(false));
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(
        host.security_opt,
        Some(vec!["no-new-privileges".to_owned()])
    );
    assert_eq!(host.memory, Some(64 << 20));
    assert_eq!(
        (host.nano_cpus, host.pids_limit),
        (Some(500_000_000), Some(32))
    );
    let restart = host.restart_policy.and_then(|it| it.name);
    assert_eq!(
        restart.map(|it| it.to_string()).as_deref(),
        Some("unless-stopped")
    );
    let log = host.log_config.and_then(|it| it.config).expect("a log");
    assert_eq!(
        (log["max-size"].as_str(), log["max-file"].as_str()),
        ("20m", "5")
    );
    let published = host.port_bindings.expect("ports");
    let ports = [
        spec.ports.p2p,
        spec.ports.rpc,
        spec.ports.grpc,
        spec.ports.rest,
    ];
    assert_eq!(published.len(), ports.len());
    for port in ports {
        let hosts = published[&format!("{port}/tcp")].clone().expect("hosts");
        assert_eq!(hosts[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(hosts[0].host_port, Some(port.to_string()));
    }
}

#[tokio::test]
async fn a_container_that_somebody_left_empty_is_made_anew() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let mut body = ContainerCreateBody {
        image: Some(IMAGE.into()),
        entrypoint: Some(vec!["/none".into()]),
        ..ContainerCreateBody::default()
    };
    let old = world.inspect().await;
    body.labels = old.config.and_then(|it| it.labels);
    world.remove_container().await;
    let name = world.name();
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    world
        .docker
        .create_container(Some(options), body)
        .await
        .expect("created");
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        (status.state, status.signer),
        (NodeState::Running, signs(&spec))
    );
}

#[tokio::test]
async fn a_changed_spec_replaces_the_container_and_never_two_run() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let old = world.inspect().await;
    let volume = world
        .docker
        .inspect_volume(&world.name())
        .await
        .expect("a volume");
    let mut changed = spec.clone();
    changed.settings.moniker = moniker("other");
    let watch = async {
        while world.running().await < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::select! {
        status = world.deployer.apply(&changed) => status.expect("applied"),
        () = watch => panic!("two containers ran at once"),
    };
    assert_eq!(status.spec, Some(changed.digest()));
    assert_eq!(status.signer, signs(&spec));
    assert_ne!(world.inspect().await.id, old.id);
    let same = world
        .docker
        .inspect_volume(&world.name())
        .await
        .expect("a volume");
    assert_eq!(same.labels, volume.labels);
}

#[tokio::test]
async fn a_stopped_node_starts_again_with_its_key() {
    let world = World::new().await;
    let spec = world.spec();
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()), "absent");
    world.deployer.apply(&spec).await.expect("applied");
    world.deployer.stop(CONSUMER).await.expect("stopped");
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()), "stopped");
    let listed = world.deployer.list().await.expect("a list");
    assert_eq!(listed[0].state, NodeState::Stopped);
    assert_eq!(listed[0].spec, Some(spec.digest()));
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        (status.state, status.signer),
        (NodeState::Running, signs(&spec))
    );
}

#[tokio::test]
async fn a_renamed_container_is_still_the_only_one() {
    let world = World::new().await;
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let options = bollard::query_parameters::RenameContainerOptionsBuilder::new()
        .name(&format!("{}-renamed", world.name()))
        .build();
    world
        .docker
        .rename_container(&world.name(), options)
        .await
        .expect("renamed");
    spec.settings.moniker = moniker("other");
    world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(world.running().await, 1);
    assert_eq!(world.deployer.list().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn a_node_that_keeps_ending_is_listed_as_failing() {
    let world = World::new().await;
    let mut spec = world.spec();
    spec.program.command = run("exit 3");
    world.deployer.apply(&spec).await.expect("applied");
    let text = eventually("a crash loop", async || {
        match world.deployer.list().await.expect("a list").pop()?.state {
            NodeState::Failing(text) => Some(text),
            _ => None,
        }
    })
    .await;
    assert!(text.contains("exit code 3"), "{text}");
    world.deployer.stop(CONSUMER).await.expect("stopped");
    let listed = world.deployer.list().await.expect("a list");
    assert_eq!(listed[0].state, NodeState::Stopped, "stopped for good");
    world.deployer.apply(&spec).await.expect("applied");
    spec.program.command = world.spec().program.command;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        status.state,
        NodeState::Running,
        "the cure is applied over the crash loop"
    );
}
