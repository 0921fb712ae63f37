//! A key that is replaced, and one that comes back: one signer, and no state lost.

use std::time::Duration;

use ics_core::deploy::{Deployer as _, NodeState};
use ics_core::keystore::{KeyRef, StorageId};
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

use crate::world::{CONSUMER, Held, World, eventually, run_first};
use crate::{key_path, signs, state_path, wait_for_file, withheld};

/// What the first key has signed when it is replaced.
const SIGNED: &str = "{\"height\":\"41\",\"round\":0,\"step\":3,\"signature\":\"AA==\"}";

/// A node whose first key has signed, and the same node with another key.
async fn signed() -> (World, NodeSpec, NodeSpec) {
    let world = World::new().await;
    let mut first = world.spec();
    let plain = first.program.clone();
    let path = state_path(&first);
    first.program.command = run_first(&format!("echo -n '{SIGNED}' > /data/node/{path}"));
    world.deployer.apply(&first).await.expect("applied");
    wait_for_file(&world, &path, |it| it == Some(SIGNED)).await;
    first.program = plain;
    let second = NodeSpec {
        signer: Signer::Key(world.keys.add(CONSUMER, 2)),
        ..first.clone()
    };
    (world, first, second)
}

fn key(spec: &NodeSpec) -> KeyRef {
    spec.signer.stored().expect("a key")
}

fn archived(state: &str) -> Option<Held> {
    Some(Held::Archived(Some(state.into())))
}

async fn state(world: &World, spec: &NodeSpec) -> String {
    let found = world.file(&state_path(spec)).await;
    found.expect("a state").text
}

#[tokio::test]
async fn the_old_key_is_archived_with_its_state_and_the_new_one_starts_from_nothing() {
    let (world, first, second) = signed().await;
    let status = world.deployer.apply(&second).await.expect("applied");
    assert_eq!(
        (&status.state, &status.signer),
        (&NodeState::Running, &signs(&second))
    );
    assert_eq!(world.running().await, 1);
    assert_eq!(world.keys.held(&key(&first)), archived(SIGNED));
    assert!(matches!(
        world.keys.held(&key(&second)),
        Some(Held::BoundTo(_))
    ));
    assert_eq!(state(&world, &second).await, SignerState::zero().text());
    for path in [key_path(&second), state_path(&second)] {
        let found = world.file(&path).await.expect("a file");
        assert_eq!((found.mode, found.owner), (0o600, (1000, 1000)), "{path}");
    }
    let config = world.file("config/config.toml").await.expect("a file").text;
    assert!(config.contains(&key_path(&second)), "{config}");
    assert!(!config.contains(&key_path(&first)), "{config}");
    assert_eq!(
        world.deployer.apply(&second).await,
        Ok(status),
        "not settled"
    );
}

#[tokio::test]
async fn a_key_that_comes_back_goes_on_where_it_ended() {
    let (world, first, second) = signed().await;
    world.deployer.apply(&second).await.expect("applied");
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_eq!(status.signer, signs(&first));
    assert_eq!(state(&world, &first).await, SIGNED);
    let zero = SignerState::zero();
    assert_eq!(world.keys.held(&key(&second)), archived(zero.text()));
    // Also on another volume.
    world.deployer.apply(&second).await.expect("applied");
    world.remove_container().await;
    world.remove_volume().await;
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_eq!(status.signer, signs(&first));
    let path = state_path(&first);
    let found = world.file(&path).await.expect("a state");
    assert_eq!((found.mode, found.owner), (0o600, (1000, 1000)));
    assert_eq!(found.text, SIGNED);
    let status = world.deployer.apply(&second).await.expect("applied");
    assert!(
        withheld(&status).contains("restore the volume"),
        "{status:?}"
    );
    assert_eq!(world.keys.held(&key(&first)), archived(SIGNED));
}

