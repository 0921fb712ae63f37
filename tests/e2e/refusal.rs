//! What is refused: wrong calls, wrong surroundings, consumers that no rule allows, and a launch
//! that nobody opted in to.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ics_tests::Error;
use ics_tests::process::Lifetime;
use ics_tests::program::{Ended, Program};
use ics_tests::provider::Profile;
use ics_tests::world::{World, WorldSpec, height_in};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn wrong_calls_and_configurations_are_named_with_the_cure() -> Result<(), Error> {
    let program = Program::build().await?;
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let config = folder.path().join("monitor.toml");
    let complete = "instance = \"a\"\ndata_dir = \"/nowhere\"\n";
    for (text, named) in [
        (
            "",
            &["instance is not set", "ICS_MONITOR_INSTANCE", "--instance"][..],
        ),
        (
            complete,
            &[
                "provider.rpc is not set",
                "ICS_MONITOR_PROVIDER_RPC",
                "--provider-rpc",
            ],
        ),
        (
            "[provider]\nrcp = \"http://x\"\n",
            &["line 2", "rcp", "expected one of"],
        ),
        ("instance = \n", &["line 1"]),
        ("[[rules]]\nverdict = \"allow\"\n", &["any_owner = true"]),
        ("[policy]\nopt_in_lead = \"soon\"\n", &["duration", "30s"]),
    ] {
        // A rule is looked at when everything else is there.
        let text = match text.starts_with("[[rules]]") {
            true => format!("{complete}{PROVIDER}{text}"),
            false => text.to_owned(),
        };
        fs::write(&config, &text).expect("a temporary file");
        let ended = program
            .call(&["run", "--config", &config.to_string_lossy()], &[])
            .await?;
        says_in_one_line(&ended, 2, named);
    }
    let ended = program
        .call(&["run", "--config", "/nowhere/m.toml"], &[])
        .await?;
    says_in_one_line(&ended, 2, &["/nowhere/m.toml"]);
    for wrong in [
        &["run", "--no-such-flag"][..],
        &["opt-in", "first"],
        &["dance"],
        &[],
    ] {
        let ended = program.call(wrong, &[]).await?;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(!ended.stderr.is_empty(), "{ended:?}");
    }
    let ended = program.call(&["ports", "\n"], &[]).await?;
    says_in_one_line(&ended, 2, &["chain"]);
    Ok(())
}

const PROVIDER: &str = r#"
provider = { rpc = "http://127.0.0.1:1", chain_id = "provider-1" }
account = { mnemonic_file = "/nowhere/mnemonic" }
tx = { gas_price = "0.005stake", max_fee = 1 }
docker = { publish_address = "127.0.0.1" }
"#;

#[tokio::test]
async fn answers_have_a_fixed_shape_and_flags_stand_above_all() -> Result<(), Error> {
    let program = Program::build().await?;
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let config = folder.path().join("monitor.toml");
    fs::write(&config, "").expect("a temporary file");
    let ports = program.ask(&config, &["ports", "consumer-1"]).await?;
    let wanted = json!({
        "chain_id": "consumer-1", "offset": 199,
        "p2p": 28746, "rpc": 28747, "grpc": 11180, "grpc_web": 11181, "rest": 29407,
    });
    assert_eq!(ports, wanted);
    let version = program.ask(&config, &["version"]).await?;
    assert_eq!(version, json!({"version": env!("CARGO_PKG_VERSION")}));

    let text = json!({
        "data_dir": folder.path(),
        "docker": {"publish_address": "10.0.0.1"},
    });
    fs::write(&config, toml::to_string(&text).expect("TOML")).expect("a temporary file");
    let config = config.to_string_lossy();
    let asked = ["node-id", "--output", "json", "--config", &config];
    let flag = [&asked[..], &["--publish-address", "10.0.0.3"]].concat();
    let variable = [("ICS_MONITOR_PUBLISH_ADDRESS", "10.0.0.2")];
    let mut node_ids = Vec::new();
    for (arguments, environment, address) in [
        (&asked[..], &[][..], "10.0.0.1"),
        (&asked, &variable, "10.0.0.2"),
        (&flag, &variable, "10.0.0.3"),
    ] {
        let ended = program.call(arguments, environment).await?;
        let answer: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let node_id = answer["node_id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer["details"], format!("p2p={node_id}@{address}"));
        node_ids.push(node_id);
    }
    node_ids.dedup();
    assert_eq!(node_ids.len(), 1, "the node id is made once");
    Ok(())
}

#[tokio::test]
async fn nothing_is_done_in_wrong_surroundings_or_without_a_rule() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let spec = WorldSpec {
        profile: Profile::Long,
        lifetime: Lifetime::Tied,
        name: "refuse".into(),
    };
    let mut world = World::start(spec, folder.path()).await?;
    let sent = transactions(&world, "alice").await?;
    wrong_surroundings_are_named(&world, folder.path()).await?;
    world.reconfigure("alice", |config| config["rules"] = json!([]))?;
    world.start_monitors(&["alice"]).await?;
    let config = world.config("alice")?.to_string_lossy();
    let second = world
        .program()
        .call(&["run", "--config", &config], &[])
        .await?;
    says_in_one_line(
        &second,
        1,
        &["in use by another ics-monitor", "its own folder"],
    );
    let node_id = world.program().ask(world.config("alice")?, &["node-id"]);
    assert!(node_id.await?["node_id"].is_string(), "asking is allowed");
    assert_eq!(
        transactions(&world, "alice").await?,
        sent,
        "nothing was sent"
    );
    assert_eq!(world.containers().await?, [""; 0]);
    a_failed_launch_is_noticed_at_its_block_and_recovered(&mut world, sent).await?;
    world.stop().await
}

