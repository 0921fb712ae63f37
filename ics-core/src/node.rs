//! A consumer node as data: what it runs, which files its home has.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::artifact::{ArtifactRef, Digest};
use crate::id::{ChainId, ConsumerId};
use crate::key::PublicKey;
use crate::keystore::KeyRef;
use crate::peers::Peer;
use crate::ports::Ports;

/// What to run for a consumer; the operator's word, never the chain's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The container image reference.
    pub image: String,
    /// The program and its arguments; `--home` and the home folder are added after them.
    pub command: Vec<String>,
    /// The absolute folder, inside the container, under which the node's volume is mounted.
    pub home: String,
}

/// What a node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// CPU time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Resources {
    /// 2 GiB, two cores, 4096 threads.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu_millis: 2000,
            pids: 4096,
        }
    }
}

/// Settings of a node that the operator chooses for all consumers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSettings {
    /// The node's name towards its peers.
    pub moniker: String,
    /// Accept peers at private addresses, and several at one address.
    pub private_peers: bool,
    /// How long a node waits after a block, in milliseconds; `None`: the program's default.
    pub timeout_commit_ms: Option<u64>,
    /// `minimum-gas-prices`; `None`: the program's default.
    pub min_gas_prices: Option<String>,
}

/// What a node is to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signer {
    /// This key of the key store, in a file of the node's home.
    Key(KeyRef),
    /// Nothing: it is a full node.
    None,
    /// A remote signer that connects to the node (`priv_validator_laddr` of CometBFT's `config.toml`).
    Remote {
        /// The key that the remote signer holds.
        public_key: PublicKey,
        /// Where the node waits for it.
        port: u16,
    },
}

impl Signer {
    /// The key of the store that it signs with.
    #[must_use]
    pub const fn stored(&self) -> Option<KeyRef> {
        match self {
            Self::Key(key) => Some(*key),
            Self::None | Self::Remote { .. } => None,
        }
    }
}

/// Everything a deployer needs to know to run one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSpec {
    /// Whose node.
    pub consumer_id: ConsumerId,
    /// Its chain id; hostile text.
    pub chain_id: ChainId,
    /// What runs.
    pub program: Program,
    /// What it may use.
    pub resources: Resources,
    /// The merged genesis.
    pub genesis: ArtifactRef,
    /// Where it listens, inside and outside alike.
    pub ports: Ports,
    /// The operator's settings.
    pub settings: NodeSettings,
    /// What it signs with.
    pub signer: Signer,
    /// Whom to dial; a change alone asks for no restart.
    pub persistent_peers: Vec<Peer>,
}

