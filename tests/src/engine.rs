//! A Docker engine: the machine's own when it answers, else a private one.
//!
//! The private engine lives in the cache folder, has its own socket, images and containers, and is
//! shared by the test processes that run at once. The last of them ends it. It has a bridge of its
//! own, too, so that it can live beside another engine; like every engine it needs root, adds
//! rules to iptables and switches IP forwarding on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptions, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::process::Command;

use crate::bridge::Bridge;
use crate::cache::{self, Lock};
use crate::error::last_lines;
use crate::process::{Lifetime, Process, stop_recorded};
use crate::{Error, wait};

/// Where an engine that the machine runs itself listens.
const SYSTEM_SOCKET: &str = "/var/run/docker.sock";

/// How long an engine may take to answer after its start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds one request to an engine may take.
const REQUEST: u64 = 120;

/// Linux limits a socket's path to 107 bytes.
const SOCKET_PATH: usize = 107;

/// An engine that answers. A private one stays at least as long as this handle.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    client: Docker,
    _lease: Option<Lease>,
}

/// The claim of one user on the private engine.
#[derive(Debug)]
struct Lease {
    folder: PathBuf,
    claim: Option<Lock>,
}

impl Engine {
    /// Uses the engine at `$DOCKER_HOST`, or else the machine's own, or else the private one,
    /// which it starts when no other process has.
    ///
    /// With [`Lifetime::Detached`] a private engine stays until [`Engine::stop_detached`].
    ///
    /// # Errors
    /// When `$DOCKER_HOST` does not answer on a Unix socket, or when there is no engine and none
    /// can be started: the text says what is missing.
    pub async fn find_or_start(lifetime: Lifetime) -> Result<Self, Error> {
        if let Some(host) = std::env::var_os("DOCKER_HOST").filter(|host| !host.is_empty()) {
            let host = host.to_string_lossy();
            let Some(socket) = host.strip_prefix("unix://").map(PathBuf::from) else {
                let cure = "the test bed needs an engine on this machine: unset it or name unix://";
                return Err(Error::Setup(format!("DOCKER_HOST={host}: {cure}")));
            };
            let client = connect(&socket).await?;
            return Ok(Self {
                socket,
                client,
                _lease: None,
            });
        }
        if let Ok(client) = connect(Path::new(SYSTEM_SOCKET)).await {
            return Ok(Self {
                socket: SYSTEM_SOCKET.into(),
                client,
                _lease: None,
            });
        }
        Self::private(&cache::folder()?.join("engine"), lifetime).await
    }

    async fn private(folder: &Path, lifetime: Lifetime) -> Result<Self, Error> {
        let _lock = Lock::exclusive_later(&start_lock(folder)).await?;
        let socket = folder.join("docker.sock");
        let client = match connect(&socket).await {
            Ok(client) => client,
            Err(_) => start(folder, &socket).await?,
        };
        if lifetime == Lifetime::Detached {
            fs::write(kept(folder), "").map_err(Error::file("write", &kept(folder)))?;
        }
        // Nobody holds it alone without the lock above.
        let claim = Lock::try_shared(&users_lock(folder))?;
        let lease = Some(Lease {
            folder: folder.to_owned(),
            claim,
        });
        Ok(Self {
            socket,
            client,
            _lease: lease,
        })
    }

    /// Ends the private engine that a detached start left, unless a test uses it still.
    ///
    /// # Errors
    /// When its files in the cache folder cannot be used, or it does not end.
    pub async fn stop_detached() -> Result<(), Error> {
        let folder = cache::folder()?.join("engine");
        let _lock = Lock::exclusive_later(&start_lock(&folder)).await?;
        if kept(&folder).exists() {
            fs::remove_file(kept(&folder)).map_err(Error::file("remove", &kept(&folder)))?;
            end_unused(&folder).await?;
        }
        Ok(())
    }

    /// Path of the engine's Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client of the engine, which speaks the version both know.
    pub fn client(&self) -> &Docker {
        &self.client
    }
}

impl Drop for Lease {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell")]
    fn drop(&mut self) {
        let (folder, claim) = (self.folder.clone(), self.claim.take());
        // A thread of its own may wait, which the runtime's threads may not.
        let end = std::thread::spawn(move || {
            let _lock = Lock::exclusive(&start_lock(&folder))?;
            drop(claim);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|e| Error::Setup(format!("no runtime: {e}")))?;
            runtime.block_on(end_unused(&folder))
        });
        match end.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the private Docker engine did not end: {error}"),
            Err(_) => eprintln!("the private Docker engine did not end: the attempt panicked"),
        }
    }
}

fn start_lock(folder: &Path) -> PathBuf {
    folder.join("start.lock")
}

