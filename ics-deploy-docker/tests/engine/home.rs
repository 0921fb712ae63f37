//! What lies in the node's home.

use ics_core::artifact::Digest;
use ics_core::deploy::Deployer as _;
use ics_core::failure::FailureKind;
use ics_core::home::folder_of;
use ics_core::signer::SignerState;

use crate::world::{Genesis, World, eventually, peer, run_first};
use crate::{key_path, signs, state_path};

#[tokio::test]
async fn the_home_has_its_files_with_modes_and_owner() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    for folder in [
        "",
        "config",
        "data",
        "signers",
        &folder_of(spec.signer.stored().expect("a key").public_key),
    ] {
        let found = world.file(folder).await.expect(folder);
        assert_eq!(
            (found.mode, found.owner),
            (0o700, (1000, 1000)),
            "{folder:?}"
        );
    }
    let genesis = String::from_utf8_lossy(&world.artifacts.0).into_owned();
    let mut files = vec![
        ("config/genesis.json".to_owned(), Some(genesis)),
        ("config/node_key.json".to_owned(), None),
        (key_path(&spec), None),
        (
            state_path(&spec),
            Some(SignerState::zero().text().to_owned()),
        ),
    ];
    for (path, text) in spec.files(true) {
        files.push((path.to_owned(), Some(text)));
    }
    for (path, text) in files {
        let found = world.file(&path).await.expect(&path);
        assert_eq!((found.mode, found.owner), (0o600, (1000, 1000)), "{path}");
        if let Some(text) = text {
            assert_eq!(found.text, text, "{path}");
        }
    }
}

#[tokio::test]
async fn new_peers_reach_the_file_without_a_restart() {
    let world = World::new().await;
    let mut spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let before = world.inspect().await;
    spec.persistent_peers = vec![peer("peer.example.com")];
    world.deployer.apply(&spec).await.expect("applied");
    let after = world.inspect().await;
    assert_eq!(after.id, before.id);
    assert_eq!(
        after.state.and_then(|it| it.started_at),
        before.state.and_then(|it| it.started_at)
    );
    let config = world.file("config/config.toml").await.expect("a file").text;
    assert!(config.contains("peer.example.com"), "{config}");
}

#[tokio::test]
async fn another_genesis_is_refused_even_without_the_container() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    let mut other = spec.clone();
    other.genesis.digest = Digest::new([1; 32]);
    let failure = world.deployer.apply(&other).await.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert_eq!(world.running().await, 1, "the old node was stopped");
    world.remove_container().await;
    assert!(world.deployer.apply(&other).await.is_err());
}

#[tokio::test]
async fn a_large_genesis_is_streamed_and_a_wrong_one_refused() {
    let world = World::new().await;
    let mut spec = world.spec();
    let large: Vec<u8> = (0..48_000_000_u32).map(|it| (it % 251) as u8).collect();
    let large = Genesis(large);
    spec.genesis = large.reference();
    let mut wrong = large.clone();
    wrong.0[40_000_000] ^= 1;
    let mut short = large.clone();
    short.0.truncate(30_000_000);
    let mut long = large.clone();
    long.0.push(b' ');
    for bad in [wrong, short, long] {
        let deployer = world.deployer_with(bad).await;
        let failure = deployer.apply(&spec).await.expect_err("not that genesis");
        assert_eq!(failure.kind, FailureKind::Permanent, "{failure}");
        assert!(failure.message.contains("build it anew"), "{failure}");
        assert_eq!(world.running().await, 0);
    }
    let deployer = world.deployer_with(large.clone()).await;
    let status = deployer.apply(&spec).await.expect("applied");
    assert_eq!(status.signer, signs(&spec));
    let script = "/bin/busybox sha256sum /data/node/config/genesis.json > /data/node/sum";
    spec.program.command = run_first(script);
    deployer.apply(&spec).await.expect("applied");
    let sum = eventually("the sum", async || {
        let found = world.file("sum").await.map(|it| it.text);
        found.filter(|it| !it.is_empty())
    })
    .await;
    assert!(sum.starts_with(&Digest::of(&large.0).to_string()), "{sum}");
}
