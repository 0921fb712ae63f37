//! What `ics-demo --keep` prints works: a consumer that is created so is run.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ics_tests::Error;
use ics_tests::program::Program;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long the demo may take on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the demo prints.
struct Printed(Lines<BufReader<ChildStdout>>);

impl Printed {
    /// The next line for which this holds.
    async fn next(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&str) -> bool,
    ) -> Result<String, Error> {
        let look = async {
            while let Ok(Some(line)) = self.0.next_line().await {
                if holds(&line) {
                    return Ok(line);
                }
            }
            Err(Error::Reply(format!("the demo ended without {what}")))
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| Err(Error::Reply(format!("not within {PATIENCE:?}: {what}"))))
    }
}

/// The demo lies beside the program, since both are of one workspace.
fn start(program: &Path) -> Result<(Child, Printed), Error> {
    let demo = program.with_file_name("ics-demo");
    let cure = "build it with cargo build --package ics-fixtures --bin ics-demo";
    let child = Command::new(&demo)
        .arg("--keep")
        .stdout(Stdio::piped())
        // Its monitors and nodes end with it.
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|e| Error::Setup(format!("{}: {e}; {cure}", demo.display())))?;
    let out = child.stdout.take();
    let out = out.ok_or_else(|| Error::Setup("the demo has no output".into()))?;
    Ok((child, Printed(BufReader::new(out).lines())))
}

#[tokio::test]
async fn a_consumer_that_is_created_as_the_demo_says_is_run() -> Result<(), Error> {
    let program = Program::build().await?;
    let (mut demo, mut printed) = start(program.path())?;
    let folder = printed
        .next("its folder", |line| line.starts_with("folder"))
        .await?;
    let folder = folder.split([' ', ',']).find(|word| word.starts_with('/'));
    let folder = folder.expect("a path").to_owned();
    let line = printed
        .next("how to create a consumer", |line| {
            line.contains("ics-monitor consumer create")
        })
        .await?;
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let created = program.call(&words, &[]).await?;
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    assert!(
        created.stdout.starts_with("created consumer 3"),
        "{}",
        created.stdout
    );
    let mut missing = vec!["alice", "bob"];
    let run = |line: &str| {
        if line.contains("3  running") {
            missing.retain(|name| !line.contains(name));
        }
        missing.is_empty()
    };
    printed
        .next("alice and bob running consumer 3", run)
        .await?;

    let pid = demo
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    let pid = pid.expect("the demo runs");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("told to end");
    let ended = tokio::time::timeout(PATIENCE, demo.wait()).await;
    assert!(ended.expect("it ends").expect("waited for").success());
    let left = std::fs::read_dir("/proc").expect("processes").flatten();
    let left = left.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    let left: Vec<_> = left.filter(|cwd| cwd.starts_with(&folder)).collect();
    assert!(left.is_empty(), "nodes run on in {left:?}");
    std::fs::remove_dir_all(&folder).expect("what --keep kept");
    Ok(())
}
