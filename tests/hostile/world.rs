//! A provider full of hostile consumers, and a monitor that runs them all.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use ics_core::artifact::Digest;
use ics_core::genesis::{Relayers, Template};
use ics_core::id::{ChainId, ConsumerId};
use ics_core::keystore::KeyStore as _;
use ics_core::peers::NodeId;
use ics_core::snapshot::LocalValidator;
use ics_core::status::{ConsumerStatus, Stage};
use ics_core::time::UnixTime;
use ics_fixtures::cast::{Cast, initialization, metadata};
use ics_fixtures::chain::{Chain, GenesisValidator, Params};
use ics_fixtures::local::{InProcess, LocalDeployer, LocalSettings};
use ics_fixtures::node::Node;
use ics_monitor::account::Account;
use ics_monitor::artifacts::FileArtifacts;
use ics_monitor::config::File;
use ics_monitor::effects::Backends;
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::monitor::{Monitor, Statuses};
use ics_monitor::provider::Provider;
use ics_monitor::rpc::Rpc;
use ics_monitor::tx::{Message, Sender};
use ics_monitor::wire::provider::ConsumerInitializationParameters;
use ics_monitor::wire::tx::{MsgUpdateConsumer, message};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::texts::{IMPOSSIBLE, TEXTS};

const PROVIDER: &str = "provider-1";
const BLOCK: Duration = Duration::from_millis(100);
/// When consumers launch, by the chain's clock, which is put forward once all is ready.
const SPAWN: Duration = Duration::from_secs(1800);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) config: PathBuf,
    node: Arc<Node>,
    /// How far the chain's clock was put forward, in seconds.
    ahead: Arc<AtomicU64>,
    cast: Cast,
    statuses: watch::Receiver<Statuses>,
}

impl World {
    /// Starts a provider with one consumer for each text, which all launch soon, and then one for
    /// each impossible text; and a monitor of alice, who is to validate all of them.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cast = Cast::write(folder.path(), "cosmos").expect("written");
        let mut genesis = cast.genesis(PROVIDER, now(), Params::default());
        genesis.validators[1].details = format!("p2p={}@bob.example", hex::encode([0xb0; 20]));
        genesis.validators.extend((1..).zip(TEXTS).map(validator));
        let node = Node::start(Chain::new(genesis), ([127, 0, 0, 1], 0).into())
            .await
            .expect("a node");
        let (node, ahead) = (Arc::new(node), Arc::<AtomicU64>::default());
        tokio::spawn(make_blocks(Arc::clone(&node), Arc::clone(&ahead)));
        let config = configure(folder.path(), &cast, &node.url());
        let statuses = start_monitor(&config, folder.path()).await;
        let world = Self {
            folder,
            config,
            node,
            ahead,
            cast,
            statuses,
        };
        world.create().await;
        world.draw_in_validators();
        world
    }

    /// What the monitor shows of a consumer.
    pub(crate) fn status(&self, number: usize) -> Option<ConsumerStatus> {
        let id = ConsumerId::new(u64::try_from(number).expect("few"));
        Some((**self.statuses.borrow().get(&id)?).clone())
    }

    /// Waits until alice has opted in to every possible consumer, lets them launch, and waits until
    /// they run.
    pub(crate) async fn until_all_run(&self) {
        self.until("opted in", |status| status.opted_in).await;
        self.ahead.store(2 * SPAWN.as_secs(), Ordering::Relaxed);
        self.until("running", |status| status.stage == Stage::Running)
            .await;
    }

    async fn until(&self, what: &str, is_so: impl Fn(&ConsumerStatus) -> bool) {
        for _ in 0..600 {
            let so = |number| self.status(number).is_some_and(|status| is_so(&status));
            if (0..TEXTS.len()).all(so) {
                return;
            }
            tokio::time::sleep(BLOCK).await;
        }
        let others = (0..TEXTS.len()).filter_map(|number| {
            let status = self.status(number).filter(|status| !is_so(status))?;
            Some(format!(
                "{}: {}, {}",
                TEXTS[number].0, status.stage, status.why
            ))
        });
        panic!("not {what} in time: {:#?}", others.collect::<Vec<_>>());
    }

    /// Draws the validators with hostile names and hosts into the first consumer.
    fn draw_in_validators(&self) {
        self.node.with(|chain| {
            chain.change(|state| {
                let all: Vec<_> = state.validators.values().cloned().collect();
                for validator in all {
                    state.set_opted_in("0", &validator.consensus(), true);
                }
            });
        });
    }

    async fn create(&self) {
        let spawn = self.node.with(|chain| chain.state().time) + SPAWN;
        let texts = TEXTS.iter().map(|(_, text)| (*text, Some(spawn)));
        // These have no time to launch: they are to be changed before anyone opts in.
        let possible = IMPOSSIBLE.iter().map(|_| ("possible-1", None));
        let creates = texts.chain(possible).enumerate();
        let creates = creates.map(|(number, (text, spawn))| self.creation(number, text, spawn));
        self.send("owner", creates.collect()).await;
        for name in ["bob", "charlie"] {
            let joins = (0..TEXTS.len()).map(|number| self.joining(name, number));
            self.send(name, joins.collect()).await;
        }
        self.node.with(|chain| {
            chain.change(|state| {
                for (number, (_, text)) in IMPOSSIBLE.iter().enumerate() {
                    state.set_chain_id(&(TEXTS.len() + number).to_string(), text);
                }
            });
        });
        // An event, without which nobody would look.
        let updates = (TEXTS.len()..TEXTS.len() + IMPOSSIBLE.len()).map(|number| {
            message(&MsgUpdateConsumer {
                owner: self.cast.account("owner").address_text(),
                consumer_id: number.to_string(),
                metadata: Some(metadata("touched")),
                ..MsgUpdateConsumer::default()
            })
        });
        self.send("owner", updates.collect()).await;
    }

    fn creation(&self, number: usize, text: &str, spawn: Option<UnixTime>) -> Message {
        let chain_id = ChainId::new(text).expect("a chain id");
        let template = Template {
            chain_id: chain_id.clone(),
            initial_height: 1,
            genesis_time: spawn.unwrap_or_else(now),
            relayers: Relayers::new("consumer", "1stake".parse().expect("a coin"), [])
                .expect("none"),
        };
        let init = ics_fixtures::recorded("consumer/pre_ccv_genesis.json");
        let file = template.fill(&init).expect("a pre-CCV file");
        let path = self.folder.path().join(format!("pre-ccv/{number}.json"));
        fs::write(path, &file).expect("written");
        let parameters = ConsumerInitializationParameters {
            binary_hash: text.as_bytes().iter().copied().take(32).collect(),
            ..initialization(text, *Digest::of(&file).as_bytes(), spawn)
        };
        message(&self.cast.creation(text, parameters))
    }

    fn joining(&self, name: &str, number: usize) -> Message {
        let id = ConsumerId::new(u64::try_from(number).expect("few"));
        message(&self.cast.opt_in(name, id, None))
    }

    async fn send(&self, name: &str, messages: Vec<Message>) {
        let sender = self.cast.sender(name, &self.node.url(), PROVIDER, "0stake");
        sender.send(messages, "").await.expect("it is taken");
    }
}

