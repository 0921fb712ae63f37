//! Deletes a consumer's node: archives its keys with their last states, then removes all of it.

use ics_core::custody;
use ics_core::failure::Failure;
use ics_core::home;
use ics_core::id::ConsumerId;
use ics_core::key::PublicKey;

use crate::archive;
use crate::container;
use crate::deployer::DockerDeployer;
use crate::home::Home;
use crate::labels::{self, Labels};
use crate::status::Life;
use crate::volume::NodeVolume;

/// Where a volume is looked into when it has no container.
const WINDOW: &str = "/volume";

impl DockerDeployer {
    /// Archives, then removes the container, then the volume. Repeated after a crash it finds the
    /// keys archived already, or only the volume left, or nothing.
    pub(crate) async fn remove_all(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        let instance = &self.settings.instance;
        let container = self.find(consumer_id).await?;
        let volume = self.own_volume(consumer_id).await?;
        if let Some(container) = &container
            && container.life == Life::Alive
        {
            let patience = self.settings.stop_timeout;
            self.engine.stop(&container.id, patience).await?;
        }
        let asked = container.as_ref().and_then(|it| {
            labels::read(&it.labels, labels::KEY, |text| {
                PublicKey::from_base64(text).ok()
            })
        });
        let mounted = container.zip(volume.as_ref()).and_then(|(it, volume)| {
            let mount = it.mount_of(&volume.name)?.to_owned();
            Some((it.id, mount))
        });
        let files = match (mounted, &volume) {
            (Some((id, mount)), _) => self.signer_files(&id, &Home::at(&mount)).await?,
            (None, Some(volume)) => self.signer_files_of(consumer_id, volume).await?,
            (None, None) => Vec::new(),
        };
        let storage = volume.as_ref().map(|it| &it.storage);
        custody::retire_all(self.keys.as_ref(), consumer_id, storage, asked, files).await?;
        // Found again: the look into the volume may have made one.
        if let Some(container) = self.find(consumer_id).await? {
            self.end(&container).await?;
        }
        if let Some(volume) = volume {
            self.engine.remove_volume(&volume.name).await?;
            tracing::info!(%consumer_id, %instance, "removed the node and its data");
        }
        Ok(())
    }

    /// The consumer's volume if it is ours; what is not ours is not there.
    async fn own_volume(&self, consumer_id: ConsumerId) -> Result<Option<NodeVolume>, Failure> {
        let instance = &self.settings.instance;
        let ours = labels::of_consumer(instance, consumer_id);
        if self.engine.volumes(&ours).await?.is_empty() {
            return Ok(None);
        }
        NodeVolume::find(&self.engine, instance, consumer_id).await
    }

    async fn signer_files(
        &self,
        container: &str,
        home: &Home,
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        archive::read(&self.engine, container, &home.path(home::SIGNERS)).await
    }

    /// Looks into a volume whose container is gone, or does not have it mounted, through a new
    /// container that is never started.
    async fn signer_files_of(
        &self,
        consumer_id: ConsumerId,
        volume: &NodeVolume,
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        if !self.engine.has_image(&volume.image).await? {
            return Err(Failure::transient(format!(
                "volume {} has no container and its image {} is gone, so its signer states cannot be archived \
                 and nothing was deleted: docker pull or docker load the image",
                volume.name, volume.image
            )));
        }
        if let Some(other) = self.find(consumer_id).await? {
            self.end(&other).await?;
        }
        let instance = &self.settings.instance;
        let ours: Labels = labels::of_consumer(instance, consumer_id);
        let home = Home::at(WINDOW);
        let body = container::of_volume(&volume.image, &home, &volume.name, ours);
        let name = instance.object_name(consumer_id);
        let id = self.engine.create(&name, body).await?;
        self.signer_files(&id, &home).await
    }
}
