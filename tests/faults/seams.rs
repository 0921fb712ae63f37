//! The deployer and the key store as the monitor sees them, with faults and with boundaries at which
//! it may die.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ics_core::deploy::{Deployer, NodeStatus};
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::SecretKey;
use ics_core::keystore::{KeyOrigin, KeyRef, KeyStore, StorageId, StoredKey};
use ics_core::node::{NodeSpec, Program};
use ics_core::ports::Ports;

use crate::counts::Counts;
use crate::dice::Dice;
use crate::kill::Kill;

/// What goes wrong at a seam.
pub(crate) struct Trouble {
    dice: Dice,
    rate: u64,
    on: AtomicBool,
    kill: Arc<Kill>,
    counts: Arc<Counts>,
}

impl Trouble {
    pub(crate) fn new(seed: u64, rate: u64, kill: Arc<Kill>, counts: Arc<Counts>) -> Self {
        Self {
            dice: Dice::new(seed.rotate_left(17)),
            rate,
            on: AtomicBool::new(true),
            kill,
            counts,
        }
    }

    pub(crate) fn heal(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Whether a call has a fault, so many times as often as one of the node: there are few.
    fn happens(&self, times: u64) -> bool {
        self.on.load(Ordering::Relaxed) && self.dice.happens(self.rate * times)
    }

    /// A call with a boundary on either side.
    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.kill.boundary().await;
        let done = call.await;
        self.kill.boundary().await;
        done
    }

    /// A write to a disk that may be full.
    async fn written<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.happens(3) {
            self.counts.note("a full disk");
            let text = "cannot write: No space left on device (os error 28)";
            return Err(Failure::transient(text));
        }
        self.around(call).await
    }

    /// A look, which changes nothing: no boundary, but it may fail.
    async fn seen<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if self.happens(1) {
            self.counts.note("a deployer that could not look");
            return Err(Failure::transient("the platform does not answer"));
        }
        call.await
    }

    /// A call of a platform that may fail, before or after it did what it was asked, or hang.
    async fn deployed<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.happens(4) {
            match self.dice.roll(4) {
                0 => {
                    self.counts.note("a deployer that refused");
                    return Err(Failure::transient("the platform is busy"));
                }
                1 => {
                    self.counts.note("a deployer that failed for good");
                    return Err(Failure::permanent("the platform does not want to"));
                }
                2 => {
                    self.counts.note("a deployer that did it and failed");
                    self.around(call).await?;
                    return Err(Failure::unknown("the platform hung up"));
                }
                _ => {
                    self.counts.note("a deployer that hung");
                    tokio::time::sleep(self.dice.millis(200, 2_000)).await;
                }
            }
        }
        self.around(call).await
    }
}

/// A deployer with trouble.
pub(crate) struct Deploys<D> {
    pub(crate) inner: D,
    pub(crate) trouble: Arc<Trouble>,
}

#[async_trait]
impl<D: Deployer> Deployer for Deploys<D> {
    async fn apply(&self, spec: &NodeSpec) -> Result<NodeStatus, Failure> {
        self.trouble.deployed(self.inner.apply(spec)).await
    }

    async fn stop(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        self.trouble.deployed(self.inner.stop(consumer_id)).await
    }

    async fn delete(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        self.trouble.deployed(self.inner.delete(consumer_id)).await
    }

    async fn list(&self) -> Result<Vec<NodeStatus>, Failure> {
        self.trouble.seen(self.inner.list()).await
    }

    async fn check(
        &self,
        consumer_id: ConsumerId,
        program: &Program,
        ports: &Ports,
        signer_port: Option<u16>,
    ) -> Result<(), Failure> {
        let check = self.inner.check(consumer_id, program, ports, signer_port);
        self.trouble.seen(check).await
    }
}

/// A key store with trouble.
pub(crate) struct Stores<K> {
    pub(crate) inner: Arc<K>,
    pub(crate) trouble: Arc<Trouble>,
}

#[async_trait]
impl<K: KeyStore> KeyStore for Stores<K> {
    async fn prepare(&self, consumer_id: ConsumerId, origin: KeyOrigin) -> Result<KeyRef, Failure> {
        self.trouble
            .written(self.inner.prepare(consumer_id, origin))
            .await
    }

    async fn load(&self, key: &KeyRef) -> Result<Option<StoredKey>, Failure> {
        self.trouble.around(self.inner.load(key)).await
    }

    async fn refusal(&self, key: &KeyRef, chain_id: &ChainId) -> Result<Option<String>, Failure> {
        self.trouble.around(self.inner.refusal(key, chain_id)).await
    }

    async fn bind(
        &self,
        key: &KeyRef,
        storage: &StorageId,
        chain_id: &ChainId,
    ) -> Result<(), Failure> {
        let bound = self.inner.bind(key, storage, chain_id);
        self.trouble.written(bound).await
    }

    async fn archive(&self, key: &KeyRef, signer_state: Option<&[u8]>) -> Result<(), Failure> {
        self.trouble
            .written(self.inner.archive(key, signer_state))
            .await
    }

    async fn node_key(&self) -> Result<SecretKey, Failure> {
        self.trouble.around(self.inner.node_key()).await
    }
}
