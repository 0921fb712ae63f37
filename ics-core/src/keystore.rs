//! The seam to where secrets live: consensus keys, what they are bound to, the node key.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::failure::Failure;
use crate::id::{ChainId, ConsumerId};
use crate::key::{PublicKey, SecretKey};
use crate::signer::SignerState;

/// Names a consensus key in the store; holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KeyRef {
    /// The consumer that the key was made for; one key never serves two, but for copies of the
    /// validator's key on the provider.
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
    /// What it has signed, and where it may sign.
    pub standing: KeyStanding,
}

/// What a consensus key has signed, and where it may sign: on one storage, or on none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// It signs on this storage alone, whose signer state says what it has signed.
    Bound(StorageId),
    /// It was archived without its last signer state: what it has signed is unknown, so it never
    /// signs again.
    Lost,
    /// It was archived and is in use nowhere; bound again, it goes on from this signer state.
    Resumes(SignerState),
    /// It has never signed anywhere.
    Unbound,
}

/// The phrase of [`KeyStore::refusal`] for a key that was bound under this chain id for another consumer.
#[must_use]
pub fn signed_for(other: impl fmt::Display, chain_id: &ChainId) -> String {
    format!(
        "must not sign here: it was bound for consumer {other} under the same chain id, {chain_id}, and \
         a vote names nothing else, so that it would sign twice: assign another key on the provider, or \
         set run.key to fresh where none is assigned yet"
    )
}

impl KeyStanding {
    /// Whether there is a storage on which the key may sign, now or once it is bound to it.
    #[must_use]
    pub const fn may_sign(&self) -> bool {
        match self {
            Self::Bound(_) | Self::Resumes(_) | Self::Unbound => true,
            Self::Lost => false,
        }
    }
}

/// Which of a consumer's keys is to be assigned next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The newest that was made here and has never been bound; one is made if there is none.
    Fresh,
    /// The newest that was imported for this consumer; none is ever made.
    Imported,
}

/// Where secrets live: a folder, or Kubernetes Secrets.
///
/// **Guarantees:** what a method reports as written survives a crash and a power loss.
/// A key is never overwritten and never destroyed, and no binding changed but that of a key that
/// was archived with its last signer state.
/// **Assumptions:** one store belongs to one validator instance.
/// **Caveats:** two stores restored from one backup hold the same keys; nothing here can see that.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Returns the key of this origin to assign next for this consumer.
    ///
    /// # Errors
    /// If the store cannot be read or written; no key is then in use. A permanent failure if none
    /// was imported, or what the imported one has signed is unknown.
    async fn prepare(&self, consumer_id: ConsumerId, origin: KeyOrigin) -> Result<KeyRef, Failure>;

    /// Returns a key with its standing; `None` if the store does not hold it.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure>;

    /// Why this key must not sign for its consumer under this chain id, as a phrase that follows the
    /// key and says what to do; `None` if nothing is known against it.
    ///
    /// A vote names the chain id and nothing else of its chain. So a key that was ever bound under a
    /// chain id for one consumer signs under it for no other, whatever became of the first; one that
    /// was bound without a record of the chain id may have signed under any.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn refusal(&self, key: &KeyRef, chain_id: &ChainId) -> Result<Option<String>, Failure>;

    /// Binds a key to the storage that holds its signer state, until the key is archived, and records
    /// for good that it signs for its consumer under this chain id.
    ///
    /// Binding again to the same storage succeeds. An archived key is taken back into use: its last
    /// signer state must be on that storage before.
    ///
    /// # Errors
    /// A permanent failure if the key is bound to another storage, lost or unknown, or there is a
    /// [`KeyStore::refusal`].
    async fn bind(
        &self,
        key: &KeyRef,
        storage: &StorageId,
        chain_id: &ChainId,
    ) -> Result<(), Failure>;

    /// Takes a key out of use and keeps it together with its last signer state (`None`, or what is
    /// no such state: what it has signed is unknown).
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
