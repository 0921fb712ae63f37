//! The test bed itself: what the other end-to-end tests stand on.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use ics_tests::engine::Engine;
use ics_tests::image;
use ics_tests::owner::{PreCcv, PreCcvSpec};
use ics_tests::process::{Lifetime, stop_recorded};
use ics_tests::provider::{Profile, ProviderChain, ProviderSpec};
use ics_tests::{Daemons, Error};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("the system's folder for temporary files can be written")
}

#[tokio::test]
async fn daemons_are_built_once() -> Result<(), Error> {
    let first = Daemons::build().await?;
    assert!(first.provider().is_file() && first.consumer().is_file());
    assert_eq!(Daemons::build().await?.provider(), first.provider());
    Ok(())
}

#[tokio::test]
async fn a_restarted_validator_catches_up() -> Result<(), Error> {
    let daemons = Daemons::build().await?;
    let folder = folder();
    let mut spec = ProviderSpec::default();
    spec.validators[0].details = Some("p2p=0123@10.77.0.1".to_owned());
    let start = Instant::now();
    let mut chain = ProviderChain::start(&daemons, spec, folder.path()).await?;
    eprintln!("block 1 after {:.1?}", start.elapsed());
    assert_eq!(details(&chain, "alice").await?, "p2p=0123@10.77.0.1");

    chain.edit_details("bob", "p2p=4567@10.77.0.2").await?;
    assert_eq!(details(&chain, "bob").await?, "p2p=4567@10.77.0.2");

    chain.stop_node("charlie").await?;
    let height = chain.height("alice").await?;
    chain.wait_for_height("alice", height + 3).await?;
    chain.start_node("charlie")?;
    let restart = Instant::now();
    chain.wait_for_height("charlie", height + 3).await?;
    eprintln!("caught up after {:.1?}", restart.elapsed());
    let powers = chain.rpc("charlie")?.validators(height + 3).await?;
    assert_eq!(
        powers.iter().map(|(_, power)| power).collect::<Vec<_>>(),
        [&500, &300, &200]
    );
    assert!(is_private(&chain.mnemonic_file("owner")?));
    eprintln!("all of it took {:.1?}", start.elapsed());
    chain.stop().await
}

#[tokio::test]
async fn a_detached_chain_outlives_its_handle() -> Result<(), Error> {
    let daemons = Daemons::build().await?;
    let folder = folder();
    let mut spec = ProviderSpec {
        lifetime: Lifetime::Detached,
        profile: Profile::Short,
        ..ProviderSpec::default()
    };
    spec.validators.truncate(1);
    let chain = ProviderChain::start(&daemons, spec, folder.path()).await?;
    let rpc = chain.rpc("alice")?.clone();
    let staking = chain.query(&["query", "staking", "params"]).await;
    drop(chain);
    let outlived = rpc.height().await;
    let stopped = stop_recorded(folder.path(), Duration::from_secs(10)).await?;
    assert!(outlived? >= 1);
    assert_eq!(staking?["params"]["unbonding_time"], "40s");
    assert_eq!(stopped, ["alice"]);
    assert!(rpc.height().await.is_err());
    Ok(())
}

async fn details(chain: &ProviderChain, name: &str) -> Result<String, Error> {
    let operator = chain.operator_address(name)?;
    let answer = chain
        .query(&["query", "staking", "validator", &operator])
        .await?;
    Ok(answer["validator"]["description"]["details"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn is_private(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.mode() & 0o777 == 0o600)
}

#[tokio::test]
async fn the_same_spec_gives_the_same_genesis() -> Result<(), Error> {
    let daemons = Daemons::build().await?;
    let folder = folder();
    let spec = PreCcvSpec {
        chain_id: "consumer-1",
        initial_height: 1,
        genesis_time: "2026-01-01T00:00:00Z",
        funded: &["cosmos1euvx7wtr9amt2439cca8u4xhnrwwpxmd39rsl9"],
    };
    let one = PreCcv::make(&daemons, &folder.path().join("one"), &spec).await?;
    let two = PreCcv::make(&daemons, &folder.path().join("two"), &spec).await?;
    assert_eq!(one.sha256, two.sha256);
    let home = folder.path().join("validate");
    let validated = std::process::Command::new(daemons.consumer())
        .args(["genesis", "validate"])
        .arg(&one.path)
        .arg("--home")
        .arg(&home)
        .env("HOME", &home)
        .output();
    let validated = validated.expect("the daemon has run before");
    assert!(
        validated.status.success(),
        "{}",
        String::from_utf8_lossy(&validated.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn the_engine_is_given_the_image_once() -> Result<(), Error> {
    let daemons = Daemons::build().await?;
    let start = Instant::now();
    let engine = Engine::find_or_start(Lifetime::Tied).await?;
    eprintln!(
        "engine at {} after {:.1?}",
        engine.socket().display(),
        start.elapsed()
    );
    let start = Instant::now();
    let image = image::consumer(&engine, &daemons).await?;
    eprintln!("image {image} after {:.1?}", start.elapsed());
    assert_eq!(image::consumer(&engine, &daemons).await?, image);
    Ok(())
}
