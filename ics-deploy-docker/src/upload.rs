//! Places files in a container as a tar stream, in bounded memory.

use std::io::{self, BufWriter, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream;
use ics_core::artifact::{ArtifactRef, Artifacts, Checked};
use ics_core::failure::Failure;
use ics_core::home;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::home::below;

/// Bytes per chunk, and chunks under way: what an upload holds in memory at most.
const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 4;

/// Something to place, by its path below the folder of the upload.
pub(crate) enum Entry {
    /// A folder with mode 0700; one that exists keeps its content.
    Folder(String),
    /// A small file with mode 0600, zeroed in memory afterwards.
    File(String, Zeroizing<String>),
    /// A file of any size with mode 0600, whose length and digest are checked on the way.
    Artifact(String, ArtifactRef, Box<dyn Read + Send>),
}

/// The user and group that own what is placed.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The user id.
    pub(crate) uid: u32,
    /// The group id.
    pub(crate) gid: u32,
}

/// Places `entries` in order below `folder`, which must exist in the container.
///
/// # Errors
/// If an artifact is not what its reference says, or the engine refuses. Some of the files may then
/// be there.
pub(crate) async fn place(
    engine: &Engine,
    container: &str,
    folder: &str,
    owner: Owner,
    entries: Vec<Entry>,
) -> Result<(), Failure> {
    let bytes = entries.iter().map(Entry::len).sum();
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let writer = tokio::task::spawn_blocking(move || {
        let result = write_tar(&sender, owner, entries);
        if result.is_err() {
            // An error in the stream makes the engine see a broken upload instead of a short tar,
            // which it would take for complete. It may have hung up already; nothing to do then.
            drop(sender.blocking_send(Err(io::ErrorKind::BrokenPipe.into())));
        }
        result
    });
    let body = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let sent = engine.unpack(container, folder, bytes, body).await;
    let written = writer
        .await
        .map_err(|e| Failure::unknown(format!("placing files in {container} broke off: {e}")))?;
    match (written, sent) {
        // A bad or unreadable artifact is the reason; the broken upload is its consequence.
        (Err(WriteError::Artifact(failure)), _) => Err(failure),
        (Err(WriteError::Io(e)), Err(failure)) if e.kind() == io::ErrorKind::BrokenPipe => {
            Err(failure)
        }
        (Err(WriteError::Io(e)), _) => Err(Failure::transient(format!(
            "cannot place files in container {container}: {e}"
        ))),
        (Ok(()), sent) => sent,
    }
}

enum WriteError {
    Artifact(Failure),
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Entry {
    /// Something to put into a node's home.
    pub(crate) fn of(entry: home::Entry, artifacts: &dyn Artifacts) -> Result<Self, Failure> {
        Ok(match entry {
            home::Entry::File(path, text) => Self::File(below(&path), text),
            home::Entry::Folder(path) => Self::Folder(below(&path)),
            home::Entry::Genesis(path, artifact) => {
                Self::Artifact(below(&path), artifact, artifacts.open(&artifact)?)
            }
        })
    }

    fn len(&self) -> u64 {
        match self {
            Self::Folder(_) => 0,
            Self::File(_, text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Self::Artifact(_, artifact, _) => artifact.len,
        }
    }
}

type Chunk = io::Result<Bytes>;

fn write_tar(
    sender: &mpsc::Sender<Chunk>,
    owner: Owner,
    entries: Vec<Entry>,
) -> Result<(), WriteError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |it| it.as_secs());
    let mut tar = tar::Builder::new(BufWriter::with_capacity(CHUNK, Chunks(sender)));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
        header.set_mtime(now);
        header.set_size(entry.len());
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        match entry {
            Entry::Folder(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o700);
                tar.append_data(&mut header, path, io::empty())?;
            }
            Entry::File(path, text) => tar.append_data(&mut header, path, text.as_bytes())?,
            Entry::Artifact(path, artifact, content) => {
                let mut content = Checked::new(content);
                let read = (&mut content).take(artifact.len);
                tar.append_data(&mut header, path, read)?;
                content.check(&artifact)?.map_err(WriteError::Artifact)?;
            }
        }
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// Hands each write over as one chunk; waits while too many are under way.
struct Chunks<'a>(&'a mpsc::Sender<Chunk>);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(CHUNK)];
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
