//! The deployer itself: apply, stop, list and check; [`crate::removal`] has delete.

use std::sync::Arc;

use async_trait::async_trait;
use ics_core::artifact::Artifacts;
use ics_core::custody::{self, Decision, Storage as _};
use ics_core::deploy::{Deployer, NodeSigner, NodeStatus};
use ics_core::failure::Failure;
use ics_core::home::{self, Role};
use ics_core::id::ConsumerId;
use ics_core::keystore::KeyStore;
use ics_core::node::{NodeSpec, Program, Signer};
use ics_core::ports::Ports;

use crate::engine::Engine;
use crate::home::Home;
use crate::labels;
use crate::settings::DockerSettings;
use crate::signer::Site;
use crate::status::{self, Container, Life};
use crate::upload::Owner;
use crate::volume::NodeVolume;
use crate::{archive, check, container};

/// Runs nodes on one Docker engine.
///
/// **Guarantees:** those of [`Deployer`]. A container that is not running is never trusted: `apply`
/// makes it anew on its volume.
/// **Assumptions:** the engine runs on this host; one process per instance calls at a time.
/// **Caveats:** what a person starts by hand on our volumes, with our keys, is not seen.
pub struct DockerDeployer {
    pub(crate) engine: Engine,
    pub(crate) settings: DockerSettings,
    pub(crate) keys: Arc<dyn KeyStore>,
    artifacts: Arc<dyn Artifacts>,
}

impl DockerDeployer {
    /// Connects to the engine.
    ///
    /// # Errors
    /// If there is no engine at the socket, or it does not answer, or nodes are to be published on
    /// an address that this host does not have.
    pub async fn connect(
        settings: DockerSettings,
        keys: Arc<dyn KeyStore>,
        artifacts: Arc<dyn Artifacts>,
    ) -> Result<Self, Failure> {
        let engine = Engine::connect(&settings.socket).await?;
        check::addresses(&settings)?;
        Ok(Self {
            engine,
            settings,
            keys,
            artifacts,
        })
    }

    /// The container of a consumer, by its labels: a renamed one is found too.
    ///
    /// # Errors
    /// A permanent failure if there are several, of which each could sign.
    pub(crate) async fn find(&self, consumer_id: ConsumerId) -> Result<Option<Container>, Failure> {
        let ours = labels::of_consumer(&self.settings.instance, consumer_id);
        let ids = self.engine.containers(&ours).await?;
        if ids.len() > 1 {
            return Err(Failure::permanent(format!(
                "containers {} all carry the labels of consumer {consumer_id}: remove all but one",
                ids.join(", ")
            )));
        }
        let Some(id) = ids.first() else {
            return Ok(None);
        };
        Ok(self.engine.container(id).await?.map(Container::new))
    }

    /// Refuses if somebody else's container has the name of ours.
    async fn refuse_foreign(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        let instance = &self.settings.instance;
        let name = instance.object_name(consumer_id);
        let Some(found) = self.engine.container(&name).await? else {
            return Ok(());
        };
        if labels::are_ours(&Container::new(found).labels, instance, consumer_id) {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "container {name} was not made by instance {instance}: remove it or choose another instance name"
        )))
    }

    async fn require_image(&self, image: &str) -> Result<(), Failure> {
        if self.engine.has_image(image).await? {
            return Ok(());
        }
        // An image arrives without a word to us, so trying again is how its arrival is noticed.
        Err(Failure::transient(format!(
            "image {image} is not on the Docker engine: docker pull {image}, or docker load it"
        )))
    }

    /// Stops and removes a container; its volume stays.
    pub(crate) async fn end(&self, container: &Container) -> Result<(), Failure> {
        if container.life == Life::Alive {
            let patience = self.settings.stop_timeout;
            self.engine.stop(&container.id, patience).await?;
        }
        self.engine.remove(&container.id).await
    }

    /// Whether a living container is already what `spec` asks for, its signer included; if so, its
    /// configuration is brought up to date for its next start.
    async fn settle(
        &self,
        container: &Container,
        spec: &NodeSpec,
        home: &Home,
        volume: &NodeVolume,
    ) -> Result<Settled, Failure> {
        if container.life == Life::Ended || container.spec() != Some(spec.digest()) {
            return Ok(Settled::No);
        }
        let site = self.site(&container.id, home, volume);
        let decision = Decision::make(self.keys.as_ref(), &site, spec).await?;
        if !decision.is_in_place(&container.signer()) {
            return Ok(Settled::No);
        }
        let role = decision.role();
        for (path, text) in spec.files(role == Role::Signer) {
            if site.read(path).await?.as_deref() != Some(text.as_bytes()) {
                site.put(home::config(spec, role)).await?;
                break;
            }
        }
        Ok(Settled::Yes)
    }

    /// Creates the container on its volume, fills it, puts its signer in place and starts it.
    async fn deploy(&self, spec: &NodeSpec, home: &Home) -> Result<(), Failure> {
        let instance = &self.settings.instance;
        NodeVolume::ensure(&self.engine, instance, spec).await?;
        let hoped = match spec.signer {
            Signer::Key(key) => NodeSigner::Key(key.public_key),
            Signer::None => NodeSigner::None,
            Signer::Remote { public_key, .. } => NodeSigner::Remote(public_key),
        };
        let mut id = self.create(spec, home, &hoped).await?;
        // Only now is the volume in use and can no longer be exchanged: ask for its id again.
        let volume = NodeVolume::find(&self.engine, instance, spec.consumer_id).await?;
        let volume = volume.ok_or_else(|| Failure::transient("the new volume vanished"))?;
        volume.check_genesis(spec)?;
        let keys = self.keys.as_ref();
        let decision = Decision::make(keys, &self.site(&id, home, &volume), spec).await?;
        if decision.signer() != hoped {
            // Labels cannot be changed, and the state could not be read without a container.
            self.engine.remove(&id).await?;
            id = self.create(spec, home, &decision.signer()).await?;
        }
        let site = self.site(&id, home, &volume);
        let node_key = keys.node_key().await?;
        site.put(home::entries(spec, decision.role(), &node_key))
            .await?;
        self.retire_others(&id, home, &volume, spec).await?;
        decision.carry_out(keys, &site).await?;
        self.engine.start(&id).await
    }

    /// Takes every key out of use that signed on this volume before and is not to sign now.
    async fn retire_others(
        &self,
        container: &str,
        home: &Home,
        volume: &NodeVolume,
        spec: &NodeSpec,
    ) -> Result<(), Failure> {
        let files = archive::read(&self.engine, container, &home.path(home::SIGNERS)).await?;
        let (consumer_id, now) = (spec.consumer_id, spec.signer.stored());
        let (keys, now) = (self.keys.as_ref(), now.map(|key| key.public_key));
        let retired =
            custody::retire_others(keys, consumer_id, &volume.storage, now, files).await?;
        for key in retired {
            tracing::info!(%consumer_id, %key, "archived a key that was replaced");
        }
        Ok(())
    }

    async fn create(
        &self,
        spec: &NodeSpec,
        home: &Home,
        signer: &NodeSigner,
    ) -> Result<String, Failure> {
        let name = self.settings.instance.object_name(spec.consumer_id);
        let cpus = self.engine.cpus();
        let body = container::of_node(spec, home, &name, signer, &self.settings, cpus);
        self.engine.create(&name, body).await
    }

    fn site<'a>(&'a self, container: &'a str, home: &'a Home, volume: &'a NodeVolume) -> Site<'a> {
        Site {
            engine: &self.engine,
            artifacts: self.artifacts.as_ref(),
            container,
            home,
            owner: self.owner(),
            volume,
        }
    }

    fn owner(&self) -> Owner {
        Owner {
            uid: self.settings.uid,
            gid: self.settings.gid,
        }
    }

    async fn status_of(&self, consumer_id: ConsumerId) -> Result<NodeStatus, Failure> {
        let found = self.find(consumer_id).await?;
        found.and_then(|it| it.status()).ok_or_else(|| {
            Failure::unknown(format!("the container of consumer {consumer_id} vanished"))
        })
    }
}