fn users_lock(folder: &Path) -> PathBuf {
    folder.join("users.lock")
}

/// The mark that a detached start wants the engine to stay.
fn kept(folder: &Path) -> PathBuf {
    folder.join("kept")
}

/// The record of the engine's bridge.
fn bridge_file(folder: &Path) -> PathBuf {
    folder.join("bridge")
}

async fn connect(socket: &Path) -> Result<Docker, Error> {
    let action = format!("connect to {}", socket.display());
    let client = Docker::connect_with_unix(&socket.to_string_lossy(), REQUEST, API_DEFAULT_VERSION)
        .map_err(Error::engine(&action))?;
    client
        .negotiate_version()
        .await
        .map_err(Error::engine(&action))
}

/// Starts the private engine, empty but for its images, and waits until it answers.
async fn start(folder: &Path, socket: &Path) -> Result<Docker, Error> {
    if socket.as_os_str().len() > SOCKET_PATH {
        let cure = "set ICS_MONITOR_CACHE to a folder with a shorter path";
        return Err(Error::Setup(format!(
            "{} is too long for a socket: {cure}",
            socket.display()
        )));
    }
    if !rustix::process::geteuid().is_root() {
        let cure = "start the machine's own engine or run as root";
        return Err(Error::Setup(format!(
            "no Docker engine answers at {SYSTEM_SOCKET}: {cure}"
        )));
    }
    stop(folder).await?;
    let bridge = Bridge::create(1, Lifetime::Detached).await?;
    fs::write(bridge_file(folder), bridge.name()).map_err(Error::file("write", folder))?;
    let log = folder.join("dockerd.log");
    fs::write(&log, "").map_err(Error::file("write", &log))?;
    let mut command = Command::new("dockerd");
    command.arg("--data-root").arg(folder.join("data"));
    command.arg("--exec-root").arg(folder.join("exec"));
    command.arg("--pidfile").arg(folder.join("exec/docker.pid"));
    command
        .arg("--host")
        .arg(format!("unix://{}", socket.display()));
    // Works without systemd, too.
    command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
    let process = Process::spawn("dockerd", &mut command, &log, Lifetime::Detached);
    let process = process.map_err(|error| {
        let cure = "install one: the Debian package docker.io, for example";
        Error::Setup(format!(
            "no Docker engine answers at {SYSTEM_SOCKET}, and {error}: {cure}"
        ))
    })?;
    let client = wait::until("an answer of the Docker engine", PATIENCE, async || {
        if process.is_running() {
            return connect(socket).await.map(|client| Some(Ok(client)));
        }
        let end = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 5);
        Ok(Some(Err(Error::Setup(format!(
            "dockerd ended, see {}: {end}",
            log.display()
        )))))
    });
    let client = client.await??;
    clear(&client).await?;
    Ok(client)
}

/// Ends the private engine if nobody has a claim on it. Only under the start lock.
async fn end_unused(folder: &Path) -> Result<(), Error> {
    let alone = Lock::try_exclusive(&users_lock(folder))?;
    if alone.is_some() && !kept(folder).exists() {
        if let Ok(client) = connect(&folder.join("docker.sock")).await {
            // The engine would wait 10 s for containers that ignore SIGTERM.
            clear(&client).await?;
        }
        stop(folder).await?;
    }
    Ok(())
}

/// Ends the private engine that is recorded in the folder, if any, and removes its bridge.
async fn stop(folder: &Path) -> Result<(), Error> {
    stop_recorded(folder, PATIENCE).await?;
    let record = bridge_file(folder);
    if record.exists() {
        let name = fs::read_to_string(&record).map_err(Error::file("read", &record))?;
        // It is gone already when the machine has been started anew.
        Bridge::remove(&name).await.ok();
        fs::remove_file(&record).map_err(Error::file("remove", &record))?;
    }
    Ok(())
}

/// Removes what earlier users left: all containers, then all volumes.
async fn clear(client: &Docker) -> Result<(), Error> {
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let containers = client.list_containers(Some(all)).await;
    for container in containers.map_err(Error::engine("list containers"))? {
        let id = container.id.unwrap_or_default();
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = client.remove_container(&id, Some(force)).await;
        removed.map_err(Error::engine(format!("remove container {id}")))?;
    }
    let volumes = client.list_volumes(None::<ListVolumesOptions>).await;
    for volume in volumes
        .map_err(Error::engine("list volumes"))?
        .volumes
        .unwrap_or_default()
    {
        let force = RemoveVolumeOptionsBuilder::default().force(true).build();
        let removed = client.remove_volume(&volume.name, Some(force)).await;
        removed.map_err(Error::engine(format!("remove volume {}", volume.name)))?;
    }
    Ok(())
}
