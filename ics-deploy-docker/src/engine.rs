//! The calls of the Docker Engine API that this crate uses, in our own types and failures.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptionsBuilder, ListContainersOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, StartContainerOptionsBuilder,
    StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use ics_core::failure::Failure;

use crate::failure::{is_absent, refused};
use crate::labels::Labels;

/// How long the engine may take for one answer, beyond the time that the call itself asks for.
const ANSWER: Duration = Duration::from_secs(120);

/// The slowest disk that an upload is given time for, in bytes per second.
const SLOWEST_DISK: u64 = 4 << 20;

/// A connection to one engine.
#[derive(Clone)]
pub(crate) struct Engine {
    docker: Docker,
    cpus: i64,
}

/// A volume, as far as it matters here.
pub(crate) struct Volume {
    /// Its name.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: Labels,
}

impl Engine {
    /// Connects to the engine behind a Unix socket, in the newest API version that both know.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, Failure> {
        let place = socket.display();
        let text = socket.to_str().ok_or_else(|| {
            Failure::permanent(format!("the Docker socket path {place} is not UTF-8"))
        })?;
        if !socket.exists() {
            return Err(Failure::transient(format!(
                "no Docker engine at {place}: start dockerd, or set the path of its socket"
            )));
        }
        let action = format!("reach the Docker engine at {place}");
        let refuse = |error| refused(&action, &error);
        let docker = Docker::connect_with_unix(text, ANSWER.as_secs(), API_DEFAULT_VERSION)
            .map_err(refuse)?
            .negotiate_version()
            .await
            .map_err(refuse)?;
        let cpus = docker.info().await.map_err(refuse)?.ncpu.unwrap_or(1);
        Ok(Self { docker, cpus })
    }

    /// How many processors the engine's host has.
    pub(crate) fn cpus(&self) -> i64 {
        self.cpus
    }

    /// Asks the engine for a sign of life.
    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        let answer = self.docker.ping().await;
        answer
            .map(|_| ())
            .map_err(|e| refused("reach the Docker engine", &e))
    }

    /// Whether the engine has an image under this reference.
    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, Failure> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(refused(&format!("look up image {image}"), &e)),
        }
    }

    /// The ids of all containers, running or not, that carry these labels.
    pub(crate) async fn containers(&self, labels: &Labels) -> Result<Vec<String>, Failure> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&label_filter(labels))
            .build();
        let found = self.docker.list_containers(Some(options)).await;
        let found = found.map_err(|e| refused("list containers", &e))?;
        Ok(found.into_iter().filter_map(|it| it.id).collect())
    }

    /// A container by name or id; `None` if there is none.
    pub(crate) async fn container(
        &self,
        name: &str,
    ) -> Result<Option<ContainerInspectResponse>, Failure> {
        let options = InspectContainerOptionsBuilder::new().build();
        match self.docker.inspect_container(name, Some(options)).await {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(refused(&format!("inspect container {name}"), &e)),
        }
    }

    /// Creates a container and returns its id.
    pub(crate) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, Failure> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = self.docker.create_container(Some(options), body).await;
        made.map(|it| it.id)
            .map_err(|e| refused(&format!("create container {name}"), &e))
    }

    /// Starts a container; running is success.
    pub(crate) async fn start(&self, name: &str) -> Result<(), Failure> {
        let options = StartContainerOptionsBuilder::new().build();
        let started = self.docker.start_container(name, Some(options)).await;
        started.map_err(|e| refused(&format!("start container {name}"), &e))
    }

    /// Stops a container, by force after `patience`; stopped is success.
    pub(crate) async fn stop(&self, name: &str, patience: Duration) -> Result<(), Failure> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let docker = self.docker.clone().with_timeout(ANSWER + patience);
        let stopped = docker.stop_container(name, Some(options)).await;
        stopped.map_err(|e| refused(&format!("stop container {name}"), &e))
    }

    /// Removes a stopped container and the anonymous volumes that its image asked for, never a
    /// named one; absent is success. A running one is refused by the engine.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Failure> {
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Err(e) if is_absent(&e) => Ok(()),
            other => other.map_err(|e| refused(&format!("remove container {name}"), &e)),
        }
    }

    /// All volumes that carry these labels.
    pub(crate) async fn volumes(&self, labels: &Labels) -> Result<Vec<Volume>, Failure> {
        let options = ListVolumesOptionsBuilder::new()
            .filters(&label_filter(labels))
            .build();
        let found = self.docker.list_volumes(Some(options)).await;
        let found = found.map_err(|e| refused("list volumes", &e))?;
        let found = found.volumes.unwrap_or_default().into_iter();
        Ok(found.map(Volume::from).collect())
    }

    /// A volume by name; `None` if there is none.
    pub(crate) async fn volume(&self, name: &str) -> Result<Option<Volume>, Failure> {
        match self.docker.inspect_volume(name).await {
            Ok(found) => Ok(Some(found.into())),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(refused(&format!("inspect volume {name}"), &e)),
        }
    }

    /// Creates a volume. If the name is taken the engine answers with success and changes nothing,
    /// so look at the labels afterwards.
    pub(crate) async fn create_volume(&self, name: &str, labels: Labels) -> Result<(), Failure> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let made = self.docker.create_volume(request).await;
        made.map(|_| ())
            .map_err(|e| refused(&format!("create volume {name}"), &e))
    }

    /// Removes a volume that nothing uses; absent is success.
    pub(crate) async fn remove_volume(&self, name: &str) -> Result<(), Failure> {
        let options = RemoveVolumeOptionsBuilder::new().build();
        match self.docker.remove_volume(name, Some(options)).await {
            Err(e) if is_absent(&e) => Ok(()),
            other => other.map_err(|e| refused(&format!("remove volume {name}"), &e)),
        }
    }

    /// Unpacks a tar stream of about `bytes` bytes into a folder of a container.
    ///
    /// The body must be a stream: bollard prints bodies that it holds whole in its trace log.
    pub(crate) async fn unpack(
        &self,
        container: &str,
        folder: &str,
        bytes: u64,
        tar: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), Failure> {
        let options = UploadToContainerOptionsBuilder::new()
            .path(folder)
            .no_overwrite_dir_non_dir("true")
            .build();
        let patience = ANSWER + Duration::from_secs(bytes / SLOWEST_DISK);
        let docker = self.docker.clone().with_timeout(patience);
        let body = bollard::body_try_stream(tar);
        let sent = docker.upload_to_container(container, Some(options), body);
        sent.await
            .map_err(|e| refused(&format!("place files in container {container}"), &e))
    }

    /// The tar of a file or folder of a container, up to `limit` bytes; `None` if it is not there.
    pub(crate) async fn pack(
        &self,
        container: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let action = format!("read {path} of container {container}");
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let chunks = self
            .docker
            .download_from_container(container, Some(options));
        let mut chunks = std::pin::pin!(chunks);
        let mut tar = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) if is_absent(&e) && self.container(container).await?.is_some() => {
                    return Ok(None);
                }
                Err(e) => return Err(refused(&action, &e)),
            };
            if tar.len() + chunk.len() > limit {
                return Err(Failure::permanent(format!(
                    "cannot {action}: it is larger than {limit} bytes; look what the node put there"
                )));
            }
            tar.extend_from_slice(&chunk);
        }
        Ok(Some(tar))
    }
}

impl From<bollard::models::Volume> for Volume {
    fn from(found: bollard::models::Volume) -> Self {
        Self {
            name: found.name,
            labels: found.labels.into_iter().collect(),
        }
    }
}

fn label_filter(labels: &BTreeMap<String, String>) -> HashMap<String, Vec<String>> {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    HashMap::from([("label".to_owned(), pairs.collect())])
}