/// Whether a container may stay as it is.
enum Settled {
    Yes,
    No,
}

#[async_trait]
impl Deployer for DockerDeployer {
    async fn apply(&self, spec: &NodeSpec) -> Result<NodeStatus, Failure> {
        let consumer_id = spec.consumer_id;
        let home = Home::new(&spec.program)?;
        let instance = &self.settings.instance;
        let old = self.find(consumer_id).await?;
        let volume = NodeVolume::find(&self.engine, instance, consumer_id).await?;
        if let Some(volume) = &volume {
            volume.check_genesis(spec)?;
        }
        if let (Some(old), Some(volume)) = (&old, &volume)
            && let Settled::Yes = self.settle(old, spec, &home, volume).await?
        {
            return self.status_of(consumer_id).await;
        }
        // All that can be refused is refused before the old node is stopped.
        self.refuse_foreign(consumer_id).await?;
        self.require_image(&spec.program.image).await?;
        if let Some(old) = &old {
            self.end(old).await?;
        }
        self.deploy(spec, &home).await?;
        tracing::info!(%consumer_id, chain_id = %spec.chain_id, "started the node's container");
        self.status_of(consumer_id).await
    }

    async fn stop(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        match self.find(consumer_id).await? {
            Some(found) if found.life == Life::Alive => {
                self.engine
                    .stop(&found.id, self.settings.stop_timeout)
                    .await
            }
            _ => Ok(()),
        }
    }

    async fn delete(&self, consumer_id: ConsumerId) -> Result<(), Failure> {
        self.remove_all(consumer_id).await
    }

    async fn list(&self) -> Result<Vec<NodeStatus>, Failure> {
        let ours = labels::of_instance(&self.settings.instance);
        let mut nodes = Vec::new();
        for id in self.engine.containers(&ours).await? {
            // One that vanished since is not there.
            let found = self.engine.container(&id).await?.map(Container::new);
            nodes.extend(found.and_then(|it| it.status()));
        }
        for volume in self.engine.volumes(&ours).await? {
            let owner = labels::read(&volume.labels, labels::CONSUMER, |it| it.parse().ok());
            let alone = |id: &ConsumerId| nodes.iter().all(|it| it.consumer_id != *id);
            nodes.extend(owner.filter(alone).map(status::of_data_alone));
        }
        nodes.sort_by_key(|it| it.consumer_id);
        Ok(nodes)
    }

    async fn check(
        &self,
        consumer_id: ConsumerId,
        program: &Program,
        ports: &Ports,
        signer_port: Option<u16>,
    ) -> Result<(), Failure> {
        // Without an engine there is nothing else to say.
        self.engine.ping().await?;
        let own = self.find(consumer_id).await?;
        let instance = &self.settings.instance;
        let volume = NodeVolume::find(&self.engine, instance, consumer_id).await;
        let mut found: Vec<_> = [
            Home::new(program).err(),
            self.require_image(&program.image).await.err(),
            self.refuse_foreign(consumer_id).await.err(),
            volume.err(),
        ]
        .into_iter()
        .flatten()
        .collect();
        found.extend(check::ports(
            ports,
            signer_port,
            &self.settings,
            own.as_ref(),
        ));
        check::sum_up(found)
    }
}
