//! Hostile text in everything that strangers may write, through the whole program.

mod texts;
mod world;

use std::collections::BTreeSet;
use std::fs;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures::{StreamExt as _, TryStreamExt as _};
use ics_core::status::Stage;
use ics_tests::Error;
use ics_tests::program::Program;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::texts::{IMPOSSIBLE, TEXTS, deceives};
use crate::world::{World, files};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_write_stays_text() -> Result<(), Error> {
    let logs = tempfile::tempdir().expect("a folder");
    let [text, json] = ["text", "json"].map(|name| logs.path().join(name));
    log_to(&text, &json);
    let world = World::start().await;
    world.until_all_run().await;

    nothing_lies_where_it_should_not(world.folder.path());
    nodes_have_the_exact_text(world.folder.path());
    nobody_is_dialled_who_is_no_host(world.folder.path());
    refusals_name_what_is_wrong(&world);
    the_command_line_shows_it_as_it_is(&world).await?;
    logs_hold_one_event_in_a_line(&text, &json);
    Ok(())
}

/// Logs as the program does, in both of its formats.
fn log_to(text: &Path, json: &Path) {
    let file = |path: &Path| Mutex::new(fs::File::create(path).expect("a file"));
    let text = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(false)
        .with_writer(file(text));
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(file(json));
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    tracing_subscriber::registry()
        .with(level)
        .with(text)
        .with(json)
        .init();
}

fn nothing_lies_where_it_should_not(folder: &Path) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-@".contains(c);
    for name in files(folder).keys() {
        assert!(name.chars().all(plain), "{name:?}");
    }
    let top: BTreeSet<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    let known = ["data", "monitor.toml", "nodes", "pre-ccv"].map(str::to_owned);
    let mnemonics = ics_fixtures::cast::Cast::names().map(|name| format!("{name}.mnemonic"));
    assert_eq!(top, known.into_iter().chain(mnemonics).collect());
    let nodes: BTreeSet<_> = fs::read_dir(folder.join("nodes"))
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    let ours = (0..TEXTS.len()).map(|number| format!("ics-hostile-{number}"));
    assert_eq!(nodes, ours.chain(["locks".to_owned()]).collect());
    for escaped in ["/tmp/hostile-escaped", "/tmp/hostile-escaped-1"] {
        assert!(!Path::new(escaped).exists(), "{escaped}");
    }
}

fn home(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("nodes/ics-hostile-{number}/node"))
}

fn nodes_have_the_exact_text(folder: &Path) {
    for (number, (what, text)) in TEXTS.iter().enumerate() {
        let config = home(folder, number).join("config");
        let read = |name: &str| fs::read_to_string(config.join(name)).expect("a file");
        let genesis: Value = serde_json::from_str(&read("genesis.json")).expect("JSON");
        assert_eq!(genesis["chain_id"], *text, "{what}");
        let client: toml::Table = read("client.toml").parse().expect("TOML");
        assert_eq!(client["chain-id"].as_str(), Some(*text), "{what}");
        for name in ["config.toml", "app.toml"] {
            let table: toml::Table = read(name).parse().expect("TOML");
            assert!(!table.contains_key("rules"), "{what}");
        }
    }
}

fn nobody_is_dialled_who_is_no_host(folder: &Path) {
    let config = home(folder, 0).join("config/config.toml");
    let config = fs::read_to_string(config).expect("a file");
    let config: toml::Table = config.parse().expect("TOML");
    let peers = config["p2p"]["persistent_peers"].as_str().expect("a text");
    assert!(peers.contains("@bob.example:"), "{peers:?}");
    for peer in peers.split(',') {
        let (_, address) = peer.split_once('@').expect("a node id");
        let (host, port) = address.rsplit_once(':').expect("a port");
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        assert!(
            host.chars().all(plain) && !host.starts_with('-'),
            "{peer:?}"
        );
        assert!(port.parse::<u16>().is_ok(), "{peer:?}");
    }
}

fn refusals_name_what_is_wrong(world: &World) {
    for (number, (what, _)) in IMPOSSIBLE.iter().enumerate() {
        let number = TEXTS.len() + number;
        let status = world.status(number).expect("it is followed");
        assert_eq!(status.stage, Stage::Watching, "{what}: {}", status.why);
        let alarms = status.alarms.iter().map(|alarm| alarm.text.as_str());
        let said = alarms.collect::<Vec<_>>().join("; ");
        let names = format!("consumer {number}");
        assert!(
            said.contains(&names) && said.contains("chain id"),
            "{what}: {said:?}"
        );
        assert!(!said.contains(deceives), "{what}: {said:?}");
    }
}

async fn the_command_line_shows_it_as_it_is(world: &World) -> Result<(), Error> {
    let program = Program::build().await?;
    let config = ["--config", &world.config.to_string_lossy()].map(str::to_owned);
    let mut calls = vec![vec!["consumer".to_owned(), "list".to_owned()]];
    let shows = (0..TEXTS.len() + IMPOSSIBLE.len())
        .map(|number| vec!["consumer".to_owned(), "show".to_owned(), number.to_string()]);
    calls.extend(shows);
    let calls = calls
        .into_iter()
        .flat_map(|call| ["text", "json"].map(|output| (call.clone(), output)));
    let ended = calls.map(async |(call, output)| {
        let mut arguments = call.clone();
        arguments.extend(config.clone());
        arguments.extend(["--output".to_owned(), output.to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = program.call(&arguments, &[]).await;
        ended.map(|ended| (call, output, ended))
    });
    let ended = futures::stream::iter(ended).buffer_unordered(4);
    for (call, output, ended) in ended.try_collect::<Vec<_>>().await? {
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let bad = said.chars().find(|c| *c != '\n' && deceives(*c));
        assert_eq!(bad, None, "{call:?} {output}: {said:?}");
        let number = call
            .get(2)
            .map(|number| number.parse::<usize>().expect("a number"));
        let impossible = number.is_some_and(|number| number >= TEXTS.len());
        assert_eq!(ended.code, Some(i32::from(impossible)), "{call:?}: {said}");
        if output == "text" || impossible {
            continue;
        }
        let read = serde_json::from_str::<Value>(&ended.stdout).expect("JSON");
        match number {
            Some(number) => assert_eq!(read["chain_id"], TEXTS[number].1),
            None => {
                let listed = read["consumers"].as_array().expect("a list");
                assert_eq!(listed.len(), TEXTS.len() + IMPOSSIBLE.len());
                for ((what, text), consumer) in TEXTS.iter().zip(listed) {
                    let said = (&consumer["chain_id"], &consumer["name"]);
                    assert_eq!(said, (&json!(text), &json!(text)), "{what}");
                }
            }
        }
    }
    Ok(())
}

fn logs_hold_one_event_in_a_line(text: &Path, json: &Path) {
    let read = |path| fs::read_to_string(path).expect("UTF-8");
    let text = read(text);
    assert!(text.lines().count() > 10 * TEXTS.len(), "{text}");
    for line in text.lines() {
        let time = line.split(' ').next().unwrap_or_default();
        let is_time = time.len() == 27 && time.ends_with('Z') && time.starts_with("20");
        assert!(is_time && !line.contains(deceives), "{line:?}");
    }
    for line in read(json).lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert!(
            event["timestamp"].is_string() && !line.contains(deceives),
            "{line:?}"
        );
    }
}
