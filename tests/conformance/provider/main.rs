//! One script against the embedded provider and the real one: what a client is told must be the
//! same.
//!
//! The script is `fixtures/conformance/provider.txt`; what the real provider told is beside it, in
//! `provider.told`, and `CONFORMANCE=write` writes it anew. So the embedded one can be held against
//! it without the real one, and the real one against its record.

#![expect(clippy::print_stderr, reason = "how long it took is for people")]

mod chain;
mod look;
mod message;
mod names;
mod play;
mod script;
mod send;
mod signed;
mod target;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ics_tests::Error;

use crate::play::{Ended, play};
use crate::script::Script;
use crate::target::Target;

/// How often the real chain is begun anew where the machine was too slow for a line.
const TRIES: usize = 3;

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/conformance");
    folder.join(name)
}

fn script() -> Script {
    let text = fs::read_to_string(file("provider.txt")).expect("the script is in the checkout");
    Script::read(&text).unwrap_or_else(|error| panic!("provider.txt: {error}"))
}

/// Compares with what the real provider told when it was last written down.
fn compare(whose: &str, told: &str) {
    if let Some(folder) = std::env::var_os("CONFORMANCE_TOLD") {
        fs::write(PathBuf::from(folder).join(format!("{whose}.told")), told).expect("written");
    }
    let recorded = fs::read_to_string(file("provider.told")).unwrap_or_default();
    let differences = differences(told, &recorded);
    assert!(
        differences.is_empty(),
        "the {whose} provider differs (-: recorded of the real one, +: told now):\n{differences}\n\
         If the real one has changed, CONFORMANCE=write writes its answers anew."
    );
}

/// Where two tellings differ: each differing line of the script with what is told of it.
fn differences(told: &str, recorded: &str) -> String {
    let blocks = |text: &str| -> Vec<Vec<String>> {
        let mut blocks: Vec<Vec<String>> = Vec::new();
        for line in text.lines() {
            if line.starts_with('>') || blocks.is_empty() {
                blocks.push(Vec::new());
            }
            blocks
                .last_mut()
                .expect("one was begun")
                .push(line.to_owned());
        }
        blocks
    };
    let (told, recorded) = (blocks(told), blocks(recorded));
    let none = Vec::new();
    let mut found = String::new();
    for at in 0..told.len().max(recorded.len()) {
        let (now, then) = (
            told.get(at).unwrap_or(&none),
            recorded.get(at).unwrap_or(&none),
        );
        if now == then {
            continue;
        }
        for (mark, block, other) in [('-', then, now), ('+', now, then)] {
            for line in block
                .iter()
                .filter(|line| line.starts_with('>') || !other.contains(line))
            {
                found.push_str(&format!("{mark} {line}\n"));
            }
        }
    }
    found
}

#[tokio::test]
async fn embedded_tells_the_same() {
    let target = Target::embedded().await;
    let begin = Instant::now();
    match play(&script(), &target).await {
        Ok(told) => compare("embedded", &told),
        Err(Ended::Late(what) | Ended::Wrong(what)) => panic!("provider.txt: {what}"),
    }
    eprintln!(
        "the embedded provider told it in {:.1} s",
        begin.elapsed().as_secs_f32()
    );
}

#[tokio::test]
#[ignore = "starts the real daemons, which need Go; make conformance and tests/run play it"]
async fn real_still_tells_the_same() -> Result<(), Error> {
    for attempt in 1..=TRIES {
        let folder = tempfile::tempdir().expect("a folder");
        let begin = Instant::now();
        let (target, chain) = Target::real(folder.path()).await?;
        match play(&script(), &target).await {
            Err(Ended::Late(what)) if attempt < TRIES => eprintln!("begun anew: {what}"),
            Err(Ended::Late(what) | Ended::Wrong(what)) => panic!("provider.txt: {what}"),
            Ok(told) => {
                eprintln!(
                    "the real provider told it in {:.1} s",
                    begin.elapsed().as_secs_f32()
                );
                if std::env::var_os("CONFORMANCE").is_some_and(|what| what == "write") {
                    fs::write(file("provider.told"), &told).expect("written");
                }
                compare("real", &told);
                return chain.stop().await;
            }
        }
        chain.stop().await?;
    }
    Ok(())
}