#[tokio::test]
async fn a_state_in_the_volume_gives_way_to_a_later_one_alone() {
    let later = SIGNED.replace("41", "57");
    for (kept, expected) in [("5", SIGNED), ("57", later.as_str())] {
        let (world, first, second) = signed().await;
        world.deployer.apply(&second).await.expect("applied");
        let state_kept = SIGNED.replace("41", kept).into();
        world
            .keys
            .set(&key(&first), Held::Archived(Some(state_kept)));
        let status = world.deployer.apply(&first).await.expect("applied");
        assert_eq!(status.signer, signs(&first));
        assert_eq!(state(&world, &first).await, expected);
    }
}

#[tokio::test]
async fn a_copy_of_a_key_that_signs_elsewhere_is_not_archived() {
    let (world, first, second) = signed().await;
    let elsewhere = Held::BoundTo(StorageId::new("ffff").expect("an id"));
    world.keys.set(&key(&first), elsewhere.clone());
    world.deployer.apply(&second).await.expect("applied");
    assert_eq!(world.keys.held(&key(&first)), Some(elsewhere));
    world.deployer.delete(CONSUMER).await.expect("deleted");
    // The state of the copy is not the last one.
    let lost = Some(Held::Archived(None));
    assert_eq!(world.keys.held(&key(&first)), lost);
}

#[tokio::test]
async fn a_replaced_key_without_its_state_is_archived_as_lost() {
    let (world, first, second) = signed().await;
    let path = state_path(&first);
    let mut breaking = first.clone();
    breaking.program.command = run_first(&format!("/bin/busybox rm /data/node/{path}"));
    world.deployer.apply(&breaking).await.expect("applied");
    wait_for_file(&world, &path, |it| it.is_none()).await;
    world.deployer.apply(&second).await.expect("applied");
    let status = world.deployer.apply(&first).await.expect("applied");
    assert!(
        withheld(&status).contains("assign another key"),
        "{status:?}"
    );
    assert_eq!(world.file(&path).await, None, "a state was made up");
}

#[tokio::test]
async fn nothing_signs_while_the_old_key_cannot_be_archived_or_the_new_one_bound() {
    let (world, first, second) = signed().await;
    let fails = async |why: &str| {
        world.keys.break_writes(1);
        let failure = world.deployer.apply(&second).await.expect_err(why);
        assert!(failure.message.contains("full"), "{failure}");
        assert_eq!(world.running().await, 0);
        let placed = world.file(&key_path(&second)).await;
        assert_eq!(placed, None, "a key before its binding");
    };
    fails("archiving").await;
    assert!(matches!(
        world.keys.held(&key(&first)),
        Some(Held::BoundTo(_))
    ));
    world
        .keys
        .set(&key(&first), Held::Archived(Some(SIGNED.into())));
    fails("binding").await;
    assert_eq!(world.keys.held(&key(&second)), Some(Held::Unbound));
    // Either key may be asked for next.
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_eq!(status.signer, signs(&first));
    assert_eq!(state(&world, &first).await, SIGNED);
    let status = world.deployer.apply(&second).await.expect("applied");
    assert_eq!(status.signer, signs(&second));
    assert_eq!(world.keys.held(&key(&first)), archived(SIGNED));
}

#[tokio::test]
async fn a_switch_cut_off_anywhere_ends_with_one_signing_node_and_the_old_state_kept() {
    for millis in [2, 10, 30, 80, 150, 220, 300, 400, 550, 700] {
        let (world, first, second) = signed().await;
        let cut = Duration::from_millis(millis);
        // Either end of the race is a point at which a monitor may die.
        tokio::time::timeout(cut, world.deployer.apply(&second))
            .await
            .ok();
        let status = eventually("an apply after the cut", async || {
            // The engine may still be busy with what was asked of it before.
            world.deployer.apply(&second).await.ok()
        })
        .await;
        assert_eq!(status.signer, signs(&second), "cut after {millis} ms");
        assert_eq!(status.state, NodeState::Running, "cut after {millis} ms");
        assert_eq!(world.running().await, 1, "cut after {millis} ms");
        let kept = world.keys.held(&key(&first));
        assert_eq!(kept, archived(SIGNED), "cut after {millis} ms");
    }
}
