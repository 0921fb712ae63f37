//! What an operator chooses for the engine: where it is, whose containers these are, addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use ics_core::deploy::Instance;

/// Settings of a [`crate::DockerDeployer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSettings {
    /// The Unix socket of the engine.
    pub socket: PathBuf,
    /// Whose containers and volumes these are.
    pub instance: Instance,
    /// The address of this host on which P2P ports are published.
    pub publish_address: IpAddr,
    /// The address of this host on which RPC, gRPC and REST ports are published.
    pub rpc_address: IpAddr,
    /// How long a node may take to end before it is killed; whole seconds.
    pub stop_timeout: Duration,
    /// The user id that nodes run as and that owns their files.
    pub uid: u32,
    /// The group id that nodes run as.
    pub gid: u32,
}

impl DockerSettings {
    /// Settings with the default socket, RPC on 127.0.0.1, 30 s to stop, user and group 1000.
    #[must_use]
    pub fn new(instance: Instance, publish_address: IpAddr) -> Self {
        Self {
            socket: PathBuf::from("/var/run/docker.sock"),
            instance,
            publish_address,
            rpc_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            stop_timeout: Duration::from_secs(30),
            uid: 1000,
            gid: 1000,
        }
    }
}
