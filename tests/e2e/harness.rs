//! The test bed itself: what the other end-to-end tests stand on.

use std::path::Path;
use std::time::Instant;

use ics_tests::provider::{ProviderChain, ProviderSpec};
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
    println!("block 1 after {:.1?}", start.elapsed());
    assert_eq!(details(&chain, "alice").await?, "p2p=0123@10.77.0.1");

    chain.edit_details("bob", "p2p=4567@10.77.0.2").await?;
    assert_eq!(details(&chain, "bob").await?, "p2p=4567@10.77.0.2");

    chain.stop_node("charlie").await?;
    let height = chain.height("alice").await?;
    chain.wait_for_height("alice", height + 3).await?;
    chain.start_node("charlie")?;
    let restart = Instant::now();
    chain.wait_for_height("charlie", height + 3).await?;
    println!("caught up after {:.1?}", restart.elapsed());
    let powers = chain.rpc("charlie")?.validators(height + 3).await?;
    assert_eq!(
        powers.iter().map(|(_, power)| power).collect::<Vec<_>>(),
        [&500, &300, &200]
    );
    assert!(is_private(&chain.mnemonic_file("owner")?));
    println!("all of it took {:.1?}", start.elapsed());
    chain.stop().await
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