/// Each wrong thing alone is named in one line, and the monitor does not start.
async fn wrong_surroundings_are_named(world: &World, folder: &Path) -> Result<(), Error> {
    let exposed = folder.join("exposed.mnemonic");
    fs::copy(world.chain.mnemonic_file("alice")?, &exposed).expect("a mnemonic file");
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).expect("our own file");
    let exposed = exposed.to_string_lossy();
    let owner = world.chain.mnemonic_file("owner")?;
    let owner = owner.to_string_lossy();
    let config = world.config("alice")?.to_string_lossy();
    for (flag, value, named) in [
        (
            "--provider-rpc",
            "http://127.0.0.1:1",
            &["127.0.0.1:1", "check provider.rpc"][..],
        ),
        (
            "--provider-chain-id",
            "other-1",
            &["provider-1", "other-1", "provider.chain_id"],
        ),
        (
            "--mnemonic-file",
            &owner,
            &["operates no validator", "the validator's own account"],
        ),
        ("--mnemonic-file", &exposed, &["0644", "chmod 600"]),
        (
            "--mnemonic-file",
            "/nowhere/mnemonic",
            &["/nowhere/mnemonic"],
        ),
        (
            "--docker-socket",
            "/nowhere/docker.sock",
            &["/nowhere/docker.sock", "docker.socket"],
        ),
        (
            "--publish-address",
            "192.0.2.1",
            &["192.0.2.1 is not an address of this host", "set"],
        ),
    ] {
        let run = ["run", "--config", &config, flag, value];
        says_in_one_line(&world.program().call(&run, &[]).await?, 1, named);
    }
    // The environment stands above the file, and a flag above the environment.
    let variable = [("ICS_MONITOR_PROVIDER_CHAIN_ID", "other-2")];
    let show = ["consumer", "list", "--config", &config];
    let ended = world.program().call(&show, &variable).await?;
    says_in_one_line(&ended, 1, &["other-2"]);
    let flag = [&show[..], &["--provider-chain-id", "provider-1"]].concat();
    let ended = world.program().call(&flag, &variable).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

async fn a_failed_launch_is_noticed_at_its_block_and_recovered(
    world: &mut World,
    sent: u64,
) -> Result<(), Error> {
    let spawn_in = Duration::from_secs(6);
    let consumer = world.create_consumer("failing-1", Some(spawn_in)).await?;
    let created = world.show(&consumer).await?["height"].as_u64();
    let line = world
        .notice("alice", &consumer, "REGISTERED again at height", MINUTE)
        .await?;
    let noticed = height_in(&line)?;
    let created = created.expect("what is shown has a height");
    let failed = world.first_height(&consumer, "REGISTERED", created).await?;
    eprintln!("FIGURE failed launch: at height {failed}, noticed at height {noticed}");
    assert_eq!(world.phase_at(&consumer, failed - 1).await?, "INITIALIZED");
    assert_eq!(noticed, failed);

    let unallowed = world.notice("alice", &consumer, "ignored: no rule matches", MINUTE);
    unallowed.await?;
    assert_eq!(
        transactions(world, "alice").await?,
        sent,
        "no rule, no transaction"
    );
    let keys = world
        .folder()
        .join("alice/keys/consumers")
        .join(&consumer.id);
    assert!(!keys.exists(), "no key was made");

    world.monitor_mut("alice")?.terminate().await?;
    let rules = rules_of(world.config("bob")?);
    world.reconfigure("alice", |config| config["rules"] = rules)?;
    world.restart_monitor("alice").await?;
    world.start_monitors(&["bob"]).await?;
    for name in ["alice", "bob"] {
        world
            .notice(name, &consumer, "it has no spawn time yet", MINUTE)
            .await?;
    }
    world
        .set_spawn_time(&consumer, Duration::from_secs(8))
        .await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    for name in ["alice", "bob"] {
        world.wait_for_blocks(name, &consumer, 3).await?;
    }
    Ok(())
}

fn rules_of(config: &Path) -> Value {
    let text = fs::read_to_string(config).expect("a configuration");
    let config: Value = toml::from_str(&text).expect("TOML");
    config["rules"].clone()
}

/// How many transactions an account has sent.
async fn transactions(world: &World, account: &str) -> Result<u64, Error> {
    let address = world.chain.account_address(account)?;
    let query = ["query", "auth", "account", address];
    let answer = world.chain.query(&query).await?;
    let sequence = &answer["account"]["value"]["sequence"];
    let sequence = sequence.as_str().and_then(|text| text.parse().ok());
    sequence.ok_or_else(|| Error::Reply(format!("an account without a sequence: {answer}")))
}

/// The program ended with this code, and its last line names all of this.
fn says_in_one_line(ended: &Ended, code: i32, named: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let mut lines = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("ics-monitor: "));
    let line = lines.next().unwrap_or_default();
    assert_eq!(lines.next(), None, "{ended:?}");
    assert_eq!(ended.stderr.lines().last(), Some(line), "{ended:?}");
    for part in named {
        assert!(line.contains(part), "no {part:?} in {line:?}");
    }
}
