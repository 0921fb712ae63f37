//! A bridge interface with an address for each of several instances on this machine.
//!
//! Containers published on such an address are reached there by every other container, as they
//! would be on a machine of their own.

use std::net::Ipv4Addr;

use tokio::process::Command;

use crate::Error;
use crate::command::run;
use crate::process::Lifetime;

/// An interface `icsmX` with the addresses `10.77.X.1`, `10.77.X.2`, ..; X is the first one free.
///
/// A tied one is removed when dropped.
#[derive(Debug)]
pub struct Bridge {
    name: String,
    addresses: Vec<Ipv4Addr>,
    lifetime: Lifetime,
}

impl Bridge {
    /// Makes the interface with `count` addresses.
    ///
    /// # Errors
    /// When not run as root, without the command `ip`, or when all names are taken.
    pub async fn create(count: u8, lifetime: Lifetime) -> Result<Self, Error> {
        for net in 0..=u8::MAX {
            let name = format!("icsm{net}");
            match run(ip().args(["link", "add", &name, "type", "bridge"])).await {
                Ok(_) => {
                    let addresses = (1..=count).map(|host| Ipv4Addr::new(10, 77, net, host));
                    let bridge = Self {
                        name,
                        addresses: addresses.collect(),
                        lifetime,
                    };
                    bridge.set_up().await?;
                    return Ok(bridge);
                }
                // The kernel gives a name to one of those who ask at once.
                Err(Error::Command { output, .. }) if output.contains("File exists") => {}
                Err(error) => {
                    let cure = "run as root with the command ip (Debian package iproute2)";
                    return Err(Error::Setup(format!(
                        "no bridge for the instances: {error}; {cure}"
                    )));
                }
            }
        }
        let cure = "remove the stale ones: ip link delete icsm0, ..";
        Err(Error::Setup(format!(
            "the interfaces icsm0 to icsm255 all exist: {cure}"
        )))
    }

    /// Removes the interface that a detached start made.
    ///
    /// # Errors
    /// When there is no such interface, or not run as root.
    pub async fn remove(name: &str) -> Result<(), Error> {
        run(ip().args(["link", "delete", name])).await.map(drop)
    }

    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses, one for each instance.
    pub fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    async fn set_up(&self) -> Result<(), Error> {
        for address in &self.addresses {
            let address = format!("{address}/24");
            run(ip().args(["address", "add", &address, "dev", &self.name])).await?;
        }
        run(ip().args(["link", "set", &self.name, "up"]))
            .await
            .map(drop)
    }
}

impl Drop for Bridge {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell")]
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Tied {
            let mut command = std::process::Command::new("ip");
            let removed = command.args(["link", "delete", &self.name]).status();
            if !removed
                .as_ref()
                .is_ok_and(std::process::ExitStatus::success)
            {
                eprintln!("interface {} stays: {removed:?}", self.name);
            }
        }
    }
}

fn ip() -> Command {
    Command::new("ip")
}
