//! What can be checked before a node is deployed: image, names, addresses, ports.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};

use ics_core::failure::{Failure, FailureKind};
use ics_core::ports::Ports;

use crate::container;
use crate::settings::DockerSettings;
use crate::status::{Container, Life};

/// Why an address and port cannot be listened on, with the cure; `None` if they can.
///
/// Assumes that the engine runs on this host and in this network namespace, as a Unix socket says.
pub(crate) fn listen(address: IpAddr, port: u16) -> Option<Failure> {
    match TcpListener::bind((address, port)) {
        Ok(_) => None,
        Err(e) if e.kind() == ErrorKind::AddrInUse => Some(Failure::transient(format!(
            "port {port} on {address} is in use: stop what listens there"
        ))),
        Err(e) if e.kind() == ErrorKind::AddrNotAvailable => Some(Failure::permanent(format!(
            "{address} is not an address of this host: set the publish and RPC addresses to ones that are"
        ))),
        Err(e) => Some(Failure::permanent(format!(
            "cannot listen on port {port} of {address}: {e}"
        ))),
    }
}

/// Refuses addresses to publish on that this host does not have.
pub(crate) fn addresses(settings: &DockerSettings) -> Result<(), Failure> {
    // Any free port will do.
    let found = [settings.publish_address, settings.rpc_address].map(|it| listen(it, 0));
    sum_up(found.into_iter().flatten().collect())
}

/// The ports of a consumer that cannot be published, but for those that its own container holds.
pub(crate) fn ports(
    ports: &Ports,
    signer_port: Option<u16>,
    settings: &DockerSettings,
    own: Option<&Container>,
) -> Vec<Failure> {
    let held = |address: IpAddr, port: u16| {
        let pair = (address.to_string(), port.to_string());
        own.is_some_and(|it| it.life == Life::Alive && it.published.contains(&pair))
    };
    let mut found: Vec<Failure> = Vec::new();
    for (address, port) in container::addresses(ports, signer_port, settings) {
        if held(address, port) {
            continue;
        }
        found.extend(listen(address, port).filter(|it| !found.contains(it)));
    }
    found
}

/// One failure for all that was found; nothing found is success.
pub(crate) fn sum_up(found: Vec<Failure>) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    let permanent = found.iter().any(|it| it.kind == FailureKind::Permanent);
    let texts: Vec<_> = found.into_iter().map(|it| it.message).collect();
    let message = texts.join("; ");
    Err(if permanent {
        Failure::permanent(message)
    } else {
        Failure::transient(message)
    })
}
