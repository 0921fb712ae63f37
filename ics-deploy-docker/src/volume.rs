//! The volume of a consumer: made once, labelled with its storage id and genesis, never relabelled.

use ics_core::artifact::Digest;
use ics_core::deploy::Instance;
use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::keystore::StorageId;
use ics_core::node::NodeSpec;
use rand_core::{OsRng, RngCore as _};

use crate::engine::{Engine, Volume};
use crate::labels;

/// A volume that we made.
pub(crate) struct NodeVolume {
    /// Its name.
    pub(crate) name: String,
    /// What keys are bound to.
    pub(crate) storage: StorageId,
    /// The digest of the genesis of the chain whose data it holds.
    genesis: Digest,
    /// An image with which it can be looked into.
    pub(crate) image: String,
}

impl NodeVolume {
    /// The volume of a consumer; `None` if there is none.
    ///
    /// # Errors
    /// A permanent failure if a volume of that name is not ours.
    pub(crate) async fn find(
        engine: &Engine,
        instance: &Instance,
        consumer_id: ConsumerId,
    ) -> Result<Option<Self>, Failure> {
        let name = instance.object_name(consumer_id);
        let Some(found) = engine.volume(&name).await? else {
            return Ok(None);
        };
        Self::read(&found, instance, consumer_id).map(Some).ok_or_else(|| {
            Failure::permanent(format!(
                "volume {name} was not made by instance {instance}: remove it or choose another instance name"
            ))
        })
    }

    /// The volume of this spec, made if it is not there.
    pub(crate) async fn ensure(
        engine: &Engine,
        instance: &Instance,
        spec: &NodeSpec,
    ) -> Result<Self, Failure> {
        if let Some(found) = Self::find(engine, instance, spec.consumer_id).await? {
            found.check_genesis(spec)?;
            return Ok(found);
        }
        let mut id = [0; 16];
        OsRng
            .try_fill_bytes(&mut id)
            .map_err(|e| Failure::transient(format!("cannot make a storage id: {e}")))?;
        let mut labels = labels::of_consumer(instance, spec.consumer_id);
        labels.extend([
            (labels::CHAIN.to_owned(), spec.chain_id.to_string()),
            (labels::GENESIS.to_owned(), spec.genesis.digest.to_string()),
            (labels::IMAGE.to_owned(), spec.program.image.clone()),
            (labels::STORAGE.to_owned(), hex::encode(id)),
        ]);
        let name = instance.object_name(spec.consumer_id);
        engine.create_volume(&name, labels).await?;
        // Somebody else may have made one of that name just before: read what is there now.
        Self::find(engine, instance, spec.consumer_id)
            .await?
            .ok_or_else(|| Failure::transient(format!("volume {name} vanished after its creation")))
    }

    /// Refuses another genesis than the one that the data began with.
    pub(crate) fn check_genesis(&self, spec: &NodeSpec) -> Result<(), Failure> {
        if self.genesis == spec.genesis.digest {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "volume {} holds a chain of genesis {}, not of {}: a deployed consumer's genesis never changes; \
             delete the consumer's node first if this is another chain",
            self.name, self.genesis, spec.genesis.digest
        )))
    }

    fn read(found: &Volume, instance: &Instance, consumer_id: ConsumerId) -> Option<Self> {
        let labels = &found.labels;
        labels::are_ours(labels, instance, consumer_id).then_some(())?;
        Some(Self {
            name: found.name.clone(),
            storage: labels::read(labels, labels::STORAGE, |it| StorageId::new(it))?,
            genesis: labels::read(labels, labels::GENESIS, Digest::from_hex)?,
            image: labels.get(labels::IMAGE)?.clone(),
        })
    }
}
