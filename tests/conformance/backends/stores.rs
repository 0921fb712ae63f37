//! Doubles of the two stores, in memory: one genesis, and keys whose standing a case may set.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ics_core::artifact::{ArtifactRef, Artifacts, Digest};
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::SecretKey;
use ics_core::keystore::{
    KeyOrigin, KeyRef, KeyStanding, KeyStore, StorageId, StoredKey, signed_for,
};
use ics_core::signer::SignerState;
use tokio::task::yield_now;
use zeroize::Zeroizing;

/// One genesis; what it answers with can differ from what it is asked for.
#[derive(Clone)]
pub(crate) struct Genesis(pub(crate) Vec<u8>);

impl Genesis {
    pub(crate) fn reference(&self) -> ArtifactRef {
        ArtifactRef {
            digest: Digest::of(&self.0),
            len: self.0.len() as u64,
        }
    }
}

impl Artifacts for Genesis {
    fn open(&self, _: &ArtifactRef) -> Result<Box<dyn Read + Send>, Failure> {
        Ok(Box::new(std::io::Cursor::new(self.0.clone())))
    }
}

/// What the store knows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Unbound,
    BoundTo(StorageId),
    Archived(Option<Vec<u8>>),
}

/// The secret key of a seed.
fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(Zeroizing::new([seed; 32]))
}

/// A key store in memory, whose next writes can be made to fail.
#[derive(Default)]
pub(crate) struct Keys {
    held: Mutex<BTreeMap<KeyRef, Held>>,
    bound: Mutex<BTreeSet<(KeyRef, ChainId)>>,
    broken: AtomicU32,
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<KeyRef, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, consumer_id: ConsumerId, seed: u8) -> KeyRef {
        let key = KeyRef {
            consumer_id,
            public_key: secret(seed).public(),
        };
        self.lock().entry(key).or_insert(Held::Unbound);
        key
    }

    pub(crate) fn set(&self, key: &KeyRef, held: Held) {
        self.lock().insert(*key, held);
    }

    pub(crate) fn forget(&self, key: &KeyRef) {
        self.lock().remove(key);
    }

    pub(crate) fn held(&self, key: &KeyRef) -> Option<Held> {
        self.lock().get(key).cloned()
    }

    pub(crate) fn break_writes(&self, count: u32) {
        self.broken.store(count, Ordering::Relaxed);
    }

    fn record(&self, key: &KeyRef, chain_id: &ChainId) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.insert((*key, chain_id.clone()));
    }

    fn write(&self) -> Result<(), Failure> {
        let less = |count: u32| count.checked_sub(1);
        let broken = self
            .broken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        match broken {
            Ok(_) => Err(Failure::transient("the disk of the key store is full")),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl KeyStore for Keys {
    async fn prepare(&self, consumer_id: ConsumerId, _: KeyOrigin) -> Result<KeyRef, Failure> {
        Ok(self.add(consumer_id, 1))
    }

    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure> {
        yield_now().await;
        let standing = match self.held(key) {
            Some(Held::Unbound) => KeyStanding::Unbound,
            Some(Held::BoundTo(storage)) => KeyStanding::Bound(storage),
            Some(Held::Archived(state)) => {
                let state = state.as_deref().and_then(SignerState::read);
                state.map_or(KeyStanding::Lost, KeyStanding::Resumes)
            }
            None => return Ok(None),
        };
        let mut secrets = (0..=u8::MAX).map(secret);
        let found = secrets.find(|secret| secret.public() == key.public_key);
        Ok(found.map(|key| StoredKey { key, standing }))
    }

    async fn refusal(&self, key: &KeyRef, chain_id: &ChainId) -> Result<Option<String>, Failure> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let other = bound.iter().find(|(other, under)| {
            other.public_key == key.public_key
                && other.consumer_id != key.consumer_id
                && under == chain_id
        });
        Ok(other.map(|(other, _)| signed_for(other.consumer_id, chain_id)))
    }

    async fn bind(
        &self,
        key: &KeyRef,
        storage: &StorageId,
        chain_id: &ChainId,
    ) -> Result<(), Failure> {
        yield_now().await;
        self.write()?;
        if let Some(why) = self.refusal(key, chain_id).await? {
            return Err(Failure::permanent(why));
        }
        self.record(key, chain_id);
        match self.load(key).await?.map(|it| it.standing) {
            Some(KeyStanding::Bound(other)) if other != *storage => {
                Err(Failure::permanent("bound elsewhere"))
            }
            Some(standing) if standing.may_sign() => {
                self.set(key, Held::BoundTo(storage.clone()));
                yield_now().await;
                Ok(())
            }
            _ => Err(Failure::permanent("unknown or lost key")),
        }
    }

    async fn archive(&self, key: &KeyRef, signer_state: Option<&[u8]>) -> Result<(), Failure> {
        yield_now().await;
        self.write()?;
        let state = signer_state.map(<[u8]>::to_vec);
        match self.held(key) {
            Some(Held::Archived(_)) => {}
            _ => self.set(key, Held::Archived(state)),
        }
        yield_now().await;
        Ok(())
    }

    async fn node_key(&self) -> Result<SecretKey, Failure> {
        Ok(secret(9))
    }
}
