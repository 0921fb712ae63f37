//! What lies in the node's home.

use ics_core::artifact::Digest;
use ics_core::failure::FailureKind;
use ics_core::home::folder_of;
use ics_core::signer::SignerState;

use crate::backend::Backend;
use crate::stores::Genesis;
use crate::world::{World, assert_signs, key_of, key_path, peer, state_path};

pub(crate) async fn the_home_has_its_files_with_modes_and_owner<B: Backend>(world: World<B>) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let own = folder_of(key_of(&spec).public_key);
    for folder in ["", "config", "data", "signers", &own] {
        let found = world.backend.file(folder).await.expect(folder);
        let expected = (0o700, world.backend.owner());
        assert_eq!((found.mode, found.owner), expected, "{folder:?}");
    }
    let genesis = String::from_utf8_lossy(&world.artifacts.0).into_owned();
    let mut files = vec![
        ("config/genesis.json".to_owned(), Some(genesis)),
        ("config/node_key.json".to_owned(), None),
        (key_path(&spec), None),
        (state_path(&spec), None),
    ];
    for (path, text) in spec.files(true) {
        files.push((path.to_owned(), Some(text)));
    }
    for (path, text) in files {
        let found = world.backend.file(&path).await.expect(&path);
        let expected = (0o600, world.backend.owner());
        assert_eq!((found.mode, found.owner), expected, "{path}");
        if let Some(text) = text {
            assert_eq!(found.text, text, "{path}");
        }
    }
    let state = world.text(&state_path(&spec)).await.expect("a state");
    // A node may have signed at once.
    let state = SignerState::read(state.as_bytes()).expect("a state");
    assert!(state.height() <= 1, "{state:?}");
}

pub(crate) async fn new_peers_reach_the_file_without_a_restart<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let run = world.backend.run().await;
    spec.persistent_peers = vec![peer("peer.example.com")];
    world.deployer.apply(&spec).await.expect("applied");
    assert_eq!(world.backend.run().await, run);
    let config = world.text("config/config.toml").await.expect("a file");
    assert!(config.contains("peer.example.com"), "{config}");
}

pub(crate) async fn another_genesis_is_refused_even_without_the_node<B: Backend>(world: World<B>) {
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let mut other = spec.clone();
    other.genesis.digest = Digest::new([1; 32]);
    let failure = world.deployer.apply(&other).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    let running = world.backend.running().await;
    assert_eq!(running, 1, "the old node was stopped");
    world.backend.lose_node().await;
    assert!(world.deployer.apply(&other).await.is_err());
}

pub(crate) async fn a_large_genesis_is_streamed_and_a_wrong_one_refused<B: Backend>(
    world: World<B>,
) {
    let mut spec = world.spec();
    let large: Vec<u8> = (0..16_000_000_u32).map(|it| (it % 127) as u8).collect();
    let large = Genesis(large);
    spec.genesis = large.reference();
    let mut wrong = large.clone();
    wrong.0[12_000_000] ^= 1;
    let mut short = large.clone();
    short.0.truncate(10_000_000);
    let mut long = large.clone();
    long.0.push(b' ');
    for bad in [wrong, short, long] {
        let deployer = world.deployer_with(bad).await;
        let failure = deployer.apply(&spec).await.expect_err("not that genesis");
        assert_eq!(failure.kind, FailureKind::Permanent, "{failure}");
        assert!(failure.message.contains("build it anew"), "{failure}");
        assert_eq!(world.backend.running().await, 0);
    }
    let deployer = world.deployer_with(large.clone()).await;
    let status = deployer.apply(&spec).await.expect("applied");
    assert_signs(&status, &spec);
    let placed = world.text("config/genesis.json").await.expect("a genesis");
    let same = placed.as_bytes() == large.0;
    assert!(same, "{} bytes", placed.len());
}
