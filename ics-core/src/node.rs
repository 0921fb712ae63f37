//! A consumer node as data: what it runs, which files its home has.

mod files;
mod overlay;
mod settings;

use serde::{Serialize, Serializer};

pub use self::overlay::{Overlay, OverlayError};
pub(crate) use self::settings::is_denom;
pub use self::settings::{GasPrices, Moniker, NodeSettings, Pruning, SettingError};
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

    /// The key that it signs with, wherever that is.
    #[must_use]
    pub const fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Key(key) => Some(key.public_key),
            Self::None => None,
            Self::Remote { public_key, .. } => Some(*public_key),
        }
    }

    /// Where a node with it waits for a remote signer.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Remote { port, .. } => Some(*port),
            Self::Key(_) | Self::None => None,
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
    /// Whom to dial; a change alone asks for no restart, so that it is left out of what is written.
    #[serde(serialize_with = "none")]
    pub persistent_peers: Vec<Peer>,
}

/// Writes an empty list.
fn none<S: Serializer>(_: &[Peer], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq([(); 0])
}

impl NodeSpec {
    /// A digest of all that needs a new start when it changes: everything but the peers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
