//! What monitors leave on a Docker engine: by design, they outlive them.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use futures::TryStreamExt;

use crate::engine::Engine;
use crate::process::Lifetime;
use crate::{Error, dockerd};

/// Lines of its log that a container shows when a test left it behind.
const SHOWN_LINES: &str = "20";

/// Removes all containers and volumes that the monitor instance of this name made.
///
/// # Errors
/// When the engine refuses.
pub async fn remove(engine: &Engine, instance: &str) -> Result<(), Error> {
    clear(engine.client(), instance, Logs::Unshown).await
}

/// When dropped, removes what these instances left, and shows the containers' logs.
///
/// A test that passed has removed everything before: then nothing is shown. With
/// [`Lifetime::Detached`] everything stays.
#[derive(Debug)]
pub(crate) struct Guard {
    socket: PathBuf,
    instances: Vec<String>,
    lifetime: Lifetime,
}

/// Whether a container's log is shown before the container goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Logs {
    Shown,
    Unshown,
}

impl Guard {
    /// Removes what an earlier run left under these names, and will remove what this one leaves.
    pub(crate) async fn new(
        engine: &Engine,
        instances: Vec<String>,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        for instance in &instances {
            remove(engine, instance).await?;
        }
        Ok(Self {
            socket: engine.socket().to_owned(),
            instances,
            lifetime,
        })
    }
}

impl Drop for Guard {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell")]
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Detached {
            return;
        }
        let (socket, instances) = (self.socket.clone(), self.instances.clone());
        // A thread of its own may wait, which the runtime's threads may not.
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|e| Error::Setup(format!("no runtime: {e}")))?;
            runtime.block_on(async {
                let client = dockerd::connect(&socket).await?;
                for instance in &instances {
                    clear(&client, instance, Logs::Shown).await?;
                }
                Ok::<_, Error>(())
            })
        });
        match end.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("containers or volumes of this test stay: {error}"),
            Err(_) => eprintln!("containers or volumes of this test stay: removing them panicked"),
        }
    }
}

async fn clear(client: &Docker, instance: &str, logs: Logs) -> Result<(), Error> {
    let label = format!("ics-monitor.instance={instance}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let all = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = client.list_containers(Some(all)).await;
    for container in containers.map_err(Error::engine("list containers"))? {
        let id = container.id.unwrap_or_default();
        if logs == Logs::Shown {
            show(client, &id, &container.names.unwrap_or_default()).await?;
        }
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = client.remove_container(&id, Some(force)).await;
        removed.map_err(Error::engine(format!("remove container {id}")))?;
    }
    let all = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let volumes = client.list_volumes(Some(all)).await;
    for volume in volumes
        .map_err(Error::engine("list volumes"))?
        .volumes
        .unwrap_or_default()
    {
        let removed = client
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await;
        removed.map_err(Error::engine(format!("remove volume {}", volume.name)))?;
    }
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with the failed test"
)]
async fn show(client: &Docker, id: &str, names: &[String]) -> Result<(), Error> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .tail(SHOWN_LINES)
        .build();
    let lines: Vec<LogOutput> = client
        .logs(id, Some(options))
        .try_collect()
        .await
        .map_err(Error::engine(format!("read the log of {id}")))?;
    let text: String = lines.iter().map(ToString::to_string).collect();
    eprintln!("=== container {}: end of its log\n{text}", names.join(" "));
    Ok(())
}
