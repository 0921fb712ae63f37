//! The volume of a node as the storage of its signer, reached through a container that has it
//! mounted.

use async_trait::async_trait;
use ics_core::artifact::Artifacts;
use ics_core::custody::{Place, Storage};
use ics_core::failure::Failure;
use ics_core::home::Entry;

use crate::archive;
use crate::engine::Engine;
use crate::home::Home;
use crate::labels;
use crate::upload::{self, Owner};
use crate::volume::NodeVolume;

/// A container with the node's volume.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The engine of the container.
    pub(crate) engine: &'a Engine,
    /// Where the genesis is.
    pub(crate) artifacts: &'a dyn Artifacts,
    /// The id of the container.
    pub(crate) container: &'a str,
    /// Where the volume is mounted in it.
    pub(crate) home: &'a Home,
    /// Who owns the files.
    pub(crate) owner: Owner,
    /// The volume.
    pub(crate) volume: &'a NodeVolume,
}

#[async_trait]
impl Storage for Site<'_> {
    fn place(&self) -> Place<'_> {
        Place {
            kind: "volume",
            name: &self.volume.name,
            label: labels::STORAGE,
            id: &self.volume.storage,
        }
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.home.path(path);
        let found = archive::read(self.engine, self.container, &path).await?;
        Ok(found.into_iter().next().map(|(_, bytes)| bytes))
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<(), Failure> {
        let (folder, mut all) = (self.home.mount(), Vec::new());
        for entry in entries {
            all.push(upload::Entry::of(entry, self.artifacts)?);
        }
        upload::place(self.engine, self.container, folder, self.owner, all).await
    }
}
