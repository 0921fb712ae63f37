//! The private Docker engine: one daemon, whose files all lie in one folder.

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
use crate::error::last_lines;
use crate::process::{Lifetime, Process, stop_recorded};
use crate::{Error, wait};

/// How long an engine may take to answer after its start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds one request to an engine may take.
const REQUEST: u64 = 120;

/// Linux limits a socket's path to 107 bytes.
const SOCKET_PATH: usize = 107;

/// Where the engine of a folder listens.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

/// Connects to an engine, in the version of the protocol that both know.
pub(crate) async fn connect(socket: &Path) -> Result<Docker, Error> {
    let action = format!("connect to {}", socket.display());
    let client = Docker::connect_with_unix(&socket.to_string_lossy(), REQUEST, API_DEFAULT_VERSION);
    let client = client.map_err(Error::engine(&action))?;
    client
        .negotiate_version()
        .await
        .map_err(Error::engine(&action))
}

/// Starts the engine of a folder, empty but for its images, and waits until it answers.
pub(crate) async fn start(folder: &Path) -> Result<Docker, Error> {
    check(&socket(folder))?;
    stop(folder).await?;
    let started = run(folder).await;
    if started.is_err() {
        stop(folder).await?;
    }
    started
}

/// Ends the engine of a folder, if it runs, and removes its containers, volumes and bridge.
pub(crate) async fn stop(folder: &Path) -> Result<(), Error> {
    if let Ok(client) = connect(&socket(folder)).await {
        // It would wait 10 s for each container that ignores SIGTERM.
        clear(&client).await?;
    }
    stop_recorded(folder, PATIENCE).await?;
    let record = bridge(folder);
    if record.exists() {
        let name = fs::read_to_string(&record).map_err(Error::file("read", &record))?;
        // It is gone already when the machine has been started anew.
        Bridge::remove(&name).await.ok();
        fs::remove_file(&record).map_err(Error::file("remove", &record))?;
    }
    Ok(())
}

/// The record of the engine's bridge.
fn bridge(folder: &Path) -> PathBuf {
    folder.join("bridge")
}

/// Sees early what the engine would stumble over.
fn check(socket: &Path) -> Result<(), Error> {
    let problem = if !rustix::process::geteuid().is_root() {
        "no Docker engine answers: start the machine's own or run as root".to_owned()
    } else if socket.as_os_str().len() > SOCKET_PATH {
        let cure = "set ICS_MONITOR_CACHE to a folder with a shorter path";
        format!("{} is too long for a socket: {cure}", socket.display())
    } else {
        return Ok(());
    };
    Err(Error::Setup(problem))
}

async fn run(folder: &Path) -> Result<Docker, Error> {
    // The default bridge may belong to another engine on this machine.
    let own = Bridge::create(1, Lifetime::Detached).await?;
    fs::write(bridge(folder), own.name()).map_err(Error::file("write", &bridge(folder)))?;
    let log = folder.join("dockerd.log");
    fs::write(&log, "").map_err(Error::file("write", &log))?;
    let mut command = command(folder, own.name());
    let process = Process::spawn("dockerd", &mut command, &log, Lifetime::Detached);
    let process = process.map_err(|error| {
        let cure = "install one, for example the Debian package docker.io";
        Error::Setup(format!("no Docker engine answers, and {error}: {cure}"))
    })?;
    let client = wait::until("an answer of the Docker engine", PATIENCE, async || {
        if process.is_running() {
            return connect(&socket(folder))
                .await
                .map(|client| Some(Ok(client)));
        }
        let end = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 5);
        let text = format!("dockerd ended, see {}: {end}", log.display());
        Ok(Some(Err(Error::Setup(text))))
    });
    let client = client.await??;
    // Containers of a run that was cut off come back with the engine.
    clear(&client).await?;
    Ok(client)
}

fn command(folder: &Path, bridge: &str) -> Command {
    let mut command = Command::new("dockerd");
    command
        .args(["--bridge", bridge, "--data-root"])
        .arg(folder.join("data"));
    command.arg("--exec-root").arg(folder.join("exec"));
    command.arg("--pidfile").arg(folder.join("exec/docker.pid"));
    command
        .arg("--host")
        .arg(format!("unix://{}", socket(folder).display()));
    // Works without systemd, too.
    command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
    command
}

/// Removes all containers, then all volumes.
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
