//! What is true of Docker alone: engine and addresses, hardened containers, names and labels, an
//! image that is gone.

use std::net::TcpListener;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveImageOptions, RenameContainerOptionsBuilder,
    TagImageOptionsBuilder,
};
use ics_core::deploy::NodeState;
use ics_core::failure::FailureKind;
use ics_deploy_docker::DockerDeployer;

use crate::backend::Backend as _;
use crate::docker::{DockerNodes, IMAGE, run};
use crate::remote::remote;
use crate::stores::Held;
use crate::world::{self, CONSUMER, assert_signs, eventually, key_of, key_path, moniker};

type World = world::World<DockerNodes>;

impl World {
    /// Creates a container with the name of ours.
    async fn create(&self, body: ContainerCreateBody) {
        let name = self.backend.name();
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let docker = &self.backend.docker;
        let created = docker.create_container(Some(options), body).await;
        created.expect("created");
    }
}

#[tokio::test]
async fn a_missing_socket_is_named_with_the_cure() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new().await;
    let mut settings = world.backend.settings.clone();
    settings.socket = folder.path().join("none.sock");
    let refused =
        DockerDeployer::connect(settings, world.keys.clone(), world.artifacts.clone()).await;
    let failure = refused.err().expect("no engine there");
    assert!(failure.message.contains("none.sock"), "{failure}");
    assert!(failure.message.contains("start dockerd"), "{failure}");
}

#[tokio::test]
async fn an_address_of_another_host_is_named_with_the_cure() {
    let world = World::new().await;
    let mut settings = world.backend.settings.clone();
    // TEST-NET-1: no host has it.
    settings.publish_address = [192, 0, 2, 1].into();
    let refused =
        DockerDeployer::connect(settings, world.keys.clone(), world.artifacts.clone()).await;
    let failure = refused.err().expect("not ours");
    let text = "192.0.2.1 is not an address of this host: set the publish";
    assert!(failure.message.contains(text), "{failure}");
}

#[tokio::test]
async fn the_container_is_hardened_and_holds_no_secret() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let container = world.backend.inspect().await;
    let text = format!("{container:?}");
    let key = world.text(&key_path(&spec)).await.expect("a key");
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
async fn the_port_of_a_remote_signer_is_published_for_this_host_alone() {
    let world = World::new().await;
    let spec = remote(&world.spec());
    world.deployer.apply(&spec).await.expect("applied");
    let port = spec.signer.port().expect("a port");
    let host = world.backend.inspect().await.host_config;
    let bound = host.and_then(|it| it.port_bindings).expect("bindings");
    let binding = bound[&format!("{port}/tcp")].as_ref().expect("a binding");
    assert_eq!(binding[0].host_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(binding[0].host_port, Some(port.to_string()));
}

#[tokio::test]
async fn a_container_that_somebody_left_empty_is_made_anew() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let old = world.backend.inspect().await;
    world.backend.remove_container().await;
    world
        .create(ContainerCreateBody {
            image: Some(IMAGE.into()),
            entrypoint: Some(vec!["/none".into()]),
            labels: old.config.and_then(|it| it.labels),
            ..ContainerCreateBody::default()
        })
        .await;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
}

#[tokio::test]
async fn a_new_container_has_the_old_volume() {
    let world = World::new().await;
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let (docker, name) = (&world.backend.docker, world.backend.name());
    let old = docker.inspect_volume(&name).await.expect("a volume");
    spec.settings.moniker = moniker("other");
    world.deployer.apply(&spec).await.expect("applied");
    let new = docker.inspect_volume(&name).await.expect("a volume");
    assert_eq!(new.labels, old.labels);
}

#[tokio::test]
async fn a_renamed_container_is_still_the_only_one() {
    let world = World::new().await;
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let name = world.backend.name();
    let options = RenameContainerOptionsBuilder::new()
        .name(&format!("{name}-renamed"))
        .build();
    let renamed = world.backend.docker.rename_container(&name, options).await;
    renamed.expect("renamed");
    spec.settings.moniker = moniker("other");
    world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(world.backend.running().await, 1);
    assert_eq!(world.deployer.list().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn somebody_elses_container_of_that_name_is_refused_and_left_alone() {
    let world = World::new().await;
    let (spec, name) = (world.spec(), world.backend.name());
    world
        .create(ContainerCreateBody {
            image: Some(IMAGE.into()),
            entrypoint: Some(run("/bin/busybox sleep 600")),
            ..ContainerCreateBody::default()
        })
        .await;
    let id = world.backend.inspect().await.id;
    let failure = world.deployer.apply(&spec).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    let text = format!("container {name} was not made by");
    assert!(failure.message.contains(&text), "{failure}");
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None);
    assert!(check.await.expect_err("refused").message.contains(&name));
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.list().await, Ok(vec![]));
    assert_eq!(world.backend.inspect().await.id, id);
}

#[tokio::test]
async fn a_node_that_keeps_ending_is_listed_as_failing() {
    let world = World::new().await;
    let mut spec = world.spec();
    let good = spec.program.clone();
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
    spec.program = good;
    let status = world.deployer.apply(&spec).await.expect("applied");
    // The cure is applied over the crash loop.
    assert_signs(&status, &spec);
}

#[tokio::test]
async fn a_port_in_use_at_start_names_the_cure_and_passes() {
    let world = World::new().await;
    let spec = world.spec();
    let holder = TcpListener::bind(("127.0.0.1", spec.ports.rpc)).expect("free");
    let failure = world
        .deployer
        .apply(&spec)
        .await
        .expect_err("a port in use");
    assert_eq!(failure.kind, FailureKind::Transient, "{failure}");
    assert!(failure.message.contains("stop the program"), "{failure}");
    let listed = world.deployer.list().await.expect("a list");
    assert!(
        matches!(&listed[0].state, NodeState::Failing(_)),
        "{listed:?}"
    );
    drop(holder);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
}

#[tokio::test]
async fn delete_keeps_a_volume_that_it_cannot_look_into() {
    let world = World::new().await;
    let mut spec = world.spec();
    let key = key_of(&spec);
    let (docker, name) = (&world.backend.docker, world.backend.name());
    let tag = TagImageOptionsBuilder::new().repo(&name).tag("1").build();
    let tagged = docker.tag_image(IMAGE, Some(tag.clone())).await;
    tagged.expect("tagged");
    spec.program.image = format!("{name}:1");
    world.deployer.apply(&spec).await.expect("applied");
    world.backend.remove_container().await;
    let image = spec.program.image.clone();
    let untag = || docker.remove_image(&image, None::<RemoveImageOptions>, None);
    untag().await.expect("untagged");
    let failure = world.deployer.delete(CONSUMER).await.expect_err("no image");
    assert!(failure.message.contains("nothing was deleted"), "{failure}");
    assert!(world.backend.has_storage().await);
    assert!(matches!(world.keys.held(&key), Some(Held::BoundTo(_))));
    docker.tag_image(IMAGE, Some(tag)).await.expect("tagged");
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert!(!world.backend.has_storage().await);
    untag().await.expect("untagged");
}
