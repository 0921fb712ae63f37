//! The test bed itself: what the other end-to-end tests stand on.

use ics_tests::{Daemons, Error};

#[tokio::test]
async fn daemons_are_built_once() -> Result<(), Error> {
    let first = Daemons::build().await?;
    assert!(first.provider().is_file() && first.consumer().is_file());
    assert_eq!(Daemons::build().await?.provider(), first.provider());
    Ok(())
}
