//! A Docker engine: the machine's own when it answers, else a private one.
//!
//! The private engine lives in the cache folder, has its own socket, images and containers, and is
//! shared by the test processes that run at once. The last of them ends it. It has a bridge of its
//! own, too, so that it can live beside another engine; like every engine it needs root, adds
//! rules to iptables and switches IP forwarding on.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bollard::Docker;

use crate::cache::{self, Lock};
use crate::process::Lifetime;
use crate::{Error, dockerd};

/// Where an engine that the machine runs itself listens.
const SYSTEM_SOCKET: &str = "/var/run/docker.sock";

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
            let unusable = |why: &dyn std::fmt::Display| {
                let cure = "unset it or name a Unix socket of this machine, unix://PATH";
                Error::Setup(format!("DOCKER_HOST={}: {why}: {cure}", host.display()))
            };
            let socket = host.to_str().and_then(|host| host.strip_prefix("unix://"));
            let socket = PathBuf::from(socket.ok_or_else(|| unusable(&"not a Unix socket"))?);
            let client = dockerd::connect(&socket)
                .await
                .map_err(|error| unusable(&error))?;
            return Ok(Self {
                socket,
                client,
                _lease: None,
            });
        }
        if let Ok(client) = dockerd::connect(Path::new(SYSTEM_SOCKET)).await {
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
        let socket = dockerd::socket(folder);
        let client = match dockerd::connect(&socket).await {
            Ok(client) => client,
            Err(_) => {
                // Whoever wanted the last one kept has lost it.
                remove_if_there(&kept(folder))?;
                dockerd::start(folder).await?
            }
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
        remove_if_there(&kept(&folder))?;
        end_unused(&folder).await
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

/// Ends the private engine if nobody has a claim on it. Only under the start lock.
async fn end_unused(folder: &Path) -> Result<(), Error> {
    let alone = Lock::try_exclusive(&users_lock(folder))?;
    if alone.is_some() && !kept(folder).exists() {
        dockerd::stop(folder).await?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}
