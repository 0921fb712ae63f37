//! What is listed is what is there.

use ics_core::artifact::Digest;
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};

use crate::backend::Backend;
use crate::world::{CONSUMER, World, assert_signs, eventually};

pub(crate) async fn every_state_is_listed_as_it_is<B: Backend>(world: World<B>) {
    let list = async || world.deployer.list().await.expect("a list");
    assert_eq!(list().await, []);
    let spec = world.spec();
    let running = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&running, &spec);
    assert_eq!(list().await, vec![running.clone()]);
    world.deployer.stop(CONSUMER).await.expect("stopped");
    let stopped = NodeStatus {
        state: NodeState::Stopped,
        ..running
    };
    assert_eq!(list().await, [stopped]);
    world.backend.lose_node().await;
    let data_alone = NodeStatus {
        consumer_id: CONSUMER,
        state: NodeState::Stopped,
        spec: None::<Digest>,
        genesis: None,
        p2p_port: None,
        signer: NodeSigner::None,
    };
    assert_eq!(list().await, [data_alone]);
    let again = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&again, &spec);
    world.deployer.delete(CONSUMER).await.expect("deleted");
    assert_eq!(list().await, []);
}

pub(crate) async fn a_node_that_ended_by_itself_is_seen_and_runs_again_after_an_apply<
    B: Backend,
>(
    world: World<B>,
) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let run = world.backend.run().await;
    world.backend.crash().await;
    eventually("another run, or word of the end", async || {
        let state = world.deployer.list().await.expect("a list").pop()?.state;
        let again = async || world.backend.run().await != run;
        match state {
            NodeState::Ended(how) | NodeState::Failing(how) => {
                assert_ne!(how, "");
                Some(())
            }
            // The platform has started it again before we looked.
            _ => again().await.then_some(()),
        }
    })
    .await;
    let status = world.apply_again(&spec).await;
    assert_signs(&status, &spec);
    assert_eq!(world.backend.running().await, 1);
}

pub(crate) async fn two_instances_do_not_see_each_other<B: Backend>(world: World<B>) {
    let spec = world.spec();
    let (keys, artifacts) = (world.keys.clone(), world.artifacts.clone());
    let neighbour = world.backend.neighbour(keys, artifacts).await;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(neighbour.list().await, Ok(Vec::new()));
    assert_eq!(neighbour.stop(CONSUMER).await, Ok(()));
    assert_eq!(neighbour.delete(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.list().await, Ok(vec![status]));
    assert_eq!(world.backend.running().await, 1);
}
