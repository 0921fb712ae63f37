//! The folder outside the clone that keeps what is dear to make, and the locks in it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// Returns the cache folder and makes it: `$ICS_MONITOR_CACHE`, or `ics-monitor` in
/// `$XDG_CACHE_HOME` or in `$HOME/.cache`.
///
/// # Errors
/// When none of the three variables is set, or the folder cannot be made.
pub fn folder() -> Result<PathBuf, Error> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = if let Some(own) = variable("ICS_MONITOR_CACHE") {
        PathBuf::from(own)
    } else if let Some(xdg) = variable("XDG_CACHE_HOME") {
        Path::new(&xdg).join("ics-monitor")
    } else if let Some(home) = variable("HOME") {
        Path::new(&home).join(".cache/ics-monitor")
    } else {
        let cure = "no cache folder: set ICS_MONITOR_CACHE, XDG_CACHE_HOME or HOME";
        return Err(Error::Setup(cure.into()));
    };
    // Daemons run in other folders, so a relative path would not mean the same to them.
    let folder = std::path::absolute(&folder).map_err(Error::file("resolve", &folder))?;
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    Ok(folder)
}

/// A lock on a file, held until dropped; it also ends with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock. Blocks the thread.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(locking(path))?;
        Ok(Self { _file: file })
    }

    /// Like [`Lock::exclusive`], without blocking the runtime.
    pub(crate) async fn exclusive_later(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || Self::exclusive(&path)).await {
            Ok(lock) => lock,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }

    /// Takes the lock beside other sharers, or nothing while somebody holds it exclusively.
    pub(crate) fn try_shared(path: &Path) -> Result<Option<Self>, Error> {
        Self::attempt(path, FlockOperation::NonBlockingLockShared)
    }

    /// Takes the lock, or nothing while anybody else holds it.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>, Error> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn attempt(path: &Path, how: FlockOperation) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        match flock(&file, how) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(locking(path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options.open(path).map_err(Error::file("open", path))
}

fn locking(path: &Path) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |errno| Error::file("lock", path)(io::Error::from(errno))
}
