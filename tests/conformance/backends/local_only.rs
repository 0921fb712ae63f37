//! What is true of processes of this machine alone: what they are told, how their end is told, and
//! two monitors by mistake.

use std::fs;
use std::path::Path;
use std::process::Command;

use ics_core::deploy::NodeState;
use ics_core::failure::FailureKind;

use crate::backend::{Backend as _, Behaviour};
use crate::local::{ChildNodes, shell};
use crate::remote::remote;
use crate::world::{self, CONSUMER, assert_signs, eventually};

type World = world::World<ChildNodes>;

#[tokio::test]
async fn a_program_is_told_its_home_and_where_it_listens() {
    let world = World::new().await;
    let mut spec = remote(&world.spec());
    spec.program = shell("echo \"$@\" > \"$HOME/told\"; env > \"$HOME/env\"; exec sleep 60");
    spec.program.command.push("start".into());
    world.deployer.apply(&spec).await.expect("applied");
    let told = eventually("its arguments", async || {
        let told = world.text("told").await?;
        let env = world.text("env").await?;
        (told.ends_with('\n') && env.contains("HOME=")).then_some((told, env))
    });
    let (told, env) = told.await;
    let home = world.backend.home();
    let (p, signer) = (spec.ports, spec.signer.port().expect("a port"));
    let expected = format!(
        "start --home {} --rpc.laddr tcp://127.0.0.1:{} --p2p.laddr tcp://127.0.0.1:{} \
         --grpc.address 127.0.0.1:{} --api.address tcp://127.0.0.1:{} \
         --priv_validator_laddr tcp://127.0.0.1:{signer}\n",
        home.display(),
        p.rpc,
        p.p2p,
        p.grpc,
        p.rest
    );
    assert_eq!(told, expected);
    // Cargo's own settings stand for any secret of the monitor.
    assert!(!env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn how_a_node_ended_is_told_with_its_last_words() {
    let world = World::new().await;
    let mut spec = world.spec();
    spec.program = shell("echo first; printf 'disk \\033[31mfull\\n\\n' >&2; exit 3");
    world.deployer.apply(&spec).await.expect("applied");
    let how = eventually("its end", async || {
        match world.deployer.list().await.expect("a list").pop()?.state {
            NodeState::Ended(how) if how.contains("status") => Some(how),
            _ => None,
        }
    })
    .await;
    let text = r#"exit status: 3; the last line of "#;
    assert!(how.starts_with(text), "{how}");
    assert!(how.ends_with(r#"/log is "disk \u{1b}[31mfull""#), "{how}");
    // Another monitor did not see it end, but sees that it did.
    let listed = world.restarted().await.list().await.expect("a list");
    let NodeState::Ended(how) = &listed[0].state else {
        panic!("{listed:?}");
    };
    assert!(how.starts_with("how is not known; the last line"), "{how}");
}

#[tokio::test]
async fn two_monitors_that_apply_at_once_start_one_node() {
    let world = World::new().await;
    let spec = world.spec();
    let other = world.restarted().await;
    let (one, two) = tokio::join!(world.deployer.apply(&spec), other.apply(&spec));
    assert_signs(&one.expect("applied"), &spec);
    assert_signs(&two.expect("applied"), &spec);
    assert_eq!(world.backend.running().await, 1);
}

#[tokio::test]
async fn a_removal_that_was_cut_off_in_the_home_is_ended_by_the_next() {
    let world = World::new().await;
    world.deployer.apply(&world.spec()).await.expect("applied");
    world.deployer.stop(CONSUMER).await.expect("stopped");
    let home = world.backend.home();
    let folder = home.parent().expect("a folder");
    let copy = tempfile::tempdir().expect("a folder");
    let copy = copy.path().join("node");
    let cp = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(done.expect("cp runs").success());
    };
    cp(folder, &copy);
    world.deployer.delete(CONSUMER).await.expect("deleted");
    cp(&copy, folder);
    // As a death leaves it after the record and the keys went, before the signer states.
    fs::rename(&home, folder.join("removed")).expect("renamed");
    fs::remove_file(folder.join("node.json")).expect("it was there");
    fs::remove_dir_all(folder.join("removed/config")).expect("it was there");
    world
        .restarted()
        .await
        .delete(CONSUMER)
        .await
        .expect("deleted");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_node_whose_folder_was_taken_away_is_listed_until_it_is_ended() {
    let world = World::new().await;
    let spec = world.spec();
    world.deployer.apply(&spec).await.expect("applied");
    world.backend.lose_storage().await;
    let listed = world.restarted().await.list().await.expect("a list");
    let states: Vec<_> = listed.iter().map(|it| (&it.state, it.spec)).collect();
    assert_eq!(states, [(&NodeState::Running, None)]);
    world.deployer.delete(CONSUMER).await.expect("deleted");
    assert_eq!(world.backend.running().await, 0);
    assert_eq!(world.deployer.list().await, Ok(Vec::new()));
}

#[tokio::test]
async fn image_and_command_name_one_executable() {
    let world = World::new().await;
    let good = world.backend.program(Behaviour::Waits);
    let ports = world.spec().ports;
    for (image, command) in [("sh", "sh"), ("/bin/sh", "/bin/true"), ("/bin/sh", "")] {
        let mut program = good.clone();
        program.image = image.into();
        program.command[0] = command.into();
        let check = world.deployer.check(CONSUMER, &program, &ports, None).await;
        let failure = check.expect_err(image);
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("one executable"), "{failure}");
    }
}
