//! One signer per key, whatever happens to volume, state and key store.

use std::time::Duration;

use ics_core::artifact::ArtifactRef;
use ics_core::deploy::{Deployer as _, NodeSigner, NodeState};
use ics_core::failure::FailureKind;
use ics_core::keystore::StorageId;
use ics_core::node::{NodeSpec, Signer};

use crate::world::{CONSUMER, Held, World, eventually, run_first};
use crate::{key_path, signs, state_path, wait_for_file, withheld};

#[tokio::test]
async fn an_apply_interrupted_before_the_binding_is_done_again() {
    let world = World::new().await;
    let spec = world.spec();
    world.keys.break_writes(1);
    let failure = world.deployer.apply(&spec).await.expect_err("bind fails");
    assert!(failure.message.contains("full"), "{failure}");
    assert_eq!(world.running().await, 0);
    assert_eq!(
        world.file(&key_path(&spec)).await,
        None,
        "a key before its binding"
    );
    assert_eq!(
        world.deployer.list().await.expect("a list")[0].state,
        NodeState::Stopped
    );
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(
        (status.state, status.signer),
        (NodeState::Running, signs(&spec))
    );
}

#[tokio::test]
async fn a_volume_made_anew_comes_back_without_the_key() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    world.remove_container().await;
    world.remove_volume().await;
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.state, NodeState::Running);
    assert!(
        withheld(&status).contains("restore the volume labelled ics-monitor.storage="),
        "{status:?}"
    );
    assert_eq!(world.file(&key_path(&spec)).await, None);
    assert_eq!(world.file("config/priv_validator_key.json").await, None);
    let config = world.file("config/config.toml").await.expect("a file").text;
    assert_eq!(config, spec.files(false)["config/config.toml"]);
    assert_eq!(world.deployer.apply(&spec).await, Ok(status), "not settled");
}

#[tokio::test]
async fn a_lost_or_empty_signer_state_withholds_the_key() {
    for (damage, left) in [("/bin/busybox rm", None), (": >", Some(""))] {
        let world = World::new().await;
        let spec = world.spec();
        let mut breaking = spec.clone();
        let path = state_path(&spec);
        breaking.program.command = run_first(&format!("{damage} /data/node/{path}"));
        let status = world.deployer.apply(&breaking).await.expect("applied");
        assert_eq!(status.signer, signs(&spec));
        wait_for_file(&world, &path, |it| it == left).await;
        let status = world.deployer.apply(&spec).await.expect("applied");
        assert!(withheld(&status).contains("state"), "{damage}: {status:?}");
        let found = world.file(&path).await.map(|it| it.text);
        assert_eq!(found.as_deref(), left, "a state was made up");
    }
}

#[tokio::test]
async fn a_signer_state_that_is_there_is_never_overwritten() {
    let world = World::new().await;
    let mut spec = world.spec();
    let path = state_path(&spec);
    let state = "{\"height\":\"41\",\"round\":0,\"step\":3}";
    spec.program.command = run_first(&format!("echo -n '{state}' > /data/node/{path}"));
    world.deployer.apply(&spec).await.expect("applied");
    wait_for_file(&world, &path, |it| it == Some(state)).await;
    let key = spec.signer.stored().expect("a key");
    world.keys.set(&key, Held::Unbound);
    let plain = NodeSpec {
        program: world.spec().program,
        ..spec
    };
    let status = world.deployer.apply(&plain).await.expect("applied");
    assert_eq!(status.signer, signs(&plain));
    let found = world.file(&path).await.expect("a state").text;
    assert_eq!(found, state);
}

#[tokio::test]
async fn a_key_bound_elsewhere_signs_once_it_is_bound_here() {
    let world = World::new().await;
    let spec = world.spec();
    let key = spec.signer.stored().expect("a key");
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

#[tokio::test]
async fn a_withheld_key_that_a_person_put_at_the_default_path_is_refused() {
    let world = World::new().await;
    let mut spec = world.spec();
    let key = key_path(&spec);
    let copy =
        format!("/bin/busybox cp /data/node/{key} /data/node/config/priv_validator_key.json");
    spec.program.command = run_first(&copy);
    world.deployer.apply(&spec).await.expect("applied");
    wait_for_file(&world, "config/priv_validator_key.json", |it| it.is_some()).await;
    let key = spec.signer.stored().expect("a key");
    world.keys.set(&key, Held::Archived(None));
    let failure = world.deployer.apply(&spec).await.expect_err("a stray key");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("remove this file"), "{failure}");
    assert_eq!(world.running().await, 0);
}

#[tokio::test]
async fn a_full_node_has_no_signer_folder() {
    let world = World::new().await;
    let mut spec = world.spec();
    spec.signer = Signer::None;
    spec.genesis = ArtifactRef {
        ..world.artifacts.reference()
    };
    let status = world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, NodeSigner::None);
    assert_eq!(world.file("signers").await, None);
    world.deployer.delete(CONSUMER).await.expect("deleted");
}

#[tokio::test]
async fn an_apply_cut_off_anywhere_ends_with_one_signing_node() {
    for millis in [2, 10, 25, 50, 80, 120, 180, 260, 400] {
        let world = World::new().await;
        let spec = world.spec();
        let cut = Duration::from_millis(millis);
        // Either end of the race is a point at which a monitor may die.
        tokio::time::timeout(cut, world.deployer.apply(&spec))
            .await
            .ok();
        let status = eventually("an apply after the cut", async || {
            // The engine may still be busy with what was asked of it before.
            world.deployer.apply(&spec).await.ok()
        })
        .await;
        assert_eq!(status.signer, signs(&spec), "cut after {millis} ms");
        assert_eq!(status.state, NodeState::Running, "cut after {millis} ms");
        assert_eq!(world.running().await, 1, "cut after {millis} ms");
    }
}
