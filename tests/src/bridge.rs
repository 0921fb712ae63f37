//! A bridge interface with an address for each of several instances on this machine.
//!
//! Containers published on such an address are reached there by every other container, as they
//! would be on a machine of their own.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use tokio::process::Command;

use crate::Error;
use crate::cache::{self, Lock};
use crate::command::run;
use crate::process::Lifetime;

/// An interface `icsmX` with the addresses `10.77.X.1`, `10.77.X.2`, ..; X is the first one free.
///
/// A tied one is removed when dropped, or by the next creation after its process was killed.
#[derive(Debug)]
pub struct Bridge {
    name: String,
    addresses: Vec<Ipv4Addr>,
    /// Held and marked as long as a tied bridge is in use.
    tie: Option<Tie>,
}

/// The claim of this process on a bridge that must not outlive it.
#[derive(Debug)]
struct Tie {
    mark: PathBuf,
    _lock: Lock,
}

impl Bridge {
    /// Makes the interface with `count` addresses.
    ///
    /// # Errors
    /// When not run as root, without the command `ip`, or when all names are taken.
    pub async fn create(count: u8, lifetime: Lifetime) -> Result<Self, Error> {
        for net in 0..=u8::MAX {
            let name = format!("icsm{net}");
            let folder = cache::folder()?.join("bridges");
            let Some(lock) = Lock::try_exclusive(&folder.join(&name))? else {
                continue;
            };
            let mark = folder.join(format!("{name}.tied"));
            if mark.exists() {
                // Its process is gone, or the lock would be held. So may be the bridge.
                Self::remove(&name).await.ok();
                fs::remove_file(&mark).map_err(Error::file("remove", &mark))?;
            }
            match run(ip().args(["link", "add", &name, "type", "bridge"])).await {
                Ok(_) => {
                    let addresses = (1..=count).map(|host| Ipv4Addr::new(10, 77, net, host));
                    let tie = match lifetime {
                        Lifetime::Detached => None,
                        Lifetime::Tied => Some(Tie::new(mark, lock)?),
                    };
                    let bridge = Self {
                        name,
                        addresses: addresses.collect(),
                        tie,
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

impl Tie {
    fn new(mark: PathBuf, lock: Lock) -> Result<Self, Error> {
        fs::write(&mark, "").map_err(Error::file("write", &mark))?;
        Ok(Self { mark, _lock: lock })
    }
}

impl Drop for Bridge {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell")]
    fn drop(&mut self) {
        let Some(tie) = &self.tie else { return };
        let mut command = std::process::Command::new("ip");
        let removed = command.args(["link", "delete", &self.name]).status();
        if removed
            .as_ref()
            .is_ok_and(std::process::ExitStatus::success)
        {
            // With the mark left there the next creation would look for the bridge in vain.
            fs::remove_file(&tie.mark).ok();
        } else {
            eprintln!("interface {} stays: {removed:?}", self.name);
        }
    }
}

fn ip() -> Command {
    Command::new("ip")
}
