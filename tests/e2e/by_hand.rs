//! A consumer chain launched by hand, with nobody's help but the daemons': the steps which the
//! monitor takes for a validator, and the proof that the test bed carries a consumer chain.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use ics_tests::bridge::Bridge;
use ics_tests::engine::Engine;
use ics_tests::owner::{PreCcv, PreCcvSpec};
use ics_tests::process::Lifetime;
use ics_tests::provider::{ProviderChain, ProviderSpec};
use ics_tests::rpc::Rpc;
use ics_tests::{Daemons, Error, image, wait};
use serde_json::{Value, json};

const CHAIN_ID: &str = "consumer-1";
const P2P_PORT: u16 = 26656;
const RPC_PORT: u16 = 26657;

/// One validator's consumer node before it runs.
struct Instance {
    name: &'static str,
    home: PathBuf,
    node_id: String,
    address: Ipv4Addr,
}

#[tokio::test]
async fn two_containers_make_a_consumer_chain() -> Result<(), Error> {
    let daemons = Daemons::build().await?;
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let engine = Engine::find_or_start(Lifetime::Tied).await?;
    let bridge = Bridge::create(2, Lifetime::Tied).await?;
    let image = image::consumer(&engine, &daemons).await?;
    let chain = folder.path().join("provider");
    let provider = ProviderChain::start(&daemons, ProviderSpec::default(), &chain).await?;
    let relayer = provider.account_address("relayer")?;
    let spec = PreCcvSpec {
        chain_id: CHAIN_ID,
        initial_height: 1,
        genesis_time: "2026-01-01T00:00:00Z",
        funded: &[relayer],
    };
    let owner = PreCcv::make(&daemons, folder.path(), &spec).await?;

    let genesis = launch(&provider, &owner, folder.path()).await?;
    let mut instances = Vec::new();
    for (name, address) in ["alice", "bob"].into_iter().zip(bridge.addresses()) {
        let home = folder.path().join(format!("{name}-consumer"));
        instances.push(instance(&daemons, &provider, name, home, *address)?);
    }
    let start = Instant::now();
    for instance in &instances {
        configure(instance, &instances, &genesis);
        run(&engine, &image, instance).await;
    }
    let powers = consumer_powers(&instances).await;
    eprintln!("two containers made block 3 after {:.1?}", start.elapsed());
    for instance in &instances {
        let force = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let name = container(instance);
        let removed = engine.client().remove_container(&name, Some(force)).await;
        removed.expect("a running container can be removed");
    }
    assert_eq!(powers?, [[500, 300], [500, 300]]);
    provider.stop().await
}

/// Waits for block 3 of every instance and returns the validators' powers each has seen there.
async fn consumer_powers(instances: &[Instance]) -> Result<Vec<Vec<u64>>, Error> {
    let mut powers = Vec::new();
    for instance in instances {
        let rpc = Rpc::new(&format!("http://{}:{RPC_PORT}", instance.address))?;
        let blocks = wait::until(
            "block 3 of the consumer",
            Duration::from_secs(60),
            async || Ok((rpc.height().await? >= 3).then_some(())),
        );
        blocks.await?;
        powers.push(
            rpc.validators(3)
                .await?
                .into_iter()
                .map(|(_, power)| power)
                .collect(),
        );
    }
    Ok(powers)
}

/// Registers the chain, lets alice and bob opt in and waits until it is launched.
///
/// Returns the whole genesis.
async fn launch(provider: &ProviderChain, owner: &PreCcv, folder: &Path) -> Result<Value, Error> {
    let create = folder.join("create.json");
    fs::write(&create, registration(&owner.sha256).to_string()).expect("a temporary file");
    let create = create.to_string_lossy();
    provider
        .tx("owner", &["provider", "create-consumer", &create])
        .await?;
    for validator in ["alice", "bob"] {
        provider.tx(validator, &["provider", "opt-in", "0"]).await?;
    }
    // A spawn time in the past launches in the next block.
    let update = folder.join("update.json");
    let mut parameters = registration(&owner.sha256)["initialization_parameters"].take();
    parameters["spawn_time"] = json!("2026-01-01T00:00:00Z");
    let update_text = json!({"consumer_id": "0", "initialization_parameters": parameters});
    fs::write(&update, update_text.to_string()).expect("a temporary file");
    let update = update.to_string_lossy();
    provider
        .tx("owner", &["provider", "update-consumer", &update])
        .await?;
    let launched = wait::until("the launch", Duration::from_secs(30), async || {
        provider
            .query(&["query", "provider", "consumer-genesis", "0"])
            .await
            .map(Some)
    });
    let launched = launched.await?;
    let text = fs::read_to_string(&owner.path).expect("the owner has just written it");
    let mut genesis: Value = serde_json::from_str(&text).expect("the owner has written JSON");
    genesis["app_state"]["ccvconsumer"] = launched;
    Ok(genesis)
}

