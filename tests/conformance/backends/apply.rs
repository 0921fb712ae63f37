//! A node that is applied, replaced and stopped.

use std::time::Duration;

use ics_core::deploy::{NodeState, NodeStatus};

use crate::backend::{Backend, Behaviour};
use crate::world::{CONSUMER, World, assert_signs, eventually, moniker, signs};

pub(crate) async fn apply_runs_a_node_and_repeating_it_changes_nothing<B: Backend>(
    world: World<B>,
) {
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
    let run = world.backend.run().await;
    assert_eq!(world.deployer.apply(&spec).await, Ok(first.clone()));
    assert_eq!(world.backend.run().await, run);
    assert_eq!(world.deployer.list().await, Ok(vec![first]));
}

pub(crate) async fn repeating_it_after_a_restart_of_the_monitor_changes_nothing<B: Backend>(
    mut world: World<B>,
) {
    let spec = world.spec();
    let first = world.deployer.apply(&spec).await.expect("applied");
    let run = world.backend.run().await;
    world.deployer = world.restarted().await;
    assert_eq!(world.deployer.list().await, Ok(vec![first.clone()]));
    assert_eq!(world.deployer.apply(&spec).await, Ok(first));
    assert_eq!(world.backend.run().await, run);
    world.deployer.stop(CONSUMER).await.expect("stopped");
    assert_eq!(world.backend.running().await, 0);
}

pub(crate) async fn a_changed_spec_replaces_the_node_and_never_two_run<B: Backend>(
    world: World<B>,
) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let old = world.backend.run().await;
    let mut changed = spec.clone();
    changed.settings.moniker = moniker("other");
    let watch = async {
        while world.backend.running().await < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::select! {
        status = world.deployer.apply(&changed) => status.expect("applied"),
        () = watch => panic!("two nodes ran at once"),
    };
    assert_signs(&status, &changed);
    assert_eq!(status.signer, signs(&spec), "it is bound where it was");
    assert_ne!(world.backend.run().await, old);
}

pub(crate) async fn a_stopped_node_starts_again_with_its_key<B: Backend>(world: World<B>) {
    let spec = world.spec();
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()), "absent");
    world.deployer.apply(&spec).await.expect("applied");
    world.deployer.stop(CONSUMER).await.expect("stopped");
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()), "stopped");
    assert_eq!(world.backend.running().await, 0);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
}

pub(crate) async fn an_apply_over_a_node_that_is_stopping_ends_with_one_that_runs<B: Backend>(
    world: World<B>,
) {
    let mut spec = world.spec();
    spec.program = world.backend.program(Behaviour::EndsSlowly);
    world.deployer.apply(&spec).await.expect("applied");
    // The monitor dies while the node is ending, which takes a second.
    let stop = world.deployer.stop(CONSUMER);
    tokio::time::timeout(Duration::from_millis(300), stop)
        .await
        .ok();
    let status = eventually("a node that stays", async || {
        // What the last stop began may still end it: the next list tells, as it tells the core.
        world.deployer.apply(&spec).await.ok()?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let listed = world.deployer.list().await.ok()?.pop()?;
        (listed.state == NodeState::Running).then_some(listed)
    })
    .await;
    assert_signs(&status, &spec);
    assert_eq!(world.backend.running().await, 1);
}
