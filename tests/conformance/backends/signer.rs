//! One signer per key, whatever happens to storage, state and key store.

use ics_core::deploy::{NodeSigner, NodeState};
use ics_core::failure::FailureKind;
use ics_core::home::DEFAULT_KEY_FILE;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::keystore::StorageId;
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

use crate::backend::Backend;
use crate::stores::Held;
use crate::world::{
    CONSUMER, World, assert_signs, free_ports, key_of, key_path, moniker, signs, state_path,
    withheld,
};

const SIGNED: &str = "{\"height\":\"41\",\"round\":0,\"step\":3}";

pub(crate) async fn an_apply_interrupted_before_the_binding_is_done_again<B: Backend>(
    world: World<B>,
) {
    let spec = world.spec();
    world.keys.break_writes(1);
    let failure = world.deployer.apply(&spec).await.expect_err("bind fails");
    assert!(failure.message.contains("full"), "{failure}");
    assert_eq!(world.backend.running().await, 0);
    let placed = world.text(&key_path(&spec)).await;
    assert_eq!(placed, None, "a key before its binding");
    let listed = world.deployer.list().await.expect("a list");
    assert_eq!(listed[0].state, NodeState::Stopped);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
}

pub(crate) async fn a_storage_made_anew_comes_back_without_the_key<B: Backend>(world: World<B>) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    world.backend.lose_storage().await;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.state, NodeState::Running);
    assert!(withheld(&status).contains("restore the"), "{status:?}");
    for path in [&key_path(&spec), DEFAULT_KEY_FILE] {
        assert_eq!(world.backend.file(path).await, None, "{path}");
    }
    let config = world.text("config/config.toml").await.expect("a file");
    assert_eq!(config, spec.files(false)["config/config.toml"]);
    assert_eq!(world.backend.running().await, 1);
    assert_eq!(world.deployer.apply(&spec).await, Ok(status), "not settled");
}

pub(crate) async fn a_lost_or_empty_signer_state_withholds_the_key<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    let path = state_path(&spec);
    for (number, left) in [Some(""), None].into_iter().enumerate() {
        spec.settings.moniker = moniker(&format!("before-{number}"));
        let status = world.deployer.apply(&spec).await.expect("applied");
        assert_signs(&status, &spec);
        world.backend.write(&path, left).await;
        spec.settings.moniker = moniker(&format!("after-{number}"));
        let status = world.deployer.apply(&spec).await.expect("applied");
        assert!(withheld(&status).contains("state"), "{status:?}");
        let found = world.text(&path).await;
        assert_eq!(found.as_deref(), left, "a state was made up");
        // Restored by a person.
        world.backend.write(&path, Some(SIGNED)).await;
    }
}

pub(crate) async fn a_signer_state_that_is_there_is_never_overwritten<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let path = state_path(&spec);
    world.backend.write(&path, Some(SIGNED)).await;
    world.keys.set(&key_of(&spec), Held::Unbound);
    spec.settings.moniker = moniker("other");
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
    let found = world.text(&path).await.expect("a state");
    let found = SignerState::read(found.as_bytes()).expect("a state");
    assert!(found.height() >= 41, "{found:?}");
}

pub(crate) async fn a_key_bound_elsewhere_signs_once_it_is_bound_here<B: Backend>(world: World<B>) {
    let spec = world.spec();
    let key = key_of(&spec);
    let elsewhere = StorageId::new("ffff").expect("an id");
    world.keys.set(&key, Held::BoundTo(elsewhere));
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert!(withheld(&status).contains("ffff"), "{status:?}");
    world.keys.set(&key, Held::Archived(None));
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert!(
        matches!(status.signer, NodeSigner::Withheld(_)),
        "{status:?}"
    );
    world.keys.set(&key, Held::Unbound);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, signs(&spec));
    world.keys.set(&key, Held::Archived(None));
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert!(
        withheld(&status).contains("archived without its last signer state"),
        "{status:?}"
    );
    world.keys.set(&key, Held::Unbound);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, signs(&spec));
    world.keys.forget(&key);
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert!(
        withheld(&status).contains("restore the key store"),
        "{status:?}"
    );
}

pub(crate) async fn a_key_signs_under_one_chain_id_for_one_consumer_also_once_that_is_deleted<
    B: Backend,
>(
    world: World<B>,
) {
    let first = world.spec();
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_signs(&status, &first);
    let second = NodeSpec {
        consumer_id: ConsumerId::new(8),
        signer: Signer::Key(world.keys.add(ConsumerId::new(8), 1)),
        ports: free_ports(),
        ..first.clone()
    };
    let status = world.deployer.apply(&second).await.expect("applied");
    assert!(withheld(&status).contains("consumer 7"), "{status:?}");
    world.deployer.delete(CONSUMER).await.expect("deleted");
    let status = world.restarted().await.apply(&second).await;
    let status = status.expect("applied");
    assert!(withheld(&status).contains("consumer 7"), "{status:?}");
    assert_eq!(world.keys.held(&key_of(&second)), Some(Held::Unbound));
    // Under another chain id it may.
    world
        .deployer
        .delete(second.consumer_id)
        .await
        .expect("deleted");
    world.keys.set(&key_of(&second), Held::Unbound);
    let renamed = NodeSpec {
        chain_id: ChainId::new("other-1").expect("a chain id"),
        ..second
    };
    let status = world.deployer.apply(&renamed).await.expect("applied");
    assert_signs(&status, &renamed);
}

pub(crate) async fn a_withheld_key_that_a_person_put_at_the_default_path_is_refused<B: Backend>(
    world: World<B>,
) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let key = world.text(&key_path(&spec)).await.expect("a key");
    world.backend.write(DEFAULT_KEY_FILE, Some(&key)).await;
    world.keys.set(&key_of(&spec), Held::Archived(None));
    let failure = world.deployer.apply(&spec).await.expect_err("a stray key");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("remove this file"), "{failure}");
    // Nor where no key is to sign at all.
    let full_node = NodeSpec {
        signer: Signer::None,
        ..spec
    };
    let failure = world.deployer.apply(&full_node).await;
    let failure = failure.expect_err("a stray key");
    assert!(failure.message.contains("remove this file"), "{failure}");
    assert_eq!(world.backend.running().await, 0);
}

pub(crate) async fn a_full_node_has_no_signer_folder<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    spec.signer = Signer::None;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, NodeSigner::None);
    assert_eq!(world.backend.file("signers").await, None);
    world.deployer.delete(CONSUMER).await.expect("deleted");
}
