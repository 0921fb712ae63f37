//! The provider and consumer daemons, built from the Go module beside this crate and cached.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::command::{Finished, run};
use crate::{Error, cache};

/// The Go module that links the daemons.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/devnet");

/// Static binaries, for an image without a libc; two jobs keep the linker's memory bounded.
const BUILD: [&str; 5] = ["build", "-trimpath", "-ldflags=-s -w", "-p", "2"];

/// Paths of the two daemons, ready to run.
#[derive(Clone, Debug)]
pub struct Daemons {
    folder: PathBuf,
}

impl Daemons {
    /// Builds the daemons, or finds those of an earlier build of the same sources.
    ///
    /// A first build takes some minutes and fetches the modules through the Go toolchain; of
    /// several processes one builds and the others wait for it.
    ///
    /// # Errors
    /// When there is no Go toolchain, the build fails, or the cache cannot be written.
    pub async fn build() -> Result<Self, Error> {
        let cache = cache::folder()?.join("daemons");
        let folder = cache.join(key(&go_version().await?)?);
        let _lock = cache::Lock::exclusive_later(&cache.join("build.lock")).await?;
        if !folder.exists() {
            let unfinished = tempfile::Builder::new()
                .prefix("unfinished-")
                .tempdir_in(&cache)
                .map_err(Error::file("create a folder in", &cache))?;
            go(Command::new("go")
                .args(BUILD)
                .arg("-o")
                .arg(unfinished.path())
                .args(["./cmd/provider-d", "./cmd/consumer-d"]))
            .await?;
            // Only whole builds carry the final name.
            fs::rename(unfinished.keep(), &folder).map_err(Error::file("create", &folder))?;
        }
        Ok(Self { folder })
    }

    /// The provider daemon's binary.
    pub fn provider(&self) -> PathBuf {
        self.folder.join("provider-d")
    }

    /// The consumer daemon's binary, linked statically.
    pub fn consumer(&self) -> PathBuf {
        self.folder.join("consumer-d")
    }
}

async fn go_version() -> Result<String, Error> {
    Ok(go(Command::new("go").arg("version")).await?.stdout)
}

/// Runs the Go toolchain in the module's folder.
async fn go(command: &mut Command) -> Result<Finished, Error> {
    run(command
        .current_dir(MODULE)
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS"))
    .await
    .map_err(|error| match error {
        Error::Command {
            command, outcome, ..
        } if outcome.starts_with("does not start") => Error::Setup(format!(
            "{command}: {outcome}; the devnet's daemons are built with the Go toolchain: \
                     install Go 1.24 or newer and put it on PATH"
        )),
        other => other,
    })
}

/// Names a build by everything that decides its outcome.
fn key(version: &str) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        // The length keeps two neighbours from reading as one.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(version.as_bytes());
    add(BUILD.join(" ").as_bytes());
    let mut files = Vec::new();
    sources(Path::new(MODULE), &mut files)?;
    files.sort();
    for file in files {
        let within = file.strip_prefix(MODULE).unwrap_or(&file);
        add(within.to_string_lossy().as_bytes());
        add(&fs::read(&file).map_err(Error::file("read", &file))?);
    }
    Ok(hex::encode(&hash.finalize()[..16]))
}

/// Collects go.mod, go.sum and every Go file below the folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let path = entry.map_err(Error::file("list", folder))?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|e| e == "go" || e == "mod" || e == "sum")
        {
            files.push(path);
        }
    }
    Ok(())
}
