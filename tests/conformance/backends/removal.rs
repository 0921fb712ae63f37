//! Deletes, and leaves alone what others made.

use ics_core::deploy::NodeState;
use ics_core::failure::FailureKind;
use ics_core::node::Signer;

use crate::backend::Backend;
use crate::stores::Held;
use crate::world::{CONSUMER, World, assert_signs, key_of, state_path};

pub(crate) async fn what_others_made_is_refused_and_left_alone<B: Backend>(world: World<B>) {
    let spec = world.spec();
    world.backend.put_foreign().await;
    let failure = world.deployer.apply(&spec).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("was not made by"), "{failure}");
    let check = world
        .deployer
        .check(CONSUMER, &spec.program, &spec.ports, None);
    let failure = check.await.expect_err("refused");
    assert!(failure.message.contains("was not made by"), "{failure}");
    assert_eq!(world.deployer.stop(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()));
    assert_eq!(world.deployer.list().await, Ok(vec![]));
    assert!(world.backend.has_foreign().await);
    assert_eq!(world.keys.held(&key_of(&spec)), Some(Held::Unbound));
}

pub(crate) async fn delete_archives_the_key_with_its_state_and_leaves_nothing<B: Backend>(
    world: World<B>,
) {
    let spec = world.spec();
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()), "absent");
    world.deployer.apply(&spec).await.expect("applied");
    let state = "{\"height\":\"41\",\"round\":0,\"step\":3}";
    world.backend.write(&state_path(&spec), Some(state)).await;
    world.deployer.delete(CONSUMER).await.expect("deleted");
    assert_eq!(
        world.keys.held(&key_of(&spec)),
        Some(Held::Archived(Some(state.into())))
    );
    assert_eq!(world.deployer.list().await, Ok(vec![]));
    assert_eq!(world.backend.running().await, 0);
    assert!(!world.backend.has_storage().await);
    assert_eq!(world.deployer.delete(CONSUMER).await, Ok(()), "deleted");
}

pub(crate) async fn delete_archives_from_data_whose_node_is_gone<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    let old = key_of(&spec);
    world.deployer.apply(&spec).await.expect("applied");
    let first = world.text(&state_path(&spec)).await.expect("a state");
    let new = world.keys.add(CONSUMER, 2);
    spec.signer = Signer::Key(new);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
    let second = world.text(&state_path(&spec)).await.expect("a state");
    world.backend.lose_node().await;
    let left = world.deployer.list().await.expect("a list");
    assert_eq!(
        (left.len(), left[0].spec, &left[0].state),
        (1, None, &NodeState::Stopped)
    );
    world.deployer.delete(CONSUMER).await.expect("deleted");
    let archived = |state: String| Some(Held::Archived(Some(state.into())));
    assert_eq!(
        (world.keys.held(&old), world.keys.held(&new)),
        (archived(first), archived(second))
    );
    assert!(!world.backend.has_storage().await);
    assert_eq!(world.deployer.list().await, Ok(vec![]));
}
