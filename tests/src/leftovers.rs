//! What monitors leave on a Docker engine: by design, they outlive them.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};

use crate::Error;
use crate::engine::Engine;

/// Removes all containers and volumes that the monitor instance of this name made.
///
/// # Errors
/// When the engine refuses.
pub async fn remove(engine: &Engine, instance: &str) -> Result<(), Error> {
    let label = format!("ics-monitor.instance={instance}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let all = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = engine.client().list_containers(Some(all)).await;
    for container in containers.map_err(Error::engine("list containers"))? {
        let id = container.id.unwrap_or_default();
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = engine.client().remove_container(&id, Some(force)).await;
        removed.map_err(Error::engine(format!("remove container {id}")))?;
    }
    let all = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let volumes = engine.client().list_volumes(Some(all)).await;
    for volume in volumes
        .map_err(Error::engine("list volumes"))?
        .volumes
        .unwrap_or_default()
    {
        let removed = engine
            .client()
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await;
        removed.map_err(Error::engine(format!("remove volume {}", volume.name)))?;
    }
    Ok(())
}
