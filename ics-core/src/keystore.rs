//! The seam to where secrets live: consensus keys, what they are bound to, the node key.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::failure::Failure;
use crate::id::ConsumerId;
use crate::key::{PublicKey, SecretKey};

/// Names a consensus key in the store; holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KeyRef {
    /// The consumer that the key was made for; one key never serves two.
    pub consumer_id: ConsumerId,
    /// Its public half.
    pub public_key: PublicKey,
}

/// Names one storage of signer state: Docker a random id on the volume, Kubernetes the PVC's UID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(String);

impl StorageId {
    /// The storage with this name, if that is 1 to 64 of `[0-9a-z-]`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then_some(Self(text))
    }
}

impl fmt::Display for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A consensus key as the store holds it.
pub struct StoredKey {
    /// The key.
    pub key: SecretKey,
    /// The only storage it may sign on; `None`: it has never signed anywhere.
    pub bound_to: Option<StorageId>,
}

/// Where secrets live: a folder, or Kubernetes Secrets.
///
/// **Guarantees:** what a method reports as written survives a crash and a power loss.
/// A key is never overwritten and never destroyed, a binding never changed.
/// **Assumptions:** one store belongs to one validator instance.
/// **Caveats:** two stores restored from one backup hold the same keys; nothing here can see that.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Returns the key to use for this consumer: the newest that is not archived, or a fresh one.
    ///
    /// # Errors
    /// If the store cannot be read or written; no key is then in use.
    async fn prepare(&self, consumer_id: ConsumerId) -> Result<KeyRef, Failure>;

    /// Returns a key with its binding; `None` if the store has never held it or has archived it.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure>;

    /// Binds a key to the storage that holds its signer state, once and for ever.
    ///
    /// Binding again to the same storage succeeds.
    ///
    /// # Errors
    /// A permanent failure if the key is bound to another storage or unknown.
    async fn bind(&self, key: &KeyRef, storage: &StorageId) -> Result<(), Failure>;

    /// Archives a key together with its last signer state (`None`: the state could not be found).
    ///
    /// Archiving an archived key succeeds and keeps what was archived first.
    ///
    /// # Errors
    /// If the archive cannot be written; the key is then still in use.
    async fn archive(&self, key: &KeyRef, signer_state: Option<&[u8]>) -> Result<(), Failure>;

    /// Returns the one node key (P2P identity) of this instance, making it at the first call.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn node_key(&self) -> Result<SecretKey, Failure>;
}