fn registration(genesis_hash: &str) -> Value {
    let day = Duration::from_secs(24 * 3600).as_nanos() as u64;
    json!({
        "chain_id": CHAIN_ID,
        "metadata": {"name": "consumer", "description": "by hand", "metadata": "{}"},
        "initialization_parameters": {
            "initial_height": {"revision_number": 1, "revision_height": 1},
            "genesis_hash": genesis_hash,
            "binary_hash": "",
            "spawn_time": "0001-01-01T00:00:00Z",
            "unbonding_period": 20 * day,
            "ccv_timeout_period": 28 * day,
            "transfer_timeout_period": day,
            "consumer_redistribution_fraction": "0.75",
            "blocks_per_distribution_transmission": 1000,
            "historical_entries": 10000,
            "distribution_transmission_channel": ""
        },
        "power_shaping_parameters": {"top_N": 0}
    })
}

/// Makes the home of a consumer node that signs with the validator's provider key.
fn instance(
    daemons: &Daemons,
    provider: &ProviderChain,
    name: &'static str,
    home: PathBuf,
    address: Ipv4Addr,
) -> Result<Instance, Error> {
    let mut init = Command::new(daemons.consumer());
    init.args(["init", name, "--chain-id", CHAIN_ID, "--home"])
        .arg(&home)
        .env("HOME", &home);
    let report = init.output().expect("the daemon has run before").stderr;
    let report: Value = serde_json::from_slice(&report).expect("init reports in JSON");
    let node_id = report["node_id"]
        .as_str()
        .expect("init reports the node id")
        .to_owned();
    let key = "config/priv_validator_key.json";
    fs::copy(provider.home(name)?.join(key), home.join(key)).expect("the provider node has a key");
    Ok(Instance {
        name,
        home,
        node_id,
        address,
    })
}

fn configure(instance: &Instance, all: &[Instance], genesis: &Value) {
    let others = all.iter().filter(|other| other.name != instance.name);
    let peer = |other: &Instance| format!("{}@{}:{P2P_PORT}", other.node_id, other.address);
    let peers: Vec<String> = others.map(peer).collect();
    let config = format!(
        "moniker = \"{}\"\n[rpc]\nladdr = \"tcp://0.0.0.0:{RPC_PORT}\"\npprof_laddr = \"\"\n[p2p]\n\
         laddr = \"tcp://0.0.0.0:{P2P_PORT}\"\naddr_book_strict = false\n\
         allow_duplicate_ip = true\npersistent_peers = \"{}\"\n[consensus]\n\
         timeout_commit = \"700ms\"\n",
        instance.name,
        peers.join(",")
    );
    let folder = instance.home.join("config");
    fs::write(folder.join("config.toml"), config).expect("the home is ours");
    fs::write(folder.join("app.toml"), "minimum-gas-prices = \"0stake\"\n").expect("likewise");
    fs::write(folder.join("genesis.json"), genesis.to_string()).expect("likewise");
}

fn container(instance: &Instance) -> String {
    format!("{}-{}", instance.name, instance.address)
}

async fn run(engine: &Engine, image: &str, instance: &Instance) {
    let publish = |port: u16| {
        let binding = PortBinding {
            host_ip: Some(instance.address.to_string()),
            host_port: Some(port.to_string()),
        };
        (format!("{port}/tcp"), Some(vec![binding]))
    };
    let ports = [P2P_PORT, RPC_PORT];
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![
            "/consumer-d".into(),
            "start".into(),
            "--home".into(),
            "/home".into(),
        ]),
        env: Some(vec!["HOME=/tmp".into()]),
        exposed_ports: Some(ports.map(|port| format!("{port}/tcp")).into()),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:/home", instance.home.display())]),
            port_bindings: Some(ports.map(publish).into()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let name = container(instance);
    let options = CreateContainerOptions {
        name: Some(name.clone()),
        ..Default::default()
    };
    engine
        .client()
        .create_container(Some(options), body)
        .await
        .expect("the image is there");
    let started = engine
        .client()
        .start_container(&name, None::<StartContainerOptions>)
        .await;
    started.expect("the addresses are ours, and the ports on them free");
}