impl NodeSpec {
    /// A digest of all that needs a new start when it changes: everything but the peers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let settled = Self {
            persistent_peers: Vec::new(),
            ..self.clone()
        };
        Digest::of(&serde_json::to_vec(&settled).unwrap_or_default())
    }

    /// The folder of this node's signer, below its home; a full node has none.
    ///
    /// Each key has a folder of its own, so that no key ever meets the signer state of another.
    #[must_use]
    pub fn signer_folder(&self) -> Option<String> {
        self.signer
            .stored()
            .map(|key| format!("signers/{}", key.public_key.address()))
    }

    /// The text files of the node's home, by path below it. Secrets and the genesis are not here.
    ///
    /// With `signs` false the node is rendered as a full node even if it has a signer.
    #[must_use]
    pub fn files(&self, signs: bool) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("config/app.toml", self.app_toml()),
            ("config/client.toml", self.client_toml()),
            ("config/config.toml", self.config_toml(signs)),
        ])
    }

    fn config_toml(&self, signs: bool) -> String {
        let peers: Vec<_> = self
            .persistent_peers
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut root = toml::toml! {
            moniker = ""
            [rpc]
            pprof_laddr = ""
            [p2p]
            [consensus]
        };
        root.insert("moniker".into(), self.settings.moniker.clone().into());
        let mut set = |table: &str, key: &str, value: toml::Value| {
            if let Some(toml::Value::Table(table)) = root.get_mut(table) {
                table.insert(key.into(), value);
            }
        };
        set(
            "rpc",
            "laddr",
            format!("tcp://0.0.0.0:{}", self.ports.rpc).into(),
        );
        set(
            "p2p",
            "laddr",
            format!("tcp://0.0.0.0:{}", self.ports.p2p).into(),
        );
        set("p2p", "persistent_peers", peers.join(",").into());
        set(
            "p2p",
            "addr_book_strict",
            (!self.settings.private_peers).into(),
        );
        set(
            "p2p",
            "allow_duplicate_ip",
            self.settings.private_peers.into(),
        );
        if let Some(millis) = self.settings.timeout_commit_ms {
            set("consensus", "timeout_commit", format!("{millis}ms").into());
        }
        if let Some(folder) = self.signer_folder().filter(|_| signs) {
            let path = |file: &str| format!("{folder}/{file}").into();
            root.insert(
                "priv_validator_key_file".into(),
                path("priv_validator_key.json"),
            );
            root.insert(
                "priv_validator_state_file".into(),
                path("priv_validator_state.json"),
            );
        }
        if let Signer::Remote { port, .. } = self.signer
            && signs
        {
            root.insert(
                "priv_validator_laddr".into(),
                format!("tcp://0.0.0.0:{port}").into(),
            );
        }
        root.to_string()
    }

    fn app_toml(&self) -> String {
        let mut root = toml::toml! {
            [api]
            enable = true
            [grpc]
            enable = true
            [grpc-web]
            enable = false
        };
        if let Some(prices) = &self.settings.min_gas_prices {
            root.insert("minimum-gas-prices".into(), prices.clone().into());
        }
        let mut address = |table: &str, text: String| {
            if let Some(toml::Value::Table(table)) = root.get_mut(table) {
                table.insert("address".into(), text.into());
            }
        };
        address("api", format!("tcp://0.0.0.0:{}", self.ports.rest));
        address("grpc", format!("0.0.0.0:{}", self.ports.grpc));
        root.to_string()
    }

    fn client_toml(&self) -> String {
        let mut root = toml::Table::new();
        root.insert("chain-id".into(), self.chain_id.as_str().into());
        root.insert(
            "node".into(),
            format!("tcp://127.0.0.1:{}", self.ports.rpc).into(),
        );
        root.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Host, NodeId};
    use crate::ports::Offset;

    fn spec(chain_id: &str) -> NodeSpec {
        let chain_id = ChainId::new(chain_id).expect("a chain id");
        let consumer_id = ConsumerId::new(3);
        NodeSpec {
            consumer_id,
            ports: Offset::of(&chain_id).ports(),
            chain_id,
            program: Program {
                image: "example/consumer:1".into(),
                command: vec!["/consumer-d".into(), "start".into()],
                home: "/data".into(),
            },
            resources: Resources::default(),
            genesis: ArtifactRef {
                digest: Digest::new([1; 32]),
                len: 9,
            },
            settings: NodeSettings {
                moniker: "a\"b\n[p2p]".into(),
                private_peers: true,
                timeout_commit_ms: Some(700),
                min_gas_prices: Some("0stake".into()),
            },
            signer: Signer::Key(KeyRef {
                consumer_id,
                public_key: PublicKey::new([7; 32]),
            }),
            persistent_peers: Vec::new(),
        }
    }

    #[test]
    fn hostile_text_stays_inside_its_string() {
        let spec = spec("x\"\n[rpc]\nladdr=\"tcp://0.0.0.0:1\"");
        for text in spec.files(true).values() {
            text.parse::<toml::Table>().expect("valid TOML");
        }
        let client: toml::Table = spec.files(true)["config/client.toml"]
            .parse()
            .expect("TOML");
        assert_eq!(client["chain-id"].as_str(), Some(spec.chain_id.as_str()));
        let config: toml::Table = spec.files(true)["config/config.toml"]
            .parse()
            .expect("TOML");
        assert_eq!(config["moniker"].as_str(), Some("a\"b\n[p2p]"));
    }

    #[test]
    fn only_a_signing_node_names_signer_files() {
        let spec = spec("consumer-1");
        assert!(spec.files(true)["config/config.toml"].contains("signers/"));
        assert!(!spec.files(false)["config/config.toml"].contains("signers/"));
    }

    #[test]
    fn a_remote_signer_gets_a_port_and_no_files() {
        let remote = NodeSpec {
            signer: Signer::Remote {
                public_key: PublicKey::new([7; 32]),
                port: 26_659,
            },
            ..spec("consumer-1")
        };
        let config = |signs| -> toml::Table {
            let text = &remote.files(signs)["config/config.toml"];
            text.parse().expect("TOML")
        };
        let address = Some("tcp://0.0.0.0:26659");
        assert_eq!(config(true)["priv_validator_laddr"].as_str(), address);
        assert!(!config(true).contains_key("priv_validator_key_file"));
        assert!(!config(false).contains_key("priv_validator_laddr"));
    }

    #[test]
    fn peers_alone_do_not_change_the_digest() {
        let before = spec("consumer-1");
        let mut after = before.clone();
        after.persistent_peers = vec![Peer {
            node_id: NodeId::new([1; 20]),
            host: Host::Name("a".into()),
            port: 1,
        }];
        assert_eq!(before.digest(), after.digest());
        after.signer = Signer::None;
        assert_ne!(before.digest(), after.digest());
    }
}
