//! The lives of one monitor: each is a real `Monitor` on what the last one left on disk and on chain.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::id::ChainId;
use ics_core::node::{Moniker, NodeSettings, Program, Resources};
use ics_core::peers::NodeId;
use ics_core::policy::{GenesisSource, KeySource, Match, Policy, Rule, Run, Verdict};
use ics_core::schedule::Schedule;
use ics_core::snapshot::{Decimal, LocalValidator};
use ics_fixtures::cast::Cast;
use ics_fixtures::local::{LocalDeployer, LocalSettings, Processes};
use ics_monitor::artifacts::FileArtifacts;
use ics_monitor::effects::Backends;
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::monitor::{Monitor, Statuses};
use ics_monitor::provider::Provider;
use ics_monitor::rpc::Rpc;
use ics_monitor::tx::{FeeSettings, Sender, Timeout};
use tokio::sync::watch;

use crate::seams::{Deploys, Stores, Trouble};

/// What every life begins from.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    pub(crate) cast: Cast,
    pub(crate) address: IpAddr,
    pub(crate) processes: Arc<dyn Processes>,
    pub(crate) program: Program,
    pub(crate) trouble: Arc<Trouble>,
}

/// What is looked at of the life that there is now.
#[derive(Default)]
pub(crate) struct Now {
    pub(crate) keys: Option<Arc<FileKeyStore>>,
    pub(crate) statuses: Option<watch::Receiver<Statuses>>,
}

impl Setting {
    /// One life, from its beginning; it ends with the future, which never ends by itself.
    pub(crate) async fn live(&self, now: &Mutex<Now>) {
        let keys = self.open_keys().await;
        let monitor = self.monitor(keys.clone()).expect("a monitor");
        *now.lock().expect("no panic holds it") = Now {
            keys: Some(keys),
            statuses: Some(monitor.statuses()),
        };
        // Tells of its end, so that the next life gets the lock of the key store.
        let _gone = Gone(now);
        let ended = monitor.run(std::future::pending()).await;
        panic!("the monitor ended by itself: {ended:?}");
    }

    /// What the last life did on its way out may still hold the lock.
    async fn open_keys(&self) -> Arc<FileKeyStore> {
        for _ in 0..1_000 {
            if let Ok(keys) = FileKeyStore::open(self.folder.join("keys")) {
                return Arc::new(keys);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the key store of a dead monitor stays locked");
    }

    fn monitor(&self, store: Arc<FileKeyStore>) -> Result<Monitor, Failure> {
        let folder = &self.folder;
        let trouble = Arc::clone(&self.trouble);
        let keys = Arc::new(Stores {
            inner: store,
            trouble: Arc::clone(&trouble),
        });
        let artifacts = Arc::new(FileArtifacts::open(folder.join("artifacts"))?);
        let settings = LocalSettings {
            root: folder.join("nodes"),
            instance: "fault".parse()?,
            address: self.address,
            stop_timeout: Duration::from_secs(2),
        };
        let processes = Arc::clone(&self.processes);
        let inner = LocalDeployer::open(settings, keys.clone(), artifacts.clone(), processes)?;
        let rpc = Rpc::new(&self.url)?;
        let account = self.cast.account("alice");
        let local = LocalValidator {
            operator: account.address().clone(),
            provider_key: Cast::provider_public_key("alice"),
            chain_id: ChainId::new("provider-1").expect("a chain id"),
            node_id: NodeId::new([1; 20]),
        };
        let fees = FeeSettings {
            gas_price: "0.001stake".parse()?,
            gas_adjustment: Decimal::parse("1.3").expect("a number"),
            max_fee: 1_000_000,
        };
        let timeout = Timeout {
            blocks: 10,
            patience: Duration::from_secs(5),
        };
        let chain_id = "provider-1".to_owned();
        let sender = Sender::new(rpc.clone(), account, chain_id, fees).with_timeout(timeout);
        let backends = Backends {
            provider: Provider::new(rpc),
            sender,
            deployer: Arc::new(Deploys { inner, trouble }),
            keys,
            artifacts,
            node_rpc: self.address,
        };
        let policy = policy(folder, &self.program);
        policy.check().expect("a policy");
        Monitor::new(local, policy, folder, backends)
    }
}

struct Gone<'a>(&'a Mutex<Now>);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        *self.0.lock().expect("no panic holds it") = Now::default();
    }
}

/// Everybody is allowed, and everything is done soon.
fn policy(folder: &Path, program: &Program) -> Policy {
    let millis = Duration::from_millis;
    Policy {
        rules: vec![Rule {
            name: "all".into(),
            matches: Match {
                any_owner: true,
                ..Match::default()
            },
            verdict: Verdict::Allow,
            bounds: Default::default(),
            run: Some(Run {
                program: program.clone(),
                resources: Resources::default(),
                genesis: GenesisSource {
                    path: format!("{}/pre-{{consumer_id}}.json", folder.display()),
                    sha256: None,
                    ics_version: None,
                },
                key: KeySource::Fresh,
            }),
        }],
        schedule: Schedule {
            sync: millis(500),
            nodes: millis(500),
            refresh: millis(1_000),
            survey: millis(1_000),
            silence: millis(1_000),
            countdown: millis(300),
            countdown_from: millis(3_000),
            poll_fast: millis(200),
            poll_fast_until: millis(2_000),
            poll_medium: millis(400),
            poll_medium_until: millis(4_000),
            poll_slow: millis(600),
            ready: millis(1_000),
            not_ready: millis(300),
            leaving: millis(300),
            retry_first: millis(100),
            retry_most: millis(600),
        },
        ..Policy::new(NodeSettings {
            private_peers: true,
            ..NodeSettings::named(Moniker::new("alice").expect("a name"))
        })
    }
}