/// A validator with a text as its name, which publishes it as its host.
fn validator((number, (_, text)): (u8, (&str, &str))) -> GenesisValidator {
    let node_id = hex::encode([number; 20]);
    GenesisValidator {
        operator: [number; 20],
        key: SigningKey::from_bytes(&[100 + number; 32]),
        tokens: 1_000_000,
        moniker: text.to_owned(),
        details: format!("p2p={node_id}@{text}:26656 relayer={text}"),
    }
}

/// Makes blocks, by a clock that only ever stands or is put forward.
async fn make_blocks(node: Arc<Node>, ahead: Arc<AtomicU64>) {
    let start = now();
    let mut ticks = tokio::time::interval(BLOCK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for block in 0.. {
        ticks.tick().await;
        let forward = Duration::from_secs(ahead.load(Ordering::Relaxed));
        node.step(start + forward + Duration::from_millis(block));
    }
}

/// Writes alice's configuration, which is for the program too.
fn configure(folder: &Path, cast: &Cast, rpc: &str) -> PathBuf {
    fs::create_dir(folder.join("pre-ccv")).expect("a folder");
    let program = std::env::current_exe().expect("this program");
    let text = json!({
        "instance": "hostile",
        "data_dir": folder.join("data"),
        "provider": {"rpc": rpc, "chain_id": PROVIDER},
        "account": {"mnemonic_file": cast.mnemonic_file("alice")},
        "tx": {"gas_price": "0stake", "max_fee": 1},
        "schedule": {"sync": "2s", "nodes": "1s", "refresh": "1s", "retry_first": "200ms"},
        "node": {"private_peers": true},
        "docker": {"publish_address": "127.7.7.7"},
        "rules": [{
            "name": "all",
            "verdict": "allow",
            "match": {"any_owner": true},
            "run": {
                "image": program,
                "command": [program, "start"],
                "home": "/home",
                "genesis": {"path": folder.join("pre-ccv/{consumer_id}.json")},
            },
        }],
    });
    let path = folder.join("monitor.toml");
    fs::write(&path, toml::to_string(&text).expect("it is TOML")).expect("written");
    path
}

/// Starts the monitor with nodes that are no processes.
async fn start_monitor(config: &Path, folder: &Path) -> watch::Receiver<Statuses> {
    let config = File::read(config).and_then(|file| file.complete());
    let config = config.expect("a configuration");
    let keys = Arc::new(FileKeyStore::open(config.data_dir.join("keys")).expect("a key store"));
    let artifacts = FileArtifacts::open(config.data_dir.join("artifacts"));
    let artifacts = Arc::new(artifacts.expect("a store"));
    let settings = LocalSettings {
        root: folder.join("nodes"),
        instance: config.instance.parse().expect("an instance"),
        address: Ipv4Addr::new(127, 7, 7, 7).into(),
        stop_timeout: Duration::from_secs(1),
    };
    let processes = Arc::new(InProcess::default());
    let deployer = LocalDeployer::open(settings, keys.clone(), artifacts.clone(), processes);
    let rpc = Rpc::new(&config.provider.rpc).expect("an address");
    let account = Account::from_mnemonic_file(&config.mnemonic_file, "cosmos").expect("alice");
    let local = LocalValidator {
        chain_id: ChainId::new(PROVIDER).expect("a chain id"),
        operator: account.address().clone(),
        provider_key: Cast::provider_public_key("alice"),
        node_id: NodeId::of(&keys.node_key().await.expect("a key").public()),
    };
    let backends = Backends {
        provider: Provider::new(rpc.clone()),
        sender: Sender::new(rpc, account, PROVIDER.into(), config.fees),
        deployer: Arc::new(deployer.expect("a folder")),
        keys,
        artifacts,
        node_rpc: Ipv4Addr::LOCALHOST.into(),
    };
    let monitor = Monitor::new(local, config.policy, &config.data_dir, backends);
    let monitor = monitor.expect("no orders");
    let statuses = monitor.statuses();
    tokio::spawn(monitor.run(std::future::pending()));
    statuses
}

/// All files below a folder, by their path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let name = path.strip_prefix(folder).expect("it is in it");
                found.insert(name.to_string_lossy().into_owned(), bytes);
            }
        }
    }
    found
}

pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::new(0, 0) + since.unwrap_or_default()
}
