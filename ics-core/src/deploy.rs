//! The seam to whatever runs nodes.

mod instance;

use async_trait::async_trait;
use serde::Serialize;

pub use self::instance::Instance;
use crate::artifact::Digest;
use crate::failure::Failure;
use crate::id::ConsumerId;
use crate::key::PublicKey;
use crate::node::{NodeSpec, Program};
use crate::ports::Ports;

/// Runs consumer nodes on one platform.
///
/// **Guarantees:** every method may be repeated, and interrupted at any point and repeated.
/// Nothing is touched that another instance, or a person, made. At no moment do two nodes run with
/// one consensus key: `apply` ends the old node before it starts the new one, and a key signs only
/// on the storage it is bound to (see [`crate::keystore::KeyStore::bind`]).
/// **Assumptions:** calls for one consumer do not overlap; calls for different ones may.
/// **Caveats:** `apply` returns when the node was started, not when it makes blocks.
#[async_trait]
pub trait Deployer: Send + Sync {
    /// Makes the node of `spec` run; replaces it if its digest differs. Returns what then runs.
    ///
    /// A key that signed for it before and is not in `spec` is archived with its last signer state,
    /// after the old node has ended and before the new one starts.
    ///
    /// A key that may not sign here does not stop the node: it runs as a full node and the status
    /// says why ([`NodeSigner::Withheld`]).
    ///
    /// # Errors
    /// If the platform refuses or cannot be reached.
    async fn apply(&self, spec: &NodeSpec) -> Result<NodeStatus, Failure>;

    /// Stops the node and keeps its data, key and signer state. Absent or stopped is success.
    ///
    /// # Errors
    /// If the platform refuses or cannot be reached.
    async fn stop(&self, consumer_id: ConsumerId) -> Result<(), Failure>;

    /// Stops the node, archives its key with the last signer state, then removes node and data.
    /// Absent is success.
    ///
    /// # Errors
    /// If the platform refuses, cannot be reached, or the archive could not be written; the data
    /// are then still there.
    async fn delete(&self, consumer_id: ConsumerId) -> Result<(), Failure>;

    /// Lists all nodes of this instance, whatever state they are in.
    ///
    /// # Errors
    /// If the platform cannot be reached.
    async fn list(&self) -> Result<Vec<NodeStatus>, Failure>;

    /// Checks all that can be checked before a node is deployed: the platform answers, the image is
    /// present, the ports are free (unless this consumer's own node holds them), that for a remote
    /// signer included.
    ///
    /// # Errors
    /// One failure that names everything that is missing.
    async fn check(
        &self,
        consumer_id: ConsumerId,
        program: &Program,
        ports: &Ports,
        signer_port: Option<u16>,
    ) -> Result<(), Failure>;
}

/// A node as the platform reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Whose node.
    pub consumer_id: ConsumerId,
    /// What it does now.
    pub state: NodeState,
    /// The digest of the [`NodeSpec`] it was made from; `None` if only its data are left.
    pub spec: Option<Digest>,
    /// The digest of its genesis; `None` if only its data are left.
    pub genesis: Option<Digest>,
    /// Its P2P port; `None` if only its data are left.
    pub p2p_port: Option<u16>,
    /// What it signs with.
    pub signer: NodeSigner,
}

/// What a node does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// It ended by itself and nothing starts it again but the next `apply`; the text says how it
    /// ended.
    Ended(String),
    /// It ended by itself and the platform starts it again and again; the text says how it ended.
    Failing(String),
    /// Its process runs.
    Running,
    /// It was stopped, or never started.
    Stopped,
}

/// What a node signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeSigner {
    /// Nothing: it is a full node.
    None,
    /// This consensus key.
    Key(PublicKey),
    /// This consensus key, which a remote signer holds.
    Remote(PublicKey),
    /// Nothing, although a key was asked for: the text says why and what to do.
    Withheld(String),
}

impl NodeSigner {
    /// The key that it signs with, wherever that is; `None`: it signs nothing.
    #[must_use]
    pub const fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Key(key) | Self::Remote(key) => Some(*key),
            Self::None | Self::Withheld(_) => None,
        }
    }

    /// As a line of text: `none`, `key <base64>`, `remote <base64>` or `withheld <reason>`.
    #[must_use]
    pub fn to_label(&self) -> String {
        match self {
            Self::Key(key) => format!("key {key}"),
            Self::None => "none".to_owned(),
            Self::Remote(key) => format!("remote {key}"),
            Self::Withheld(reason) => format!("withheld {reason}"),
        }
    }

    /// The signer that such a line says.
    #[must_use]
    pub fn from_label(text: &str) -> Self {
        let Some((kind, rest)) = text.split_once(' ') else {
            return Self::None;
        };
        match (kind, PublicKey::from_base64(rest)) {
            ("key", Ok(key)) => Self::Key(key),
            ("remote", Ok(key)) => Self::Remote(key),
            _ => Self::Withheld(rest.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_survives_its_label() {
        for signer in [
            NodeSigner::None,
            NodeSigner::Key(PublicKey::new([7; 32])),
            NodeSigner::Remote(PublicKey::new([7; 32])),
            NodeSigner::Withheld("the key is elsewhere: resume it".into()),
        ] {
            assert_eq!(NodeSigner::from_label(&signer.to_label()), signer);
        }
        assert_eq!(NodeSigner::from_label(""), NodeSigner::None);
    }
}
