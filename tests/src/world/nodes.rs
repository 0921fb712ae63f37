//! The consumer nodes of a devnet: their containers, volumes and RPC.

use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder,
};
use futures::TryStreamExt;

use super::{Consumer, World};
use crate::rpc::Rpc;
use crate::{Error, wait};

/// How long blocks may take. Nodes of CometBFT that start at one moment may be connected and yet miss
/// each other's first messages; they go on by themselves, after a minute.
const BLOCKS: Duration = Duration::from_secs(180);

impl World {
    /// Waits until a validator's consumer node has this height.
    ///
    /// # Errors
    /// When that takes longer than three minutes; it shows what the consumer's nodes logged last.
    pub async fn wait_for_blocks(
        &self,
        validator: &str,
        consumer: &Consumer,
        height: u64,
    ) -> Result<(), Error> {
        let rpc = self.consumer_rpc(validator, consumer)?;
        let what = format!("block {height} of consumer {} by {validator}", consumer.id);
        let waited = wait::until(&what, BLOCKS, async || match rpc.height().await? {
            now if now < height => Err(Error::Reply(format!("height {now}"))),
            _ => Ok(Some(())),
        });
        match waited.await {
            Err(Error::Timeout { what, waited, last }) => Err(Error::Timeout {
                what,
                waited,
                last: format!("{last}\n{}", self.node_logs(consumer).await),
            }),
            other => other,
        }
    }

    /// What the nodes of a consumer logged last, for a person to read.
    async fn node_logs(&self, consumer: &Consumer) -> String {
        let mut text = String::new();
        let suffix = format!("-{}", consumer.id);
        let names = self.containers().await.unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(&suffix)) {
            let options = LogsOptionsBuilder::default()
                .stdout(true)
                .stderr(true)
                .tail("60")
                .build();
            let logs = self
                .engine
                .client()
                .logs(name.trim_start_matches('/'), Some(options));
            let lines: Vec<_> = logs.try_collect().await.unwrap_or_default();
            text.push_str(&format!("-- {name}\n"));
            text.extend(lines.iter().map(ToString::to_string));
        }
        text
    }

    /// The RPC of a validator's consumer node.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn consumer_rpc(&self, validator: &str, consumer: &Consumer) -> Result<Rpc, Error> {
        Rpc::new(&format!(
            "http://{}:{}",
            self.address(validator)?,
            consumer.ports["rpc"]
        ))
    }

    /// A validator's container for a consumer; `None` if there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn container(
        &self,
        validator: &str,
        consumer: &Consumer,
    ) -> Result<Option<ContainerInspectResponse>, Error> {
        let name = self.object_name(validator, consumer);
        let found = self.engine.client();
        match found
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await
        {
            Ok(container) => Ok(Some(container)),
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(Error::engine(format!("inspect {name}"))(error)),
        }
    }

    /// Whether a validator's volume for a consumer is there.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn has_volume(&self, validator: &str, consumer: &Consumer) -> Result<bool, Error> {
        let name = self.object_name(validator, consumer);
        match self.engine.client().inspect_volume(&name).await {
            Ok(_) => Ok(true),
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(false),
            Err(error) => Err(Error::engine(format!("inspect volume {name}"))(error)),
        }
    }

    /// The names of all containers of this devnet, running or not.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(&self) -> Result<Vec<String>, Error> {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let listed = self.engine.client().list_containers(Some(all)).await;
        let listed = listed.map_err(Error::engine("list containers"))?;
        let prefix = format!("/ics-{}-", self.name);
        let names = listed
            .into_iter()
            .flat_map(|container| container.names.unwrap_or_default());
        Ok(names.filter(|name| name.starts_with(&prefix)).collect())
    }

    /// The name of a validator's container and volume for a consumer.
    pub fn object_name(&self, validator: &str, consumer: &Consumer) -> String {
        format!("ics-{}-{}", self.instance(validator), consumer.id)
    }
}
