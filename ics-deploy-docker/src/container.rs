//! The container of a node as the engine is asked for it: hardened, limited, labelled.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use ics_core::deploy::NodeSigner;
use ics_core::node::{NodeSpec, Resources};
use ics_core::ports::Ports;

use crate::home::Home;
use crate::labels::{self, Labels};
use crate::settings::DockerSettings;

/// The container of `spec`, with `volume` as its home, on a host with `cpus` processors.
pub(crate) fn of_node(
    spec: &NodeSpec,
    home: &Home,
    volume: &str,
    signer: &NodeSigner,
    settings: &DockerSettings,
    cpus: i64,
) -> ContainerCreateBody {
    let mut entrypoint = spec.program.command.clone();
    entrypoint.extend(["--home".to_owned(), home.folder()]);
    let published = addresses(&spec.ports, spec.signer.port(), settings);
    let key = |port: u16| format!("{port}/tcp");
    let binding = |address: IpAddr, port: u16| PortBinding {
        host_ip: Some(address.to_string()),
        host_port: Some(port.to_string()),
    };
    ContainerCreateBody {
        image: Some(spec.program.image.clone()),
        entrypoint: Some(entrypoint),
        cmd: Some(Vec::new()),
        // The daemon writes below $HOME whatever --home says, and panics where it cannot.
        env: Some(vec![format!("HOME={}", home.folder())]),
        user: Some(format!("{}:{}", settings.uid, settings.gid)),
        stop_signal: Some("SIGTERM".to_owned()),
        stop_timeout: i64::try_from(settings.stop_timeout.as_secs()).ok(),
        labels: Some(node_labels(spec, signer, settings).into_iter().collect()),
        exposed_ports: Some(published.iter().map(|(_, port)| key(*port)).collect()),
        host_config: Some(HostConfig {
            port_bindings: Some(
                published
                    .iter()
                    .map(|(address, port)| (key(*port), Some(vec![binding(*address, *port)])))
                    .collect(),
            ),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                maximum_retry_count: None,
            }),
            ..limits(&spec.resources, cpus, hardened(home, volume))
        }),
        ..ContainerCreateBody::default()
    }
}

/// A container that is never started: a window into a volume whose own container is gone.
pub(crate) fn of_volume(
    image: &str,
    home: &Home,
    volume: &str,
    ours: Labels,
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["/never-started".to_owned()]),
        labels: Some(ours.into_iter().collect()),
        host_config: Some(hardened(home, volume)),
        ..ContainerCreateBody::default()
    }
}

/// The host addresses and ports of a node, that for a remote signer included. gRPC-Web is not
/// served, so it is not published.
pub(crate) fn addresses(
    ports: &Ports,
    signer_port: Option<u16>,
    settings: &DockerSettings,
) -> Vec<(IpAddr, u16)> {
    let local = [ports.rpc, ports.grpc, ports.rest].into_iter();
    let local = local.chain(signer_port);
    let mut all = vec![(settings.publish_address, ports.p2p)];
    all.extend(local.map(|port| (settings.rpc_address, port)));
    all
}

fn node_labels(spec: &NodeSpec, signer: &NodeSigner, settings: &DockerSettings) -> Labels {
    let mut labels = labels::of_consumer(&settings.instance, spec.consumer_id);
    labels.extend([
        (labels::CHAIN.to_owned(), spec.chain_id.to_string()),
        (labels::GENESIS.to_owned(), spec.genesis.digest.to_string()),
        (labels::P2P_PORT.to_owned(), spec.ports.p2p.to_string()),
        (labels::SIGNER.to_owned(), signer.to_label()),
        (labels::SPEC.to_owned(), spec.digest().to_string()),
    ]);
    if let Some(key) = spec.signer.stored() {
        labels.insert(labels::KEY.to_owned(), key.public_key.to_base64());
    }
    labels
}

fn hardened(home: &Home, volume: &str) -> HostConfig {
    HostConfig {
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        tmpfs: Some(HashMap::from([(
            "/tmp".to_owned(),
            "rw,noexec,nosuid,nodev,size=64m,mode=1777".to_owned(),
        )])),
        mounts: Some(vec![Mount {
            target: Some(home.mount().to_owned()),
            source: Some(volume.to_owned()),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                // Nothing of the image may get into the node's data.
                no_copy: Some(true),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        }]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "20m".to_owned()),
                ("max-file".to_owned(), "5".to_owned()),
            ])),
        }),
        ..HostConfig::default()
    }
}

/// The engine refuses more CPU time than its host has; the most it has is then no limit at all.
fn limits(resources: &Resources, cpus: i64, base: HostConfig) -> HostConfig {
    let memory = i64::try_from(resources.memory_bytes).unwrap_or(i64::MAX);
    let wanted = i64::from(resources.cpu_millis) * 1_000_000;
    HostConfig {
        memory: Some(memory),
        // Equal to the memory: no swap.
        memory_swap: Some(memory),
        nano_cpus: Some(wanted.min(cpus.saturating_mul(1_000_000_000))),
        pids_limit: Some(i64::from(resources.pids)),
        ..base
    }
}
