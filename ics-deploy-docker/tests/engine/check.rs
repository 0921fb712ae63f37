//! What is missing is named before and while a node is deployed.

use std::net::TcpListener;

use ics_core::deploy::{Deployer as _, NodeState};
use ics_core::failure::FailureKind;
use ics_core::node::NodeSpec;
use ics_deploy_docker::DockerDeployer;

use crate::signs;
use crate::world::{CONSUMER, World, free_ports};

#[tokio::test]
async fn a_missing_socket_is_named_with_the_cure() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new().await;
    let mut settings = world.settings.clone();
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
    let mut settings = world.settings.clone();
    // TEST-NET-1: no host has it.
    settings.publish_address = [192, 0, 2, 1].into();
    let refused =
        DockerDeployer::connect(settings, world.keys.clone(), world.artifacts.clone()).await;
    let failure = refused.err().expect("not ours");
    let text = "192.0.2.1 is not an address of this host: set the publish";
    assert!(failure.message.contains(text), "{failure}");
}

#[tokio::test]
async fn check_names_all_that_is_missing_at_once() {
    let world = World::new().await;
    let mut spec = world.spec();
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    assert_eq!(check, Ok(()));
    let holder = TcpListener::bind(("127.0.0.1", spec.ports.p2p)).expect("free");
    spec.program.image = "ics-test-none:1".into();
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    let failure = check.expect_err("two things missing");
    let port = format!("port {} on 127.0.0.1 is in use", spec.ports.p2p);
    assert!(failure.message.contains(&port), "{failure}");
    assert!(failure.message.contains("docker load"), "{failure}");
    drop(holder);

    let spec = NodeSpec {
        ports: free_ports(),
        ..world.spec()
    };
    world.deployer.apply(&spec).await.expect("applied");
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    assert_eq!(check, Ok(()), "its own container holds the ports");
    let other = ics_core::id::ConsumerId::new(8);
    let check = world
        .deployer
        .check(other, &spec.program, &spec.ports, None)
        .await;
    assert!(check.is_err(), "another consumer cannot have them");
}

#[tokio::test]
async fn a_missing_image_does_not_stop_the_old_node() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let mut missing = spec.clone();
    missing.program.image = "ics-test-none:1".into();
    let failure = world.deployer.apply(&missing).await.expect_err("no image");
    assert!(failure.message.contains("ics-test-none:1"), "{failure}");
    assert_eq!(world.running().await, 1);
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
    assert_eq!(
        (status.state, status.signer),
        (NodeState::Running, signs(&spec))
    );
}
