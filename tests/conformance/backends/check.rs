//! What is missing is named before and while a node is deployed.

use std::net::TcpListener;

use ics_core::failure::FailureKind;
use ics_core::id::ConsumerId;

use crate::backend::Backend;
use crate::world::{CONSUMER, World};

pub(crate) async fn check_names_all_that_is_missing_at_once<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    assert_eq!(check, Ok(()));
    let _holder = TcpListener::bind(("127.0.0.1", spec.ports.p2p)).expect("free");
    spec.program = world.backend.missing_program();
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    let failure = check.expect_err("two things missing");
    let port = format!("port {} on 127.0.0.1 is in use", spec.ports.p2p);
    assert!(failure.message.contains(&port), "{failure}");
    let image = &spec.program.image;
    assert!(failure.message.contains(image), "{failure}");
    // What is missing may come without a word.
    assert_eq!(failure.kind, FailureKind::Transient);
    assert_eq!(world.deployer.list().await, Ok(Vec::new()), "it only looks");
}

pub(crate) async fn its_own_node_holds_its_ports_and_no_other_consumer_may_have_them<B: Backend>(
    world: World<B>,
) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    // As a node would, where the platform does not do it.
    let _holder = TcpListener::bind(("127.0.0.1", spec.ports.rpc));
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None)
        .await;
    assert_eq!(check, Ok(()), "its own node holds the ports");
    let other = ConsumerId::new(8);
    let check = world
        .deployer
        .check(other, &spec.program, &spec.ports, None)
        .await;
    let failure = check.expect_err("in use");
    let port = format!("port {} on 127.0.0.1 is in use", spec.ports.rpc);
    assert!(failure.message.contains(&port), "{failure}");
}

pub(crate) async fn a_missing_image_does_not_stop_the_old_node<B: Backend>(world: World<B>) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let run = world.backend.run().await;
    let mut missing = spec.clone();
    missing.program = world.backend.missing_program();
    let failure = world.deployer.apply(&missing).await.expect_err("no image");
    let image = &missing.program.image;
    assert!(failure.message.contains(image), "{failure}");
    assert_eq!(world.backend.running().await, 1);
    assert_eq!(world.backend.run().await, run);
}
