//! The main job: a consumer is created, the selected validators opt in, it launches and runs.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::time::Duration;

use ics_tests::process::Lifetime;
use ics_tests::provider::Profile;
use ics_tests::world::{World, WorldSpec};
use ics_tests::{Error, wait};

#[tokio::test]
async fn the_selected_two_of_three_run_the_consumer() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let spec = WorldSpec {
        profile: Profile::Long,
        lifetime: Lifetime::Tied,
        name: "launch".into(),
    };
    let mut world = World::start(spec, folder.path()).await?;
    world.start_monitors(&["alice", "bob", "charlie"]).await?;
    let consumer = world
        .create_consumer("consumer-1", Some(Duration::from_secs(20)))
        .await?;
    world
        .wait_for_phase(&consumer, "LAUNCHED", Duration::from_secs(40))
        .await?;
    for name in ["alice", "bob"] {
        let rpc = world.consumer_rpc(name, &consumer)?;
        wait::until(
            "block 10 of the consumer",
            Duration::from_secs(60),
            async || Ok((rpc.height().await? >= 10).then_some(())),
        )
        .await?;
        let line = world
            .monitor(name)?
            .wait_for_log("after_header_ms", Duration::from_secs(5))
            .await?;
        eprintln!("{name}: {line}");
    }
    world.stop().await
}
