//! A key that is replaced, and one that comes back: one signer, and no state lost.

use ics_core::keystore::StorageId;
use ics_core::node::{NodeSpec, Signer};
use ics_core::signer::SignerState;

use crate::backend::Backend;
use crate::stores::Held;
use crate::world::{CONSUMER, World, assert_signs, key_of, key_path, state_path, withheld};

/// What the first key has signed when it is replaced.
pub(crate) const SIGNED: &str = "{\"height\":\"41\",\"round\":0,\"step\":3,\"signature\":\"AA==\"}";

/// A node whose first key has signed, and the same node with another key.
pub(crate) async fn signed<B: Backend>(world: &World<B>) -> (NodeSpec, NodeSpec) {
    let first = world.spec();
    world.deployer.apply(&first).await.expect("applied");
    world.backend.write(&state_path(&first), Some(SIGNED)).await;
    let second = NodeSpec {
        signer: Signer::Key(world.keys.add(CONSUMER, 2)),
        ..first.clone()
    };
    (first, second)
}

pub(crate) fn archived(state: &str) -> Option<Held> {
    Some(Held::Archived(Some(state.into())))
}

async fn text<B: Backend>(world: &World<B>, spec: &NodeSpec) -> String {
    world.text(&state_path(spec)).await.expect("a state")
}

async fn height<B: Backend>(world: &World<B>, spec: &NodeSpec) -> u64 {
    let text = text(world, spec).await;
    SignerState::read(text.as_bytes())
        .expect("a state")
        .height()
}

/// Whether the key goes on from this height: where the platform has no real program, the double
/// has signed the next one already.
#[track_caller]
fn assert_goes_on(height: u64, from: u64) {
    assert!((from..=from + 1).contains(&height), "{height} after {from}");
}

pub(crate) async fn the_old_key_is_archived_with_its_state_and_the_new_one_starts_from_nothing<
    B: Backend,
>(
    world: World<B>,
) {
    let (first, second) = signed(&world).await;
    let status = world.deployer.apply(&second).await.expect("applied");
    assert_signs(&status, &second);
    assert_eq!(world.backend.running().await, 1);
    assert_eq!(world.keys.held(&key_of(&first)), archived(SIGNED));
    assert!(matches!(
        world.keys.held(&key_of(&second)),
        Some(Held::BoundTo(_))
    ));
    assert_goes_on(height(&world, &second).await, 0);
    for path in [key_path(&second), state_path(&second)] {
        let found = world.backend.file(&path).await.expect("a file");
        let expected = (0o600, world.backend.owner());
        assert_eq!((found.mode, found.owner), expected, "{path}");
    }
    let config = world.text("config/config.toml").await.expect("a file");
    assert!(config.contains(&key_path(&second)), "{config}");
    assert!(!config.contains(&key_path(&first)), "{config}");
    let again = world.deployer.apply(&second).await;
    assert_eq!(again, Ok(status), "not settled");
}

pub(crate) async fn a_key_that_comes_back_goes_on_where_it_ended<B: Backend>(world: World<B>) {
    let (first, second) = signed(&world).await;
    world.deployer.apply(&second).await.expect("applied");
    let last = text(&world, &second).await;
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_signs(&status, &first);
    assert_goes_on(height(&world, &first).await, 41);
    assert_eq!(world.keys.held(&key_of(&second)), archived(&last));
    // Also on another storage.
    let last = text(&world, &first).await;
    world.deployer.apply(&second).await.expect("applied");
    world.backend.lose_storage().await;
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_signs(&status, &first);
    let from = SignerState::read(last.as_bytes()).expect("a state");
    assert_goes_on(height(&world, &first).await, from.height());
    let path = state_path(&first);
    let found = world.backend.file(&path).await.expect("a state");
    let expected = (0o600, world.backend.owner());
    assert_eq!((found.mode, found.owner), expected);
    let last = found.text;
    let status = world.deployer.apply(&second).await.expect("applied");
    assert!(withheld(&status).contains("restore the"), "{status:?}");
    assert_eq!(world.keys.held(&key_of(&first)), archived(&last));
}

pub(crate) async fn a_state_in_the_storage_gives_way_to_a_later_one_alone<B: Backend>(
    world: World<B>,
) {
    let (first, second) = signed(&world).await;
    for (kept, from) in [(5, 41), (57, 57)] {
        world.deployer.apply(&second).await.expect("applied");
        let state = SIGNED.replace("41", &kept.to_string());
        world
            .keys
            .set(&key_of(&first), archived(&state).expect("a state"));
        let status = world.deployer.apply(&first).await.expect("applied");
        assert_signs(&status, &first);
        assert_goes_on(height(&world, &first).await, from);
    }
}

pub(crate) async fn a_copy_of_a_key_that_signs_elsewhere_is_not_archived<B: Backend>(
    world: World<B>,
) {
    let (first, second) = signed(&world).await;
    let elsewhere = Held::BoundTo(StorageId::new("ffff").expect("an id"));
    world.keys.set(&key_of(&first), elsewhere.clone());
    world.deployer.apply(&second).await.expect("applied");
    assert_eq!(world.keys.held(&key_of(&first)), Some(elsewhere));
    world.deployer.delete(CONSUMER).await.expect("deleted");
    // The state of the copy is not the last one.
    let lost = Some(Held::Archived(None));
    assert_eq!(world.keys.held(&key_of(&first)), lost);
}

pub(crate) async fn a_replaced_key_without_its_state_is_archived_as_lost<B: Backend>(
    world: World<B>,
) {
    let (first, second) = signed(&world).await;
    let path = state_path(&first);
    world.backend.write(&path, None).await;
    world.deployer.apply(&second).await.expect("applied");
    assert_eq!(world.keys.held(&key_of(&first)), Some(Held::Archived(None)));
    let status = world.deployer.apply(&first).await.expect("applied");
    assert!(
        withheld(&status).contains("assign another key"),
        "{status:?}"
    );
    assert_eq!(world.text(&path).await, None, "a state was made up");
}

pub(crate) async fn nothing_signs_while_the_old_key_cannot_be_archived_or_the_new_one_bound<
    B: Backend,
>(
    world: World<B>,
) {
    let (first, second) = signed(&world).await;
    let fails = async |why: &str| {
        world.keys.break_writes(1);
        let failure = world.deployer.apply(&second).await.expect_err(why);
        assert!(failure.message.contains("full"), "{failure}");
        assert_eq!(world.backend.running().await, 0);
        let placed = world.text(&key_path(&second)).await;
        assert_eq!(placed, None, "a key before its binding");
    };
    fails("archiving").await;
    assert!(matches!(
        world.keys.held(&key_of(&first)),
        Some(Held::BoundTo(_))
    ));
    world
        .keys
        .set(&key_of(&first), archived(SIGNED).expect("a state"));
    fails("binding").await;
    assert_eq!(world.keys.held(&key_of(&second)), Some(Held::Unbound));
    // Either key may be asked for next.
    let status = world.deployer.apply(&first).await.expect("applied");
    assert_signs(&status, &first);
    assert_goes_on(height(&world, &first).await, 41);
    let last = text(&world, &first).await;
    let status = world.deployer.apply(&second).await.expect("applied");
    assert_signs(&status, &second);
    assert_eq!(world.keys.held(&key_of(&first)), archived(&last));
}
